// Max pooling, and the gradient of all poolings that select one tap.

#include <cstdint>

#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
void max_forward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  const bool compact = p.mask_type == MaskType::position_u8;
  const auto compact_mask =
      plane_of(static_cast<std::uint8_t*>(p.mask), p, g.output_plane(), index);
  const auto index_mask = plane_of(static_cast<std::int32_t*>(p.mask), p, g.output_plane(), index);

  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    T maximum = lowest<T>();
    std::int64_t position = FPOOL_MASK_NONE;
    std::int64_t ordinal = FPOOL_MASK_NONE_COMPACT;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
      const T value = x[i];
      if (position < 0 || value > maximum || value != value) {
        maximum = value;
        position = i;
        ordinal = tap;
      }
    });
    y[output] = maximum;
    if (compact) {
      compact_mask[output] = static_cast<std::uint8_t>(ordinal);
    } else if (p.mask_type == MaskType::plane_i32) {
      index_mask[output] = static_cast<std::int32_t>(position);
    }
  });
}

void route_plane(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const float*>(p.input), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<float*>(p.output), p, g.input_plane(), index);
  clear(dx, g.input_plane());
  if (p.mask_type == MaskType::plane_i32) {
    const auto mask =
        plane_of(static_cast<const std::int32_t*>(p.mask), p, g.output_plane(), index);
    for (std::int64_t output = 0; output < g.output_plane(); ++output) {
      if (mask[output] >= 0) dx[mask[output]] += dy[output];
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
    dx[row + g.w().position(w, tw)] += dy[output];
  });
}

}  // namespace

void max_forward(const Pooling& p, Span planes) {
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
    p.dtype == FPOOL_U8 ? max_forward<std::uint8_t>(p, plane) : max_forward<float>(p, plane);
  }
}

void route_backward(const Pooling& p, Span planes) {
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) route_plane(p, plane);
}

}  // namespace featurepool::reference
