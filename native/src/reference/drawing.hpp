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
 * What a tap `a` adds to the numerator of the expectation. The squares of f32 fit into f64; those
 * of f64 may not, so they are divided first.
 */
template <typename T>
double expectation_term(double a, double sum) {
  return sizeof(T) < sizeof(double) ? a * a : a * (a / sum);
}

template <typename T>
WindowSums window_sums(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                       std::int64_t w) {
  WindowSums sums;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sums.sum += x[i]; });
  if (!(sums.sum > 0)) return sums;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
    sums.expected += expectation_term<T>(x[i], sums.sum);
  });
  if (sizeof(T) < sizeof(double)) sums.expected /= sums.sum;
  return sums;
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
  Selected<T> selected{T{0}};
  double sum = 0;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
    if (selected.position < 0) selected = {T{0}, i, tap};
    sum += x[i];
  });
  if (!(sum > 0)) return selected;
  const double limit = threshold(sum, seed, output);
  double running = 0;
  bool drawn = false;
  for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
    running += x[i];
    if (drawn || !(running > limit)) return;
    drawn = true;
    selected = {x[i], i, tap};
  });
  return selected;
}

}  // namespace featurepool::reference
