// The gradient of the SPP block of YOLOv3-SPP.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/scratch.hpp"
#include "kernels/spp_block.hpp"
#include "reference/half.hpp"

namespace featurepool {
namespace {

// Planes that one work item takes of a planar image: neighbouring windows often add to the same
// element, each addition waiting for the one before it; several planes in turn have as many such
// chains at a time.
constexpr std::int64_t kPlanes = 4;

// Channels that one takes of an interleaved image: a cache line of f32 gradients.
constexpr std::int64_t kChannels = 16;

std::int64_t channels_per_item(const SppBlock& b) {
  return std::min(b.layout == Layout::planar ? kPlanes : kChannels, b.channels);
}

std::int64_t items_per_image(const SppBlock& b) {
  const std::int64_t channels = channels_per_item(b);
  return (b.channels + channels - 1) / channels;
}

/** Neighbouring channels of one image in a tensor of some groups of its channels. */
template <typename T>
struct Strip {
  T* data;               ///< the first of them at the first position
  std::int64_t pitch;    ///< elements between positions
  std::int64_t channel;  ///< elements between channels
  std::int64_t group;    ///< elements between groups

  Strip(const SppBlock& b, T* tensor, std::int64_t groups, std::int64_t image, std::int64_t first)
      : data(tensor + image * groups * b.channels * b.plane()),
        pitch(b.layout == Layout::planar ? 1 : groups * b.channels),
        channel(b.layout == Layout::planar ? b.plane() : 1),
        group(b.channels * channel) {
    data += first * channel;
  }

  T& at(std::int64_t position, std::int64_t c) const {
    return data[position * pitch + c * channel];
  }

  /** The same channels of another group. */
  Strip in_group(std::int64_t index) const {
    Strip strip = *this;
    strip.data += index * group;
    return strip;
  }
};

/** Where the entries of one max pool's mask point to. */
template <typename Entry>
class Positions {
 public:
  Positions(const SppBlock& b, std::int64_t kernel) {
    if constexpr (kCompact) {
      offsets_.fill(std::numeric_limits<std::int64_t>::min() / 2);
      for (std::int64_t tap = 0;
           tap < std::min<std::int64_t>(kernel * kernel, FPOOL_MASK_NONE_COMPACT); ++tap) {
        offsets_[static_cast<std::size_t>(tap)] =
            (tap / kernel - kernel / 2) * b.width + tap % kernel - kernel / 2;
      }
    }
  }

  /** The position in the plane that the entry of output `i` names; less than 0: none. */
  std::int64_t at(std::int64_t i, Entry entry) const {
    if constexpr (kCompact) return i + offsets_[entry];
    return entry;
  }

 private:
  static constexpr bool kCompact = std::is_same_v<Entry, std::uint8_t>;
  std::array<std::int64_t, kCompact ? 256 : 1> offsets_{};  ///< from the window's centre
};

/** Adds the gradients of one max pool to `sums`. */
template <typename T, typename Sum, typename Entry>
void scatter(const SppBlock& b, const Positions<Entry>& positions, std::int64_t channels,
             const Strip<const T>& dy, const Strip<const Entry>& mask, const Strip<Sum>& sums) {
  const std::int64_t plane = b.plane();
  if (b.layout == Layout::planar && channels == kPlanes) {
    for (std::int64_t i = 0; i < plane; ++i) {
      std::array<std::int64_t, kPlanes> at;
      std::int64_t signs = 0;
      for (std::size_t c = 0; c < kPlanes; ++c) {
        const auto first = static_cast<std::int64_t>(c) * plane;
        at[c] = positions.at(i, mask.data[first + i]);
        signs |= at[c];
        at[c] += first;
      }
      if (signs < 0) {
        for (std::size_t c = 0; c < kPlanes; ++c) {
          const auto first = static_cast<std::int64_t>(c) * plane;
          if (at[c] >= first) sums.data[at[c]] += static_cast<Sum>(dy.data[first + i]);
        }
        continue;
      }
      // All loads before all stores, which the processor does not know to be elsewhere.
      std::array<Sum, kPlanes> sum;
      for (std::size_t c = 0; c < kPlanes; ++c) {
        const auto first = static_cast<std::int64_t>(c) * plane;
        sum[c] = sums.data[at[c]] + static_cast<Sum>(dy.data[first + i]);
      }
      for (std::size_t c = 0; c < kPlanes; ++c) sums.data[at[c]] = sum[c];
    }
    return;
  }
  for (std::int64_t i = 0; i < plane; ++i) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t at = positions.at(i, mask.at(i, c));
      if (at >= 0) sums.at(at, c) += static_cast<Sum>(dy.at(i, c));
    }
  }
}

/** Copies channels of one image, in the order of the memory. */
template <typename From, typename To>
void convert(const SppBlock& b, std::int64_t channels, const Strip<From>& from,
             const Strip<To>& to) {
  using Element = std::remove_const_t<To>;
  if (b.layout == Layout::planar) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t i = 0; i < b.plane(); ++i) {
        to.at(i, c) = static_cast<Element>(from.at(i, c));
      }
    }
    return;
  }
  for (std::int64_t i = 0; i < b.plane(); ++i) {
    for (std::int64_t c = 0; c < channels; ++c) to.at(i, c) = static_cast<Element>(from.at(i, c));
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
    const auto pools = [&]<typename Entry>(const Entry* entries, const Strip<Sum>& sums) {
      const Strip<const Entry> mask(b, entries, b.pools(), image, first);
      convert(b, channels, dy.in_group(b.pools()), sums);
      for (std::int64_t group = 0; group < b.pools(); ++group) {
        const Positions<Entry> positions(b, b.kernels[static_cast<std::size_t>(group)]);
        scatter<T>(b, positions, channels, dy.in_group(group), mask.in_group(group), sums);
      }
    };
    const auto add_up = [&](const Strip<Sum>& sums) {
      if (b.mask_type == MaskType::position_u8) {
        pools(static_cast<const std::uint8_t*>(b.mask), sums);
      } else {
        pools(static_cast<const std::int32_t*>(b.mask), sums);
      }
    };
    if constexpr (kHalf) {
      Strip<Sum> sums(b, scratch.get(), 1, 0, 0);
      if (b.layout == Layout::interleaved) sums.pitch = channels;
      add_up(sums);
      convert(b, channels, sums, dx);
    } else {
      add_up(dx);
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
