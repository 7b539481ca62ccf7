// The gradient of the SPP block of YOLOv3-SPP.

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "kernels/scratch.hpp"
#include "kernels/spp_block.hpp"
#include "reference/half.hpp"

namespace featurepool {
namespace {

// Channels of an interleaved image that one work item takes: a cache line of f32 gradients.
constexpr std::int64_t kChannels = 16;

std::int64_t channels_per_item(const SppBlock& b) {
  return b.layout == Layout::planar ? 1 : std::min(kChannels, b.channels);
}

std::int64_t items_per_image(const SppBlock& b) {
  const std::int64_t channels = channels_per_item(b);
  return (b.channels + channels - 1) / channels;
}

/** Neighbouring channels of one image in a tensor of some groups of its channels. */
template <typename T>
struct Strip {
  T* data;             ///< the first of them at the first position
  std::int64_t pitch;  ///< elements between positions
  std::int64_t group;  ///< elements between groups

  Strip(const SppBlock& b, T* tensor, std::int64_t groups, std::int64_t image, std::int64_t first)
      : data(tensor + image * groups * b.channels * b.plane()),
        pitch(b.layout == Layout::planar ? 1 : groups * b.channels),
        group(b.layout == Layout::planar ? b.channels * b.plane() : b.channels) {
    data += b.layout == Layout::planar ? first * b.plane() : first;
  }
};

/** Positions in the plane from compact entries: from that of the window's centre. */
std::array<std::int64_t, 256> offsets_of(std::int64_t kernel, std::int64_t width) {
  std::array<std::int64_t, 256> offsets{};
  for (std::int64_t tap = 0; tap < std::min<std::int64_t>(kernel * kernel, 256); ++tap) {
    offsets[static_cast<std::size_t>(tap)] =
        (tap / kernel - kernel / 2) * width + tap % kernel - kernel / 2;
  }
  return offsets;
}

/** Adds the gradients of one max pool, `channels` at a time, to `sums`. */
template <typename T, typename Sum, typename Entry>
void scatter(const SppBlock& b, std::int64_t kernel, std::int64_t channels, const T* dy,
             std::int64_t dy_pitch, const Entry* mask, std::int64_t mask_pitch, Sum* sums,
             std::int64_t sums_pitch) {
  constexpr bool kCompact = std::is_same_v<Entry, std::uint8_t>;
  std::array<std::int64_t, 256> offsets{};
  if constexpr (kCompact) offsets = offsets_of(kernel, b.width);
  for (std::int64_t i = 0; i < b.plane(); ++i) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const Entry entry = mask[i * mask_pitch + c];
      if (entry == (kCompact ? FPOOL_MASK_NONE_COMPACT : FPOOL_MASK_NONE)) continue;
      std::int64_t at = entry;
      if constexpr (kCompact) at = i + offsets[entry];
      sums[at * sums_pitch + c] += static_cast<Sum>(dy[i * dy_pitch + c]);
    }
  }
}

template <typename T>
void run(const SppBlock& b, Span items) {
  constexpr bool kHalf = Half<T>;
  using Sum = std::conditional_t<kHalf, float, T>;
  const std::int64_t most = channels_per_item(b);
  const std::int64_t per_image = items_per_image(b);
  const Line<Sum> scratch(kHalf ? most * b.plane() : 0);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / per_image;
    const std::int64_t first = item % per_image * most;
    const std::int64_t channels = std::min(most, b.channels - first);
    const Strip<const T> dy(b, static_cast<const T*>(b.input), b.groups(), image, first);
    const Strip<T> dx(b, static_cast<T*>(b.output), 1, image, first);
    Sum* sums = scratch.get();
    std::int64_t pitch = channels;
    if constexpr (!kHalf) {
      sums = dx.data;
      pitch = dx.pitch;
    }
    const T* straight = dy.data + b.pools() * dy.group;
    for (std::int64_t i = 0; i < b.plane(); ++i) {
      for (std::int64_t c = 0; c < channels; ++c) {
        sums[i * pitch + c] = static_cast<Sum>(straight[i * dy.pitch + c]);
      }
    }
    const auto pools = [&]<typename Entry>(const Entry* entries) {
      const Strip<const Entry> mask(b, entries, b.pools(), image, first);
      for (std::int64_t group = 0; group < b.pools(); ++group) {
        scatter<T>(b, b.kernels[static_cast<std::size_t>(group)], channels,
                   dy.data + group * dy.group, dy.pitch, mask.data + group * mask.group, mask.pitch,
                   sums, pitch);
      }
    };
    if (b.mask_type == MaskType::position_u8) {
      pools(static_cast<const std::uint8_t*>(b.mask));
    } else {
      pools(static_cast<const std::int32_t*>(b.mask));
    }
    if constexpr (kHalf) {
      for (std::int64_t i = 0; i < b.plane(); ++i) {
        for (std::int64_t c = 0; c < channels; ++c) {
          dx.data[i * dx.pitch + c] = static_cast<T>(sums[i * pitch + c]);
        }
      }
    }
  }
}

}  // namespace

bool accepts_spp_scatter(const SppBlock&) { return true; }

std::int64_t spp_scatter_items(const SppBlock& b) { return b.batch * items_per_image(b); }

void SppScatter(const SppBlock& b, Span items) {
  with_dtype<float, Eigen::half>(b.dtype, [&]<typename T>() { run<T>(b, items); });
}

}  // namespace featurepool
