// Median pooling.

#include <cstdint>

#include "geometry/dtype.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"
#include "reference/selection.hpp"

namespace featurepool::reference {

void median_forward(const Pooling& p, Span planes) {
  with_dtype<float, double, std::uint8_t>(p.dtype, [&]<typename T>() {
    const Geometry& g = p.geometry;
    WindowMedian<T> median;
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), plane);
      const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), plane);
      const std::int64_t first = &y[0] - static_cast<T*>(p.output);
      for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
        const Selected<T> selected = median.select(g, x, d, h, w);
        y[output] = selected.value;
        write_mask(p, first + output * y.step, selected);
      });
    }
  });
}

}  // namespace featurepool::reference
