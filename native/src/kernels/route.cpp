// The gradient of all poolings that select one tap.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/route.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/expand-inl.h"
#include "kernels/gradients-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace routing {

/** Entries of compact masks in lanes as wide as the gradient's. */
template <class DI>
HWY_INLINE hn::Vec<DI> Ordinals(DI di, hn::Vec<hn::Rebind<std::uint8_t, DI>> mask) {
  if constexpr (sizeof(hn::TFromD<DI>) == 8) {
    return hn::PromoteTo(di, hn::PromoteTo(hn::Rebind<std::int32_t, DI>(), mask));
  } else {
    return hn::PromoteTo(di, mask);
  }
}

/** What an output gives to the elements of windows that share none: all, to its maximum. */
template <typename Element>
struct RoutedShare {
  using T = Element;
  using Lane = LaneOf<T>;
  using D = hn::ScalableTag<Lane>;
  using DI = hn::RebindToSigned<D>;
  static constexpr bool kMasked = true;
  /** Behind all ordinals. */
  static constexpr std::int64_t kNone = 1 << 20;
  const T* dy;
  const std::uint8_t* mask;
  std::int64_t outputs;
  bool stream;

  explicit RoutedShare(const Pooling& p)
      : dy(static_cast<const T*>(p.input)),
        mask(static_cast<const std::uint8_t*>(p.mask)),
        outputs(p.geometry.output_size()),
        stream(ExpandPlan(p).can_stream(p)) {}

  static std::int64_t Number(std::int64_t tap) { return tap; }
  void StartPlanes(const ExpandPlan&) {}
  void StartTile(const ExpandPlan&, std::int64_t) {}
  void StartRow(std::int64_t, std::int64_t) {}

  // Added to 0, as sums are: a gradient of -0.0 comes out as +0.0.
  HWY_INLINE hn::Vec<D> Gradients(std::int64_t o, std::int64_t) const {
    return hn::Add(hn::Zero(D()), LoadElements(D(), dy + o));
  }
  HWY_INLINE Lane Gradient(std::int64_t o, std::int64_t) const {
    return Lane{0} + hn::GetLane(LoadElements(D(), dy + o, 1));
  }
  HWY_INLINE hn::Vec<DI> Entries(std::int64_t o) const {
    return Ordinals(DI(), hn::LoadU(hn::Rebind<std::uint8_t, D>(), mask + o));
  }
  HWY_INLINE std::int64_t Entry(std::int64_t o) const { return mask[o]; }
  HWY_INLINE hn::Vec<DI> Numbers(hn::Vec<DI> entry, hn::Vec<DI> number) const {
    return hn::Sub(entry, number);
  }
  HWY_INLINE hn::Vec<D> Share(hn::Vec<D> gradient, hn::Vec<DI> number, std::int64_t tap) const {
    const auto mine = hn::Eq(number, hn::Set(DI(), static_cast<hn::TFromD<DI>>(tap)));
    return hn::IfThenElseZero(hn::RebindMask(D(), mine), gradient);
  }
};

template <typename T>
void ExpandOf(const Pooling& p, Span items) {
  Expand(p, items, RoutedShare<T>(p));
}

/**
 * dx of input rows, gathered: every input element looks at the windows that hold it, in row-major
 * order of the outputs, and adds the gradients of those whose maximum it was. Vectorised, without
 * conflicts between threads, and each element is written once.
 */
template <typename T>
void GatherRowsOf(const Pooling& p, Span items) {
  const PlaneView view(p);
  const RowTiles tiles = InputTiles(view);
  const GradientLine lines(view, tiles.tile);
  const std::int64_t rows = most_covering(view.d) * most_covering(view.h);
  const std::int64_t pitch = lines.pitch();
  using Lane = LaneOf<T>;
  const Line<Lane> gradients(rows * pitch);
  const Line<std::uint8_t> masks(rows * pitch);
  const Line<Lane> phases(view.w.stride * lines.phase_pitch());
  const Line<Lane> joined(view.w.stride * lines.phase_pitch());
  std::vector<std::int32_t> ordinals;
  std::vector<Covering> depth;
  std::vector<Covering> height;
  const hn::ScalableTag<Lane> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> narrow;
  const std::int64_t lanes = LaneCount(d);
  const auto* dy = static_cast<const T*>(p.input);
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
        columns.Copy(dy + from, gradients.get() + to, Lane{0});
        columns.Copy(mask + from, masks.get() + to, std::uint8_t{FPOOL_MASK_NONE_COMPACT});
        ordinals.push_back(
            static_cast<std::int32_t>((od.tap * view.h.kernel + oh.tap) * view.w.kernel));
      }
    }
    for (std::int64_t r = 0; r < view.w.stride; ++r) {
      Lane* phase = phases.get() + r * lines.phase_pitch();
      for (std::int64_t q = 0; q < columns.phase_length; q += lanes) {
        auto sum = hn::Zero(d);
        for (std::size_t row = 0; row < ordinals.size(); ++row) {
          const std::int64_t at = static_cast<std::int64_t>(row) * pitch + q;
          for (const PhaseTap& tap : lines.taps(r)) {
            const auto won = Ordinals(di, hn::LoadU(narrow, masks.get() + at + tap.offset));
            const auto ordinal =
                hn::Set(di, static_cast<hn::TFromD<decltype(di)>>(ordinals[row] + tap.tap));
            const auto mine = hn::RebindMask(d, hn::Eq(won, ordinal));
            const auto gradient = hn::LoadU(d, gradients.get() + at + tap.offset);
            sum = hn::Add(sum, hn::IfThenElseZero(mine, gradient));
          }
        }
        hn::StoreU(sum, d, phase + q);
      }
    }
    T* dx = static_cast<T*>(p.output) + item.plane * view.input_plane() +
            tiles.row(item) * view.w.input;
    columns.Write(phases, lines.phase_pitch(), view.w.stride, joined, dx);
  }
}

/** dx of input positions of an interleaved tensor, gathered as GatherRowsOf() does; lanes along C.
 */
template <typename T>
void GatherInterleavedOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  struct Window {
    std::int64_t from;
    std::int32_t ordinal;
  };
  struct Term {
    const T* dy;
    const std::uint8_t* mask;
    HWY_INLINE hn::Vec<hn::ScalableTag<LaneOf<T>>> operator()(const Window& window, std::int64_t c,
                                                              std::int64_t part) const {
      const hn::ScalableTag<LaneOf<T>> d;
      const hn::RebindToSigned<decltype(d)> di;
      const hn::Rebind<std::uint8_t, decltype(d)> narrow;
      const auto won = Ordinals(di, LoadPart(narrow, mask + window.from + c, part));
      const auto mine = hn::RebindMask(
          d, hn::Eq(won, hn::Set(di, static_cast<hn::TFromD<decltype(di)>>(window.ordinal))));
      return hn::IfThenElseZero(mine, LoadElements(d, dy + window.from + c, part));
    }
  };
  const auto make = [&](std::int64_t image, const Covering& od, const Covering& oh,
                        const Covering& ow) {
    return Window{
        InterleavedOutput(g, image, od, oh, ow),
        static_cast<std::int32_t>((od.tap * g.h().kernel + oh.tap) * g.w().kernel + ow.tap)};
  };
  GatherInterleaved<T, Window>(
      p, items, make,
      Term{static_cast<const T*>(p.input), static_cast<const std::uint8_t*>(p.mask)});
}

// --- by scattering: each output adds its gradient at its position, in row-major order of the
// outputs
// ---

// Channels of an interleaved image that one work item takes: a cache line of f32 gradients.
constexpr std::int64_t kChannels = 16;

inline std::int64_t ChannelBlocks(const Pooling& p) {
  return p.layout == Layout::planar ? p.geometry.channels
                                    : (p.geometry.channels + kChannels - 1) / kChannels;
}

/** Flat position of a tap in the plane, from that of the window's tap 0. */
inline std::vector<std::int64_t> TapOffsets(const Geometry& g) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t td = 0; td < g.d().kernel; ++td) {
    for (std::int64_t th = 0; th < g.h().kernel; ++th) {
      for (std::int64_t tw = 0; tw < g.w().kernel; ++tw) {
        offsets.push_back((td * g.d().dilation * g.h().input + th * g.h().dilation) * g.w().input +
                          tw * g.w().dilation);
      }
    }
  }
  return offsets;
}

/** Calls `visit(output, flat position of the window's tap 0)` in row-major order. */
template <typename Visit>
void ForEachWindow(const Geometry& g, const Visit& visit) {
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      const std::int64_t row = (g.d().start(d) * g.h().input + g.h().start(h)) * g.w().input;
      for (std::int64_t w = 0; w < g.w().output; ++w) visit(output++, row + g.w().start(w));
    }
  }
}

/** A plane whose elements are next to each other. */
template <typename Lane, typename Position>
void ScatterPlane(const Geometry& g, const Lane* dy, Lane* dx, const Position& position) {
  // Neighbouring large windows often share their maximum: its sum stays in a register meanwhile, in
  // the same order of additions, where a chain through memory would wait for each store.
  std::int64_t held = -1;
  Lane sum = 0;
  ForEachWindow(g, [&](std::int64_t output, std::int64_t start) {
    const std::int64_t at = position(output, start);
    if (at < 0) return;
    if (at != held) {
      if (held >= 0) dx[held] = sum;
      held = at;
      sum = dx[at];
    }
    sum += dy[output];
  });
  if (held >= 0) dx[held] = sum;
}

/** A call's gradients of some neighbouring channels: elements of an image, `step` apart. */
template <typename T>
struct Block {
  const T* dy;
  T* dx;
  std::int64_t channels;
  std::int64_t step;
};

/** `position(entry of the mask, window's tap 0)` is the flat position, or -1. */
template <typename Lane, typename Position>
void ScatterBlock(const Geometry& g, const Lane* dy, std::int64_t dy_step, Lane* dx,
                  std::int64_t dx_step, std::int64_t channels, std::int64_t mask_step,
                  const Position& position) {
  if (channels == 1 && dy_step == 1 && dx_step == 1 && mask_step == 1) {
    ScatterPlane(g, dy, dx, position);
    return;
  }
  ForEachWindow(g, [&](std::int64_t output, std::int64_t start) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t at = position(output * mask_step + c, start);
      if (at >= 0) dx[at * dx_step + c] += dy[output * dy_step + c];
    }
  });
}

template <typename T, typename Position>
void ScatterElements(const Geometry& g, const Block<T>& block, const Position& position) {
  const std::int64_t channels = block.channels;
  if constexpr (is_half<T>) {
    // Sums are f32, rounded once.
    const Line<float> dy(g.output_plane() * channels);
    const Line<float> dx(g.input_plane() * channels);
    std::fill_n(dx.get(), g.input_plane() * channels, 0.0f);
    const bool dense = block.step == channels;
    const std::int64_t run = dense ? g.output_plane() * channels : channels;
    for (std::int64_t i = 0; i * run < g.output_plane() * channels; ++i) {
      CopyToLanes(block.dy + i * block.step, run, dy.get() + i * channels);
    }
    ScatterBlock(g, dy.get(), channels, dx.get(), channels, channels, block.step, position);
    const std::int64_t back = dense ? g.input_plane() * channels : channels;
    for (std::int64_t i = 0; i * back < g.input_plane() * channels; ++i) {
      CopyFromLanes(dx.get() + i * channels, back, block.dx + i * block.step);
    }
  } else {
    const bool dense = block.step == channels;
    const std::int64_t run = dense ? g.input_plane() * channels : channels;
    for (std::int64_t i = 0; i * run < g.input_plane() * channels; ++i) {
      std::fill_n(block.dx + i * block.step, run, T{0});
    }
    ScatterBlock(g, block.dy, block.step, block.dx, block.step, channels, block.step, position);
  }
}

/** For large windows, where gathering would look at too many of them, for bins and for positions in
 * the plane. */
template <typename T>
void ScatterOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const bool planar = p.layout == Layout::planar;
  const std::int64_t blocks = ChannelBlocks(p);
  const bool compact = p.mask_type == MaskType::position_u8;
  const std::vector<std::int64_t> offsets = compact ? TapOffsets(g) : std::vector<std::int64_t>();
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t first = planar ? 0 : item % blocks * kChannels;
    const std::int64_t plane = planar ? item : item / blocks * g.channels;
    const std::int64_t from = plane * g.output_plane() + first;
    const Block<T> block{static_cast<const T*>(p.input) + from,
                         static_cast<T*>(p.output) + plane * g.input_plane() + first,
                         planar ? 1 : std::min(kChannels, g.channels - first),
                         planar ? 1 : g.channels};
    if (compact) {
      const auto* mask = static_cast<const std::uint8_t*>(p.mask) + from;
      ScatterElements(g, block, [&](std::int64_t i, std::int64_t start) -> std::int64_t {
        return mask[i] == FPOOL_MASK_NONE_COMPACT ? -1 : start + offsets[mask[i]];
      });
    } else {
      const auto* mask = static_cast<const std::int32_t*>(p.mask) + from;
      ScatterElements(g, block,
                      [&](std::int64_t i, std::int64_t) -> std::int64_t { return mask[i]; });
    }
  }
}

// --- what the table holds: plain functions ---

void ExpandWindows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { ExpandOf<T>(p, items); });
}
void GatherRows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { GatherRowsOf<T>(p, items); });
}
void GatherChannels(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { GatherInterleavedOf<T>(p, items); });
}
void Scatter(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { ScatterOf<T>(p, items); });
}

}  // namespace routing
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;
using namespace HWY_NAMESPACE::routing;  // the functions that decide are the same in every tier

// Gathering looks at every window that holds an element, scattering at every output once: beyond
// this many windows per element the second is faster (measured), though it is not vectorised.
constexpr std::int64_t kMostGatheredWindows = 16;

bool few_windows(const Pooling& p) {
  std::int64_t windows = 1;
  for (const Axis& axis : p.geometry.axes) {
    windows *= most_covering(axis);
    if (windows > kMostGatheredWindows) return false;
  }
  return p.mask_type == MaskType::position_u8 && FloatTypes::has(p);
}

bool accepts_expand(const Pooling& p) {
  return p.mask_type == MaskType::position_u8 && FloatTypes::has(p) && ExpandAccept(p);
}

bool accepts_gather_rows(const Pooling& p) { return few_windows(p) && RowsAccept(p); }

bool accepts_gather_interleaved(const Pooling& p) {
  return few_windows(p) && p.layout == Layout::interleaved;
}

bool accepts_scatter(const Pooling& p) { return FloatTypes::has(p); }

std::int64_t scatter_items(const Pooling& p) { return p.geometry.batch * ChannelBlocks(p); }

}  // namespace

std::span<const Kernel> route_backward_kernels() {
  static const Kernel kernels[] = {
      {"expand", accepts_expand, ExpandItems, FEATUREPOOL_TIERED(routing::ExpandWindows)},
      {"gather_rows", accepts_gather_rows, InputRowItems, FEATUREPOOL_TIERED(routing::GatherRows)},
      {"gather_interleaved", accepts_gather_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(routing::GatherChannels)},
      {"scatter", accepts_scatter, scatter_items, FEATUREPOOL_TIERED(routing::Scatter)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
