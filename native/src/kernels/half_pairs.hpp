#pragma once

#include "dispatch/kernel.hpp"

namespace featurepool {

/** Windows of 2 by 2 halves, 2 apart, over planar tensors; of maxima or minima. */
Kernel half_pairs_kernel(Operation operation);

}  // namespace featurepool
