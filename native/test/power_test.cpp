// Norms, generalised means and mixed poolings, by every kernel, tier and number of threads, against
// an oracle that knows nothing but the windows' formulas.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "geometry/error.hpp"
#include "support/guarded_memory.hpp"
#include "support/pooling_case.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class Kind { norm, mean, add, cat };

const char* name_of(Kind kind) {
  static constexpr const char* names[] = {"norm", "mean", "add", "cat"};
  return names[static_cast<int>(kind)];
}

/** What a tensor is filled with. */
enum class Fill { uniform, ties, specials, tiny, huge, zeros };

struct Case {
  fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 1, 1, 1}, 0};
  fpool_window window{{1, 1, 1}, {1, 1, 1}, {0}, {0}, {1, 1, 1}, 2, FPOOL_PAD_EXPLICIT, 0, 0};
  Kind kind = Kind::norm;
  std::vector<double> parameters{2};  ///< p or alpha
  double epsilon = 1e-6;
  Fill fill = Fill::uniform;
  Edge edge = Edge::end;
  std::uint64_t seed = 1;

  std::string describe() const {
    static constexpr const char* fills[] = {"uniform", "ties", "specials", "tiny", "huge", "zeros"};
    std::ostringstream text;
    const auto list = [&](const char* name, const std::int64_t* values, int count) {
      text << ' ' << name << ' ';
      for (int i = 0; i < count; ++i) text << (i == 0 ? "" : "x") << values[i];
    };
    const int rank = x.spatial_rank;
    text << name_of(kind) << ' ' << dtype_name(x.dtype)
         << (x.layout == FPOOL_PLANAR ? " planar" : " interleaved");
    list("extents", x.extents, 2 + rank);
    list(window.adaptive != 0 ? "bins" : "kernel", window.kernel, rank);
    list("stride", window.stride, rank);
    list("dilation", window.dilation, rank);
    list("pad", window.pad_begin, rank);
    list("to", window.pad_end, rank);
    text << (window.ceil_mode != 0 ? " ceil" : "") << " padding " << window.padding;
    text << " parameters";
    for (const double value : parameters) text << ' ' << value;
    text << " epsilon " << epsilon << " fill " << fills[static_cast<int>(fill)] << " seed " << seed;
    return text.str();
  }

  Pooling pooling(Operation operation) const {
    Pooling p;
    p.operation = operation;
    p.geometry = make_geometry(x, window);
    p.layout = static_cast<Layout>(x.layout);
    p.dtype = x.dtype;
    const auto count = static_cast<std::int64_t>(parameters.size());
    if (kind == Kind::norm || kind == Kind::mean) {
      p.power = {parameters.data(), count, kind == Kind::norm ? 0 : epsilon, kind == Kind::norm};
    } else if (kind == Kind::add) {
      p.mix = {parameters.data(), count};
    }
    return p;
  }

  bool valid() const {
    try {
      make_geometry(x, window);
      return true;
    } catch (const Error&) {
      return false;
    }
  }
};

/** The taps of every window of a plane, from the formulas. */
std::vector<std::vector<std::int64_t>> windows_of(const Case& c, const Geometry& g) {
  const auto taps = [&](int axis, std::int64_t o) {
    const Axis& a = g.axes[static_cast<std::size_t>(axis)];
    std::vector<std::int64_t> result;
    if (c.window.adaptive != 0) {
      for (std::int64_t i = o * a.input / a.output; i < ((o + 1) * a.input - 1) / a.output + 1;
           ++i) {
        result.push_back(i);
      }
      return result;
    }
    for (std::int64_t t = 0; t < a.kernel; ++t) {
      const std::int64_t at = o * a.stride - a.pad_begin + t * a.dilation;
      if (at >= 0 && at < a.input) result.push_back(at);
    }
    return result;
  };
  std::vector<std::vector<std::int64_t>> windows;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      for (std::int64_t w = 0; w < g.w().output; ++w) {
        std::vector<std::int64_t>& window = windows.emplace_back();
        for (const std::int64_t z : taps(0, d)) {
          for (const std::int64_t y : taps(1, h)) {
            for (const std::int64_t x : taps(2, w)) {
              window.push_back((z * g.h().input + y) * g.w().input + x);
            }
          }
        }
      }
    }
  }
  return windows;
}

/** Memory index of a position of plane (n, c). */
std::size_t at(Layout layout, std::int64_t channels, std::int64_t size, std::int64_t n,
               std::int64_t c, std::int64_t position) {
  return static_cast<std::size_t>(layout == Layout::planar ? (n * channels + c) * size + position
                                                           : (n * size + position) * channels + c);
}

/** Values, and by how much a rounded one may be off: `bound` times 2^-53 or 2^-24. */
struct Expected {
  std::vector<double> values;
  std::vector<double> bounds;

  explicit Expected(std::int64_t size)
      : values(static_cast<std::size_t>(size)), bounds(static_cast<std::size_t>(size)) {}
  void add(std::size_t i, double value) {
    values[i] += value;
    bounds[i] += std::fabs(value);
  }
};

template <typename T>
class Run {
 public:
  explicit Run(const Case& c)
      : case_(c),
        g_(make_geometry(c.x, c.window)),
        layout_(static_cast<Layout>(c.x.layout)),
        windows_(windows_of(c, g_)),
        outputs_(g_.output_size() * (c.kind == Kind::cat ? 2 : 1)) {
    Random random(c.seed);
    x_ = place(buffers().x, g_.input_size());
    for (std::int64_t i = 0; i < g_.input_size(); ++i) x_[i] = value(random);
    dy_ = place(buffers().dy, outputs_);
    for (std::int64_t i = 0; i < outputs_; ++i) dy_[i] = static_cast<T>(random.fraction() + 0.25);
    y_ = place(buffers().y, outputs_);
  }

  /** Runs everything; returns what is wrong first. */
  std::string check(const std::vector<int>& threads) {
    const bool power = case_.kind == Kind::norm || case_.kind == Kind::mean;
    const Expected y = power ? root() : mixture();
    std::string problem =
        each_way(power ? Operation::power_forward : Operation::mixed_forward, threads, y, outputs_);
    if (!problem.empty()) return problem;
    // The gradient is that at the rounded result.
    for (std::size_t i = 0; i < y.values.size(); ++i) y_[i] = static_cast<T>(y.values[i]);
    problem = each_way(power ? Operation::power_backward : Operation::mixed_backward, threads,
                       power ? power_gradient() : mixed_gradient(), g_.input_size());
    if (!problem.empty()) return problem;
    if (case_.kind == Kind::mean || case_.kind == Kind::add) {
      problem = each_way(power ? Operation::power_exponents : Operation::mixed_weights, threads,
                         power ? exponent_gradient() : alpha_gradient(), g_.planes());
    }
    return problem;
  }

 private:
  struct Buffers {
    GuardedMemory x{std::size_t{1} << 25};
    GuardedMemory dy{std::size_t{1} << 25};
    GuardedMemory y{std::size_t{1} << 25};
    GuardedMemory out{std::size_t{1} << 25};
  };
  static Buffers& buffers() {
    static Buffers instance;
    return instance;
  }

  T* place(GuardedMemory& memory, std::int64_t size) const {
    return static_cast<T*>(memory.place(static_cast<std::size_t>(size) * sizeof(T), case_.edge));
  }

  T value(Random& random) const {
    const double uniform = random.fraction() * 4.0 - 1.5;
    constexpr bool kSingle = std::is_same_v<T, float>;
    switch (case_.fill) {
      case Fill::ties:
        return static_cast<T>(random.between(-2, 2));
      case Fill::tiny:
        return static_cast<T>(uniform * (kSingle ? 1e-40 : 1e-290));
      case Fill::huge:
        return static_cast<T>(uniform * (kSingle ? 1e36 : 1e290));
      case Fill::zeros:
        return static_cast<T>(random.one_in(10) ? uniform : 0);
      case Fill::specials:
        switch (random.between(0, 40)) {
          case 0:
            return std::numeric_limits<T>::quiet_NaN();
          case 1:
            return std::numeric_limits<T>::infinity();
          case 2:
            return -std::numeric_limits<T>::infinity();
          case 3:
            return T(-0.0);
          default:
            return static_cast<T>(uniform);
        }
      case Fill::uniform:
        break;
    }
    return static_cast<T>(uniform);
  }

  /** Calls visit(n, c, window, memory index of the output). */
  template <class Visit>
  void for_each_window(const Visit& visit) const {
    for (std::int64_t n = 0; n < g_.batch; ++n) {
      for (std::int64_t c = 0; c < g_.channels; ++c) {
        for (std::size_t o = 0; o < windows_.size(); ++o) {
          visit(n, c, windows_[o], output(n, c, o));
        }
      }
    }
  }
  std::size_t output(std::int64_t n, std::int64_t c, std::size_t o) const {
    return at(layout_, g_.channels, g_.output_plane(), n, c, static_cast<std::int64_t>(o));
  }
  /** In joined channels, those of averages or of maxima. */
  std::size_t joined(std::int64_t n, std::int64_t c, std::size_t o, bool maximum) const {
    return at(layout_, 2 * g_.channels, g_.output_plane(), n, c + (maximum ? g_.channels : 0),
              static_cast<std::int64_t>(o));
  }
  std::size_t input(std::int64_t n, std::int64_t c, std::int64_t position) const {
    return at(layout_, g_.channels, g_.input_plane(), n, c, position);
  }
  double parameter(std::int64_t c) const {
    return case_.parameters[case_.parameters.size() == 1 ? 0 : static_cast<std::size_t>(c)];
  }

  double base(double x) const {
    if (case_.kind == Kind::norm) return std::fabs(x);
    return std::isnan(x) ? x : std::max(x, case_.epsilon);
  }

  /** Sums, in long double, of elements divided by their largest. */
  struct PowerSum {
    long double sum = 0;
    long double logs = 0;
    long double largest = 0;
    bool nan = false;
  };
  PowerSum power_sum(std::int64_t n, std::int64_t c,
                     const std::vector<std::int64_t>& window) const {
    PowerSum result;
    for (const std::int64_t i : window) {
      const long double b = base(x_[input(n, c, i)]);
      if (std::isnan(b)) result.nan = true;
      result.largest = std::max(result.largest, b);
    }
    for (const std::int64_t i : window) {
      const long double b = base(x_[input(n, c, i)]);
      const long double ratio = b == result.largest ? 1 : b / result.largest;
      const long double term = std::pow(ratio, static_cast<long double>(parameter(c)));
      result.sum += term;
      if (case_.kind == Kind::mean) result.logs += term * std::log(b);
    }
    if (case_.kind == Kind::mean) {
      result.sum /= static_cast<long double>(window.size());
      result.logs /= static_cast<long double>(window.size());
    }
    return result;
  }
  double root_of(const PowerSum& powers, std::int64_t c) const {
    if (powers.nan) return std::numeric_limits<double>::quiet_NaN();
    if (std::isnan(powers.sum)) return std::numeric_limits<double>::quiet_NaN();
    if (std::isinf(parameter(c)) || powers.largest == 0) return static_cast<double>(powers.largest);
    return static_cast<double>(powers.largest *
                               std::pow(powers.sum, 1 / static_cast<long double>(parameter(c))));
  }

  Expected root() const {
    Expected y(outputs_);
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      y.values[o] = root_of(power_sum(n, c, window), c);
      y.bounds[o] = std::fabs(y.values[o]);
    });
    return y;
  }

  Expected power_gradient() const {
    Expected dx(g_.input_size());
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      const double y = y_[o];
      if (y == 0) return;
      const double p = parameter(c);
      if (std::isinf(p)) {
        std::int64_t best = -1;
        for (const std::int64_t i : window) {
          const double b = base(x_[input(n, c, i)]);
          if (best < 0 || b > base(x_[input(n, c, best)]) || std::isnan(b)) best = i;
        }
        if (best >= 0) dx.add(input(n, c, best), dy_[o] * sign(x_[input(n, c, best)]));
        return;
      }
      for (const std::int64_t i : window) {
        const double x = x_[input(n, c, i)];
        if (case_.kind == Kind::mean ? x <= case_.epsilon : x == 0) continue;
        const long double ratio =
            std::pow(static_cast<long double>(base(x)) / y, static_cast<long double>(p - 1));
        const double n_taps = case_.kind == Kind::mean ? static_cast<double>(window.size()) : 1.0;
        dx.add(input(n, c, i), static_cast<double>(dy_[o] * ratio / n_taps) *
                                   (case_.kind == Kind::mean && x == x ? 1 : sign(x)));
      }
    });
    if (std::isinf(parameter(0))) {
      // Added up in the type itself.
      for (double& bound : dx.bounds) bound *= 8;
    }
    return dx;
  }
  static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

  Expected exponent_gradient() const {
    Expected dp(g_.planes());
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      if (window.empty()) return;
      const PowerSum powers = power_sum(n, c, window);
      const long double p = parameter(c);
      const long double y = root_of(powers, c);
      dp.add(static_cast<std::size_t>(n * g_.channels + c),
             static_cast<double>(dy_[o] * (y / p) * (powers.logs / powers.sum - std::log(y))));
      // Both logarithms are rounded before they cancel.
      dp.bounds[static_cast<std::size_t>(n * g_.channels + c)] +=
          static_cast<double>(std::fabs(dy_[o] * (y / p) * std::log(y)));
    });
    return dp;
  }

  struct Extremes {
    double maximum = -kInfinity;
    double average = 0;
    double magnitude = 0;
    std::int64_t position = -1;
  };
  Extremes extremes(std::int64_t n, std::int64_t c, const std::vector<std::int64_t>& window) const {
    Extremes result;
    for (const std::int64_t i : window) {
      const double x = x_[input(n, c, i)];
      result.average += x;
      result.magnitude += std::fabs(x);
      if (result.position < 0 || x > result.maximum || std::isnan(x)) {
        result.maximum = x;
        result.position = i;
      }
    }
    result.average /= static_cast<double>(window.size());
    result.magnitude *=
        2 * std::sqrt(static_cast<double>(window.size())) / static_cast<double>(window.size());
    return result;
  }

  Expected mixture() const {
    Expected y(outputs_);
    std::size_t plane_output = 0;
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      const Extremes e = extremes(n, c, window);
      const std::size_t position = plane_output++ % windows_.size();
      if (case_.kind == Kind::cat) {
        y.values[joined(n, c, position, true)] = e.maximum;
        y.values[joined(n, c, position, false)] = e.average;
        y.bounds[joined(n, c, position, false)] = e.magnitude;
        return;
      }
      const double alpha = parameter(c);
      y.values[o] = alpha == 0   ? e.average
                    : alpha == 1 ? e.maximum
                                 : alpha * e.maximum + (1 - alpha) * e.average;
      y.bounds[o] = e.magnitude + 2 * std::fabs(e.maximum);
    });
    return y;
  }

  Expected mixed_gradient() const {
    Expected dx(g_.input_size());
    std::size_t plane_output = 0;
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      const Extremes e = extremes(n, c, window);
      const std::size_t position = plane_output++ % windows_.size();
      if (window.empty()) return;
      const bool cat = case_.kind == Kind::cat;
      const double alpha = cat ? 1 : parameter(c);
      const double rest = cat ? 1 : 1 - alpha;
      const double max_dy = cat ? dy_[joined(n, c, position, true)] : dy_[o];
      const double avg_dy = cat ? dy_[joined(n, c, position, false)] : dy_[o];
      dx.add(input(n, c, e.position), alpha * max_dy);
      for (const std::int64_t i : window) {
        dx.add(input(n, c, i), rest * avg_dy / static_cast<double>(window.size()));
      }
    });
    // Sums of up to as many terms as windows overlap.
    for (double& bound : dx.bounds) bound *= 8;
    return dx;
  }

  Expected alpha_gradient() const {
    Expected dalpha(g_.planes());
    for_each_window([&](std::int64_t n, std::int64_t c, const auto& window, std::size_t o) {
      if (window.empty()) return;
      const Extremes e = extremes(n, c, window);
      const auto plane = static_cast<std::size_t>(n * g_.channels + c);
      dalpha.add(plane, dy_[o] * (e.maximum - e.average));
      // Those of f32 tensors are subtracted after they have been rounded.
      const double rounding = std::is_same_v<T, float> ? 0x1p-24 / 0x1p-53 : 1;
      dalpha.bounds[plane] += rounding * dy_[o] * (std::fabs(e.maximum) + e.magnitude);
    });
    return dalpha;
  }

  /** Whether a result is near enough, in units of the last place of what it was computed in. */
  template <typename Out>
  static bool close(Out actual, double expected, double bound) {
    if (std::isnan(expected)) return std::isnan(actual);
    // Rounded as the type rounds: what exceeds its range is infinite.
    if (std::isinf(static_cast<Out>(expected))) return actual == static_cast<Out>(expected);
    if constexpr (std::is_same_v<Out, float>) {
      return std::fabs(actual - expected) <= 2 * bound * 0x1p-24 + 2 * 0x1p-149;
    }
    return std::fabs(actual - expected) <= 1e-12 * bound + 4e-320;
  }

  std::string each_way(Operation operation, const std::vector<int>& threads,
                       const Expected& expected, std::int64_t size) {
    const bool parameters =
        operation == Operation::power_exponents || operation == Operation::mixed_weights;
    const bool backward =
        !(operation == Operation::power_forward || operation == Operation::mixed_forward);
    Pooling p = case_.pooling(operation);
    p.input = backward ? dy_ : x_;
    p.x = x_;
    p.y = y_;
    const std::size_t bytes =
        static_cast<std::size_t>(size) * (parameters ? sizeof(double) : sizeof(T));
    for (const std::string& tier : dispatch::tiers()) {
      dispatch::use_tier(tier);
      for (const std::string& kernel : dispatch::kernels(operation)) {
        dispatch::use_kernel(kernel);
        if (dispatch::kernel_for(p) != kernel) continue;
        std::vector<unsigned char> first;
        for (const int count : threads) {
          dispatch::set_threads(count);
          p.output = buffers().out.place(bytes, case_.edge);
          dispatch::run(p);
          std::ostringstream where;
          where << dispatch::operation_name(operation) << " by " << kernel << " at " << tier
                << " with " << count << " threads: ";
          if (!buffers().out.margin_intact()) return where.str() + "wrote outside the output";
          for (std::size_t i = 0; i < expected.values.size(); ++i) {
            const double actual = parameters ? static_cast<const double*>(p.output)[i]
                                             : static_cast<const T*>(p.output)[i];
            const bool good =
                parameters
                    ? close<double>(actual, expected.values[i], 100 * expected.bounds[i])
                    : close<T>(static_cast<T>(actual), expected.values[i], expected.bounds[i]);
            if (good) continue;
            where.precision(17);
            where << "element " << i << ": expected " << expected.values[i] << " within "
                  << expected.bounds[i] << ", got " << actual;
            return where.str();
          }
          const auto* const data = static_cast<const unsigned char*>(p.output);
          if (first.empty()) first.assign(data, data + bytes);
          if (!std::equal(first.begin(), first.end(), data)) return where.str() + "other bits";
        }
      }
    }
    return "";
  }

  const Case& case_;
  const Geometry g_;
  const Layout layout_;
  const std::vector<std::vector<std::int64_t>> windows_;
  const std::int64_t outputs_;
  T* x_;
  T* dy_;
  T* y_;
};

class Choices {
 public:
  ~Choices() {
    dispatch::use_kernel("");
    dispatch::use_tier("");
    dispatch::set_threads(0);
  }
};

void check(const Case& c, const std::vector<int>& threads = {1}) {
  const Choices choices;
  const std::string problem =
      c.x.dtype == FPOOL_F64 ? Run<double>(c).check(threads) : Run<float>(c).check(threads);
  if (!problem.empty()) ADD_FAILURE() << c.describe() << "\n  " << problem;
}

Case draw(Random& random, Kind kind) {
  Case c;
  c.kind = kind;
  const auto rank = static_cast<int>(random.one_in(5) ? 3 : random.one_in(4) ? 1 : 2);
  c.x.spatial_rank = c.window.spatial_rank = rank;
  c.x.dtype = random.one_in(2) ? FPOOL_F64 : FPOOL_F32;
  const bool interleaved = random.one_in(2);
  c.x.layout = interleaved ? FPOOL_INTERLEAVED : FPOOL_PLANAR;
  c.x.extents[0] = random.one_in(30) ? 0 : random.between(1, 3);
  c.x.extents[1] = random.between(1, interleaved && random.one_in(3) ? 35 : 5);
  c.window.adaptive = random.one_in(3) ? 1 : 0;
  const bool global = c.window.adaptive != 0 && random.one_in(3);
  for (int i = 0; i < rank; ++i) {
    c.x.extents[2 + i] = random.between(1, i == rank - 1 ? 40 : 9);
    c.window.kernel[i] = global ? 1 : random.between(1, random.one_in(4) ? 9 : 4);
    if (c.window.adaptive != 0) continue;
    c.window.stride[i] = random.between(1, 4);
    if (random.one_in(3)) c.window.dilation[i] = random.between(1, 3);
    const std::int64_t reach = c.window.dilation[i] * (c.window.kernel[i] - 1) + 1;
    if (random.one_in(2)) c.window.pad_begin[i] = random.between(0, reach - 1);
    if (random.one_in(2)) c.window.pad_end[i] = random.between(0, reach - 1);
  }
  if (c.window.adaptive == 0) {
    if (random.one_in(8)) {
      c.window.padding =
          static_cast<std::int32_t>(random.between(FPOOL_PAD_SAME_UPPER, FPOOL_PAD_VALID));
    } else {
      c.window.ceil_mode = random.one_in(3) ? 1 : 0;
    }
  }
  constexpr double kNorms[] = {1, 2, 3, 4, 1.5, 2.75, 7, 12.5, 32, 60, kInfinity};
  constexpr double kMeans[] = {3, 1, 2, 0.5, 2.9, 4, 6.6, 20, 45};
  const bool per_channel = kind != Kind::norm && random.one_in(2);
  c.parameters.clear();
  for (std::int64_t i = 0; i < (per_channel ? c.x.extents[1] : 1); ++i) {
    c.parameters.push_back(kind == Kind::norm   ? kNorms[random.between(0, 10)]
                           : kind == Kind::mean ? kMeans[random.between(0, 8)]
                           : random.one_in(4)   ? static_cast<double>(random.between(0, 1))
                                                : random.fraction());
  }
  if (random.one_in(4)) c.epsilon = random.one_in(2) ? 0.25 : 1e-12;
  c.fill = random.one_in(2) ? Fill::uniform : static_cast<Fill>(random.between(0, 5));
  // Averages of elements near the end of the range may overflow.
  if (c.fill == Fill::huge && (kind == Kind::add || kind == Kind::cat)) c.fill = Fill::ties;
  c.edge = random.one_in(3) ? Edge::begin : Edge::end;
  return c;
}

Case generated(Kind kind, std::uint64_t seed) {
  Random random(seed * 4 + static_cast<std::uint64_t>(kind));
  Case c = draw(random, kind);
  while (!c.valid()) c = draw(random, kind);
  c.seed = seed;
  return c;
}

class EachKind : public ::testing::TestWithParam<Kind> {};

TEST_P(EachKind, EqualsTheOracle) {
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(case_count(400)) && !HasFailure(); ++i)
    check(generated(GetParam(), i));
}

/** Large enough to be parted, into slices of planes and into groups, and shared out. */
TEST_P(EachKind, GivesTheSameBitsForEveryThreadCount) {
  const int cases = std::min(40, case_count(40));
  for (int i = 0; i < cases && !HasFailure(); ++i) {
    Case c = generated(GetParam(), static_cast<std::uint64_t>(1'000'000 + i));
    Random random(static_cast<std::uint64_t>(i));
    const int rank = c.x.spatial_rank;
    const bool sliced = random.one_in(2);
    c.x.extents[0] = sliced ? 1 : random.between(2, 9);
    for (int axis = 0; axis < rank; ++axis) {
      const std::int64_t side = rank == 1 ? 70'000 : rank == 2 ? 260 : 41;
      c.x.extents[2 + axis] = sliced ? side + random.between(-9, 9) : random.between(9, 40);
    }
    if (sliced) c.x.extents[1] = random.between(1, 2);
    c.parameters.resize(c.parameters.size() == 1 ? 1 : static_cast<std::size_t>(c.x.extents[1]),
                        c.parameters[0]);
    if (c.fill == Fill::specials) c.fill = Fill::zeros;
    if (c.valid()) check(c, {1, 2, 5});
  }
}

INSTANTIATE_TEST_SUITE_P(, EachKind,
                         ::testing::Values(Kind::norm, Kind::mean, Kind::add, Kind::cat),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace featurepool::testing
