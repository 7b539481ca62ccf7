#include "featurepool/layers.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

namespace featurepool {
namespace {

/** Turns the status of a call of the C ABI into the exceptions of this API. */
void check(fpool_status status) {
  switch (status) {
    case FPOOL_OK:
      return;
    case FPOOL_ERROR_OUT_OF_MEMORY:
      throw std::bad_alloc();
    case FPOOL_ERROR_CONFIGURATION:
    case FPOOL_ERROR_INTERNAL:
      throw std::runtime_error(fpool_last_error());
    default:
      throw std::invalid_argument(fpool_last_error());
  }
}

std::size_t checked_length(int C, int H, int W) {
  const auto text = [&] {
    return std::to_string(C) + "x" + std::to_string(H) + "x" + std::to_string(W);
  };
  if (C < 1 || H < 1 || W < 1) {
    throw std::invalid_argument("Tensor: C x H x W is " + text() +
                                "; every extent must be at least 1");
  }
  // Positions within an image are ints, as in the seed.
  std::int64_t length = std::int64_t{C} * H;
  if (length > std::numeric_limits<int>::max() || (length *= W) > std::numeric_limits<int>::max()) {
    throw std::invalid_argument("Tensor: C x H x W is " + text() +
                                "; the product must be less than 2^31");
  }
  return static_cast<std::size_t>(length);
}

int at_least_one(const char* name, const char* parameter, int value) {
  if (value < 1) {
    throw std::invalid_argument(std::string(name) + ": " + parameter + " is " +
                                std::to_string(value) + "; it must be at least 1");
  }
  return value;
}

fpool_window square_window(int kernel_size, int step) {
  fpool_window window{};
  window.spatial_rank = 2;
  window.padding = FPOOL_PAD_VALID;
  for (int axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = kernel_size;
    window.stride[axis] = step;
    window.dilation[axis] = 1;
  }
  return window;
}

/** Makes `buffers` hold at least `batch_size` images of a shape; keeps those that fit already. */
void fit(std::vector<tensor>& buffers, int batch_size, int C, int H, int W) {
  if (!buffers.empty() && (buffers[0]->C != C || buffers[0]->H != H || buffers[0]->W != W)) {
    buffers.clear();
  }
  while (buffers.size() < static_cast<std::size_t>(batch_size)) {
    buffers.push_back(std::make_shared<Tensor>(C, H, W));
  }
}

}  // namespace

Tensor::Tensor(int channels, int height, int width)
    : C(channels), H(height), W(width), values_(checked_length(C, H, W)), data(values_.data()) {}

void Tensor::set_zero() { std::fill(values_.begin(), values_.end(), data_type{0}); }

fpool_tensor Pool2D::Shape::descriptor(std::int32_t dtype) const {
  fpool_tensor tensor{};
  tensor.dtype = dtype;
  tensor.layout = FPOOL_PLANAR;
  tensor.spatial_rank = 2;
  tensor.extents[0] = 1;
  tensor.extents[1] = C;
  tensor.extents[2] = H;
  tensor.extents[3] = W;
  tensor.byte_size = std::int64_t{C} * H * W * (dtype == FPOOL_U8 ? 1 : 4);
  return tensor;
}

Pool2D::Pool2D(const char* name, int kernel, int stride)
    : kernel_size(at_least_one(name, "kernel_size", kernel)),
      step(at_least_one(name, "step", stride)),
      window_(square_window(kernel_size, step)),
      name_(name) {}

void Pool2D::check_shapes(const std::vector<tensor>& batch, const char* what,
                          const Shape& shape) const {
  const auto text = [](const Shape& s) {
    return std::to_string(s.C) + "x" + std::to_string(s.H) + "x" + std::to_string(s.W);
  };
  for (std::size_t b = 0; b < batch.size(); ++b) {
    const std::string image = std::string(name_) + ": " + what + "[" + std::to_string(b) + "] is ";
    if (!batch[b])
      throw std::invalid_argument(image + "null; every image of a batch must be there");
    const Shape actual{batch[b]->C, batch[b]->H, batch[b]->W};
    if (!(actual == shape)) {
      throw std::invalid_argument(image + text(actual) + "; it must be " + text(shape));
    }
  }
}

void Pool2D::require_forward(const char* what) const {
  if (recorded_) return;
  throw std::logic_error(std::string(name_) + ": " + what +
                         " needs a forward pass that was not run with no_grad");
}

std::vector<tensor> Pool2D::forward(const std::vector<tensor>& input) {
  Shape shape = input_;
  Shape out = output_;
  if (!input.empty()) {
    if (input[0]) shape = {input[0]->C, input[0]->H, input[0]->W};
    check_shapes(input, "input", shape);
    if (kernel_size > shape.H || kernel_size > shape.W) {
      throw std::invalid_argument(std::string(name_) + ": kernel_size is " +
                                  std::to_string(kernel_size) + " and the images are " +
                                  std::to_string(shape.H) + "x" + std::to_string(shape.W) +
                                  "; it must be at most the smaller extent");
    }
    const int out_H = (shape.H - kernel_size) / step + 1;
    const int out_W = (shape.W - kernel_size) / step + 1;
    out = {shape.C, out_H, out_W};
  }
  recorded_ = false;
  input_ = shape;
  output_ = out;
  batch_size_ = static_cast<int>(input.size());
  if (batch_size_ > 0) fit(output_buffers_, batch_size_, out.C, out.H, out.W);
  prepare();
  for (int b = 0; b < batch_size_; ++b) forward_image(b, *input[b], *output_buffers_[b]);
  recorded_ = !no_grad;
  return {output_buffers_.begin(), output_buffers_.begin() + batch_size_};
}

std::vector<tensor> Pool2D::backward(std::vector<tensor>& delta) {
  require_forward("backward");
  if (delta.size() != static_cast<std::size_t>(batch_size_)) {
    throw std::invalid_argument(std::string(name_) + ": delta has " + std::to_string(delta.size()) +
                                " images; the last forward pass had " +
                                std::to_string(batch_size_));
  }
  check_shapes(delta, "delta", output_);
  if (batch_size_ > 0) fit(delta_buffers_, batch_size_, input_.C, input_.H, input_.W);
  for (int b = 0; b < batch_size_; ++b) backward_image(b, *delta[b], *delta_buffers_[b]);
  return {delta_buffers_.begin(), delta_buffers_.begin() + batch_size_};
}

MaxPool2D::MaxPool2D(int kernel, int stride) : Pool2D("MaxPool2D", kernel, stride) {}

bool MaxPool2D::compact() const {
  return std::int64_t{kernel_size} * kernel_size <= FPOOL_MASK_NONE_COMPACT;
}

fpool_tensor MaxPool2D::position_descriptor() const {
  return output_.descriptor(compact() ? FPOOL_U8 : FPOOL_I32);
}

void MaxPool2D::prepare() {
  mask_is_current_ = false;
  if (no_grad) return;
  const auto batch_size = static_cast<std::size_t>(batch_size_);
  if (positions_.size() < batch_size) positions_.resize(batch_size);
  for (std::size_t b = 0; b < batch_size; ++b) {
    positions_[b].resize(static_cast<std::size_t>(position_descriptor().byte_size));
  }
  if (!compact() || offset_width_ == input_.W) return;
  offset_.resize(static_cast<std::size_t>(kernel_size) * kernel_size);
  int pos = 0;
  for (int i = 0; i < kernel_size; ++i) {
    for (int j = 0; j < kernel_size; ++j) offset_[pos++] = i * input_.W + j;
  }
  offset_width_ = input_.W;
}

void MaxPool2D::forward_image(int b, const Tensor& image, Tensor& output) {
  const fpool_tensor x = input_.descriptor(FPOOL_F32);
  const fpool_tensor y = output_.descriptor(FPOOL_F32);
  const fpool_tensor position = position_descriptor();
  check(fpool_max_forward(&x, image.data, &window_, &y, output.data, no_grad ? nullptr : &position,
                          no_grad ? nullptr : positions_[b].data()));
}

void MaxPool2D::backward_image(int b, const Tensor& delta, Tensor& result) {
  const fpool_tensor dy = output_.descriptor(FPOOL_F32);
  const fpool_tensor dx = input_.descriptor(FPOOL_F32);
  const fpool_tensor position = position_descriptor();
  check(fpool_route_backward(&dy, delta.data, &position, positions_[b].data(), &window_, &dx,
                             result.data));
}

const std::vector<std::vector<int>>& MaxPool2D::mask() {
  require_forward("mask");
  if (!mask_is_current_) {
    mask_.resize(static_cast<std::size_t>(batch_size_));
    for (int b = 0; b < batch_size_; ++b) expand(b);
    mask_is_current_ = true;
  }
  return mask_;
}

void MaxPool2D::expand(int b) {
  const std::byte* const compact_position = positions_[b].data();
  const auto* const plane_position = reinterpret_cast<const std::int32_t*>(compact_position);
  const int length = input_.H * input_.W;
  std::vector<int>& mask = mask_[b];
  mask.resize(static_cast<std::size_t>(output_.C) * output_.H * output_.W);
  std::size_t cnt = 0;
  for (int i = 0; i < output_.C; ++i) {
    for (int x = 0; x < output_.H; ++x) {
      for (int y = 0; y < output_.W; ++y, ++cnt) {
        const int first = x * step * input_.W + y * step;
        mask[cnt] =
            i * length + (compact()
                              ? first + offset_[std::to_integer<std::size_t>(compact_position[cnt])]
                              : plane_position[cnt]);
      }
    }
  }
}

AvgPool2D::AvgPool2D(int kernel, int stride) : Pool2D("AvgPool2D", kernel, stride) {}

void AvgPool2D::forward_image(int, const Tensor& image, Tensor& output) {
  const fpool_tensor x = input_.descriptor(FPOOL_F32);
  const fpool_tensor y = output_.descriptor(FPOOL_F32);
  const fpool_average average{};
  check(fpool_avg_forward(&x, image.data, &window_, &average, &y, output.data));
}

void AvgPool2D::backward_image(int, const Tensor& delta, Tensor& result) {
  const fpool_tensor dy = output_.descriptor(FPOOL_F32);
  const fpool_tensor dx = input_.descriptor(FPOOL_F32);
  const fpool_average average{};
  check(fpool_avg_backward(&dy, delta.data, &window_, &average, &dx, result.data));
}

}  // namespace featurepool
