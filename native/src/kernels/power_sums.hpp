#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "dispatch/kernel.hpp"
#include "reference/power.hpp"

/** Power sums that are no sums of f64 any more, and the kernel that loads and raises in one. */
namespace featurepool {

// Sums of f64 between these have lost nothing to the ends of its range.
constexpr double kLeastPowerSum = 1e-280;
constexpr double kGreatestPowerSum = 1e290;

inline double greatest_exponent(const Power& power) {
  return *std::max_element(power.p, power.p + power.count);
}

/** Whether sums can lie outside those ends though their elements are finite. */
template <typename T>
bool can_leave_range(const Power& power) {
  // The magnitudes of f32 are 2^-149 to 2^128.
  constexpr double kMostExponent = 6;
  return std::is_same_v<T, double> || greatest_exponent(power) > kMostExponent ||
         (!power.magnitude && power.floor < 1e-38);
}

/**
 * Computes the roots of `n` planes from `plane` on (channels of an interleaved image) at the output
 * (d, h, w) on their own; for those whose sums are not between the ends above.
 */
template <typename T>
void redo_roots(const Pooling& p, std::int64_t plane, std::int64_t n, std::int64_t d,
                std::int64_t h, std::int64_t w, T* y) {
  const Geometry& g = p.geometry;
  for (std::int64_t i = 0; i < n; ++i) {
    const double exponent = reference::exponent_of(p.power, (plane + i) % g.channels);
    const auto x =
        reference::plane_of(static_cast<const T*>(p.input), p, g.input_plane(), plane + i);
    y[i] = static_cast<T>(reference::power_sum(p, x, exponent, d, h, w).root(p.power, exponent));
  }
}

/** Interleaved windows whose power is 1, 2 or 3. */
Kernel raised_taps_kernel();

}  // namespace featurepool
