#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/spp_block.hpp"

namespace featurepool {

/**
 * How a block falls into work items: bands of rows of a plane or, interleaved, of some channels of
 * an image; a band's working memory stays in the second-level cache where its rows allow that.
 */
struct SppTiles {
  std::int64_t reach_h;   ///< rows that the largest window has above and below its centre
  std::int64_t reach_w;   ///< columns to the left and right of it
  std::int64_t channels;  ///< channels of an item
  std::int64_t strips;    ///< items of an image side by side
  std::int64_t band;      ///< output rows of an item
  std::int64_t bands;

  explicit SppTiles(const SppBlock& b)
      : reach_h(Reach(b, 0, b.height)), reach_w(Reach(b, 0, b.width)) {
    constexpr std::int64_t kLine = 64;
    constexpr std::int64_t kBytes = 128 * 1024;
    const std::int64_t element = dtype_size(b.dtype);
    channels = b.layout == Layout::planar ? 1 : std::min(b.channels, kLine / element);
    strips = (b.channels + channels - 1) / channels;
    const std::int64_t rows = kBytes / ((b.width + reach_w) * channels * element);
    // A band reads the rows around it too; below that many it would read more than it gives.
    band =
        std::clamp<std::int64_t>(rows - 2 * reach_h, std::min(b.height, 2 * reach_h + 1), b.height);
    bands = (b.height + band - 1) / band;
  }

  /** Elements on either side of the centre of a group's windows that can lie in `extent`. */
  static std::int64_t Reach(const SppBlock& b, std::int64_t group, std::int64_t extent) {
    return std::min(b.kernels[static_cast<std::size_t>(group)] / 2, extent - 1);
  }

  std::int64_t items(const SppBlock& b) const { return b.batch * strips * bands; }
};

/**
 * Gradient of an SPP block by scattering: every output of its max pools adds its gradient at its
 * position, in the order of groups and outputs, to that of the joined input.
 */
bool accepts_spp_scatter(const SppBlock& block);
std::int64_t spp_scatter_items(const SppBlock& block);
void SppScatter(const SppBlock& block, Span items);

}  // namespace featurepool
