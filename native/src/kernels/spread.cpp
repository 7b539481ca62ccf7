// The gradient of average pooling.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/spread.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/bins-inl.h"
#include "kernels/expand-inl.h"
#include "kernels/gather-inl.h"
#include "kernels/gradients-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace spreading {

/** What an output gives to the elements of windows that share none: its quotient; kReciprocal: all
 * divisors are the same power of two. */
template <typename Element, bool kReciprocal>
class QuotientShare {
 public:
  using T = Element;
  using Lane = LaneOf<T>;
  using D = hn::ScalableTag<Lane>;
  using DI = hn::RebindToSigned<D>;
  static constexpr bool kMasked = false;
  static constexpr std::int64_t kNone = 0;
  const std::int64_t outputs;
  const bool stream;

  explicit QuotientShare(const Pooling& p)
      : outputs(p.geometry.output_size()),
        stream(ExpandPlan(p).can_stream(p)),
        dy_(static_cast<const T*>(p.input)),
        divisor_(p.divisor),
        uniform_(static_cast<Lane>(uniform_divisor(p.geometry, p.divisor))) {}

  /** All bits where an element has an output. */
  static std::int64_t Number(std::int64_t) { return -1; }

  void StartPlanes(const ExpandPlan& plan) {
    if (uniform_ != 0) return;
    const Geometry& g = plan.g;
    counts_.clear();
    for (std::int64_t i = 0; i < plan.run_planes * plan.output_plane; ++i) {
      const std::int64_t o = i % plan.output_plane / plan.channels;
      const std::int64_t row = o / g.w().output;
      counts_.push_back(static_cast<Lane>(counted_taps(g.d(), divisor_, row / g.h().output) *
                                          counted_taps(g.h(), divisor_, row % g.h().output) *
                                          counted_taps(g.w(), divisor_, o % g.w().output)));
    }
    counts_.resize(counts_.size() + hn::MaxLanes(D()), Lane{1});
    rows_ = 1;
  }

  void StartTile(const ExpandPlan& plan, std::int64_t from) {
    plan_ = &plan;
    if (uniform_ != 0) return;
    counts_.clear();
    const std::int64_t most = plan.tile / plan.g.w().stride + 2 * plan.channels;
    for (std::int64_t i = from; i < std::min(plan.output_row, from + most); ++i) {
      counts_.push_back(static_cast<Lane>(counted_taps(plan.g.w(), divisor_, i / plan.channels)));
    }
    counts_.resize(counts_.size() + hn::MaxLanes(D()), Lane{1});
  }

  void StartRow(std::int64_t od, std::int64_t oh) {
    if (uniform_ != 0) return;
    rows_ = static_cast<Lane>(counted_taps(plan_->g.d(), divisor_, od) *
                              counted_taps(plan_->g.h(), divisor_, oh));
  }

  /** What the loop over vectors reads. */
  struct View {
    using T = Element;
    using Lane = LaneOf<T>;
    static constexpr bool kMasked = false;
    const T* dy;
    std::int64_t outputs;
    Lane uniform;        ///< 0: windows differ
    Lane rows;           ///< taps along D and H
    const Lane* counts;  ///< taps along W of each output of a run, or all of them

    /** Quotients of outputs from `o` on, which are `from` behind the first of their run. */
    HWY_INLINE hn::Vec<D> Gradients(std::int64_t o, std::int64_t from) const {
      const D d;
      const auto gradient = LoadElements(d, dy + o);
      // A power of two: the product is the quotient, bit for bit.
      if constexpr (kReciprocal) return hn::Mul(gradient, hn::Set(d, 1 / uniform));
      if (uniform != 0) return hn::Div(gradient, hn::Set(d, uniform));
      return hn::Div(gradient, hn::Mul(hn::Set(d, rows), hn::LoadU(d, counts + from)));
    }
    HWY_INLINE Lane Gradient(std::int64_t o, std::int64_t from) const {
      const Lane gradient = hn::GetLane(LoadElements(D(), dy + o, 1));
      return gradient / (uniform != 0 ? uniform : rows * counts[from]);
    }
    HWY_INLINE hn::Vec<DI> Numbers(hn::Vec<DI>, hn::Vec<DI> number) const { return number; }
    HWY_INLINE hn::Vec<D> Share(hn::Vec<D> gradient, hn::Vec<DI> number, std::int64_t) const {
      return hn::And(gradient, hn::BitCast(D(), number));
    }
  };
  View Local() const { return {dy_, outputs, uniform_, rows_, counts_.data()}; }

 private:
  const T* dy_;
  Divisor divisor_;
  Lane uniform_;  ///< 0: windows differ
  const ExpandPlan* plan_ = nullptr;
  std::vector<Lane> counts_;  ///< taps along W of each output of a run, or all of them
  Lane rows_ = 1;             ///< taps along D and H
};

template <typename T>
void SpreadApartOf(const Pooling& p, Span items) {
  if (std::has_single_bit(static_cast<std::uint64_t>(uniform_divisor(p.geometry, p.divisor)))) {
    Expand(p, items, QuotientShare<T, true>(p));
  } else {
    Expand(p, items, QuotientShare<T, false>(p));
  }
}

/** Puts the quotients of rows of outputs into lines, for gathering. */
template <typename Element>
class QuotientLines {
 public:
  using T = Element;
  using Lane = LaneOf<T>;

  explicit QuotientLines(const Pooling& p)
      : p_(p), uniform_(static_cast<Lane>(uniform_divisor(p.geometry, p.divisor))) {}

  void StartTile(const PlaneView& view, Span outputs) {
    view_ = &view;
    if (uniform_ != 0) return;
    counts_.clear();
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      counts_.push_back(
          static_cast<Lane>(counted_taps(p_.geometry.w(), p_.divisor, o / view.interleave)));
    }
    counts_.resize(counts_.size() + hn::MaxLanes(hn::ScalableTag<Lane>()), Lane{1});
  }

  /** Fills a line from `begin` to `end` with zeros; whole vectors (what they overwrite behind `end`
   * is put later). */
  HWY_INLINE void Pad(Lane* HWY_RESTRICT line, std::int64_t begin, std::int64_t end) const {
    const hn::ScalableTag<Lane> d;
    for (std::int64_t i = begin; i < end; i += LaneCount(d)) hn::StoreU(hn::Zero(d), d, line + i);
  }

  /** Puts the outputs from `from` on; whole vectors (the overhang is the caller's). */
  HWY_INLINE void Put(std::int64_t od, std::int64_t oh, std::int64_t from, std::int64_t size,
                      Lane* HWY_RESTRICT line) const {
    const hn::ScalableTag<Lane> d;
    const T* const dy = static_cast<const T*>(p_.input) + from;
    const std::int64_t rest = p_.geometry.output_size() - from;
    if (uniform_ != 0) {
      const auto divisor = hn::Set(d, uniform_);
      for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
        hn::StoreU(hn::Div(LoadElements(d, dy + i, rest - i), divisor), d, line + i);
      }
      return;
    }
    const auto rows = hn::Set(d, static_cast<Lane>(counted_taps(view_->d, p_.divisor, od) *
                                                   counted_taps(view_->h, p_.divisor, oh)));
    for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
      const auto divisor = hn::Mul(rows, hn::LoadU(d, counts_.data() + i));
      hn::StoreU(hn::Div(LoadElements(d, dy + i, rest - i), divisor), d, line + i);
    }
  }

 private:
  const Pooling& p_;
  const PlaneView* view_ = nullptr;
  Lane uniform_;  ///< 0: windows differ
  std::vector<Lane> counts_;
};

template <typename T>
void SpreadBlocksOf(const Pooling& p, Span items) {
  GatherBlocks(p, items, QuotientLines<T>(p));
}

/** Sums of rows of dy, each divided by its windows' divisors, over elements [0, size). */
template <typename T>
HWY_NOINLINE void SumQuotients(const std::vector<const T*>& rows,
                               const std::vector<LaneOf<T>>& row_counts,
                               const std::vector<LaneOf<T>>& column_counts, std::int64_t size,
                               LaneOf<T>* HWY_RESTRICT line) {
  const hn::ScalableTag<LaneOf<T>> d;
  const std::int64_t lanes = LaneCount(d);
  for (std::int64_t x = 0; x < size; x += lanes) {
    const std::int64_t part = std::min(lanes, size - x);
    const auto columns = hn::LoadU(d, column_counts.data() + x);
    auto sum = hn::Zero(d);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto divisor = hn::Mul(hn::Set(d, row_counts[r]), columns);
      sum = hn::Add(sum, hn::Div(LoadElements(d, rows[r] + x, part), divisor));
    }
    hn::StoreU(sum, d, line + x);
  }
}

/** Divides a line by one number. */
template <typename Lane>
HWY_INLINE void DivideLine(Lane* HWY_RESTRICT line, std::int64_t size, std::int64_t divisor) {
  const hn::ScalableTag<Lane> d;
  const auto by = hn::Set(d, static_cast<Lane>(divisor));
  for (std::int64_t x = 0; x < size; x += LaneCount(d)) {
    hn::StoreU(hn::Div(hn::LoadU(d, line + x), by), d, line + x);
  }
}

/** The vertical half of the gradient: the rows of dy whose windows hold an input row, divided and
 * summed. */
template <typename T>
class QuotientRows {
 public:
  using Lane = LaneOf<T>;

  QuotientRows(const Pooling& p, const PlaneView& view)
      : p_(p), view_(view), uniform_(uniform_divisor(p.geometry, p.divisor)) {}

  /** Called before the rows of a tile whose columns `outputs` hold. */
  void StartTile(const Span& outputs) {
    outputs_ = outputs;
    if (uniform_ != 0) return;
    const hn::ScalableTag<Lane> d;
    column_counts_.assign(static_cast<std::size_t>(outputs.size() + LaneCount(d)), Lane{1});
    for (std::int64_t o = 0; o < outputs.size(); ++o) {
      column_counts_[static_cast<std::size_t>(o)] = static_cast<Lane>(
          counted_taps(p_.geometry.w(), p_.divisor, (outputs.begin + o) / view_.interleave));
    }
  }

  /** The sums for an input row of the tile begun last. */
  HWY_INLINE void Sum(const RowTiles::Item& item, Lane* HWY_RESTRICT sums) {
    rows_.clear();
    row_counts_.clear();
    list_covering(view_.d, item.d, depth_);
    list_covering(view_.h, item.h, height_);
    for (const Covering& od : depth_) {
      for (const Covering& oh : height_) {
        rows_.push_back(static_cast<const T*>(p_.input) + item.plane * view_.output_plane() +
                        (od.output * view_.h.output + oh.output) * view_.w.output + outputs_.begin);
        row_counts_.push_back(static_cast<Lane>(counted_taps(view_.d, p_.divisor, od.output) *
                                                counted_taps(view_.h, p_.divisor, oh.output)));
      }
    }
    const std::int64_t size = outputs_.size();
    if (rows_.empty() || size == 0) {
      FillLine(sums, size, Lane{0});
    } else if (uniform_ != 0) {
      ReduceRows<SumOf<T>>(rows_.data(), static_cast<std::int64_t>(rows_.size()), size, sums);
      DivideLine(sums, size, uniform_);
    } else {
      SumQuotients<T>(rows_, row_counts_, column_counts_, size, sums);
    }
  }

 private:
  const Pooling& p_;
  const PlaneView& view_;
  const std::int64_t uniform_;
  Span outputs_{0, 0};
  std::vector<const T*> rows_;
  std::vector<Lane> row_counts_;
  std::vector<Lane> column_counts_;
  std::vector<Covering> depth_;
  std::vector<Covering> height_;
};

/** Sum of the taps of one phase over a line. */
template <class R>
struct PhaseLoad {
  const typename R::Lane* line;
  const std::vector<PhaseTap>& taps;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t i) const {
    return hn::LoadU(typename R::D(), line + taps[static_cast<std::size_t>(i)].offset);
  }
};

/**
 * dx of input rows: the gradients of the windows that hold a row are summed vertically, then along
 * the row, as in the forward direction; each element is written once.
 */
template <typename T>
void SpreadRowsOf(const Pooling& p, Span items) {
  using Lane = LaneOf<T>;
  using R = SumOf<Lane>;
  const typename R::D d;
  const std::int64_t lanes = LaneCount(d);
  const PlaneView view(p);
  const Axis& w = view.w;
  const RowTiles tiles = InputTiles(view);
  const GradientLine lines(view, tiles.tile);
  const Line<Lane> line(lines.pitch());
  const Line<Lane> spare(lines.pitch());
  const Line<Lane> phases(w.stride * lines.phase_pitch());
  const Line<Lane> joined(w.stride * lines.phase_pitch());
  QuotientRows<T> quotients(p, view);
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const GradientColumns columns(w, tiles.columns(item));
    if (item.tile != started) quotients.StartTile(columns.outputs);
    started = item.tile;
    FillLine(line.get(), columns.before, Lane{0});
    Lane* sums = line.get() + columns.before;
    quotients.Sum(item, sums);
    FillLine(sums + columns.outputs.size(), columns.after, Lane{0});

    T* dx = static_cast<T*>(p.output) + item.plane * view.input_plane() + tiles.row(item) * w.input;
    if (w.stride == 1 && w.kernel >= kLeastDoubling) {
      const Lane* result =
          SlideByDoubling<R>(line.get(), spare.get(), columns.phase_length, w.kernel, w.dilation);
      CopyFromLanes(result, columns.inputs.size(), dx + columns.inputs.begin);
      continue;
    }
    for (std::int64_t r = 0; r < w.stride; ++r) {
      Lane* phase = phases.get() + r * lines.phase_pitch();
      const std::vector<PhaseTap>& taps = lines.taps(r);
      for (std::int64_t q = 0; q < columns.phase_length; q += lanes) {
        const PhaseLoad<R> load{line.get() + q, taps};
        hn::StoreU(taps.empty() ? hn::Zero(d)
                                : CombineTaps<R>(load, static_cast<std::int64_t>(taps.size())),
                   d, phase + q);
      }
    }
    columns.Write(phases, lines.phase_pitch(), w.stride, joined, dx);
  }
}

/** dx of input rows under bins: as SpreadRowsOf(), but each column sums its own part of the line.
 */
template <typename T>
void SpreadBinsOf(const Pooling& p, Span items) {
  using Lane = LaneOf<T>;
  const PlaneView view(p);
  const RowTiles tiles = InputTiles(view);
  const Line<Lane> line(view.w.output);
  const Line<Lane> sums(tiles.tile);
  QuotientRows<T> quotients(p, view);
  std::vector<Span> covering;  // outputs that hold each column of the tile
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span inputs = tiles.columns(item);
    if (item.tile != started) {
      covering.clear();
      for (std::int64_t i = inputs.begin; i < inputs.end; ++i) {
        covering.push_back(view.w.covering(i));
      }
      quotients.StartTile({covering.front().begin, covering.back().end});
      started = item.tile;
    }
    quotients.Sum(item, line.get());
    const Lane* from = line.get() - covering.front().begin;
    for (std::int64_t i = 0; i < inputs.size(); ++i) {
      const Span& outputs = covering[static_cast<std::size_t>(i)];
      sums[i] = SumOfRun<SumOf<Lane>>(from + outputs.begin, outputs.size());
    }
    CopyFromLanes(sums.get(), inputs.size(),
                  static_cast<T*>(p.output) + item.plane * view.input_plane() +
                      tiles.row(item) * view.w.input + inputs.begin);
  }
}

/** dx of input positions of an interleaved tensor; lanes along C. */
template <typename T>
void SpreadInterleavedOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const std::int64_t uniform = uniform_divisor(g, p.divisor);
  const auto* dy = static_cast<const T*>(p.input);
  struct Term {
    const Geometry& g;
    const Divisor& divisor;
    std::int64_t uniform;
    const T* dy;
    /** Divisors: those of the window's axes are multiplied. */
    using Key = LaneOf<T>;
    Key RowKey(const Covering& od, const Covering& oh) const {
      if (uniform != 0) return static_cast<Key>(uniform);
      return static_cast<Key>(counted_taps(g.d(), divisor, od.output) *
                              counted_taps(g.h(), divisor, oh.output));
    }
    Key ColumnKey(const Covering& ow) const {
      return uniform != 0 ? Key{1} : static_cast<Key>(counted_taps(g.w(), divisor, ow.output));
    }
    static Key Join(Key row, Key column) { return row * column; }
    HWY_INLINE hn::Vec<hn::ScalableTag<Key>> operator()(const GatherWindow<Key>& window,
                                                        std::int64_t c, std::int64_t part) const {
      const hn::ScalableTag<Key> d;
      return hn::Div(LoadElements(d, dy + window.from + c, part), hn::Set(d, window.key));
    }
  };
  GatherInterleaved<T>(p, items, Term{g, p.divisor, uniform, dy});
}

/** dx of windows that hold their plane: one share for all of its elements. */
template <typename T>
void SpreadPlaneOf(const Pooling& p, Span items) {
  const hn::ScalableTag<LaneOf<T>> d;
  const std::int64_t lanes = LaneCount(d);
  const std::int64_t size = p.geometry.input_plane();
  const auto divisor = hn::Set(d, static_cast<LaneOf<T>>(uniform_divisor(p.geometry, p.divisor)));
  for (std::int64_t plane = items.begin; plane < items.end; ++plane) {
    // Of one element all lanes have a copy.
    const auto share = hn::Div(LoadElements(d, static_cast<const T*>(p.input) + plane, 1), divisor);
    T* dx = static_cast<T*>(p.output) + plane * size;
    for (std::int64_t i = 0; i < size; i += lanes) StoreElements(share, d, dx + i, size - i);
  }
}

// --- what the table holds: inline functions ---

inline void SpreadApart(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadApartOf<T>(p, items); });
}
inline void SpreadBlocks(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadBlocksOf<T>(p, items); });
}
inline void SpreadRows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadRowsOf<T>(p, items); });
}
inline void SpreadBins(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadBinsOf<T>(p, items); });
}
inline void SpreadPlane(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadPlaneOf<T>(p, items); });
}
inline void SpreadInterleaved(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadInterleavedOf<T>(p, items); });
}

}  // namespace spreading
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;  // the functions that decide are the same in every tier

bool accepts_spread_apart(const Pooling& p) { return FloatTypes::has(p) && ExpandAccept(p); }

bool accepts_spread_plane(const Pooling& p) { return FloatTypes::has(p) && PlaneAccept(p); }

bool accepts_spread_blocks(const Pooling& p) {
  // More of them are summed rows first, or by doubling.
  constexpr std::int64_t kMostWindows = 16;
  return FloatTypes::has(p) && GatherAccept(p) && most_windows(p.geometry) <= kMostWindows;
}

bool accepts_spread_rows(const Pooling& p) { return FloatTypes::has(p) && RowsAccept(p); }

bool accepts_spread_bins(const Pooling& p) { return FloatTypes::has(p) && BinsAccept(p); }

bool accepts_spread_interleaved(const Pooling& p) {
  return FloatTypes::has(p) && p.layout == Layout::interleaved &&
         most_windows(p.geometry) <= kMostListedTaps;
}

}  // namespace

std::span<const Kernel> avg_backward_kernels() {
  static const Kernel kernels[] = {
      {"spread_plane", accepts_spread_plane, PlaneItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(spreading::SpreadPlane)},
      {"spread_apart", accepts_spread_apart, ExpandItems,
       FEATUREPOOL_TIERED_AVX2(spreading::SpreadApart)},
      {"spread_blocks", accepts_spread_blocks, GatherItems,
       FEATUREPOOL_TIERED_AVX2(spreading::SpreadBlocks)},
      {"spread_rows", accepts_spread_rows, InputRowItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(spreading::SpreadRows)},
      {"spread_bins", accepts_spread_bins, InputRowItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(spreading::SpreadBins)},
      {"spread_interleaved", accepts_spread_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(spreading::SpreadInterleaved)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
