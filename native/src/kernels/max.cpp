// Max pooling: values, values with positions, and the gradient.

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scatter.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace max_pooling {

// --- taps in row-major order ----------------------------------------------------------------------

/**
 * How elements of type T are compared when positions of type M (void: none) are kept: positions live
 * in lanes as wide as the values', so u8 elements with i32 positions are compared as i32.
 */
template <typename T, typename M>
struct Scan {
  static constexpr bool kPositions = !std::is_void_v<M>;
  static constexpr bool kFlat = std::is_same_v<M, std::int32_t>;
  using Element = T;
  using Mask = M;
  using Lane = std::conditional_t<std::is_integral_v<T> && kFlat, std::int32_t, T>;
  using D = hn::ScalableTag<Lane>;
  using Index = std::conditional_t<std::is_same_v<Lane, std::uint8_t>, std::uint8_t, std::int32_t>;
  using DI = hn::ScalableTag<Index>;

  static constexpr Lane Identity() { return MaxOf<T>::Identity(); }

  static HWY_INLINE hn::Vec<D> Load(D d, const T* HWY_RESTRICT p, std::int64_t n) {
    if constexpr (std::is_same_v<T, Lane>) {
      return LoadPart(d, p, n);
    } else {
      return hn::PromoteTo(d, LoadPart(hn::Rebind<T, D>(), p, n));
    }
  }

  static HWY_INLINE void Store(D d, hn::Vec<D> v, T* HWY_RESTRICT p, std::int64_t n) {
    if constexpr (std::is_same_v<T, Lane>) {
      StorePart(v, d, p, n);
    } else {
      const hn::Rebind<T, D> narrow;
      StorePart(hn::DemoteTo(narrow, v), narrow, p, n);
    }
  }

  static HWY_INLINE void StoreMask(DI di, hn::Vec<DI> v, M* HWY_RESTRICT p, std::int64_t n) {
    if constexpr (std::is_same_v<M, Index>) {
      StorePart(v, di, p, n);
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
      best = hn::IfThenElse(better, v, best);
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
      offsets_.push_back(w.stride == 1 ? at
                                       : at % w.stride * phase_pitch_ + at / w.stride);
    }
    rows_.reserve(static_cast<std::size_t>(view.d.kernel * view.h.kernel));
  }

  static RowTiles Tiles(const PlaneView& view) {
    const std::int64_t rows = view.d.kernel * view.h.kernel;
    const std::int64_t room = std::min(
        kTileElements, kStagedBytes / static_cast<std::int64_t>(sizeof(Lane)) / rows);
    return {view.d.output, view.h.output, view.w.output,
            std::max({room - view.w.reach(), view.w.reach(), std::int64_t{64}}) / view.w.stride +
                1};
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
    if (first_.size() != 0 && started_.begin == outputs.begin && started_.end == outputs.end) return;
    started_ = outputs;
    first_.assign(static_cast<std::size_t>(outputs.size() + kSlack), 0);
    empty_.clear();
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const Span taps = view_.w.taps(o);
      if (taps.empty()) empty_.push_back(o - outputs.begin);
      first_[static_cast<std::size_t>(o - outputs.begin)] = static_cast<typename S::Index>(
          S::kFlat ? taps.begin * view_.w.dilation : taps.begin);
    }
  }

  struct StagedRow {
    std::int64_t position;  ///< of the row's tap 0: ordinal, or flat and without the column
  };

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
        rows_.push_back({S::kFlat ? input_row * view_.w.input
                                  : (td * view_.h.kernel + th) * view_.w.kernel});
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
    const auto step =
        hn::Set(di, static_cast<typename S::Index>(S::kFlat ? view_.w.dilation : 1));
    for (std::int64_t o = 0;;) {
      auto best = hn::Set(d, S::Identity());
      auto at = hn::Zero(di);
      if constexpr (S::kPositions) {
        if (!rows_.empty()) {
          at = hn::Add(hn::Set(di, static_cast<typename S::Index>(rows_[0].position)),
                       hn::LoadU(di, first_.data() + o));
        }
      }
      const Lane* line = lines_.get() + o;
      for (const StagedRow& staged : rows_) {
        auto position = hn::Set(di, static_cast<typename S::Index>(staged.position));
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
          const auto start = static_cast<std::int32_t>(view_.w.start(outputs.begin + o));
          const auto stride = static_cast<std::int32_t>(view_.w.stride);
          at = hn::Add(at, hn::Add(hn::Set(di, start),
                                   hn::Mul(hn::Iota(di, 0), hn::Set(di, stride))));
        }
        auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
        S::StoreMask(di, at, mask + o, size - o);
      }
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
    if constexpr (S::kPositions) {
      auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
      constexpr auto kNone = static_cast<typename S::Mask>(
          S::kFlat ? FPOOL_MASK_NONE : FPOOL_MASK_NONE_COMPACT);
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
  std::vector<StagedRow> rows_;
  std::vector<typename S::Index> first_;
  std::vector<std::int64_t> empty_;
  Span started_{0, 0};
};

/** Runs row tiles of a planar forward call through PlanarScan. */
template <class S>
void PlanarTaps(const Pooling& p, Span items) {
  const PlaneView view(p);
  const RowTiles tiles = PlanarScan<S>::Tiles(view);
  PlanarScan<S> scan(p, view);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    scan.Tile(item, tiles.columns(item));
  }
}

/** Second look at row tiles whose inputs hold a NaN, or a -0.0 where an output is zero. */
template <typename T>
class Redo {
 public:
  explicit Redo(const Pooling& p) : p_(p), view_(p) {}

  void operator()(const RowTiles::Item& item, Span outputs, int findings) const {
    if constexpr (std::is_floating_point_v<T>) {
      const T* y = static_cast<const T*>(p_.output) + OutputOffset(view_, item, 0);
      const auto is_zero = [](T value) { return value == 0; };
      if ((findings & kHoldsNan) == 0 &&
          std::none_of(y + outputs.begin, y + outputs.end, is_zero)) {
        return;
      }
      if (!scan_) scan_ = std::make_unique<Scanner>(p_, view_);
      scan_->Row(item, outputs);
    }
  }

 private:
  const Pooling& p_;
  const PlaneView view_;
  using Scanner = PlanarScan<Scan<T, void>>;
  mutable std::unique_ptr<Scanner> scan_;
};

template <typename T>
void Pairs(const Pooling& p, Span items) {
  ForwardPairs<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}
template <typename T>
void Rows(const Pooling& p, Span items) {
  ForwardRows<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}
template <typename T>
void Sliding(const Pooling& p, Span items) {
  ForwardSliding<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}

// --- interleaved: lanes along C -------------------------------------------------------------------

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

template <class S>
void InterleavedTaps(const Pooling& p, Span items) {
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

// --- the gradient ---------------------------------------------------------------------------------

/**
 * dx of input rows, gathered: every input element looks at the windows that hold it, in row-major
 * order of the outputs, and adds the gradients of those whose maximum it was. Vectorised, without
 * conflicts between threads, and each element is written once.
 */
void MaxGatherRows(const Pooling& p, Span items) {
  const PlaneView view(p);
  const RowTiles tiles = InputTiles(view);
  const GradientLine lines(view, tiles.tile);
  const std::int64_t rows = most_covering(view.d) * most_covering(view.h);
  const std::int64_t pitch = lines.pitch();
  const Line<float> gradients(rows * pitch);
  const Line<std::uint8_t> masks(rows * pitch);
  const Line<float> phases(view.w.stride * lines.phase_pitch());
  const Line<float> joined(view.w.stride * lines.phase_pitch());
  std::vector<std::int32_t> ordinals;
  std::vector<Covering> depth;
  std::vector<Covering> height;
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> narrow;
  const std::int64_t lanes = LaneCount(d);
  const auto* dy = static_cast<const float*>(p.input);
  const auto* mask = static_cast<const std::uint8_t*>(p.mask);

  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const GradientColumns columns(view.w, tiles.columns(item));
    ordinals.clear();
    list_covering(view.d, item.d, depth);
    list_covering(view.h, item.h, height);
    for (const Covering& od : depth) {
      for (const Covering& oh : height) {
        const std::int64_t from = item.plane * view.output_plane() +
                                  (od.output * view.h.output + oh.output) * view.w.output +
                                  columns.outputs.begin;
        const std::int64_t to = static_cast<std::int64_t>(ordinals.size()) * pitch;
        columns.Copy(dy + from, gradients.get() + to, 0.0f);
        columns.Copy(mask + from, masks.get() + to, std::uint8_t{FPOOL_MASK_NONE_COMPACT});
        ordinals.push_back(
            static_cast<std::int32_t>((od.tap * view.h.kernel + oh.tap) * view.w.kernel));
      }
    }
    for (std::int64_t r = 0; r < view.w.stride; ++r) {
      float* phase = phases.get() + r * lines.phase_pitch();
      for (std::int64_t q = 0; q < columns.phase_length; q += lanes) {
        auto sum = hn::Zero(d);
        for (std::size_t row = 0; row < ordinals.size(); ++row) {
          const std::int64_t at = static_cast<std::int64_t>(row) * pitch + q;
          for (const PhaseTap& tap : lines.taps(r)) {
            const auto won = hn::PromoteTo(di, hn::LoadU(narrow, masks.get() + at + tap.offset));
            const auto ordinal = hn::Set(di, ordinals[row] + tap.tap);
            const auto mine = hn::RebindMask(d, hn::Eq(won, ordinal));
            const auto gradient = hn::LoadU(d, gradients.get() + at + tap.offset);
            sum = hn::Add(sum, hn::IfThenElseZero(mine, gradient));
          }
        }
        hn::StoreU(sum, d, phase + q);
      }
    }
    float* dx = static_cast<float*>(p.output) + item.plane * view.input_plane() +
                tiles.row(item) * view.w.input;
    columns.Write(phases, lines.phase_pitch(), view.w.stride, joined, dx);
  }
}

/** dx of input positions of an interleaved tensor, gathered as MaxGatherRows() does; lanes along C. */
void MaxGatherInterleaved(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedInputTiles(g);
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> narrow;
  const std::int64_t lanes = LaneCount(d);
  const auto* mask = static_cast<const std::uint8_t*>(p.mask);
  const auto* dy = static_cast<const float*>(p.input);
  struct Window {
    std::int64_t from;
    std::int32_t ordinal;
  };
  std::vector<Window> windows;
  std::vector<Covering> depth;
  std::vector<Covering> height;
  std::vector<Covering> width;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    list_covering(g.d(), item.d, depth);
    list_covering(g.h(), item.h, height);
    float* dx = static_cast<float*>(p.output) +
                (item.plane * g.input_plane() + tiles.row(item) * g.w().input + columns.begin) *
                    g.channels;
    for (std::int64_t i = columns.begin; i < columns.end; ++i, dx += g.channels) {
      list_covering(g.w(), i, width);
      windows.clear();
      for_each_covering(depth, height, width, [&](const Covering& od, const Covering& oh,
                                                  const Covering& ow) {
        const std::int64_t output =
            (od.output * g.h().output + oh.output) * g.w().output + ow.output;
        windows.push_back({(item.plane * g.output_plane() + output) * g.channels,
                           static_cast<std::int32_t>(
                               (od.tap * g.h().kernel + oh.tap) * g.w().kernel + ow.tap)});
      });
      for (std::int64_t c = 0;;) {
        const std::int64_t part = std::min(lanes, g.channels - c);
        auto sum = hn::Zero(d);
        for (const Window& window : windows) {
          const auto won =
              hn::PromoteTo(di, LoadPart(narrow, mask + window.from + c, part));
          const auto mine = hn::RebindMask(d, hn::Eq(won, hn::Set(di, window.ordinal)));
          sum = hn::Add(sum, hn::IfThenElseZero(mine, LoadPart(d, dy + window.from + c, part)));
        }
        StorePart(sum, d, dx + c, part);
        if (c + lanes >= g.channels) break;
        c = std::min(c + lanes, g.channels - lanes);
      }
    }
  }
}

// --- what the tables hold: plain functions --------------------------------------------------------

void MaxPairs(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Pairs<std::uint8_t>(p, items) : Pairs<float>(p, items);
}
void MaxRows(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Rows<std::uint8_t>(p, items) : Rows<float>(p, items);
}
void MaxSliding(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Sliding<std::uint8_t>(p, items) : Sliding<float>(p, items);
}

/** Calls `run.template operator()<Scan<T, M>>()` for the element and mask types of a call. */
template <class Run>
void ByTypes(const Pooling& p, const Run& run) {
  const bool bytes = p.dtype == FPOOL_U8;
  switch (p.mask_type) {
    case MaskType::none:
      return bytes ? run.template operator()<Scan<std::uint8_t, void>>()
                   : run.template operator()<Scan<float, void>>();
    case MaskType::position_u8:
      return bytes ? run.template operator()<Scan<std::uint8_t, std::uint8_t>>()
                   : run.template operator()<Scan<float, std::uint8_t>>();
    case MaskType::plane_i32:
      return bytes ? run.template operator()<Scan<std::uint8_t, std::int32_t>>()
                   : run.template operator()<Scan<float, std::int32_t>>();
  }
}

void MaxPlanarTaps(const Pooling& p, Span items) {
  ByTypes(p, [&]<class S>() { PlanarTaps<S>(p, items); });
}
void MaxInterleavedTaps(const Pooling& p, Span items) {
  ByTypes(p, [&]<class S>() { InterleavedTaps<S>(p, items); });
}

}  // namespace max_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;
using namespace HWY_NAMESPACE::max_pooling;  // the functions that decide are the same in every tier

bool without_mask(const Pooling& p) { return p.mask_type == MaskType::none; }

bool accepts_pairs(const Pooling& p) { return without_mask(p) && PairsAccept(p); }

bool accepts_sliding(const Pooling& p) {
  const bool fits = p.dtype == FPOOL_U8 ? SlidingAccepts<MaxOf<std::uint8_t>>(p)
                                        : SlidingAccepts<MaxOf<float>>(p);
  return without_mask(p) && fits && !few_taps_interleaved(p);
}

std::int64_t sliding_items(const Pooling& p) {
  return p.dtype == FPOOL_U8 ? SlidingItems<MaxOf<std::uint8_t>>(p)
                             : SlidingItems<MaxOf<float>>(p);
}

bool accepts_rows(const Pooling& p) {
  return without_mask(p) && RowsAccept(p) && !few_taps_interleaved(p);
}

/** Calls `f` with a value of the PlanarScan type that a call takes. */
template <class F>
auto with_scan(const Pooling& p, const F& f) {
  const PlaneView view(p);
  const bool bytes = p.dtype == FPOOL_U8;
  if (p.mask_type == MaskType::plane_i32) {
    return f.template operator()<Scan<float, std::int32_t>>(view);
  }
  return bytes ? f.template operator()<Scan<std::uint8_t, std::uint8_t>>(view)
               : f.template operator()<Scan<float, std::uint8_t>>(view);
}

bool accepts_planar_taps(const Pooling& p) {
  return p.layout == Layout::planar && RowsAccept(p) &&
         with_scan(p, []<class S>(const PlaneView& view) { return PlanarScan<S>::Accepts(view); });
}

std::int64_t planar_taps_items(const Pooling& p) {
  return with_scan(p, []<class S>(const PlaneView& view) {
    return item_count(view.planes, PlanarScan<S>::Tiles(view));
  });
}

bool accepts_interleaved_taps(const Pooling& p) {
  return p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

// Gathering looks at every window that holds an element, scattering at every output once: beyond
// this many windows per element the second is faster (measured), though it is not vectorised.
constexpr std::int64_t kMostGatheredWindows = 16;

bool few_windows(const Pooling& p) {
  std::int64_t windows = 1;
  for (const Axis& axis : p.geometry.axes) {
    windows *= most_covering(axis);
    if (windows > kMostGatheredWindows) return false;
  }
  return p.mask_type == MaskType::position_u8;
}

bool accepts_gather_rows(const Pooling& p) {
  return few_windows(p) && RowsAccept(p);
}

bool accepts_gather_interleaved(const Pooling& p) {
  return few_windows(p) && p.layout == Layout::interleaved;
}

}  // namespace

std::span<const Kernel> max_forward_kernels() {
  static const Kernel kernels[] = {
      {"pairs", accepts_pairs, PairsItems, FEATUREPOOL_TIERED(max_pooling::MaxPairs)},
      {"sliding", accepts_sliding, sliding_items, FEATUREPOOL_TIERED(max_pooling::MaxSliding)},
      {"rows", accepts_rows, OutputRowItems, FEATUREPOOL_TIERED(max_pooling::MaxRows)},
      {"planar_taps", accepts_planar_taps, planar_taps_items, FEATUREPOOL_TIERED(max_pooling::MaxPlanarTaps)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED(max_pooling::MaxInterleavedTaps)},
  };
  return kernels;
}

std::span<const Kernel> max_backward_kernels() {
  static const Kernel kernels[] = {
      {"gather_rows", accepts_gather_rows, InputRowItems, FEATUREPOOL_TIERED(max_pooling::MaxGatherRows)},
      {"gather_interleaved", accepts_gather_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(max_pooling::MaxGatherInterleaved)},
      {"scatter", accepts_scatter, scatter_items, {ScatterMax, ScatterMax, ScatterMax, ScatterMax, ScatterMax}},
  };
  return kernels;
}

}  // namespace featurepool
#endif
