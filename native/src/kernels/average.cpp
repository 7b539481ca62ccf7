// Average pooling and its gradient.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/average.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/bins-inl.h"
#include "kernels/gradients-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace average_pooling {

/** Quotients, of bytes rounded half to even; still in lanes as wide as the sums. */
template <class D>
HWY_INLINE hn::Vec<D> Quotient(D d, hn::Vec<D> sum, hn::VFromD<hn::RebindToFloat<D>> divisor) {
  if constexpr (std::is_floating_point_v<hn::TFromD<D>>) {
    (void)d;
    return hn::Div(sum, divisor);
  } else {
    // Sums are less than 2^24 here (see accepts_sums), so they convert exactly.
    const hn::RebindToFloat<D> df;
    return hn::NearestInt(hn::Div(hn::ConvertTo(df, sum), hn::Max(divisor, hn::Set(df, 1.0f))));
  }
}

/** What becomes of sums: they are divided, by the row's count times the column's, and stored. */
template <typename T>
class StoreQuotient {
 public:
  using Element = T;
  using R = SumOf<T>;
  /** Counts of taps are multiplied as numbers of this type: divisors of the sums. */
  using Count = hn::TFromD<hn::RebindToFloat<typename R::D>>;
  const bool stream;

  explicit StoreQuotient(const Pooling& p)
      : stream(std::is_floating_point_v<T> && CanStream(p, PlaneView(p).w.output)),
        p_(p),
        uniform_(uniform_divisor(p.geometry, p.divisor)),
        reciprocal_(std::has_single_bit(static_cast<std::uint64_t>(uniform_))
                        ? Count{1} / static_cast<Count>(uniform_)
                        : Count{0}) {}

  void StartTile(const PlaneView& view, Span outputs) {
    if (uniform_ != 0) return;
    columns_.resize(static_cast<std::size_t>(outputs.size() + kOverhang), Count{1});
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      columns_[static_cast<std::size_t>(o - outputs.begin)] =
          static_cast<Count>(counted_taps(p_.geometry.w(), p_.divisor, o / view.interleave));
    }
  }

  void StartRow(const PlaneView& view, std::int64_t d, std::int64_t h) {
    if (uniform_ != 0) return;
    rows_ = static_cast<Count>(counted_taps(view.d, p_.divisor, d) *
                               counted_taps(view.h, p_.divisor, h));
  }

  HWY_INLINE void Write(hn::Vec<typename R::D> sum, std::int64_t o, std::int64_t n,
                        T* HWY_RESTRICT row) const {
    const typename R::D d;
    const hn::RebindToFloat<typename R::D> df;
    if constexpr (std::is_floating_point_v<typename R::Lane>) {
      if (reciprocal_ != 0) {  // a power of two: the product is the quotient, bit for bit
        Store(hn::Mul(sum, hn::Set(df, reciprocal_)), o, n, row);
        return;
      }
    }
    const auto divisor = uniform_ != 0
                             ? hn::Set(df, static_cast<Count>(uniform_))
                             : hn::Mul(hn::Set(df, rows_), hn::LoadU(df, columns_.data() + o));
    Store(Quotient(d, sum, divisor), o, n, row);
  }

 private:
  static constexpr std::int64_t kOverhang = 64;

  template <class V>
  HWY_INLINE void Store(V v, std::int64_t o, std::int64_t n, T* HWY_RESTRICT row) const {
    const typename R::D d;
    if constexpr (std::is_floating_point_v<T>) {
      if (stream && n >= LaneCount(d)) {
        hn::Stream(v, d, row + o);
        return;
      }
    }
    StoreElements(v, d, row + o, n);
  }

  const Pooling& p_;
  const std::int64_t uniform_;
  const Count reciprocal_;  ///< 0 unless the uniform divisor is a power of two
  std::vector<Count> columns_;
  Count rows_ = 1;
};

struct NothingToRedo {
  void operator()(const RowTiles::Item&, Span, int) const {}
};

template <typename T>
void PairsOf(const Pooling& p, Span items) {
  ForwardPairs<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void PlaneOf(const Pooling& p, Span items) {
  ForwardPlane<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void SlidingOf(const Pooling& p, Span items) {
  ForwardSliding<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void RowsOf(const Pooling& p, Span items) {
  ForwardRows<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}

template <typename T>
void BinsOf(const Pooling& p, Span items) {
  SumBins<SumOf<T>>(p, items, StoreQuotient<T>(p));
}

/** Loads a tap of the channels of an interleaved window; behind the tensor's end it stops. */
template <class R>
struct TapLoad {
  const typename R::Element* x;
  const typename R::Element* end;
  const std::int64_t* offsets;
  std::int64_t n;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t i) const {
    const typename R::D d;
    const auto* p = x + offsets[i];
    return R::LoadPart(d, p, end - p >= LaneCount(d) ? LaneCount(d) : n);
  }
};

template <typename T>
void InterleavedTapsOf(const Pooling& p, Span items) {
  using R = SumOf<T>;
  const typename R::D d;
  const hn::RebindToFloat<typename R::D> df;
  const std::int64_t lanes = LaneCount(d);
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedOutputTiles(g);
  const std::int64_t uniform = uniform_divisor(g, p.divisor);
  const T* x = static_cast<const T*>(p.input);
  const T* end = x + g.input_size();
  InterleavedWindows windows(g);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
      const Taps taps = windows.at(item.d, item.h, ow);
      const std::int64_t count = uniform != 0 ? uniform
                                              : counted_taps(g.d(), p.divisor, item.d) *
                                                    counted_taps(g.h(), p.divisor, item.h) *
                                                    counted_taps(g.w(), p.divisor, ow);
      const auto divisor = hn::Set(df, static_cast<typename StoreQuotient<T>::Count>(count));
      const T* image = x + item.plane * g.input_plane() * g.channels + taps.base;
      T* y = static_cast<T*>(p.output) +
             (item.plane * g.output_plane() + tiles.row(item) * g.w().output + ow) * g.channels;
      for (std::int64_t c = 0;;) {
        const TapLoad<R> load{image + c, end, taps.offset, g.channels - c};
        const auto sum = taps.count == 0 ? hn::Zero(d) : CombineTaps<R>(load, taps.count);
        StoreElements(Quotient(d, sum, divisor), d, y + c, g.channels - c);
        if (c + lanes >= g.channels) break;
        c = std::min(c + lanes, g.channels - lanes);
      }
    }
  }
}

// --- the gradient ---

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
  struct Window {
    const T* gradient;
    LaneOf<T> divisor;
  };
  struct Term {
    HWY_INLINE hn::Vec<hn::ScalableTag<LaneOf<T>>> operator()(const Window& window, std::int64_t c,
                                                              std::int64_t part) const {
      const hn::ScalableTag<LaneOf<T>> d;
      return hn::Div(LoadElements(d, window.gradient + c, part), hn::Set(d, window.divisor));
    }
  };
  const auto make = [&](std::int64_t image, const Covering& od, const Covering& oh,
                        const Covering& ow) {
    const std::int64_t count = uniform != 0 ? uniform
                                            : counted_taps(g.d(), p.divisor, od.output) *
                                                  counted_taps(g.h(), p.divisor, oh.output) *
                                                  counted_taps(g.w(), p.divisor, ow.output);
    return Window{dy + InterleavedOutput(g, image, od, oh, ow), static_cast<LaneOf<T>>(count)};
  };
  GatherInterleaved<T, Window>(p, items, make, Term());
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

// --- what the tables hold: plain functions ---

using CommonTypes = ElementTypes<float, std::uint8_t>;
using SumTypes =
    ElementTypes<float, double, hwy::float16_t, hwy::bfloat16_t, std::int8_t, std::uint8_t>;

void Pairs(const Pooling& p, Span items) {
  CommonTypes::with(p, [&]<typename T>() { PairsOf<T>(p, items); });
}
void Sliding(const Pooling& p, Span items) {
  CommonTypes::with(p, [&]<typename T>() { SlidingOf<T>(p, items); });
}
void Plane(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { PlaneOf<T>(p, items); });
}
void Rows(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { RowsOf<T>(p, items); });
}
void Bins(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { BinsOf<T>(p, items); });
}
void InterleavedTaps(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { InterleavedTapsOf<T>(p, items); });
}
void SpreadRows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadRowsOf<T>(p, items); });
}
void SpreadBins(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadBinsOf<T>(p, items); });
}
void SpreadPlane(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadPlaneOf<T>(p, items); });
}
void SpreadInterleaved(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SpreadInterleavedOf<T>(p, items); });
}

}  // namespace average_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;
using namespace HWY_NAMESPACE::average_pooling;  // the functions that decide are the same in every
                                                 // tier

/** Bytes: sums must convert exactly to f32, and quotients must keep halves apart from near halves.
 */
bool accepts_sums(const Pooling& p) {
  constexpr std::int64_t kMost = 1 << 15;
  if (!SumTypes::has(p)) return false;
  return dtype_size(p.dtype) > 1 || (p.geometry.taps() <= kMost && p.divisor.override_by <= kMost);
}

bool accepts_plane(const Pooling& p) { return accepts_sums(p) && PlaneAccept(p); }

bool accepts_pairs(const Pooling& p) {
  return CommonTypes::has(p) && accepts_sums(p) && PairsAccept(p);
}

bool accepts_sliding(const Pooling& p) {
  return CommonTypes::has(p) && accepts_sums(p) && SlidingAccepts<SumOf<float>>(p) &&
         !few_taps_interleaved(p);
}

bool accepts_rows(const Pooling& p) {
  return accepts_sums(p) && RowsAccept(p) && !few_taps_interleaved(p);
}

bool accepts_bins(const Pooling& p) { return accepts_sums(p) && BinsAccept(p); }

bool accepts_interleaved_taps(const Pooling& p) {
  return accepts_sums(p) && p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

bool accepts_spread_plane(const Pooling& p) { return FloatTypes::has(p) && PlaneAccept(p); }

bool accepts_spread_rows(const Pooling& p) { return FloatTypes::has(p) && RowsAccept(p); }

bool accepts_spread_bins(const Pooling& p) { return FloatTypes::has(p) && BinsAccept(p); }

bool accepts_spread_interleaved(const Pooling& p) {
  std::int64_t windows = 1;
  for (const Axis& axis : p.geometry.axes) {
    windows *= most_covering(axis);
    if (windows > kMostListedTaps) return false;
  }
  return FloatTypes::has(p) && p.layout == Layout::interleaved;
}

}  // namespace

std::span<const Kernel> avg_forward_kernels() {
  static const Kernel kernels[] = {
      {"plane", accepts_plane, PlaneItems, FEATUREPOOL_TIERED(average_pooling::Plane)},
      {"pairs", accepts_pairs, PairsItems, FEATUREPOOL_TIERED(average_pooling::Pairs)},
      {"sliding", accepts_sliding, SlidingItems<SumOf<float>>,
       FEATUREPOOL_TIERED(average_pooling::Sliding)},
      {"rows", accepts_rows, OutputRowItems, FEATUREPOOL_TIERED(average_pooling::Rows)},
      {"bins", accepts_bins, BinItems, FEATUREPOOL_TIERED(average_pooling::Bins)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED(average_pooling::InterleavedTaps)},
  };
  return kernels;
}

std::span<const Kernel> avg_backward_kernels() {
  static const Kernel kernels[] = {
      {"spread_plane", accepts_spread_plane, PlaneItems,
       FEATUREPOOL_TIERED(average_pooling::SpreadPlane)},
      {"spread_rows", accepts_spread_rows, InputRowItems,
       FEATUREPOOL_TIERED(average_pooling::SpreadRows)},
      {"spread_bins", accepts_spread_bins, InputRowItems,
       FEATUREPOOL_TIERED(average_pooling::SpreadBins)},
      {"spread_interleaved", accepts_spread_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(average_pooling::SpreadInterleaved)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
