// Windows that hold a whole plane: one run of elements where planes lie apart, one line of channels
// where they are interleaved.
#if defined(FEATUREPOOL_KERNELS_GLOBAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_GLOBAL_INL_H_
#undef FEATUREPOOL_KERNELS_GLOBAL_INL_H_
#else
#define FEATUREPOOL_KERNELS_GLOBAL_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Collects what the vectors of a pass may hold: nothing, of a reducer that is not watched. */
template <class R>
class Watch {
 public:
  HWY_INLINE Watch() : sum_(hn::Zero(typename R::D())), least_(hn::Zero(DI())) {}

  HWY_INLINE void See(hn::Vec<typename R::D> v) {
    if constexpr (R::kWatched) {
      sum_ = hn::Add(sum_, v);
      least_ = hn::Min(least_, R::Bits(typename R::D(), v));
    } else {
      (void)v;
    }
  }
  /** The same of four vectors: one link of the chain of additions. */
  HWY_INLINE void See(hn::Vec<typename R::D> a, hn::Vec<typename R::D> b, hn::Vec<typename R::D> c,
                      hn::Vec<typename R::D> e) {
    if constexpr (R::kWatched) {
      const typename R::D d;
      sum_ = hn::Add(sum_, hn::Add(hn::Add(a, b), hn::Add(c, e)));
      least_ = hn::Min(least_, hn::Min(hn::Min(R::Bits(d, a), R::Bits(d, b)),
                                       hn::Min(R::Bits(d, c), R::Bits(d, e))));
    } else {
      (void)a, (void)b, (void)c, (void)e;
    }
  }
  HWY_INLINE int found() const {
    if constexpr (R::kWatched) return Findings(typename R::D(), sum_, least_);
    return 0;
  }

 private:
  using DI = hn::RebindToSigned<typename R::D>;
  hn::Vec<typename R::D> sum_;
  hn::Vec<DI> least_;
};

// --- planar ---

// Planes whose results are handed on together.
constexpr std::int64_t kPlanesAtOnce = 64;

// Planes, or parts of a plane, that are combined at the same time: a single chain of additions
// would be slower than the loads.
constexpr int kChains = 4;

/** The combination of every 16 bytes of `v`. */
template <class R, class D>
HWY_INLINE auto CombineBlocks(D d, hn::Vec<D> v) {
  if constexpr (sizeof(typename R::Lane) * hn::MaxLanes(D()) > 16) {
    const hn::Half<D> half;
    return CombineBlocks<R>(half, R::Combine(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    (void)d;
    return v;
  }
}

/** to[0 ... 3] = combinations of the lanes of `a` to `e`. */
template <class R>
HWY_INLINE void StoreTotals(hn::Vec<typename R::D> a, hn::Vec<typename R::D> b,
                            hn::Vec<typename R::D> c, hn::Vec<typename R::D> e,
                            typename R::Lane* to) {
  using Lane = typename R::Lane;
  const typename R::D d;
  const hn::CappedTag<Lane, 16 / sizeof(Lane)> block;
  const auto pair = [&](auto x, auto y) HWY_ATTR {
    return R::Combine(hn::InterleaveLower(block, x, y), hn::InterleaveUpper(block, x, y));
  };
  const auto ab = pair(CombineBlocks<R>(d, a), CombineBlocks<R>(d, b));
  const auto ce = pair(CombineBlocks<R>(d, c), CombineBlocks<R>(d, e));
  if constexpr (sizeof(Lane) == 8) {
    hn::StoreU(ab, block, to);
    hn::StoreU(ce, block, to + 2);
  } else {
    // Lanes of the four side by side, then what is left of such groups of four.
    const hn::Repartition<hwy::MakeWide<hwy::MakeUnsigned<Lane>>, decltype(block)> pairs;
    const auto low = hn::BitCast(pairs, ab);
    const auto high = hn::BitCast(pairs, ce);
    auto all = R::Combine(hn::BitCast(block, hn::InterleaveLower(pairs, low, high)),
                          hn::BitCast(block, hn::InterleaveUpper(pairs, low, high)));
    if constexpr (sizeof(Lane) == 1) {
      const hn::Repartition<std::uint8_t, decltype(block)> bytes;
      const auto moved = [&]<int kBytes>() HWY_ATTR {
        return hn::BitCast(block, hn::ShiftRightBytes<kBytes>(bytes, hn::BitCast(bytes, all)));
      };
      all = R::Combine(all, moved.template operator()<8>());
      all = R::Combine(all, moved.template operator()<4>());
    }
    hn::StoreU(all, block, to);
  }
}

/** Reduces planes of `size` elements; `end` is that of the tensor. */
template <class R>
class PlaneReducer {
 public:
  using Element = typename R::Element;
  using D = typename R::D;
  using V = hn::Vec<D>;

  PlaneReducer(std::int64_t size, const Element* end)
      : size_(size),
        vectors_(size / LaneCount(D())),
        rest_(size - vectors_ * LaneCount(D())),
        end_(end) {}

  /** Results of kChains planes; `to` has room for 16 bytes. */
  HWY_INLINE void Reduce(const Element* const* planes, typename R::Lane* to,
                         Watch<R>* watch) const {
    const D d;
    const Element* x0 = planes[0];
    const Element* x1 = planes[1];
    const Element* x2 = planes[2];
    const Element* x3 = planes[3];
    V v0, v1, v2, v3;
    if (vectors_ == 0) {
      v0 = v1 = v2 = v3 = hn::Set(d, R::Identity());
    } else if (R::kIdempotent || vectors_ <= kLongestRun) {
      v0 = See(x0, watch[0]);
      v1 = See(x1, watch[1]);
      v2 = See(x2, watch[2]);
      v3 = See(x3, watch[3]);
      for (std::int64_t i = 1; i < vectors_; ++i) {
        const std::int64_t at = i * LaneCount(d);
        v0 = R::Combine(v0, See(x0 + at, watch[0]));
        v1 = R::Combine(v1, See(x1 + at, watch[1]));
        v2 = R::Combine(v2, See(x2 + at, watch[2]));
        v3 = R::Combine(v3, See(x3 + at, watch[3]));
      }
    } else {
      v0 = Sum(x0);
      v1 = Sum(x1);
      v2 = Sum(x2);
      v3 = Sum(x3);
    }
    if (rest_ > 0) {
      v0 = R::Combine(v0, Rest(x0, watch[0]));
      v1 = R::Combine(v1, Rest(x1, watch[1]));
      v2 = R::Combine(v2, Rest(x2, watch[2]));
      v3 = R::Combine(v3, Rest(x3, watch[3]));
    }
    StoreTotals<R>(v0, v1, v2, v3, to);
  }

 private:
  static constexpr std::int64_t kRun = kLongestRun;  // of a chain of a sum

  static HWY_INLINE V See(const Element* x, Watch<R>& watch) {
    const V v = R::Load(D(), x);
    watch.See(v);
    return v;
  }

  /** Vectors [i * kChains * kRun, (i + 1) * kChains * kRun) of a plane. */
  struct Part {
    const Element* x;
    HWY_INLINE V operator()(std::int64_t i) const {
      const D d;
      const std::int64_t lanes = LaneCount(d);
      const Element* from = x + i * kChains * kRun * lanes;
      auto v0 = R::Load(d, from);
      auto v1 = R::Load(d, from + lanes);
      auto v2 = R::Load(d, from + 2 * lanes);
      auto v3 = R::Load(d, from + 3 * lanes);
      for (std::int64_t r = 1; r < kRun; ++r) {
        from += kChains * lanes;
        v0 = R::Combine(v0, R::Load(d, from));
        v1 = R::Combine(v1, R::Load(d, from + lanes));
        v2 = R::Combine(v2, R::Load(d, from + 2 * lanes));
        v3 = R::Combine(v3, R::Load(d, from + 3 * lanes));
      }
      return R::Combine(R::Combine(v0, v1), R::Combine(v2, v3));
    }
  };

  struct Single {
    const Element* x;
    HWY_INLINE V operator()(std::int64_t i) const { return R::Load(D(), x + i * LaneCount(D())); }
  };

  /** The vectors of a long plane. */
  HWY_NOINLINE V Sum(const Element* x) const {
    constexpr std::int64_t kVectors = kChains * kRun;
    const std::int64_t parts = vectors_ / kVectors;
    const std::int64_t singles = vectors_ - parts * kVectors;
    V sum = hn::Zero(D());
    if (parts > 0) sum = CombineTaps<R>(Part{x}, parts);
    if (singles > 0) {
      const Single single{x + parts * kVectors * LaneCount(D())};
      sum = R::Combine(sum, CombineTaps<R>(single, singles));
    }
    return sum;
  }

  /** What is left behind the vectors of a plane, beside lanes that change nothing. */
  HWY_INLINE V Rest(const Element* x, Watch<R>& watch) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    if constexpr (R::kIdempotent) {
      if (vectors_ > 0) return See(x + size_ - lanes, watch);
    }
    const Element* from = x + vectors_ * lanes;
    V v = end_ - from >= lanes ? R::Load(d, from) : R::LoadPart(d, from, rest_);
    const V none = R::kIdempotent ? hn::Set(d, hn::GetLane(v)) : hn::Zero(d);
    v = hn::IfThenElse(hn::FirstN(d, static_cast<std::size_t>(rest_)), v, none);
    watch.See(v);
    return v;
  }

  const std::int64_t size_;
  const std::int64_t vectors_;  ///< whole vectors of a plane
  const std::int64_t rest_;     ///< elements behind them
  const Element* const end_;
};

/** Sum of bytes. */
template <typename T>
HWY_INLINE std::int32_t SumOfBytes(const T* x, std::int64_t size, const T* end) {
  const hn::ScalableTag<std::uint8_t> d;
  const hn::Repartition<std::uint64_t, decltype(d)> d64;
  const std::int64_t lanes = LaneCount(d);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(x);
  constexpr std::uint8_t kBias = std::is_signed_v<T> ? 0x80 : 0;
  const auto bias = hn::Set(d, kBias);
  auto sum = hn::Zero(d64);
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    sum = hn::Add(sum, hn::SumsOf8(hn::Xor(hn::LoadU(d, bytes + i), bias)));
  }
  if (i < size) {
    const auto v =
        end - x >= i + lanes ? hn::LoadU(d, bytes + i) : LoadPart(d, bytes + i, size - i);
    const auto rest = hn::FirstN(d, static_cast<std::size_t>(size - i));
    sum = hn::Add(sum, hn::SumsOf8(hn::IfThenElseZero(rest, hn::Xor(v, bias))));
  }
  const auto total = static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d64, sum)));
  return static_cast<std::int32_t>(total - kBias * size);
}

/**
 * Reduces whole planes.
 *
 * @param finish as that of ForwardRows(); it takes the results of some planes as a row
 * @param redo   called with planes that may hold what ReduceRows() notices, and what that is
 */
template <class R, class Finish, class Redo>
HWY_INLINE void ForwardPlane(const Pooling& p, Span items, Finish finish, const Redo& redo) {
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  const typename R::D d;
  const std::int64_t size = p.geometry.input_plane();
  const auto* x = static_cast<const Element*>(p.input);
  const Element* end = x + p.geometry.input_size();
  const PlaneReducer<R> reducer(size, end);
  const PlaneView view(p);
  HWY_ALIGN Lane totals[kPlanesAtOnce + 2 * hn::MaxLanes(d)] = {};
  finish.StartTile(view, {0, 1});
  finish.StartRow(view, 0, 0);
  for (std::int64_t first = items.begin; first < items.end; first += kPlanesAtOnce) {
    const std::int64_t count = std::min(kPlanesAtOnce, items.end - first);
    Watch<R> watch[kChains];
    for (std::int64_t i = 0; i < count; i += kChains) {
      // Beyond the last plane the first one again. Counted up: a product for each would take longer
      // than half of a small plane.
      const Element* const plane = x + (first + i) * size;
      const Element* planes[kChains] = {plane, plane, plane, plane};
      for (std::int64_t k = 1; k < std::min<std::int64_t>(kChains, count - i); ++k) {
        planes[k] = planes[k - 1] + size;
      }
      if constexpr (std::is_integral_v<Element> && !R::kIdempotent) {
        for (std::int64_t k = 0; k < kChains; ++k) totals[i + k] = SumOfBytes(planes[k], size, end);
      } else {
        reducer.Reduce(planes, totals + i, watch);
      }
    }
    WriteRow(d, finish, count, LineLoad<R>{totals}, static_cast<Element*>(p.output) + first);
    int found = 0;
    for (const Watch<R>& each : watch) found |= each.found();
    if (found != 0) redo(Span{first, first + count}, found);
  }
}

// --- interleaved ---

// Channels of an image that one item takes at most, and the fewest elements of a line: few channels
// lie in it several positions at a time.
constexpr std::int64_t kChannelsAtOnce = 2048;
constexpr std::int64_t kLeastLine = 256;

inline bool PositionsAccept(const Pooling& p) {
  return p.layout == Layout::interleaved && HoldsPlane(p);
}

inline std::int64_t PositionsItems(const Pooling& p) {
  const std::int64_t strips = (p.geometry.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  return p.geometry.batch * strips;
}

/** Reduces the positions of an interleaved image, or of a strip of its channels, into one line. */
template <class R>
class PositionReducer {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  using D = typename R::D;

  explicit PositionReducer(const Pooling& p)
      : channels_(p.geometry.channels),
        positions_(p.geometry.input_plane()),
        joined_(channels_ >= kLeastLine
                    ? 1
                    : std::min(positions_, (kLeastLine + channels_ - 1) / channels_)),
        pitch_(joined_ * channels_),
        rows_(positions_ / joined_),
        line_pitch_(std::min(pitch_, kChannelsAtOnce) + 2 * hn::MaxLanes(D())),
        end_(static_cast<const Element*>(p.input) + p.geometry.input_size()),
        lines_((R::kIdempotent ? 1 : 1 + std::bit_width(static_cast<std::uint64_t>(rows_))) *
               line_pitch_) {}

  /** `size` channels from `x` on; what they may hold is added to `found`. */
  const Lane* Reduce(const Element* x, std::int64_t size, int& found) const {
    const std::int64_t length = joined_ == 1 ? size : pitch_;
    found |= Rows(x, {0, rows_}, length, lines_.get());
    const std::int64_t rest = (positions_ - rows_ * joined_) * channels_;
    if (rest > 0) {
      const D d;
      Lane* behind = lines_.get() + rest;
      const auto kept = hn::LoadU(d, behind);
      found |= Add<true>(x + rows_ * pitch_, rest, lines_.get());
      hn::StoreU(kept, d, behind);
    }
    Fold(joined_);
    return lines_.get();
  }

 private:
  // Rows of a sum that are added to a line one after the other.
  static constexpr std::int64_t kRun = kLongestRun;

  /** line = combination of rows; a sum of many is one of two halves. */
  int Rows(const Element* x, Span rows, std::int64_t length, Lane* line) const {
    if (R::kIdempotent || rows.size() <= kRun) return Run(x, rows, length, line);
    const std::int64_t middle = rows.begin + rows.size() / 2;
    int found = Rows(x, {rows.begin, middle}, length, line);
    Lane* other = line + line_pitch_;
    found |= Rows(x, {middle, rows.end}, length, other);
    CombineLines<R>(line, other, length, line);
    return found;
  }

  // One row at a time: memory is read as one stream, and the line stays in the first-level cache.
  // Vectors of 64 bytes, a cache line each, take four: the line would cost as much as the rows.
  int Run(const Element* x, Span rows, std::int64_t length, Lane* line) const {
    int found = Add<false>(x + rows.begin * pitch_, length, line);
    std::int64_t r = rows.begin + 1;
    if constexpr (hn::MaxLanes(D()) * sizeof(Lane) >= 64) {
      for (; r + 4 <= rows.end; r += 4) found |= AddFour(x + r * pitch_, length, line);
    }
    for (; r < rows.end; ++r) found |= Add<true>(x + r * pitch_, length, line);
    return found;
  }

  /** Add<true>() of four rows, with the same results. */
  HWY_NOINLINE int AddFour(const Element* HWY_RESTRICT x, std::int64_t length,
                           Lane* HWY_RESTRICT line) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    Watch<R> watch;
    const auto add = [&](std::int64_t i, const auto& load) HWY_ATTR {
      const auto v0 = load(x + i);
      const auto v1 = load(x + pitch_ + i);
      const auto v2 = load(x + 2 * pitch_ + i);
      const auto v3 = load(x + 3 * pitch_ + i);
      watch.See(v0, v1, v2, v3);
      auto v = R::Combine(R::Combine(hn::LoadU(d, line + i), v0), v1);
      hn::StoreU(R::Combine(R::Combine(v, v2), v3), d, line + i);
    };
    std::int64_t i = 0;
    for (; i + lanes <= length; i += lanes) {
      add(i, [&](const Element* from) HWY_ATTR { return R::Load(d, from); });
    }
    if (i < length) {
      add(i, [&](const Element* from) HWY_ATTR {
        return end_ - from >= lanes ? R::Load(d, from) : R::LoadPart(d, from, length - i);
      });
    }
    return watch.found();
  }

  /** Combines a row with a line, or begins it; elements behind a row are read along, where there
   * are some. */
  template <bool kMore>
  HWY_NOINLINE int Add(const Element* HWY_RESTRICT x, std::int64_t length,
                       Lane* HWY_RESTRICT line) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t inside = end_ - x;
    const auto add = [&](hn::Vec<D> v, std::int64_t i) HWY_ATTR {
      if constexpr (kMore) v = R::Combine(hn::LoadU(d, line + i), v);
      hn::StoreU(v, d, line + i);
    };
    Watch<R> watch;
    std::int64_t i = 0;
    for (; i + 4 * lanes <= length; i += 4 * lanes) {
      const auto v0 = R::Load(d, x + i);
      const auto v1 = R::Load(d, x + i + lanes);
      const auto v2 = R::Load(d, x + i + 2 * lanes);
      const auto v3 = R::Load(d, x + i + 3 * lanes);
      watch.See(v0, v1, v2, v3);
      add(v0, i);
      add(v1, i + lanes);
      add(v2, i + 2 * lanes);
      add(v3, i + 3 * lanes);
    }
    for (; i < length; i += lanes) {
      const auto v = i + lanes <= inside ? R::Load(d, x + i) : R::LoadPart(d, x + i, length - i);
      watch.See(v);
      add(v, i);
    }
    return watch.found();
  }

  /** Makes the positions that lie in the line one. */
  void Fold(std::int64_t joined) const {
    Lane* line = lines_.get();
    while (joined > 1) {
      const std::int64_t left = (joined + 1) / 2 * channels_;
      FillLine(line + joined * channels_, LaneCount(D()), R::Identity());
      CombineLines<R>(line, line + left, joined * channels_ - left, line);
      joined = (joined + 1) / 2;
    }
  }

  const std::int64_t channels_;
  const std::int64_t positions_;
  const std::int64_t joined_;  ///< positions in a line
  const std::int64_t pitch_;   ///< elements between rows
  const std::int64_t rows_;
  const std::int64_t line_pitch_;
  const Element* const end_;
  const Line<Lane> lines_;
};

/**
 * ForwardPlane() of interleaved images.
 *
 * @param redo called with (image, channels, what their elements may hold)
 */
template <class R, class Finish, class Redo>
HWY_INLINE void ForwardPositions(const Pooling& p, Span items, Finish finish, const Redo& redo) {
  using Element = typename R::Element;
  const Geometry& g = p.geometry;
  const std::int64_t strips = PositionsItems(p) / g.batch;
  const PositionReducer<R> reducer(p);
  const PlaneView view(p);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / strips;
    const std::int64_t first = item % strips * kChannelsAtOnce;
    const std::int64_t size = std::min(kChannelsAtOnce, g.channels - first);
    const auto* x =
        static_cast<const Element*>(p.input) + image * g.input_plane() * g.channels + first;
    int found = 0;
    const auto* line = reducer.Reduce(x, size, found);
    finish.StartTile(view, {first, first + size});
    finish.StartRow(view, 0, 0);
    auto* y = static_cast<Element*>(p.output) + image * g.channels + first;
    WriteRow(typename R::D(), finish, size, LineLoad<R>{line}, y);
    if (found != 0) redo(image, Span{first, first + size}, found);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
