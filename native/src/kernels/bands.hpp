#pragma once

#include "dispatch/kernel.hpp"

namespace featurepool {

/** Small windows of stride 1 over wide planar rows; of maxima, minima, or averages of f32. */
Kernel bands_kernel(Operation operation);

/** The same for averages of bytes. */
Kernel byte_bands_kernel();

}  // namespace featurepool
