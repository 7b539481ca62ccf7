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

/** Rows of outputs and the input rows under them. */
struct Rows {
  const std::int16_t* x;    ///< first row of the tensor
  const std::int16_t* end;  ///< of the tensor
  std::int64_t width;       ///< elements of an input row
  std::int64_t plane;       ///< elements of an input plane
  std::int64_t height;      ///< output rows of a plane
  std::int64_t size;        ///< outputs of a row
  std::int16_t infinity;
  std::int16_t* spare;  ///< room for what narrow rows at the end of the tensor hold

  const std::int16_t* input(std::int64_t row) const {
    return x + row / height * plane + row % height * 2 * width;
  }
};

/** Pools rows, of all planes one after another; `to` has room for a vector more. kAhead: asks for
 * the memory behind them in time. */
template <Order kOrder, bool kAhead>
HWY_NOINLINE int PoolRows(const Rows& of, Span rows, std::int16_t* HWY_RESTRICT to) {
  const std::int64_t lanes = LaneCount(D());
  const Rows r = of;
  Seen seen;
  const std::int16_t* upper = r.input(rows.begin);
  std::int64_t left = r.height - rows.begin % r.height;
  for (std::int64_t row = rows.begin; row < rows.end; ++row, to += r.size) {
    const std::int16_t* lower = upper + r.width;
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
    upper += 2 * r.width;
    if (--left == 0) {
      left = r.height;
      upper = r.input(row + 1);
    }
  }
  return seen.template Findings<kOrder>(r.infinity);
}

// A block's input stays in the first-level cache, with its outputs.
constexpr std::int64_t kInputBytes = 16 << 10;

/** Rows of outputs in a block; a multiple of what makes whole cache lines, if it is many. */
inline std::int64_t BlockHeight(const PlaneView& view) {
  const auto pair = 2 * view.w.input * static_cast<std::int64_t>(sizeof(std::int16_t));
  const std::int64_t rows = std::max<std::int64_t>(1, kInputBytes / pair);
  return rows < 8 ? rows : rows / 8 * 8;
}

inline std::int64_t AllRows(const PlaneView& view) {
  return view.planes * view.d.output * view.h.output;
}

template <Order kOrder, class Redo>
void Run(const Pooling& p, Span items, const Redo& redo) {
  const PlaneView view(p);
  const std::int64_t lanes = LaneCount(D());
  const std::int64_t height = BlockHeight(view);
  const std::int64_t size = view.w.output;
  const Line<std::int16_t> spare(4 * lanes);
  const Line<std::int16_t> staged(height * size);
  std::fill_n(spare.get(), 4 * lanes, std::int16_t{0});
  Rows rows;
  rows.x = static_cast<const std::int16_t*>(p.input);
  rows.end = rows.x + p.geometry.input_size();
  rows.width = view.w.input;
  rows.plane = view.h.input * view.w.input;
  rows.height = view.h.output;
  rows.size = size;
  rows.infinity = p.dtype == FPOOL_F16 ? 0x7c00 : 0x7f80;
  rows.spare = spare.get();
  const bool stream = beyond_cache(p);
  const bool ahead = tensor_bytes(p) > std::min(kTouchBytes, last_level_cache_bytes());
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const Span block{item * height, std::min(AllRows(view), (item + 1) * height)};
    const std::int64_t count = block.size() * size;
    std::int16_t* const out = static_cast<std::int16_t*>(p.output) + block.begin * size;
    const bool direct = !stream && size >= lanes;
    std::int16_t* const to = direct ? out : staged.get();
    const int findings =
        ahead ? PoolRows<kOrder, true>(rows, block, to) : PoolRows<kOrder, false>(rows, block, to);
    const auto bytes = count * static_cast<std::int64_t>(sizeof(std::int16_t));
    if (stream) {
      StreamBytes(reinterpret_cast<const std::uint8_t*>(staged.get()), bytes,
                  reinterpret_cast<std::uint8_t*>(out));
    } else if (!direct) {
      std::memcpy(out, staged.get(), static_cast<std::size_t>(bytes));
    }
    if (findings == 0) continue;
    for (std::int64_t row = block.begin; row < block.end; ++row) {
      const int found = PoolRows<kOrder, false>(rows, {row, row + 1}, staged.get());
      if (found == 0) continue;
      const std::int64_t slice = row / view.h.output;
      redo(RowTiles::Item{slice / view.d.output, 0, slice % view.d.output, row % view.h.output},
           Span{0, size}, found);
    }
  }
}

template <Order kOrder>
void Extremes(const Pooling& p, Span items) {
  Types::with(p, [&]<typename T>() { Run<kOrder>(p, items, extremes::Redo<T, kOrder>(p)); });
}

void Maxima(const Pooling& p, Span items) { Extremes<Order::greater>(p, items); }
void Minima(const Pooling& p, Span items) { Extremes<Order::less>(p, items); }

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
  if (!half_pairs::Types::has(p) || p.mask_type != MaskType::none || p.layout != Layout::planar ||
      p.geometry.binned()) {
    return false;
  }
  const Axis& depth = p.geometry.d();
  const auto pairs = [](const Axis& axis) {
    return axis.kernel == 2 && axis.stride == 2 && axis.dilation == 1 && axis.whole();
  };
  return pairs(p.geometry.h()) && pairs(p.geometry.w()) && depth.kernel == 1 &&
         depth.output == depth.input && depth.whole() && p.geometry.w().output > 1 &&
         p.geometry.w().output <= kMostOutputs;
}

std::int64_t items(const Pooling& p) {
  const PlaneView view(p);
  const std::int64_t height = half_pairs::BlockHeight(view);
  return (half_pairs::AllRows(view) + height - 1) / height;
}

}  // namespace

Kernel half_pairs_kernel(Operation operation) {
  if (operation == Operation::max_forward) {
    return {"half_pairs",
            accepts,
            items,
            {nullptr, HWY_CHOOSE_AVX2(half_pairs::Maxima), HWY_CHOOSE_AVX2(half_pairs::Maxima),
             HWY_CHOOSE_NEON(half_pairs::Maxima)}};
  }
  return {"half_pairs",
          accepts,
          items,
          {nullptr, HWY_CHOOSE_AVX2(half_pairs::Minima), HWY_CHOOSE_AVX2(half_pairs::Minima),
           HWY_CHOOSE_NEON(half_pairs::Minima)}};
}

}  // namespace featurepool
#endif
