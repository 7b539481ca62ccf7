#pragma once

#include <cstdint>

#include "dispatch/pooling.hpp"

/**
 * Planar calls whose rows are too short to fill lanes, or that have bins: blocks of planes are
 * turned into the channels of an interleaved tensor, whose kernels fill lanes whatever the window.
 */
namespace featurepool {

/** Planes that are turned at a time: as many elements as a cache line has. */
inline std::int64_t turned_planes(const Pooling& p) { return 64 / dtype_size(p.dtype); }

inline std::int64_t turned_items(const Pooling& p) {
  return (p.geometry.planes() + turned_planes(p) - 1) / turned_planes(p);
}

/** Whether there are planes enough, and they are small enough for copies in the cache. */
inline bool can_turn(const Pooling& p) {
  constexpr std::int64_t kLeastPlanes = 4;
  constexpr std::int64_t kMostElements = 1 << 14;
  return p.layout == Layout::planar && p.geometry.planes() >= kLeastPlanes &&
         p.geometry.input_plane() <= kMostElements && p.geometry.output_plane() <= kMostElements;
}

}  // namespace featurepool
