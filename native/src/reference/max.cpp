// Max pooling, and the gradient of all poolings that select one tap.

#include <cstdint>
#include <vector>

#include "reference/extremes.hpp"
#include "reference/half.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
void route_plane(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const std::int64_t size = g.input_plane();
  const auto dx = plane_of(static_cast<T*>(p.output), p, size, index);
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  const auto route = [&](const auto& sums) {
    with_mask_plane(p.mask, p.mask_type, p.layout, g.channels, g.output_plane(), index,
                    [&](const auto& mask) { reference::route<T>(g, dy, mask, sums); });
  };
  if constexpr (Half<T>) {
    std::vector<float> sums(static_cast<std::size_t>(size), 0.0f);
    route(Plane<float>{sums.data(), 1});
    for (std::int64_t i = 0; i < size; ++i)
      dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
  } else {
    clear(dx, size);
    route(dx);
  }
}

}  // namespace

void max_forward(const Pooling& p, Span planes) { extremes_of_planes<false>(p, planes); }

void route_backward(const Pooling& p, Span planes) {
  with_dtype<float, double, Eigen::half, Eigen::bfloat16>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) route_plane<T>(p, plane);
  });
}

}  // namespace featurepool::reference
