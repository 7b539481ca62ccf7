// Average pooling.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/bands.hpp"
#include "kernels/byte_boxes.hpp"
#include "kernels/elements.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/slide_lanes.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/average.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/bins-inl.h"
#include "kernels/blocks-inl.h"
#include "kernels/channels-inl.h"
#include "kernels/global-inl.h"
#include "kernels/short_sums-inl.h"
#include "kernels/sliding_rows-inl.h"

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
  /** Writes a row past no cache. */
  struct Writer {
    const Count* factors;
    bool divides;

    HWY_INLINE hn::Vec<typename R::D> Quotient(hn::Vec<typename R::D> sum, std::int64_t o) const {
      const hn::RebindToFloat<typename R::D> df;
      const auto factor = hn::LoadU(df, factors + o);
      if constexpr (std::is_floating_point_v<typename R::Lane>) {
        return hn::Mul(sum, factor);
      } else {
        const auto total = hn::ConvertTo(df, sum);
        if (divides) return hn::NearestInt(hn::Div(total, factor));
        const auto snap = hn::Set(df, kSnap);
        return hn::NearestInt(hn::Sub(hn::MulAdd(total, factor, snap), snap));
      }
    }
    HWY_INLINE void Write(hn::Vec<typename R::D> sum, std::int64_t o, std::int64_t n,
                          T* HWY_RESTRICT row) const {
      StoreElements(Quotient(sum, o), typename R::D(), row + o, n);
    }
  };
  const bool stream;

  explicit StoreQuotient(const Pooling& p)
      : stream(std::is_floating_point_v<T> && CanStream(p, PlaneView(p).w.output)),
        p_(p),
        uniform_(uniform_divisor(p.geometry, p.divisor)),
        divides_(std::is_integral_v<T> &&
                 std::max(p.geometry.taps(), p.divisor.override_by) > kMostSnapped),
        factor_(Factor(uniform_)) {}

  void StartTile(const PlaneView& view, Span outputs) {
    if (uniform_ != 0) {
      const std::size_t size = static_cast<std::size_t>(outputs.size()) + kOverhang;
      if (factors_.size() < size) factors_.assign(size, factor_);
      row_factors_ = factors_.data();
      return;
    }
    std::fill_n(rows_, kKept, -1);
    counts_.assign(static_cast<std::size_t>(outputs.size()) + kOverhang, Count{1});
    factors_.resize(kKept * counts_.size(), Count{1});
    Count* column = counts_.data();
    for (std::int64_t o = outputs.begin; o < outputs.end;) {
      const std::int64_t position = o / view.interleave;
      const std::int64_t end = std::min(outputs.end, (position + 1) * view.interleave);
      const auto count = static_cast<Count>(counted_taps(p_.geometry.w(), p_.divisor, position));
      for (; o < end; ++o) *column++ = count;
    }
  }

  void StartRow(const PlaneView& view, std::int64_t d, std::int64_t h) {
    if (uniform_ != 0) return;
    const std::int64_t rows =
        counted_taps(view.d, p_.divisor, d) * counted_taps(view.h, p_.divisor, h);
    const auto slot = static_cast<std::size_t>(rows) % kKept;
    Count* factors = factors_.data() + slot * counts_.size();
    row_factors_ = factors;
    if (rows == rows_[slot]) return;
    rows_[slot] = rows;
    // Beside a large window, the rows whose windows are clipped have as many divisions as outputs.
    const hn::ScalableTag<Count> dc;
    const auto one = hn::Set(dc, Count{1});
    for (std::size_t o = 0; o + kOverhang < counts_.size(); o += hn::Lanes(dc)) {
      auto divisor =
          hn::Mul(hn::Set(dc, static_cast<Count>(rows)), hn::LoadU(dc, counts_.data() + o));
      if constexpr (std::is_integral_v<T>) divisor = hn::Max(divisor, one);
      hn::StoreU(divides_ ? divisor : hn::Div(one, divisor), dc, factors + o);
    }
  }

  Writer writer() const { return {row_factors_, divides_}; }

  HWY_INLINE void Write(hn::Vec<typename R::D> sum, std::int64_t o, std::int64_t n,
                        T* HWY_RESTRICT row) const {
    if constexpr (std::is_floating_point_v<T>) {
      const typename R::D d;
      if (stream && n >= LaneCount(d)) {
        hn::Stream(writer().Quotient(sum, o), d, row + o);
        return;
      }
    }
    writer().Write(sum, o, n, row);
  }

 private:
  // Results of as many planes are written as a row of one (kPlanesAtOnce).
  static constexpr std::size_t kOverhang = 64 + hn::MaxLanes(typename R::D());
  // The rows of clipped windows count different numbers of taps by turns.
  static constexpr std::size_t kKept = 4;
  // A quotient of bytes by at most so many taps is a half, or farther from one than the multiples
  // of 1/256 that adding this number leaves: the product with a reciprocal then rounds as the
  // quotient.
  static constexpr std::int64_t kMostSnapped = 128;
  static constexpr Count kSnap = 49152;

  /** What sums of `count` taps are multiplied by, or divided. */
  Count Factor(std::int64_t count) const {
    const auto divisor = static_cast<Count>(count);
    if constexpr (std::is_integral_v<T>) {
      if (divides_) return std::max(divisor, Count{1});
      return Count{1} / std::max(divisor, Count{1});
    }
    return Count{1} / divisor;
  }

  const Pooling& p_;
  const std::int64_t uniform_;
  const bool divides_;
  const Count factor_;          ///< of the uniform divisor
  std::vector<Count> counts_;   ///< taps along W of the windows of a tile
  std::vector<Count> factors_;  ///< of the windows of kKept rows
  std::int64_t rows_[kKept];    ///< taps along D and H that `factors_` are made for
  const Count* row_factors_ = nullptr;
};

// --- windows of interleaved tensors ---

// Bytes of so many taps are summed in 16 bits, and their quotients told apart by f32.
constexpr std::int64_t kMostShortTaps = 255;

/** What becomes of sums over rows of windows: they are multiplied by the divisors' reciprocals. */
template <typename T>
class StoreChannelQuotients {
 public:
  using Element = T;
  using R = ShortSumOf<T>;
  using Count = std::conditional_t<std::is_same_v<T, double>, double, float>;
  using DF = hn::ScalableTag<Count>;
  struct Writer {
    const Count* factors;
    std::int64_t pitch;
    bool stream;

    HWY_INLINE Count At(int row, std::int64_t column) const {
      return factors[row * pitch + column];
    }

    HWY_INLINE void Write(hn::Vec<typename R::D> sum, Count factor, std::int64_t n,
                          T* HWY_RESTRICT to) const {
      const typename R::D d;
      if constexpr (std::is_floating_point_v<typename R::Lane>) {
        const auto quotient = hn::Mul(sum, hn::Set(d, factor));
        if (stream && n >= LaneCount(d)) {
          StreamElements(quotient, d, to);
        } else {
          StoreElements(quotient, d, to, n);
        }
      } else {
        const hn::Repartition<std::int32_t, decltype(d)> di;
        const hn::Half<typename R::D> half;
        const auto lower = Rounded(hn::PromoteTo(di, hn::LowerHalf(half, sum)), factor);
        const auto upper = Rounded(hn::PromoteTo(di, hn::UpperHalf(half, sum)), factor);
        const hn::RebindToSigned<decltype(half)> short_half;
        const hn::RebindToSigned<typename R::D> shorts;
        const auto both =
            hn::Combine(shorts, hn::DemoteTo(short_half, upper), hn::DemoteTo(short_half, lower));
        StoreElements(both, shorts, to, n);
      }
    }
  };
  const bool stream;

  explicit StoreChannelQuotients(const Pooling& p)
      : stream(std::is_floating_point_v<typename R::Lane> && CanStream(p, p.geometry.channels)),
        p_(p),
        uniform_(uniform_divisor(p.geometry, p.divisor)),
        pitch_(std::max(ChannelTiles(p.geometry).tile, ChannelLineTiles(p.geometry).tile)),
        factors_(2 * pitch_) {}

  void Start(int row, std::int64_t d, std::int64_t h, Span columns) {
    const Geometry& g = p_.geometry;
    const std::int64_t rows =
        uniform_ != 0 ? uniform_
                      : counted_taps(g.d(), p_.divisor, d) * counted_taps(g.h(), p_.divisor, h);
    Count* factors = factors_.get() + row * pitch_;
    for (std::int64_t w = columns.begin; w < columns.end; ++w) {
      const std::int64_t count = uniform_ != 0 ? rows : rows * counted_taps(g.w(), p_.divisor, w);
      // Bytes have no NaN for the mean of nothing; it is 0.
      const bool none = std::is_integral_v<T> && count == 0;
      *factors++ = none ? Count{0} : Count{1} / static_cast<Count>(count);
    }
  }

  Writer writer() const { return {factors_.get(), pitch_, stream}; }

 private:
  /** Quotients of sums of bytes, half to even: a product is off by less than 2^-14, so rounding it
   * to multiples of 2^-12 makes halves of those that are, and of no others. */
  static HWY_INLINE hn::Vec<hn::RebindToSigned<DF>> Rounded(hn::Vec<hn::RebindToSigned<DF>> sum,
                                                            Count factor) {
    const DF df;
    const auto origin = hn::Set(df, static_cast<Count>(3 << 10));
    const auto quotient = hn::Mul(hn::ConvertTo(df, sum), hn::Set(df, factor));
    return hn::NearestInt(hn::Sub(hn::Add(quotient, origin), origin));
  }

  const Pooling& p_;
  const std::int64_t uniform_;
  const std::int64_t pitch_;
  const Line<Count> factors_;  ///< of two rows of windows
};

template <typename T>
void ChannelWindowsOf(const Pooling& p, Span items) {
  using R = ShortSumOf<T>;
  using Finish = StoreChannelQuotients<T>;
  constexpr bool kCommon = std::is_same_v<T, float> || sizeof(T) == 1 || is_half<T>;
  Finish finish(p);
  ForwardChannels<R, kCommon, Finish, NothingToRedo>(p, finish, NothingToRedo()).Run(items);
}

template <typename T>
void BlocksOf(const Pooling& p, Span items) {
  ForwardBlocks<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void PlaneOf(const Pooling& p, Span items) {
  ForwardPlane<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void ChannelsOf(const Pooling& p, Span items) {
  ForwardPositions<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}
template <typename T>
void SlidingOf(const Pooling& p, Span items) {
  SlidingRows<SumOf<T>, StoreQuotient<T>, NothingToRedo>(p, StoreQuotient<T>(p), NothingToRedo())
      .Run(items);
}
template <typename T>
void RowsOf(const Pooling& p, Span items) {
  ForwardRows<SumOf<T>>(p, items, StoreQuotient<T>(p), NothingToRedo());
}

template <typename T>
void BinsOf(const Pooling& p, Span items) {
  SumBins<SumOf<T>>(p, items, StoreQuotient<T>(p));
}

template <typename T>
void ChannelLinesOf(const Pooling& p, Span items) {
  StoreChannelQuotients<T> finish(p);
  ForwardChannelLines<ShortSumOf<T>>(p, items, finish, NothingToRedo());
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

// --- what the tables hold: inline functions ---

using CommonTypes = ElementTypes<float, std::uint8_t>;
using SumTypes =
    ElementTypes<float, double, hwy::float16_t, hwy::bfloat16_t, std::int8_t, std::uint8_t>;

inline void FloatBlocks(const Pooling& p, Span items) { BlocksOf<float>(p, items); }
inline void ByteBlocks(const Pooling& p, Span items) { BlocksOf<std::uint8_t>(p, items); }
inline void Sliding(const Pooling& p, Span items) {
  CommonTypes::with(p, [&]<typename T>() { SlidingOf<T>(p, items); });
}
inline void Plane(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { PlaneOf<T>(p, items); });
}
inline void Channels(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { ChannelsOf<T>(p, items); });
}
inline void Rows(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { RowsOf<T>(p, items); });
}
inline void ChannelWindows(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { ChannelWindowsOf<T>(p, items); });
}
inline void ChannelLines(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { ChannelLinesOf<T>(p, items); });
}
inline void Bins(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { BinsOf<T>(p, items); });
}
inline void InterleavedTaps(const Pooling& p, Span items) {
  SumTypes::with(p, [&]<typename T>() { InterleavedTapsOf<T>(p, items); });
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

bool accepts_channels(const Pooling& p) { return accepts_sums(p) && PositionsAccept(p); }

template <typename T>
bool accepts_blocks(const Pooling& p) {
  return ElementTypes<T>::has(p) && accepts_sums(p) && BlocksAccept(p);
}

bool accepts_sliding(const Pooling& p) {
  return CommonTypes::has(p) && accepts_sums(p) && SlidingAccepts<SumOf<float>>(p);
}

bool accepts_rows(const Pooling& p) { return accepts_sums(p) && RowsAccept(p); }

/** As accepts_sums(), for sums of bytes in 16 bits. */
bool accepts_short_sums(const Pooling& p) {
  if (!accepts_sums(p)) return false;
  return dtype_size(p.dtype) > 1 ||
         (p.geometry.taps() <= kMostShortTaps && p.divisor.override_by <= kMostShortTaps);
}

bool accepts_channel_windows(const Pooling& p) {
  const std::int64_t size = dtype_size(p.dtype);
  return accepts_short_sums(p) &&
         ChannelsAccept(p, size == 1 ? 2 : std::max<std::int64_t>(size, 4));
}

bool accepts_channel_lines(const Pooling& p) {
  return accepts_short_sums(p) && ChannelLinesAccept(p);
}

bool accepts_bins(const Pooling& p) { return accepts_sums(p) && BinsAccept(p); }

bool accepts_interleaved_taps(const Pooling& p) {
  return accepts_sums(p) && p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

}  // namespace

std::span<const Kernel> avg_forward_kernels() {
  static const Kernel kernels[] = {
      slide_lanes_kernel(Operation::avg_forward),
      {"plane", accepts_plane, PlaneItems, FEATUREPOOL_TIERED(average_pooling::Plane)},
      {"channels", accepts_channels, PositionsItems,
       FEATUREPOOL_TIERED_ABOVE_SSE4(average_pooling::Channels)},
      {"channel_windows", accepts_channel_windows, ChannelItems,
       FEATUREPOOL_TIERED_ABOVE_SSE4(average_pooling::ChannelWindows)},
      bands_kernel(Operation::avg_forward),
      byte_bands_kernel(),
      byte_boxes_kernel(),
      {"sliding", accepts_sliding, SlidingItems<SumOf<float>>,
       FEATUREPOOL_TIERED_AVX2(average_pooling::Sliding)},
      // Floats are no faster with AVX-512 (measured).
      {"blocks", accepts_blocks<float>, BlockItems<SumOf<float>>,
       FEATUREPOOL_TIERED_AVX2(average_pooling::FloatBlocks)},
      {"blocks", accepts_blocks<std::uint8_t>, BlockItems<SumOf<std::uint8_t>>,
       FEATUREPOOL_TIERED_ABOVE_SSE4(average_pooling::ByteBlocks)},
      {"rows", accepts_rows, OutputRowItems, FEATUREPOOL_TIERED_UP_TO_AVX2(average_pooling::Rows)},
      {"channel_lines", accepts_channel_lines, ChannelLineItems,
       FEATUREPOOL_TIERED_ABOVE_SSE4(average_pooling::ChannelLines)},
      {"bins", accepts_bins, BinItems, FEATUREPOOL_TIERED_UP_TO_AVX2(average_pooling::Bins)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(average_pooling::InterleavedTaps)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
