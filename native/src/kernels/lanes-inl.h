// Loads and stores of partial vectors and of elements of every type, and the reducers that the row
// kernels are made of.
#if defined(FEATUREPOOL_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_LANES_INL_H_
#undef FEATUREPOOL_KERNELS_LANES_INL_H_
#else
#define FEATUREPOOL_KERNELS_LANES_INL_H_
#endif

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/elements.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE std::int64_t LaneCount(D d) {
  return static_cast<std::int64_t>(hn::Lanes(d));
}

/**
 * memcpy of fewer than 2 * kPiece bytes. Inline and in pieces of fixed size: a call here, on a path
 * hardly ever taken, would make every loop around it keep its vectors in memory.
 */
template <std::size_t kPiece>
HWY_INLINE void CopyPart(char* HWY_RESTRICT to, const char* HWY_RESTRICT from, std::size_t bytes) {
  const bool take = (bytes & kPiece) != 0;
  if (take) std::memcpy(to, from, kPiece);
  if constexpr (kPiece > 1) {
    const std::size_t taken = take ? kPiece : 0;
    CopyPart<kPiece / 2>(to + taken, from + taken, bytes);
  }
}

/** Loads `n` elements, 0 < n; lanes beyond them repeat the first. Never reads past `p + n`. */
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadPart(D d, const T* HWY_RESTRICT p, std::int64_t n) {
  if (HWY_LIKELY(n >= LaneCount(d))) return hn::LoadU(d, p);
  HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
  hn::Store(hn::Set(d, p[0]), d, buffer);
  CopyPart<sizeof(buffer) / 2>(reinterpret_cast<char*>(buffer), reinterpret_cast<const char*>(p),
                               static_cast<std::size_t>(n) * sizeof(T));
  return hn::Load(d, buffer);
}

/** Stores the first `n` lanes, 0 < n; all of them where n exceeds their number. */
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void StorePart(hn::Vec<D> v, D d, T* HWY_RESTRICT p, std::int64_t n) {
  if (HWY_LIKELY(n >= LaneCount(d))) {
    hn::StoreU(v, d, p);
    return;
  }
  HWY_ALIGN T buffer[hn::MaxLanes(d)] = {};
  hn::Store(v, d, buffer);
  CopyPart<sizeof(buffer) / 2>(reinterpret_cast<char*>(p), reinterpret_cast<const char*>(buffer),
                               static_cast<std::size_t>(n) * sizeof(T));
}

/** Stores the first `n` of lanes that hold positions, 0 < n, as i32. */
template <class DI>
HWY_INLINE void StorePositions(DI di, hn::Vec<DI> positions, std::int32_t* HWY_RESTRICT p,
                               std::int64_t n) {
  if constexpr (sizeof(hn::TFromD<DI>) == sizeof(std::int32_t)) {
    StorePart(positions, di, p, n);
  } else {
    const hn::RebindToUnsigned<DI> du;
    const hn::Rebind<std::uint32_t, DI> du32;
    const hn::Rebind<std::int32_t, DI> di32;
    StorePart(hn::BitCast(di32, hn::TruncateTo(du32, hn::BitCast(du, positions))), di32, p, n);
  }
}

// --- elements of every type in lanes ---

/** 16 bits of an f16 as f32. */
template <class D>
HWY_INLINE hn::Vec<D> Widen(D d, hwy::float16_t, hn::Vec<hn::Rebind<std::uint16_t, D>> half) {
#if HWY_TARGET == HWY_SSE4
  // Highway's own emulation knows no infinities and NaN.
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::PromoteTo(du, half);
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
  const auto rest = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7fffu)));
  // The product has the other bias, subnormal numbers included.
  auto value = hn::BitCast(du, hn::Mul(hn::BitCast(d, rest), hn::Set(d, 0x1p112f)));
  const auto not_finite = hn::Gt(rest, hn::Set(du, 0x0f7fffffu));
  value = hn::IfThenElse(not_finite, hn::Or(rest, hn::Set(du, 0x7f800000u)), value);
  return hn::BitCast(d, hn::Or(value, sign));
#else
  return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), half));
#endif
}

/** 16 bits of a bf16 as f32. */
template <class D>
HWY_INLINE hn::Vec<D> Widen(D d, hwy::bfloat16_t, hn::Vec<hn::Rebind<std::uint16_t, D>> half) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, half)));
}

/** f32 rounded to the nearest f16, half to even. A NaN must be one that Widen() or an operation
 * gave: it stays one. */
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<std::uint16_t, D>> Narrow(D d, hwy::float16_t, hn::Vec<D> v) {
  const hn::Rebind<std::uint16_t, D> narrow;
#if HWY_TARGET == HWY_SSE4
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const auto bits = hn::BitCast(du, v);
  const auto sign = hn::And(bits, hn::Set(du, 0x80000000u));
  const auto size = hn::Xor(bits, sign);
  const auto odd = hn::And(hn::ShiftRight<13>(size), hn::Set(du, 1u));
  // The other bias and half of the last place, less where it is even.
  const auto normal = hn::ShiftRight<13>(hn::Add(size, hn::Add(odd, hn::Set(du, 0xc8000fffu))));
  // Adding 0.5 leaves the places of a subnormal number, rounded by the processor.
  const auto shifted = hn::Add(hn::BitCast(d, size), hn::Set(d, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(du, shifted), hn::Set(du, 0x3f000000u));
  auto half = hn::IfThenElse(hn::Lt(size, hn::Set(du, 0x38800000u)), subnormal, normal);
  half = hn::IfThenElse(hn::Gt(size, hn::Set(du, 0x477fffffu)), hn::Set(du, 0x7c00u), half);
  const auto nan =
      hn::Or(hn::Set(du, 0x7c00u), hn::And(hn::ShiftRight<13>(size), hn::Set(du, 0x03ffu)));
  half = hn::IfThenElse(hn::Gt(size, hn::Set(du, 0x7f800000u)), nan, half);
  return hn::DemoteTo(narrow, hn::BitCast(di, hn::Or(half, hn::ShiftRight<16>(sign))));
#else
  (void)d;
  return hn::BitCast(narrow, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), v));
#endif
}

/** f32 rounded to the nearest bf16, half to even. A NaN must be one that Widen() or an operation
 * gave: it stays one. */
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<std::uint16_t, D>> Narrow(D d, hwy::bfloat16_t, hn::Vec<D> v) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fffu)));
  const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), bits, rounded);
  (void)d;
  return hn::DemoteTo(hn::Rebind<std::uint16_t, D>(), hn::BitCast(di, hn::ShiftRight<16>(kept)));
}

/** Loads a vector of elements of type T (or, of integers, of a narrower type) into lanes. */
template <class D, typename T>
HWY_INLINE hn::Vec<D> LoadElements(D d, const T* HWY_RESTRICT p) {
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    return hn::LoadU(d, p);
  } else if constexpr (is_half<T>) {
    const hn::Rebind<std::uint16_t, D> du;
    return Widen(d, T(), hn::LoadU(du, reinterpret_cast<const std::uint16_t*>(p)));
  } else {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, D>(), p));
  }
}

/** LoadElements() of the first `n` elements, as LoadPart(). */
template <class D, typename T>
HWY_INLINE hn::Vec<D> LoadElements(D d, const T* HWY_RESTRICT p, std::int64_t n) {
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    return LoadPart(d, p, n);
  } else if constexpr (is_half<T>) {
    const hn::Rebind<std::uint16_t, D> du;
    return Widen(d, T(), LoadPart(du, reinterpret_cast<const std::uint16_t*>(p), n));
  } else {
    return hn::PromoteTo(d, LoadPart(hn::Rebind<T, D>(), p, n));
  }
}

/** Stores the first `n` lanes as elements of type T: halves rounded, narrower integers saturated.
 */
template <class D, typename T>
HWY_INLINE void StoreElements(hn::Vec<D> v, D d, T* HWY_RESTRICT p, std::int64_t n) {
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    StorePart(v, d, p, n);
  } else if constexpr (is_half<T>) {
    const hn::Rebind<std::uint16_t, D> du;
    StorePart(Narrow(d, T(), v), du, reinterpret_cast<std::uint16_t*>(p), n);
  } else {
    const hn::Rebind<T, D> narrow;
    StorePart(hn::DemoteTo(narrow, v), narrow, p, n);
  }
}

/**
 * The involution under which the greatest is what `kOrder` selects: every kernel looks for maxima,
 * and minima are those of turned lanes. A sign is flipped, or all bits of an integer: unlike
 * negation, that maps its range to itself.
 */
template <Order kOrder, class D>
HWY_INLINE hn::Vec<D> Turn(D d, hn::Vec<D> v) {
  (void)d;
  if constexpr (kOrder == Order::greater) {
    return v;
  } else if constexpr (std::is_floating_point_v<hn::TFromD<D>>) {
    return hn::Neg(v);
  } else {
    return hn::Not(v);
  }
}

/** `candidate > best ? candidate : best` lane by lane: the first of equals stays, a NaN is ignored.
 */
template <class V>
HWY_INLINE V Greater(V candidate, V best) {
#if HWY_ARCH_X86
  return hn::Max(candidate, best);  // maxps gives its second operand on ties and NaN
#else
  return hn::IfThenElse(hn::Gt(candidate, best), candidate, best);
#endif
}

// What a row may hold that makes vertical-then-horizontal maxima differ from the first maximum in
// row-major order: a NaN, or a -0.0 (equal to +0.0, with other bits).
constexpr int kHoldsNan = 1;
constexpr int kHoldsNegativeZero = 2;

/**
 * What a pass saw. A sum of all vectors spreads NaN (and inf - inf, which merely costs a second
 * look); the bits of -0.0 are the least signed integer: two cheap operations per vector.
 */
template <class D>
HWY_INLINE int Findings(D d, hn::Vec<D> sum, hn::Vec<hn::RebindToSigned<D>> least) {
  const hn::RebindToSigned<D> di;
  const auto lowest = hn::Set(di, std::numeric_limits<hn::TFromD<decltype(di)>>::min());
  return (hn::AllFalse(d, hn::IsNaN(sum)) ? 0 : kHoldsNan) |
         (hn::AllFalse(di, hn::Eq(least, lowest)) ? 0 : kHoldsNegativeZero);
}

/** Maximum, or minimum, of elements of type T. */
template <typename T, Order kOrder = Order::greater>
struct MaxOf {
  using Element = T;
  using Lane = LaneOf<T>;
  using D = hn::ScalableTag<Lane>;
  static constexpr Order kSelects = kOrder;
  static constexpr bool kIdempotent = true;
  /** Whether the order in which taps combine can show (NaN, signed zeros). */
  static constexpr bool kWatched = std::is_floating_point_v<Lane>;

  /** The turned element that any other wins against. */
  static constexpr Lane Identity() {
    using Limits = std::numeric_limits<Lane>;
    if constexpr (Limits::has_infinity) {
      return -Limits::infinity();
    } else {
      return kOrder == Order::greater ? Limits::lowest() : static_cast<Lane>(~Limits::max());
    }
  }
  static HWY_INLINE hn::Vec<D> Load(D d, const Element* HWY_RESTRICT p) {
    return Turn<kOrder>(d, LoadElements(d, p));
  }
  static HWY_INLINE hn::Vec<D> LoadPart(D d, const Element* HWY_RESTRICT p, std::int64_t n) {
    return Turn<kOrder>(d, LoadElements(d, p, n));
  }
  /** The bits in which Findings() looks for a -0.0 of memory. */
  static HWY_INLINE hn::Vec<hn::RebindToSigned<D>> Bits(D d, hn::Vec<D> v) {
    return hn::BitCast(hn::RebindToSigned<D>(), Turn<kOrder>(d, v));
  }
  template <class V>
  static HWY_INLINE V Combine(V a, V b) {
    return hn::Max(a, b);
  }
};

/** Sum of elements of type T: in f64 for f64, in f32 for other floats, in i32 for bytes. */
template <typename T>
struct SumOf {
  using Element = T;
  using Lane = std::conditional_t<std::is_integral_v<T>, std::int32_t, LaneOf<T>>;
  using D = hn::ScalableTag<Lane>;
  static constexpr bool kIdempotent = false;
  static constexpr bool kWatched = false;

  static constexpr Lane Identity() { return 0; }
  static HWY_INLINE hn::Vec<D> Load(D d, const Element* HWY_RESTRICT p) {
    return LoadElements(d, p);
  }
  static HWY_INLINE hn::Vec<D> LoadPart(D d, const Element* HWY_RESTRICT p, std::int64_t n) {
    return LoadElements(d, p, n);
  }
  template <class V>
  static HWY_INLINE V Combine(V a, V b) {
    return hn::Add(a, b);
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
