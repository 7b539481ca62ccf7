// The gradient of all poolings that select one tap.

#include <algorithm>
#include <cstdint>
#include <limits>
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
#include "kernels/route_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace routing {

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
  RoutedShare Local() const { return *this; }
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

template <typename T>
void SmallWindowsOf(const Pooling& p, Span items) {
  WithPattern(p.geometry.h(), p.geometry.w(),
              [&]<class Rows, class Columns>() { RoutedRows<T, Rows, Columns>(p).Run(items); });
}

/** dx of input positions of an interleaved tensor, gathered; lanes along C. */
template <typename T>
void GatherInterleavedOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  using D = hn::ScalableTag<LaneOf<T>>;
  struct Term {
    const Geometry& g;
    const T* dy;
    const std::uint8_t* mask;
    /** Ordinals: those of the window's axes are added. */
    using Key = hn::TFromD<hn::RebindToSigned<D>>;
    Key RowKey(const Covering& od, const Covering& oh) const {
      return static_cast<Key>((od.tap * g.h().kernel + oh.tap) * g.w().kernel);
    }
    static Key ColumnKey(const Covering& ow) { return static_cast<Key>(ow.tap); }
    static Key Join(Key row, Key column) { return row + column; }
    HWY_INLINE hn::Vec<D> operator()(const GatherWindow<Key>& window, std::int64_t c,
                                     std::int64_t part) const {
      const D d;
      const hn::RebindToSigned<D> di;
      const hn::Rebind<std::uint8_t, D> narrow;
      const auto entries = LoadPart(narrow, mask + window.from + c, part);
      const auto mine = hn::Eq(Ordinals(di, entries), hn::Set(di, window.key));
      return hn::IfThenElseZero(hn::RebindMask(d, mine),
                                LoadElements(d, dy + window.from + c, part));
    }
  };
  GatherInterleaved<T>(
      p, items, Term{g, static_cast<const T*>(p.input), static_cast<const std::uint8_t*>(p.mask)});
}

// --- by scattering: each output adds its gradient at its position, in
// row-major order of the outputs
// ---

/** Flat position of a tap in the plane, from that of the window's tap 0; of the mark of no
 * position, one that is before all planes. */
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
  offsets.resize(FPOOL_MASK_NONE_COMPACT + 1, std::numeric_limits<std::int64_t>::min() / 2);
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

/** Entries of a compact mask: which tap of its window. */
struct CompactEntries {
  const std::uint8_t* mask;
  const std::int64_t* offsets;  ///< of taps, from tap 0

  /** The flat position that an entry names, of the window whose tap 0 is at `start`; less than 0:
   * none. */
  std::int64_t At(std::uint8_t entry, std::int64_t start) const { return start + offsets[entry]; }
};

/** Entries that are flat positions. */
struct FlatEntries {
  const std::int32_t* mask;

  static std::int64_t At(std::int32_t entry, std::int64_t) { return entry; }
};

/** A plane whose elements are next to each other. */
template <typename Lane, class Entries>
void ScatterPlane(const Geometry& g, const Lane* dy, Lane* dx, const Entries entries) {
  // Neighbouring large windows often share their maximum: its sum stays in a register meanwhile, in
  // the same order of additions, where a chain through memory would wait for each store.
  std::int64_t held = -1;
  Lane sum = 0;
  ForEachWindow(g, [&](std::int64_t output, std::int64_t start) {
    const std::int64_t at = entries.At(entries.mask[output], start);
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

// So many planes are scattered in turn that their chains of additions through memory overlap.
constexpr int kPlanes = 4;

/** kPlanes planes behind one another. */
template <typename Lane, class Entries>
void ScatterPlanes(const Geometry& g, const Lane* dy, Lane* dx, const Entries entries) {
  const std::int64_t outputs = g.output_plane();
  const std::int64_t inputs = g.input_plane();
  ForEachWindow(g, [=](std::int64_t output, std::int64_t start) {
    const auto* mask = entries.mask + output;
    const Lane* from = dy + output;
    std::int64_t at[kPlanes];
    std::int64_t signs = 0;
    for (int c = 0; c < kPlanes; ++c) {
      at[c] = entries.At(mask[c * outputs], start);
      signs |= at[c];
    }
    if (HWY_UNLIKELY(signs < 0)) {
      for (int c = 0; c < kPlanes; ++c) {
        if (at[c] >= 0) dx[c * inputs + at[c]] += from[c * outputs];
      }
      return;
    }
    // All loads before all stores, which the processor does not know to be elsewhere. (With AVX-512
    // GCC makes one scatter of the stores: 1.6 to 1.8 times as slow.)
    Lane sum[kPlanes];
    for (int c = 0; c < kPlanes; ++c) sum[c] = dx[c * inputs + at[c]] + from[c * outputs];
    for (int c = 0; c < kPlanes; ++c) dx[c * inputs + at[c]] = sum[c];
  });
}

/** Neighbouring planes of a planar tensor, or channels of an interleaved image, that one work
 * item takes. */
struct ScatterPlan {
  const Geometry& g;
  bool planar;
  std::int64_t planes;  ///< the most

  explicit ScatterPlan(const Pooling& p) : g(p.geometry), planar(p.layout == Layout::planar) {
    // A cache line of f32 gradients; of planar planes, those that caches hold.
    constexpr std::int64_t kChannels = 16;
    constexpr std::int64_t kLargestPlane = 1 << 14;
    const bool small = g.input_plane() <= kLargestPlane && g.output_plane() <= kLargestPlane;
    planes = planar ? (small ? kPlanes : 1) : std::min(kChannels, g.channels);
  }

  std::int64_t items() const {
    if (planar) return (g.planes() + planes - 1) / planes;
    return g.batch * ((g.channels + planes - 1) / planes);
  }
};

/** `position(entry of the mask, window's tap 0)` is the flat position, or -1; planes of dy, dx
 * and the mask lie behind one another, or their elements `dy_step` and so on apart. */
template <typename Lane, class Entries>
void ScatterLanes(const ScatterPlan& plan, const Lane* dy, std::int64_t dy_step, Lane* dx,
                  std::int64_t dx_step, std::int64_t planes, std::int64_t mask_step,
                  const Entries entries) {
  const Geometry& g = plan.g;
  if (!plan.planar) {
    ForEachWindow(g, [=](std::int64_t output, std::int64_t start) {
      const auto* mask = entries.mask + output * mask_step;
      const Lane* from = dy + output * dy_step;
      for (std::int64_t c = 0; c < planes; ++c) {
        const std::int64_t at = entries.At(mask[c], start);
        if (at >= 0) dx[at * dx_step + c] += from[c];
      }
    });
    return;
  }
  if (planes == kPlanes) {
    ScatterPlanes(g, dy, dx, entries);
    return;
  }
  for (std::int64_t c = 0; c < planes; ++c) {
    Entries of_plane = entries;
    of_plane.mask += c * g.output_plane();
    ScatterPlane(g, dy + c * g.output_plane(), dx + c * g.input_plane(), of_plane);
  }
}

template <typename T, class Entries>
void ScatterElements(const ScatterPlan& plan, const T* dy, T* dx, std::int64_t planes,
                     const Entries entries) {
  const Geometry& g = plan.g;
  const std::int64_t step = plan.planar ? 1 : g.channels;
  // Runs of elements that are neighbours in memory, and how many there are.
  const bool dense = plan.planar || planes == step;
  const std::int64_t inputs = g.input_plane() * planes;
  const std::int64_t outputs = g.output_plane() * planes;
  const std::int64_t input_run = dense ? inputs : planes;
  if constexpr (is_half<T>) {
    // Sums are f32, rounded once.
    const std::int64_t output_run = dense ? outputs : planes;
    const Line<float> from(outputs);
    const Line<float> sums(inputs);
    std::fill_n(sums.get(), inputs, 0.0f);
    for (std::int64_t i = 0; i * output_run < outputs; ++i) {
      CopyToLanes(dy + i * step, output_run, from.get() + i * planes);
    }
    const std::int64_t lane_step = plan.planar ? 1 : planes;
    ScatterLanes(plan, from.get(), lane_step, sums.get(), lane_step, planes, step, entries);
    for (std::int64_t i = 0; i * input_run < inputs; ++i) {
      CopyFromLanes(sums.get() + i * planes, input_run, dx + i * step);
    }
  } else {
    for (std::int64_t i = 0; i * input_run < inputs; ++i) {
      std::fill_n(dx + i * step, input_run, T{0});
    }
    ScatterLanes(plan, dy, step, dx, step, planes, step, entries);
  }
}

/** For large windows, where gathering would look at too many of them, for bins and for positions
 * in the plane. */
template <typename T>
void ScatterOf(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const ScatterPlan plan(p);
  const std::int64_t blocks = plan.planar ? 1 : (g.channels + plan.planes - 1) / plan.planes;
  const bool compact = p.mask_type == MaskType::position_u8;
  const std::vector<std::int64_t> offsets = compact ? TapOffsets(g) : std::vector<std::int64_t>();
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t first = plan.planar ? 0 : item % blocks * plan.planes;
    const std::int64_t plane = plan.planar ? item * plan.planes : item / blocks * g.channels;
    const std::int64_t planes =
        std::min(plan.planes, plan.planar ? g.planes() - plane : g.channels - first);
    const std::int64_t from = plane * g.output_plane() + first;
    const T* dy = static_cast<const T*>(p.input) + from;
    T* dx = static_cast<T*>(p.output) + plane * g.input_plane() + first;
    if (compact) {
      const auto* mask = static_cast<const std::uint8_t*>(p.mask) + from;
      ScatterElements(plan, dy, dx, planes, CompactEntries{mask, offsets.data()});
    } else {
      const auto* mask = static_cast<const std::int32_t*>(p.mask) + from;
      ScatterElements(plan, dy, dx, planes, FlatEntries{mask});
    }
  }
}

// --- what the table holds: inline functions ---

inline void ExpandWindows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { ExpandOf<T>(p, items); });
}
inline void SmallWindows(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { SmallWindowsOf<T>(p, items); });
}
inline void GatherChannels(const Pooling& p, Span items) {
  FloatTypes::with(p, [&]<typename T>() { GatherInterleavedOf<T>(p, items); });
}
inline void Scatter(const Pooling& p, Span items) {
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
using namespace HWY_NAMESPACE::routing;  // the functions that decide are the
                                         // same in every tier

// Gathering looks at every window that holds an element, scattering at every
// output once: beyond this many windows per element the second is faster
// (measured), though it is not vectorised.
constexpr std::int64_t kMostGatheredWindows = 16;

bool few_windows(const Pooling& p) {
  return p.mask_type == MaskType::position_u8 && FloatTypes::has(p) &&
         most_windows(p.geometry) <= kMostGatheredWindows;
}

bool accepts_expand(const Pooling& p) {
  return p.mask_type == MaskType::position_u8 && FloatTypes::has(p) && ExpandAccept(p);
}

bool accepts_small_windows(const Pooling& p) {
  return p.mask_type == MaskType::position_u8 && FloatTypes::has(p) && RouteRowsAccept(p);
}

// Fewer channels leave most of a vector empty.
constexpr std::int64_t kLeastLaneChannels = 8;

bool accepts_gather_interleaved(const Pooling& p) {
  return few_windows(p) && p.layout == Layout::interleaved &&
         p.geometry.channels >= kLeastLaneChannels;
}

bool accepts_scatter(const Pooling& p) { return FloatTypes::has(p); }

std::int64_t scatter_items(const Pooling& p) { return ScatterPlan(p).items(); }

}  // namespace

std::span<const Kernel> route_backward_kernels() {
  static const Kernel kernels[] = {
      {"expand", accepts_expand, ExpandItems, FEATUREPOOL_TIERED_AVX2(routing::ExpandWindows)},
      {"small_windows", accepts_small_windows, RouteRowsItems,
       FEATUREPOOL_TIERED_ABOVE_SSE4(routing::SmallWindows)},
      {"gather_interleaved", accepts_gather_interleaved, InterleavedInputItems,
       FEATUREPOOL_TIERED(routing::GatherChannels)},
      {"scatter", accepts_scatter, scatter_items, FEATUREPOOL_TIERED_UP_TO_AVX2(routing::Scatter)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
