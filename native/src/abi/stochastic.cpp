// The C ABI: stochastic pooling.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>

#include "abi/call.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/threads.hpp"
#include "geometry/dtype.hpp"

using namespace featurepool;

namespace {

// Elements looked at between two decisions: a pass without branches, which compilers vectorise.
constexpr std::int64_t kBlock = 16384;
// From this many elements on, the pass is shared among threads.
constexpr std::int64_t kLeastShared = 16 * kBlock;

/** 1 for a finite number of at least 0, otherwise 0. */
template <typename T>
int is_activation(T value) {
  // Without a branch between the two.
  return static_cast<int>(value >= 0) & static_cast<int>(value <= std::numeric_limits<T>::max());
}

/** The first element that is no activation, in the order of memory; `size` if there is none. */
template <typename T>
std::int64_t first_wrong(const T* x, std::int64_t size) {
  std::atomic<std::int64_t> first{size};
  const auto search = [&](Span blocks) {
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const std::int64_t begin = block * kBlock;
      const std::int64_t end = std::min(size, begin + kBlock);
      if (begin >= first.load(std::memory_order_relaxed)) return;
      int wrong = 0;
      for (std::int64_t i = begin; i < end; ++i) wrong |= is_activation(x[i]) ^ 1;
      if (wrong == 0) continue;
      std::int64_t at = begin;
      while (is_activation(x[at]) != 0) ++at;
      std::int64_t known = first.load();
      while (at < known && !first.compare_exchange_weak(known, at)) {
      }
      return;
    }
  };
  const int threads = size < kLeastShared ? 1 : dispatch::get_threads();
  dispatch::parallel_for((size + kBlock - 1) / kBlock, threads, search);
  return first;
}

/** Logical position (n, c, then the spatial axes) of an element, given in the order of memory. */
Extents logical_position(const fpool_tensor& x, std::int64_t element) {
  const auto axes = static_cast<std::size_t>(2 + x.spatial_rank);
  std::array<std::size_t, 5> order{0, 1, 2, 3, 4};
  if (x.layout == FPOOL_INTERLEAVED) {
    std::rotate(order.begin() + 1, order.begin() + 2, order.begin() + axes);
  }
  Extents position{};
  for (std::size_t i = axes; i-- > 0;) {
    position[order[i]] = element % x.extents[order[i]];
    element /= x.extents[order[i]];
  }
  return position;
}

/** Stochastic pooling is of activations: refuses what no probability can be made of. */
void check_activations(const Buffer& x, const Geometry& geometry) {
  with_dtype<float, double>(x.tensor->dtype, [&]<typename T>() {
    const auto* data = static_cast<const T*>(x.data);
    const std::int64_t size = geometry.input_size();
    const std::int64_t wrong = first_wrong(data, size);
    if (wrong == size) return;
    const Extents position = logical_position(*x.tensor, wrong);
    const auto axes = static_cast<std::size_t>(2 + x.tensor->spatial_rank);
    fail(FPOOL_ERROR_INVALID_ARGUMENT, x.name, "[", join(std::span(position.data(), axes), ", "),
         "] is ", data[wrong],
         "; stochastic pooling takes activations, which are finite and at least 0");
  });
}

Draw make_draw(const fpool_stochastic* stochastic) {
  if (stochastic == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "stochastic is null");
  if (stochastic->reserved != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "stochastic.reserved is ", stochastic->reserved,
         "; it must be 0");
  }
  return {stochastic->seed, stochastic->training != 0};
}

}  // namespace

extern "C" {

fpool_status fpool_stochastic_forward(const fpool_tensor* x, const void* x_data,
                                      const fpool_window* window,
                                      const fpool_stochastic* stochastic, const fpool_tensor* y,
                                      void* y_data, const fpool_tensor* mask, void* mask_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::stochastic_forward, *x, window);
    pooling.draw = make_draw(stochastic);
    const Buffer positions{"mask", mask, mask_data};
    const bool with_mask = mask != nullptr || mask_data != nullptr;
    if (with_mask != pooling.draw.training) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "mask is ", with_mask ? "given" : "null",
           " and stochastic.training is ", stochastic->training,
           "; training records the locations it draws, inference draws none");
    }
    prepare_forward(pooling, input, {"y", y, y_data}, with_mask ? &positions : nullptr);
    check_activations(input, pooling.geometry);
    dispatch::run(pooling);
  });
}

fpool_status fpool_stochastic_backward(const fpool_tensor* dy, const void* dy_data,
                                       const fpool_tensor* x, const void* x_data,
                                       const fpool_window* window, const fpool_tensor* dx,
                                       void* dx_data) {
  return guard([&] {
    const Buffer input{"x", x, x_data};
    check_buffer(input);
    check_dtype(input, {FPOOL_F32, FPOOL_F64});
    auto pooling = make_pooling(Operation::stochastic_backward, *x, window);
    const Buffer gradient{"dx", dx, dx_data};
    check_buffer(gradient);
    check_dtype(gradient, {x->dtype});
    check_shape(gradient, *x, x->extents, "the input's");
    check_apart(gradient, input);
    prepare_backward(pooling, {"dy", dy, dy_data}, nullptr, gradient);
    pooling.x = x_data;
    check_activations(input, pooling.geometry);
    dispatch::run(pooling);
  });
}

}  // extern "C"
