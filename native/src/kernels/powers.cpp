// Powers of many elements: the halves of norms and generalised means that know no window.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "dispatch/kernel.hpp"

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

template <typename T>
HWY_INLINE V LoadReal(const T* HWY_RESTRICT p, std::int64_t n) {
  const D d;
  if constexpr (std::is_same_v<T, double>) {
    return LoadPart(d, p, n);
  } else {
    return hn::PromoteTo(d, LoadPart(hn::Rebind<T, D>(), p, n));
  }
}

template <typename T>
HWY_INLINE void StoreReal(V v, T* HWY_RESTRICT p, std::int64_t n) {
  const D d;
  if constexpr (std::is_same_v<T, double>) {
    StorePart(v, d, p, n);
  } else {
    const hn::Rebind<T, D> dt;
    StorePart(hn::DemoteTo(dt, v), dt, p, n);
  }
}

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
    return raise(base(LoadReal(x + i, n)), i, n);
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
    const auto v = base(LoadReal(x + i, n));
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
    const auto root = LoadReal(y + i, n);
    const auto weight = hn::Div(LoadReal(dy + i, n), raise(root, i, n));
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
    const auto v = LoadReal(x + i, n);
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
  for (; i + lanes <= block.end; i += lanes) StoreReal(kind(raise, i, lanes), out + i, lanes);
  if (i < block.end) StoreReal(kind(raise, i, block.end - i), out + i, block.end - i);
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

// --- what the tables hold: plain functions ---

void MapTerms(const Powers& p, Span items) { MapEither<Terms>(p, items); }
void MapLogs(const Powers& p, Span items) { MapEither<Logs>(p, items); }
void MapRoot(const Powers& p, Span items) { MapEither<Root>(p, items); }
void MapWeights(const Powers& p, Span items) { MapEither<Weights>(p, items); }
void MapGradient(const Powers& p, Span items) { MapEither<Gradient>(p, items); }

}  // namespace powers
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;

bool accepts_all(const Powers&) { return true; }
std::int64_t all_items(const Powers& p) { return p.items(); }

}  // namespace

#define FEATUREPOOL_POWERS(name, Function)                                        \
  std::span<const KernelOf<Powers>> name##_kernels() {                            \
    static const KernelOf<Powers> kernels[] = {                                   \
        {"lanes", accepts_all, all_items, FEATUREPOOL_TIERED(powers::Function)}}; \
    return kernels;                                                               \
  }
FEATUREPOOL_POWERS(power_terms, MapTerms)
FEATUREPOOL_POWERS(power_logs, MapLogs)
FEATUREPOOL_POWERS(power_root, MapRoot)
FEATUREPOOL_POWERS(power_weights, MapWeights)
FEATUREPOOL_POWERS(power_gradient, MapGradient)
#undef FEATUREPOOL_POWERS

}  // namespace featurepool
#endif
