#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/operation.hpp"
#include "dispatch/powers.hpp"
#include "geometry/geometry.hpp"

namespace featurepool {

/** Element type of a mask; the values are the C ABI's. */
enum class MaskType : std::int32_t { none = 0, position_u8 = FPOOL_U8, plane_i32 = FPOOL_I32 };

/** What an average divides by. */
struct Divisor {
  std::int64_t override_by = 0;  ///< greater than 0: the divisor of every window
  bool include_padding = false;
};

/** How stochastic pooling chooses: at random under a seed, or the expectation of that. */
struct Draw {
  std::uint64_t seed = 0;
  bool training = false;
  std::int64_t first_plane = 0;  ///< logical number of the call's first plane
};

/** How a mixed pooling joins the maximum and the average of a window. */
struct Mix {
  const double* alpha =
      nullptr;             ///< weight of the maximum; null: both are kept, [average, maximum]
  std::int64_t count = 1;  ///< 1, or one per channel

  double of(std::int64_t channel) const { return alpha[count == 1 ? 0 : channel]; }

  /** alpha * maximum + (1 - alpha) * average; at 0 and 1 the other one does not count at all. */
  static double join(double alpha, double maximum, double average) {
    if (alpha == 0) return average;
    return alpha == 1 ? maximum : alpha * maximum + (1 - alpha) * average;
  }
};

/**
 * One pooling over the windows of a geometry, checked and resolved: all that a kernel sees.
 *
 * Forward: `input` is x, `output` is y, `mask` is written where there is one. Backward: `input` is
 * dy, `output` is dx, `mask` is read; gradients that depend on values find those of the forward
 * call in `x` and `y`. All are dense, in the order of `layout`.
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
  const void* x = nullptr;
  const void* y = nullptr;
  Divisor divisor;
  Draw draw;
  Power power;
  Mix mix;

  /** The reference takes one plane at a time. */
  std::int64_t items() const { return geometry.planes(); }

  /** Bytes moved; taps count too: a large window is work even where the tensors are small. */
  double work() const {
    const auto inputs = static_cast<double>(geometry.input_size());
    const auto outputs = static_cast<double>(geometry.output_size());
    const double taps = std::min(static_cast<double>(geometry.taps()), 64.0);
    return static_cast<double>(dtype_size(dtype)) * std::max(inputs + outputs, outputs * taps / 4);
  }
};

}  // namespace featurepool
