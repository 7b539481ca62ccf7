#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "geometry/philox.hpp"
#include "reference/planes.hpp"
#include "reference/selection.hpp"

/** Stochastic pooling of single windows: the order of additions that all kernels keep. */
namespace featurepool::reference {

/** The activations of a window, added up in row-major order. */
struct WindowSums {
  double sum = 0;
  double expected = 0;  ///< the sum of p * a
};

/**
 * What the activations of a window of f64 are multiplied by before they are squared: the power of
 * two that brings their sum near 1, so that no square overflows. The squares of f32 need none.
 */
template <typename T>
double square_scale(double sum) {
  if (sizeof(T) < sizeof(double)) return 1;
  const std::int64_t exponent = std::bit_cast<std::int64_t>(sum) >> 52;
  return std::bit_cast<double>(std::clamp<std::int64_t>(2046 - exponent, 1, 2046) << 52);
}

template <typename T>
WindowSums window_sums(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                       std::int64_t w) {
  double sum = 0;
  double squares = 0;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
    const double a = x[i];
    sum += a;
    if (sizeof(T) < sizeof(double)) squares += a * a;
  });
  if (!(sum > 0)) return {};
  const double scale = square_scale<T>(sum);
  if (sizeof(T) == sizeof(double)) {
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
      const double a = x[i] * scale;
      squares += a * a;
    });
  }
  return {sum, squares / (sum * scale) / scale};
}

/** The number that the running sum of the drawn tap is the first to exceed. */
inline double threshold(double sum, std::uint64_t seed, std::int64_t output) {
  const double u = unit_interval(philox(seed, static_cast<std::uint64_t>(output), 0)[0]);
  const double finite = std::min(sum, std::numeric_limits<double>::max());
  // Less than the sum even where rounding, of subnormals, would say otherwise.
  return std::min(u * finite, std::bit_cast<double>(std::bit_cast<std::int64_t>(sum) - 1));
}

/** Draws a tap with probability a / sum; `output` is the logical position of the window. */
template <typename T>
Selected<T> draw(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                 std::int64_t w, std::uint64_t seed, std::int64_t output) {
  double sum = 0;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sum += x[i]; });
  if (!(sum > 0)) {
    Selected<T> first = first_tap(g, x, d, h, w, [](T) { return true; });
    first.value = 0;
    return first;
  }
  const double limit = threshold(sum, seed, output);
  double running = 0;
  return first_tap(g, x, d, h, w, [&](T a) { return (running += a) > limit; });
}

}  // namespace featurepool::reference
