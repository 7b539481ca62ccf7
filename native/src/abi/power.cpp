// The C ABI: Lp pooling and the generalised mean (GeM).

#include <cmath>
#include <limits>

#include "abi/call.hpp"
#include "abi/parameters.hpp"

using namespace featurepool;

namespace {

Power norm_of(const double& p) {
  if (!(p >= 1)) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "p is ", p, "; it must be at least 1, or infinity");
  }
  return {&p, 1, 0, true};
}

Power mean_of(const double* p, std::int64_t count, double epsilon, const Geometry& geometry) {
  check_parameters("p", p, count, geometry);
  for (std::int64_t i = 0; i < count; ++i) {
    if (p[i] > 0 && std::isfinite(p[i])) continue;
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "p", Entry{i, count}, " is ", p[i],
         "; it must be greater than 0 and finite");
  }
  if (!(epsilon > 0 && std::isfinite(epsilon))) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "epsilon is ", epsilon,
         "; it must be greater than 0 and finite");
  }
  return {p, count, epsilon, false};
}

}  // namespace

extern "C" {

fpool_status fpool_lp_forward(const fpool_tensor* x, const void* x_data, const fpool_window* window,
                              double p, const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::power_forward, *x, window);
    pooling.power = norm_of(p);
    forward(pooling, input, {"y", y, y_data}, nullptr);
  });
}

fpool_status fpool_lp_backward(const fpool_tensor* x, const void* x_data, const fpool_tensor* y,
                               const void* y_data, const fpool_tensor* dy, const void* dy_data,
                               const fpool_window* window, double p, const fpool_tensor* dx,
                               void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::power_backward, *dx, window);
    pooling.power = norm_of(p);
    add_input(pooling, {"x", x, x_data}, gradient);
    add_output(pooling, {"y", y, y_data}, gradient);
    backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
  });
}

fpool_status fpool_gem_forward(const fpool_tensor* x, const void* x_data,
                               const fpool_window* window, const double* p, int64_t p_count,
                               double epsilon, const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::power_forward, *x, window);
    pooling.power = mean_of(p, p_count, epsilon, pooling.geometry);
    forward(pooling, input, {"y", y, y_data}, nullptr);
  });
}

fpool_status fpool_gem_backward(const fpool_tensor* x, const void* x_data, const fpool_tensor* y,
                                const void* y_data, const fpool_tensor* dy, const void* dy_data,
                                const fpool_window* window, const double* p, int64_t p_count,
                                double epsilon, const fpool_tensor* dx, void* dx_data, double* dp) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::power_backward, *dx, window);
    pooling.power = mean_of(p, p_count, epsilon, pooling.geometry);
    add_input(pooling, {"x", x, x_data}, gradient);
    add_output(pooling, {"y", y, y_data}, gradient);
    ParameterGradient exponents(pooling, Operation::power_exponents, dp, p_count);
    backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
    exponents.run(dy_data);
  });
}

}  // extern "C"
