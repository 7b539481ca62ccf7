// Reading memory ahead of work that would not follow its order.
#if defined(FEATUREPOOL_KERNELS_TOUCH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_TOUCH_INL_H_
#undef FEATUREPOOL_KERNELS_TOUCH_INL_H_
#else
#define FEATUREPOOL_KERNELS_TOUCH_INL_H_
#endif

#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Loads every vector of [p, p + size), one after another, and forgets them. */
template <typename T>
HWY_NOINLINE void Touch(const T* p, std::int64_t size) {
  const hn::ScalableTag<std::uint8_t> d;
  const std::int64_t lanes = LaneCount(d);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(p);
  const std::int64_t count = size * static_cast<std::int64_t>(sizeof(T));
  auto all = hn::Zero(d);
  for (std::int64_t i = 0; i + lanes <= count; i += lanes) {
    all = hn::Or(all, hn::LoadU(d, bytes + i));
  }
  [[maybe_unused]] const volatile std::uint8_t kept = hn::GetLane(all);  // or none is loaded
}

/**
 * Asks for memory some way behind [p, p + size), for loops that read memory in its order but not as
 * one stream, such as two rows at a time.
 */
template <typename T>
HWY_INLINE void AskAhead(const T* p, std::int64_t size) {
  constexpr std::int64_t kCacheLine = 64;
  constexpr std::int64_t kBytes = 768;  // measured: 512 to 768 do best, in and beyond the caches
  const auto* next = reinterpret_cast<const std::uint8_t*>(p) + kBytes;
  const std::int64_t count = size * static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t i = 0; i < count; i += kCacheLine) hwy::Prefetch(next + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
