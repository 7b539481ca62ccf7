// The C ABI: pooling of regions of interest.

#include "dispatch/regions.hpp"

#include <cmath>

#include "abi/call.hpp"
#include "abi/mask.hpp"
#include "dispatch/dispatch.hpp"
#include "geometry/dtype.hpp"

using namespace featurepool;

namespace {

constexpr const char* kOneImagePerRegion = "one image of bins per region";

// Bins of a region along an axis: they are listed, so their number must fit memory.
constexpr std::int64_t kMostBins = 1 << 20;
constexpr std::int64_t kMostSamples = 1 << 20;

/** Checks an array of numbers of eight bytes; it may be null where it is empty. */
void check_array(const char* name, const void* array, std::int64_t count) {
  if (count == 0) return;
  if (array == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is null");
  const auto address = reinterpret_cast<std::uintptr_t>(array);
  if (address % 8 != 0) {
    fail(FPOOL_ERROR_BAD_BUFFER, name, " is at address ", address, "; it must be a multiple of 8");
  }
}

void check_bins(const fpool_roi* roi) {
  if (roi == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "roi is null");
  for (int i = 0; i < 2; ++i) {
    if (roi->output[i] < 1 || roi->output[i] > kMostBins) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "output is ", roi->output[i], " in axis ", "HW"[i],
           "; it must be at least 1 and at most ", kMostBins);
    }
  }
  if (!(roi->scale > 0) || !std::isfinite(roi->scale)) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "scale is ", roi->scale,
         "; it must be finite and greater than 0");
  }
}

void check_align(const fpool_roi* roi) {
  check_bins(roi);
  if (roi->sampling_ratio < 0 || roi->sampling_ratio > kMostSamples) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "sampling_ratio is ", roi->sampling_ratio,
         "; it must be at least 1 and at most ", kMostSamples, ", or 0 for the size of the bin");
  }
  if (roi->mode != FPOOL_ROI_AVERAGE && roi->mode != FPOOL_ROI_MAX) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "mode is ", roi->mode,
         "; it must be FPOOL_ROI_AVERAGE (0) or FPOOL_ROI_MAX (1)");
  }
}

/** What all calls over the regions of `x` have in common; `x` is of the input's extents. */
RegionPooling make_call(Operation operation, const Buffer& x, std::int64_t regions,
                        const std::int64_t* images) {
  check_buffer(x);
  check_dtype(x, {FPOOL_F32, FPOOL_F64});
  if (x.tensor->spatial_rank != 2) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, x.name, ".spatial_rank is ", x.tensor->spatial_rank,
         "; regions are of planes, rank 2");
  }
  if (regions < 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "regions is ", regions, "; it must be at least 0");
  }
  check_array("images", images, regions);
  RegionPooling call;
  call.operation = operation;
  call.layout = static_cast<Layout>(x.tensor->layout);
  call.dtype = x.tensor->dtype;
  call.batch = x.tensor->extents[0];
  call.channels = x.tensor->extents[1];
  call.height = x.tensor->extents[2];
  call.width = x.tensor->extents[3];
  call.images.assign(images, images + regions);
  for (std::int64_t r = 0; r < regions; ++r) {
    if (images[r] < 0 || images[r] >= call.batch) {
      fail(FPOOL_ERROR_INDEX_OUT_OF_RANGE, "images[", r, "] is ", images[r],
           "; it must be at least 0 and less than the number of images, ", call.batch);
    }
  }
  if (!call.is_forward()) call.group();
  return call;
}

void use_bins(RegionPooling& call, const fpool_roi& roi) {
  call.rows = roi.output[0];
  call.columns = roi.output[1];
}

RegionGrid make_grid(const RegionPooling& call, const fpool_roi& roi) {
  return {call.height, call.width,         call.rows,          call.columns,
          roi.scale,   roi.sampling_ratio, roi.half_pixel != 0};
}

void use_samples(RegionPooling& call, const fpool_roi& roi, const double* boxes) {
  check_array("boxes", boxes, call.regions());
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    call.taps = roi_align_taps<T>(make_grid(call, roi), boxes, call.regions(),
                                  roi.mode == FPOOL_ROI_AVERAGE);
  });
}

Extents bin_extents(const RegionPooling& call) {
  return {call.regions(), call.channels, call.rows, call.columns, 1};
}

/** Checks the tensor with one image of bins per region that goes with `like`. */
void check_output(const RegionPooling& call, const Buffer& y, const fpool_tensor& like) {
  check_buffer(y);
  check_dtype(y, {like.dtype});
  check_shape(y, like, bin_extents(call).data(), kOneImagePerRegion);
}

}  // namespace

extern "C" {

fpool_status fpool_roi_pool_forward(const fpool_tensor* x, const void* x_data, const fpool_roi* roi,
                                    int64_t regions, const double* boxes, const int64_t* images,
                                    const fpool_tensor* y, void* y_data, const fpool_tensor* mask,
                                    void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    RegionPooling call = make_call(Operation::region_max_forward, input, regions, images);
    check_bins(roi);
    use_bins(call, *roi);
    const Buffer output{"y", y, y_data};
    check_output(call, output, *x);
    check_apart(output, input);
    if (mask != nullptr || mask_data != nullptr) {
      const Buffer positions{"mask", mask, mask_data};
      check_index_mask(positions, *x, bin_extents(call).data(), call.input_plane());
      check_apart(positions, input);
      check_apart(positions, output);
      call.mask = static_cast<std::int32_t*>(mask_data);
    }
    check_array("boxes", boxes, regions);
    with_dtype<float, double>(call.dtype, [&]<typename T>() {
      call.taps = roi_pool_taps<T>(make_grid(call, *roi), boxes, regions);
    });
    call.input = x_data;
    call.output = y_data;
    dispatch::run(call);
  });
}

fpool_status fpool_roi_pool_backward(const fpool_tensor* dy, const void* dy_data,
                                     const fpool_tensor* mask, const void* mask_data,
                                     int64_t regions, const int64_t* images, const fpool_tensor* dx,
                                     void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    RegionPooling call = make_call(Operation::region_route_backward, gradient, regions, images);
    const Buffer incoming{"dy", dy, dy_data};
    check_buffer(incoming);
    call.rows = dy->extents[2];
    call.columns = dy->extents[3];
    check_output(call, incoming, *dx);
    const Buffer positions{"mask", mask, mask_data};
    check_index_mask(positions, *dx, bin_extents(call).data(), call.input_plane());
    check_index_entries(positions, call.input_plane());
    check_apart(gradient, incoming);
    check_apart(gradient, positions);
    call.input = dy_data;
    call.mask = const_cast<std::int32_t*>(static_cast<const std::int32_t*>(mask_data));
    call.output = dx_data;
    dispatch::run(call);
  });
}

fpool_status fpool_roi_align_forward(const fpool_tensor* x, const void* x_data,
                                     const fpool_roi* roi, int64_t regions, const double* boxes,
                                     const int64_t* images, const fpool_tensor* y, void* y_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    RegionPooling call = make_call(Operation::region_sum_forward, input, regions, images);
    check_align(roi);
    if (roi->mode == FPOOL_ROI_MAX) call.operation = Operation::region_max_forward;
    use_bins(call, *roi);
    const Buffer output{"y", y, y_data};
    check_output(call, output, *x);
    check_apart(output, input);
    use_samples(call, *roi, boxes);
    call.input = x_data;
    call.output = y_data;
    dispatch::run(call);
  });
}

fpool_status fpool_roi_align_backward(const fpool_tensor* dy, const void* dy_data,
                                      const fpool_tensor* x, const void* x_data,
                                      const fpool_roi* roi, int64_t regions, const double* boxes,
                                      const int64_t* images, const fpool_tensor* dx,
                                      void* dx_data) {
  return guard([&] {
    const Buffer gradient{"dx", dx, dx_data};
    RegionPooling call = make_call(Operation::region_sum_backward, gradient, regions, images);
    check_align(roi);
    use_bins(call, *roi);
    const Buffer incoming{"dy", dy, dy_data};
    check_output(call, incoming, *dx);
    check_apart(gradient, incoming);
    if (roi->mode == FPOOL_ROI_MAX) {
      call.operation = Operation::region_max_backward;
      const Buffer input{"x", x, x_data};
      check_buffer(input);
      check_dtype(input, {dx->dtype});
      check_shape(input, *dx, dx->extents, "those of its gradient dx");
      check_apart(gradient, input);
      call.x = x_data;
    }
    use_samples(call, *roi, boxes);
    call.input = dy_data;
    call.output = dx_data;
    dispatch::run(call);
  });
}

}  // extern "C"
