// Maxima and minima: values, and values with positions. One set of kernels for both orders and
// every type of element; `X` is an Extremes of kernels/extremes.hpp.
#if defined(FEATUREPOOL_KERNELS_EXTREMES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_EXTREMES_INL_H_
#undef FEATUREPOOL_KERNELS_EXTREMES_INL_H_
#else
#define FEATUREPOOL_KERNELS_EXTREMES_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/bins-inl.h"
#include "kernels/blocks-inl.h"
#include "kernels/channels-inl.h"
#include "kernels/extremes.hpp"
#include "kernels/global-inl.h"
#include "kernels/position_rows-inl.h"
#include "kernels/scan-inl.h"
#include "kernels/sliding_positions-inl.h"
#include "kernels/sliding_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace extremes {

/** What becomes of maxima: they are turned back and stored. */
template <class R>
struct StoreExtremes {
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  /** Writes past no cache. */
  struct Writer {
    HWY_INLINE void Write(hn::Vec<typename R::D> v, std::int64_t o, std::int64_t n,
                          Element* HWY_RESTRICT row) const {
      const typename R::D d;
      StoreElements(Turn<R::kSelects>(d, v), d, row + o, n);
    }
  };
  const bool stream;

  explicit StoreExtremes(const Pooling& p)
      : stream(std::is_same_v<Element, Lane> && CanStream(p, PlaneView(p).w.output)) {}

  void StartTile(const PlaneView&, Span) {}
  void StartRow(const PlaneView&, std::int64_t, std::int64_t) {}
  Writer writer() const { return {}; }

  HWY_INLINE void Write(hn::Vec<typename R::D> v, std::int64_t o, std::int64_t n,
                        Element* HWY_RESTRICT row) const {
    if constexpr (std::is_same_v<Element, Lane>) {
      const typename R::D d;
      if (stream && n >= LaneCount(d)) {
        hn::Stream(Turn<R::kSelects>(d, v), d, row + o);
        return;
      }
    }
    writer().Write(v, o, n, row);
  }
};

/** The same for windows of interleaved tensors. */
template <class R>
struct StoreChannelExtremes {
  using Element = typename R::Element;
  struct Factor {};
  struct Writer {
    bool stream;
    HWY_INLINE Factor At(int, std::int64_t) const { return {}; }
    HWY_INLINE void Write(hn::Vec<typename R::D> v, Factor, std::int64_t n,
                          Element* HWY_RESTRICT to) const {
      const typename R::D d;
      v = Turn<R::kSelects>(d, v);
      if (stream && n >= LaneCount(d)) {
        StreamElements(v, d, to);
      } else {
        StoreElements(v, d, to, n);
      }
    }
  };
  const bool stream;

  explicit StoreChannelExtremes(const Pooling& p) : stream(CanStream(p, p.geometry.channels)) {}

  void Start(int, std::int64_t, std::int64_t, Span) {}
  Writer writer() const { return {stream}; }
};

template <typename T>
bool IsZero(T value) {
  if constexpr (is_half<T>) {
    return (std::bit_cast<std::uint16_t>(value) & 0x7fff) == 0;
  } else {
    return value == 0;
  }
}

/** Second look at row tiles whose inputs hold a NaN, or a -0.0 where an output is zero. */
template <typename T, Order kOrder>
class Redo {
 public:
  explicit Redo(const Pooling& p) : p_(p), view_(p) {}

  void operator()(const RowTiles::Item& item, Span outputs, int findings) const {
    if constexpr (std::is_floating_point_v<LaneOf<T>>) {
      const T* y = static_cast<const T*>(p_.output) + OutputOffset(view_, item, 0);
      if ((findings & kHoldsNan) == 0 &&
          std::none_of(y + outputs.begin, y + outputs.end, IsZero<T>)) {
        return;
      }
      if (!scan_) scan_ = std::make_unique<Scanner>(p_, view_);
      scan_->Row(item, outputs);
    }
  }

 private:
  const Pooling& p_;
  const PlaneView view_;
  using Scanner = PlanarScan<Scan<T, void, kOrder>>;
  mutable std::unique_ptr<Scanner> scan_;
};

/** Second look at whole planes. */
template <typename T, Order kOrder>
struct RedoPlanes {
  using S = Scan<T, std::uint8_t, kOrder>;
  const Pooling& p;

  void operator()(Span planes, int findings) const {
    if constexpr (std::is_floating_point_v<LaneOf<T>>) {
      const typename S::D d;
      const std::int64_t size = p.geometry.input_plane();
      const T* x = static_cast<const T*>(p.input);
      T* y = static_cast<T*>(p.output);
      for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
        if ((findings & kHoldsNan) == 0 && !IsZero(y[plane])) continue;
        const RunMaximum<S> maximum(x + plane * size, size);
        S::Store(d, hn::Set(d, maximum.value), y + plane, 1);
      }
    }
  }
};

/** Second look at channels of a whole interleaved image. */
template <typename T, Order kOrder>
struct RedoChannels {
  using S = Scan<T, void, kOrder>;
  const Pooling& p;

  void operator()(std::int64_t image, Span channels, int findings) const {
    if constexpr (std::is_floating_point_v<LaneOf<T>>) {
      const typename S::D d;
      const typename S::DI di;
      const Geometry& g = p.geometry;
      const T* x = static_cast<const T*>(p.input) + image * g.input_plane() * g.channels;
      T* y = static_cast<T*>(p.output) + image * g.channels;
      if ((findings & kHoldsNan) == 0 &&
          std::none_of(y + channels.begin, y + channels.end, IsZero<T>)) {
        return;
      }
      for (std::int64_t c = channels.begin; c < channels.end; c += LaneCount(d)) {
        const std::int64_t part = channels.end - c;
        auto best = S::Load(d, x + c, part);
        auto at = hn::Zero(di);
        for (std::int64_t i = 1; i < g.input_plane(); ++i) {
          S::template Take<true>(d, di, S::Load(d, x + i * g.channels + c, part), at, best, at);
        }
        S::Store(d, best, y + c, part);
      }
    }
  }
};

/** Second look at windows of interleaved tensors. */
template <typename T, Order kOrder>
class RedoWindows {
 public:
  explicit RedoWindows(const Pooling& p) : p_(p) {}

  void operator()(std::int64_t image, std::int64_t d, std::int64_t h, Span outputs,
                  int findings) const {
    if constexpr (std::is_floating_point_v<LaneOf<T>>) {
      const Geometry& g = p_.geometry;
      if (!exact_) exact_ = std::make_unique<Exact>(p_);
      for (std::int64_t w = outputs.begin; w < outputs.end; ++w) {
        const std::int64_t output = (d * g.h().output + h) * g.w().output + w;
        const T* y =
            static_cast<const T*>(p_.output) + (image * g.output_plane() + output) * g.channels;
        if ((findings & kHoldsNan) == 0 && !HoldsZero(y, g.channels)) continue;
        exact_->scan.Window(image, exact_->windows.at(d, h, w), output);
      }
    }
  }

 private:
  static HWY_INLINE bool HoldsZero(const T* y, std::int64_t n) {
    const hn::ScalableTag<LaneOf<T>> d;
    for (std::int64_t c = 0; c < n; c += LaneCount(d)) {
      const auto zero = hn::Eq(LoadElements(d, y + c, n - c), hn::Zero(d));
      if (!hn::AllFalse(d, zero)) return true;
    }
    return false;
  }

  struct Exact {
    InterleavedWindows windows;
    InterleavedScan<Scan<T, void, kOrder>> scan;
    explicit Exact(const Pooling& p) : windows(p.geometry), scan(p) {}
  };

  const Pooling& p_;
  mutable std::unique_ptr<Exact> exact_;
};

// --- the kernels for elements of type T ---

template <typename T, Order kOrder>
void BlocksOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  ForwardBlocks<R>(p, items, StoreExtremes<R>(p), Redo<T, kOrder>(p));
}
template <typename T, Order kOrder>
void PlaneOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  ForwardPlane<R>(p, items, StoreExtremes<R>(p), RedoPlanes<T, kOrder>{p});
}
template <typename T, Order kOrder>
void ChannelsOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  ForwardPositions<R>(p, items, StoreExtremes<R>(p), RedoChannels<T, kOrder>{p});
}
template <typename T, Order kOrder>
void RowsOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  ForwardRows<R>(p, items, StoreExtremes<R>(p), Redo<T, kOrder>(p));
}
template <typename T, Order kOrder>
void SlidingOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  const Redo<T, kOrder> redo(p);
  SlidingRows<R, StoreExtremes<R>, Redo<T, kOrder>>(p, StoreExtremes<R>(p), redo).Run(items);
}

template <typename T, Order kOrder, bool kCommon>
void ChannelWindowsOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  using Finish = StoreChannelExtremes<R>;
  using Redo = RedoWindows<T, kOrder>;
  Finish finish(p);
  const Redo redo(p);
  ForwardChannels<R, kCommon, Finish, Redo>(p, finish, redo).Run(items);
}

template <typename T, Order kOrder>
void ChannelLinesOf(const Pooling& p, Span items) {
  using R = MaxOf<T, kOrder>;
  StoreChannelExtremes<R> finish(p);
  ForwardChannelLines<R>(p, items, finish, RedoWindows<T, kOrder>(p));
}

/** Row tiles through PlanarScan. */
template <class S>
void PlanarTapsOf(const Pooling& p, Span items) {
  const PlaneView view(p);
  const RowTiles tiles = PlanarScan<S>::Tiles(view);
  PlanarScan<S> scan(p, view);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    scan.Tile(item, tiles.columns(item));
  }
}

template <class S>
void PositionRowsOf(const Pooling& p, Span items) {
  PositionRows<S>(p).Run(items);
}

template <class S>
void SlidingPositionsOf(const Pooling& p, Span items) {
  SlidingPositions<S>(p).Run(items);
}

// Up to this many bytes per plane, few lanes that are merged at the end beat many (measured).
inline constexpr std::int64_t kSmallPlane = 1024;

template <typename T, Order kOrder>
void PlanePositionsOf(const Pooling& p, Span items) {
  if constexpr (sizeof(T) == 1) {
    if (p.geometry.input_plane() <= kSmallPlane) {
      HWY_NAMESPACE::PlanePositions<Scan<T, std::int32_t, kOrder>>(p, items);
      return;
    }
  }
  HWY_NAMESPACE::PlanePositions<Scan<T, std::uint8_t, kOrder>>(p, items);
}

template <typename T, Order kOrder>
void BinsOf(const Pooling& p, Span items) {
  BinScan<Scan<T, std::uint8_t, kOrder>>(p).Run(items);
}

template <class S>
void InterleavedTapsOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedOutputTiles(g);
  InterleavedWindows windows(g);
  InterleavedScan<S> scan(p);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    for (std::int64_t w = columns.begin; w < columns.end; ++w) {
      scan.Window(item.plane, windows.at(item.d, item.h, w), tiles.row(item) * g.w().output + w);
    }
  }
}

// --- what the tables hold ---

template <class X>
void Blocks(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { BlocksOf<T, X::kSelects>(p, items); });
}
template <class X>
void Plane(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { PlaneOf<T, X::kSelects>(p, items); });
}
template <class X>
void Channels(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { ChannelsOf<T, X::kSelects>(p, items); });
}
template <class X>
void Rows(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { RowsOf<T, X::kSelects>(p, items); });
}
template <class X>
void Sliding(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { SlidingOf<T, X::kSelects>(p, items); });
}

template <class X>
void ChannelWindows(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() {
    constexpr bool kCommon = X::kOwnKernels || (is_half<T> && X::kSelects == Order::greater);
    ChannelWindowsOf<T, X::kSelects, kCommon>(p, items);
  });
}

template <class X>
void ChannelLines(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { ChannelLinesOf<T, X::kSelects>(p, items); });
}

/** Calls `f.template operator()<Scan<T, M>>()` for the types of elements and mask of a call; for
 * those without a mask, M is `None`. */
template <class X, typename None, class F>
void WithScan(const Pooling& p, const F& f) {
  X::with(p, [&]<typename T>() {
    switch (p.mask_type) {
      case MaskType::none:
        return f.template operator()<Scan<T, None, X::kSelects>>();
      case MaskType::position_u8:
        return f.template operator()<Scan<T, std::uint8_t, X::kSelects>>();
      case MaskType::plane_i32:
        return f.template operator()<Scan<T, std::int32_t, X::kSelects>>();
    }
  });
}

template <class X>
void PlanarTaps(const Pooling& p, Span items) {
  WithScan<X, std::uint8_t>(p, [&]<class S>() { PlanarTapsOf<S>(p, items); });
}
template <class X>
void Positions(const Pooling& p, Span items) {
  WithScan<X, std::uint8_t>(p, [&]<class S>() { SlidingPositionsOf<S>(p, items); });
}
template <class X>
void RowPositions(const Pooling& p, Span items) {
  WithScan<X, std::uint8_t>(p, [&]<class S>() { PositionRowsOf<S>(p, items); });
}
template <class X>
void WholePlanes(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { PlanePositionsOf<T, X::kSelects>(p, items); });
}
template <class X>
void Bins(const Pooling& p, Span items) {
  X::with(p, [&]<typename T>() { BinsOf<T, X::kSelects>(p, items); });
}
template <class X>
void InterleavedTaps(const Pooling& p, Span items) {
  WithScan<X, void>(p, [&]<class S>() { InterleavedTapsOf<S>(p, items); });
}

}  // namespace extremes
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool::extremes {

using namespace HWY_NAMESPACE;  // the functions that decide are the same in every tier

template <class X>
bool without_mask(const Pooling& p) {
  return X::has(p) && p.mask_type == MaskType::none;
}

/** What `f.template operator()<S>()` says of the Scan type of a call; without a mask, of that of
 * compact ones. */
template <class X, class F>
auto of_scan(const Pooling& p, const F& f) {
  decltype(f.template operator()<Scan<float, std::uint8_t>>()) result{};
  HWY_NAMESPACE::extremes::WithScan<X, std::uint8_t>(
      p, [&]<class S>() { result = f.template operator()<S>(); });
  return result;
}

template <class X>
bool accepts_plane(const Pooling& p) {
  return without_mask<X>(p) && PlaneAccept(p);
}

template <class X>
bool accepts_channels(const Pooling& p) {
  return without_mask<X>(p) && PositionsAccept(p);
}

template <class X>
bool accepts_plane_positions(const Pooling& p) {
  return X::has(p) && p.mask_type != MaskType::none && PlaneAccept(p);
}

template <class X>
bool accepts_channel_windows(const Pooling& p) {
  std::int64_t lane_bytes = 0;
  X::with(p, [&]<typename T>() { lane_bytes = sizeof(LaneOf<T>); });
  return without_mask<X>(p) && ChannelsAccept(p, lane_bytes);
}

template <class X>
bool accepts_channel_lines(const Pooling& p) {
  return without_mask<X>(p) && ChannelLinesAccept(p);
}

template <class X>
bool accepts_blocks(const Pooling& p) {
  return without_mask<X>(p) && BlocksAccept(p);
}

/** Of rows of outputs that do not fill a vector of AVX-512: with shorter ones they are faster
 * (measured, 14x14 k2 s2: 21.6 -> 11.6 us). */
template <class X>
bool accepts_narrow_blocks(const Pooling& p) {
  bool narrow = false;
  X::with(p, [&]<typename T>() {
    narrow = p.geometry.w().output * static_cast<std::int64_t>(sizeof(LaneOf<T>)) < 64;
  });
  return narrow && accepts_blocks<X>(p);
}

template <class X>
std::int64_t block_items(const Pooling& p) {
  std::int64_t items = 0;
  X::with(p, [&]<typename T>() { items = BlockItems<MaxOf<T>>(p); });
  return items;
}

template <class X>
bool accepts_sliding(const Pooling& p) {
  bool fits = false;
  X::with(p, [&]<typename T>() { fits = SlidingAccepts<MaxOf<T>>(p); });
  return fits && without_mask<X>(p);
}

template <class X>
std::int64_t sliding_items(const Pooling& p) {
  std::int64_t items = 0;
  X::with(p, [&]<typename T>() { items = SlidingItems<MaxOf<T>>(p); });
  return items;
}

template <class X>
bool accepts_rows(const Pooling& p) {
  return without_mask<X>(p) && RowsAccept(p);
}

template <class X>
bool accepts_planar_taps(const Pooling& p) {
  const bool takes = X::has(p) && p.layout == Layout::planar && p.mask_type != MaskType::none;
  return takes && RowsAccept(p) &&
         of_scan<X>(p, [&]<class S>() { return PlanarScan<S>::Accepts(PlaneView(p)); });
}

template <class X>
std::int64_t planar_taps_items(const Pooling& p) {
  const PlaneView view(p);
  return of_scan<X>(p,
                    [&]<class S>() { return item_count(view.planes, PlanarScan<S>::Tiles(view)); });
}

// Up to this many taps per output, taking them one by one beats sliding (measured).
inline constexpr std::int64_t kMostPositionTaps = 16;

template <class X>
bool accepts_positions(const Pooling& p) {
  const Geometry& g = p.geometry;
  const bool slides = g.d().kernel == 1 && g.h().stride == 1 && g.w().stride == 1 &&
                      g.h().dilation == 1 && g.w().dilation == 1;
  // Of an interleaved tensor, the exact scan of rows with a NaN knows positions in the window only.
  const bool known = p.layout == Layout::planar ? p.mask_type != MaskType::none
                                                : p.mask_type == MaskType::position_u8;
  return X::has(p) && slides && known && g.taps() > kMostPositionTaps && RowsAccept(p) &&
         of_scan<X>(p, [&]<class S>() { return SlidingPositions<S>::Accepts(PlaneView(p)); });
}

template <class X>
std::int64_t positions_items(const Pooling& p) {
  const PlaneView view(p);
  return of_scan<X>(
      p, [&]<class S>() { return item_count(view.planes, SlidingPositions<S>::Tiles(view)); });
}

template <class X>
bool accepts_row_positions(const Pooling& p) {
  return X::has(p) && p.mask_type != MaskType::none &&
         of_scan<X>(p, [&]<class S>() { return PositionRows<S>::Accepts(p); });
}

template <class X>
std::int64_t row_positions_items(const Pooling& p) {
  return of_scan<X>(p, [&]<class S>() { return PositionRows<S>::Items(p); });
}

template <class X>
bool accepts_bins(const Pooling& p) {
  bool fits = false;
  X::with(p, [&]<typename T>() { fits = BinScan<Scan<T, std::uint8_t>>::RanksFit(p); });
  return fits && BinsAccept(p);
}

template <class X>
bool accepts_interleaved_taps(const Pooling& p) {
  return X::has(p) && p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

using Table = dispatch::Tiered<void(const Pooling&, Span)>;

// Maxima of the common types have code of their own in every tier (but for what SSE4 does without);
// all else has AVX2's where there is AVX-512, which would double its share of the library.
#define FEATUREPOOL_TIERED_BY_TYPE(SSE4, FUNCTION)                                       \
  [] {                                                                                   \
    if constexpr (X::kOwnKernels && X::kSelects == Order::greater) {                     \
      return Table{SSE4(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX3(FUNCTION), \
                   HWY_CHOOSE_NEON(FUNCTION)};                                           \
    } else {                                                                             \
      return Table{SSE4(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), \
                   HWY_CHOOSE_NEON(FUNCTION)};                                           \
    }                                                                                    \
  }()
#define FEATUREPOOL_NOT_SSE4(FUNCTION) nullptr

/** The kernels that X asks for, fastest first. */
template <class X>
std::vector<Kernel> kernels() {
  std::vector<Kernel> kernels;
  kernels.push_back({"plane", accepts_plane<X>, PlaneItems,
                     FEATUREPOOL_TIERED_BY_TYPE(HWY_CHOOSE_SSE4, extremes::Plane<X>)});
  kernels.push_back({"channels", accepts_channels<X>, PositionsItems,
                     FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::Channels<X>)});
  kernels.push_back({"plane_positions", accepts_plane_positions<X>, PlaneItems,
                     FEATUREPOOL_TIERED_UP_TO_AVX2(extremes::WholePlanes<X>)});
  kernels.push_back(
      {"channel_windows", accepts_channel_windows<X>, ChannelItems,
       FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::ChannelWindows<X>)});
  if constexpr (X::kOwnKernels) {
    kernels.push_back({"sliding", accepts_sliding<X>, sliding_items<X>,
                       FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::Sliding<X>)});
    if constexpr (X::kSelects == Order::greater) {
      kernels.push_back({"blocks", accepts_narrow_blocks<X>, block_items<X>,
                         FEATUREPOOL_TIERED_AVX2(extremes::Blocks<X>)});
    }
    kernels.push_back({"blocks", accepts_blocks<X>, block_items<X>,
                       FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::Blocks<X>)});
  }
  kernels.push_back(
      {"rows", accepts_rows<X>, OutputRowItems, FEATUREPOOL_TIERED_UP_TO_AVX2(extremes::Rows<X>)});
  if constexpr (X::kOwnKernels) {
    kernels.push_back({"sliding_positions", accepts_positions<X>, positions_items<X>,
                       FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::Positions<X>)});
    kernels.push_back(
        {"position_rows", accepts_row_positions<X>, row_positions_items<X>,
         FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::RowPositions<X>)});
  }
  kernels.push_back({"planar_taps", accepts_planar_taps<X>, planar_taps_items<X>,
                     FEATUREPOOL_TIERED_UP_TO_AVX2(extremes::PlanarTaps<X>)});
  kernels.push_back({"channel_lines", accepts_channel_lines<X>, ChannelLineItems,
                     FEATUREPOOL_TIERED_BY_TYPE(FEATUREPOOL_NOT_SSE4, extremes::ChannelLines<X>)});
  kernels.push_back(
      {"bins", accepts_bins<X>, BinItems, FEATUREPOOL_TIERED_UP_TO_AVX2(extremes::Bins<X>)});
  kernels.push_back({"interleaved_taps", accepts_interleaved_taps<X>, InterleavedOutputItems,
                     FEATUREPOOL_TIERED_UP_TO_AVX2(extremes::InterleavedTaps<X>)});
  return kernels;
}

#undef FEATUREPOOL_TIERED_BY_TYPE
#undef FEATUREPOOL_NOT_SSE4

}  // namespace featurepool::extremes
#endif

#endif
