// Fractional max pooling.

#include <array>
#include <cstdint>
#include <vector>

#include "geometry/dtype.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
void fractional_plane(const Fractional& call, std::int64_t index) {
  std::array<std::vector<std::int64_t>, 3> starts;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    starts[axis].resize(static_cast<std::size_t>(call.output[axis]));
    fractional_starts<T>(call, index, static_cast<int>(axis), [&](std::int64_t o) -> std::int64_t& {
      return starts[axis][static_cast<std::size_t>(o)];
    });
  }
  const auto x = plane_of(static_cast<const T*>(call.x), call.layout, call.channels,
                          call.input_plane(), index);
  const auto y =
      plane_of(static_cast<T*>(call.y), call.layout, call.channels, call.output_plane(), index);
  const auto mask = plane_of(call.mask, call.layout, call.channels, call.output_plane(), index);
  std::int64_t output = 0;
  for (const std::int64_t d : starts[0]) {
    for (const std::int64_t h : starts[1]) {
      for (const std::int64_t w : starts[2]) {
        T maximum = 0;
        std::int64_t position = -1;
        for (std::int64_t td = d; td < d + call.kernel[0]; ++td) {
          for (std::int64_t th = h; th < h + call.kernel[1]; ++th) {
            for (std::int64_t tw = w; tw < w + call.kernel[2]; ++tw) {
              const std::int64_t i = (td * call.input[1] + th) * call.input[2] + tw;
              const T value = x[i];
              if (position < 0 || value > maximum || value != value) {
                maximum = value;
                position = i;
              }
            }
          }
        }
        y[output] = maximum;
        if (call.mask != nullptr) mask[output] = static_cast<std::int32_t>(position);
        ++output;
      }
    }
  }
}

}  // namespace

void fractional_forward(const Fractional& call, Span planes) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      fractional_plane<T>(call, plane);
    }
  });
}

}  // namespace featurepool::reference
