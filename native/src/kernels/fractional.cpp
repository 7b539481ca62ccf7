// Fractional max pooling.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "geometry/dtype.hpp"
#include "kernels/scratch.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/fractional.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace fractional_pooling {

/** Where the taps of a window lie, from its first one. */
struct TapOffsets {
  std::vector<std::int64_t> element;   ///< in memory
  std::vector<std::int64_t> position;  ///< in the plane

  explicit TapOffsets(const Fractional& call) {
    const std::int64_t step = call.layout == Layout::planar ? 1 : call.channels;
    for (std::int64_t d = 0; d < call.kernel[0]; ++d) {
      for (std::int64_t h = 0; h < call.kernel[1]; ++h) {
        for (std::int64_t w = 0; w < call.kernel[2]; ++w) {
          position.push_back((d * call.input[1] + h) * call.input[2] + w);
          element.push_back(position.back() * step);
        }
      }
    }
  }
};

/** Maxima of as many windows as there are lanes, each wherever it begins. */
template <typename T>
class Windows {
 public:
  using D = hn::ScalableTag<T>;
  using DI = hn::RebindToSigned<D>;
  using Index = hn::TFromD<DI>;

  Windows(const Fractional& call, const TapOffsets& taps) : call_(call), taps_(taps) {}

  /** Writes outputs [to, to + n) from the windows whose first taps are given. */
  HWY_INLINE void Write(const T* HWY_RESTRICT x, hn::Vec<DI> element, hn::Vec<DI> position,
                        std::int64_t to, std::int64_t n) const {
    const D d;
    const DI di;
    auto best = hn::GatherIndex(d, x, element);
    auto at = position;
    for (std::size_t t = 1; t < taps_.element.size(); ++t) {
      const auto value = hn::GatherIndex(d, x + taps_.element[t], element);
      const auto better = hn::Or(hn::Gt(value, best), hn::IsNaN(value));
      best = hn::IfThenElse(better, value, best);
      at =
          hn::IfThenElse(hn::RebindMask(di, better),
                         hn::Add(position, hn::Set(di, static_cast<Index>(taps_.position[t]))), at);
    }
    StorePart(best, d, static_cast<T*>(call_.y) + to, n);
    if (call_.mask == nullptr) return;
    StorePositions(di, at, call_.mask + to, n);
  }

 private:
  const Fractional& call_;
  const TapOffsets& taps_;
};

/** A table with a vector of zeros behind it: lanes beyond a row's end then still gather safely. */
template <typename Index>
Line<Index> ZeroedTable(std::int64_t size) {
  constexpr std::int64_t kLanes = 64;
  Line<Index> table(size + kLanes);
  std::fill_n(table.get(), size + kLanes, Index{0});
  return table;
}

/** Items are rows of planes; lanes run along W. */
template <typename T>
void PlanarRows(const Fractional& call, Span items) {
  using Index = typename Windows<T>::Index;
  const typename Windows<T>::DI di;
  const std::int64_t lanes = LaneCount(di);
  const TapOffsets taps(call);
  const Windows<T> windows(call, taps);
  const std::int64_t width = call.output[2];
  const std::int64_t rows = call.output[0] * call.output[1];
  std::vector<std::int64_t> depth(static_cast<std::size_t>(call.output[0]));
  std::vector<std::int64_t> height(static_cast<std::size_t>(call.output[1]));
  const Line<Index> columns = ZeroedTable<Index>(width);
  std::int64_t started = -1;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t plane = item / rows;
    const std::int64_t row = item % rows;
    if (plane != started) {
      const auto into = [](auto& starts) {
        return [&](std::int64_t o) -> std::int64_t& { return starts[static_cast<std::size_t>(o)]; };
      };
      fractional_starts<T>(call, plane, 0, into(depth));
      fractional_starts<T>(call, plane, 1, into(height));
      fractional_starts<T>(call, plane, 2, [&](std::int64_t o) -> Index& { return columns[o]; });
      started = plane;
    }
    const std::int64_t first =
        (depth[static_cast<std::size_t>(row / call.output[1])] * call.input[1] +
         height[static_cast<std::size_t>(row % call.output[1])]) *
        call.input[2];
    const T* x = static_cast<const T*>(call.x) + plane * call.input_plane();
    const auto from = hn::Set(di, static_cast<Index>(first));
    for (std::int64_t o = 0; o < width; o += lanes) {
      const auto position = hn::Add(from, hn::LoadU(di, columns.get() + o));
      windows.Write(x, position, position, item * width + o, width - o);
    }
  }
}

/** Items are rows of images; lanes run along C, each with the starts of its own channel. */
template <typename T>
void InterleavedRows(const Fractional& call, Span items) {
  using Index = typename Windows<T>::Index;
  const typename Windows<T>::DI di;
  const std::int64_t lanes = LaneCount(di);
  const TapOffsets taps(call);
  const Windows<T> windows(call, taps);
  const std::int64_t channels = call.channels;
  const std::int64_t width = call.output[2];
  const std::int64_t rows = call.output[0] * call.output[1];
  std::array<Line<Index>, 3> starts{ZeroedTable<Index>(call.output[0] * channels),
                                    ZeroedTable<Index>(call.output[1] * channels),
                                    ZeroedTable<Index>(width * channels)};
  const Line<Index> first = ZeroedTable<Index>(channels);
  std::int64_t started = -1;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / rows;
    const std::int64_t row = item % rows;
    if (image != started) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        for (std::int64_t c = 0; c < channels; ++c) {
          fractional_starts<T>(
              call, image * channels + c, static_cast<int>(axis),
              [&](std::int64_t o) -> Index& { return starts[axis][o * channels + c]; });
        }
      }
      started = image;
    }
    const Index* depth = starts[0].get() + row / call.output[1] * channels;
    const Index* height = starts[1].get() + row % call.output[1] * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      first[c] = static_cast<Index>((depth[c] * call.input[1] + height[c]) * call.input[2]);
    }
    const T* x = static_cast<const T*>(call.x) + image * call.input_plane() * channels;
    const auto step = hn::Set(di, static_cast<Index>(channels));
    for (std::int64_t o = 0; o < width; ++o) {
      for (std::int64_t c = 0; c < channels; c += lanes) {
        const auto position = hn::Add(hn::LoadU(di, first.get() + c),
                                      hn::LoadU(di, starts[2].get() + o * channels + c));
        const auto channel = hn::Iota(di, static_cast<Index>(c));
        // Lanes beyond the last channel stay inside the image.
        const auto element =
            hn::IfThenElseZero(hn::Lt(channel, step), hn::Add(hn::Mul(position, step), channel));
        windows.Write(x, element, position, (item * width + o) * channels + c, channels - c);
      }
    }
  }
}

inline void Gather(const Fractional& call, Span items) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    call.layout == Layout::planar ? PlanarRows<T>(call, items) : InterleavedRows<T>(call, items);
  });
}

}  // namespace fractional_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

// Beyond, listing the taps is the smaller part, and rows are long enough for the reference.
constexpr std::int64_t kMostTaps = 1 << 16;

/** Lanes hold positions in an image as i32. */
bool accepts_gather(const Fractional& call) {
  const std::int64_t step = call.layout == Layout::planar ? 1 : call.channels;
  return call.input_plane() <= std::numeric_limits<std::int32_t>::max() / step &&
         call.kernel[0] * call.kernel[1] * call.kernel[2] <= kMostTaps;
}

std::int64_t gather_items(const Fractional& call) {
  const std::int64_t rows = call.output[0] * call.output[1];
  return (call.layout == Layout::planar ? call.items() : call.batch) * rows;
}

}  // namespace

std::span<const KernelOf<Fractional>> fractional_forward_kernels() {
  static const KernelOf<Fractional> kernels[] = {
      {"gather", accepts_gather, gather_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(fractional_pooling::Gather)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
