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

}  // namespace

bool accepts_separate(const SppBlock& b) { return b.mask_type != MaskType::none; }

std::int64_t separate_items(const SppBlock& b) { return b.batch * b.groups(); }

void SeparatePools(const SppBlock& b, Span items) {
  const bool planar = b.layout == Layout::planar;
  const std::int64_t size = dtype_size(b.dtype);
  const std::int64_t entry = b.mask_type == MaskType::position_u8 ? 1 : 4;
  const std::int64_t image_elements = b.channels * b.plane();
  // The rows of an image's group: the group as it stands, or the group's channels of a position.
  const std::int64_t rows = planar ? 1 : b.plane();
  const std::int64_t row = image_elements / rows;
  const auto* x = static_cast<const std::byte*>(b.input);
  const Line<std::byte> values(planar ? 0 : image_elements * size);
  const Line<std::byte> positions(planar ? 0 : image_elements * entry);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t image = item / b.groups();
    const std::int64_t group = item % b.groups();
    const auto* input = x + image * image_elements * size;
    auto* y = static_cast<std::byte*>(b.output) +
              (image * b.groups() * image_elements + group * row) * size;
    if (group == b.pools()) {
      copy_rows(input, row * size, y, b.groups() * row * size, row * size, rows);
      continue;
    }
    auto* mask = static_cast<std::byte*>(b.mask) +
                 (image * b.pools() * image_elements + group * row) * entry;
    Pooling call;
    call.operation = Operation::max_forward;
    call.geometry = b.geometry(group, 1, b.channels);
    call.layout = b.layout;
    call.dtype = b.dtype;
    call.input = input;
    call.output = planar ? y : values.get();
    call.mask = planar ? mask : positions.get();
    call.mask_type = b.mask_type;
    dispatch::run_here(call);
    if (planar) continue;
    copy_rows(values.get(), row * size, y, b.groups() * row * size, row * size, rows);
    copy_rows(positions.get(), row * entry, mask, b.pools() * row * entry, row * entry, rows);
  }
}

}  // namespace featurepool
