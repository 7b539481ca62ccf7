#include "composed/spp_block.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "kernels/scratch.hpp"

namespace featurepool {
namespace {

/** Copies rows of `bytes` bytes. */
void copy_rows(const void* from, std::int64_t from_step, void* to, std::int64_t to_step,
               std::int64_t bytes, std::int64_t rows) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(source + row * from_step, bytes, target + row * to_step);
  }
}

// Bytes of the channels that are taken at once: they are read from memory once, by the first pool.
constexpr std::int64_t kStripBytes = 64 << 10;

// Least bytes of a position of an interleaved strip: a cache line.
constexpr std::int64_t kLeastRow = 64;

/** Channels of an item. */
std::int64_t strip_of(const SppBlock& b) {
  const std::int64_t size = dtype_size(b.dtype);
  const std::int64_t least = b.layout == Layout::planar ? 1 : kLeastRow / size;
  return std::min(b.channels, std::max(least, kStripBytes / (b.plane() * size)));
}

std::int64_t strips_of(const SppBlock& b) {
  const std::int64_t strip = strip_of(b);
  return (b.channels + strip - 1) / strip;
}

}  // namespace

bool accepts_separate(const SppBlock& b) { return b.mask_type != MaskType::none; }

std::int64_t separate_items(const SppBlock& b) { return b.batch * strips_of(b); }

void SeparatePools(const SppBlock& b, Span items) {
  const bool planar = b.layout == Layout::planar;
  const std::int64_t size = dtype_size(b.dtype);
  const std::int64_t entry = b.mask_type == MaskType::position_u8 ? 1 : 4;
  const std::int64_t strip = strip_of(b);
  const std::int64_t strips = strips_of(b);
  // Elements from a channel to the next, and the rows of a strip of channels: the planes as they
  // stand, or the channels of a position.
  const std::int64_t step = planar ? b.plane() : 1;
  const std::int64_t rows = planar ? 1 : b.plane();
  const std::int64_t staged = planar ? 0 : strip * b.plane();
  const Line<std::byte> inputs(strips > 1 ? staged * size : 0);
  const Line<std::byte> values(staged * size);
  const Line<std::byte> positions(staged * entry);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / strips;
    const std::int64_t first = item % strips * strip;
    const std::int64_t channels = std::min(strip, b.channels - first);
    const std::int64_t row = channels * step;
    const auto at = [&](std::int64_t groups, std::int64_t group) {
      return image * groups * b.channels * b.plane() + (group * b.channels + first) * step;
    };
    const std::byte* input = static_cast<const std::byte*>(b.input) + at(1, 0) * size;
    const auto joined = [&](std::int64_t group) {
      return static_cast<std::byte*>(b.output) + at(b.groups(), group) * size;
    };
    const std::int64_t pitch = b.groups() * b.channels * size;
    copy_rows(input, b.channels * size, joined(b.pools()), pitch, row * size, rows);
    if (!planar && strips > 1) {
      copy_rows(input, b.channels * size, inputs.get(), row * size, row * size, rows);
      input = inputs.get();
    }
    for (std::int64_t group = 0; group < b.pools(); ++group) {
      auto* mask = static_cast<std::byte*>(b.mask) + at(b.pools(), group) * entry;
      Pooling call;
      call.operation = Operation::max_forward;
      call.geometry = b.geometry(group, 1, channels);
      call.layout = b.layout;
      call.dtype = b.dtype;
      call.input = input;
      call.output = planar ? joined(group) : values.get();
      call.mask = planar ? mask : positions.get();
      call.mask_type = b.mask_type;
      dispatch::run_here(call);
      if (planar) continue;
      copy_rows(values.get(), row * size, joined(group), pitch, row * size, rows);
      copy_rows(positions.get(), row * entry, mask, b.pools() * b.channels * entry, row * entry,
                rows);
    }
  }
}

}  // namespace featurepool
