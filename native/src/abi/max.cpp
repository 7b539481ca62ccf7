// The C ABI: max and min pooling, masks, and the gradient of all poolings that select one tap.

#include "abi/call.hpp"
#include "abi/mask.hpp"

using namespace featurepool;

namespace {

/** Max or min pooling, with positions where there is a mask. */
fpool_status select_forward(Operation operation, const Buffer& x, const fpool_window* window,
                            const Buffer& y, const Buffer& mask) {
  return guard([&] {
    check_buffer(x);
    check_dtype(x, {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16, FPOOL_I8, FPOOL_U8, FPOOL_I32});
    const auto pooling = make_pooling(operation, *x.tensor, window);
    const bool with_mask = mask.tensor != nullptr || mask.data != nullptr;
    forward(pooling, x, y, with_mask ? &mask : nullptr);
  });
}

}  // namespace

extern "C" {

fpool_status fpool_max_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const fpool_tensor* y, void* y_data,
                               const fpool_tensor* mask, void* mask_data) {
  return select_forward(Operation::max_forward, {"x", x, x_data}, window, {"y", y, y_data},
                        {"mask", mask, mask_data});
}

fpool_status fpool_min_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const fpool_tensor* y, void* y_data,
                               const fpool_tensor* mask, void* mask_data) {
  return select_forward(Operation::min_forward, {"x", x, x_data}, window, {"y", y, y_data},
                        {"mask", mask, mask_data});
}

fpool_status fpool_route_backward(const fpool_tensor* dy, const void* dy_data,
                                  const fpool_tensor* mask, const void* mask_data,
                                  const fpool_window* window, const fpool_tensor* dx,
                                  void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16});
    const auto pooling = make_pooling(Operation::route_backward, *dx, window);
    const Buffer positions{"mask", mask, mask_data};
    backward(pooling, {"dy", dy, dy_data}, &positions, gradient);
  });
}

fpool_status fpool_mask_expand(const fpool_tensor* x, const fpool_window* window,
                               const fpool_tensor* mask, const void* mask_data, int32_t index_base,
                               const fpool_tensor* indices, void* indices_data) {
  return guard([&] {
    check_tensor(x, "x");
    auto pooling = make_pooling(Operation::max_forward, *x, window);
    if (index_base < FPOOL_INDEX_PLANE || index_base > FPOOL_INDEX_TENSOR_COLUMN_MAJOR) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "index_base is ", index_base,
           "; it must be one of FPOOL_INDEX_PLANE (0) to FPOOL_INDEX_TENSOR_COLUMN_MAJOR (3)");
    }
    const auto extents = output_extents(pooling.geometry, x->spatial_rank);
    const Buffer positions{"mask", mask, mask_data};
    const Buffer output{"indices", indices, indices_data};
    pooling.mask_type = check_mask_buffer(positions, pooling.geometry, *x, extents);
    pooling.mask = const_cast<void*>(mask_data);
    check_buffer(output);
    check_dtype(output, {FPOOL_I64});
    check_shape(output, *x, extents.data(), kOutputOf);
    check_apart(output, positions);
    check_mask_entries(pooling);
    expand_mask(pooling, index_base, static_cast<int64_t*>(indices_data));
  });
}

}  // extern "C"
