// The C ABI: max unpooling.

#include "dispatch/unpooling.hpp"

#include <algorithm>

#include "abi/call.hpp"
#include "abi/indices.hpp"
#include "dispatch/dispatch.hpp"
#include "geometry/dtype.hpp"

using namespace featurepool;

namespace {

constexpr const char* kAxes[] = {"D", "H", "W"};

/** Checks every index and tells whether one leads to another plane than its own. */
template <typename Index>
bool check_indices(const Unpooling& call, const char* name) {
  const auto* indices = static_cast<const Index*>(call.indices);
  const std::int64_t plane = call.indexed_plane();
  const std::int64_t size = call.planes() * call.small_plane;
  const std::int64_t end = call.over_tensor ? call.planes() * plane : plane;
  check_all_inside(indices, size, 0, end, [&](std::int64_t i) {
    fail(FPOOL_ERROR_INDEX_OUT_OF_RANGE, name, "_data[", i, "] is ", indices[i],
         "; it must be a position within the ", call.over_tensor ? "tensor" : "plane", ", 0 to ",
         end - 1);
  });
  if (!call.over_tensor) return false;
  if (call.layout == Layout::planar) {
    for (std::int64_t p = 0; p < call.planes(); ++p) {
      if (any_outside(indices + p * call.small_plane, call.small_plane, p * plane,
                      (p + 1) * plane)) {
        return true;
      }
    }
    return false;
  }
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < call.batch; ++n) {
    for (std::int64_t o = 0; o < call.small_plane; ++o) {
      for (std::int64_t c = 0; c < call.channels; ++c, ++i) {
        const std::int64_t own = (n * call.channels + c) * plane;
        if (indices[i] < own || indices[i] >= own + plane) return true;
      }
    }
  }
  return false;
}

/** What forward and backward have in common: a small tensor, its indices, and a large tensor. */
Unpooling make_unpooling(Operation operation, const Buffer& small, const Buffer& indices,
                         std::int32_t index_base, const std::int64_t* index_extents,
                         const Buffer& large) {
  check_buffer(small);
  check_dtype(small, {FPOOL_F32, FPOOL_F64});
  check_buffer(large);
  check_dtype(large, {small.tensor->dtype});
  const int rank = small.tensor->spatial_rank;
  Extents like{small.tensor->extents[0], small.tensor->extents[1]};
  std::copy_n(large.tensor->extents + 2, rank, like.begin() + 2);
  check_shape(large, *small.tensor, like.data(), "batch and channels those of the other tensor");
  check_buffer(indices);
  check_dtype(indices, {FPOOL_I64, FPOOL_I32});
  check_shape(indices, *small.tensor, small.tensor->extents, "one index per element");
  if (index_base != FPOOL_INDEX_PLANE && index_base != FPOOL_INDEX_TENSOR) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "index_base is ", index_base,
         "; it must be FPOOL_INDEX_PLANE (0) or FPOOL_INDEX_TENSOR (2)");
  }
  Unpooling call;
  call.operation = operation;
  call.layout = static_cast<Layout>(small.tensor->layout);
  call.dtype = small.tensor->dtype;
  call.batch = small.tensor->extents[0];
  call.channels = small.tensor->extents[1];
  for (int i = 0; i < rank; ++i) {
    const int axis = FPOOL_MAX_SPATIAL_RANK - rank + i;
    const auto a = static_cast<std::size_t>(axis);
    call.small_plane *= small.tensor->extents[2 + i];
    call.large[a] = large.tensor->extents[2 + i];
    call.indexed[a] = index_extents == nullptr ? call.large[a] : index_extents[i];
    if (call.indexed[a] < 1 || call.indexed[a] > call.large[a]) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "index_extents[", i, "] is ", call.indexed[a], " in axis ",
           kAxes[axis], "; it must be at least 1 and at most the extent of ", large.name, ", ",
           call.large[a]);
    }
  }
  call.indices = indices.data;
  call.index_dtype = indices.tensor->dtype;
  call.over_tensor = index_base == FPOOL_INDEX_TENSOR;
  with_dtype<std::int32_t, std::int64_t>(call.index_dtype, [&]<typename Index>() {
    call.crossing = check_indices<Index>(call, indices.name);
  });
  return call;
}

}  // namespace

extern "C" {

fpool_status fpool_unpool_extents(const fpool_tensor* x, const fpool_window* window,
                                  const int64_t* requested, int64_t* extents) {
  return guard([&] {
    check_tensor(x, "x");
    if (window == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "window is null");
    if (extents == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "extents is null");
    const auto result = unpooled_extents(*x, *window, requested);
    std::copy(result.begin(), result.end(), extents);
  });
}

fpool_status fpool_max_unpool_forward(const fpool_tensor* x, const void* x_data,
                                      const fpool_tensor* indices, const void* indices_data,
                                      int32_t index_base, const int64_t* index_extents,
                                      const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer small{"x", x, x_data};
    const Buffer positions{"indices", indices, indices_data};
    const Buffer large{"y", y, y_data};
    Unpooling call = make_unpooling(Operation::max_unpool_forward, small, positions, index_base,
                                    index_extents, large);
    check_apart(large, small);
    check_apart(large, positions);
    call.input = x_data;
    call.output = y_data;
    dispatch::run(call);
  });
}

fpool_status fpool_max_unpool_backward(const fpool_tensor* dy, const void* dy_data,
                                       const fpool_tensor* indices, const void* indices_data,
                                       int32_t index_base, const int64_t* index_extents,
                                       const fpool_tensor* dx, void* dx_data) {
  return guard([&] {
    const Buffer large{"dy", dy, dy_data};
    const Buffer positions{"indices", indices, indices_data};
    const Buffer small{"dx", dx, dx_data};
    Unpooling call = make_unpooling(Operation::max_unpool_backward, small, positions, index_base,
                                    index_extents, large);
    check_apart(small, large);
    check_apart(small, positions);
    call.input = dy_data;
    call.output = dx_data;
    dispatch::run(call);
  });
}

}  // extern "C"
