// The SPP block of YOLOv3-SPP: every max pool from the one before it, plane by plane in the caches.

#include "composed/spp_block.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/scratch.hpp"
#include "kernels/slide_lanes.hpp"
#include "kernels/spp_block.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/spp_block.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/slide_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace spp_block {

// --- maxima of lanes ---

/** f32 and u8 as they are. */
template <typename T>
struct Plain {
  using Lane = T;
  using D = hn::ScalableTag<Lane>;
  using V = hn::Vec<D>;
  static constexpr bool kWatched = std::is_floating_point_v<T>;

  static constexpr Lane Lowest() { return kWatched ? -std::numeric_limits<T>::infinity() : T{0}; }
  static HWY_INLINE V ToLanes(V v) { return v; }
  static HWY_INLINE V FromLanes(V v) { return v; }

  /** Lanes in which the order of equals, or a NaN, can show. */
  static HWY_INLINE hn::Mask<D> Special(V v) {
    const D d;
    const hn::RebindToUnsigned<D> du;
    const auto negative_zero =
        hn::Eq(hn::BitCast(du, v), hn::BitCast(du, hn::Set(d, static_cast<T>(-0.0))));
    return hn::Or(hn::IsNaN(v), hn::RebindMask(d, negative_zero));
  }
  static HWY_INLINE V Fast(V a, V b) { return hn::Max(a, b); }
  /** Of `a` before `b`: the last NaN, else the first maximum. */
  static HWY_INLINE V Ordered(V a, V b) {
    return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
  }
};

/** f16 as whole numbers in its order, -0.0 below 0.0 and NaN beyond the infinities. */
struct Halves {
  using Lane = std::int16_t;
  using D = hn::ScalableTag<Lane>;
  using V = hn::Vec<D>;
  static constexpr bool kWatched = true;
  static constexpr Lane kInfinity = 0x7c00;
  static constexpr Lane kLeast = -0x7c01;  ///< -infinity

  static constexpr Lane Lowest() { return kLeast; }
  static HWY_INLINE V ToLanes(V bits) {
    const D d;
    return hn::Xor(bits, hn::And(hn::ShiftRight<15>(bits), hn::Set(d, Lane{0x7fff})));
  }
  static HWY_INLINE V FromLanes(V v) { return ToLanes(v); }

  static HWY_INLINE hn::Mask<D> IsNaN(V v) {
    const D d;
    return hn::Or(hn::Gt(v, hn::Set(d, kInfinity)), hn::Lt(v, hn::Set(d, kLeast)));
  }
  static HWY_INLINE hn::Mask<D> IsNegativeZero(V v) { return hn::Eq(v, hn::Set(D(), Lane{-1})); }
  static HWY_INLINE hn::Mask<D> Special(V v) { return hn::Or(IsNaN(v), IsNegativeZero(v)); }
  static HWY_INLINE V Fast(V a, V b) { return hn::Max(a, b); }
  static HWY_INLINE V Ordered(V a, V b) {
    const auto zeros = hn::And(IsNegativeZero(a), hn::Eq(b, hn::Zero(D())));
    const auto greater = hn::AndNot(hn::Or(zeros, IsNaN(a)), hn::Gt(b, a));
    return hn::IfThenElse(hn::Or(greater, IsNaN(b)), b, a);
  }
};

template <class R, bool kOrdered>
HWY_INLINE typename R::V Combine(typename R::V a, typename R::V b) {
  if constexpr (kOrdered) {
    return R::Ordered(a, b);
  } else {
    return R::Fast(a, b);
  }
}

// Up to this many taps are taken in one pass; more, in passes over windows of such windows.
constexpr std::int64_t kPassTaps = 5;

/** Maximum of kTaps vectors at `offsets` from `from`. */
template <class R, bool kOrdered, int kTaps>
HWY_INLINE typename R::V MaximumOf(const typename R::Lane* HWY_RESTRICT from,
                                   const std::int64_t* HWY_RESTRICT offsets) {
  const typename R::D d;
  auto best = hn::LoadU(d, from + offsets[0]);
  for (int t = 1; t < kTaps; ++t) {
    best = Combine<R, kOrdered>(best, hn::LoadU(d, from + offsets[t]));
  }
  return best;
}

/** Calls `run.template operator()<kTaps>()` for a number of taps in a pass. */
template <class Run>
HWY_INLINE void WithTaps(std::int64_t taps, const Run& run) {
  switch (taps) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    case 4:
      return run.template operator()<4>();
    default:
      return run.template operator()<5>();
  }
}

/** to[i] = maximum of the taps at i, for i in [0, size), in whole vectors; may be in place. */
template <class R, bool kOrdered>
HWY_NOINLINE void Pass(const typename R::Lane* from, const std::int64_t* offsets, std::int64_t taps,
                       std::int64_t size, typename R::Lane* to) {
  const typename R::D d;
  WithTaps(taps, [&]<int kTaps>() HWY_ATTR {
    for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
      hn::StoreU(MaximumOf<R, kOrdered, kTaps>(from + i, offsets), d, to + i);
    }
  });
}

/** The passes of a window of `kernel` taps, `step` elements apart; the last one is the caller's. */
struct Passes {
  std::int64_t width = 1;  ///< taps that are in each element before the last pass
  std::int64_t taps;       ///< of the last pass
  std::int64_t offsets[kPassTaps];

  Passes(std::int64_t kernel, std::int64_t step) {
    while (Needed(kernel) > kPassTaps) width *= kPassTaps;
    taps = Needed(kernel);
    // The last two may overlap: a tap may well be taken twice.
    for (std::int64_t t = 0; t < taps; ++t) offsets[t] = std::min(t * width, kernel - width) * step;
  }

 private:
  std::int64_t Needed(std::int64_t kernel) const { return (kernel + width - 1) / width; }
};

/**
 * Makes every element of `from` the maximum of itself and those behind it that the last of `passes`
 * expects in it, into `to`; returns where the result is. `size` elements of the last pass follow.
 */
template <class R, bool kOrdered>
const typename R::Lane* BeforeLastPass(const typename R::Lane* from, std::int64_t kernel,
                                       std::int64_t step, const Passes& passes, std::int64_t size,
                                       typename R::Lane* to) {
  for (std::int64_t width = 1; width < passes.width; width *= kPassTaps) {
    std::int64_t offsets[kPassTaps];
    for (std::int64_t t = 0; t < kPassTaps; ++t) offsets[t] = t * width * step;
    Pass<R, kOrdered>(from, offsets, kPassTaps, size + (kernel - width * kPassTaps) * step, to);
    from = to;
  }
  return from;
}

// --- a band of rows ---

/**
 * The working memory of one item: its rows and those around them, `reach_h` rows of the lowest
 * value above and below, `reach_w` columns of it between neighbouring rows. Windows along a row
 * then are windows over the whole memory, and along a column too.
 *
 * Windows that begin at an element replace those before them in place: the centre of the window of
 * an element moves to the left with each kernel, by as much as the windows grew.
 */
template <typename T, class R>
class Band {
 public:
  using Lane = typename R::Lane;

  explicit Band(const SppBlock& b)
      : b_(b),
        tiles_(b),
        planar_(b.layout == Layout::planar),
        rows_(std::min(b.height, tiles_.band + 2 * tiles_.reach_h)),
        lines_((rows_ + 2 * tiles_.reach_h) * (b.width + tiles_.reach_w) * tiles_.channels +
               2 * tiles_.reach_w * tiles_.channels),
        passed_(tiles_.reach_h > (kPassTaps - 1) / 2
                    ? (rows_ + 2 * tiles_.reach_h) * (b.width + tiles_.reach_w) * tiles_.channels
                    : 0) {}

  void Run(std::int64_t item) {
    band_ = {item % tiles_.bands * tiles_.band, 0};
    band_.end = std::min(b_.height, band_.begin + tiles_.band);
    held_ = {std::max<std::int64_t>(0, band_.begin - tiles_.reach_h),
             std::min(b_.height, band_.end + tiles_.reach_h)};
    first_ = item / tiles_.bands % tiles_.strips * tiles_.channels;
    channels_ = std::min(tiles_.channels, b_.channels - first_);
    image_ = item / tiles_.bands / tiles_.strips;
    pitch_ = (b_.width + tiles_.reach_w) * channels_;
    const bool special = Load();
    if constexpr (R::kWatched) {
      if (special) return Pools<true>();
    }
    Pools<false>();
  }

 private:
  /** Elements between the positions of the joined tensor. */
  std::int64_t joined_pitch() const { return planar_ ? 1 : b_.groups() * b_.channels; }

  /** The item's channels of a group of the joined tensor, at its first position. */
  T* joined(std::int64_t group) const {
    T* y = static_cast<T*>(b_.output) + image_ * b_.groups() * b_.channels * b_.plane();
    const std::int64_t channel = group * b_.channels + first_;
    return planar_ ? y + channel * b_.plane() : y + channel;
  }

  /** The first row's column 0 before any pool, and the first element that a window reaches. */
  Lane* first_line() const { return lines_.get() + tiles_.reach_h * pitch_; }

  /** Hands `f` the offsets, in x and in the joined tensor, and lengths of what is in one piece of a
   * row, with the offset in a line. */
  template <class F>
  HWY_INLINE void EachRun(std::int64_t row, const F& f) const {
    if (planar_) {
      f(row * b_.width, row * b_.width, std::int64_t{0}, b_.width);
      return;
    }
    for (std::int64_t w = 0; w < b_.width; ++w) {
      const std::int64_t position = row * b_.width + w;
      f(position * b_.channels, position * joined_pitch(), w * channels_, channels_);
    }
  }

  static HWY_INLINE hn::Vec<typename R::D> LoadLanes(const T* p, std::int64_t n) {
    const typename R::D d;
    return LoadPart(d, reinterpret_cast<const Lane*>(p), n);
  }
  static HWY_INLINE void StoreLanes(hn::Vec<typename R::D> v, T* p, std::int64_t n) {
    const typename R::D d;
    StorePart(v, d, reinterpret_cast<Lane*>(p), n);
  }

  /** Reads the rows, with the lowest value around them, and copies those of the band; returns
   * whether the order of taps can show. */
  bool Load() {
    const typename R::D d;
    const std::int64_t lanes = LaneCount(d);
    const T* x = static_cast<const T*>(b_.input) + image_ * b_.channels * b_.plane() +
                 (planar_ ? first_ * b_.plane() : first_);
    T* copy = joined(b_.pools());
    const std::int64_t gap = tiles_.reach_w * channels_;
    Lane* line = first_line();
    std::fill(lines_.get(), line + gap, R::Lowest());
    line += gap;
    auto special = hn::FirstN(d, 0);
    for (std::int64_t row = held_.begin; row < held_.end; ++row, line += pitch_) {
      const bool mine = row >= band_.begin && row < band_.end;
      EachRun(row,
              [&](std::int64_t from, std::int64_t to, std::int64_t at, std::int64_t size) HWY_ATTR {
                for (std::int64_t i = 0;;) {
                  const auto v = LoadLanes(x + from + i, size - i);
                  if (mine) StoreLanes(v, copy + to + i, size - i);
                  const auto value = R::ToLanes(v);
                  if constexpr (R::kWatched) special = hn::Or(special, R::Special(value));
                  hn::StoreU(value, d, line + at + i);
                  if (i + lanes >= size) break;
                  i = std::min(i + lanes, size - lanes);
                }
              });
      std::fill_n(line + b_.width * channels_, gap, R::Lowest());
    }
    std::fill(line, line + tiles_.reach_h * pitch_, R::Lowest());
    return !hn::AllFalse(d, special);
  }

  /** From the smallest kernel to the largest: along the rows from the one before, then along the
   * columns into the output. */
  template <bool kOrdered>
  void Pools() {
    const typename R::D d;
    // All that windows along rows reach: the lines and the columns at both of their ends.
    Lane* line = first_line();
    const std::int64_t whole = (held_.size() - 1) * pitch_ + b_.width * channels_;
    std::int64_t before = 0;
    for (std::int64_t group = b_.pools() - 1; group >= 0; --group) {
      const std::int64_t reach = SppTiles::Reach(b_, group, b_.width);
      const std::int64_t kernel = 2 * (reach - before) + 1;
      const std::int64_t rest = (tiles_.reach_w - reach) * channels_;
      const std::int64_t size = whole + 2 * rest;
      if (kernel > 1) {
        const Passes passes(kernel, channels_);
        BeforeLastPass<R, kOrdered>(line, kernel, channels_, passes, size, line);
        Pass<R, kOrdered>(line, passes.offsets, passes.taps, size, line);
        // Behind the result: what was there, and the overhang of the last vector.
        std::fill_n(line + size, 2 * (reach - before) * channels_ + LaneCount(d), R::Lowest());
      }
      Columns<kOrdered>(group, line + rest);
      before = reach;
    }
  }

  /** Windows along the columns; `line` is where column 0 of the first row held is. */
  template <bool kOrdered>
  void Columns(std::int64_t group, const Lane* line) {
    const typename R::D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t reach = SppTiles::Reach(b_, group, b_.height);
    const std::int64_t kernel = 2 * reach + 1;
    const Passes passes(kernel, pitch_);
    const std::int64_t top = band_.begin - held_.begin - reach;
    const Lane* from = line + top * pitch_;
    from = BeforeLastPass<R, kOrdered>(from, kernel, pitch_, passes, band_.size() * pitch_,
                                       passed_.get());
    T* y = joined(group);
    WithTaps(passes.taps, [&]<int kTaps>() HWY_ATTR {
      for (std::int64_t row = band_.begin; row < band_.end; ++row, from += pitch_) {
        EachRun(row,
                [&](std::int64_t, std::int64_t to, std::int64_t at, std::int64_t size) HWY_ATTR {
                  for (std::int64_t i = 0;;) {
                    const auto best = MaximumOf<R, kOrdered, kTaps>(from + at + i, passes.offsets);
                    StoreLanes(R::FromLanes(best), y + to + i, size - i);
                    if (i + lanes >= size) break;
                    i = std::min(i + lanes, size - lanes);
                  }
                });
      }
    });
  }

  const SppBlock& b_;
  const SppTiles tiles_;
  const bool planar_;
  const std::int64_t rows_;
  const Line<Lane> lines_;
  const Line<Lane> passed_;

  std::int64_t image_ = 0;
  std::int64_t first_ = 0;     ///< channel
  std::int64_t channels_ = 1;  ///< channels of the item
  std::int64_t pitch_ = 0;     ///< elements between lines
  Span band_{0, 0};            ///< output rows
  Span held_{0, 0};            ///< input rows
};

template <typename T, class R>
void Run(const SppBlock& b, Span items) {
  Band<T, R> band(b);
  for (std::int64_t item = items.begin; item < items.end; ++item) band.Run(item);
}

/** The windows of a group along an axis; what lies beyond the planes is left out. */
inline SlidingAxis Along(const SppBlock& b, std::int64_t group, std::int64_t extent) {
  const std::int64_t reach = SppTiles::Reach(b, group, extent);
  return {extent, extent, 2 * reach + 1, reach};
}

/** All pools of f32 planes, or channels, one per lane: they are read once. */
inline void Lanes(const SppBlock& b, Span items) {
  using R = MaxOf<float>;
  const bool planar = b.layout == Layout::planar;
  const std::int64_t plane = b.plane();
  const std::int64_t reach =
      std::max(SppTiles::Reach(b, 0, b.height), SppTiles::Reach(b, 0, b.width));
  SlidingBlock<R> block(b.layout, b.height, b.width, b.height, b.width, 2 * reach + 1);
  const auto same = [](auto v, std::int64_t, std::int64_t) HWY_ATTR { return v; };
  const std::int64_t strips = (b.channels + block.strip() - 1) / block.strip();
  for (std::int64_t item = items.begin; item < items.end;) {
    const std::int64_t image = planar ? item / b.channels : item / strips;
    const std::int64_t first = planar ? item % b.channels : item % strips * block.strip();
    std::int64_t count = std::min(block.strip(), b.channels - first);
    if (planar) count = std::min(count, items.end - item);
    const std::int64_t step = planar ? plane : 1;
    const float* x = static_cast<const float*>(b.input) + image * b.channels * plane + first * step;
    float* y =
        static_cast<float*>(b.output) + image * b.groups() * b.channels * plane + first * step;
    const std::int64_t pitch = b.groups() * b.channels;
    const bool ordered = block.Load(x, count, b.channels) != 0;
    for (std::int64_t group = 0; group < b.pools(); ++group, y += b.channels * step) {
      const SlidingAxis h = Along(b, group, b.height);
      const SlidingAxis w = Along(b, group, b.width);
      if (ordered) {
        block.Slide<InOrder<R>>(h, w, same);
      } else {
        block.Slide<R>(h, w, same);
      }
      block.Store(plane, count, pitch, y);
    }
    if (planar) {
      std::copy_n(x, count * plane, y);
    } else {
      for (std::int64_t i = 0; i < plane; ++i) {
        std::copy_n(x + i * b.channels, count, y + i * pitch);
      }
    }
    item += planar ? count : 1;
  }
}

inline void Fused(const SppBlock& b, Span items) {
  switch (b.dtype) {
    case FPOOL_F32:
      return Run<float, Plain<float>>(b, items);
    case FPOOL_F16:
      return Run<std::uint16_t, Halves>(b, items);
    default:
      return Run<std::uint8_t, Plain<std::uint8_t>>(b, items);
  }
}

}  // namespace spp_block
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

bool accepts_lanes(const SppBlock& b) {
  const std::int64_t lanes = b.layout == Layout::planar ? b.batch * b.channels : b.channels;
  return b.mask_type == MaskType::none && b.dtype == FPOOL_F32 && lanes >= kLeastSlidingLanes &&
         b.plane() <= kMostSlidingElements &&
         SppTiles::Reach(b, 0, std::max(b.height, b.width)) <= kMostSlidingElements;
}

std::int64_t lanes_items(const SppBlock& b) {
  if (b.layout == Layout::planar) return b.batch * b.channels;
  const std::int64_t strip = HWY_NAMESPACE::kStripBytes / dtype_size(b.dtype);
  return b.batch * ((b.channels + strip - 1) / strip);
}

bool accepts_fused(const SppBlock& b) { return b.mask_type == MaskType::none; }

std::int64_t fused_items(const SppBlock& b) { return SppTiles(b).items(b); }

}  // namespace

std::span<const KernelOf<SppBlock>> spp_block_forward_kernels() {
  static const KernelOf<SppBlock> kernels[] = {
      {"lanes", accepts_lanes, lanes_items, FEATUREPOOL_TIERED_ABOVE_SSE4(spp_block::Lanes)},
      {"fused", accepts_fused, fused_items, FEATUREPOOL_TIERED(spp_block::Fused)},
      {"separate", accepts_separate, separate_items, dispatch::in_every_tier(SeparatePools)},
  };
  return kernels;
}

std::span<const KernelOf<SppBlock>> spp_block_backward_kernels() {
  static const KernelOf<SppBlock> kernels[] = {
      {"scatter", accepts_spp_scatter, spp_scatter_items, dispatch::in_every_tier(SppScatter)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
