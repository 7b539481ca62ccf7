// Max and min pooling, and the gradient of all poolings that select one tap.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "reference/half.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** Maxima, or minima, of one plane. */
template <typename T, bool kMin>
void extremes(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  const bool compact = p.mask_type == MaskType::position_u8;
  const auto compact_mask =
      plane_of(static_cast<std::uint8_t*>(p.mask), p, g.output_plane(), index);
  const auto index_mask = plane_of(static_cast<std::int32_t*>(p.mask), p, g.output_plane(), index);

  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    T extreme = kMin ? highest<T>() : lowest<T>();
    std::int64_t position = FPOOL_MASK_NONE;
    std::int64_t ordinal = FPOOL_MASK_NONE_COMPACT;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
      const T value = x[i];
      const bool better = kMin ? value < extreme : value > extreme;
      if (position < 0 || better || value != value) {
        extreme = value;
        position = i;
        ordinal = tap;
      }
    });
    y[output] = extreme;
    if (compact) {
      compact_mask[output] = static_cast<std::uint8_t>(ordinal);
    } else if (p.mask_type == MaskType::plane_i32) {
      index_mask[output] = static_cast<std::int32_t>(position);
    }
  });
}

/** Adds the gradients of one plane where its mask says, in the order of the outputs. */
template <typename T, class Sums>
void route(const Pooling& p, std::int64_t index, const Sums& sums) {
  using Sum = std::remove_reference_t<decltype(sums[0])>;
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  if (p.mask_type == MaskType::plane_i32) {
    const auto mask =
        plane_of(static_cast<const std::int32_t*>(p.mask), p, g.output_plane(), index);
    for (std::int64_t output = 0; output < g.output_plane(); ++output) {
      if (mask[output] >= 0) sums[mask[output]] += static_cast<Sum>(dy[output]);
    }
    return;
  }
  const auto mask = plane_of(static_cast<const std::uint8_t*>(p.mask), p, g.output_plane(), index);
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
}

template <typename T>
void route_plane(const Pooling& p, std::int64_t index) {
  const std::int64_t size = p.geometry.input_plane();
  const auto dx = plane_of(static_cast<T*>(p.output), p, size, index);
  if constexpr (Half<T>) {
    std::vector<float> sums(static_cast<std::size_t>(size), 0.0f);
    route<T>(p, index, Plane<float>{sums.data(), 1});
    for (std::int64_t i = 0; i < size; ++i)
      dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
  } else {
    clear(dx, size);
    route<T>(p, index, dx);
  }
}

template <bool kMin>
void extremes(const Pooling& p, Span planes) {
  with_dtype<float, double, Eigen::half, Eigen::bfloat16, std::int8_t, std::uint8_t, std::int32_t>(
      p.dtype, [&]<typename T>() {
        for (std::int64_t i = planes.begin; i < planes.end; ++i) extremes<T, kMin>(p, i);
      });
}

}  // namespace

void max_forward(const Pooling& p, Span planes) { extremes<false>(p, planes); }

void min_forward(const Pooling& p, Span planes) { extremes<true>(p, planes); }

void route_backward(const Pooling& p, Span planes) {
  with_dtype<float, double, Eigen::half, Eigen::bfloat16>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) route_plane<T>(p, plane);
  });
}

}  // namespace featurepool::reference
