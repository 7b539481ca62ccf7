#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "dispatch/operation.hpp"
#include "geometry/geometry.hpp"
#include "geometry/philox.hpp"

namespace featurepool {

/**
 * A fractional max pooling, checked and resolved: windows of one size whose starts are random, and
 * others in every plane. Axes are D, H, W, unit axes where the rank is less.
 */
struct Fractional {
  Operation operation = Operation::fractional_forward;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::array<std::int64_t, 3> input{1, 1, 1};
  std::array<std::int64_t, 3> output{1, 1, 1};
  std::array<std::int64_t, 3> kernel{1, 1, 1};
  int spatial_rank = 0;
  std::uint64_t seed = 0;
  /** One number per plane and axis of the rank, outermost axis first; null: drawn from the seed. */
  const void* samples = nullptr;
  std::int32_t samples_dtype = FPOOL_F64;
  const void* x = nullptr;
  void* y = nullptr;
  std::int32_t* mask = nullptr;  ///< positions in the plane; null: none

  std::int64_t input_plane() const { return input[0] * input[1] * input[2]; }
  std::int64_t output_plane() const { return output[0] * output[1] * output[2]; }

  /** The reference takes one plane at a time. */
  std::int64_t items() const { return batch * channels; }

  double work() const {
    const auto taps = static_cast<double>(kernel[0] * kernel[1] * kernel[2]);
    return static_cast<double>(dtype_size(dtype) * items() * output_plane()) * (2 + taps);
  }

  /** The random number of an axis (D, H, W) of a plane. */
  double sample(std::int64_t plane, int axis) const {
    const int index = axis - (FPOOL_MAX_SPATIAL_RANK - spatial_rank);
    if (index < 0) return 0;
    if (samples == nullptr) {
      return unit_interval(
          philox(seed, static_cast<std::uint64_t>(plane), static_cast<std::uint64_t>(index))[0]);
    }
    const std::int64_t i = plane * spatial_rank + index;
    return samples_dtype == FPOOL_F32 ? static_cast<const float*>(samples)[i]
                                      : static_cast<const double*>(samples)[i];
  }
};

/**
 * Starts of the windows along one axis of one plane, ascending, `starts(o) = ...` for every o:
 * `floor((o + u) alpha) - floor(u alpha)` with `alpha = (I - k) / (O - 1)`, the last at `I - k`.
 * T is the type of the tensor, as in libtorch, for the same windows from the same numbers.
 */
template <typename T, typename Starts>
void fractional_starts(const Fractional& call, std::int64_t plane, int axis, const Starts& starts) {
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t last = call.input[a] - call.kernel[a];
  const std::int64_t output = call.output[a];
  if (output > 1) {
    const T u = static_cast<T>(call.sample(plane, axis));
    const T alpha = static_cast<T>(last) / static_cast<T>(output - 1);
    const auto base = static_cast<std::int64_t>(u * alpha);
    for (std::int64_t o = 0; o < output - 1; ++o) {
      // Beyond the integers that T holds, the product may round to more than the last start.
      starts(o) = static_cast<std::remove_reference_t<decltype(starts(o))>>(
          std::min(static_cast<std::int64_t>((static_cast<T>(o) + u) * alpha) - base, last));
    }
  }
  starts(output - 1) = static_cast<std::remove_reference_t<decltype(starts(0))>>(last);
}

}  // namespace featurepool
