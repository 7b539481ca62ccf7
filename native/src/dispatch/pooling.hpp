#pragma once

#include <cstdint>

#include "geometry/geometry.hpp"

namespace featurepool {

/** What a call computes. */
enum class Operation { max_forward, max_backward, avg_forward, avg_backward };

/** Element type of a mask; the values are the C ABI's. */
enum class MaskType : std::int32_t { none = 0, position_u8 = FPOOL_U8, plane_i32 = FPOOL_I32 };

/** What an average divides by. */
struct Divisor {
  std::int64_t override_by = 0;  ///< greater than 0: the divisor of every window
  bool include_padding = false;
};

/**
 * One pooling call, checked and resolved: all that a kernel sees.
 *
 * Forward: `input` is x, `output` is y, `mask` is written where there is one. Backward: `input` is
 * dy, `output` is dx, `mask` is read. All are dense, in the order of `layout`.
 */
struct Pooling {
  Operation operation = Operation::max_forward;
  Geometry geometry;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  const void* input = nullptr;
  void* output = nullptr;
  void* mask = nullptr;
  MaskType mask_type = MaskType::none;
  Divisor divisor;

  bool backward() const {
    return operation == Operation::max_backward || operation == Operation::avg_backward;
  }
};

}  // namespace featurepool
