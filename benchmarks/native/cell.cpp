#include "cell.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>
#include <stdexcept>

#include "dispatch/dispatch.hpp"
#include "geometry/geometry.hpp"

namespace featurepool::bench {
namespace {

// The most taps that a one-byte mask can tell apart.
constexpr std::int64_t kCompactTaps = 255;

std::optional<Operation> operation_of(const Row& row) {
  const bool backward = row.direction == "backward";
  if (row.op == "max") return backward ? Operation::route_backward : Operation::max_forward;
  if (row.direction == "forward_mask") return std::nullopt;
  if (row.op == "median" && !backward) return Operation::median_forward;
  if (row.op == "stochastic" && !backward) return Operation::stochastic_forward;
  if (row.op != "avg" && row.op != "global_avg") return std::nullopt;
  return backward ? Operation::avg_backward : Operation::avg_forward;
}

fpool_window window_of(const Row& row, std::int32_t rank, bool global) {
  const auto count = static_cast<std::size_t>(rank);
  if (!global && (row.stride.size() != count || row.pad.size() != count)) {
    throw std::invalid_argument("cell " + row.id +
                                ": kernel, stride and pad must have as many extents");
  }
  fpool_window window{};
  window.spatial_rank = rank;
  for (std::size_t i = 0; i < count; ++i) {
    window.kernel[i] = global ? row.spatial[3 - count + i] : row.kernel[i];
    window.stride[i] = global ? 1 : row.stride[i];
    window.pad_begin[i] = window.pad_end[i] = global ? 0 : row.pad[i];
    window.dilation[i] = 1;
  }
  return window;
}

}  // namespace

void require(fpool_status status) {
  if (status != FPOOL_OK) throw std::runtime_error(fpool_last_error());
}

fpool_tensor tensor_of(std::int32_t dtype, std::int32_t layout,
                       std::span<const std::int64_t> extents) {
  fpool_tensor result{};
  result.dtype = dtype;
  result.layout = layout;
  result.spatial_rank = static_cast<std::int32_t>(extents.size()) - 2;
  result.byte_size = dtype_size(dtype);
  for (std::size_t i = 0; i < extents.size(); ++i) {
    result.extents[i] = extents[i];
    result.byte_size *= extents[i];
  }
  return result;
}

void fill(const Buffer& buffer, const fpool_tensor& tensor, float least) {
  std::mt19937 random(1);  // the same numbers in every run
  if (tensor.dtype == FPOOL_F32) {
    auto* const values = static_cast<float*>(buffer.data());
    std::uniform_real_distribution<float> distribution(least, 1);
    std::generate_n(values, tensor.byte_size / 4, [&] { return distribution(random); });
  } else if (tensor.dtype == FPOOL_F16 || tensor.dtype == FPOOL_BF16) {
    // Without the highest bit of the exponent: less than 2, and no NaN, which kernels look at
    // twice.
    auto* const values = static_cast<std::uint16_t*>(buffer.data());
    std::generate_n(values, tensor.byte_size / 2,
                    [&] { return static_cast<std::uint16_t>(random() & 0xbfff); });
  } else {
    auto* const values = static_cast<std::uint8_t*>(buffer.data());
    std::generate_n(values, tensor.byte_size, [&] { return static_cast<std::uint8_t>(random()); });
  }
}

std::int64_t Call::read_bytes() const {
  switch (operation) {
    case Operation::route_backward:
      return y.byte_size + mask.byte_size;
    case Operation::avg_backward:
      return y.byte_size;
    default:
      return x.byte_size;
  }
}

std::int64_t Call::write_bytes() const {
  switch (operation) {
    case Operation::route_backward:
    case Operation::avg_backward:
      return x.byte_size;
    default:
      return y.byte_size + (with_mask ? mask.byte_size : 0);
  }
}

std::optional<Call> call_of(const Row& row) {
  const std::optional<Operation> operation = operation_of(row);
  if (!operation) return std::nullopt;
  Call call;
  call.operation = *operation;
  call.with_mask = row.direction == "forward_mask" || call.operation == Operation::route_backward ||
                   call.operation == Operation::stochastic_forward;
  call.global = row.op == "global_avg";
  const auto rank = call.global ? (row.spatial[0] == 1 ? 2 : 3)  //
                                : static_cast<std::int32_t>(row.kernel.size());
  const std::int64_t outer = rank == 3 ? 1 : row.spatial[0] * (rank == 2 ? 1 : row.spatial[1]);
  if (rank < 1 || rank > 3 || outer != 1) {
    throw std::invalid_argument("cell " + row.id + ": the kernel does not fit the spatial axes");
  }
  call.window = window_of(row, rank, call.global);
  std::int64_t extents[5] = {row.n, row.c};
  std::copy(row.spatial.end() - rank, row.spatial.end(), extents + 2);
  const std::int32_t layout = row.interleaved ? FPOOL_INTERLEAVED : FPOOL_PLANAR;
  const std::span<const std::int64_t> shape(extents, static_cast<std::size_t>(2 + rank));
  call.x = tensor_of(row.u8 ? FPOOL_U8 : FPOOL_F32, layout, shape);
  if (fpool_output_extents(&call.x, &call.window, extents) != FPOOL_OK) {
    throw std::invalid_argument("cell " + row.id + ": " + fpool_last_error());
  }
  call.y = tensor_of(call.x.dtype, layout, shape);
  if (call.with_mask) {
    std::int64_t taps = 1;
    for (int i = 0; i < rank; ++i) taps *= call.window.kernel[i];
    call.mask = tensor_of(taps <= kCompactTaps ? FPOOL_U8 : FPOOL_I32, layout, shape);
  }
  return call;
}

std::string kernel_for(const Call& call) {
  Pooling pooling;
  pooling.operation = call.operation;
  pooling.geometry = make_geometry(call.x, call.window);
  pooling.layout = static_cast<Layout>(call.x.layout);
  pooling.dtype = call.x.dtype;
  if (call.with_mask) pooling.mask_type = static_cast<MaskType>(call.mask.dtype);
  return dispatch::kernel_for(pooling);
}

void Buffer::Free::operator()(void* data) const { std::free(data); }

Buffer::Buffer(std::int64_t size) {
  constexpr std::size_t alignment = 64;
  const auto bytes = (static_cast<std::size_t>(size) + alignment) / alignment * alignment;
  data_.reset(std::aligned_alloc(alignment, bytes));
  if (data_ == nullptr) throw std::bad_alloc();
}

Cell::Cell(const Call& call)
    : call_(call), x_(call.x.byte_size), y_(call.y.byte_size), mask_(call.mask.byte_size) {
  // Stochastic pooling takes activations.
  fill(x_, call_.x, call_.operation == Operation::stochastic_forward ? 0.0f : -1.0f);
  if (call_.operation == Operation::route_backward) {
    require(fpool_max_forward(&call_.x, x_.data(), &call_.window, &call_.y, y_.data(), &call_.mask,
                              mask_.data()));
  }
  fill(y_, call_.y, -1.0f);
}

void Cell::run() {
  const fpool_average average{};
  const fpool_stochastic stochastic{1, 1, 0};
  switch (call_.operation) {
    case Operation::max_forward:
      return require(fpool_max_forward(&call_.x, x_.data(), &call_.window, &call_.y, y_.data(),
                                       call_.with_mask ? &call_.mask : nullptr,
                                       call_.with_mask ? mask_.data() : nullptr));
    case Operation::route_backward:
      return require(fpool_route_backward(&call_.y, y_.data(), &call_.mask, mask_.data(),
                                          &call_.window, &call_.x, x_.data()));
    case Operation::avg_forward:
      return require(
          fpool_avg_forward(&call_.x, x_.data(), &call_.window, &average, &call_.y, y_.data()));
    case Operation::avg_backward:
      return require(
          fpool_avg_backward(&call_.y, y_.data(), &call_.window, &average, &call_.x, x_.data()));
    case Operation::median_forward:
      return require(fpool_median_forward(&call_.x, x_.data(), &call_.window, &call_.y, y_.data(),
                                          nullptr, nullptr));
    case Operation::stochastic_forward:
      return require(fpool_stochastic_forward(&call_.x, x_.data(), &call_.window, &stochastic,
                                              &call_.y, y_.data(), &call_.mask, mask_.data()));
    default:
      throw std::logic_error("call_of() makes no such call");
  }
}

}  // namespace featurepool::bench
