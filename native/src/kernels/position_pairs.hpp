#pragma once

#include "dispatch/kernel.hpp"

namespace featurepool {

/** Windows of 2 by 2, 2 apart, over planar f32 tensors; of maxima or minima with their ordinals. */
Kernel position_pairs_kernel(Operation operation);

}  // namespace featurepool
