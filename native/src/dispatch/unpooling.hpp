#pragma once

#include <array>
#include <cstdint>

#include "dispatch/operation.hpp"
#include "geometry/geometry.hpp"

namespace featurepool {

/**
 * A max unpooling, checked and resolved: every index is a position. Forward, the elements of a
 * small tensor are placed in a large one; backward, they are fetched from there.
 */
struct Unpooling {
  Operation operation = Operation::max_unpool_forward;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::int64_t small_plane = 1;
  std::array<std::int64_t, 3> large{1, 1, 1};    ///< D, H, W
  std::array<std::int64_t, 3> indexed{1, 1, 1};  ///< the extents that indices count over
  const void* indices = nullptr;
  std::int32_t index_dtype = FPOOL_I64;
  /** Indices count over the tensor, not over the plane. */
  bool over_tensor = false;
  /** Some index leads to another plane than its own. */
  bool crossing = false;
  const void* input = nullptr;
  void* output = nullptr;

  std::int64_t planes() const { return batch * channels; }
  std::int64_t large_plane() const { return large[0] * large[1] * large[2]; }
  std::int64_t indexed_plane() const { return indexed[0] * indexed[1] * indexed[2]; }

  /** Whether a position counts the same over `indexed` as over `large`. */
  bool same_rows() const { return indexed[1] == large[1] && indexed[2] == large[2]; }

  /** The position over `large` of a position over `indexed`. */
  std::int64_t to_large(std::int64_t position) const {
    if (same_rows()) return position;
    const std::int64_t row = position / indexed[2];
    return (row / indexed[1] * large[1] + row % indexed[1]) * large[2] + position % indexed[2];
  }

  /** Whether all planes are one work item: their writes have an order. */
  bool serial() const { return crossing && operation == Operation::max_unpool_forward; }

  std::int64_t items() const { return serial() ? 1 : planes(); }

  double work() const {
    return static_cast<double>(planes()) *
           static_cast<double>(dtype_size(dtype) * (small_plane + large_plane()) +
                               dtype_size(index_dtype) * small_plane);
  }
};

}  // namespace featurepool
