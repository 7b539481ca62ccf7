// Powers of many elements: the halves of norms and generalised means that know no window.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "dispatch/kernel.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/power_sums.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/powers.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// Behind foreach_target.h, which starts this file again for every tier.
#include "hwy/contrib/math/math-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace powers {

using D = hn::ScalableTag<double>;
using V = hn::Vec<D>;

HWY_INLINE V Number(double value) { return hn::Set(D(), value); }

/** v^e of v >= 0 by logarithms; as std::pow(), but infinite from e^706 on. */
HWY_INLINE V RealPower(V v, V e) {
  const D d;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kMost = 706;  // what Exp() takes
  auto log = hn::Log(d, v);
  log = hn::IfThenElse(hn::Eq(v, Number(kInfinity)), Number(kInfinity), log);
  log = hn::IfThenElse(hn::Eq(v, hn::Zero(d)), Number(-kInfinity), log);
  const auto t = hn::Mul(e, log);
  auto power = hn::Exp(d, hn::Min(t, Number(kMost)));
  power = hn::IfThenElse(hn::Gt(t, Number(kMost)), Number(kInfinity), power);
  power = hn::IfThenElse(hn::Eq(v, v), power, v);
  return hn::IfThenElse(hn::Eq(e, hn::Zero(d)), Number(1), power);
}

/** v^n by squaring. */
HWY_INLINE V IntegerPower(V v, int n) {
  while (n % 2 == 0) {
    v = hn::Mul(v, v);
    n /= 2;
  }
  auto power = v;
  while ((n /= 2) > 0) {
    v = hn::Mul(v, v);
    if (n % 2 != 0) power = hn::Mul(power, v);
  }
  return power;
}

// The ways to raise to a power; `i` is the element's place in its row.

struct Zeroth {
  HWY_INLINE V operator()(V, std::int64_t, std::int64_t) const { return Number(1); }
};
template <int kExponent>
struct Fixed {
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    if constexpr (kExponent == 1) return v;
    if constexpr (kExponent == 2) return hn::Mul(v, v);
    return hn::Mul(v, hn::Mul(v, v));
  }
};
struct Integer {
  int exponent;
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    return IntegerPower(v, exponent);
  }
};
struct Real {
  double exponent;
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    return RealPower(v, Number(exponent));
  }
};

// Above this, errors of products would exceed those of logarithms.
constexpr int kMostInteger = 32;

/** Calls `f` with the cheapest way to raise to `exponent`. */
template <class F>
HWY_INLINE void WithPower(double exponent, const F& f) {
  if (exponent == 0) {
    f(Zeroth());
  } else if (exponent == 1) {
    f(Fixed<1>());
  } else if (exponent == 2) {
    f(Fixed<2>());
  } else if (exponent == 3) {
    f(Fixed<3>());
  } else if (exponent > 0 && exponent <= kMostInteger && exponent == std::floor(exponent)) {
    f(Integer{static_cast<int>(exponent)});
  } else {
    f(Real{exponent});
  }
}

// The ways to take a root.

struct SquareRoot {
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const { return hn::Sqrt(v); }
};
/**
 * By r = v^(-1/3), found without divisions: a guess from the bits (its exponent is a third of v's,
 * negated; within 4 %) and three steps of third order. For what is 0 or a normal number.
 */
struct CubeRoot {
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    const hn::RebindToUnsigned<D> du;
    const hn::Repartition<std::uint32_t, D> du32;
    // Of the upper words: 4/3 of that of 1.0, less what makes the guess's error even.
    constexpr std::uint64_t kOrigin = 1430257664 - 62979;
    constexpr std::uint32_t kThird = 0x55555556;
    const auto upper = hn::ShiftRight<32>(hn::BitCast(du, v));
    const auto third =
        hn::ShiftRight<32>(hn::MulEven(hn::BitCast(du32, upper), hn::Set(du32, kThird)));
    auto r = hn::BitCast(D(), hn::ShiftLeft<32>(hn::Sub(hn::Set(du, kOrigin), third)));
    for (int step = 0; step < 3; ++step) {
      const auto h = hn::Sub(Number(1), hn::Mul(hn::Mul(v, r), hn::Mul(r, r)));
      const auto slope = hn::Add(Number(1.0 / 3), hn::Mul(h, Number(2.0 / 9)));
      r = hn::Add(r, hn::Mul(hn::Mul(r, h), slope));
    }
    const auto root = hn::Mul(hn::Mul(v, r), r);
    const auto infinity = Number(std::numeric_limits<double>::infinity());
    return hn::IfThenElse(hn::Eq(v, infinity), infinity, root);
  }
};
/** One step of Newton's takes the root to the last bit or so. */
struct IntegerRoot {
  int degree;
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    const double n = degree;
    const auto root = RealPower(v, Number(1 / n));
    const auto quotient = hn::Div(v, IntegerPower(root, degree - 1));
    const auto step = hn::Div(hn::Sub(root, quotient), Number(n));
    // Not from 0, infinity or NaN.
    const auto finite =
        hn::And(hn::Gt(v, hn::Zero(D())), hn::Lt(v, Number(std::numeric_limits<double>::max())));
    return hn::IfThenElse(finite, hn::Sub(root, step), root);
  }
};

template <class F>
HWY_INLINE void WithRoot(double exponent, const F& f) {
  if (exponent == 1) {
    f(Fixed<1>());
  } else if (exponent == 2) {
    f(SquareRoot());
  } else if (exponent == 3) {
    f(CubeRoot());
  } else if (exponent > 0 && exponent <= kMostInteger && exponent == std::floor(exponent)) {
    f(IntegerRoot{static_cast<int>(exponent)});
  } else {
    f(Real{1 / exponent});
  }
}

/** p of every column, as `kForm` needs it. */
enum class Form { power, less_one, root };
template <Form kForm>
struct Columns {
  const double* p;
  HWY_INLINE V operator()(V v, std::int64_t i, std::int64_t n) const {
    auto e = LoadPart(D(), p + i, n);
    if constexpr (kForm == Form::less_one) e = hn::Sub(e, Number(1));
    if constexpr (kForm == Form::root) e = hn::Div(Number(1), e);
    return RealPower(v, e);
  }
};

constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

/** What is raised to the power p. */
struct Base {
  double sign;  ///< the bits that the base does not keep
  double floor;
  explicit Base(const Power& power)
      : sign(power.magnitude ? std::bit_cast<double>(kSign) : 0.0),
        floor(power.magnitude ? 0 : power.floor) {}
  HWY_INLINE V operator()(V x) const {
    const auto v = hn::AndNot(Number(sign), x);
    return hn::IfThenElse(hn::Lt(v, Number(floor)), Number(floor), v);
  }
};

// The kinds of Powers: each gives the result of the elements at `i` of a row, of which `n` exist.

template <typename T>
struct Terms {
  using Out = double;
  static constexpr Form kForm = Form::power;
  const T* x;
  Base base;
  Terms(const Powers& p, std::int64_t row)
      : x(static_cast<const T*>(p.x) + row * p.width), base(p.power) {}
  template <class Raise>
  HWY_INLINE V operator()(const Raise& raise, std::int64_t i, std::int64_t n) const {
    return raise(base(LoadElements(D(), x + i, n)), i, n);
  }
};

template <typename T>
struct Logs {
  using Out = double;
  static constexpr Form kForm = Form::power;
  const T* x;
  const double* terms;
  Base base;
  Logs(const Powers& p, std::int64_t row)
      : x(static_cast<const T*>(p.x) + row * p.width),
        terms(p.terms + row * p.width),
        base(p.power) {}
  template <class Raise>
  HWY_INLINE V operator()(const Raise&, std::int64_t i, std::int64_t n) const {
    const auto v = base(LoadElements(D(), x + i, n));
    return hn::Mul(LoadPart(D(), terms + i, n), hn::Log(D(), v));
  }
};

template <typename T>
struct Root {
  using Out = T;
  static constexpr Form kForm = Form::root;
  const double* terms;
  Root(const Powers& p, std::int64_t row) : terms(p.terms + row * p.width) {}
  template <class Raise>
  HWY_INLINE V operator()(const Raise& raise, std::int64_t i, std::int64_t n) const {
    return raise(LoadPart(D(), terms + i, n), i, n);
  }
};

template <typename T>
struct Weights {
  using Out = double;
  static constexpr Form kForm = Form::less_one;
  const T* y;
  const T* dy;
  Weights(const Powers& p, std::int64_t row)
      : y(static_cast<const T*>(p.x) + row * p.width),
        dy(static_cast<const T*>(p.dy) + row * p.width) {}
  template <class Raise>
  HWY_INLINE V operator()(const Raise& raise, std::int64_t i, std::int64_t n) const {
    const auto root = LoadElements(D(), y + i, n);
    const auto weight = hn::Div(LoadElements(D(), dy + i, n), raise(root, i, n));
    return hn::IfThenZeroElse(hn::Eq(root, hn::Zero(D())), weight);
  }
};

template <typename T>
struct Gradient {
  using Out = T;
  static constexpr Form kForm = Form::less_one;
  const T* x;
  const double* terms;
  Base base;
  Gradient(const Powers& p, std::int64_t row)
      : x(static_cast<const T*>(p.x) + row * p.width),
        terms(p.terms + row * p.width),
        base(p.power) {}
  template <class Raise>
  HWY_INLINE V operator()(const Raise& raise, std::int64_t i, std::int64_t n) const {
    const auto v = LoadElements(D(), x + i, n);
    const auto magnitude = base(v);
    const auto sum = LoadPart(D(), terms + i, n);
    const auto slope = hn::Xor(hn::Mul(sum, raise(magnitude, i, n)), hn::And(v, Number(base.sign)));
    // No window holds an element whose sum is 0; it may be infinite or NaN.
    const auto none = hn::Or(hn::Le(magnitude, Number(base.floor)), hn::Eq(sum, hn::Zero(D())));
    return hn::IfThenZeroElse(none, hn::IfThenElse(hn::Eq(v, v), slope, v));
  }
};

template <class Kind, class Raise>
HWY_NOINLINE void MapBlock(const Kind& kind, const Raise& raise, Span block,
                           typename Kind::Out* HWY_RESTRICT out) {
  const std::int64_t lanes = LaneCount(D());
  std::int64_t i = block.begin;
  for (; i + lanes <= block.end; i += lanes)
    StoreElements(kind(raise, i, lanes), D(), out + i, lanes);
  if (i < block.end) StoreElements(kind(raise, i, block.end - i), D(), out + i, block.end - i);
}

template <class Kind>
void Map(const Powers& p, Span items) {
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const std::int64_t row = index / p.blocks();
    const std::int64_t begin = index % p.blocks() * Powers::kBlock;
    const Span block{begin, std::min(p.width, begin + Powers::kBlock)};
    const Kind kind(p, row);
    auto* const out = static_cast<typename Kind::Out*>(p.out) + row * p.width;
    const auto map = [&](const auto& raise) { MapBlock(kind, raise, block, out); };
    if (p.by_column()) {
      map(Columns<Kind::kForm>{p.power.p});
    } else if constexpr (Kind::kForm == Form::root) {
      WithRoot(p.exponent(row), map);
    } else {
      WithPower(p.exponent(row) - (Kind::kForm == Form::less_one ? 1 : 0), map);
    }
  }
}

template <template <typename> class Kind>
void MapEither(const Powers& p, Span items) {
  p.dtype == FPOOL_F64 ? Map<Kind<double>>(p, items) : Map<Kind<float>>(p, items);
}

// --- sums of interleaved windows, each tap raised as it is loaded: for powers that cost nothing
// ---

struct Magnitude {
  HWY_INLINE V operator()(V x) const { return hn::Abs(x); }
};
struct AtLeast {
  double floor;
  HWY_INLINE V operator()(V x) const {
    return hn::IfThenElse(hn::Lt(x, Number(floor)), Number(floor), x);
  }
};

// Vectors of channels that are summed at a time: as much as a cache line holds of f32. Taps lie
// whole positions apart, so a line that is left early may be gone when it is needed again.
constexpr std::int64_t kVectors = 4;

// Longest run of taps whose sum grows one by one; the sums of runs are added to each other.
constexpr std::int64_t kLongestRaisedRun = 512;

/** Sums of the taps of one window: kCount vectors of channels from `x` on, of which `n` exist. */
template <std::int64_t kCount, typename T, class ToBase, class Raise>
HWY_INLINE void RaisedSums(const T* x, const T* end, const Taps& taps, std::int64_t n,
                           const ToBase& base, const Raise& raise, double* HWY_RESTRICT sums) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  auto total0 = hn::Zero(d), total1 = total0, total2 = total0, total3 = total0;
  for (std::int64_t begin = 0; begin < taps.count; begin += kLongestRaisedRun) {
    const std::int64_t run_end = std::min(taps.count, begin + kLongestRaisedRun);
    auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (std::int64_t i = begin; i < run_end; ++i) {
      const T* p = x + taps.offset[i];
      const auto load = [&](std::int64_t vector) HWY_ATTR {
        return raise(base(LoadElements(D(), p + vector * lanes, lanes)), 0, 0);
      };
      if constexpr (kCount == kVectors) {
        sum0 = hn::Add(sum0, load(0));
        sum1 = hn::Add(sum1, load(1));
        sum2 = hn::Add(sum2, load(2));
        sum3 = hn::Add(sum3, load(3));
      } else {
        // Channels behind the last one are there to be read, except behind the last position.
        sum0 = hn::Add(sum0, raise(base(LoadElements(D(), p, end - p >= lanes ? lanes : n)), 0, 0));
      }
    }
    total0 = hn::Add(total0, sum0);
    total1 = hn::Add(total1, sum1);
    total2 = hn::Add(total2, sum2);
    total3 = hn::Add(total3, sum3);
  }
  hn::StoreU(total0, d, sums);
  if constexpr (kCount == kVectors) {
    hn::StoreU(total1, d, sums + lanes);
    hn::StoreU(total2, d, sums + 2 * lanes);
    hn::StoreU(total3, d, sums + 3 * lanes);
  }
}

template <typename T, class ToBase, class Raise, class Root>
HWY_NOINLINE void RaisedTaps(const Pooling& p, Span items, const ToBase& base, const Raise& raise,
                             const Root& root) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedOutputTiles(g);
  const T* x = static_cast<const T*>(p.input);
  const T* end = x + g.input_size();
  const bool careful = can_leave_range<T>(p.power);
  InterleavedWindows windows(g);
  const Line<double> sums((g.channels + lanes - 1) / lanes * lanes);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
      const Taps taps = windows.at(item.d, item.h, ow);
      const auto count = Number(p.power.magnitude ? 1.0 : static_cast<double>(taps.count));
      const T* image = x + item.plane * g.input_plane() * g.channels + taps.base;
      T* y = static_cast<T*>(p.output) +
             (item.plane * g.output_plane() + tiles.row(item) * g.w().output + ow) * g.channels;
      std::int64_t c = 0;
      for (; c + kVectors * lanes <= g.channels; c += kVectors * lanes) {
        RaisedSums<kVectors>(image + c, end, taps, g.channels - c, base, raise, sums.get() + c);
      }
      for (; c < g.channels; c += lanes) {
        RaisedSums<1>(image + c, end, taps, g.channels - c, base, raise, sums.get() + c);
      }
      for (c = 0; c < g.channels; c += lanes) {
        const std::int64_t n = std::min(lanes, g.channels - c);
        const auto sum = hn::Div(hn::LoadU(d, sums.get() + c), count);
        StoreElements(root(sum, 0, 0), D(), y + c, n);
        if (careful && !hn::AllTrue(d, hn::And(hn::Ge(sum, Number(kLeastPowerSum)),
                                               hn::Le(sum, Number(kGreatestPowerSum))))) {
          redo_roots<T>(p, item.plane * g.channels + c, n, item.d, item.h, ow, y + c);
        }
      }
    }
  }
}

template <typename T, class ToBase>
void RaisedTapsOf(const Pooling& p, Span items, const ToBase& base) {
  const double exponent = p.power.p[0];
  if (exponent == 1) {
    RaisedTaps<T>(p, items, base, Fixed<1>(), Fixed<1>());
  } else if (exponent == 2) {
    RaisedTaps<T>(p, items, base, Fixed<2>(), SquareRoot());
  } else {
    RaisedTaps<T>(p, items, base, Fixed<3>(), CubeRoot());
  }
}

template <typename T>
void RaisedTapsOf(const Pooling& p, Span items) {
  if (p.power.magnitude) {
    RaisedTapsOf<T>(p, items, Magnitude());
  } else {
    RaisedTapsOf<T>(p, items, AtLeast{p.power.floor});
  }
}

// --- what the tables hold: inline functions ---

inline void InterleavedTaps(const Pooling& p, Span items) {
  p.dtype == FPOOL_F64 ? RaisedTapsOf<double>(p, items) : RaisedTapsOf<float>(p, items);
}

inline void MapTerms(const Powers& p, Span items) { MapEither<Terms>(p, items); }
inline void MapLogs(const Powers& p, Span items) { MapEither<Logs>(p, items); }
inline void MapRoot(const Powers& p, Span items) { MapEither<Root>(p, items); }
inline void MapWeights(const Powers& p, Span items) { MapEither<Weights>(p, items); }
inline void MapGradient(const Powers& p, Span items) { MapEither<Gradient>(p, items); }

}  // namespace powers
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;

/** Powers that cost less than a pass of their own would. */
bool accepts_taps(const Pooling& p) {
  const Power& power = p.power;
  return p.layout == Layout::interleaved && power.count == 1 &&
         (power.p[0] == 1 || power.p[0] == 2 || power.p[0] == 3) &&
         p.geometry.taps() <= kMostListedTaps;
}

bool accepts_all(const Powers&) { return true; }
std::int64_t all_items(const Powers& p) { return p.items(); }

}  // namespace

Kernel raised_taps_kernel() {
  return {"interleaved_taps", accepts_taps, InterleavedOutputItems,
          FEATUREPOOL_TIERED_UP_TO_AVX2(powers::InterleavedTaps)};
}

#define FEATUREPOOL_POWERS(name, Function)                                                   \
  std::span<const KernelOf<Powers>> name##_kernels() {                                       \
    static const KernelOf<Powers> kernels[] = {                                              \
        {"lanes", accepts_all, all_items, FEATUREPOOL_TIERED_UP_TO_AVX2(powers::Function)}}; \
    return kernels;                                                                          \
  }
FEATUREPOOL_POWERS(power_terms, MapTerms)
FEATUREPOOL_POWERS(power_logs, MapLogs)
FEATUREPOOL_POWERS(power_root, MapRoot)
FEATUREPOOL_POWERS(power_weights, MapWeights)
FEATUREPOOL_POWERS(power_gradient, MapGradient)
#undef FEATUREPOOL_POWERS

}  // namespace featurepool
#endif
