#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "featurepool/featurepool.h"

/**
 * Pooling as layers of a small network: the C++ API, a port of the `MaxPool2D` of seed document 002
 * (a tutorial that writes a convolutional network by hand; part four, pooling) and its sibling for
 * averages. A thin shell over the C ABI: link featurepool_layers and featurepool.
 *
 * A layer keeps its buffers from call to call, so one layer serves one thread at a time; layers of
 * their own run side by side.
 *
 * Errors: std::invalid_argument for a parameter, tensor or batch that does not fit,
 * std::logic_error for a `backward` without a forward pass to go back through, std::bad_alloc for
 * want of memory, std::runtime_error for a bad environment variable. The message names the
 * parameter, its value and what would be right.
 */
namespace featurepool {

/** One image: C planes of H rows of W elements, contiguous, zeroed at the start. */
class Tensor {
 public:
  using data_type = float;

  /** @throws std::invalid_argument if an extent is less than 1. */
  Tensor(int C, int H, int W);
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  std::size_t get_length() const { return values_.size(); }
  void set_zero();

  const int C;
  const int H;
  const int W;

 private:
  std::vector<data_type> values_;

 public:
  /** Element (c, h, w) is `data[(c * H + h) * W + w]`. */
  data_type* const data;
};

/** A batch is a vector of these, one per image, all of one shape. */
using tensor = std::shared_ptr<Tensor>;

/** One layer of a network, as the seed's. */
class Layer {
 public:
  virtual ~Layer() = default;

  /**
   * @param input B images of C x H x W
   * @return      B images; buffers of the layer, overwritten by its next forward of this shape
   */
  virtual std::vector<tensor> forward(const std::vector<tensor>& input) = 0;

  /**
   * @param delta gradient of the loss with respect to what the last `forward` returned
   * @return      gradient with respect to that forward's input; buffers of the layer, overwritten
   *              by its next backward of this shape
   */
  virtual std::vector<tensor> backward(std::vector<tensor>& delta) = 0;

  /** Set before `forward`: nothing is kept for a `backward`. */
  bool no_grad = false;
};

/** What the pooling layers share: a square window without padding, and the buffers. */
class Pool2D : public Layer {
 public:
  /** Extent of the window's sides. */
  const int kernel_size;
  /** Distance of the windows; generally equal to `kernel_size`, less where they overlap. */
  const int step;

  std::vector<tensor> forward(const std::vector<tensor>& input) final;
  std::vector<tensor> backward(std::vector<tensor>& delta) final;

 protected:
  struct Shape {
    int C = 0;
    int H = 0;
    int W = 0;

    bool operator==(const Shape&) const = default;
    fpool_tensor descriptor(std::int32_t dtype) const;
  };

  Pool2D(const char* name, int kernel_size, int step);

  /** Called once the shapes and the batch size are known, before the images. */
  virtual void prepare() {}
  virtual void forward_image(int b, const Tensor& image, Tensor& output) = 0;
  virtual void backward_image(int b, const Tensor& delta, Tensor& result) = 0;

  /** @throws std::logic_error unless the last forward pass was kept for a `backward`. */
  void require_forward(const char* what) const;

  const fpool_window window_;
  Shape input_;
  Shape output_;
  int batch_size_ = 0;

 private:
  void check_shapes(const std::vector<tensor>& batch, const char* what, const Shape& shape) const;

  const char* const name_;
  std::vector<tensor> output_buffers_;
  std::vector<tensor> delta_buffers_;
  bool recorded_ = false;
};

/**
 * Max pooling, the seed's `MaxPool2D`: output extent `out_H = floor((H - kernel_size) / step) + 1`,
 * ties to the first maximum in row-major order of the window.
 *
 * Where it differs from the seed's code, on purpose:
 * - `backward` accumulates: an element that is the maximum of several overlapping windows gets the
 *   sum of their gradients (the seed's assignment kept only the last one's);
 * - the offset table follows the width of the input (the seed's was made once, from the first);
 * - buffers grow with the batch, and are made anew when the shape of the images changes;
 * - an empty batch gives an empty batch (the seed read `input[0]`);
 * - a window larger than the image is refused (the seed's division truncates, which made it one
 *   output that was never written);
 * - a NaN in the window gives NaN (the seed's comparison skipped it, unless it came first).
 */
class MaxPool2D : public Pool2D {
 public:
  /** @throws std::invalid_argument if `kernel_size` or `step` is less than 1. */
  explicit MaxPool2D(int kernel_size = 2, int step = 2);

  /**
   * Where the maxima of the last `forward` were: `mask()[b]` holds, for every output of image b in
   * the order of the output, the flat position `channel*H*W + row*W + column` in that image.
   *
   * @throws std::logic_error without a forward pass, or if it ran with `no_grad`
   */
  const std::vector<std::vector<int>>& mask();

 private:
  void prepare() override;
  void forward_image(int b, const Tensor& image, Tensor& output) override;
  void backward_image(int b, const Tensor& delta, Tensor& result) override;

  /** Whether a position within the window fits one byte. */
  bool compact() const;
  fpool_tensor position_descriptor() const;
  void expand(int b);

  // What the kernels write and read: one byte per output where the window has few enough taps. The
  // mask is made from it when someone asks, so that training does not pay for it.
  std::vector<std::vector<std::byte>> positions_;
  std::vector<std::vector<int>> mask_;
  bool mask_is_current_ = false;
  // Entry i * kernel_size + j: distance of the element in row i, column j of a window from the
  // window's first, i * W + j.
  std::vector<int> offset_;
  int offset_width_ = 0;
};

/** Average pooling: each of the n elements of a window gets one n-th of its output's gradient. */
class AvgPool2D : public Pool2D {
 public:
  /** @throws std::invalid_argument if `kernel_size` or `step` is less than 1. */
  explicit AvgPool2D(int kernel_size = 2, int step = 2);

 private:
  void forward_image(int b, const Tensor& image, Tensor& output) override;
  void backward_image(int b, const Tensor& delta, Tensor& result) override;
};

}  // namespace featurepool
