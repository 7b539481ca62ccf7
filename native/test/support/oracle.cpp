#include "support/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace featurepool::testing {
namespace {

/** Memory index of element `position` of plane (n, c) of `size` elements. */
std::size_t at(const Pooling& p, std::int64_t n, std::int64_t c, std::int64_t position,
               std::int64_t size) {
  const std::int64_t channels = p.geometry.channels;
  return static_cast<std::size_t>(p.layout == Layout::planar
                                      ? (n * channels + c) * size + position
                                      : (n * size + position) * channels + c);
}

struct Tap {
  std::int64_t input;    ///< memory index of the element
  std::int64_t output;   ///< memory index of the output
  std::int64_t plane;    ///< position within the plane
  std::int64_t ordinal;  ///< position within the window
};

/** How many taps of a window that starts at `start` lie before the end of the end padding. */
std::int64_t padded_taps(const Axis& axis, std::int64_t start) {
  std::int64_t taps = 0;
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    taps += start + t * axis.dilation < axis.input + axis.pad_end ? 1 : 0;
  }
  return taps;
}

/** Calls begin(output index, padded taps), then tap(Tap) for each valid tap, for every window. */
template <typename Begin, typename Visit>
void for_each_window(const Pooling& p, Begin begin, Visit visit) {
  const Axis& d = p.geometry.axes[0];
  const Axis& h = p.geometry.axes[1];
  const Axis& w = p.geometry.axes[2];
  const std::int64_t inputs = d.input * h.input * w.input;
  const std::int64_t outputs = d.output * h.output * w.output;
  for (std::int64_t n = 0; n < p.geometry.batch; ++n) {
    for (std::int64_t c = 0; c < p.geometry.channels; ++c) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        const std::int64_t z0 = o / (h.output * w.output) * d.stride - d.pad_begin;
        const std::int64_t y0 = o / w.output % h.output * h.stride - h.pad_begin;
        const std::int64_t x0 = o % w.output * w.stride - w.pad_begin;
        const auto output = static_cast<std::int64_t>(at(p, n, c, o, outputs));
        begin(output, padded_taps(d, z0) * padded_taps(h, y0) * padded_taps(w, x0));
        std::int64_t ordinal = -1;
        for (std::int64_t i = 0; i < d.kernel; ++i) {
          for (std::int64_t j = 0; j < h.kernel; ++j) {
            for (std::int64_t k = 0; k < w.kernel; ++k) {
              ++ordinal;
              const std::int64_t z = z0 + i * d.dilation;
              const std::int64_t y = y0 + j * h.dilation;
              const std::int64_t x = x0 + k * w.dilation;
              if (z < 0 || y < 0 || x < 0) continue;
              if (z >= d.input || y >= h.input || x >= w.input) continue;
              const std::int64_t plane = (z * h.input + y) * w.input + x;
              visit(Tap{static_cast<std::int64_t>(at(p, n, c, plane, inputs)), output, plane,
                        ordinal});
            }
          }
        }
      }
    }
  }
}

/** Divisors of all windows, in memory order. */
std::vector<std::int64_t> divisors(const Pooling& p) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(p.geometry.output_size()));
  for_each_window(
      p,
      [&](std::int64_t output, std::int64_t padded) {
        result[output] = p.divisor.override_by > 0   ? p.divisor.override_by
                         : p.divisor.include_padding ? padded
                                                     : 0;
      },
      [&](const Tap& tap) {
        if (p.divisor.override_by == 0 && !p.divisor.include_padding) ++result[tap.output];
      });
  return result;
}

}  // namespace

template <typename T>
Maxima<T> max_forward(const Pooling& p) {
  using Limits = std::numeric_limits<T>;
  const auto outputs = static_cast<std::size_t>(p.geometry.output_size());
  const auto* const x = static_cast<const T*>(p.input);
  Maxima<T> result{
      std::vector<T>(outputs, Limits::has_infinity ? -Limits::infinity() : Limits::lowest()),
      std::vector<std::int64_t>(outputs, -1), std::vector<std::int64_t>(outputs, -1)};
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) {
        const T value = x[tap.input];
        const bool first = result.plane_positions[tap.output] < 0;
        if (!first && !(value > result.values[tap.output]) && value == value) return;
        result.values[tap.output] = value;
        result.plane_positions[tap.output] = tap.plane;
        result.window_positions[tap.output] = tap.ordinal;
      });
  return result;
}

template Maxima<float> max_forward<float>(const Pooling& pooling);
template Maxima<std::uint8_t> max_forward<std::uint8_t>(const Pooling& pooling);

std::vector<float> route_backward(const Pooling& p,
                                  const std::vector<std::int64_t>& plane_positions) {
  const Geometry& g = p.geometry;
  const auto* const dy = static_cast<const float*>(p.input);
  std::vector<float> dx(static_cast<std::size_t>(g.input_size()), 0.0f);
  for (std::int64_t n = 0; n < g.batch; ++n) {
    for (std::int64_t c = 0; c < g.channels; ++c) {
      for (std::int64_t o = 0; o < g.output_plane(); ++o) {
        const std::size_t output = at(p, n, c, o, g.output_plane());
        const std::int64_t position = plane_positions[output];
        if (position >= 0) dx[at(p, n, c, position, g.input_plane())] += dy[output];
      }
    }
  }
  return dx;
}

Sums avg_forward(const Pooling& p) {
  const auto outputs = static_cast<std::size_t>(p.geometry.output_size());
  const auto* const x = static_cast<const float*>(p.input);
  Sums sums{std::vector<double>(outputs), std::vector<double>(outputs),
            std::vector<std::int64_t>(outputs)};
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) {
        sums.values[tap.output] += x[tap.input];
        sums.magnitudes[tap.output] += std::fabs(x[tap.input]);
        ++sums.terms[tap.output];
      });
  const std::vector<std::int64_t> divisor = divisors(p);
  for (std::size_t i = 0; i < outputs; ++i) {
    sums.values[i] /= static_cast<double>(divisor[i]);
    sums.magnitudes[i] /= static_cast<double>(divisor[i]);
  }
  return sums;
}

Sums avg_backward(const Pooling& p) {
  const auto inputs = static_cast<std::size_t>(p.geometry.input_size());
  const auto* const dy = static_cast<const float*>(p.input);
  Sums sums{std::vector<double>(inputs), std::vector<double>(inputs),
            std::vector<std::int64_t>(inputs)};
  const std::vector<std::int64_t> divisor = divisors(p);
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) {
        const double share = dy[tap.output] / static_cast<double>(divisor[tap.output]);
        sums.values[tap.input] += share;
        sums.magnitudes[tap.input] += std::fabs(share);
        ++sums.terms[tap.input];
      });
  return sums;
}

std::vector<std::uint8_t> avg_forward_bytes(const Pooling& p) {
  const auto outputs = static_cast<std::size_t>(p.geometry.output_size());
  const auto* const x = static_cast<const std::uint8_t*>(p.input);
  std::vector<std::int64_t> sums(outputs);
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) { sums[tap.output] += x[tap.input]; });
  const std::vector<std::int64_t> divisor = divisors(p);
  std::vector<std::uint8_t> result(outputs);
  for (std::size_t i = 0; i < outputs; ++i) {
    if (divisor[i] == 0) continue;
    const std::int64_t below = sums[i] / divisor[i];
    // In halves of the divisor; 128 bits, for an override may be as large as int64.
    const __int128 twice_rest = __int128{2} * (sums[i] % divisor[i]);
    const bool up = twice_rest > divisor[i] || (twice_rest == divisor[i] && below % 2 == 1);
    result[i] = static_cast<std::uint8_t>(std::min<std::int64_t>(255, below + (up ? 1 : 0)));
  }
  return result;
}

}  // namespace featurepool::testing
