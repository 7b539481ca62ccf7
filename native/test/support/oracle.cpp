#include "support/oracle.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

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

/** Position of tap 0 of the window at output `o`; of adaptive bins, by the formula. */
std::int64_t start_of(const Axis& axis, std::int64_t o) {
  return axis.bins == nullptr ? o * axis.stride - axis.pad_begin : o * axis.input / axis.output;
}

/** Taps of the window at output `o`, valid or not. */
std::int64_t taps_of(const Axis& axis, std::int64_t o) {
  if (axis.bins == nullptr) return axis.kernel;
  const std::int64_t end = ((o + 1) * axis.input + axis.output - 1) / axis.output;
  return end - start_of(axis, o);
}

/** How many taps of the window at output `o` lie before the end of the end padding. */
std::int64_t padded_taps(const Axis& axis, std::int64_t o) {
  const std::int64_t start = start_of(axis, o);
  std::int64_t taps = 0;
  for (std::int64_t t = 0; t < taps_of(axis, o); ++t) {
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
        const std::int64_t od = o / (h.output * w.output);
        const std::int64_t oh = o / w.output % h.output;
        const std::int64_t ow = o % w.output;
        const std::int64_t z0 = start_of(d, od);
        const std::int64_t y0 = start_of(h, oh);
        const std::int64_t x0 = start_of(w, ow);
        const auto output = static_cast<std::int64_t>(at(p, n, c, o, outputs));
        begin(output, padded_taps(d, od) * padded_taps(h, oh) * padded_taps(w, ow));
        for (std::int64_t i = 0; i < taps_of(d, od); ++i) {
          for (std::int64_t j = 0; j < taps_of(h, oh); ++j) {
            for (std::int64_t k = 0; k < taps_of(w, ow); ++k) {
              const std::int64_t ordinal = (i * h.kernel + j) * w.kernel + k;
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

/** A number that an element stands for, exact in f64. */
template <typename T>
double number(T value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(value);
  } else {
    return static_cast<double>(static_cast<float>(value));
  }
}

template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, long double, double>;

/** Sums of `terms`, as Wide<T> adds them. */
template <typename T>
struct Accumulator {
  explicit Accumulator(std::int64_t size)
      : values(static_cast<std::size_t>(size)),
        magnitudes(static_cast<std::size_t>(size)),
        terms(static_cast<std::size_t>(size)) {}

  void add(std::int64_t at, Wide<T> value) {
    const auto i = static_cast<std::size_t>(at);
    values[i] += value;
    magnitudes[i] += std::fabs(value);
    ++terms[i];
  }

  Sums sums() const {
    return {{values.begin(), values.end()}, {magnitudes.begin(), magnitudes.end()}, terms};
  }

  std::vector<Wide<T>> values;
  std::vector<Wide<T>> magnitudes;
  std::vector<std::int64_t> terms;
};

}  // namespace

template <typename T>
Selected<T> extremes(const Pooling& p, bool min) {
  using Limits = std::numeric_limits<T>;
  const auto outputs = static_cast<std::size_t>(p.geometry.output_size());
  const auto* const x = static_cast<const T*>(p.input);
  const T most = Limits::has_infinity ? Limits::infinity() : Limits::max();
  const T least = Limits::has_infinity ? static_cast<T>(-Limits::infinity()) : Limits::lowest();
  Selected<T> result{std::vector<T>(outputs, min ? most : least),
                     std::vector<std::int64_t>(outputs, -1),
                     std::vector<std::int64_t>(outputs, -1)};
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) {
        const double value = number(x[tap.input]);
        const double held = number(result.values[tap.output]);
        const bool first = result.plane_positions[tap.output] < 0;
        if (!first && !(min ? value < held : value > held) && value == value) return;
        result.values[tap.output] = x[tap.input];
        result.plane_positions[tap.output] = tap.plane;
        result.window_positions[tap.output] = tap.ordinal;
      });
  return result;
}

template <typename T>
std::vector<T> route_backward(const Pooling& p, const std::vector<std::int64_t>& plane_positions) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Geometry& g = p.geometry;
  const auto* const dy = static_cast<const T*>(p.input);
  std::vector<Sum> dx(static_cast<std::size_t>(g.input_size()), 0);
  for (std::int64_t n = 0; n < g.batch; ++n) {
    for (std::int64_t c = 0; c < g.channels; ++c) {
      for (std::int64_t o = 0; o < g.output_plane(); ++o) {
        const std::size_t output = at(p, n, c, o, g.output_plane());
        const std::int64_t position = plane_positions[output];
        if (position >= 0) {
          dx[at(p, n, c, position, g.input_plane())] += static_cast<Sum>(dy[output]);
        }
      }
    }
  }
  std::vector<T> rounded;
  for (const Sum sum : dx) rounded.push_back(static_cast<T>(sum));
  return rounded;
}

template <typename T>
Sums avg_forward(const Pooling& p) {
  const auto* const x = static_cast<const T*>(p.input);
  Accumulator<T> sums(p.geometry.output_size());
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) { sums.add(tap.output, number(x[tap.input])); });
  const std::vector<std::int64_t> divisor = divisors(p);
  for (std::size_t i = 0; i < divisor.size(); ++i) {
    sums.values[i] /= static_cast<Wide<T>>(divisor[i]);
    sums.magnitudes[i] /= static_cast<Wide<T>>(divisor[i]);
  }
  return sums.sums();
}

template <typename T>
Sums avg_backward(const Pooling& p) {
  const auto* const dy = static_cast<const T*>(p.input);
  Accumulator<T> sums(p.geometry.input_size());
  const std::vector<std::int64_t> divisor = divisors(p);
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) {
        const auto by = static_cast<Wide<T>>(divisor[tap.output]);
        sums.add(tap.input, static_cast<Wide<T>>(number(dy[tap.output])) / by);
      });
  return sums.sums();
}

template <typename T>
std::vector<T> avg_forward_bytes(const Pooling& p) {
  const auto outputs = static_cast<std::size_t>(p.geometry.output_size());
  const auto* const x = static_cast<const T*>(p.input);
  std::vector<std::int64_t> sums(outputs);
  for_each_window(
      p, [](std::int64_t, std::int64_t) {},
      [&](const Tap& tap) { sums[tap.output] += x[tap.input]; });
  const std::vector<std::int64_t> divisor = divisors(p);
  std::vector<T> result(outputs);
  for (std::size_t i = 0; i < outputs; ++i) {
    if (divisor[i] == 0) continue;
    // Of the magnitude, as rounding half to even is symmetric. In halves of the divisor; 128 bits,
    // for an override may be as large as int64.
    const std::int64_t magnitude = std::abs(sums[i]);
    const std::int64_t below = magnitude / divisor[i];
    const __int128 twice_rest = __int128{2} * (magnitude % divisor[i]);
    const bool up = twice_rest > divisor[i] || (twice_rest == divisor[i] && below % 2 == 1);
    const std::int64_t quotient = (below + (up ? 1 : 0)) * (sums[i] < 0 ? -1 : 1);
    result[i] = static_cast<T>(std::clamp<std::int64_t>(quotient, std::numeric_limits<T>::lowest(),
                                                        std::numeric_limits<T>::max()));
  }
  return result;
}

#define FEATUREPOOL_SELECTION(T) template Selected<T> extremes<T>(const Pooling&, bool);
#define FEATUREPOOL_GRADIENTS(T)                                                               \
  template std::vector<T> route_backward<T>(const Pooling&, const std::vector<std::int64_t>&); \
  template Sums avg_forward<T>(const Pooling&);                                                \
  template Sums avg_backward<T>(const Pooling&);
#define FEATUREPOOL_BYTES(T) template std::vector<T> avg_forward_bytes<T>(const Pooling&);
FEATUREPOOL_SELECTION(float)
FEATUREPOOL_SELECTION(double)
FEATUREPOOL_SELECTION(Eigen::half)
FEATUREPOOL_SELECTION(Eigen::bfloat16)
FEATUREPOOL_SELECTION(std::int8_t)
FEATUREPOOL_SELECTION(std::uint8_t)
FEATUREPOOL_SELECTION(std::int32_t)
FEATUREPOOL_GRADIENTS(float)
FEATUREPOOL_GRADIENTS(double)
FEATUREPOOL_GRADIENTS(Eigen::half)
FEATUREPOOL_GRADIENTS(Eigen::bfloat16)
FEATUREPOOL_BYTES(std::int8_t)
FEATUREPOOL_BYTES(std::uint8_t)

}  // namespace featurepool::testing
