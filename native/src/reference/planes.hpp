#pragma once

#include <cstdint>
#include <limits>

#include "dispatch/pooling.hpp"

/** What the references of all operations over windows share: planes, windows and their taps. */
namespace featurepool::reference {

/** One plane of a tensor: consecutive elements are `step` apart (the channels, if interleaved). */
template <typename T>
struct Plane {
  T* data;
  std::int64_t step;

  T& operator[](std::int64_t i) const { return data[i * step]; }
};

/** Plane `index` of a tensor of `channels` channels and planes of `size` elements. */
template <typename T>
Plane<T> plane_of(T* data, Layout layout, std::int64_t channels, std::int64_t size,
                  std::int64_t index) {
  if (data == nullptr) return {nullptr, 1};
  if (layout == Layout::planar) return {data + index * size, 1};
  return {data + index / channels * channels * size + index % channels, channels};
}

template <typename T>
Plane<T> plane_of(T* data, const Pooling& pooling, std::int64_t size, std::int64_t index) {
  return plane_of(data, pooling.layout, pooling.geometry.channels, size, index);
}

template <typename T>
constexpr T lowest() {
  return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::lowest();
}

template <typename T>
constexpr T highest() {
  return std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::max();
}

/** Calls `visit(output, d, h, w)` for every output position of a plane, in row-major order. */
template <typename Visit>
void for_each_output(const Geometry& g, Visit visit) {
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      for (std::int64_t w = 0; w < g.w().output; ++w) visit(output++, d, h, w);
    }
  }
}

/** Calls `visit(position in the plane, ordinal of the tap)` for the taps inside the input. */
template <typename Visit>
void for_each_tap(const Geometry& g, std::int64_t d, std::int64_t h, std::int64_t w, Visit visit) {
  const Span depth = g.d().taps(d);
  const Span rows = g.h().taps(h);
  const Span columns = g.w().taps(w);
  for (std::int64_t td = depth.begin; td < depth.end; ++td) {
    for (std::int64_t th = rows.begin; th < rows.end; ++th) {
      const std::int64_t row =
          (g.d().position(d, td) * g.h().input + g.h().position(h, th)) * g.w().input;
      const std::int64_t ordinal = (td * g.h().kernel + th) * g.w().kernel;
      for (std::int64_t tw = columns.begin; tw < columns.end; ++tw) {
        visit(row + g.w().position(w, tw), ordinal + tw);
      }
    }
  }
}

/** Output positions and taps of one axis that meet input position `i`. */
template <typename Visit>
void for_each_covering(const Axis& axis, std::int64_t i, Visit visit) {
  const Span outputs = axis.covering(i);
  for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
    if ((i - axis.start(o)) % axis.dilation == 0) visit(o);
  }
}

template <typename T>
void clear(const Plane<T>& plane, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) plane[i] = 0;
}

}  // namespace featurepool::reference
