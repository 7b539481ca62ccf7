// The C ABI: spatial pyramids and the SPP block of YOLOv3-SPP.

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "abi/call.hpp"
#include "dispatch/dispatch.hpp"

using namespace featurepool;

namespace {

void check_rank_2(const Buffer& buffer) {
  if (buffer.tensor->spatial_rank == 2) return;
  fail(FPOOL_ERROR_SHAPE_MISMATCH, buffer.name, ".spatial_rank is ", buffer.tensor->spatial_rank,
       "; it must be 2");
}

/** A tensor like `like` with other extents. */
Extents extents_of(std::int64_t batch, std::int64_t channels, std::int64_t height,
                   std::int64_t width) {
  return {batch, channels, height, width, 1};
}

/** Checks the list of a parameter struct. */
std::span<const std::int64_t> checked_list(const char* name, const std::int64_t* values,
                                           std::int64_t count) {
  if (count < 1) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " are ", count, " numbers; there must be at least 1");
  }
  if (values == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is null");
  return {values, static_cast<std::size_t>(count)};
}

// --- the pyramid ---

/** The bins of SPPNet along an extent; refuses extents at which its rule gives another number. */
std::vector<Span> sppnet_bins(std::int64_t extent, std::int64_t level) {
  const std::int64_t stride = extent / level;
  const std::int64_t kernel = extent / level + (extent % level == 0 ? 0 : 1);
  const std::int64_t bins = stride == 0 ? 0 : (extent - kernel) / stride + 1;
  if (bins != level) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "bins are those of SPPNet, whose windows of ceil(", extent,
         "/", level, ") at a stride of floor(", extent, "/", level, ") do not give ", level,
         " bins along an input of ", extent, " but ", bins, "; use adaptive bins, which always do");
  }
  std::vector<Span> spans;
  for (std::int64_t i = 0; i < level; ++i) spans.push_back({i * stride, i * stride + kernel});
  return spans;
}

Pyramid make_pyramid(Operation operation, const Buffer& x, const fpool_pyramid* pyramid) {
  check_buffer(x);
  check_dtype(x, {FPOOL_F32});
  check_rank_2(x);
  if (pyramid == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "pyramid is null");
  const auto numbers = checked_list("levels", pyramid->levels, pyramid->count);
  if (pyramid->bins != FPOOL_BINS_ADAPTIVE && pyramid->bins != FPOOL_BINS_SPPNET) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "bins is ", pyramid->bins,
         "; it must be FPOOL_BINS_ADAPTIVE (0) or FPOOL_BINS_SPPNET (1)");
  }
  if (pyramid->reducer != FPOOL_REDUCE_MAX && pyramid->reducer != FPOOL_REDUCE_AVERAGE) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "reducer is ", pyramid->reducer,
         "; it must be FPOOL_REDUCE_MAX (0) or FPOOL_REDUCE_AVERAGE (1)");
  }
  Pyramid call;
  call.operation = operation;
  call.layout = static_cast<Layout>(x.tensor->layout);
  call.average = pyramid->reducer == FPOOL_REDUCE_AVERAGE;
  // More would not be a pyramid, and the number of bins would overflow.
  constexpr std::int64_t kMostLevel = 1 << 15;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::int64_t level = numbers[i];
    if (level < 1 || level > kMostLevel) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "levels[", i, "] is ", level,
           "; it must be at least 1 and at most ", kMostLevel);
    }
    Geometry geometry;
    geometry.batch = x.tensor->extents[0];
    geometry.channels = x.tensor->extents[1];
    for (const int axis : {Geometry::H, Geometry::W}) {
      const std::int64_t extent = x.tensor->extents[axis == Geometry::H ? 2 : 3];
      geometry.set_bins(axis, extent,
                        pyramid->bins == FPOOL_BINS_SPPNET ? sppnet_bins(extent, level)
                                                           : adaptive_bins(extent, level));
    }
    call.levels.push_back(std::move(geometry));
  }
  std::int64_t bytes = call.bins() * 4;
  if (__builtin_mul_overflow(bytes, call.channels(), &bytes) ||
      __builtin_mul_overflow(bytes, call.batch(), &bytes)) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "levels are ", join(numbers, ", "), ", ", call.bins(),
         " bins for each of ", call.channels(), " channels of ", call.batch(),
         " images; the size in bytes of the vectors must be less than 2^63");
  }
  return call;
}

constexpr const char* kVector = "one vector per image, C * (sum of the levels' bins) long";

/** Checks the vectors of a pyramid and its mask, if it has one. */
void check_vectors(const Pyramid& call, const Buffer& vectors, const Buffer& x,
                   const Buffer* mask) {
  const fpool_tensor& like = *x.tensor;
  const Extents extents = extents_of(call.batch(), call.length(), 1, 1);
  check_buffer(vectors);
  check_dtype(vectors, {FPOOL_F32});
  check_shape(vectors, like, extents.data(), kVector);
  check_apart(vectors, x);
  if (mask == nullptr) return;
  check_buffer(*mask);
  check_dtype(*mask, {FPOOL_I32});
  check_shape(*mask, like, extents.data(), kVector);
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (call.plane() > kMost) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.dtype is i32 and a plane has ", call.plane(),
         " elements; i32 indices reach ", kMost);
  }
  check_apart(*mask, x);
  check_apart(*mask, vectors);
}

// --- the block ---

SppBlock make_block(Operation operation, const Buffer& x, const fpool_spp_block* block) {
  check_rank_2(x);
  if (block == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "block is null");
  const auto kernels = checked_list("kernels", block->kernels, block->count);
  constexpr std::int64_t kLeast = 3;
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  SppBlock call;
  call.kernels.assign(kernels.begin(), kernels.end());
  for (const std::int64_t kernel : kernels) {
    if (kernel < kLeast || kernel > kMost || kernel % 2 == 0) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "kernels are ", join(kernels, ", "), ", with ", kernel,
           "; each must be odd, at least ", kLeast, " and at most ", kMost);
    }
    if (std::count(kernels.begin(), kernels.end(), kernel) > 1) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "kernels are ", join(kernels, ", "), ", with ", kernel,
           " repeated; each must differ from the others");
    }
  }
  std::sort(call.kernels.rbegin(), call.kernels.rend());
  call.operation = operation;
  call.layout = static_cast<Layout>(x.tensor->layout);
  call.dtype = x.tensor->dtype;
  call.batch = x.tensor->extents[0];
  call.channels = x.tensor->extents[1];
  call.height = x.tensor->extents[2];
  call.width = x.tensor->extents[3];
  std::int64_t elements = 0;
  if (__builtin_mul_overflow(std::max<std::int64_t>(1, call.batch) * call.channels * call.plane(),
                             call.groups() * std::int64_t{4}, &elements)) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "kernels are ", call.pools(),
         " numbers; the size in bytes of the joined tensor must be less than 2^63");
  }
  return call;
}

/** Checks the joined tensor of a block and its mask, if it has one. */
void check_joined(SppBlock& call, const Buffer& joined, const Buffer& x, const Buffer* mask) {
  const fpool_tensor& like = *x.tensor;
  const Extents extents =
      extents_of(call.batch, call.groups() * call.channels, call.height, call.width);
  check_buffer(joined);
  check_dtype(joined, {like.dtype});
  check_shape(joined, like, extents.data(),
              "the input's with its channels once for every kernel and once for itself");
  check_apart(joined, x);
  if (mask == nullptr) return;
  const Extents mask_extents =
      extents_of(call.batch, call.pools() * call.channels, call.height, call.width);
  check_buffer(*mask);
  check_dtype(*mask, {FPOOL_U8, FPOOL_I32});
  check_shape(*mask, like, mask_extents.data(), "the input's with its channels for every kernel");
  check_apart(*mask, x);
  check_apart(*mask, joined);
  call.mask_type = static_cast<MaskType>(mask->tensor->dtype);
  call.mask = const_cast<void*>(mask->data);
  const std::int64_t largest = call.kernels.front();
  if (call.mask_type == MaskType::position_u8 && largest * largest > FPOOL_MASK_NONE_COMPACT) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.dtype is u8 and the largest kernel is ", largest,
         "; a compact mask holds windows of at most ", FPOOL_MASK_NONE_COMPACT, " taps, use i32");
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (call.mask_type == MaskType::plane_i32 && call.plane() > kMost) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.dtype is i32 and a plane has ", call.plane(),
         " elements; i32 indices reach ", kMost, ", use u8 with kernels of at most 15");
  }
}

/** Refuses the first entry that is no position within a plane of `plane` elements. */
void check_indices(const std::int32_t* mask, std::int64_t entries, std::int64_t plane) {
  // A pass without branches over each block: the common answer is that all is well.
  constexpr std::int64_t kBlock = 4096;
  const auto last = static_cast<std::int32_t>(plane - 1);
  for (std::int64_t begin = 0; begin < entries; begin += kBlock) {
    const std::int64_t end = std::min(entries, begin + kBlock);
    // The mark of no position, -1, becomes 0, and whatever is less becomes large.
    std::uint32_t most = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      most = std::max(most, static_cast<std::uint32_t>(mask[i]) + 1);
    }
    const bool bad = most > static_cast<std::uint32_t>(last) + 1;
    for (std::int64_t i = begin; bad && i < end; ++i) {
      if (mask[i] >= FPOOL_MASK_NONE && mask[i] <= last) continue;
      fail(FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[", i, "] is ", mask[i],
           "; it must be a position within the plane, 0 to ", last, ", or the mark of no position");
    }
  }
}

/** Taps along an axis that lie inside the input, of one window: `count` from `first` on. */
struct Inside {
  std::uint16_t first;
  std::uint16_t count;

  std::uint16_t first_of(std::int64_t) const { return first; }
  std::uint16_t count_of(std::int64_t) const { return count; }
};

/** Those of many windows. */
struct InsideEach {
  std::vector<std::uint16_t> first;
  std::vector<std::uint16_t> count;

  explicit InsideEach(const Axis& axis) {
    for (std::int64_t o = 0; o < axis.output; ++o) {
      const Span taps = axis.taps(o);
      first.push_back(static_cast<std::uint16_t>(taps.begin));
      count.push_back(static_cast<std::uint16_t>(taps.size()));
    }
  }

  std::uint16_t first_of(std::int64_t o) const { return first[static_cast<std::size_t>(o)]; }
  std::uint16_t count_of(std::int64_t o) const { return count[static_cast<std::size_t>(o)]; }
  Inside of(std::int64_t o) const { return {first_of(o), count_of(o)}; }
};

/**
 * Checks compact entries of one kernel that follow one another, from entry `first_entry` of the
 * mask on. Their windows have the taps of `row` along the columns; `columns` are those along rows.
 */
template <class Columns>
void check_taps(const std::uint8_t* mask, std::int64_t first_entry, std::int64_t size,
                std::int64_t kernel, Inside row, const Columns& columns) {
  // Exact quotients of numbers up to 255 by kernels up to 15, in the 16 bits that lanes have.
  const auto reciprocal = static_cast<std::uint32_t>((65536 + kernel - 1) / kernel);
  const auto side = static_cast<std::uint16_t>(kernel);
  const std::uint8_t* entries = mask + first_entry;
  const auto is_bad = [&](std::int64_t i) {
    const std::uint16_t tap = entries[i];
    const auto tap_row = static_cast<std::uint16_t>((tap * reciprocal) >> 16);
    const auto tap_column = static_cast<std::uint16_t>(tap - tap_row * side);
    const auto below = static_cast<std::uint16_t>(tap_row - row.first);
    const auto right = static_cast<std::uint16_t>(tap_column - columns.first_of(i));
    const auto outside =
        static_cast<std::uint16_t>(static_cast<std::uint16_t>(below >= row.count) |
                                   static_cast<std::uint16_t>(right >= columns.count_of(i)));
    const auto some = static_cast<std::uint16_t>(tap != FPOOL_MASK_NONE_COMPACT);
    return static_cast<std::uint16_t>(outside & some);
  };
  // A pass without branches: the common answer is that all is well.
  std::uint16_t bad = 0;
  for (std::int64_t i = 0; i < size; ++i) bad = static_cast<std::uint16_t>(bad | is_bad(i));
  for (std::int64_t i = 0; bad != 0 && i < size; ++i) {
    if (is_bad(i) == 0) continue;
    fail(FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[", first_entry + i, "] is ",
         static_cast<int>(entries[i]),
         "; it must be the position of a tap inside the input, of the window's ", kernel * kernel,
         ", or the mark of no position");
  }
}

/** Checks that a block's mask names elements of the input only. */
void check_positions(const SppBlock& call) {
  if (call.mask_type == MaskType::plane_i32) {
    check_indices(static_cast<const std::int32_t*>(call.mask),
                  call.items() * call.plane() * call.pools(), call.plane());
    return;
  }
  // Extents of nothing may be of any size.
  if (call.items() == 0) return;
  const auto* mask = static_cast<const std::uint8_t*>(call.mask);
  std::vector<InsideEach> rows;
  std::vector<InsideEach> columns;
  for (std::int64_t pool = 0; pool < call.pools(); ++pool) {
    const Geometry windows = call.geometry(pool, 1, 1);
    rows.emplace_back(windows.h());
    columns.emplace_back(windows.w());
  }
  const std::size_t pools = call.kernels.size();
  std::int64_t entry = 0;
  for (std::int64_t image = 0; image < call.batch; ++image) {
    if (call.layout == Layout::planar) {
      for (std::size_t pool = 0; pool < pools; ++pool) {
        for (std::int64_t c = 0; c < call.channels; ++c) {
          for (std::int64_t h = 0; h < call.height; ++h, entry += call.width) {
            check_taps(mask, entry, call.width, call.kernels[pool], rows[pool].of(h),
                       columns[pool]);
          }
        }
      }
      continue;
    }
    for (std::int64_t h = 0; h < call.height; ++h) {
      for (std::int64_t w = 0; w < call.width; ++w) {
        for (std::size_t pool = 0; pool < pools; ++pool, entry += call.channels) {
          check_taps(mask, entry, call.channels, call.kernels[pool], rows[pool].of(h),
                     columns[pool].of(w));
        }
      }
    }
  }
}

}  // namespace

extern "C" {

fpool_status fpool_spp_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_pyramid* pyramid, const fpool_tensor* y, void* y_data,
                               const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    Pyramid call = make_pyramid(Operation::pyramid_forward, input, pyramid);
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    if (with_mask && call.average) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT,
           "mask is given and reducer is FPOOL_REDUCE_AVERAGE (1); means have no position, so "
           "mask must be null");
    }
    const Buffer positions{"mask", mask, mask_data};
    check_vectors(call, {"y", y, y_data}, input, with_mask ? &positions : nullptr);
    call.input = static_cast<const float*>(x_data);
    call.output = y_data;
    call.mask = static_cast<std::int32_t*>(mask_data);
    dispatch::run(call);
  });
}

fpool_status fpool_spp_backward(const fpool_tensor* dy, const void* dy_data,
                                const fpool_tensor* mask, const void* mask_data,
                                const fpool_pyramid* pyramid, const fpool_tensor* dx,
                                void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    Pyramid call = make_pyramid(Operation::pyramid_backward, gradient, pyramid);
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    if (with_mask == call.average) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "mask is ", with_mask ? "given" : "null",
           " and reducer is ", pyramid->reducer,
           "; the gradient of maxima (0) needs one, that of means (1) has none");
    }
    const Buffer positions{"mask", mask, mask_data};
    check_vectors(call, {"dy", dy, dy_data}, gradient, with_mask ? &positions : nullptr);
    call.input = static_cast<const float*>(dy_data);
    call.output = dx_data;
    call.mask = static_cast<std::int32_t*>(const_cast<void*>(mask_data));
    if (with_mask) check_indices(call.mask, call.batch() * call.length(), call.plane());
    dispatch::run(call);
  });
}

fpool_status fpool_spp_block_forward(const fpool_tensor* x, const void* x_data,
                                     const fpool_spp_block* block, const fpool_tensor* y,
                                     void* y_data, const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F16, FPOOL_U8});
    SppBlock call = make_block(Operation::spp_block_forward, input, block);
    const Buffer positions{"mask", mask, mask_data};
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    check_joined(call, {"y", y, y_data}, input, with_mask ? &positions : nullptr);
    call.input = x_data;
    call.output = y_data;
    dispatch::run(call);
  });
}

fpool_status fpool_spp_block_backward(const fpool_tensor* dy, const void* dy_data,
                                      const fpool_tensor* mask, const void* mask_data,
                                      const fpool_spp_block* block, const fpool_tensor* dx,
                                      void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F16});
    SppBlock call = make_block(Operation::spp_block_backward, gradient, block);
    const Buffer positions{"mask", mask, mask_data};
    check_joined(call, {"dy", dy, dy_data}, gradient, &positions);
    check_positions(call);
    call.input = dy_data;
    call.output = dx_data;
    dispatch::run(call);
  });
}

}  // extern "C"
