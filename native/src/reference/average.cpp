// Average pooling and its gradient.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

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
  std::int64_t quotient = sum / divisor;
  const std::int64_t rest = sum % divisor;
  if (rest > divisor - rest || (rest == divisor - rest && quotient % 2 != 0)) quotient += 1;
  return static_cast<T>(std::min<std::int64_t>(quotient, std::numeric_limits<T>::max()));
}

template <typename T>
void avg_forward(const Pooling& p, std::int64_t index) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    Sum sum = 0;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sum += x[i]; });
    const std::int64_t divisor = divisor_of(g, p.divisor, d, h, w);
    if constexpr (std::is_integral_v<T>) {
      y[output] = rounded_quotient<T>(sum, divisor);
    } else {
      y[output] = static_cast<T>(sum / static_cast<double>(divisor));
    }
  });
}

void avg_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const float*>(p.input), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<float*>(p.output), p, g.input_plane(), index);
  std::int64_t input = 0;
  for (std::int64_t z = 0; z < g.d().input; ++z) {
    for (std::int64_t row = 0; row < g.h().input; ++row) {
      for (std::int64_t column = 0; column < g.w().input; ++column) {
        double sum = 0;
        for_each_covering(g.d(), z, [&](std::int64_t d) {
          for_each_covering(g.h(), row, [&](std::int64_t h) {
            for_each_covering(g.w(), column, [&](std::int64_t w) {
              const std::int64_t output = (d * g.h().output + h) * g.w().output + w;
              sum += dy[output] / static_cast<double>(divisor_of(g, p.divisor, d, h, w));
            });
          });
        });
        dx[input++] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace

void avg_forward(const Pooling& p, Span planes) {
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
    p.dtype == FPOOL_U8 ? avg_forward<std::uint8_t>(p, plane) : avg_forward<float>(p, plane);
  }
}

void avg_backward(const Pooling& p, Span planes) {
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) avg_backward(p, plane);
}

}  // namespace featurepool::reference
