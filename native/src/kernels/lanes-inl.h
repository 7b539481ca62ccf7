// Loads and stores of partial vectors, and the reducers that the row kernels are made of.
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

/** Maximum of elements of type T. */
template <typename T>
struct MaxOf {
  using Element = T;
  using Lane = T;
  using D = hn::ScalableTag<Lane>;
  static constexpr bool kIdempotent = true;
  /** Whether the order in which taps combine can show (NaN, signed zeros). */
  static constexpr bool kWatched = std::is_floating_point_v<T>;

  static constexpr Lane Identity() {
    return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                : std::numeric_limits<T>::lowest();
  }
  static HWY_INLINE hn::Vec<D> Load(D d, const Element* HWY_RESTRICT p) { return hn::LoadU(d, p); }
  static HWY_INLINE hn::Vec<D> LoadPart(D d, const Element* HWY_RESTRICT p, std::int64_t n) {
    return HWY_NAMESPACE::LoadPart(d, p, n);
  }
  static HWY_INLINE hn::Vec<D> Combine(hn::Vec<D> a, hn::Vec<D> b) { return hn::Max(a, b); }
  static HWY_INLINE Lane CombineLanes(Lane a, Lane b) { return a > b ? a : b; }
};

/** Sum of elements of type T: in f32 for f32, in u32 for u8. */
template <typename T>
struct SumOf {
  using Element = T;
  using Lane = std::conditional_t<std::is_integral_v<T>, std::uint32_t, float>;
  using D = hn::ScalableTag<Lane>;
  static constexpr bool kIdempotent = false;
  static constexpr bool kWatched = false;

  static constexpr Lane Identity() { return 0; }
  static HWY_INLINE hn::Vec<D> Load(D d, const Element* HWY_RESTRICT p) {
    if constexpr (std::is_integral_v<T>) {
      return hn::PromoteTo(d, hn::LoadU(hn::Rebind<Element, D>(), p));
    } else {
      return hn::LoadU(d, p);
    }
  }
  static HWY_INLINE hn::Vec<D> LoadPart(D d, const Element* HWY_RESTRICT p, std::int64_t n) {
    if constexpr (std::is_integral_v<T>) {
      return hn::PromoteTo(d, HWY_NAMESPACE::LoadPart(hn::Rebind<Element, D>(), p, n));
    } else {
      return HWY_NAMESPACE::LoadPart(d, p, n);
    }
  }
  static HWY_INLINE hn::Vec<D> Combine(hn::Vec<D> a, hn::Vec<D> b) { return hn::Add(a, b); }
  static HWY_INLINE Lane CombineLanes(Lane a, Lane b) { return a + b; }
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
