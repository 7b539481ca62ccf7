// Maxima and minima of f32, with their ordinals, over planar windows of 2 by 2, 2 apart: from two
// rows of the input to a vector of outputs in registers.

#include "kernels/position_pairs.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "dispatch/kernel.hpp"
#include "kernels/pair_rows.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/position_pairs.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/blocks-inl.h"
#include "kernels/scan-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace position_pairs {

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;

#if HWY_TARGET == HWY_AVX2
// Even and odd lanes of two vectors stay within halves of 16 bytes, one instruction each; what is
// written is put in order.
HWY_INLINE V Evens(V low, V high) {
  return V{_mm256_shuffle_ps(low.raw, high.raw, _MM_SHUFFLE(2, 0, 2, 0))};
}
HWY_INLINE V Odds(V low, V high) {
  return V{_mm256_shuffle_ps(low.raw, high.raw, _MM_SHUFFLE(3, 1, 3, 1))};
}
HWY_INLINE V InOrder(V v) {
  const __m256d pairs = _mm256_castps_pd(v.raw);
  return V{_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, _MM_SHUFFLE(3, 1, 2, 0)))};
}
/** Stores the ordinals of two vectors of outputs, which are given as negative numbers. */
HWY_INLINE void StoreOrdinals(VI first, VI second, std::uint8_t* HWY_RESTRICT to) {
  const __m256i words = _mm256_packs_epi32(first.raw, second.raw);
  // Of each eight outputs, the first and third pair, and in the upper half the others.
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  const __m128i order = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_abs_epi8(_mm_shuffle_epi8(bytes, order)));
}
#else
HWY_INLINE V Evens(V low, V high) { return hn::ConcatEven(D(), high, low); }
HWY_INLINE V Odds(V low, V high) { return hn::ConcatOdd(D(), high, low); }
HWY_INLINE V InOrder(V v) { return v; }
HWY_INLINE void StoreOrdinals(VI first, VI second, std::uint8_t* HWY_RESTRICT to) {
  const hn::Rebind<std::uint8_t, DI> bytes;
  hn::StoreU(hn::DemoteTo(bytes, hn::Neg(first)), bytes, to);
  hn::StoreU(hn::DemoteTo(bytes, hn::Neg(second)), bytes, to + LaneCount(DI()));
}
#endif

/** A vector of outputs; `ordinal` is the negative of theirs, a sum NaN from the first NaN on. */
template <Order kOrder>
HWY_INLINE V Pool(const float* upper, const float* lower, VI& ordinal, V& sum, V& other) {
  const D d;
  const DI di;
  const std::int64_t lanes = LaneCount(d);
  const auto load = [&](const float* from, V& seen) HWY_ATTR {
    const auto v = Turn<kOrder>(d, hn::LoadU(d, from));
    // Squares, so that infinities of both signs make no NaN.
    seen = hn::MulAdd(v, v, seen);
    return v;
  };
  const V a = load(upper, sum);
  const V b = load(upper + lanes, other);
  const V c = load(lower, sum);
  const V e = load(lower + lanes, other);
  const V first = Evens(a, b);
  const V second = Odds(a, b);
  const V third = Evens(c, e);
  const V fourth = Odds(c, e);
  // What is greater than an earlier tap, and not what equals it, wins.
  const V above = Greater(second, first);
  const V below = Greater(fourth, third);
  const auto right = hn::VecFromMask(di, hn::RebindMask(di, hn::Gt(second, first)));
  const auto below_right = hn::VecFromMask(di, hn::RebindMask(di, hn::Gt(fourth, third)));
  const auto lower_wins = hn::RebindMask(di, hn::Gt(below, above));
  const auto down = hn::VecFromMask(di, lower_wins);
  ordinal = hn::Add(hn::IfThenElse(lower_wins, below_right, right), hn::Add(down, down));
  return Greater(below, above);
}

/** How values are written, and the input is read. */
enum class Memory {
  cached,   ///< as it comes
  ahead,    ///< what is behind two rows of the input is asked for in time
  streamed  ///< so, and values, of whole cache lines, are written past the caches
};

/** Pools `rows` rows of `size` outputs, two vectors or more; whether they hold a NaN. */
template <Order kOrder, Memory kMemory>
HWY_NOINLINE bool PoolRows(PairWalk<float> walk, std::int64_t rows, std::int64_t size,
                           float* HWY_RESTRICT y, std::uint8_t* HWY_RESTRICT mask) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  const std::int64_t last = size - 2 * lanes;
  V sum = hn::Zero(d);
  V sum1 = hn::Zero(d);
  V sum2 = hn::Zero(d);
  V sum3 = hn::Zero(d);
  const auto store = [&](V v, float* HWY_RESTRICT to) HWY_ATTR {
    v = InOrder(Turn<kOrder>(d, v));
    if constexpr (kMemory == Memory::streamed) {
      hn::Stream(v, d, to);
    } else {
      hn::StoreU(v, d, to);
    }
  };
  for (; rows > 0; --rows, walk.advance(), y += size, mask += size) {
    const float* upper = walk.upper();
    const float* lower = walk.lower();
    for (std::int64_t o = 0;;) {
      if constexpr (kMemory != Memory::cached) AskAhead(upper + 4 * o, 8 * lanes);
      VI first = hn::Zero(DI());
      VI second = hn::Zero(DI());
      const V low = Pool<kOrder>(upper + 2 * o, lower + 2 * o, first, sum, sum1);
      const V high =
          Pool<kOrder>(upper + 2 * (o + lanes), lower + 2 * (o + lanes), second, sum2, sum3);
      store(low, y + o);
      store(high, y + o + lanes);
      StoreOrdinals(first, second, mask + o);
      if (o == last) break;
      // The last vectors overlap their neighbours.
      o = std::min(o + 2 * lanes, last);
    }
  }
  return !hn::AllFalse(d, hn::IsNaN(hn::Add(hn::Add(sum, sum1), hn::Add(sum2, sum3))));
}

template <Order kOrder>
void Run(const Pooling& p, Span items) {
  using S = Scan<float, std::uint8_t, kOrder>;
  const PlaneView view(p);
  const std::int64_t size = view.w.output;
  const PairRows rows(view, sizeof(float));
  const bool beyond = beyond_cache(p);
  const bool streamed = CanStream(p, size);
  const bool ahead = tensor_bytes(p) > std::min(kTouchBytes, last_level_cache_bytes());
  const std::int64_t staged = beyond ? rows.block() * size : 0;
  const Line<float> values(streamed ? 0 : staged);
  const Line<std::uint8_t> ordinals(staged);
  std::unique_ptr<PlanarScan<S>> scan;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const Span block = rows.rows(item);
    auto* const y = static_cast<float*>(p.output) + block.begin * size;
    auto* const mask = static_cast<std::uint8_t*>(p.mask) + block.begin * size;
    float* const to = beyond && !streamed ? values.get() : y;
    std::uint8_t* const at = beyond ? ordinals.get() : mask;
    const PairWalk<float> walk(static_cast<const float*>(p.input), view, block.begin);
    const auto pool = streamed ? PoolRows<kOrder, Memory::streamed>
                      : ahead  ? PoolRows<kOrder, Memory::ahead>
                               : PoolRows<kOrder, Memory::cached>;
    if (pool(walk, block.size(), size, to, at)) {
      if (!scan) scan = std::make_unique<PlanarScan<S>>(p, view);
      for (std::int64_t row = block.begin; row < block.end; ++row) {
        scan->Row(PairRows::item(view, row), {0, size});
      }
    } else if (beyond) {
      const std::int64_t count = block.size() * size;
      if (!streamed) {
        StreamBytes(reinterpret_cast<const std::uint8_t*>(to),
                    count * static_cast<std::int64_t>(sizeof(float)),
                    reinterpret_cast<std::uint8_t*>(y));
      }
      StreamBytes(at, count, mask);
    }
  }
}

inline void Maxima(const Pooling& p, Span items) { Run<Order::greater>(p, items); }
inline void Minima(const Pooling& p, Span items) { Run<Order::less>(p, items); }

}  // namespace position_pairs
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

// Two vectors of the widest tier that has code of its own.
constexpr std::int64_t kLeastOutputs = 16;
// A row of outputs at a time: their working memory stays small.
constexpr std::int64_t kMostOutputs = 4096;

bool accepts(const Pooling& p) {
  if (p.dtype != FPOOL_F32 || p.mask_type != MaskType::position_u8 || !PairRows::accepts(p)) {
    return false;
  }
  return p.geometry.w().output >= kLeastOutputs && p.geometry.w().output <= kMostOutputs;
}

std::int64_t items(const Pooling& p) { return PairRows(PlaneView(p), sizeof(float)).items(); }

}  // namespace

Kernel position_pairs_kernel(Operation operation) {
  if (operation == Operation::max_forward) {
    return {"position_pairs", accepts, items, FEATUREPOOL_TIERED_AVX2(position_pairs::Maxima)};
  }
  return {"position_pairs", accepts, items, FEATUREPOOL_TIERED_AVX2(position_pairs::Minima)};
}

}  // namespace featurepool
#endif
