// Spatial pyramid pooling and its gradient.

#include <cstdint>
#include <vector>

#include "reference/extremes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** Calls `f(level, first bin of plane `index` in the vectors)`. */
template <class F>
void for_each_level(const Pyramid& p, std::int64_t index, const F& f) {
  const std::int64_t channels = p.channels();
  std::int64_t first = index / channels * p.length();
  for (const Geometry& level : p.levels) {
    f(level, first + index % channels * level.output_plane());
    first += channels * level.output_plane();
  }
}

double elements(const Geometry& g, std::int64_t h, std::int64_t w) {
  return static_cast<double>(g.h().taps(h).size() * g.w().taps(w).size());
}

void forward(const Pyramid& p, std::int64_t index) {
  const auto x = plane_of(p.input, p.layout, p.channels(), p.plane(), index);
  for_each_level(p, index, [&](const Geometry& g, std::int64_t first) {
    const Plane<float> y{static_cast<float*>(p.output) + first, 1};
    if (!p.average) {
      const Plane<std::int32_t> mask{p.mask == nullptr ? nullptr : p.mask + first, 1};
      if (p.mask == nullptr) {
        extremes<float, false>(g, x, y, NoMask());
      } else {
        extremes<float, false>(g, x, y, mask);
      }
      return;
    }
    for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
      double sum = 0;
      for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sum += x[i]; });
      y[output] = static_cast<float>(sum / elements(g, h, w));
    });
  });
}

void backward(const Pyramid& p, std::int64_t index) {
  const auto dx = plane_of(static_cast<float*>(p.output), p.layout, p.channels(), p.plane(), index);
  if (!p.average) {
    clear(dx, p.plane());
    for_each_level(p, index, [&](const Geometry& g, std::int64_t first) {
      const Plane<std::int32_t> mask{p.mask + first, 1};
      route<float>(g, Plane<const float>{p.input + first, 1}, mask, dx);
    });
    return;
  }
  std::vector<double> sums(static_cast<std::size_t>(p.plane()), 0.0);
  for_each_level(p, index, [&](const Geometry& g, std::int64_t first) {
    const float* dy = p.input + first;
    for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
      const double share = dy[output] / elements(g, h, w);
      for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
        sums[static_cast<std::size_t>(i)] += share;
      });
    });
  });
  for (std::int64_t i = 0; i < p.plane(); ++i) {
    dx[i] = static_cast<float>(sums[static_cast<std::size_t>(i)]);
  }
}

}  // namespace

void pyramid_forward(const Pyramid& p, Span planes) {
  for (std::int64_t i = planes.begin; i < planes.end; ++i) forward(p, i);
}

void pyramid_backward(const Pyramid& p, Span planes) {
  for (std::int64_t i = planes.begin; i < planes.end; ++i) backward(p, i);
}

}  // namespace featurepool::reference
