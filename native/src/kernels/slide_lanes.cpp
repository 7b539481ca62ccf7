// Large windows of stride 1 over many small planes, or over channels: one of them per lane.

#include "kernels/slide_lanes.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/extremes.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/slide_lanes.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/slide_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace slide_lanes {

/** Maxima are turned back. */
template <class R>
struct TurnBack {
  template <class V>
  HWY_INLINE V operator()(V v, std::int64_t, std::int64_t) const {
    return Turn<R::kSelects>(typename R::D(), v);
  }
};

/** Sums are multiplied by the divisors' reciprocals. */
class Divide {
 public:
  explicit Divide(const Pooling& p) : columns_(p.geometry.w().output) {
    const Geometry& g = p.geometry;
    const std::int64_t uniform = uniform_divisor(g, p.divisor);
    factors_.reserve(static_cast<std::size_t>(g.output_plane()));
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      for (std::int64_t w = 0; w < g.w().output; ++w) {
        const std::int64_t count = uniform != 0 ? uniform
                                                : counted_taps(g.d(), p.divisor, 0) *
                                                      counted_taps(g.h(), p.divisor, h) *
                                                      counted_taps(g.w(), p.divisor, w);
        factors_.push_back(1.0f / static_cast<float>(count));
      }
    }
  }

  template <class V>
  HWY_INLINE V operator()(V v, std::int64_t row, std::int64_t column) const {
    const hn::ScalableTag<float> d;
    return hn::Mul(v, hn::Set(d, factors_[static_cast<std::size_t>(row * columns_ + column)]));
  }

 private:
  const std::int64_t columns_;
  std::vector<float> factors_;  ///< of all windows
};

template <class R, class Finish>
void Run(const Pooling& p, Span items, const Finish& finish) {
  using Element = typename R::Element;
  const Geometry& g = p.geometry;
  const bool planar = p.layout == Layout::planar;
  const SlidingAxis h = SlidingOver(g.h());
  const SlidingAxis w = SlidingOver(g.w());
  const std::int64_t inputs = g.input_plane();
  const std::int64_t outputs = g.output_plane();
  SlidingBlock<R> block(p.layout, h.input, w.input, h.output, w.output,
                        std::max(h.kernel, w.kernel));
  const std::int64_t strips = (g.channels + block.strip() - 1) / block.strip();
  for (std::int64_t item = items.begin; item < items.end;) {
    // The first plane, or channel, and how many.
    std::int64_t first = item;
    std::int64_t count = std::min(block.strip(), items.end - item);
    std::int64_t from = first * inputs;
    std::int64_t to = first * outputs;
    if (!planar) {
      first = item % strips * block.strip();
      count = std::min(block.strip(), g.channels - first);
      from = item / strips * inputs * g.channels + first;
      to = item / strips * outputs * g.channels + first;
    }
    const int found = block.Load(static_cast<const Element*>(p.input) + from, count, g.channels);
    if constexpr (R::kWatched) {
      if (found != 0) {
        block.template Slide<InOrder<R>>(h, w, finish);
      } else {
        block.template Slide<R>(h, w, finish);
      }
    } else {
      (void)found;
      block.template Slide<R>(h, w, finish);
    }
    block.Store(outputs, count, planar ? outputs : g.channels,
                static_cast<Element*>(p.output) + to);
    item += planar ? count : 1;
  }
}

template <Order kOrder>
void Extremes(const Pooling& p, Span items) {
  CommonExtremes<kOrder>::with(p, [&]<typename T>() {
    using R = MaxOf<T, kOrder>;
    Run<R>(p, items, TurnBack<R>());
  });
}

inline void Maxima(const Pooling& p, Span items) { Extremes<Order::greater>(p, items); }
inline void Minima(const Pooling& p, Span items) { Extremes<Order::less>(p, items); }
inline void Averages(const Pooling& p, Span items) { Run<SumOf<float>>(p, items, Divide(p)); }

}  // namespace slide_lanes
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

// From this many taps on, three combinations along each axis beat taking the taps.
constexpr std::int64_t kLeastTaps = 25;

// A sum's error grows with the length of the kernel; it stays within 2 ulp * sqrt(taps).
constexpr std::int64_t kMostRatio = 16;

bool accepts(const Pooling& p) {
  const Geometry& g = p.geometry;
  const Axis& h = g.h();
  const Axis& w = g.w();
  if (p.mask_type != MaskType::none || g.binned() || g.d().input != 1 || g.d().output != 1) {
    return false;
  }
  // The taps of a dilated window can lie on both sides of the one slice.
  if (g.d().taps(0).empty()) return false;
  for (const Axis* axis : {&h, &w}) {
    if (axis->stride != 1 || axis->dilation != 1) return false;
  }
  const std::int64_t lanes = p.layout == Layout::planar ? g.planes() : g.channels;
  return g.taps() >= kLeastTaps && lanes >= kLeastSlidingLanes &&
         std::max(h.input, h.output) * std::max(w.input, w.output) <= kMostSlidingElements &&
         std::max(h.kernel, w.kernel) <= kMostSlidingElements && !HoldsPlane(p);
}

bool accepts_extremes(const Pooling& p) {
  if (p.dtype == FPOOL_F32) return accepts(p);
  return p.dtype == FPOOL_U8 && p.layout == Layout::interleaved && accepts(p);
}

bool accepts_averages(const Pooling& p) {
  const std::int64_t height = p.geometry.h().kernel;
  const std::int64_t width = p.geometry.w().kernel;
  return p.dtype == FPOOL_F32 && accepts(p) && height <= kMostRatio * width &&
         width <= kMostRatio * height;
}

std::int64_t slide_items(const Pooling& p) {
  if (p.layout == Layout::planar) return p.geometry.planes();
  const std::int64_t strip = HWY_NAMESPACE::kStripBytes / dtype_size(p.dtype);
  return p.geometry.batch * ((p.geometry.channels + strip - 1) / strip);
}

}  // namespace

Kernel slide_lanes_kernel(Operation operation) {
  switch (operation) {
    case Operation::max_forward:
      return {"slide_lanes", accepts_extremes, slide_items,
              FEATUREPOOL_TIERED_ABOVE_SSE4(slide_lanes::Maxima)};
    case Operation::min_forward:
      return {"slide_lanes", accepts_extremes, slide_items,
              FEATUREPOOL_TIERED_AVX2(slide_lanes::Minima)};
    default:
      return {"slide_lanes", accepts_averages, slide_items,
              FEATUREPOOL_TIERED_ABOVE_SSE4(slide_lanes::Averages)};
  }
}

}  // namespace featurepool
#endif
