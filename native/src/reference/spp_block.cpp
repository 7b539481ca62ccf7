// The SPP block of YOLOv3-SPP and its gradient.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "reference/extremes.hpp"
#include "reference/half.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** The plane of group `group` in a tensor of `groups` groups that belongs to plane `index` of x. */
std::int64_t plane_in_group(const SppBlock& b, std::int64_t groups, std::int64_t group,
                            std::int64_t index) {
  return (index / b.channels * groups + group) * b.channels + index % b.channels;
}

/** Calls `f(geometry, plane of the joined tensor, plane of the mask)` for every max pool. */
template <typename T, class F>
void for_each_pool(const SppBlock& b, T* joined, std::int64_t index, const F& f) {
  for (std::int64_t group = 0; group < b.pools(); ++group) {
    const auto plane = plane_of(joined, b.layout, b.groups() * b.channels, b.plane(),
                                plane_in_group(b, b.groups(), group, index));
    with_mask_plane(b.mask, b.mask_type, b.layout, b.pools() * b.channels, b.plane(),
                    plane_in_group(b, b.pools(), group, index),
                    [&](const auto& mask) { f(b.geometry(group, 1, 1), plane, mask); });
  }
}

/** The joined input. */
template <typename T>
Plane<T> last_group(const SppBlock& b, T* joined, std::int64_t index) {
  return plane_of(joined, b.layout, b.groups() * b.channels, b.plane(),
                  plane_in_group(b, b.groups(), b.pools(), index));
}

template <typename T>
void spp_block_forward(const SppBlock& b, std::int64_t index) {
  const auto x = plane_of(static_cast<const T*>(b.input), b.layout, b.channels, b.plane(), index);
  T* joined = static_cast<T*>(b.output);
  for_each_pool(b, joined, index, [&](const Geometry& g, const Plane<T>& y, const auto& mask) {
    extremes<T, false>(g, x, y, mask);
  });
  const Plane<T> copy = last_group(b, joined, index);
  for (std::int64_t i = 0; i < b.plane(); ++i) copy[i] = x[i];
}

template <typename T>
void spp_block_backward(const SppBlock& b, std::int64_t index) {
  using Sum = std::conditional_t<Half<T>, float, T>;
  const T* joined = static_cast<const T*>(b.input);
  const auto straight = last_group(b, joined, index);
  const auto dx = plane_of(static_cast<T*>(b.output), b.layout, b.channels, b.plane(), index);
  std::vector<Sum> sums(static_cast<std::size_t>(b.plane()));
  const Plane<Sum> to{sums.data(), 1};
  for (std::int64_t i = 0; i < b.plane(); ++i) to[i] = static_cast<Sum>(straight[i]);
  for_each_pool(b, joined, index, [&](const Geometry& g, const auto& dy, const auto& mask) {
    route<T>(g, dy, mask, to);
  });
  for (std::int64_t i = 0; i < b.plane(); ++i) dx[i] = static_cast<T>(to[i]);
}

}  // namespace

void spp_block_forward(const SppBlock& b, Span planes) {
  with_dtype<float, Eigen::half, std::uint8_t>(b.dtype, [&]<typename T>() {
    for (std::int64_t i = planes.begin; i < planes.end; ++i) spp_block_forward<T>(b, i);
  });
}

void spp_block_backward(const SppBlock& b, Span planes) {
  with_dtype<float, Eigen::half>(b.dtype, [&]<typename T>() {
    for (std::int64_t i = planes.begin; i < planes.end; ++i) spp_block_backward<T>(b, i);
  });
}

}  // namespace featurepool::reference
