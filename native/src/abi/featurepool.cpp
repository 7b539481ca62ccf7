// The C ABI: validates, translates exceptions, dispatches.

#include "featurepool/featurepool.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "abi/mask.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/pooling.hpp"
#include "geometry/error.hpp"
#include "geometry/geometry.hpp"

namespace featurepool {
namespace {

// A fixed buffer: the message of an out-of-memory error must not need memory.
thread_local std::array<char, 1024> last_error{};

fpool_status refuse(fpool_status status, const char* message) noexcept {
  std::snprintf(last_error.data(), last_error.size(), "%s", message);
  return status;
}

/** Runs `call`; turns whatever it throws into a status and this thread's message. */
template <typename Call>
fpool_status guard(Call call) noexcept {
  try {
    call();
    return FPOOL_OK;
  } catch (const Error& error) {
    return refuse(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return refuse(FPOOL_ERROR_OUT_OF_MEMORY, "no memory for the working buffers of the call");
  } catch (const std::exception& error) {
    return refuse(FPOOL_ERROR_INTERNAL, error.what());
  } catch (...) {
    return refuse(FPOOL_ERROR_INTERNAL, "an exception of unknown type");
  }
}

/** A descriptor and its data, under the name that messages use. */
struct Buffer {
  const char* name;
  const fpool_tensor* tensor;
  const void* data;

  std::int64_t byte_size() const { return checked_byte_size(*tensor, name); }
};

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

const char* layout_name(std::int32_t layout) {
  return layout == FPOOL_PLANAR ? "planar" : "interleaved";
}

/** `buffer` must have the layout of `like` and the given extents. */
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

using Extents = std::array<std::int64_t, 5>;

Extents output_extents(const Geometry& g, int spatial_rank) {
  Extents extents{g.batch, g.channels, 1, 1, 1};
  for (int i = 0; i < spatial_rank; ++i) {
    extents[2 + i] = g.axes[FPOOL_MAX_SPATIAL_RANK - spatial_rank + i].output;
  }
  return extents;
}

/** The parts that all operators share: geometry, layout and type of a call over `x`. */
Pooling make_pooling(Operation operation, const fpool_tensor& x, const fpool_window* window) {
  if (window == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "window is null");
  Pooling pooling;
  pooling.operation = operation;
  pooling.geometry = make_geometry(x, *window);
  pooling.layout = static_cast<Layout>(x.layout);
  pooling.dtype = x.dtype;
  return pooling;
}

constexpr const char* kOutputOf = "the output of this window over the input";

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

/** Checks a mask of the given extents and returns its type. */
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

void forward(Pooling pooling, const Buffer& x, const fpool_tensor& like, const Buffer& y,
             const Buffer* mask) {
  const Extents extents = output_extents(pooling.geometry, like.spatial_rank);
  check_buffer(y);
  check_dtype(y, {like.dtype});
  check_shape(y, like, extents.data(), kOutputOf);
  check_apart(y, x);
  pooling.input = x.data;
  pooling.output = const_cast<void*>(y.data);
  if (mask != nullptr) {
    pooling.mask_type = check_mask_buffer(*mask, pooling.geometry, like, extents);
    check_apart(*mask, x);
    check_apart(*mask, y);
    pooling.mask = const_cast<void*>(mask->data);
  }
  dispatch::run(pooling);
}

void backward(Pooling pooling, const Buffer& dy, const Buffer* mask, const Buffer& dx) {
  const Extents extents = output_extents(pooling.geometry, dx.tensor->spatial_rank);
  check_buffer(dy);
  check_dtype(dy, {FPOOL_F32});
  check_shape(dy, *dx.tensor, extents.data(), kOutputOf);
  check_apart(dx, dy);
  pooling.input = dy.data;
  pooling.output = const_cast<void*>(dx.data);
  if (mask != nullptr) {
    pooling.mask_type = check_mask_buffer(*mask, pooling.geometry, *dx.tensor, extents);
    check_apart(dx, *mask);
    pooling.mask = const_cast<void*>(mask->data);
    check_mask_entries(pooling);
  }
  dispatch::run(pooling);
}

}  // namespace
}  // namespace featurepool

using featurepool::Buffer;
using featurepool::guard;
using featurepool::Operation;

extern "C" {

int32_t fpool_abi_version(void) { return FPOOL_ABI_VERSION; }

const char* fpool_version(void) { return FEATUREPOOL_VERSION; }

int64_t fpool_sizeof_tensor(void) { return sizeof(fpool_tensor); }

int64_t fpool_sizeof_window(void) { return sizeof(fpool_window); }

int64_t fpool_sizeof_average(void) { return sizeof(fpool_average); }

const char* fpool_last_error(void) { return featurepool::last_error.data(); }

const char* fpool_active_isa(void) {
  const char* name = nullptr;
  guard([&] { name = featurepool::dispatch::active_tier(); });
  return name;
}

fpool_status fpool_set_threads(int32_t threads) {
  return guard([&] { featurepool::dispatch::set_threads(threads); });
}

int32_t fpool_get_threads(void) {
  int32_t threads = -1;
  guard([&] { threads = featurepool::dispatch::get_threads(); });
  return threads;
}

fpool_status fpool_output_extents(const fpool_tensor* x, const fpool_window* window,
                                  int64_t* extents) {
  return guard([&] {
    featurepool::check_tensor(x, "x");
    const auto pooling = featurepool::make_pooling(Operation::max_forward, *x, window);
    if (extents == nullptr) {
      featurepool::fail(FPOOL_ERROR_INVALID_ARGUMENT, "extents is null");
    }
    const auto result = featurepool::output_extents(pooling.geometry, x->spatial_rank);
    std::copy(result.begin(), result.end(), extents);
  });
}

fpool_status fpool_max_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const fpool_tensor* y, void* y_data,
                               const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    featurepool::check_buffer(input);
    featurepool::check_dtype(input, {FPOOL_F32, FPOOL_U8});
    const auto pooling = featurepool::make_pooling(Operation::max_forward, *x, window);
    const Buffer positions{"mask", mask, mask_data};
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    featurepool::forward(pooling, input, *x, {"y", y, y_data}, with_mask ? &positions : nullptr);
  });
}

fpool_status fpool_max_backward(const fpool_tensor* dy, const void* dy_data,
                                const fpool_tensor* mask, const void* mask_data,
                                const fpool_window* window, const fpool_tensor* dx, void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    featurepool::check_buffer(gradient);
    featurepool::check_dtype(gradient, {FPOOL_F32});
    const auto pooling = featurepool::make_pooling(Operation::max_backward, *dx, window);
    const Buffer positions{"mask", mask, mask_data};
    featurepool::backward(pooling, {"dy", dy, dy_data}, &positions, gradient);
  });
}

fpool_status fpool_mask_expand(const fpool_tensor* x, const fpool_window* window,
                               const fpool_tensor* mask, const void* mask_data, int32_t index_base,
                               const fpool_tensor* indices, void* indices_data) {
  return guard([&] {
    featurepool::check_tensor(x, "x");
    auto pooling = featurepool::make_pooling(Operation::max_forward, *x, window);
    if (index_base < FPOOL_INDEX_PLANE || index_base > FPOOL_INDEX_TENSOR_COLUMN_MAJOR) {
      featurepool::fail(
          FPOOL_ERROR_INVALID_ARGUMENT, "index_base is ", index_base,
          "; it must be one of FPOOL_INDEX_PLANE (0) to FPOOL_INDEX_TENSOR_COLUMN_MAJOR (3)");
    }
    const auto extents = featurepool::output_extents(pooling.geometry, x->spatial_rank);
    const Buffer positions{"mask", mask, mask_data};
    const Buffer output{"indices", indices, indices_data};
    pooling.mask_type = featurepool::check_mask_buffer(positions, pooling.geometry, *x, extents);
    pooling.mask = const_cast<void*>(mask_data);
    featurepool::check_buffer(output);
    featurepool::check_dtype(output, {FPOOL_I64});
    featurepool::check_shape(output, *x, extents.data(), featurepool::kOutputOf);
    featurepool::check_apart(output, positions);
    featurepool::check_mask_entries(pooling);
    featurepool::expand_mask(pooling, index_base, static_cast<int64_t*>(indices_data));
  });
}

fpool_status fpool_avg_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const fpool_average* average,
                               const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    featurepool::check_buffer(input);
    featurepool::check_dtype(input, {FPOOL_F32, FPOOL_U8});
    auto pooling = featurepool::make_pooling(Operation::avg_forward, *x, window);
    pooling.divisor = featurepool::make_divisor(average);
    featurepool::forward(pooling, input, *x, {"y", y, y_data}, nullptr);
  });
}

fpool_status fpool_avg_backward(const fpool_tensor* dy, const void* dy_data,
                                const fpool_window* window, const fpool_average* average,
                                const fpool_tensor* dx, void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    featurepool::check_buffer(gradient);
    featurepool::check_dtype(gradient, {FPOOL_F32});
    auto pooling = featurepool::make_pooling(Operation::avg_backward, *dx, window);
    pooling.divisor = featurepool::make_divisor(average);
    featurepool::backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
  });
}

}  // extern "C"
