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

/** Maxima over bins, with their positions: exact for ties, signed zeros and NaN. */
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
        rows_(view_),
        values_(LongestBinLine(view_, tiles_)),
        ranks_(LongestBinLine(view_, tiles_)),
        best_(tiles_.tile),
        at_(tiles_.tile) {}

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
    ReduceColumns(count, columns.size());
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      Reduce(BinOf(view_.w, o), columns.begin, o - outputs.begin);
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
        firsts_.push_back(S::kFlat ? (d * view_.h.input + h) * view_.w.input
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
   * the least column; of NaNs the last. Ranks of bytes without a mask may have wrapped, but there
   * is nothing to tell equal bytes apart.
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
    best_[o] = best;
    const std::int64_t first = firsts_[static_cast<std::size_t>(rank)];
    at_[o] = static_cast<Index>(first + (S::kFlat ? column : column - bin.begin));
  }

  void Write(std::int64_t to, std::int64_t size) {
    const typename S::D d;
    const typename S::DI di;
    auto* y = static_cast<Element*>(p_.output) + to;
    for (std::int64_t o = 0; o < size; o += LaneCount(d)) {
      S::Store(d, hn::LoadU(d, best_.get() + o), y + o, size - o);
    }
    if (p_.mask_type == MaskType::none) return;
    auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
    for (std::int64_t o = 0; o < size; o += LaneCount(di)) {
      S::StoreMask(di, hn::LoadU(di, at_.get() + o), mask + o, size - o);
    }
  }

  const Pooling& p_;
  const PlaneView view_;
  const RowTiles tiles_;
  WindowRows<Element> rows_;
  std::vector<std::int64_t> firsts_;
  const Line<Lane> values_;
  const Line<Index> ranks_;
  const Line<Lane> best_;
  const Line<Index> at_;
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
