#pragma once

#include <cstdint>

#include "dispatch/kernel.hpp"

namespace featurepool {

// Fewer planes, or channels, would leave most lanes idle.
constexpr std::int64_t kLeastSlidingLanes = 8;

// Elements of the largest planes: those of all lanes stay in the second-level cache.
constexpr std::int64_t kMostSlidingElements = 2048;

/** Large windows of stride 1 over many small planes, or over channels; of maxima, minima or
 * averages. */
Kernel slide_lanes_kernel(Operation operation);

}  // namespace featurepool
