#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dispatch/pooling.hpp"
#include "featurepool/featurepool.h"
#include "matrix.hpp"

namespace featurepool::bench {

/** A row of the matrix as a call of the C ABI. */
struct Call {
  Operation operation = Operation::max_forward;
  bool with_mask = false;
  bool global = false;
  fpool_tensor x{};
  fpool_tensor y{};
  fpool_tensor mask{};
  fpool_window window{};

  std::int64_t read_bytes() const;
  std::int64_t write_bytes() const;
};

/**
 * The call of a row; none where that is no pooling over one window.
 *
 * @throws std::invalid_argument if the row's window does not fit its tensor
 */
std::optional<Call> call_of(const Row& row);

/** The kernel that such a call uses. */
std::string kernel_for(const Call& call);

/** Bytes at an address that is a multiple of 64, uninitialised. */
class Buffer {
 public:
  explicit Buffer(std::int64_t size);

  void* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(void* data) const;
  };
  std::unique_ptr<void, Free> data_;
};

/** @throws std::runtime_error with the library's message if a call was refused */
void require(fpool_status status);

/** A dense tensor of extents N, C and the spatial ones. */
fpool_tensor tensor_of(std::int32_t dtype, std::int32_t layout,
                       std::span<const std::int64_t> extents);

/** Fills a tensor's memory with random numbers from `least` (bytes: 0) on, the same every time. */
void fill(const Buffer& buffer, const fpool_tensor& tensor, float least = -1);

/** A call and its buffers: random input, and the mask of it where the call reads one. */
class Cell {
 public:
  explicit Cell(const Call& call);

  /** One call through the C ABI. @throws std::runtime_error with the message of a refusal */
  void run();

  const Buffer& x() const { return x_; }
  const Buffer& y() const { return y_; }

 private:
  Call call_;
  Buffer x_;
  Buffer y_;
  Buffer mask_;
};

}  // namespace featurepool::bench
