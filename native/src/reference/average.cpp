// Average pooling and its gradient.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "reference/half.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

/** Divisor of the window at output position (d, h, w). */
std::int64_t divisor_of(const Geometry& g, const Divisor& divisor, std::int64_t d, std::int64_t h,
                        std::int64_t w) {
  if (divisor.override_by > 0) return divisor.override_by;
  if (divisor.include_padding) {
    return g.d().padded_taps(d) * g.h().padded_taps(h) * g.w().padded_taps(w);
  }
  return g.d().taps(d).size() * g.h().taps(h).size() * g.w().taps(w).size();
}

/** Quotient of integers rounded half to even and saturated to T. */
template <typename T>
T rounded_quotient(std::int64_t sum, std::int64_t divisor) {
  if (divisor == 0) return 0;
  const std::int64_t below = sum / divisor - (sum % divisor < 0 ? 1 : 0);
  const std::int64_t rest = sum - below * divisor;
  const bool up = rest > divisor - rest || (rest == divisor - rest && below % 2 != 0);
  return static_cast<T>(std::clamp<std::int64_t>(
      below + (up ? 1 : 0), std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max()));
}

/** What sums of elements of type T are taken in: exact, or wider than T. */
template <typename T>
using Sum = std::conditional_t<std::is_integral_v<T>, std::int64_t,
                               std::conditional_t<std::is_same_v<T, double>, long double, double>>;

/** An f64 or f32 of the value of any element; conversions of the half types go through f32. */
template <typename T>
auto number(T value) {
  if constexpr (Half<T>) {
    return static_cast<float>(value);
  } else {
    return value;
  }
}

template <typename T>
T rounded(Sum<T> value) {
  if constexpr (Half<T>) {
    return static_cast<T>(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <typename T>
void avg_forward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    Sum<T> sum = 0;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sum += number(x[i]); });
    const std::int64_t divisor = divisor_of(g, p.divisor, d, h, w);
    if constexpr (std::is_integral_v<T>) {
      y[output] = rounded_quotient<T>(sum, divisor);
    } else {
      y[output] = rounded<T>(sum / static_cast<Sum<T>>(divisor));
    }
  });
}

template <typename T>
void avg_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<T*>(p.output), p, g.input_plane(), index);
  std::int64_t input = 0;
  for (std::int64_t z = 0; z < g.d().input; ++z) {
    for (std::int64_t row = 0; row < g.h().input; ++row) {
      for (std::int64_t column = 0; column < g.w().input; ++column) {
        Sum<T> sum = 0;
        for_each_covering(g.d(), z, [&](std::int64_t d) {
          for_each_covering(g.h(), row, [&](std::int64_t h) {
            for_each_covering(g.w(), column, [&](std::int64_t w) {
              const std::int64_t output = (d * g.h().output + h) * g.w().output + w;
              sum += number(dy[output]) / static_cast<Sum<T>>(divisor_of(g, p.divisor, d, h, w));
            });
          });
        });
        dx[input++] = rounded<T>(sum);
      }
    }
  }
}

}  // namespace

void avg_forward(const Pooling& p, Span planes) {
  with_dtype<float, double, Eigen::half, Eigen::bfloat16, std::int8_t, std::uint8_t>(
      p.dtype, [&]<typename T>() {
        for (std::int64_t plane = planes.begin; plane < planes.end; ++plane)
          avg_forward<T>(p, plane);
      });
}

void avg_backward(const Pooling& p, Span planes) {
  with_dtype<float, double, Eigen::half, Eigen::bfloat16>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) avg_backward<T>(p, plane);
  });
}

}  // namespace featurepool::reference
