#pragma once

#include <cstdint>
#include <vector>

#include "dispatch/operation.hpp"
#include "dispatch/pooling.hpp"
#include "geometry/geometry.hpp"

namespace featurepool {

/**
 * A spatial pyramid over f32 planes: poolings of the same planes with other bins, whose results
 * stand one behind the other in a vector per image. Level-major, channel-major within a level and
 * row-major within a channel, in either layout of the planes.
 *
 * Forward: `input` is x, `output` the vectors, `mask` is written where there is one. Backward:
 * `input` is the gradient of the vectors, `output` is dx, `mask` is read. Masks hold positions
 * within planes.
 */
struct Pyramid {
  Operation operation = Operation::pyramid_forward;
  Layout layout = Layout::planar;
  bool average = false;  ///< means; else maxima
  std::vector<Geometry> levels;
  const float* input = nullptr;
  void* output = nullptr;
  std::int32_t* mask = nullptr;

  std::int64_t batch() const { return levels[0].batch; }
  std::int64_t channels() const { return levels[0].channels; }
  /** Elements of a plane of x. */
  std::int64_t plane() const { return levels[0].input_plane(); }
  /** Bins of all levels. */
  std::int64_t bins() const {
    std::int64_t sum = 0;
    for (const Geometry& level : levels) sum += level.output_plane();
    return sum;
  }
  /** Elements of an image's vector. */
  std::int64_t length() const { return channels() * bins(); }

  /** The reference takes one plane at a time. */
  std::int64_t items() const { return levels[0].planes(); }

  double work() const {
    const auto inputs = static_cast<double>(levels.size()) * static_cast<double>(plane());
    return 4.0 * static_cast<double>(items()) * (inputs + static_cast<double>(bins()));
  }
};

}  // namespace featurepool
