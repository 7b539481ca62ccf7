// The C ABI: fractional max pooling.

#include "dispatch/fractional.hpp"

#include "abi/call.hpp"
#include "abi/mask.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/regions.hpp"
#include "geometry/dtype.hpp"

using namespace featurepool;

namespace {

constexpr const char* kAxes[] = {"D", "H", "W"};

Fractional make_fractional(const fpool_tensor& x, const fpool_fractional* parameters) {
  if (parameters == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "fractional is null");
  if (x.spatial_rank < 2) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "x.spatial_rank is ", x.spatial_rank,
         "; fractional pooling has 2 or 3 spatial axes");
  }
  if (parameters->spatial_rank != x.spatial_rank) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "fractional.spatial_rank is ", parameters->spatial_rank,
         "; the tensor has ", x.spatial_rank, " spatial axes");
  }
  if (parameters->reserved != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "fractional.reserved is ", parameters->reserved,
         "; it must be 0");
  }
  Fractional call;
  call.layout = static_cast<Layout>(x.layout);
  call.dtype = x.dtype;
  call.batch = x.extents[0];
  call.channels = x.extents[1];
  call.spatial_rank = x.spatial_rank;
  for (int i = 0; i < x.spatial_rank; ++i) {
    const int axis = FPOOL_MAX_SPATIAL_RANK - x.spatial_rank + i;
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t input = x.extents[2 + i];
    const std::int64_t kernel = parameters->kernel[i];
    const std::int64_t output = parameters->output[i];
    if (kernel < 1 || kernel > input) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "kernel is ", kernel, " in axis ", kAxes[axis],
           "; it must be at least 1 and at most the input's extent, ", input);
    }
    if (output < 1 || output > input - kernel + 1) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "output is ", output, " in axis ", kAxes[axis],
           "; it must be at least 1 and at most input - kernel + 1, ", input - kernel + 1);
    }
    call.input[a] = input;
    call.kernel[a] = kernel;
    call.output[a] = output;
  }
  return call;
}

template <typename T>
void check_samples(const Buffer& samples, std::int64_t count) {
  const T* u = static_cast<const T*>(samples.data);
  for (std::int64_t i = 0; i < count; ++i) {
    if (!(u[i] >= 0 && u[i] < 1)) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "samples_data[", i, "] is ", u[i],
           "; it must be at least 0 and less than 1");
    }
  }
}

/** Takes explicit samples: N x C x rank, planar. */
void use_samples(Fractional& call, const Buffer& samples, const fpool_tensor& x) {
  check_buffer(samples);
  check_dtype(samples, {FPOOL_F32, FPOOL_F64});
  const Extents extents{x.extents[0], x.extents[1], x.spatial_rank, 1, 1};
  fpool_tensor like = x;
  like.layout = FPOOL_PLANAR;
  like.spatial_rank = 1;
  check_shape(samples, like, extents.data(), "one number per image, channel and spatial axis");
  with_dtype<float, double>(samples.tensor->dtype, [&]<typename T>() {
    check_samples<T>(samples, call.items() * x.spatial_rank);
  });
  call.samples = samples.data;
  call.samples_dtype = samples.tensor->dtype;
}

}  // namespace

extern "C" {

fpool_status fpool_fractional_forward(const fpool_tensor* x, const void* x_data,
                                      const fpool_fractional* fractional,
                                      const fpool_tensor* samples, const void* samples_data,
                                      uint64_t seed, const fpool_tensor* y, void* y_data,
                                      const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    Fractional call = make_fractional(*x, fractional);
    Extents extents{call.batch, call.channels, 1, 1, 1};
    for (int i = 0; i < x->spatial_rank; ++i) extents[2 + i] = fractional->output[i];
    const Buffer output{"y", y, y_data};
    check_buffer(output);
    check_dtype(output, {x->dtype});
    check_shape(output, *x, extents.data(), "the output of this fractional pooling");
    check_apart(output, input);
    call.seed = seed;
    call.x = x_data;
    call.y = y_data;
    const Buffer numbers{"samples", samples, samples_data};
    const bool with_samples = samples != nullptr || samples_data != nullptr;
    if (with_samples) {
      use_samples(call, numbers, *x);
      check_apart(output, numbers);
    }
    if (mask != nullptr || mask_data != nullptr) {
      const Buffer positions{"mask", mask, mask_data};
      check_index_mask(positions, *x, extents.data(), call.input_plane());
      check_apart(positions, input);
      check_apart(positions, output);
      if (with_samples) check_apart(positions, numbers);
      call.mask = static_cast<std::int32_t*>(mask_data);
    }
    dispatch::run(call);
  });
}

fpool_status fpool_fractional_backward(const fpool_tensor* dy, const void* dy_data,
                                       const fpool_tensor* mask, const void* mask_data,
                                       const fpool_tensor* dx, void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {FPOOL_F32, FPOOL_F64});
    const Buffer incoming{"dy", dy, dy_data};
    check_buffer(incoming);
    check_dtype(incoming, {dx->dtype});
    Extents extents{dx->extents[0], dx->extents[1], dy->extents[2], dy->extents[3], dy->extents[4]};
    check_shape(incoming, *dx, extents.data(), "batch and channels those of dx");
    const Buffer positions{"mask", mask, mask_data};
    RegionPooling call;
    call.operation = Operation::region_route_backward;
    call.layout = static_cast<Layout>(dx->layout);
    call.dtype = dx->dtype;
    call.batch = dx->extents[0];
    call.channels = dx->extents[1];
    // Every image is one region of its own; of planes only the size counts here.
    for (int i = 0; i < dx->spatial_rank; ++i) {
      call.width *= dx->extents[2 + i];
      call.columns *= dy->extents[2 + i];
    }
    for (std::int64_t n = 0; n < call.batch; ++n) call.images.push_back(n);
    call.group();
    check_index_mask(positions, *dx, extents.data(), call.input_plane());
    check_index_entries(positions, call.input_plane());
    check_apart(gradient, incoming);
    check_apart(gradient, positions);
    call.input = dy_data;
    call.mask = const_cast<std::int32_t*>(static_cast<const std::int32_t*>(mask_data));
    call.output = dx_data;
    dispatch::run(call);
  });
}

}  // extern "C"
