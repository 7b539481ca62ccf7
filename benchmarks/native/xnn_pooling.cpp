#include "xnn_pooling.hpp"

#include <pthreadpool.h>
#include <xnnpack.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace featurepool::bench {
namespace {

constexpr float kRounding = 1e-5F;

void require_success(xnn_status status) {
  if (status != xnn_status_success) throw std::runtime_error("XNNPACK refuses this pooling");
}

std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }
std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }

// XNNPACK reads past the end of its input.
std::int64_t padded(std::int64_t bytes) { return bytes + XNN_EXTRA_BYTES; }

}  // namespace

bool XnnPooling::has(const Call& call) {
  const bool kind = call.operation == Operation::max_forward
                        ? !call.with_mask
                        : call.operation == Operation::avg_forward;
  const std::int64_t taps = call.window.kernel[0] * call.window.kernel[1];
  return kind && call.x.layout == FPOOL_INTERLEAVED && call.x.spatial_rank == 2 && taps > 1 &&
         (call.x.dtype == FPOOL_F32 ||
          (call.x.dtype == FPOOL_U8 && call.operation == Operation::max_forward));
}

XnnPooling::XnnPooling(const Call& call, int threads)
    : call_(call), x_(padded(call.x.byte_size)), y_(padded(call.y.byte_size)) {
  require_success(xnn_initialize(nullptr));
  threads_ = threads == 1 ? nullptr : pthreadpool_create(size(threads));
  create();
  set_up();
}

XnnPooling::~XnnPooling() {
  xnn_delete_operator(operator_);
  pthreadpool_destroy(threads_);
}

void XnnPooling::create() {
  const fpool_window& w = call_.window;
  const std::size_t channels = size(call_.x.extents[1]);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto top = u32(w.pad_begin[0]);
  const auto left = u32(w.pad_begin[1]);
  const auto bottom = u32(w.pad_end[0]);
  const auto right = u32(w.pad_end[1]);
  const auto height = u32(w.kernel[0]);
  const auto width = u32(w.kernel[1]);
  const auto down = u32(w.stride[0]);
  const auto across = u32(w.stride[1]);
  if (call_.global && call_.operation == Operation::avg_forward) {
    require_success(xnn_create_global_average_pooling_nwc_f32(channels, channels, channels,
                                                              -infinity, infinity, 0, &operator_));
  } else if (call_.operation == Operation::avg_forward) {
    require_success(xnn_create_average_pooling2d_nhwc_f32(
        top, right, bottom, left, height, width, down, across, channels, channels, channels,
        -infinity, infinity, 0, &operator_));
  } else if (call_.x.dtype == FPOOL_U8) {
    require_success(xnn_create_max_pooling2d_nhwc_u8(top, right, bottom, left, height, width, down,
                                                     across, 1, 1, channels, channels, channels, 0,
                                                     255, 0, &operator_));
  } else {
    require_success(xnn_create_max_pooling2d_nhwc_f32(top, right, bottom, left, height, width, down,
                                                      across, 1, 1, channels, channels, channels,
                                                      -infinity, infinity, 0, &operator_));
  }
}

void XnnPooling::set_up() {
  const std::size_t images = size(call_.x.extents[0]);
  const std::size_t height = size(call_.x.extents[2]);
  const std::size_t width = size(call_.x.extents[3]);
  const auto* const x = static_cast<const float*>(x_.data());
  auto* const y = static_cast<float*>(y_.data());
  if (call_.global && call_.operation == Operation::avg_forward) {
    require_success(xnn_setup_global_average_pooling_nwc_f32(operator_, images, height * width, x,
                                                             y, threads_));
  } else if (call_.operation == Operation::avg_forward) {
    require_success(
        xnn_setup_average_pooling2d_nhwc_f32(operator_, images, height, width, x, y, threads_));
  } else if (call_.x.dtype == FPOOL_U8) {
    require_success(xnn_setup_max_pooling2d_nhwc_u8(
        operator_, images, height, width, static_cast<const std::uint8_t*>(x_.data()),
        static_cast<std::uint8_t*>(y_.data()), threads_));
  } else {
    require_success(
        xnn_setup_max_pooling2d_nhwc_f32(operator_, images, height, width, x, y, threads_));
  }
}

void XnnPooling::run(const void* x) {
  std::memcpy(x_.data(), x, size(call_.x.byte_size));
  run_again();
}

void XnnPooling::run_again() { require_success(xnn_run_operator(operator_, threads_)); }

bool XnnPooling::agrees(const void* y) const {
  if (call_.operation == Operation::max_forward) {
    return std::memcmp(y_.data(), y, size(call_.y.byte_size)) == 0;
  }
  const auto* const ours = static_cast<const float*>(y);
  const auto* const theirs = static_cast<const float*>(y_.data());
  return std::equal(ours, ours + call_.y.byte_size / 4, theirs,
                    [](float a, float b) { return std::abs(a - b) <= kRounding; });
}

}  // namespace featurepool::bench
