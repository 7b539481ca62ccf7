#pragma once

#include "dispatch/kernel.hpp"

namespace featurepool {

/** Small windows of stride 1 over wide planar rows; of maxima, minima or averages. */
Kernel bands_kernel(Operation operation);

}  // namespace featurepool
