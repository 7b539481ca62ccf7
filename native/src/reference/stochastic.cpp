// Stochastic pooling: drawn in training, expected in inference, and the gradient of the latter.

#include <cstdint>
#include <vector>

#include "geometry/dtype.hpp"
#include "reference/drawing.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {

void stochastic_forward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    const Geometry& g = p.geometry;
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), plane);
      const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), plane);
      const std::int64_t first = &y[0] - static_cast<T*>(p.output);
      for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
        if (!p.draw.training) {
          y[output] = static_cast<T>(window_sums(g, x, d, h, w).expected);
          return;
        }
        const Selected<T> drawn =
            draw(g, x, d, h, w, p.draw.seed, plane * g.output_plane() + output);
        y[output] = drawn.value;
        write_mask(p, first + output * y.step, drawn);
      });
    }
  });
}

void stochastic_backward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    const Geometry& g = p.geometry;
    std::vector<double> sums(static_cast<std::size_t>(g.input_plane()));
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      const auto x = plane_of(static_cast<const T*>(p.x), p, g.input_plane(), plane);
      const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), plane);
      const auto dx = plane_of(static_cast<T*>(p.output), p, g.input_plane(), plane);
      sums.assign(sums.size(), 0);
      for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
        const WindowSums window = window_sums(g, x, d, h, w);
        if (!(window.sum > 0)) return;
        const double gradient = dy[output] / window.sum;
        for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
          sums[static_cast<std::size_t>(i)] += gradient * (2 * double{x[i]} - window.expected);
        });
      });
      for (std::int64_t i = 0; i < g.input_plane(); ++i) {
        dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
      }
    }
  });
}

}  // namespace featurepool::reference
