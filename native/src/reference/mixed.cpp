// Maximum and average of a window, joined.

#include <cstdint>
#include <vector>

#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** First maximum (or last NaN) and average of one window. */
struct Extremes {
  double maximum;
  double average;
  std::int64_t position = -1;
  std::int64_t taps = 0;
};

template <typename T>
Extremes extremes(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                  std::int64_t w) {
  Extremes result{lowest<T>(), 0};
  double sum = 0;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
    const double value = x[i];
    sum += value;
    ++result.taps;
    if (result.position < 0 || value > result.maximum || value != value) {
      result.maximum = value;
      result.position = i;
    }
  });
  result.average = sum / static_cast<double>(result.taps);
  return result;
}

/** The output planes of input plane `index`: the one of a sum, or those of average and maximum. */
template <typename T>
struct Outputs {
  Plane<T> average;
  Plane<T> maximum;

  Outputs(const Pooling& p, T* data, std::int64_t index) {
    const std::int64_t size = p.geometry.output_plane();
    const std::int64_t channels = p.geometry.channels;
    if (p.mix.alpha != nullptr) {
      average = maximum = plane_of(data, p, size, index);
      return;
    }
    Pooling doubled = p;
    doubled.geometry.channels = 2 * channels;
    const std::int64_t first = index / channels * 2 * channels + index % channels;
    average = plane_of(data, doubled, size, first);
    maximum = plane_of(data, doubled, size, first + channels);
  }
};

template <typename T>
void mixed_forward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const Outputs<T> y(p, static_cast<T*>(p.output), index);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const Extremes window = extremes<T>(g, x, d, h, w);
    if (p.mix.alpha == nullptr) {
      y.average[output] = static_cast<T>(window.average);
      y.maximum[output] = static_cast<T>(window.maximum);
    } else {
      y.average[output] =
          static_cast<T>(Mix::join(p.mix.of(index % g.channels), window.maximum, window.average));
    }
  });
}

template <typename T>
void mixed_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const Outputs<const T> dy(p, static_cast<const T*>(p.input), index);
  const auto x = plane_of(static_cast<const T*>(p.x), p, g.input_plane(), index);
  const auto dx = plane_of(static_cast<T*>(p.output), p, g.input_plane(), index);
  const bool sum = p.mix.alpha != nullptr;
  const double alpha = sum ? p.mix.of(index % g.channels) : 1;
  const double rest = sum ? 1 - alpha : 1;
  std::vector<double> sums(static_cast<std::size_t>(g.input_plane()));
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const Extremes window = extremes<T>(g, x, d, h, w);
    if (window.position < 0) return;
    sums[static_cast<std::size_t>(window.position)] += alpha * dy.maximum[output];
    const double share = rest * dy.average[output] / static_cast<double>(window.taps);
    for_each_tap(g, d, h, w,
                 [&](std::int64_t i, std::int64_t) { sums[static_cast<std::size_t>(i)] += share; });
  });
  for (std::int64_t i = 0; i < g.input_plane(); ++i) {
    dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
  }
}

template <typename T>
void mixed_weights(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  const auto x = plane_of(static_cast<const T*>(p.x), p, g.input_plane(), index);
  double sum = 0;
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const Extremes window = extremes<T>(g, x, d, h, w);
    if (window.position >= 0) sum += dy[output] * (window.maximum - window.average);
  });
  static_cast<double*>(p.output)[index] = sum;
}

}  // namespace

void mixed_forward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) mixed_forward<T>(p, plane);
  });
}

void mixed_backward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      mixed_backward<T>(p, plane);
    }
  });
}

void mixed_weights(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) mixed_weights<T>(p, plane);
  });
}

}  // namespace featurepool::reference
