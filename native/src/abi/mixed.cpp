// The C ABI: the maximum and the average of a window, added or concatenated.

#include "abi/call.hpp"
#include "abi/parameters.hpp"

using namespace featurepool;

namespace {

Mix mix_of(const double* alpha, std::int64_t count, const Geometry& geometry) {
  check_parameters("alpha", alpha, count, geometry);
  for (std::int64_t i = 0; i < count; ++i) {
    if (alpha[i] >= 0 && alpha[i] <= 1) continue;
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "alpha", Entry{i, count}, " is ", alpha[i],
         "; it must be at least 0 and at most 1");
  }
  return {alpha, count};
}

constexpr const char* kJoined =
    "the averages of all channels and then the maxima, of this window over the input";

/** One channel is joined to another, so the layout matters even there. */
Layout joined_layout(const fpool_tensor& x) { return static_cast<Layout>(x.layout); }

Extents joined_extents(const Geometry& geometry, int spatial_rank) {
  Extents extents = output_extents(geometry, spatial_rank);
  if (__builtin_mul_overflow(extents[1], 2, &extents[1])) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "x.extents[1] is ", geometry.channels,
         "; twice as many channels must be less than 2^63");
  }
  return extents;
}

}  // namespace

extern "C" {

fpool_status fpool_mixed_add_forward(const fpool_tensor* x, const void* x_data,
                                     const fpool_window* window, const double* alpha,
                                     int64_t alpha_count, const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::mixed_forward, *x, window);
    pooling.mix = mix_of(alpha, alpha_count, pooling.geometry);
    forward(pooling, input, {"y", y, y_data}, nullptr);
  });
}

fpool_status fpool_mixed_add_backward(const fpool_tensor* x, const void* x_data,
                                      const fpool_tensor* dy, const void* dy_data,
                                      const fpool_window* window, const double* alpha,
                                      int64_t alpha_count, const fpool_tensor* dx, void* dx_data,
                                      double* dalpha) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::mixed_backward, *dx, window);
    pooling.mix = mix_of(alpha, alpha_count, pooling.geometry);
    add_input(pooling, {"x", x, x_data}, gradient);
    ParameterGradient weights(pooling, Operation::mixed_weights, dalpha, alpha_count);
    backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
    weights.run(dy_data);
  });
}

fpool_status fpool_mixed_cat_forward(const fpool_tensor* x, const void* x_data,
                                     const fpool_window* window, const fpool_tensor* y,
                                     void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::mixed_forward, *x, window);
    pooling.layout = joined_layout(*x);
    forward_into(pooling, input, {"y", y, y_data},
                 joined_extents(pooling.geometry, x->spatial_rank), kJoined);
  });
}

fpool_status fpool_mixed_cat_backward(const fpool_tensor* x, const void* x_data,
                                      const fpool_tensor* dy, const void* dy_data,
                                      const fpool_window* window, const fpool_tensor* dx,
                                      void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::mixed_backward, *dx, window);
    pooling.layout = joined_layout(*dx);
    add_input(pooling, {"x", x, x_data}, gradient);
    backward_from(pooling, {"dy", dy, dy_data}, gradient,
                  joined_extents(pooling.geometry, dx->spatial_rank), kJoined);
  });
}

}  // extern "C"
