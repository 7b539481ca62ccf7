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
#include "kernels/scan-inl.h"
#include "kernels/sliding_positions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace max_pooling {

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
void Plane(const Pooling& p, Span items) {
  ForwardPlane<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}
template <typename T>
void Rows(const Pooling& p, Span items) {
  ForwardRows<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}
template <typename T>
void Sliding(const Pooling& p, Span items) {
  ForwardSliding<MaxOf<T>>(p, items, StoreAsIs<MaxOf<T>>(p), Redo<T>(p));
}

template <class S>
void SlidePositions(const Pooling& p, Span items) {
  SlidingPositions<S>(p).Run(items);
}

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

// --- the gradient ---

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

/** dx of input positions of an interleaved tensor, gathered as MaxGatherRows() does; lanes along C.
 */
void MaxGatherInterleaved(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  struct Window {
    std::int64_t from;
    std::int32_t ordinal;
  };
  struct Term {
    const float* dy;
    const std::uint8_t* mask;
    HWY_INLINE hn::Vec<hn::ScalableTag<float>> operator()(const Window& window, std::int64_t c,
                                                          std::int64_t part) const {
      const hn::ScalableTag<float> d;
      const hn::RebindToSigned<decltype(d)> di;
      const hn::Rebind<std::uint8_t, decltype(d)> narrow;
      const auto won = hn::PromoteTo(di, LoadPart(narrow, mask + window.from + c, part));
      const auto mine = hn::RebindMask(d, hn::Eq(won, hn::Set(di, window.ordinal)));
      return hn::IfThenElseZero(mine, LoadPart(d, dy + window.from + c, part));
    }
  };
  const auto make = [&](std::int64_t image, const Covering& od, const Covering& oh,
                        const Covering& ow) {
    return Window{
        InterleavedOutput(g, image, od, oh, ow),
        static_cast<std::int32_t>((od.tap * g.h().kernel + oh.tap) * g.w().kernel + ow.tap)};
  };
  GatherInterleaved<Window>(
      p, items, make,
      Term{static_cast<const float*>(p.input), static_cast<const std::uint8_t*>(p.mask)});
}

// --- what the tables hold: plain functions ---

void MaxPairs(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Pairs<std::uint8_t>(p, items) : Pairs<float>(p, items);
}
void MaxPlane(const Pooling& p, Span items) {
  p.dtype == FPOOL_U8 ? Plane<std::uint8_t>(p, items) : Plane<float>(p, items);
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
void MaxSlidingPositions(const Pooling& p, Span items) {
  ByTypes(p, [&]<class S>() {
    if constexpr (S::kPositions) SlidePositions<S>(p, items);
  });
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

bool fast_type(const Pooling& p) { return has_type<float, std::uint8_t>(p); }

bool without_mask(const Pooling& p) { return fast_type(p) && p.mask_type == MaskType::none; }

// The second look at a plane goes through the scan of a row of windows.
bool accepts_plane(const Pooling& p) {
  return without_mask(p) && PlaneAccept(p) && PlanarScan<Scan<float, void>>::Accepts(PlaneView(p));
}

bool accepts_pairs(const Pooling& p) { return without_mask(p) && PairsAccept(p); }

bool accepts_sliding(const Pooling& p) {
  const bool fits = p.dtype == FPOOL_U8 ? SlidingAccepts<MaxOf<std::uint8_t>>(p)
                                        : SlidingAccepts<MaxOf<float>>(p);
  return without_mask(p) && fits && !few_taps_interleaved(p);
}

std::int64_t sliding_items(const Pooling& p) {
  return p.dtype == FPOOL_U8 ? SlidingItems<MaxOf<std::uint8_t>>(p) : SlidingItems<MaxOf<float>>(p);
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
    return bytes ? f.template operator()<Scan<std::uint8_t, std::int32_t>>(view)
                 : f.template operator()<Scan<float, std::int32_t>>(view);
  }
  return bytes ? f.template operator()<Scan<std::uint8_t, std::uint8_t>>(view)
               : f.template operator()<Scan<float, std::uint8_t>>(view);
}

bool accepts_planar_taps(const Pooling& p) {
  return fast_type(p) && p.layout == Layout::planar && RowsAccept(p) &&
         with_scan(p, []<class S>(const PlaneView& view) { return PlanarScan<S>::Accepts(view); });
}

std::int64_t planar_taps_items(const Pooling& p) {
  return with_scan(p, []<class S>(const PlaneView& view) {
    return item_count(view.planes, PlanarScan<S>::Tiles(view));
  });
}

// Up to this many taps per output, taking them one by one beats sliding (measured).
constexpr std::int64_t kMostPositionTaps = 16;

bool accepts_sliding_positions(const Pooling& p) {
  const Geometry& g = p.geometry;
  const bool slides = g.d().kernel == 1 && g.h().stride == 1 && g.w().stride == 1 &&
                      g.h().dilation == 1 && g.w().dilation == 1;
  // Of an interleaved tensor, the exact scan of rows with a NaN knows positions in the window only.
  const bool known = p.layout == Layout::planar ? p.mask_type != MaskType::none
                                                : p.mask_type == MaskType::position_u8;
  return fast_type(p) && slides && known && g.taps() > kMostPositionTaps && RowsAccept(p) &&
         with_scan(
             p, []<class S>(const PlaneView& view) { return SlidingPositions<S>::Accepts(view); });
}

std::int64_t sliding_positions_items(const Pooling& p) {
  return with_scan(p, []<class S>(const PlaneView& view) {
    return item_count(view.planes, SlidingPositions<S>::Tiles(view));
  });
}

bool accepts_interleaved_taps(const Pooling& p) {
  return fast_type(p) && p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
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
  return has_type<float>(p) && p.mask_type == MaskType::position_u8;
}

bool accepts_gather_rows(const Pooling& p) { return few_windows(p) && RowsAccept(p); }

bool accepts_gather_interleaved(const Pooling& p) {
  return few_windows(p) && p.layout == Layout::interleaved;
}

}  // namespace

std::span<const Kernel> max_forward_kernels() {
  static const Kernel kernels[] = {
      {"plane", accepts_plane, PlaneItems, FEATUREPOOL_TIERED(max_pooling::MaxPlane)},
      {"pairs", accepts_pairs, PairsItems, FEATUREPOOL_TIERED(max_pooling::MaxPairs)},
      {"sliding", accepts_sliding, sliding_items, FEATUREPOOL_TIERED(max_pooling::MaxSliding)},
      {"rows", accepts_rows, OutputRowItems, FEATUREPOOL_TIERED(max_pooling::MaxRows)},
      {"sliding_positions", accepts_sliding_positions, sliding_positions_items,
       FEATUREPOOL_TIERED(max_pooling::MaxSlidingPositions)},
      {"planar_taps", accepts_planar_taps, planar_taps_items,
       FEATUREPOOL_TIERED(max_pooling::MaxPlanarTaps)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED(max_pooling::MaxInterleavedTaps)},
  };
  return kernels;
}

std::span<const Kernel> min_forward_kernels() { return {}; }

std::span<const Kernel> route_backward_kernels() {
  static const Kernel kernels[] = {
      {"gather_rows", accepts_gather_rows, InputRowItems,
       FEATUREPOOL_TIERED(max_pooling::MaxGatherRows)},
      {"gather_interleaved", accepts_gather_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(max_pooling::MaxGatherInterleaved)},
      {"scatter",
       accepts_scatter,
       scatter_items,
       {ScatterMax, ScatterMax, ScatterMax, ScatterMax, ScatterMax}},
  };
  return kernels;
}

}  // namespace featurepool
#endif
