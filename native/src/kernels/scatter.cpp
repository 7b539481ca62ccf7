#include "kernels/scatter.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/plane_view.hpp"

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
        offsets.push_back((td * g.d().dilation * g.h().input + th * g.h().dilation) * g.w().input +
                          tw * g.w().dilation);
      }
    }
  }
  return offsets;
}

/** Calls `visit(output, flat position of the window's tap 0)` in row-major order. */
template <typename Visit>
void for_each_window(const Geometry& g, const Visit& visit) {
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      const std::int64_t row = (g.d().start(d) * g.h().input + g.h().start(h)) * g.w().input;
      for (std::int64_t w = 0; w < g.w().output; ++w) visit(output++, row + g.w().start(w));
    }
  }
}

/** A plane whose elements are next to each other. */
template <typename Position>
void scatter_plane(const Geometry& g, const float* dy, float* dx, const Position& position) {
  std::fill_n(dx, g.input_plane(), 0.0f);
  // Neighbouring large windows often share their maximum: its sum stays in a register meanwhile, in
  // the same order of additions, where a chain through memory would wait for each store.
  std::int64_t held = -1;
  float sum = 0;
  for_each_window(g, [&](std::int64_t output, std::int64_t start) {
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

/** `channels` neighbouring channels of an interleaved image of `step` channels. */
template <typename Position>
void scatter_channels(const Geometry& g, const float* dy, float* dx, std::int64_t channels,
                      std::int64_t step, const Position& position) {
  for (std::int64_t i = 0; i < g.input_plane(); ++i) std::fill_n(dx + i * step, channels, 0.0f);
  for_each_window(g, [&](std::int64_t output, std::int64_t start) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t from = output * step + c;
      const std::int64_t at = position(from, start);
      if (at >= 0) dx[at * step + c] += dy[from];
    }
  });
}

}  // namespace

bool accepts_scatter(const Pooling& p) { return has_type<float>(p); }

std::int64_t scatter_items(const Pooling& p) { return p.geometry.batch * channel_blocks(p); }

void ScatterMax(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  const bool planar = p.layout == Layout::planar;
  const std::int64_t blocks = channel_blocks(p);
  const bool compact = p.mask_type == MaskType::position_u8;
  const std::vector<std::int64_t> offsets = compact ? tap_offsets(g) : std::vector<std::int64_t>();
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / blocks;
    const std::int64_t block = item % blocks;
    const std::int64_t step = planar ? 1 : g.channels;
    const std::int64_t first = planar ? 0 : block * kChannels;
    const std::int64_t channels = planar ? 1 : std::min(kChannels, g.channels - first);
    const std::int64_t plane = planar ? item : image * g.channels;
    const std::int64_t from = plane * g.output_plane() + first;
    const auto scatter = [&](const auto& position) {
      const auto* dy = static_cast<const float*>(p.input) + from;
      auto* dx = static_cast<float*>(p.output) + plane * g.input_plane() + first;
      if (planar) {
        scatter_plane(g, dy, dx, position);
      } else {
        scatter_channels(g, dy, dx, channels, step, position);
      }
    };
    if (compact) {
      const auto* mask = static_cast<const std::uint8_t*>(p.mask) + from;
      scatter([&](std::int64_t i, std::int64_t start) -> std::int64_t {
        if (mask[i] == FPOOL_MASK_NONE_COMPACT) return -1;
        return start + offsets[mask[i]];
      });
    } else {
      const auto* mask = static_cast<const std::int32_t*>(p.mask) + from;
      scatter([&](std::int64_t i, std::int64_t) -> std::int64_t { return mask[i]; });
    }
  }
}

}  // namespace featurepool
