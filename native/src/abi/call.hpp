#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <new>

#include "dispatch/pooling.hpp"
#include "featurepool/featurepool.h"
#include "geometry/error.hpp"
#include "geometry/geometry.hpp"

/** What the entries of the C ABI share: the guard around them and the checks of their operands. */
namespace featurepool {

/** Keeps the message of this thread's refused call and returns its status. */
fpool_status refuse(fpool_status status, const char* message) noexcept;

/** The message of this thread's last refused call. */
const char* last_error() noexcept;

/** Runs `call`; turns whatever it throws into a status and this thread's message. */
template <typename Call>
fpool_status guard(Call call) noexcept {
  try {
    call();
    return FPOOL_OK;
  } catch (const Error& error) {
    return refuse(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return refuse(FPOOL_ERROR_OUT_OF_MEMORY, "no memory for the working buffers of the call");
  } catch (const std::exception& error) {
    return refuse(FPOOL_ERROR_INTERNAL, error.what());
  } catch (...) {
    return refuse(FPOOL_ERROR_INTERNAL, "an exception of unknown type");
  }
}

/** A descriptor and its data, under the name that messages use. */
struct Buffer {
  const char* name;
  const fpool_tensor* tensor;
  const void* data;

  std::int64_t byte_size() const { return checked_byte_size(*tensor, name); }
};

/** Checks a descriptor, its size, and that its data is there and aligned. */
void check_buffer(const Buffer& buffer);

/** Checks that two buffers do not overlap. */
void check_apart(const Buffer& a, const Buffer& b);

void check_dtype(const Buffer& buffer, std::initializer_list<std::int32_t> allowed);

/** `buffer` must have the layout of `like` and the given extents; `reason` ends the message. */
void check_shape(const Buffer& buffer, const fpool_tensor& like, const std::int64_t* extents,
                 const char* reason);

using Extents = std::array<std::int64_t, 5>;

Extents output_extents(const Geometry& geometry, int spatial_rank);

/** The parts that all operators over windows share: geometry, layout and type of a call over `x`.
 */
Pooling make_pooling(Operation operation, const fpool_tensor& x, const fpool_window* window);

inline constexpr const char* kOutputOf = "the output of this window over the input";

/** Checks the divisor of an average. */
Divisor make_divisor(const fpool_average* average);

/** Checks a mask of the given extents and returns its type. */
MaskType check_mask_buffer(const Buffer& mask, const Geometry& geometry, const fpool_tensor& like,
                           const Extents& extents);

/** Checks the outputs of a forward call over windows and enters all operands; `mask` may be null.
 */
void prepare_forward(Pooling& pooling, const Buffer& x, const Buffer& y, const Buffer* mask);

/** Checks the outputs of a forward call over windows and runs it; `mask` may be null. */
void forward(Pooling pooling, const Buffer& x, const Buffer& y, const Buffer* mask);

/** Checks the operands of a backward call over windows and enters them; `mask` may be null. */
void prepare_backward(Pooling& pooling, const Buffer& dy, const Buffer* mask, const Buffer& dx);

/** Checks the operands of a backward call over windows and runs it; `mask` may be null. */
void backward(Pooling pooling, const Buffer& dy, const Buffer* mask, const Buffer& dx);

/** forward() to an output of other extents; `reason` says what they are. */
void forward_into(Pooling pooling, const Buffer& x, const Buffer& y, const Extents& extents,
                  const char* reason);

/** backward() from the gradient of an output of other extents. */
void backward_from(Pooling pooling, const Buffer& dy, const Buffer& dx, const Extents& extents,
                   const char* reason);

/** Checks the forward call's input, which a gradient needs, and names it to the call. */
void add_input(Pooling& pooling, const Buffer& x, const Buffer& dx);

/** Checks the forward call's output, which a gradient needs, and names it to the call. */
void add_output(Pooling& pooling, const Buffer& y, const Buffer& dx);

}  // namespace featurepool
