// Average pooling and its gradient.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/average.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace average_pooling {

/** Quotients as they are stored: f32 as it is, u8 rounded half to even and saturated. */
template <typename T, class D>
HWY_INLINE auto Quotient(D d, hn::Vec<D> sum, hn::VFromD<hn::RebindToFloat<D>> divisor) {
  if constexpr (std::is_floating_point_v<T>) {
    (void)d;
    return hn::Div(sum, divisor);
  } else {
    // Sums are less than 2^24 here (see accepts_sums), so they convert exactly as signed integers.
    const hn::RebindToFloat<D> df;
    const hn::RebindToSigned<D> di;
    const auto quotient =
        hn::Div(hn::ConvertTo(df, hn::BitCast(di, sum)), hn::Max(divisor, hn::Set(df, 1.0f)));
    const auto most = hn::Set(df, static_cast<float>(std::numeric_limits<T>::max()));
    return hn::DemoteTo(hn::Rebind<T, D>(), hn::NearestInt(hn::Min(quotient, most)));
  }
}

/** What becomes of sums: they are divided, by the row's count times the column's, and stored. */
template <typename T>
class StoreQuotient {
 public:
  using Element = T;
  using R = SumOf<T>;
  const bool stream;

  explicit StoreQuotient(const Pooling& p)
      : stream(std::is_floating_point_v<T> && CanStream(p, PlaneView(p).w.output)),
        p_(p),
        uniform_(uniform_divisor(p.geometry, p.divisor)),
        reciprocal_(std::has_single_bit(static_cast<std::uint64_t>(uniform_))
                        ? 1.0f / static_cast<float>(uniform_)
                        : 0.0f) {}

  void StartTile(const PlaneView& view, Span outputs) {
    if (uniform_ != 0) return;
    columns_.resize(static_cast<std::size_t>(outputs.size() + kOverhang), 1.0f);
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      columns_[static_cast<std::size_t>(o - outputs.begin)] =
          static_cast<float>(counted_taps(p_.geometry.w(), p_.divisor, o / view.interleave));
    }
  }

  void StartRow(const PlaneView& view, std::int64_t d, std::int64_t h) {
    if (uniform_ != 0) return;
    rows_ = static_cast<float>(counted_taps(view.d, p_.divisor, d) *
                               counted_taps(view.h, p_.divisor, h));
  }

  HWY_INLINE void Write(hn::Vec<typename R::D> sum, std::int64_t o, std::int64_t n,
                        T* HWY_RESTRICT row) const {
    const typename R::D d;
    const hn::RebindToFloat<typename R::D> df;
    if constexpr (std::is_floating_point_v<T>) {
      if (reciprocal_ != 0) {  // a power of two: the product is the quotient, bit for bit
        Store(hn::Mul(sum, hn::Set(df, reciprocal_)), o, n, row);
        return;
      }
    }
    const auto divisor = uniform_ != 0
                             ? hn::Set(df, static_cast<float>(uniform_))
                             : hn::Mul(hn::Set(df, rows_), hn::LoadU(df, columns_.data() + o));
    Store(Quotient<T>(d, sum, divisor), o, n, row);
  }

 private:
  static constexpr std::int64_t kOverhang = 64;

  template <class V>
  HWY_INLINE void Store(V v, std::int64_t o, std::int64_t n, T* HWY_RESTRICT row) const {
    const hn::Rebind<T, typename R::D> d;
    if constexpr (std::is_floating_point_v<T>) {
      if (stream && n >= LaneCount(d)) {
        hn::Stream(v, d, row + o);
        return;
      }
    }
    StorePart(v, d, row + o, n);
  }

  const Pooling& p_;
  const std::int64_t uniform_;
  const float reciprocal_;  ///< 0 unless the uniform divisor is a power of two
  std::vector<float> columns_;
  float rows_ = 1.0f;
};

struct NothingToRedo {
  void operator()(const RowTiles::Item&, Span, int) const {}
};

template <typename T>
void Pairs(const Pooling& p, Span items) {
  ForwardPairs<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void Plane(const Pooling& p, Span items) {
  ForwardPlane<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void Sliding(const Pooling& p, Span items) {
  ForwardSliding<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void Rows(const Pooling& p, Span items) {
  ForwardRows<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
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
void InterleavedTaps(const Pooling& p, Span items) {
  using R = SumOf<T>;
  const typename R::D d;
  const hn::RebindToFloat<typename R::D> df;
  const hn::Rebind<T, typename R::D> dt;
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
      const auto divisor = hn::Set(df, static_cast<float>(count));
      const T* image = x + item.plane * g.input_plane() * g.channels + taps.base;
      T* y = static_cast<T*>(p.output) +
             (item.plane * g.output_plane() + tiles.row(item) * g.w().output + ow) * g.channels;
      for (std::int64_t c = 0;;) {
        const TapLoad<R> load{image + c, end, taps.offset, g.channels - c};
        const auto sum = taps.count == 0 ? hn::Zero(d) : CombineTaps<R>(load, taps.count);
        StorePart(Quotient<T>(d, sum, divisor), dt, y + c, g.channels - c);
        if (c + lanes >= g.channels) break;
        c = std::min(c + lanes, g.channels - lanes);
      }
    }
  }
}

// --- the gradient ---

/** Sums of rows of dy, each divided by its windows' divisors, over elements [0, size). */
HWY_NOINLINE void SumQuotients(const std::vector<const float*>& rows,
                               const std::vector<float>& row_counts,
                               const std::vector<float>& column_counts, std::int64_t size,
                               float* HWY_RESTRICT line) {
  const hn::ScalableTag<float> d;
  const std::int64_t lanes = LaneCount(d);
  for (std::int64_t x = 0; x < size; x += lanes) {
    const std::int64_t part = std::min(lanes, size - x);
    const auto columns = hn::LoadU(d, column_counts.data() + x);
    auto sum = hn::Zero(d);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const auto divisor = hn::Mul(hn::Set(d, row_counts[r]), columns);
      sum = hn::Add(sum, hn::Div(LoadPart(d, rows[r] + x, part), divisor));
    }
    hn::StoreU(sum, d, line + x);
  }
}

/** Divides a line by one number. */
HWY_INLINE void DivideLine(float* HWY_RESTRICT line, std::int64_t size, std::int64_t divisor) {
  const hn::ScalableTag<float> d;
  const auto by = hn::Set(d, static_cast<float>(divisor));
  for (std::int64_t x = 0; x < size; x += LaneCount(d)) {
    hn::StoreU(hn::Div(hn::LoadU(d, line + x), by), d, line + x);
  }
}

/** Sum of the taps of one phase over a line. */
template <class R>
struct PhaseLoad {
  const float* line;
  const std::vector<PhaseTap>& taps;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t i) const {
    return hn::LoadU(typename R::D(), line + taps[static_cast<std::size_t>(i)].offset);
  }
};

/**
 * dx of input rows: the gradients of the windows that hold a row are summed vertically, then along
 * the row, as in the forward direction; each element is written once.
 */
void AvgSpreadRows(const Pooling& p, Span items) {
  using R = SumOf<float>;
  const R::D d;
  const std::int64_t lanes = LaneCount(d);
  const PlaneView view(p);
  const Axis& w = view.w;
  const RowTiles tiles = InputTiles(view);
  const GradientLine lines(view, tiles.tile);
  const std::int64_t uniform = uniform_divisor(p.geometry, p.divisor);
  const Line<float> line(lines.pitch());
  const Line<float> spare(lines.pitch());
  const Line<float> phases(w.stride * lines.phase_pitch());
  const Line<float> joined(w.stride * lines.phase_pitch());
  std::vector<const float*> rows;
  std::vector<float> row_counts;
  std::vector<float> column_counts;
  std::vector<Covering> depth;
  std::vector<Covering> height;
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const GradientColumns columns(w, tiles.columns(item));
    const std::int64_t size = columns.outputs.size();
    if (uniform == 0 && item.tile != started) {
      column_counts.assign(static_cast<std::size_t>(size + lanes), 1.0f);
      for (std::int64_t o = 0; o < size; ++o) {
        column_counts[static_cast<std::size_t>(o)] = static_cast<float>(
            counted_taps(p.geometry.w(), p.divisor, (columns.outputs.begin + o) / view.interleave));
      }
      started = item.tile;
    }
    rows.clear();
    row_counts.clear();
    list_covering(view.d, item.d, depth);
    list_covering(view.h, item.h, height);
    for (const Covering& od : depth) {
      for (const Covering& oh : height) {
        rows.push_back(static_cast<const float*>(p.input) + item.plane * view.output_plane() +
                       (od.output * view.h.output + oh.output) * w.output + columns.outputs.begin);
        row_counts.push_back(static_cast<float>(counted_taps(view.d, p.divisor, od.output) *
                                                counted_taps(view.h, p.divisor, oh.output)));
      }
    }
    FillLine(line.get(), columns.before, 0.0f);
    float* sums = line.get() + columns.before;
    if (rows.empty() || size == 0) {
      FillLine(sums, size, 0.0f);
    } else if (uniform != 0) {
      ReduceRows<R>(rows.data(), static_cast<std::int64_t>(rows.size()), size, sums);
      DivideLine(sums, size, uniform);
    } else {
      SumQuotients(rows, row_counts, column_counts, size, sums);
    }
    FillLine(sums + size, columns.after, 0.0f);

    float* dx =
        static_cast<float*>(p.output) + item.plane * view.input_plane() + tiles.row(item) * w.input;
    if (w.stride == 1 && w.kernel >= kLeastDoubling) {
      const float* result =
          SlideByDoubling<R>(line.get(), spare.get(), columns.phase_length, w.kernel, w.dilation);
      std::copy_n(result, columns.inputs.size(), dx + columns.inputs.begin);
      continue;
    }
    for (std::int64_t r = 0; r < w.stride; ++r) {
      float* phase = phases.get() + r * lines.phase_pitch();
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

/** dx of input positions of an interleaved tensor; lanes along C. */
void AvgSpreadInterleaved(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const std::int64_t uniform = uniform_divisor(g, p.divisor);
  const auto* dy = static_cast<const float*>(p.input);
  struct Window {
    const float* gradient;
    float divisor;
  };
  struct Term {
    HWY_INLINE hn::Vec<hn::ScalableTag<float>> operator()(const Window& window, std::int64_t c,
                                                          std::int64_t part) const {
      const hn::ScalableTag<float> d;
      return hn::Div(LoadPart(d, window.gradient + c, part), hn::Set(d, window.divisor));
    }
  };
  const auto make = [&](std::int64_t image, const Covering& od, const Covering& oh,
                        const Covering& ow) {
    const std::int64_t count = uniform != 0 ? uniform
                                            : counted_taps(g.d(), p.divisor, od.output) *
                                                  counted_taps(g.h(), p.divisor, oh.output) *
                                                  counted_taps(g.w(), p.divisor, ow.output);
    return Window{dy + InterleavedOutput(g, image, od, oh, ow), static_cast<float>(count)};
  };
  GatherInterleaved<Window>(p, items, make, Term());
}

// --- what the tables hold: plain functions ---

void AvgPlane(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Plane<std::uint8_t>(p, items) : Plane<float>(p, items);
}
void AvgPairs(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Pairs<std::uint8_t>(p, items) : Pairs<float>(p, items);
}
void AvgSliding(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Sliding<std::uint8_t>(p, items) : Sliding<float>(p, items);
}
void AvgRows(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Rows<std::uint8_t>(p, items) : Rows<float>(p, items);
}
void AvgInterleavedTaps(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? InterleavedTaps<std::uint8_t>(p, items) : InterleavedTaps<float>(p, items);
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

/** u8: sums must convert exactly to f32, and quotients must keep halves apart from near halves. */
bool accepts_sums(const Pooling& p) {
  constexpr std::int64_t kMost = 1 << 15;
  if (!has_type<float, std::uint8_t>(p)) return false;
  return p.dtype != FPOOL_U8 || (p.geometry.taps() <= kMost && p.divisor.override_by <= kMost);
}

bool accepts_plane(const Pooling& p) { return accepts_sums(p) && PlaneAccept(p); }

bool accepts_pairs(const Pooling& p) { return accepts_sums(p) && PairsAccept(p); }

bool accepts_sliding(const Pooling& p) {
  return accepts_sums(p) && SlidingAccepts<SumOf<float>>(p) && !few_taps_interleaved(p);
}

bool accepts_rows(const Pooling& p) {
  return accepts_sums(p) && RowsAccept(p) && !few_taps_interleaved(p);
}

bool accepts_interleaved_taps(const Pooling& p) {
  return accepts_sums(p) && p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

bool accepts_spread_rows(const Pooling& p) { return has_type<float>(p) && RowsAccept(p); }

bool accepts_spread_interleaved(const Pooling& p) {
  if (!has_type<float>(p)) return false;
  std::int64_t windows = 1;
  for (const Axis& axis : p.geometry.axes) {
    windows *= most_covering(axis);
    if (windows > kMostListedTaps) return false;
  }
  return p.layout == Layout::interleaved;
}

}  // namespace

std::span<const Kernel> avg_forward_kernels() {
  static const Kernel kernels[] = {
      {"plane", accepts_plane, PlaneItems, FEATUREPOOL_TIERED(average_pooling::AvgPlane)},
      {"pairs", accepts_pairs, PairsItems, FEATUREPOOL_TIERED(average_pooling::AvgPairs)},
      {"sliding", accepts_sliding, SlidingItems<SumOf<float>>,
       FEATUREPOOL_TIERED(average_pooling::AvgSliding)},
      {"rows", accepts_rows, OutputRowItems, FEATUREPOOL_TIERED(average_pooling::AvgRows)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED(average_pooling::AvgInterleavedTaps)},
  };
  return kernels;
}

std::span<const Kernel> avg_backward_kernels() {
  static const Kernel kernels[] = {
      {"spread_rows", accepts_spread_rows, InputRowItems,
       FEATUREPOOL_TIERED(average_pooling::AvgSpreadRows)},
      {"spread_interleaved", accepts_spread_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(average_pooling::AvgSpreadInterleaved)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
