#pragma once

#include <cstdint>
#include <type_traits>

#include "reference/half.hpp"
#include "reference/planes.hpp"

/** Extremes of windows and the way of gradients to them, plane by plane. */
namespace featurepool::reference {

/** One tap of a window. */
template <typename T>
struct Extreme {
  T value;
  std::int64_t position = FPOOL_MASK_NONE;         ///< in the plane
  std::int64_t ordinal = FPOOL_MASK_NONE_COMPACT;  ///< in the window
};

/** The first maximum (kMin: minimum) of a window in row-major order, or its last NaN. */
template <typename T, bool kMin>
Extreme<T> extreme(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                   std::int64_t w) {
  Extreme<T> best{kMin ? highest<T>() : lowest<T>()};
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
    const T value = x[i];
    const bool better = kMin ? value < best.value : value > best.value;
    if (best.position < 0 || better || value != value) best = {value, i, tap};
  });
  return best;
}

/** Where there is no mask. */
struct NoMask {};

/** Calls `f` with the plane of a mask that belongs to plane `index`, or with NoMask. */
template <class F>
void with_mask_plane(void* mask, MaskType type, Layout layout, std::int64_t channels,
                     std::int64_t size, std::int64_t index, const F& f) {
  switch (type) {
    case MaskType::none:
      return f(NoMask());
    case MaskType::position_u8:
      return f(plane_of(static_cast<std::uint8_t*>(mask), layout, channels, size, index));
    case MaskType::plane_i32:
      return f(plane_of(static_cast<std::int32_t*>(mask), layout, channels, size, index));
  }
}

/** All extremes of a plane, and where they are. */
template <typename T, bool kMin, class Mask>
void extremes(const Geometry& g, const Plane<const T>& x, const Plane<T>& y, const Mask& mask) {
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const Extreme<T> best = extreme<T, kMin>(g, x, d, h, w);
    y[output] = best.value;
    if constexpr (std::is_same_v<Mask, Plane<std::uint8_t>>) {
      mask[output] = static_cast<std::uint8_t>(best.ordinal);
    } else if constexpr (std::is_same_v<Mask, Plane<std::int32_t>>) {
      mask[output] = static_cast<std::int32_t>(best.position);
    } else {
      static_assert(std::is_same_v<Mask, NoMask>);
    }
  });
}

/** Maxima, or minima, of planes. */
template <bool kMin>
void extremes_of_planes(const Pooling& p, Span planes) {
  const Geometry& g = p.geometry;
  const std::int64_t size = g.output_plane();
  with_dtype<float, double, Eigen::half, Eigen::bfloat16, std::int8_t, std::uint8_t, std::int32_t>(
      p.dtype, [&]<typename T>() {
        for (std::int64_t i = planes.begin; i < planes.end; ++i) {
          const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), i);
          const auto y = plane_of(static_cast<T*>(p.output), p, size, i);
          with_mask_plane(p.mask, p.mask_type, p.layout, g.channels, size, i,
                          [&](const auto& mask) { extremes<T, kMin>(g, x, y, mask); });
        }
      });
}

/** Adds the gradients of a plane where its mask says, in the order of the outputs. */
template <typename T, class Mask, class Sums>
void route(const Geometry& g, const Plane<const T>& dy, const Mask& mask, const Sums& sums) {
  using Sum = std::remove_reference_t<decltype(sums[0])>;
  if constexpr (std::is_same_v<Mask, Plane<std::int32_t>>) {
    for (std::int64_t output = 0; output < g.output_plane(); ++output) {
      if (mask[output] >= 0) sums[mask[output]] += static_cast<Sum>(dy[output]);
    }
  } else if constexpr (std::is_same_v<Mask, Plane<std::uint8_t>>) {
    for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
      const std::int64_t ordinal = mask[output];
      if (ordinal == FPOOL_MASK_NONE_COMPACT) return;
      const std::int64_t tw = ordinal % g.w().kernel;
      const std::int64_t th = ordinal / g.w().kernel % g.h().kernel;
      const std::int64_t td = ordinal / g.w().kernel / g.h().kernel;
      const std::int64_t row =
          (g.d().position(d, td) * g.h().input + g.h().position(h, th)) * g.w().input;
      sums[row + g.w().position(w, tw)] += static_cast<Sum>(dy[output]);
    });
  } else {
    static_assert(std::is_same_v<Mask, NoMask>);
  }
}

}  // namespace featurepool::reference
