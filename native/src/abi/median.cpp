// The C ABI: median pooling.

#include "abi/call.hpp"

using namespace featurepool;

extern "C" {

fpool_status fpool_median_forward(const fpool_tensor* x, const void* x_data,
                                  const fpool_window* window, const fpool_tensor* y, void* y_data,
                                  const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64, FPOOL_U8});
    const auto pooling = make_pooling(Operation::median_forward, *x, window);
    const Buffer positions{"mask", mask, mask_data};
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    forward(pooling, input, {"y", y, y_data}, with_mask ? &positions : nullptr);
  });
}

}  // extern "C"
