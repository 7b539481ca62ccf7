// Max unpooling and its gradient.

#include <cstdint>

#include "geometry/dtype.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** Calls `visit(small, large)` with both places, in memory, of the elements of a plane, in order.
 */
template <typename Index, typename Visit>
void for_each_pair(const Unpooling& call, std::int64_t plane, const Visit& visit) {
  const bool planar = call.layout == Layout::planar;
  const std::int64_t step = planar ? 1 : call.channels;
  const auto first = [&](std::int64_t p, std::int64_t size) {
    return planar ? p * size : p / call.channels * call.channels * size + p % call.channels;
  };
  const auto* indices = static_cast<const Index*>(call.indices);
  const std::int64_t indexed = call.indexed_plane();
  const std::int64_t own = first(plane, call.small_plane);
  for (std::int64_t i = 0; i < call.small_plane; ++i) {
    const std::int64_t small = own + i * step;
    const std::int64_t index = indices[small];
    const std::int64_t target = call.over_tensor ? index / indexed : plane;
    const std::int64_t position = call.over_tensor ? index % indexed : index;
    visit(small, first(target, call.large_plane()) + call.to_large(position) * step);
  }
}

/** Calls `f.operator()<T, Index>(first plane, end)`; the item of a serial call is all planes. */
template <typename F>
void with_types(const Unpooling& call, Span items, const F& f) {
  const Span planes = call.serial() ? Span{0, call.planes()} : items;
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    with_dtype<std::int32_t, std::int64_t>(
        call.index_dtype, [&]<typename Index>() { f.template operator()<T, Index>(planes); });
  });
}

}  // namespace

void max_unpool_forward(const Unpooling& call, Span items) {
  with_types(call, items, [&]<typename T, typename Index>(Span planes) {
    const auto* x = static_cast<const T*>(call.input);
    auto* y = static_cast<T*>(call.output);
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      clear(plane_of(y, call.layout, call.channels, call.large_plane(), plane), call.large_plane());
    }
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      for_each_pair<Index>(call, plane,
                           [&](std::int64_t small, std::int64_t large) { y[large] = x[small]; });
    }
  });
}

void max_unpool_backward(const Unpooling& call, Span items) {
  with_types(call, items, [&]<typename T, typename Index>(Span planes) {
    const auto* dy = static_cast<const T*>(call.input);
    auto* dx = static_cast<T*>(call.output);
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      for_each_pair<Index>(call, plane,
                           [&](std::int64_t small, std::int64_t large) { dx[small] = dy[large]; });
    }
  });
}

}  // namespace featurepool::reference
