#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "reference/planes.hpp"

/** Power sums of one window, in f64 and scaled by its largest base: nothing overflows on the way.
 */
namespace featurepool::reference {

/** What is raised to the power p; NaN stays NaN. */
inline double power_base(const Power& power, double x) {
  if (power.magnitude) return std::fabs(x);
  return x < power.floor ? power.floor : x;
}

/** Derivative of power_base(); of |x| at 0 and of max(x, floor) up to the floor it is 0. */
inline double power_slope(const Power& power, double x) {
  if (power.magnitude) return x > 0 ? 1 : x < 0 ? -1 : x;
  return x <= power.floor ? 0 : x > power.floor ? 1 : x;
}

inline double exponent_of(const Power& power, std::int64_t channel) {
  return power.p[power.count == 1 ? 0 : channel];
}

/** Power sum of a window: `largest`^p * `sum` over `taps` taps; logarithms weighted by its terms.
 */
struct PowerSum {
  double largest = 0;
  double sum = 0;
  double logs = 0;  ///< sum of (base / largest)^p * ln(base)
  std::int64_t taps = 0;

  /** The norm of the window, or its mean. */
  double root(const Power& power, double p) const {
    if (taps == 0) {
      return power.magnitude ? 0 : std::numeric_limits<double>::quiet_NaN();
    }
    if (largest == 0 || std::isnan(largest) || std::isinf(largest)) return largest;
    return largest * std::pow(power.magnitude ? sum : sum / static_cast<double>(taps), 1 / p);
  }
};

template <typename T>
PowerSum power_sum(const Pooling& pooling, const Plane<T>& x, double p, std::int64_t d,
                   std::int64_t h, std::int64_t w) {
  PowerSum result;
  for_each_tap(pooling.geometry, d, h, w, [&](std::int64_t i, std::int64_t) {
    const double base = power_base(pooling.power, x[i]);
    if (!(base <= result.largest)) result.largest = base;
    if (std::isnan(base)) result.taps = std::numeric_limits<std::int64_t>::min();
    ++result.taps;
  });
  if (result.taps < 0) {
    result.largest = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  if (std::isinf(p)) {
    result.sum = 1;
    return result;
  }
  for_each_tap(pooling.geometry, d, h, w, [&](std::int64_t i, std::int64_t) {
    const double base = power_base(pooling.power, x[i]);
    const double term = base == result.largest ? 1 : std::pow(base / result.largest, p);
    result.sum += term;
    if (!pooling.power.magnitude) result.logs += term * std::log(base);
  });
  return result;
}

/** d root / dp of a mean. */
inline double exponent_slope(const PowerSum& sum, double root, double p) {
  if (sum.taps == 0) return 0;
  return root / p * (sum.logs / sum.sum - std::log(root));
}

/** dx, in f64, of one plane of a power sum, tap by tap; `dx` is zero at first. */
template <typename T, class Add>
void spread_power(const Pooling& pooling, const Plane<const T>& x, const Plane<const T>& y,
                  const Plane<const T>& dy, double p, const Add& add) {
  const Power& power = pooling.power;
  const Geometry& g = pooling.geometry;
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const double root = y[output];
    // Nothing comes of nothing, not even from NaN.
    if (root == 0 || (dy[output] == 0 && root == root)) return;
    if (std::isinf(p)) {
      std::int64_t position = -1;
      double largest = -1;
      for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
        const double base = power_base(power, x[i]);
        if (base > largest || std::isnan(base)) {
          largest = base;
          position = i;
        }
      });
      if (position >= 0) add(position, dy[output] * power_slope(power, x[position]));
      return;
    }
    const std::int64_t taps =
        power.magnitude ? 1 : g.d().taps(d).size() * g.h().taps(h).size() * g.w().taps(w).size();
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
      const double slope = power_slope(power, x[i]);
      if (slope == 0) return;
      add(i, dy[output] * slope * std::pow(power_base(power, x[i]) / root, p - 1) /
                 static_cast<double>(taps));
    });
  });
}

}  // namespace featurepool::reference
