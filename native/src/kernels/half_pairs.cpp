// Maxima and minima of halves over planar windows of 2 by 2, 2 apart. What only selects need not
// leave 16 bits: lanes are integers in the order of the numbers, twice as many as of f32. Rows of
// outputs are taken in blocks, whatever plane they are of.

#include "kernels/half_pairs.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/pair_rows.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/half_pairs.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace half_pairs {

using Types = ElementTypes<hwy::float16_t, hwy::bfloat16_t>;
using D = hn::ScalableTag<std::int16_t>;
using V = hn::Vec<D>;

/** The bits of numbers as integers in their order, -0.0 (as -1) before +0.0, and back: all but the
 * sign of what is negative are flipped. */
HWY_INLINE V Ordered(V bits) {
  const D d;
  return hn::Xor(bits, hn::And(hn::BroadcastSignBit(bits), hn::Set(d, std::int16_t{0x7fff})));
}

/** What has been seen, in bits of memory but for `most`. */
struct Seen {
  V spread = hn::Zero(D());  ///< maxima: the greatest unsigned; minima: the greatest signed
  V least = hn::Zero(D());   ///< signed: that of -0.0 is the least there is
  V most = hn::Zero(D());    ///< the greatest lane of a result

  HWY_INLINE HWY_ATTR Seen() {}

  /** A NaN is beyond the infinity of its sign. One of them wins every window; of the other sign,
   * the bits are the greatest of all. */
  template <Order kOrder>
  HWY_INLINE int Findings(std::int16_t infinity) const {
    const D d;
    const auto limit = hn::Set(d, infinity);
    const auto lanes = kOrder == Order::greater ? hn::Not(Ordered(spread)) : spread;
    const auto nan = hn::Gt(hn::Max(lanes, most), limit);
    const auto lowest = hn::Set(d, std::numeric_limits<std::int16_t>::min());
    return (hn::AllFalse(d, nan) ? 0 : kHoldsNan) |
           (hn::AllFalse(d, hn::Eq(least, lowest)) ? 0 : kHoldsNegativeZero);
  }
};

/**
 * The greater (or less) of elements as lanes that are turned (see Turn()). Bits compare as signed
 * integers unless both numbers are negative, then the other way round as unsigned ones: so only the
 * winner has to be put in order.
 */
template <Order kOrder>
HWY_INLINE V Winner(V a, V b, Seen& seen) {
  const D d;
  const hn::RebindToUnsigned<D> du;
  const auto ua = hn::BitCast(du, a);
  const auto ub = hn::BitCast(du, b);
  const auto flip = hn::Set(d, std::int16_t{0x7fff});
  const auto low = hn::Min(a, b);
  const auto high = hn::Max(a, b);
  const auto far = hn::Max(ua, ub);
  seen.least = hn::Min(seen.least, low);
  if constexpr (kOrder == Order::greater) {
    seen.spread = hn::BitCast(d, hn::Max(hn::BitCast(du, seen.spread), far));
    const auto negative = hn::MaskFromVec(hn::BroadcastSignBit(high));
    return hn::IfThenElse(negative, hn::Xor(hn::BitCast(d, hn::Min(ua, ub)), flip), high);
  } else {
    seen.spread = hn::Max(seen.spread, high);
    const auto negative = hn::MaskFromVec(hn::BroadcastSignBit(hn::BitCast(d, far)));
    return hn::Not(hn::IfThenElse(negative, hn::Xor(hn::BitCast(d, far), flip), low));
  }
}

/** A vector of outputs, from the windows that begin at `upper` and `lower`. */
template <Order kOrder>
HWY_INLINE void Pool(const std::int16_t* upper, const std::int16_t* lower,
                     std::int16_t* HWY_RESTRICT to, Seen& seen) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  const V a = Winner<kOrder>(hn::LoadU(d, upper), hn::LoadU(d, lower), seen);
  const V b = Winner<kOrder>(hn::LoadU(d, upper + lanes), hn::LoadU(d, lower + lanes), seen);
  const V value = hn::Max(hn::ConcatEven(d, b, a), hn::ConcatOdd(d, b, a));
  seen.most = hn::Max(seen.most, value);
  hn::StoreU(Ordered(Turn<kOrder>(d, value)), d, to);
}

/** The outputs of a row, and room for what narrow rows at the end of the tensor hold. */
struct Row {
  std::int64_t size;
  const std::int16_t* end;  ///< of the tensor
  std::int16_t* spare;
  std::int16_t infinity;
};

/** Pools `rows` rows, of all planes one after another; `to` has room for a vector more. kAhead:
 * asks for the memory behind them in time. */
template <Order kOrder, bool kAhead>
HWY_NOINLINE int PoolRows(PairWalk<std::int16_t> walk, std::int64_t rows, const Row& row,
                          std::int16_t* HWY_RESTRICT to) {
  const std::int64_t lanes = LaneCount(D());
  const Row r = row;
  Seen seen;
  for (; rows > 0; --rows, walk.advance(), to += r.size) {
    const std::int16_t* upper = walk.upper();
    const std::int16_t* lower = walk.lower();
    if (r.size >= lanes) {
      std::int64_t o = 0;
      for (; o + lanes < r.size; o += lanes) {
        if constexpr (kAhead) AskAhead(upper + 4 * o, 4 * lanes);
        Pool<kOrder>(upper + 2 * o, lower + 2 * o, to + o, seen);
      }
      // The last vector overlaps its neighbour.
      o = r.size - lanes;
      Pool<kOrder>(upper + 2 * o, lower + 2 * o, to + o, seen);
    } else if (r.end - lower >= 2 * lanes) {
      // What is behind the row counts for nothing.
      Pool<kOrder>(upper, lower, to, seen);
    } else {
      const auto bytes = static_cast<std::size_t>(2 * r.size) * sizeof(std::int16_t);
      std::memcpy(r.spare, upper, bytes);
      std::memcpy(r.spare + 2 * lanes, lower, bytes);
      Pool<kOrder>(r.spare, r.spare + 2 * lanes, to, seen);
    }
  }
  return seen.template Findings<kOrder>(r.infinity);
}

template <Order kOrder, class Redo>
void Run(const Pooling& p, Span items, const Redo& redo) {
  const PlaneView view(p);
  const std::int64_t lanes = LaneCount(D());
  const std::int64_t size = view.w.output;
  const PairRows rows(view, sizeof(std::int16_t));
  const Line<std::int16_t> spare(4 * lanes);
  const Line<std::int16_t> staged(rows.block() * size);
  std::fill_n(spare.get(), 4 * lanes, std::int16_t{0});
  const auto* x = static_cast<const std::int16_t*>(p.input);
  const Row row{size, x + p.geometry.input_size(), spare.get(),
                static_cast<std::int16_t>(p.dtype == FPOOL_F16 ? 0x7c00 : 0x7f80)};
  const bool stream = beyond_cache(p);
  const bool ahead = tensor_bytes(p) > std::min(kTouchBytes, last_level_cache_bytes());
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const Span block = rows.rows(item);
    std::int16_t* const out = static_cast<std::int16_t*>(p.output) + block.begin * size;
    const bool direct = !stream && size >= lanes;
    std::int16_t* const to = direct ? out : staged.get();
    const PairWalk<std::int16_t> walk(x, view, block.begin);
    const int findings = ahead ? PoolRows<kOrder, true>(walk, block.size(), row, to)
                               : PoolRows<kOrder, false>(walk, block.size(), row, to);
    const auto bytes = block.size() * size * static_cast<std::int64_t>(sizeof(std::int16_t));
    if (stream) {
      StreamBytes(reinterpret_cast<const std::uint8_t*>(staged.get()), bytes,
                  reinterpret_cast<std::uint8_t*>(out));
    } else if (!direct) {
      std::memcpy(out, staged.get(), static_cast<std::size_t>(bytes));
    }
    if (findings == 0) continue;
    for (std::int64_t r = block.begin; r < block.end; ++r) {
      const int found = PoolRows<kOrder, false>({x, view, r}, 1, row, staged.get());
      if (found != 0) redo(PairRows::item(view, r), Span{0, size}, found);
    }
  }
}

template <Order kOrder>
void Extremes(const Pooling& p, Span items) {
  Types::with(p, [&]<typename T>() { Run<kOrder>(p, items, extremes::Redo<T, kOrder>(p)); });
}

inline void Maxima(const Pooling& p, Span items) { Extremes<Order::greater>(p, items); }
inline void Minima(const Pooling& p, Span items) { Extremes<Order::less>(p, items); }

}  // namespace half_pairs
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;  // the functions that decide are the same in every tier

// A row of outputs at a time: their working memory stays small.
constexpr std::int64_t kMostOutputs = 4096;

bool accepts(const Pooling& p) {
  return half_pairs::Types::has(p) && p.mask_type == MaskType::none && PairRows::accepts(p) &&
         p.geometry.w().output > 1 && p.geometry.w().output <= kMostOutputs;
}

std::int64_t items(const Pooling& p) {
  return PairRows(PlaneView(p), sizeof(std::int16_t)).items();
}

}  // namespace

Kernel half_pairs_kernel(Operation operation) {
  if (operation == Operation::max_forward) {
    return {"half_pairs", accepts, items, FEATUREPOOL_TIERED_AVX2(half_pairs::Maxima)};
  }
  return {"half_pairs", accepts, items, FEATUREPOOL_TIERED_AVX2(half_pairs::Minima)};
}

}  // namespace featurepool
#endif
