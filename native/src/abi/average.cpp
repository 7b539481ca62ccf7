// The C ABI: average pooling.

#include "abi/call.hpp"

using namespace featurepool;

extern "C" {

fpool_status fpool_avg_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const fpool_average* average,
                               const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16, FPOOL_I8, FPOOL_U8});
    auto pooling = make_pooling(Operation::avg_forward, *x, window);
    pooling.divisor = make_divisor(average);
    forward(pooling, input, {"y", y, y_data}, nullptr);
  });
}

fpool_status fpool_avg_backward(const fpool_tensor* dy, const void* dy_data,
                                const fpool_window* window, const fpool_average* average,
                                const fpool_tensor* dx, void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16});
    auto pooling = make_pooling(Operation::avg_backward, *dx, window);
    pooling.divisor = make_divisor(average);
    backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
  });
}

}  // extern "C"
