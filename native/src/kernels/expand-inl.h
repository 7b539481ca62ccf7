// Gradients of windows that share no input: every element of dx belongs to one
// output at most, so it is written once, straight from registers.
#if defined(FEATUREPOOL_KERNELS_EXPAND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_EXPAND_INL_H_
#undef FEATUREPOOL_KERNELS_EXPAND_INL_H_
#else
#define FEATUREPOOL_KERNELS_EXPAND_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "hwy/highway.h"
#include "kernels/gradients-inl.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** The output whose window holds input position `i`, and through which tap; tap -1: none does. */
inline Covering OwnerOf(const Axis& axis, std::int64_t i) {
  const std::int64_t output = (i + axis.pad_begin) / axis.stride;
  const std::int64_t reach = (i + axis.pad_begin) % axis.stride;
  const std::int64_t tap = reach / axis.dilation;
  if (output >= axis.output || reach % axis.dilation != 0 || tap >= axis.kernel) return {0, -1};
  return {output, tap};
}

/** What expanding goes by: runs of dx that repeat, in the order of the memory. */
struct ExpandPlan {
  const Geometry& g;
  std::int64_t channels;      ///< neighbours in memory: 1, or those of an interleaved tensor
  std::int64_t blocks;        ///< planes, or interleaved images
  std::int64_t row;           ///< elements of a row of dx
  std::int64_t plane;         ///< elements of a plane of dx
  std::int64_t output_row;    ///< elements of a row of dy
  std::int64_t output_plane;  ///< elements of a plane of dy
  std::int64_t run_planes;    ///< small planes: how many make a run; 0: rows are runs
  std::int64_t tile;          ///< elements of a row that make a run

  explicit ExpandPlan(const Pooling& p)
      : g(p.geometry),
        channels(p.layout == Layout::planar ? 1 : g.channels),
        blocks(p.layout == Layout::planar ? g.planes() : g.batch),
        row(g.w().input * channels),
        plane(g.input_plane() * channels),
        output_row(g.w().output * channels),
        output_plane(g.output_plane() * channels) {
    // A vector that runs from one row into the next takes from one vector of
    // outputs only if a row of outputs is short.
    constexpr std::int64_t kSmallPlane = 1024;
    constexpr std::int64_t kShortRow = 8;
    run_planes = 0;
    if (plane <= kSmallPlane && output_row <= kShortRow) {
      // Whole vectors, and enough of them that beginning a run costs nothing.
      constexpr std::int64_t kLeastRun = 256;
      constexpr std::int64_t kVector = 16;
      run_planes = kVector / std::gcd(plane, kVector);
      run_planes *= (kLeastRun + run_planes * plane - 1) / (run_planes * plane);
      run_planes = std::min(run_planes, blocks);
    }
    // Tiles begin at the same phase of the windows, and where they can at a
    // cache line.
    constexpr std::int64_t kTile = 1024;
    constexpr std::int64_t kCacheLine = 64;
    const std::int64_t step = g.w().stride * channels;
    const std::int64_t lines = std::lcm(step, kCacheLine);
    const std::int64_t unit = lines <= kTile ? lines : step;
    tile = std::min(row, unit * std::max<std::int64_t>(1, kTile / unit));
  }

  /** Whether runs begin and end where streaming stores can. */
  bool can_stream(const Pooling& p) const {
    const std::int64_t element = dtype_size(p.dtype);
    const auto whole = [&](std::int64_t elements) { return elements * element % 64 == 0; };
    return stream_gradients(p) && reinterpret_cast<std::uintptr_t>(p.output) % 64 == 0 &&
           (run_planes > 0 ? whole(run_planes * plane) : whole(row) && whole(tile));
  }

  RowTiles tiles() const { return {g.d().input, g.h().output, row, tile}; }

  std::int64_t items() const {
    if (run_planes == 0) return item_count(blocks, tiles());
    return (blocks + run_planes - 1) / run_planes;
  }
};

// Interleaved tensors of more channels have whole vectors of them at every
// position.
constexpr std::int64_t kMostExpandedChannels = 7;

inline bool ExpandAccept(const Pooling& p) {
  if (p.geometry.binned()) return false;
  if (p.layout == Layout::interleaved && p.geometry.channels > kMostExpandedChannels) return false;
  for (const Axis& axis : p.geometry.axes) {
    if (axis.reach() > axis.stride) return false;
  }
  return p.geometry.w().stride <= kTileElements;
}

inline std::int64_t ExpandItems(const Pooling& p) { return ExpandPlan(p).items(); }

/** For each vector of a run: the outputs that it takes from, which of them each lane takes, and
 * a number for each lane. */
template <typename Lane>
class ExpandTable {
 public:
  using D = hn::ScalableTag<Lane>;
  using DI = hn::RebindToSigned<D>;
  using Index = hn::TFromD<DI>;
  /** What Build() asks for of an element; `output` -1: none. */
  struct Source {
    std::int64_t output;
    std::int64_t number;
  };

  explicit ExpandTable(std::int64_t most)
      : index_(most + LaneCount(D())), number_(most + LaneCount(D())), second_(LaneCount(D())) {}

  /** Makes the table of `size` elements; those of no output have the number `none`. */
  template <class SourceOf>
  void Build(std::int64_t size, std::int64_t none, const SourceOf& source_of) {
    const std::int64_t lanes = LaneCount(D());
    size_ = size;
    most_from_ = 0;
    from_.clear();
    for (std::int64_t at = 0; at < size; at += lanes) {
      const std::int64_t begin = Begin(at);
      Index* const index = index_.get() + at;
      Index* const number = number_.get() + at;
      std::int64_t least = kScattered;
      std::int64_t most = 0;
      for (std::int64_t i = 0; i < lanes; ++i) {
        const Source source = begin + i < size ? source_of(begin + i) : Source{-1, none};
        index[i] = static_cast<Index>(source.output);
        number[i] = static_cast<Index>(source.output < 0 ? none : source.number);
        if (source.output < 0) continue;
        least = std::min(least, source.output);
        most = std::max(most, source.output);
      }
      if (least == kScattered) least = 0;
      const bool close = most - least < lanes;
      for (std::int64_t i = 0; i < lanes; ++i) {
        index[i] = index[i] < 0 ? 0 : static_cast<Index>(index[i] - (close ? least : 0));
      }
      from_.push_back(close ? least : kScattered);
      most_from_ = std::max(most_from_, from_.back());
    }
    FindPairs();
  }

  /** What the loop over vectors reads. */
  struct View {
    const std::int64_t* from;
    const Index* index;
    const Index* number;

    HWY_INLINE hn::Vec<DI> Indices(std::int64_t at) const { return hn::Load(DI(), index + at); }
    HWY_INLINE hn::Vec<DI> Numbers(std::int64_t at) const { return hn::Load(DI(), number + at); }
  };
  /** The first output of each vector (where they lie too far apart for one, beyond all outputs),
   * and index and number of each lane. */
  View view() const { return {from_.data(), index_.get(), number_.get()}; }

  /** How many pairs of vectors, from the first on, take from one vector of outputs in the same
   * way, each pair from outputs pair_step() behind those of the pair before. */
  std::int64_t pairs() const { return pairs_; }
  std::int64_t pair_step() const { return pair_step_; }
  /** Indices of the second vector of such a pair, from the first output of its first vector. */
  HWY_INLINE hn::Vec<DI> SecondIndices() const { return hn::Load(DI(), second_.get()); }

  std::int64_t size() const { return size_; }
  /** Where the vector of elements `at` to `at + lanes` begins: the last one ends with the run. */
  HWY_INLINE std::int64_t Begin(std::int64_t at) const {
    return std::min(at, std::max<std::int64_t>(0, size_ - LaneCount(D())));
  }
  /** The last of the vectors' first outputs. */
  std::int64_t most_from() const { return most_from_; }

 private:
  static constexpr std::int64_t kScattered = std::int64_t{1} << 60;

  void FindPairs() {
    const std::int64_t lanes = LaneCount(D());
    pairs_ = 0;
    pair_step_ = 0;
    for (std::size_t v = 0; (static_cast<std::int64_t>(v) + 2) * lanes <= size_; v += 2, ++pairs_) {
      const std::int64_t shift = from_[v + 1] - from_[v];
      if (from_[v] == kScattered || from_[v + 1] == kScattered || shift < 0) return;
      if (pairs_ == 1) pair_step_ = from_[2] - from_[0];
      if (from_[v] != from_[0] + pairs_ * pair_step_) return;
      const std::int64_t at = static_cast<std::int64_t>(v) * lanes;
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t second = index_[at + lanes + i] + shift;
        if (second >= lanes) return;
        if (pairs_ == 0) second_[i] = static_cast<Index>(second);
        if (second != second_[i] || index_[at + i] != index_[i] || number_[at + i] != number_[i] ||
            number_[at + lanes + i] != number_[lanes + i]) {
          return;
        }
      }
    }
  }

  std::int64_t size_ = 0;
  std::int64_t most_from_ = 0;
  std::vector<std::int64_t> from_;
  std::int64_t pairs_ = 0;
  std::int64_t pair_step_ = 0;
  Line<Index> index_;
  Line<Index> number_;
  Line<Index> second_;
};

/** Writes the vector at `at` of a run to kRows rows of dx; kNear: its outputs are within one
 * vector of memory. */
template <int kRows, bool kNear, bool kStream, class Term>
HWY_INLINE void ExpandVector(const typename ExpandTable<typename Term::Lane>::View& table,
                             const Term& term, std::int64_t from, std::int64_t first,
                             std::int64_t at, std::int64_t tap, std::int64_t taps,
                             typename Term::T* HWY_RESTRICT to, std::int64_t pitch,
                             std::int64_t n) {
  using Lane = typename Term::Lane;
  const hn::ScalableTag<Lane> d;
  const hn::RebindToSigned<decltype(d)> di;
  const std::int64_t lanes = LaneCount(d);
  const auto index = table.Indices(at);
  auto gradient = hn::Zero(d);
  auto entry = hn::Zero(di);
  if constexpr (kNear) {
    gradient =
        hn::TableLookupLanes(term.Gradients(from + first, first), hn::IndicesFromVec(d, index));
    if constexpr (Term::kMasked) {
      entry = hn::TableLookupLanes(term.Entries(from + first), hn::IndicesFromVec(di, index));
    }
  } else {
    HWY_ALIGN Lane gradients[hn::MaxLanes(d)] = {};
    HWY_ALIGN hn::TFromD<decltype(di)> entries[hn::MaxLanes(d)] = {};
    const auto* indices = table.index + at;
    const std::int64_t base = first < term.outputs ? first : 0;
    for (std::int64_t i = 0; i < lanes; ++i) {
      const std::int64_t output = base + indices[i];
      if (from + output >= term.outputs) continue;
      gradients[i] = term.Gradient(from + output, output);
      if constexpr (Term::kMasked) {
        entries[i] = static_cast<hn::TFromD<decltype(di)>>(term.Entry(from + output));
      }
    }
    gradient = hn::Load(d, gradients);
    entry = hn::Load(di, entries);
  }
  const auto number = term.Numbers(entry, table.Numbers(at));
  for (int r = 0; r < kRows; ++r) {
    const auto share = term.Share(gradient, number, tap + r * taps);
    if constexpr (kStream) {
      hn::Stream(share, d, to + r * pitch);
    } else {
      StoreElements(share, d, to + r * pitch, n);
    }
  }
}

/** Writes one vector of kRows rows of dx. */
template <int kRows, bool kStream, class Term, class V, class VI>
HWY_INLINE void WriteShares(const Term& term, V gradient, VI number, std::int64_t tap,
                            std::int64_t taps, typename Term::T* HWY_RESTRICT to,
                            std::int64_t pitch) {
  const hn::ScalableTag<typename Term::Lane> d;
  for (int r = 0; r < kRows; ++r) {
    const auto share = term.Share(gradient, number, tap + r * taps);
    if constexpr (kStream) {
      hn::Stream(share, d, to + r * pitch);
    } else {
      StoreElements(share, d, to + r * pitch, LaneCount(d));
    }
  }
}

/** The pairs of a run, from one vector of outputs each: nothing is looked up but in registers. */
template <int kRows, bool kStream, class Term>
HWY_INLINE void ExpandPairs(const ExpandTable<typename Term::Lane>& table, const Term& term,
                            std::int64_t from, std::int64_t tap, std::int64_t taps,
                            typename Term::T* HWY_RESTRICT dx, std::int64_t pitch) {
  using Lane = typename Term::Lane;
  const hn::ScalableTag<Lane> d;
  const hn::RebindToSigned<decltype(d)> di;
  const std::int64_t lanes = LaneCount(d);
  const std::int64_t pairs = table.pairs();
  const std::int64_t step = table.pair_step();
  const auto view = table.view();
  const auto first = view.Indices(0);
  const auto second = table.SecondIndices();
  const auto first_number = view.Numbers(0);
  const auto second_number = view.Numbers(lanes);
  std::int64_t o = view.from[0];
  for (std::int64_t i = 0; i < pairs; ++i, o += step, dx += 2 * lanes) {
    const auto gradient = term.Gradients(from + o, o);
    auto entry = hn::Zero(di);
    auto low = entry;
    auto high = entry;
    if constexpr (Term::kMasked) {
      entry = term.Entries(from + o);
      low = hn::TableLookupLanes(entry, hn::IndicesFromVec(di, first));
      high = hn::TableLookupLanes(entry, hn::IndicesFromVec(di, second));
    }
    WriteShares<kRows, kStream>(term, hn::TableLookupLanes(gradient, hn::IndicesFromVec(d, first)),
                                term.Numbers(low, first_number), tap, taps, dx, pitch);
    WriteShares<kRows, kStream>(term, hn::TableLookupLanes(gradient, hn::IndicesFromVec(d, second)),
                                term.Numbers(high, second_number), tap, taps, dx + lanes, pitch);
  }
}

/** Expands one run of outputs, from `from` on, into kRows rows of dx that are `pitch` apart; the
 * first of them is that of the taps from `tap` on, each next one `taps` further. */
template <int kRows, class Term>
HWY_INLINE void ExpandRun(const ExpandTable<typename Term::Lane>& table, const Term& owner,
                          std::int64_t from, std::int64_t tap, std::int64_t taps,
                          typename Term::T* HWY_RESTRICT dx, std::int64_t pitch) {
  const std::int64_t lanes = LaneCount(hn::ScalableTag<typename Term::Lane>());
  const std::int64_t size = table.size();
  const bool stream = owner.stream && size % lanes == 0;
  const std::int64_t whole = size / lanes;
  // Locals, which stores to dx cannot change: they stay in registers.
  const auto term = owner.Local();
  const auto view = table.view();
  if (from + table.most_from() + lanes <= term.outputs && whole > 0) {
    std::int64_t v = 2 * table.pairs();
    if constexpr (std::is_same_v<typename Term::T, typename Term::Lane>) {
      if (stream) {
        ExpandPairs<kRows, true>(table, term, from, tap, taps, dx, pitch);
        for (; v < whole; ++v) {
          ExpandVector<kRows, true, true>(view, term, from, view.from[v], v * lanes, tap, taps,
                                          dx + v * lanes, pitch, lanes);
        }
        return;
      }
    }
    ExpandPairs<kRows, false>(table, term, from, tap, taps, dx, pitch);
    for (; v < whole; ++v) {
      ExpandVector<kRows, true, false>(view, term, from, view.from[v], v * lanes, tap, taps,
                                       dx + v * lanes, pitch, lanes);
    }
    if (whole * lanes < size) {
      ExpandVector<kRows, true, false>(view, term, from, view.from[whole], whole * lanes, tap, taps,
                                       dx + size - lanes, pitch, lanes);
    }
    return;
  }
  // Outputs far apart, or at the tensor's end.
  for (std::int64_t at = 0, v = 0; at < size; at += lanes, ++v) {
    ExpandVector<kRows, false, false>(view, term, from, view.from[v], at, tap, taps,
                                      dx + table.Begin(at), pitch, size);
  }
}

/**
 * dx of windows that share no input, in runs: a table says which output each
 * element of a run takes from, so widths, strides, padding and few interleaved
 * channels are all the same. Runs are rows, several of one window at a time, or
 * where planes are small some planes as one.
 *
 * @param term what an output gives to its window's elements
 */
template <class Term>
HWY_INLINE void Expand(const Pooling& p, Span items, Term term) {
  using T = typename Term::T;
  const ExpandPlan plan(p);
  const Geometry& g = p.geometry;
  const std::int64_t channels = plan.channels;
  auto* const output = static_cast<T*>(p.output);
  ExpandTable<typename Term::Lane> table(plan.run_planes > 0 ? plan.run_planes * plan.plane
                                                             : plan.tile);

  if (plan.run_planes > 0) {
    term.StartPlanes(plan);
    for (std::int64_t run = items.begin; run < items.end; ++run) {
      const std::int64_t first = run * plan.run_planes;
      const std::int64_t size = std::min(plan.run_planes, plan.blocks - first) * plan.plane;
      if (size != table.size()) {
        table.Build(size, Term::kNone, [&](std::int64_t e) {
          const std::int64_t position = e % plan.plane / channels;
          const Covering w = OwnerOf(g.w(), position % g.w().input);
          const Covering h = OwnerOf(g.h(), position / g.w().input % g.h().input);
          const Covering d = OwnerOf(g.d(), position / g.w().input / g.h().input);
          const bool none = d.tap < 0 || h.tap < 0 || w.tap < 0;
          const std::int64_t o = (d.output * g.h().output + h.output) * g.w().output + w.output;
          return typename decltype(table)::Source{
              none ? -1 : e / plan.plane * plan.output_plane + o * channels + e % channels,
              Term::Number((d.tap * g.h().kernel + h.tap) * g.w().kernel + w.tap)};
        });
      }
      ExpandRun<1>(table, term, first * plan.output_plane, 0, 0, output + first * plan.plane, 0);
    }
    return;
  }

  const RowTiles tiles = plan.tiles();
  const std::int64_t step = g.w().stride * channels;
  std::int64_t started = -1;
  std::int64_t started_depth = -1;
  bool started_inside = false;
  Covering od{0, -1};
  RowTiles::Item item = tiles.item(items.begin);
  // Beyond the caches, rows that are stored by turns are slow (measured: 775 us against 471 us for
  // 16 MB), unless they are streamed; within them, they share what is loaded.
  constexpr std::int64_t kCacheBytes = 8 << 20;
  const bool by_twos =
      g.h().dilation == 1 &&
      (term.stream || tensor_bytes(p) <= std::min(kCacheBytes, last_level_cache_bytes()));
  for (std::int64_t index = items.begin; index < items.end;) {
    const Span columns = tiles.columns(item);
    const std::int64_t outputs = columns.begin / step * channels;
    if (item.tile != started) {
      // Tiles are alike but for those at a row's end.
      const bool inside =
          columns.size() == plan.tile &&
          ((columns.end - 1) / channels + g.w().pad_begin) / g.w().stride < g.w().output;
      if (!inside || !started_inside) {
        table.Build(columns.size(), Term::kNone, [&](std::int64_t e) {
          const Covering w = OwnerOf(g.w(), (columns.begin + e) / channels);
          return typename decltype(table)::Source{
              w.tap < 0 ? -1 : w.output * channels + e % channels - outputs, Term::Number(w.tap)};
        });
      }
      started_inside = inside;
      started = item.tile;
      term.StartTile(plan, outputs);
    }
    T* const dx =
        output + item.plane * plan.plane + item.d * g.h().input * plan.row + columns.begin;
    if (item.d != started_depth) {
      od = OwnerOf(g.d(), item.d);
      started_depth = item.d;
    }
    // The windows of a plane's rows, as many as there are items.
    const std::int64_t windows = std::min(items.end - index, g.h().output - item.h);
    const std::int64_t dilation = g.h().dilation;
    for (std::int64_t oh = item.h; oh < item.h + windows; ++oh) {
      const std::int64_t start = g.h().start(oh);
      const Span rows{oh == 0 ? 0 : start,
                      oh + 1 == g.h().output ? g.h().input : start + g.h().stride};
      const std::int64_t from = item.plane * plan.output_plane +
                                (od.output * g.h().output + oh) * plan.output_row + outputs;
      if (od.tap >= 0) term.StartRow(od.output, oh);
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        T* const to = dx + row * plan.row;
        const std::int64_t reach = row - start;
        const std::int64_t oh_tap = dilation == 1           ? reach
                                    : reach % dilation == 0 ? reach / dilation
                                                            : g.h().kernel;
        if (od.tap < 0 || oh_tap >= g.h().kernel) {
          FillZero(to, columns.size());
          continue;
        }
        const std::int64_t tap = (od.tap * g.h().kernel + oh_tap) * g.w().kernel;
        if (by_twos && row + 1 < rows.end && oh_tap + 1 < g.h().kernel) {
          ExpandRun<2>(table, term, from, tap, g.w().kernel, to, plan.row);
          ++row;
        } else {
          ExpandRun<1>(table, term, from, tap, 0, to, 0);
        }
      }
    }
    index += windows;
    item.h += windows - 1;
    tiles.advance(item);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
