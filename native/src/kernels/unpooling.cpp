// Max unpooling and its gradient: one write or read per index, so nothing for vectors to do.

#include <algorithm>
#include <cstdint>

#include "dispatch/kernel.hpp"
#include "geometry/dtype.hpp"

namespace featurepool {
namespace {

// Channels of an interleaved image that one work item takes: the more, the fewer times it walks
// over the positions.
constexpr std::int64_t kChannels = 128;

std::int64_t channel_blocks(const Unpooling& call) {
  return call.layout == Layout::planar ? call.channels
                                       : (call.channels + kChannels - 1) / kChannels;
}

/** Indices that stay in their planes, and count as positions there do. */
bool accepts(const Unpooling& call) { return !call.crossing && call.same_rows(); }

std::int64_t item_count(const Unpooling& call) { return call.batch * channel_blocks(call); }

/** Where the channels of one work item begin. */
struct Part {
  std::int64_t small;     ///< first element in the small tensor
  std::int64_t large;     ///< and in the large one
  std::int64_t base;      ///< what the indices of its first channel count from
  std::int64_t channels;  ///< neighbours in memory
  std::int64_t step;      ///< from one position to the next

  Part(const Unpooling& call, std::int64_t item) {
    const bool planar = call.layout == Layout::planar;
    const std::int64_t blocks = channel_blocks(call);
    const std::int64_t image = item / blocks;
    const std::int64_t first = planar ? item % blocks : item % blocks * kChannels;
    channels = planar ? 1 : std::min(kChannels, call.channels - first);
    step = planar ? 1 : call.channels;
    const std::int64_t planes = image * call.channels + (planar ? first : 0);
    const std::int64_t channel = planar ? 0 : first;
    small = planes * call.small_plane + channel;
    large = planes * call.large_plane() + channel;
    base = call.over_tensor ? (image * call.channels + first) * call.indexed_plane() : 0;
  }
};

/** Calls `visit(small, large)` for the elements of a part, in order of position. */
template <typename Index, typename Visit>
void for_each_pair(const Unpooling& call, const Part& part, const Visit& visit) {
  const auto* indices = static_cast<const Index*>(call.indices) + part.small;
  if (part.step == 1) {
    for (std::int64_t i = 0; i < call.small_plane; ++i) visit(i, indices[i] - part.base);
    return;
  }
  const std::int64_t plane = call.over_tensor ? call.indexed_plane() : 0;
  for (std::int64_t i = 0; i < call.small_plane; ++i) {
    for (std::int64_t c = 0; c < part.channels; ++c) {
      const std::int64_t small = i * part.step + c;
      visit(small, (indices[small] - part.base - c * plane) * part.step + c);
    }
  }
}

template <typename T, typename Index>
void place(const Unpooling& call, std::int64_t item) {
  const Part part(call, item);
  const auto* x = static_cast<const T*>(call.input) + part.small;
  auto* y = static_cast<T*>(call.output) + part.large;
  if (part.step == 1) {
    std::fill_n(y, call.large_plane(), T{0});
  } else {
    for (std::int64_t i = 0; i < call.large_plane(); ++i) {
      std::fill_n(y + i * part.step, part.channels, T{0});
    }
  }
  for_each_pair<Index>(call, part,
                       [=](std::int64_t small, std::int64_t large) { y[large] = x[small]; });
}

template <typename T, typename Index>
void fetch(const Unpooling& call, std::int64_t item) {
  const Part part(call, item);
  const auto* dy = static_cast<const T*>(call.input) + part.large;
  auto* dx = static_cast<T*>(call.output) + part.small;
  for_each_pair<Index>(call, part,
                       [=](std::int64_t small, std::int64_t large) { dx[small] = dy[large]; });
}

template <typename F>
void for_each_item(const Unpooling& call, Span items, const F& f) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    with_dtype<std::int32_t, std::int64_t>(call.index_dtype, [&]<typename Index>() {
      for (std::int64_t item = items.begin; item < items.end; ++item) {
        f.template operator()<T, Index>(item);
      }
    });
  });
}

void Place(const Unpooling& call, Span items) {
  for_each_item(call, items, [&]<typename T, typename Index>(std::int64_t item) {
    place<T, Index>(call, item);
  });
}

void Fetch(const Unpooling& call, Span items) {
  for_each_item(call, items, [&]<typename T, typename Index>(std::int64_t item) {
    fetch<T, Index>(call, item);
  });
}

}  // namespace

std::span<const KernelOf<Unpooling>> max_unpool_forward_kernels() {
  static const KernelOf<Unpooling> kernels[] = {
      {"place", accepts, item_count, dispatch::in_every_tier(Place)},
  };
  return kernels;
}

std::span<const KernelOf<Unpooling>> max_unpool_backward_kernels() {
  static const KernelOf<Unpooling> kernels[] = {
      {"fetch", accepts, item_count, dispatch::in_every_tier(Fetch)},
  };
  return kernels;
}

}  // namespace featurepool
