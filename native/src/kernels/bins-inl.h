// Bins of planar tensors: the rows of a bin are reduced vertically into one line, lanes along W;
// then, as bins begin and end anywhere, each output reduces its own part of the line.
#if defined(FEATUREPOOL_KERNELS_BINS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_BINS_INL_H_
#undef FEATUREPOOL_KERNELS_BINS_INL_H_
#else
#define FEATUREPOOL_KERNELS_BINS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/scan-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** The input positions of output `o` of an axis of bins, or of unclipped windows. */
inline Span BinOf(const Axis& axis, std::int64_t o) {
  if (axis.bins != nullptr) return axis.bins[o];
  return {axis.start(o), axis.start(o) + axis.kernel};
}

/** Input columns of a tile of outputs: begins and ends of bins ascend. */
inline Span BinColumns(const Axis& w, const Span& outputs) {
  return {BinOf(w, outputs.begin).begin, BinOf(w, outputs.end - 1).end};
}

inline RowTiles BinTiles(const PlaneView& view) {
  // As many outputs as have a line that stays in the first-level cache, if bins were even.
  const double step = static_cast<double>(view.w.input) / static_cast<double>(view.w.output);
  const auto outputs = static_cast<std::int64_t>(static_cast<double>(kTileElements) / step);
  return {view.d.output, view.h.output, view.w.output,
          whole_cache_lines(std::min(outputs, kTileElements))};
}

/** Longest line of any tile. */
inline std::int64_t LongestBinLine(const PlaneView& view, const RowTiles& tiles) {
  std::int64_t longest = 0;
  for (std::int64_t o = 0; o < view.w.output; o += tiles.tile) {
    const Span outputs{o, std::min(view.w.output, o + tiles.tile)};
    longest = std::max(longest, BinColumns(view.w, outputs).size());
  }
  return longest;
}

inline bool BinsAccept(const Pooling& p) {
  const Geometry& g = p.geometry;
  if (p.layout != Layout::planar || !g.binned()) return false;
  for (const Axis& axis : g.axes) {
    // Beside an axis of bins, others may be windows, where bins are even.
    if (axis.bins == nullptr && !(axis.whole() && axis.dilation == 1)) return false;
  }
  return g.w().kernel <= kMostReach && g.d().kernel * g.h().kernel <= kMostRows;
}

inline std::int64_t BinItems(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, BinTiles(view));
}

/** The maximum of a contiguous run of elements, turned, and its position. */
template <class S>
struct RunMaximum {
  typename S::Lane value;
  std::int64_t position = 0;

  RunMaximum(const typename S::Element* HWY_RESTRICT x, std::int64_t size)
      : value(hn::GetLane(S::Load(typename S::D(), x, size))) {
    using Index = typename S::Index;
    const typename S::D d;
    const typename S::DI di;
    const std::int64_t lanes = LaneCount(d);
    // As many vectors at a time as lanes can number.
    constexpr std::int64_t kMost = sizeof(Index) == 1 ? 255 : std::numeric_limits<Index>::max();
    HWY_ALIGN typename S::Lane values[hn::MaxLanes(d)];
    HWY_ALIGN Index vectors[hn::MaxLanes(di)];
    std::int64_t begin = 0;
    while (begin + lanes <= size) {
      const std::int64_t count = std::min((size - begin) / lanes, kMost);
      auto best = S::Load(d, x + begin, lanes);
      auto at = hn::Zero(di);
      for (std::int64_t i = 1; i < count; ++i) {
        S::template Take<true>(d, di, S::Load(d, x + begin + i * lanes, lanes),
                               hn::Set(di, static_cast<Index>(i)), best, at);
      }
      hn::Store(best, d, values);
      hn::Store(at, di, vectors);
      for (std::int64_t lane = 0; lane < lanes; ++lane) {
        Consider(values[lane], begin + static_cast<std::int64_t>(vectors[lane]) * lanes + lane);
      }
      begin += count * lanes;
    }
    if (begin < size) {
      hn::Store(S::Load(d, x + begin, size - begin), d, values);
      for (std::int64_t lane = 0; begin + lane < size; ++lane) Consider(values[lane], begin + lane);
    }
  }

 private:
  HWY_INLINE void Consider(typename S::Lane v, std::int64_t at) {
    const bool nan = v != v && (value == value || at > position);
    if (!(v > value || (v == value && at < position) || nan)) return;
    value = v;
    position = at;
  }
};

/** Maxima of whole planes with their positions, which within plane and window are the same. */
template <class S>
HWY_INLINE void PlanePositions(const Pooling& p, Span items) {
  const std::int64_t size = p.geometry.input_plane();
  const auto* x = static_cast<const typename S::Element*>(p.input);
  auto* y = static_cast<typename S::Element*>(p.output);
  const typename S::D d;
  for (std::int64_t plane = items.begin; plane < items.end; ++plane) {
    const RunMaximum<S> maximum(x + plane * size, size);
    S::Store(d, hn::Set(d, maximum.value), y + plane, 1);
    if (p.mask_type == MaskType::plane_i32) {
      static_cast<std::int32_t*>(p.mask)[plane] = static_cast<std::int32_t>(maximum.position);
    } else {
      static_cast<std::uint8_t*>(p.mask)[plane] = static_cast<std::uint8_t>(maximum.position);
    }
  }
}

// From this many columns on, a bin of a single row is reduced where it lies.
constexpr std::int64_t kLeastRun = 64;

/**
 * Maxima over bins, with their positions: exact for ties, signed zeros and NaN. Rows are told apart
 * by their rank, so lanes are as narrow as the elements, whatever the mask; see RanksFit().
 */
template <class S>
class BinScan {
 public:
  using Element = typename S::Element;
  using Lane = typename S::Lane;
  using Index = typename S::Index;

  explicit BinScan(const Pooling& p)
      : p_(p),
        view_(p),
        tiles_(BinTiles(view_)),
        flat_(p.mask_type == MaskType::plane_i32),
        rows_(view_),
        values_(LongestBinLine(view_, tiles_)),
        ranks_(LongestBinLine(view_, tiles_)),
        best_(tiles_.tile),
        at_(tiles_.tile) {}

  /** Whether lanes hold the rank of every row of a bin; without a mask, nothing tells equal
   * integers apart. */
  static bool RanksFit(const Pooling& p) {
    return p.mask_type == MaskType::none || sizeof(Index) > 1 ||
           p.geometry.d().kernel * p.geometry.h().kernel <= std::numeric_limits<Index>::max();
  }

  void Run(Span items) {
    RowTiles::Item item = tiles_.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles_.advance(item)) {
      Tile(item, tiles_.columns(item));
    }
  }

 private:
  void Tile(const RowTiles::Item& item, const Span& outputs) {
    const Span columns = BinColumns(view_.w, outputs);
    const Element* x = static_cast<const Element*>(p_.input) + item.plane * view_.input_plane();
    const std::int64_t count = rows_.List(x, item.d, item.h, columns.begin);
    ListPositions(item);
    if (count == 1 && view_.w.kernel >= kLeastRun) {
      for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
        const Span bin = BinOf(view_.w, o);
        const RunMaximum<S> maximum(rows_.data()[0] + bin.begin - columns.begin, bin.size());
        Keep(o - outputs.begin, maximum.value, 0, bin, bin.begin + maximum.position);
      }
    } else {
      ReduceColumns(count, columns.size());
      for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
        Reduce(BinOf(view_.w, o), columns.begin, o - outputs.begin);
      }
    }
    Write(OutputOffset(view_, item, outputs.begin), outputs.size());
  }

  /** Position of column 0, or of tap 0, of each row of a bin. */
  void ListPositions(const RowTiles::Item& item) {
    firsts_.clear();
    const Span depth = BinOf(view_.d, item.d);
    const Span height = BinOf(view_.h, item.h);
    for (std::int64_t d = depth.begin; d < depth.end; ++d) {
      for (std::int64_t h = height.begin; h < height.end; ++h) {
        firsts_.push_back(flat_ ? (d * view_.h.input + h) * view_.w.input
                                : ((d - depth.begin) * view_.h.kernel + h - height.begin) *
                                      view_.w.kernel);
      }
    }
  }

  /** The maximum of each column, and the rank of its row. */
  void ReduceColumns(std::int64_t count, std::int64_t size) {
    const typename S::D d;
    const typename S::DI di;
    const std::int64_t lanes = LaneCount(d);
    const Element* const* rows = rows_.data();
    for (std::int64_t i = 0; i < size; i += lanes) {
      if (size >= lanes) i = std::min(i, size - lanes);
      auto best = S::Load(d, rows[0] + i, size - i);
      auto at = hn::Zero(di);
      for (std::int64_t r = 1; r < count; ++r) {
        S::template Take<true>(d, di, S::Load(d, rows[r] + i, size - i),
                               hn::Set(di, static_cast<Index>(r)), best, at);
      }
      hn::StoreU(best, d, values_.get() + i);
      hn::StoreU(at, di, ranks_.get() + i);
    }
  }

  /**
   * The first maximum of a bin in row-major order: of equal ones that of the least rank, then of
   * the least column; of NaNs the last.
   */
  HWY_INLINE void Reduce(const Span& bin, std::int64_t from, std::int64_t o) {
    const Lane* HWY_RESTRICT values = values_.get() - from;
    const Index* HWY_RESTRICT ranks = ranks_.get() - from;
    Lane best = values[bin.begin];
    Index rank = ranks[bin.begin];
    std::int64_t column = bin.begin;
    for (std::int64_t i = bin.begin + 1; i < bin.end; ++i) {
      const Lane v = values[i];
      const bool nan = v != v && (best == best || ranks[i] >= rank);
      if (!(v > best || (v == best && ranks[i] < rank) || nan)) continue;
      best = v;
      rank = ranks[i];
      column = i;
    }
    Keep(o, best, static_cast<std::size_t>(rank), bin, column);
  }

  HWY_INLINE void Keep(std::int64_t o, Lane best, std::size_t rank, const Span& bin,
                       std::int64_t column) {
    best_[o] = best;
    at_[o] = static_cast<std::int32_t>(firsts_[rank] + (flat_ ? column : column - bin.begin));
  }

  void Write(std::int64_t to, std::int64_t size) {
    const typename S::D d;
    auto* y = static_cast<Element*>(p_.output) + to;
    for (std::int64_t o = 0; o < size; o += LaneCount(d)) {
      S::Store(d, hn::LoadU(d, best_.get() + o), y + o, size - o);
    }
    if (flat_) {
      std::copy_n(at_.get(), size, static_cast<std::int32_t*>(p_.mask) + to);
    } else if (p_.mask_type == MaskType::position_u8) {
      const auto narrow = [](std::int32_t at) { return static_cast<std::uint8_t>(at); };
      std::transform(at_.get(), at_.get() + size, static_cast<std::uint8_t*>(p_.mask) + to, narrow);
    }
  }

  const Pooling& p_;
  const PlaneView view_;
  const RowTiles tiles_;
  const bool flat_;
  WindowRows<Element> rows_;
  std::vector<std::int64_t> firsts_;
  const Line<Lane> values_;  ///< the maximum of each column of a row of bins
  const Line<Index> ranks_;  ///< the rank of its row
  const Line<Lane> best_;
  const Line<std::int32_t> at_;
};

/** Sum of `size` lanes of a line: of a few in f64, of many by vectors. */
template <class R>
HWY_INLINE typename R::Lane SumOfRun(const typename R::Lane* HWY_RESTRICT line, std::int64_t size) {
  using Lane = typename R::Lane;
  using Wide = std::conditional_t<std::is_floating_point_v<Lane>, double, Lane>;
  const typename R::D d;
  const std::int64_t lanes = LaneCount(d);
  Wide sum = 0;
  const std::int64_t vectors = size < 4 * lanes ? 0 : size / lanes;
  if (vectors > 0) {
    HWY_ALIGN Lane lane[hn::MaxLanes(d)];
    const auto load = [&](std::int64_t i) HWY_ATTR { return hn::LoadU(d, line + i * lanes); };
    hn::Store(CombineHalves<R>(load, 0, vectors), d, lane);
    for (std::int64_t i = 0; i < lanes; ++i) sum += lane[i];
  }
  for (std::int64_t i = vectors * lanes; i < size; ++i) sum += line[i];
  return static_cast<Lane>(sum);
}

/** Sums over bins, handed to `finish` as ForwardRows() does. */
template <class R, class Finish>
HWY_INLINE void SumBins(const Pooling& p, Span items, Finish finish) {
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  const typename R::D d;
  const PlaneView view(p);
  const RowTiles tiles = BinTiles(view);
  WindowRows<Element> rows(view);
  const Line<Lane> line(LongestBinLine(view, tiles));
  const Line<Lane> sums(tiles.tile);
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span outputs = tiles.columns(item);
    const Span columns = BinColumns(view.w, outputs);
    if (item.tile != started) finish.StartTile(view, outputs);
    started = item.tile;
    finish.StartRow(view, item.d, item.h);
    const Element* x = static_cast<const Element*>(p.input) + item.plane * view.input_plane();
    const std::int64_t count = rows.List(x, item.d, item.h, columns.begin);
    ReduceRows<R>(rows.data(), count, columns.size(), line.get());
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const Span bin = BinOf(view.w, o);
      sums[o - outputs.begin] = SumOfRun<R>(line.get() + bin.begin - columns.begin, bin.size());
    }
    WriteRow(d, finish, outputs.size(), LineLoad<R>{sums.get()},
             static_cast<Element*>(p.output) + OutputOffset(view, item, outputs.begin));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
