#include "kernels/scatter.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace featurepool {
namespace {

// Channels of an interleaved image that one work item takes: a cache line of gradients.
constexpr std::int64_t kChannels = 16;

std::int64_t channel_blocks(const Pooling& p) {
  return p.layout == Layout::planar ? p.geometry.channels
                                    : (p.geometry.channels + kChannels - 1) / kChannels;
}

/** Flat position of a tap in the plane, from that of the window's tap 0. */
std::vector<std::int64_t> tap_offsets(const Geometry& g) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t td = 0; td < g.d().kernel; ++td) {
    for (std::int64_t th = 0; th < g.h().kernel; ++th) {
      for (std::int64_t tw = 0; tw < g.w().kernel; ++tw) {
        offsets.push_back((td * g.d().dilation * g.h().input + th * g.h().dilation) *
                              g.w().input +
                          tw * g.w().dilation);
      }
    }
  }
  return offsets;
}

/** One plane, or `channels` neighbouring channels of an interleaved image `step` elements apart. */
template <typename Position>
void scatter(const Geometry& g, const float* dy, float* dx, std::int64_t channels,
             std::int64_t step, const Position& position) {
  for (std::int64_t i = 0; i < g.input_plane(); ++i) std::fill_n(dx + i * step, channels, 0.0f);
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      std::int64_t start =
          (g.d().start(d) * g.h().input + g.h().start(h)) * g.w().input - g.w().pad_begin;
      for (std::int64_t w = 0; w < g.w().output; ++w, ++output, start += g.w().stride) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const std::int64_t from = output * step + c;
          const std::int64_t at = position(from, start);
          if (at >= 0) dx[at * step + c] += dy[from];
        }
      }
    }
  }
}

}  // namespace

bool accepts_scatter(const Pooling&) { return true; }

std::int64_t scatter_items(const Pooling& p) { return p.geometry.batch * channel_blocks(p); }

void ScatterMax(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const bool planar = p.layout == Layout::planar;
  const std::int64_t blocks = channel_blocks(p);
  const bool compact = p.mask_type == MaskType::position_u8;
  const std::vector<std::int64_t> offsets =
      compact ? tap_offsets(g) : std::vector<std::int64_t>();
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / blocks;
    const std::int64_t block = item % blocks;
    const std::int64_t step = planar ? 1 : g.channels;
    const std::int64_t first = planar ? 0 : block * kChannels;
    const std::int64_t channels = planar ? 1 : std::min(kChannels, g.channels - first);
    const std::int64_t plane = planar ? item : image * g.channels;
    const std::int64_t from = plane * g.output_plane() + first;
    const auto* dy = static_cast<const float*>(p.input) + from;
    auto* dx = static_cast<float*>(p.output) + plane * g.input_plane() + first;
    if (compact) {
      const auto* mask = static_cast<const std::uint8_t*>(p.mask) + from;
      scatter(g, dy, dx, channels, step, [&](std::int64_t i, std::int64_t start) -> std::int64_t {
        if (mask[i] == FPOOL_MASK_NONE_COMPACT) return -1;
        return start + offsets[mask[i]];
      });
    } else {
      const auto* mask = static_cast<const std::int32_t*>(p.mask) + from;
      scatter(g, dy, dx, channels, step,
              [&](std::int64_t i, std::int64_t) -> std::int64_t { return mask[i]; });
    }
  }
}

}  // namespace featurepool
