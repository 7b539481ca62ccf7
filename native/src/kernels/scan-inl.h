// Maxima with their positions, and exact maxima: taps taken in row-major order.
#if defined(FEATUREPOOL_KERNELS_SCAN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_SCAN_INL_H_
#undef FEATUREPOOL_KERNELS_SCAN_INL_H_
#else
#define FEATUREPOOL_KERNELS_SCAN_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/rows-inl.h"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/**
 * How elements of type T are compared when positions of type M (void: none) are kept: positions
 * live in lanes as wide as the values', so bytes with i32 positions are compared as i32.
 */
template <typename T, typename M, Order kOrder = Order::greater>
struct Scan {
  static constexpr bool kPositions = !std::is_void_v<M>;
  static constexpr bool kFlat = std::is_same_v<M, std::int32_t>;
  using Element = T;
  using Mask = M;
  using Lane = std::conditional_t<std::is_integral_v<T> && kFlat, std::int32_t, LaneOf<T>>;
  using D = hn::ScalableTag<Lane>;
  using Index = std::conditional_t<sizeof(Lane) == 1, std::uint8_t, hwy::MakeSigned<Lane>>;
  using DI = hn::ScalableTag<Index>;

  /** The turned element that any other wins against. */
  static constexpr Lane Identity() {
    if constexpr (std::is_floating_point_v<Lane>) {
      return MaxOf<T, kOrder>::Identity();
    } else {
      using Limits = std::numeric_limits<T>;
      return static_cast<Lane>(kOrder == Order::greater ? Limits::lowest() : ~Limits::max());
    }
  }

  /** The involution under which the greatest wins. */
  static HWY_INLINE hn::Vec<D> Turned(D d, hn::Vec<D> v) { return Turn<kOrder>(d, v); }

  static HWY_INLINE hn::Vec<D> Load(D d, const T* HWY_RESTRICT p) {
    return Turn<kOrder>(d, LoadElements(d, p));
  }

  static HWY_INLINE hn::Vec<D> Load(D d, const T* HWY_RESTRICT p, std::int64_t n) {
    return Turn<kOrder>(d, LoadElements(d, p, n));
  }

  static HWY_INLINE void Store(D d, hn::Vec<D> v, T* HWY_RESTRICT p, std::int64_t n) {
    StoreElements(Turn<kOrder>(d, v), d, p, n);
  }

  static HWY_INLINE void StoreMask(DI di, hn::Vec<DI> v, M* HWY_RESTRICT p, std::int64_t n) {
    if constexpr (kFlat) {
      StorePositions(di, v, p, n);
    } else if constexpr (std::is_same_v<M, Index>) {
      StorePart(v, di, p, n);
    } else if constexpr (sizeof(Index) == 8) {
      // The low bits are the whole ordinal.
      const hn::Rebind<M, DI> narrow;
      const auto bits = hn::BitCast(hn::RebindToUnsigned<DI>(), v);
      StorePart(hn::TruncateTo(narrow, bits), narrow, p, n);
    } else {
      const hn::Rebind<M, DI> narrow;
      StorePart(hn::DemoteTo(narrow, v), narrow, p, n);
    }
  }

  /** Takes `v` at `position` where it is the new first maximum; kExact: or a NaN. */
  template <bool kExact>
  static HWY_INLINE void Take(D d, DI di, hn::Vec<D> v, hn::Vec<DI> position, hn::Vec<D>& best,
                              hn::Vec<DI>& at) {
    if constexpr (!kPositions && !kExact) {
      best = Greater(v, best);
    } else {
      auto better = hn::Gt(v, best);
      if constexpr (kExact && std::is_floating_point_v<Lane>) {
        better = hn::Or(better, hn::IsNaN(v));
      }
      // Not from the comparison's result, so that the next need not wait for this one.
      best = kExact ? hn::IfThenElse(better, v, best) : Greater(v, best);
      if constexpr (kPositions) at = hn::IfThenElse(hn::RebindMask(di, better), position, at);
    }
    (void)d;
  }
};

/**
 * Takes the taps of a row of windows one by one in row-major order, from lines that were padded and
 * split into phases: exact for ties, signed zeros and NaN, with or without positions.
 */
template <class S>
class PlanarScan {
 public:
  using Lane = typename S::Lane;
  using Element = typename S::Element;

  PlanarScan(const Pooling& p, const PlaneView& view)
      : p_(p),
        view_(view),
        tiles_(Tiles(view)),
        length_(LineLength(view, tiles_)),
        phase_pitch_((length_ + view.w.stride - 1) / view.w.stride + kSlack),
        row_pitch_(view.w.stride == 1 ? phase_pitch_ : phase_pitch_ * view.w.stride),
        lines_(view.d.kernel * view.h.kernel * row_pitch_),
        joined_(length_) {
    const Axis& w = view.w;
    for (std::int64_t t = 0; t < w.kernel; ++t) {
      const std::int64_t at = t * w.dilation;
      offsets_.push_back(w.stride == 1 ? at : at % w.stride * phase_pitch_ + at / w.stride);
    }
    rows_.reserve(static_cast<std::size_t>(view.d.kernel * view.h.kernel));
    for (std::int64_t i = 0; i < kSlack; ++i) {
      steps_.push_back(static_cast<typename S::Index>(i * view.w.stride));
    }
  }

  static RowTiles Tiles(const PlaneView& view) {
    const std::int64_t rows = view.d.kernel * view.h.kernel;
    const std::int64_t room =
        std::min(kTileElements, kStagedBytes / static_cast<std::int64_t>(sizeof(Lane)) / rows);
    return {
        view.d.output, view.h.output, view.w.output,
        std::max({room - view.w.reach(), view.w.reach(), std::int64_t{64}}) / view.w.stride + 1};
  }

  static bool Accepts(const PlaneView& view) {
    return view.d.kernel * view.h.kernel * LineLength(view, Tiles(view)) *
               static_cast<std::int64_t>(sizeof(Lane)) <=
           4 * kStagedBytes;
  }

  /** Computes outputs of one row, tile by tile. */
  void Row(const RowTiles::Item& item, Span outputs) {
    for (std::int64_t o = outputs.begin; o < outputs.end;) {
      const std::int64_t end = std::min(outputs.end, o + tiles_.tile);
      Tile(item, {o, end});
      o = end;
    }
  }

  void Tile(const RowTiles::Item& item, Span outputs) {
    const TileColumns columns(view_.w, outputs);
    if constexpr (S::kPositions) StartTile(outputs);
    const bool exact = Stage(item, columns);
    const std::int64_t to = OutputOffset(view_, item, outputs.begin);
    if (exact) {
      Take<true>(to, outputs);
    } else {
      Take<false>(to, outputs);
    }
  }

 private:
  static constexpr std::int64_t kSlack = 128;
  static constexpr std::int64_t kStagedBytes = 128 << 10;

  static std::int64_t LineLength(const PlaneView& view, const RowTiles& tiles) {
    return (tiles.tile - 1) * view.w.stride + view.w.reach();
  }

  /** First valid tap of each window along W, and the windows without any; per column tile. */
  void StartTile(Span outputs) {
    if (first_.size() != 0 && started_.begin == outputs.begin && started_.end == outputs.end)
      return;
    started_ = outputs;
    first_.assign(static_cast<std::size_t>(outputs.size() + kSlack), 0);
    empty_.clear();
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const Span taps = view_.w.taps(o);
      if (taps.empty()) empty_.push_back(o - outputs.begin);
      first_[static_cast<std::size_t>(o - outputs.begin)] =
          static_cast<typename S::Index>(S::kFlat ? taps.begin * view_.w.dilation : taps.begin);
    }
  }

  /** Copies the rows of a window into padded lines; whether one of them holds a NaN. */
  bool Stage(const RowTiles::Item& item, const TileColumns& columns) {
    const typename S::D d;
    const std::int64_t lanes = LaneCount(d);
    const Element* x = static_cast<const Element*>(p_.input) + item.plane * view_.input_plane();
    const Span depth = view_.d.taps(item.d);
    const Span height = view_.h.taps(item.h);
    const std::int64_t size = columns.inputs.size();
    auto sum = hn::Zero(d);
    rows_.clear();
    if (size == 0) return false;
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        const std::int64_t input_row =
            view_.d.position(item.d, td) * view_.h.input + view_.h.position(item.h, th);
        const Element* source = x + input_row * view_.w.input + columns.inputs.begin;
        const auto index = static_cast<std::int64_t>(rows_.size());
        Lane* staged = lines_.get() + index * row_pitch_;
        Lane* line = view_.w.stride == 1 ? staged + columns.before : joined_.get();
        for (std::int64_t i = 0;;) {
          const auto v = S::Load(d, source + i, std::min(lanes, size - i));
          if constexpr (std::is_floating_point_v<Lane>) sum = hn::Add(sum, v);
          hn::StoreU(v, d, line + i);
          if (i + lanes >= size) break;
          i = std::min(i + lanes, size - lanes);
        }
        if (view_.w.stride == 1) {
          columns.Pad(staged, S::Identity());
        } else {
          SplitPhases(line, columns, view_.w.stride, S::Identity(), staged, phase_pitch_);
        }
        rows_.push_back(
            {S::kFlat ? input_row * view_.w.input : (td * view_.h.kernel + th) * view_.w.kernel});
      }
    }
    if constexpr (std::is_floating_point_v<Lane>) return !hn::AllFalse(d, hn::IsNaN(sum));
    return false;
  }

  template <bool kExact>
  HWY_NOINLINE void Take(std::int64_t to, Span outputs) {
    const typename S::D d;
    const typename S::DI di;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t size = outputs.size();
    Element* y = static_cast<Element*>(p_.output) + to;
    const std::int64_t kernel = view_.w.kernel;
    const auto step = hn::Set(di, static_cast<typename S::Index>(S::kFlat ? view_.w.dilation : 1));
    for (std::int64_t o = 0;;) {
      auto best = hn::Set(d, S::Identity());
      auto at = hn::Zero(di);
      if constexpr (S::kPositions) {
        if (!rows_.empty()) {
          at = hn::Add(hn::Set(di, static_cast<typename S::Index>(rows_[0])),
                       hn::LoadU(di, first_.data() + o));
        }
      }
      const Lane* line = lines_.get() + o;
      for (const std::int64_t first : rows_) {
        auto position = hn::Set(di, static_cast<typename S::Index>(first));
        for (std::int64_t t = 0; t < kernel; ++t) {
          const auto v = hn::LoadU(d, line + offsets_[static_cast<std::size_t>(t)]);
          S::template Take<kExact>(d, di, v, position, best, at);
          if constexpr (S::kPositions) position = hn::Add(position, step);
        }
        line += row_pitch_;
      }
      S::Store(d, best, y + o, size - o);
      if constexpr (S::kPositions) {
        if constexpr (S::kFlat) {
          // From the window's own columns to the plane's.
          const auto start = static_cast<typename S::Index>(view_.w.start(outputs.begin + o));
          at = hn::Add(at, hn::Add(hn::Set(di, start), hn::LoadU(di, steps_.data())));
        }
        auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
        S::StoreMask(di, at, mask + o, size - o);
      }
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
    if constexpr (S::kPositions) {
      auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
      constexpr auto kNone =
          static_cast<typename S::Mask>(S::kFlat ? FPOOL_MASK_NONE : FPOOL_MASK_NONE_COMPACT);
      if (rows_.empty()) {
        std::fill_n(mask, size, kNone);
      } else {
        for (const std::int64_t o : empty_) mask[o] = kNone;
      }
    }
  }

  const Pooling& p_;
  const PlaneView& view_;
  const RowTiles tiles_;
  const std::int64_t length_;
  const std::int64_t phase_pitch_;
  const std::int64_t row_pitch_;
  const Line<Lane> lines_;   ///< the rows of a window, padded and split into phases
  const Line<Lane> joined_;  ///< one row before it is split
  std::vector<std::int64_t> offsets_;
  std::vector<std::int64_t>
      rows_;  ///< position of tap 0 of each line: ordinal, or flat without column
  std::vector<typename S::Index> first_;
  std::vector<typename S::Index> steps_;  ///< 0, stride, 2 * stride ...
  std::vector<std::int64_t> empty_;
  Span started_{0, 0};
};

// --- interleaved: lanes along C ---

/** One window, all channels: the taps in row-major order. */
template <class S>
class InterleavedScan {
 public:
  using Element = typename S::Element;

  explicit InterleavedScan(const Pooling& p)
      : p_(p),
        x_(static_cast<const Element*>(p.input)),
        end_(x_ + p.geometry.input_size()),
        channels_(p.geometry.channels) {}

  void Window(std::int64_t image, const Taps& taps, std::int64_t output) {
    const typename S::D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t to = (image * p_.geometry.output_plane() + output) * channels_;
    const Element* x = x_ + image * p_.geometry.input_plane() * channels_ + taps.base;
    for (std::int64_t c = 0;;) {
      if (Channels<false>(x + c, taps, channels_ - c, to + c)) {
        Channels<true>(x + c, taps, channels_ - c, to + c);
      }
      if (c + lanes >= channels_) break;
      c = std::min(c + lanes, channels_ - lanes);
    }
  }

 private:
  /** One vector of channels, `n` of them real; whether kExact is needed. */
  template <bool kExact>
  HWY_INLINE bool Channels(const Element* HWY_RESTRICT x, const Taps& taps, std::int64_t n,
                           std::int64_t to) {
    const typename S::D d;
    const typename S::DI di;
    auto best = hn::Set(d, S::Identity());
    auto at = hn::Zero(di);
    auto sum = hn::Zero(d);
    const std::int64_t count = taps.count;
    if constexpr (S::kPositions) {
      if (count > 0) at = hn::Set(di, Position(taps, 0));
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const auto v = Load(d, x + taps.offset[i], n);
      if constexpr (!kExact && std::is_floating_point_v<typename S::Lane>) sum = hn::Add(sum, v);
      if constexpr (S::kPositions) {
        S::template Take<kExact>(d, di, v, hn::Set(di, Position(taps, i)), best, at);
      } else {
        S::template Take<kExact>(d, di, v, at, best, at);
      }
    }
    S::Store(d, best, static_cast<Element*>(p_.output) + to, n);
    if constexpr (S::kPositions) {
      if (count == 0) {
        at = hn::Set(di, static_cast<typename S::Index>(S::kFlat ? FPOOL_MASK_NONE
                                                                 : FPOOL_MASK_NONE_COMPACT));
      }
      S::StoreMask(di, at, static_cast<typename S::Mask*>(p_.mask) + to, n);
    }
    if constexpr (!kExact && std::is_floating_point_v<typename S::Lane>) {
      return !hn::AllFalse(d, hn::IsNaN(sum));
    }
    return false;
  }

  static HWY_INLINE typename S::Index Position(const Taps& taps, std::int64_t i) {
    return static_cast<typename S::Index>(S::kFlat ? taps.base_position + taps.position[i]
                                                   : taps.ordinal[i]);
  }

  /** Fewer channels than lanes: the neighbours behind them are read along, where there are some. */
  HWY_INLINE hn::Vec<typename S::D> Load(typename S::D d, const Element* p, std::int64_t n) const {
    return S::Load(d, p, end_ - p >= LaneCount(d) ? LaneCount(d) : n);
  }

  const Pooling& p_;
  const Element* x_;
  const Element* end_;
  std::int64_t channels_;
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
