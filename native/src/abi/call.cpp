#include "abi/call.hpp"

#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "abi/mask.hpp"
#include "dispatch/dispatch.hpp"

namespace featurepool {
namespace {

// A fixed buffer: the message of an out-of-memory error must not need memory.
thread_local std::array<char, 1024> last_message{};

const char* layout_name(std::int32_t layout) {
  return layout == FPOOL_PLANAR ? "planar" : "interleaved";
}

}  // namespace

fpool_status refuse(fpool_status status, const char* message) noexcept {
  std::snprintf(last_message.data(), last_message.size(), "%s", message);
  return status;
}

const char* last_error() noexcept { return last_message.data(); }

void check_buffer(const Buffer& buffer) {
  check_tensor(buffer.tensor, buffer.name);
  const std::int64_t bytes = buffer.byte_size();
  if (buffer.tensor->byte_size < bytes) {
    fail(FPOOL_ERROR_BAD_BUFFER, buffer.name, ".byte_size is ", buffer.tensor->byte_size,
         "; its extents need ", bytes, " bytes");
  }
  if (bytes == 0) return;
  if (buffer.data == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, buffer.name, "_data is null");
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data);
  const auto element = static_cast<std::uintptr_t>(dtype_size(buffer.tensor->dtype));
  if (address % element != 0) {
    fail(FPOOL_ERROR_BAD_BUFFER, buffer.name, "_data is at address ", address,
         "; it must be a multiple of ", element, ", the size of ",
         dtype_name(buffer.tensor->dtype));
  }
}

void check_apart(const Buffer& a, const Buffer& b) {
  const auto a_begin = reinterpret_cast<std::uintptr_t>(a.data);
  const auto b_begin = reinterpret_cast<std::uintptr_t>(b.data);
  const auto a_size = static_cast<std::uintptr_t>(a.byte_size());
  const auto b_size = static_cast<std::uintptr_t>(b.byte_size());
  if (a_begin < b_begin + b_size && b_begin < a_begin + a_size) {
    fail(FPOOL_ERROR_BAD_BUFFER, a.name, "_data and ", b.name, "_data overlap: ", a_size,
         " bytes at address ", a_begin, " and ", b_size, " bytes at address ", b_begin,
         "; they must be apart");
  }
}

void check_dtype(const Buffer& buffer, std::initializer_list<std::int32_t> allowed) {
  for (const std::int32_t dtype : allowed) {
    if (buffer.tensor->dtype == dtype) return;
  }
  std::vector<std::string> names;
  for (const std::int32_t dtype : allowed) names.emplace_back(dtype_name(dtype));
  fail(FPOOL_ERROR_UNSUPPORTED_TYPE, buffer.name, ".dtype is ", dtype_name(buffer.tensor->dtype),
       "; it must be ", join(names, " or "));
}

void check_shape(const Buffer& buffer, const fpool_tensor& like, const std::int64_t* extents,
                 const char* reason) {
  if (buffer.tensor->layout != like.layout) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, buffer.name, ".layout is ",
         layout_name(buffer.tensor->layout),
         "; all tensors of a call must have the same layout, here ", layout_name(like.layout));
  }
  const auto axes = static_cast<std::size_t>(2 + like.spatial_rank);
  if (buffer.tensor->spatial_rank != like.spatial_rank) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, buffer.name, ".spatial_rank is ", buffer.tensor->spatial_rank,
         "; it must be ", like.spatial_rank);
  }
  if (std::equal(extents, extents + axes, buffer.tensor->extents)) return;
  fail(FPOOL_ERROR_SHAPE_MISMATCH, buffer.name, ".extents are ",
       join(std::span(buffer.tensor->extents, axes), "x"), "; they must be ",
       join(std::span(extents, axes), "x"), ", ", reason);
}

Extents output_extents(const Geometry& g, int spatial_rank) {
  Extents extents{g.batch, g.channels, 1, 1, 1};
  for (int i = 0; i < spatial_rank; ++i) {
    extents[2 + i] = g.axes[FPOOL_MAX_SPATIAL_RANK - spatial_rank + i].output;
  }
  return extents;
}

Pooling make_pooling(Operation operation, const fpool_tensor& x, const fpool_window* window) {
  if (window == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "window is null");
  Pooling pooling;
  pooling.operation = operation;
  pooling.geometry = make_geometry(x, *window);
  // Of one channel, both layouts are the same memory; planar kernels fill their lanes from it.
  pooling.layout = x.extents[1] == 1 ? Layout::planar : static_cast<Layout>(x.layout);
  pooling.dtype = x.dtype;
  return pooling;
}

Divisor make_divisor(const fpool_average* average) {
  if (average == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "average is null");
  if (average->divisor_override < 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "average.divisor_override is ", average->divisor_override,
         "; it must be at least 1, or 0 for none");
  }
  if (average->reserved != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "average.reserved is ", average->reserved, "; it must be 0");
  }
  return {average->divisor_override, average->include_padding != 0};
}

MaskType check_mask_buffer(const Buffer& mask, const Geometry& geometry, const fpool_tensor& like,
                           const Extents& extents) {
  check_buffer(mask);
  check_dtype(mask, {FPOOL_U8, FPOOL_I32});
  check_shape(mask, like, extents.data(), kOutputOf);
  const auto type = static_cast<MaskType>(mask.tensor->dtype);
  if (type == MaskType::position_u8 && geometry.taps() > FPOOL_MASK_NONE_COMPACT) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, mask.name, ".dtype is u8 and the window has ",
         geometry.taps(), " taps; a compact mask holds at most ", FPOOL_MASK_NONE_COMPACT,
         ", use i32");
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (type == MaskType::plane_i32 && geometry.input_plane() > kMost) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, mask.name, ".dtype is i32 and a plane has ",
         geometry.input_plane(), " elements; i32 indices reach ", kMost,
         ", use u8 with a window of at most ", FPOOL_MASK_NONE_COMPACT, " taps");
  }
  return type;
}

namespace {

/** Checks an output against the input of a call, and names both to it. */
void add_operands(Pooling& pooling, const Buffer& x, const Buffer& y, const Extents& extents,
                  const char* reason) {
  check_buffer(y);
  check_dtype(y, {x.tensor->dtype});
  check_shape(y, *x.tensor, extents.data(), reason);
  check_apart(y, x);
  pooling.input = x.data;
  pooling.output = const_cast<void*>(y.data);
}

/** Checks a gradient of an output against that of the input, and names both to a call. */
void add_gradients(Pooling& pooling, const Buffer& dy, const Buffer& dx, const Extents& extents,
                   const char* reason) {
  check_buffer(dy);
  check_dtype(dy, {dx.tensor->dtype});
  check_shape(dy, *dx.tensor, extents.data(), reason);
  check_apart(dx, dy);
  pooling.input = dy.data;
  pooling.output = const_cast<void*>(dx.data);
}

}  // namespace

void forward_into(Pooling pooling, const Buffer& x, const Buffer& y, const Extents& extents,
                  const char* reason) {
  add_operands(pooling, x, y, extents, reason);
  dispatch::run(pooling);
}

void backward_from(Pooling pooling, const Buffer& dy, const Buffer& dx, const Extents& extents,
                   const char* reason) {
  add_gradients(pooling, dy, dx, extents, reason);
  dispatch::run(pooling);
}

void add_input(Pooling& pooling, const Buffer& x, const Buffer& dx) {
  check_buffer(x);
  check_dtype(x, {dx.tensor->dtype});
  check_shape(x, *dx.tensor, dx.tensor->extents, "those of dx");
  check_apart(dx, x);
  pooling.x = x.data;
}

void add_output(Pooling& pooling, const Buffer& y, const Buffer& dx) {
  const Extents extents = output_extents(pooling.geometry, dx.tensor->spatial_rank);
  check_buffer(y);
  check_dtype(y, {dx.tensor->dtype});
  check_shape(y, *dx.tensor, extents.data(), kOutputOf);
  check_apart(dx, y);
  pooling.y = y.data;
}

void prepare_forward(Pooling& pooling, const Buffer& x, const Buffer& y, const Buffer* mask) {
  const fpool_tensor& like = *x.tensor;
  const Extents extents = output_extents(pooling.geometry, like.spatial_rank);
  add_operands(pooling, x, y, extents, kOutputOf);
  if (mask != nullptr) {
    pooling.mask_type = check_mask_buffer(*mask, pooling.geometry, like, extents);
    check_apart(*mask, x);
    check_apart(*mask, y);
    pooling.mask = const_cast<void*>(mask->data);
  }
}

void forward(Pooling pooling, const Buffer& x, const Buffer& y, const Buffer* mask) {
  prepare_forward(pooling, x, y, mask);
  dispatch::run(pooling);
}

void prepare_backward(Pooling& pooling, const Buffer& dy, const Buffer* mask, const Buffer& dx) {
  const Extents extents = output_extents(pooling.geometry, dx.tensor->spatial_rank);
  add_gradients(pooling, dy, dx, extents, kOutputOf);
  if (mask != nullptr) {
    pooling.mask_type = check_mask_buffer(*mask, pooling.geometry, *dx.tensor, extents);
    check_apart(dx, *mask);
    pooling.mask = const_cast<void*>(mask->data);
    check_mask_entries(pooling);
  }
}

void backward(Pooling pooling, const Buffer& dy, const Buffer* mask, const Buffer& dx) {
  prepare_backward(pooling, dy, mask, dx);
  dispatch::run(pooling);
}

}  // namespace featurepool
