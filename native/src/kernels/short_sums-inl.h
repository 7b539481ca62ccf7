// Sums of bytes in 16 bits.
#if defined(FEATUREPOOL_KERNELS_SHORT_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_SHORT_SUMS_INL_H_
#undef FEATUREPOOL_KERNELS_SHORT_SUMS_INL_H_
#else
#define FEATUREPOOL_KERNELS_SHORT_SUMS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Sums that are divided: of bytes in 16 bits, of others as SumOf. */
template <typename T>
struct ShortSumOf : SumOf<T> {};
template <typename Byte, typename Short>
struct ShortByteSum {
  using Element = Byte;
  using Lane = Short;
  using D = hn::ScalableTag<Lane>;
  static constexpr bool kIdempotent = false;
  static constexpr bool kWatched = false;
  static constexpr Lane Identity() { return 0; }
  static HWY_INLINE hn::Vec<D> Load(D d, const Byte* HWY_RESTRICT p) { return LoadElements(d, p); }
  static HWY_INLINE hn::Vec<D> LoadPart(D d, const Byte* HWY_RESTRICT p, std::int64_t n) {
    return LoadElements(d, p, n);
  }
  static HWY_INLINE hn::Vec<D> Combine(hn::Vec<D> a, hn::Vec<D> b) { return hn::Add(a, b); }
};
template <>
struct ShortSumOf<std::uint8_t> : ShortByteSum<std::uint8_t, std::uint16_t> {};
template <>
struct ShortSumOf<std::int8_t> : ShortByteSum<std::int8_t, std::int16_t> {};

/** What becomes of findings where nothing is watched. */
struct NothingToRedo {
  template <typename... Where>
  void operator()(const Where&...) const {}
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
