// The C ABI from outside: what it refuses and how, what it promises about itself.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "featurepool/featurepool.h"

extern "C" int pool_from_c(void);

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kBytes = 4096;

enum class Call {
  output_extents,
  max_forward,
  min_forward,
  route_backward,
  mask_expand,
  avg_forward,
  avg_backward,
  median_forward,
  lp_forward,
  lp_backward,
  gem_forward,
  gem_backward,
  mixed_add_forward,
  mixed_add_backward
};

struct Name {
  Call call;
  const char* name;
};

constexpr Name kCalls[] = {{Call::output_extents, "output_extents"},
                           {Call::max_forward, "max_forward"},
                           {Call::min_forward, "min_forward"},
                           {Call::route_backward, "route_backward"},
                           {Call::mask_expand, "mask_expand"},
                           {Call::avg_forward, "avg_forward"},
                           {Call::avg_backward, "avg_backward"},
                           {Call::median_forward, "median_forward"},
                           {Call::lp_forward, "lp_forward"},
                           {Call::lp_backward, "lp_backward"},
                           {Call::gem_forward, "gem_forward"},
                           {Call::gem_backward, "gem_backward"},
                           {Call::mixed_add_forward, "mixed_add_forward"},
                           {Call::mixed_add_backward, "mixed_add_backward"}};

const char* name_of(Call call) { return kCalls[static_cast<int>(call)].name; }

/** The gradient needs the input of the forward call. */
bool needs_input(Call call) {
  return call == Call::lp_backward || call == Call::gem_backward ||
         call == Call::mixed_add_backward;
}

/** The gradient needs the output of the forward call. */
bool needs_output(Call call) { return call == Call::lp_backward || call == Call::gem_backward; }

bool has_exponents(Call call) { return call == Call::gem_forward || call == Call::gem_backward; }

bool has_weights(Call call) {
  return call == Call::mixed_add_forward || call == Call::mixed_add_backward;
}

bool is_backward(Call call) {
  return call == Call::route_backward || call == Call::avg_backward || needs_input(call);
}

bool has_mask(Call call) {
  return call == Call::max_forward || call == Call::min_forward || call == Call::median_forward ||
         call == Call::route_backward || call == Call::mask_expand;
}

std::int64_t byte_size(const fpool_tensor& t) {
  std::int64_t size = t.dtype == FPOOL_U8 ? 1 : t.dtype == FPOOL_I64 ? 8 : 4;
  for (int i = 0; i < 2 + t.spatial_rank; ++i) size *= t.extents[i];
  return size;
}

/**
 * The operands of every call, as a good caller has them: x 2x3x7x9, k3 s2 with a padding of 1, y
 * 2x3x4x5. In backward calls x stands for dx and y for dy, and the input and the output of the
 * forward call come beside them.
 */
struct Operands {
  Operands() {
    mask.dtype = FPOOL_U8;
    indices.dtype = FPOOL_I64;
    for (fpool_tensor* t : {&x, &y, &mask, &indices, &input, &output}) t->byte_size = byte_size(*t);
    // Positions within the window; tap 4 is its middle, which is inside the input everywhere.
    std::fill(storage[2].begin(), storage[2].end(), 4);
  }

  fpool_status operator()(Call call) {
    switch (call) {
      case Call::output_extents:
        return fpool_output_extents(x_pointer, window_pointer, extents);
      case Call::max_forward:
        return fpool_max_forward(x_pointer, x_data, window_pointer, y_pointer, y_data, mask_pointer,
                                 mask_data);
      case Call::min_forward:
        return fpool_min_forward(x_pointer, x_data, window_pointer, y_pointer, y_data, mask_pointer,
                                 mask_data);
      case Call::route_backward:
        return fpool_route_backward(y_pointer, y_data, mask_pointer, mask_data, window_pointer,
                                    x_pointer, x_data);
      case Call::mask_expand:
        return fpool_mask_expand(x_pointer, window_pointer, mask_pointer, mask_data, index_base,
                                 indices_pointer, indices_data);
      case Call::avg_forward:
        return fpool_avg_forward(x_pointer, x_data, window_pointer, average_pointer, y_pointer,
                                 y_data);
      case Call::avg_backward:
        return fpool_avg_backward(y_pointer, y_data, window_pointer, average_pointer, x_pointer,
                                  x_data);
      case Call::median_forward:
        return fpool_median_forward(x_pointer, x_data, window_pointer, y_pointer, y_data,
                                    mask_pointer, mask_data);
      case Call::lp_forward:
        return fpool_lp_forward(x_pointer, x_data, window_pointer, p, y_pointer, y_data);
      case Call::lp_backward:
        return fpool_lp_backward(input_pointer, input_data, output_pointer, output_data, y_pointer,
                                 y_data, window_pointer, p, x_pointer, x_data);
      case Call::gem_forward:
        return fpool_gem_forward(x_pointer, x_data, window_pointer, values_pointer, values_count,
                                 epsilon, y_pointer, y_data);
      case Call::gem_backward:
        return fpool_gem_backward(input_pointer, input_data, output_pointer, output_data, y_pointer,
                                  y_data, window_pointer, values_pointer, values_count, epsilon,
                                  x_pointer, x_data, gradients);
      case Call::mixed_add_forward:
        return fpool_mixed_add_forward(x_pointer, x_data, window_pointer, values_pointer,
                                       values_count, y_pointer, y_data);
      case Call::mixed_add_backward:
        return fpool_mixed_add_backward(input_pointer, input_data, y_pointer, y_data,
                                        window_pointer, values_pointer, values_count, x_pointer,
                                        x_data, gradients);
    }
    return FPOOL_ERROR_INTERNAL;
  }

  fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {2, 3, 7, 9, 1}, 0};
  fpool_tensor y{FPOOL_F32, FPOOL_PLANAR, 2, 0, {2, 3, 4, 5, 1}, 0};
  fpool_tensor mask = y;
  fpool_tensor indices = y;
  fpool_tensor input = x;
  fpool_tensor output = y;
  fpool_window window{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2, FPOOL_PAD_EXPLICIT, 0, 0};
  fpool_average average{};
  std::int32_t index_base = FPOOL_INDEX_PLANE;
  double p = 2;
  double epsilon = 1e-6;
  double values[3] = {1, 0.5, 0.25};  // exponents or weights, one per channel
  std::int64_t values_count = 3;
  double gradients[3] = {-7, -7, -7};

  const fpool_tensor* x_pointer = &x;
  const fpool_tensor* y_pointer = &y;
  const fpool_tensor* mask_pointer = &mask;
  const fpool_tensor* indices_pointer = &indices;
  const fpool_window* window_pointer = &window;
  const fpool_average* average_pointer = &average;
  const fpool_tensor* input_pointer = &input;
  const fpool_tensor* output_pointer = &output;
  const double* values_pointer = values;

  std::vector<std::vector<unsigned char>> storage =
      std::vector<std::vector<unsigned char>>(6, std::vector<unsigned char>(kBytes, 0x3e));
  unsigned char* x_data = storage[0].data();
  unsigned char* y_data = storage[1].data();
  unsigned char* mask_data = storage[2].data();
  unsigned char* indices_data = storage[3].data();
  unsigned char* input_data = storage[4].data();
  unsigned char* output_data = storage[5].data();
  std::int64_t extents[5] = {-7, -7, -7, -7, -7};
};

/** One thing that is wrong with a call. In `text`, {x} and {y} stand for the call's names of them.
 */
struct Fault {
  fpool_status status;
  std::string text;
  std::function<void(Operands&)> make;
};

std::string in_terms_of(Call call, std::string text) {
  for (const char* const name : {"x", "y"}) {
    const std::string place = std::string("{") + name + "}";
    const std::string word = (is_backward(call) ? "d" : "") + std::string(name);
    for (auto at = text.find(place); at != std::string::npos; at = text.find(place)) {
      text.replace(at, place.size(), word);
    }
  }
  return text;
}

/** The call must be refused as the fault says, and must not have written anything. */
void expect_refused(Call call, const Fault& fault) {
  Operands operands;
  fault.make(operands);
  const auto before = operands.storage;
  const std::string text = in_terms_of(call, fault.text);
  SCOPED_TRACE(std::string(name_of(call)) + ": " + text);
  EXPECT_EQ(operands(call), fault.status);
  const std::string message = fpool_last_error();
  EXPECT_NE(message.find(text), std::string::npos) << message;
  EXPECT_EQ(operands.storage, before);
  EXPECT_EQ(operands.extents[0], -7);
  EXPECT_EQ(operands.gradients[0], -7);
}

void expect_all_refused(const std::vector<Fault>& faults, const std::function<bool(Call)>& takes) {
  for (const auto [call, name] : kCalls) {
    if (!takes(call)) continue;
    for (const Fault& fault : faults) expect_refused(call, fault);
  }
}

bool any_call(Call) { return true; }

bool with_data(Call call) { return call != Call::output_extents && call != Call::mask_expand; }

TEST(Abi, GoodOperandsAreAccepted) {
  for (const auto [call, name] : kCalls) {
    Operands operands;
    EXPECT_EQ(operands(call), FPOOL_OK) << name_of(call) << ": " << fpool_last_error();
  }
}

TEST(Abi, CompilesAsC) { EXPECT_EQ(pool_from_c(), 0); }

TEST(Abi, VersionsAndSizes) {
  EXPECT_EQ(fpool_abi_version(), FPOOL_ABI_VERSION);
  EXPECT_STREQ(fpool_version(), FEATUREPOOL_VERSION);
  EXPECT_EQ(fpool_sizeof_tensor(), static_cast<std::int64_t>(sizeof(fpool_tensor)));
  EXPECT_EQ(fpool_sizeof_window(), static_cast<std::int64_t>(sizeof(fpool_window)));
  EXPECT_EQ(fpool_sizeof_average(), static_cast<std::int64_t>(sizeof(fpool_average)));
  EXPECT_EQ(fpool_sizeof_pyramid(), static_cast<std::int64_t>(sizeof(fpool_pyramid)));
  EXPECT_EQ(fpool_sizeof_spp_block(), static_cast<std::int64_t>(sizeof(fpool_spp_block)));
  EXPECT_EQ(fpool_sizeof_stochastic(), static_cast<std::int64_t>(sizeof(fpool_stochastic)));
  EXPECT_NE(fpool_active_isa(), nullptr);
}

TEST(Abi, RefusesBadWindows) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "window is null",
           [](Operands& o) { o.window_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "kernel is 0 in axis H",
           [](Operands& o) { o.window.kernel[0] = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "kernel is -2 in axis W",
           [](Operands& o) { o.window.kernel[1] = -2; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "stride is 0 in axis W",
           [](Operands& o) { o.window.stride[1] = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "stride is -1 in axis H",
           [](Operands& o) { o.window.stride[0] = -1; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "dilation is 0 in axis W",
           [](Operands& o) { o.window.dilation[1] = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "dilation is -5 in axis H",
           [](Operands& o) { o.window.dilation[0] = -5; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "pad_begin is 3 in axis W",
           [](Operands& o) { o.window.pad_begin[1] = 3; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "pad_end is 4 in axis H",
           [](Operands& o) { o.window.pad_end[0] = 4; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "pad_begin is -1 in axis H",
           [](Operands& o) { o.window.pad_begin[0] = -1; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "less than the dilated kernel, 3",
           [](Operands& o) { o.window.pad_end[1] = 3; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "reaches over 13 elements in axis W",
           [](Operands& o) { o.window.dilation[1] = 6; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "reaches over 10 elements in axis H",
           [](Operands& o) { o.window.kernel[0] = 10; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "window.spatial_rank is 1; the tensor has 2",
           [](Operands& o) { o.window.spatial_rank = 1; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "window.spatial_rank is 3; the tensor has 2",
           [](Operands& o) { o.window.spatial_rank = 3; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "window.spatial_rank is 0",
           [](Operands& o) { o.window.spatial_rank = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "window.spatial_rank is 4",
           [](Operands& o) { o.window.spatial_rank = 4; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "window.padding is 9",
           [](Operands& o) { o.window.padding = 9; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "window.adaptive is set with padding",
           [](Operands& o) {
             o.window.adaptive = 1;
             o.window.padding = FPOOL_PAD_VALID;
           }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "window.ceil_mode is 1",
           [](Operands& o) {
             o.window.padding = FPOOL_PAD_SAME_UPPER;
             o.window.ceil_mode = 1;
           }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "kernel is 9223372036854775807",
           [](Operands& o) { o.window.kernel[0] = kMost; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "dilation 1152921504606846976 times kernel 3",
           [](Operands& o) { o.window.dilation[1] = std::int64_t{1} << 60; }},
      },
      any_call);
}

TEST(Abi, RefusesBadInputDescriptors) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x} is null", [](Operands& o) { o.x_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.dtype is 0", [](Operands& o) { o.x.dtype = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.dtype is 99", [](Operands& o) { o.x.dtype = 99; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.layout is 2", [](Operands& o) { o.x.layout = 2; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.spatial_rank is 0",
           [](Operands& o) { o.x.spatial_rank = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.spatial_rank is 4",
           [](Operands& o) { o.x.spatial_rank = 4; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}.reserved is 5",
           [](Operands& o) { o.x.reserved = 5; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents[0] is -1",
           [](Operands& o) { o.x.extents[0] = -1; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents[1] is 0",
           [](Operands& o) { o.x.extents[1] = 0; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents[2] is 0",
           [](Operands& o) { o.x.extents[2] = 0; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents[3] is -4",
           [](Operands& o) { o.x.extents[3] = -4; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents are 2x3x4611686018427387904x9",
           [](Operands& o) { o.x.extents[2] = std::int64_t{1} << 62; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{x}.extents are 0x3x9223372036854775807x9",
           [](Operands& o) {
             o.x.extents[0] = 0;
             o.x.extents[2] = kMost;
           }},
      },
      any_call);
}

TEST(Abi, RefusesBadBuffers) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "{x}_data is null",
           [](Operands& o) { o.x_data = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{y} is null", [](Operands& o) { o.y_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "{y}_data is null",
           [](Operands& o) { o.y_data = nullptr; }},
          {FPOOL_ERROR_BAD_BUFFER, "{x}.byte_size is 1511; its extents need 1512 bytes",
           [](Operands& o) { o.x.byte_size = 1511; }},
          {FPOOL_ERROR_BAD_BUFFER, "{x}.byte_size is -1", [](Operands& o) { o.x.byte_size = -1; }},
          {FPOOL_ERROR_BAD_BUFFER, "{y}.byte_size is 479; its extents need 480 bytes",
           [](Operands& o) { o.y.byte_size = 479; }},
          {FPOOL_ERROR_BAD_BUFFER, "{x}_data is at address", [](Operands& o) { o.x_data += 2; }},
          {FPOOL_ERROR_BAD_BUFFER, "must be a multiple of 4", [](Operands& o) { o.y_data += 1; }},
          {FPOOL_ERROR_BAD_BUFFER, "overlap", [](Operands& o) { o.y_data = o.x_data; }},
          {FPOOL_ERROR_BAD_BUFFER, "overlap", [](Operands& o) { o.y_data = o.x_data + 1508; }},
          {FPOOL_ERROR_BAD_BUFFER, "overlap", [](Operands& o) { o.x_data = o.y_data + 476; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{y}.extents are 2x3x4x4; they must be 2x3x4x5",
           [](Operands& o) { o.y.extents[3] = 4; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{y}.extents are 1x3x4x5; they must be 2x3x4x5",
           [](Operands& o) { o.y.extents[0] = 1; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "{y}.spatial_rank is 1",
           [](Operands& o) { o.y.spatial_rank = 1; }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "{y}.layout is interleaved",
           [](Operands& o) { o.y.layout = FPOOL_INTERLEAVED; }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "{x}.dtype is i64",
           [](Operands& o) {
             o.x.dtype = FPOOL_I64;
             o.x.byte_size = byte_size(o.x);
           }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "{y}.dtype is u8",
           [](Operands& o) { o.y.dtype = FPOOL_U8; }},
      },
      with_data);
}

TEST(Abi, RefusesTypesThatAGradientHasNot) {
  for (const Call call : {Call::route_backward, Call::avg_backward}) {
    expect_refused(call, {FPOOL_ERROR_UNSUPPORTED_TYPE, "dx.dtype is u8; it must be f32",
                          [](Operands& o) { o.x.dtype = FPOOL_U8; }});
  }
}

TEST(Abi, RefusesBadMasks) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "mask is null",
           [](Operands& o) { o.mask_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "mask_data is null",
           [](Operands& o) { o.mask_data = nullptr; }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.dtype is f32; it must be u8 or i32",
           [](Operands& o) {
             o.mask.dtype = FPOOL_F32;
             o.mask.byte_size = 480;
           }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "mask.extents are 2x3x5x4; they must be 2x3x4x5",
           [](Operands& o) { std::swap(o.mask.extents[2], o.mask.extents[3]); }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.layout is interleaved",
           [](Operands& o) { o.mask.layout = FPOOL_INTERLEAVED; }},
          {FPOOL_ERROR_BAD_BUFFER, "mask.byte_size is 119",
           [](Operands& o) { o.mask.byte_size = 119; }},
          {FPOOL_ERROR_BAD_BUFFER, "mask.byte_size is 120",
           [](Operands& o) { o.mask.dtype = FPOOL_I32; }},
          {FPOOL_ERROR_BAD_BUFFER, "mask_data is at address",
           [](Operands& o) {
             o.mask.dtype = FPOOL_I32;
             o.mask.byte_size = 480;
             o.mask_data += 1;
           }},
      },
      has_mask);
}

TEST(Abi, RefusesMasksThatOverlap) {
  const auto over_x = [](Operands& o) { o.mask_data = o.x_data + 1511; };
  const auto over_y = [](Operands& o) { o.mask_data = o.y_data + 479; };
  expect_refused(Call::max_forward, {FPOOL_ERROR_BAD_BUFFER, "mask_data and x_data", over_x});
  expect_refused(Call::max_forward, {FPOOL_ERROR_BAD_BUFFER, "mask_data and y_data", over_y});
  expect_refused(Call::route_backward, {FPOOL_ERROR_BAD_BUFFER, "dx_data and mask_data", over_x});
  expect_refused(Call::mask_expand, {FPOOL_ERROR_BAD_BUFFER, "indices_data and mask_data",
                                     [](Operands& o) { o.mask_data = o.indices_data + 959; }});
}

TEST(Abi, BuffersMayTouch) {
  Operands operands;
  operands.y_data = operands.x_data + 1512;
  operands.mask_data = operands.y_data + 480;
  EXPECT_EQ(operands(Call::max_forward), FPOOL_OK) << fpool_last_error();
}

TEST(Abi, RefusesACompactMaskOfALargeWindow) {
  const Fault fault{FPOOL_ERROR_UNSUPPORTED_TYPE, "mask.dtype is u8 and the window has 256 taps",
                    [](Operands& o) {
                      o.x.extents[0] = o.x.extents[1] = 1;
                      o.x.extents[2] = o.x.extents[3] = 16;
                      o.x.byte_size = 1024;
                      o.window = {{16, 16}, {1, 1}, {}, {}, {1, 1}, 2, FPOOL_PAD_VALID, 0, 0};
                      for (fpool_tensor* t : {&o.y, &o.mask, &o.indices}) {
                        std::fill(t->extents, t->extents + 4, 1);
                      }
                    }};
  expect_all_refused({fault}, has_mask);
}

TEST(Abi, RefusesIndicesThatInt32CannotHold) {
  const Fault fault{FPOOL_ERROR_UNSUPPORTED_TYPE, "a plane has 4294967296 elements",
                    [](Operands& o) {
                      o.x.dtype = FPOOL_U8;
                      o.x.extents[0] = o.x.extents[1] = 1;
                      o.x.extents[2] = o.x.extents[3] = 65536;
                      // Refused for the mask, before anything is read.
                      o.x.byte_size = std::int64_t{1} << 32;
                      o.window = {{1, 1}, {65536, 65536}, {}, {}, {1, 1}, 2, FPOOL_PAD_VALID, 0, 0};
                      o.y.dtype = FPOOL_U8;
                      o.mask.dtype = FPOOL_I32;
                      for (fpool_tensor* t : {&o.y, &o.mask, &o.indices}) {
                        std::fill(t->extents, t->extents + 4, 1);
                      }
                      // 2^32 bytes from here on are no other buffer's.
                      o.y_data = o.x_data - 4096 - o.storage[1].size();
                      o.mask_data = o.y_data;
                    }};
  Operands operands;
  fault.make(operands);
  operands.y_data = operands.mask_data = reinterpret_cast<unsigned char*>(std::uintptr_t{64});
  EXPECT_EQ(operands(Call::mask_expand), fault.status);
  EXPECT_NE(std::string(fpool_last_error()).find(fault.text), std::string::npos)
      << fpool_last_error();
}

/** An entry that is no position must not become an address. */
TEST(Abi, RefusesBadMaskEntries) {
  const auto compact = [](std::size_t entry, unsigned char value) {
    return [=](Operands& o) { o.mask_data[entry] = value; };
  };
  const auto plane = [](std::size_t entry, std::int32_t value) {
    return [=](Operands& o) {
      o.mask.dtype = FPOOL_I32;
      o.mask.byte_size = 480;
      std::memset(o.mask_data, 0, 480);
      std::memcpy(o.mask_data + entry * 4, &value, 4);
    };
  };
  for (const Call call : {Call::route_backward, Call::mask_expand}) {
    for (const Fault& fault : std::vector<Fault>{
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[0] is 9", compact(0, 9)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[119] is 254", compact(119, 254)},
             // Taps of the window, but in the padding: above, left of, below, right of the input.
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[0] is 0", compact(0, 0)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[2] is 1", compact(2, 1)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[5] is 3", compact(5, 3)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[29] is 5", compact(29, 5)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[118] is 7", compact(118, 7)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[3] is -2", plane(3, -2)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[119] is 63", plane(119, 63)},
             {FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[60] is 2147483647", plane(60, 2147483647)},
         }) {
      expect_refused(call, fault);
    }
  }
}

TEST(Abi, EveryMaskEntryIsChecked) {
  // One plane of 3 x 3000 outputs, so that a check in blocks has whole blocks and a rest.
  fpool_tensor dx{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 6, 6000}, 4 * 36000};
  fpool_tensor dy{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 3, 3000}, 4 * 9000};
  fpool_tensor mask{FPOOL_U8, FPOOL_PLANAR, 2, 0, {1, 1, 3, 3000}, 9000};
  const fpool_window window{{2, 2}, {2, 2}, {}, {}, {1, 1}, 2, FPOOL_PAD_VALID, 0, 0};
  std::vector<float> dx_data(36000, 5.0f);
  const std::vector<float> dy_data(9000, 1.0f);
  std::vector<std::uint8_t> mask_data(9000, 3);
  for (std::size_t entry = 0; entry < mask_data.size(); entry += 37) {
    mask_data[entry] = 4;
    EXPECT_EQ(fpool_route_backward(&dy, dy_data.data(), &mask, mask_data.data(), &window, &dx,
                                   dx_data.data()),
              FPOOL_ERROR_INDEX_OUT_OF_RANGE)
        << entry;
    mask_data[entry] = 3;
  }
  EXPECT_EQ(dx_data, std::vector<float>(36000, 5.0f));
  EXPECT_EQ(fpool_route_backward(&dy, dy_data.data(), &mask, mask_data.data(), &window, &dx,
                                 dx_data.data()),
            FPOOL_OK);
}

TEST(Abi, MasksThatThreadsShareAreCheckedWhole) {
  ASSERT_EQ(fpool_set_threads(3), FPOOL_OK);
  const fpool_window window{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2, FPOOL_PAD_EXPLICIT, 0, 0};
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    fpool_tensor dx{FPOOL_F32, layout, 2, 0, {6, 33, 70, 61, 1}, 0};
    fpool_tensor dy{FPOOL_F32, layout, 2, 0, {6, 33, 35, 31, 1}, 0};
    fpool_tensor mask = dy;
    mask.dtype = FPOOL_U8;
    for (fpool_tensor* t : {&dx, &dy, &mask}) t->byte_size = byte_size(*t);
    std::vector<float> dx_data(static_cast<std::size_t>(dx.byte_size / 4), -7);
    std::vector<float> dy_data(static_cast<std::size_t>(dy.byte_size / 4), 1);
    std::vector<std::uint8_t> mask_data(dy_data.size(), 4);
    const auto backward = [&] {
      return fpool_route_backward(&dy, dy_data.data(), &mask, mask_data.data(), &window, &dx,
                                  dx_data.data());
    };
    for (const std::size_t at : {std::size_t{0}, mask_data.size() / 2, mask_data.size() - 1}) {
      mask_data[at] = 9;
      mask_data.back() = 11;  // the first is named
      EXPECT_EQ(backward(), FPOOL_ERROR_INDEX_OUT_OF_RANGE);
      const std::string name = "mask_data[" + std::to_string(at) + "] is ";
      EXPECT_NE(std::string(fpool_last_error()).find(name), std::string::npos)
          << fpool_last_error();
      EXPECT_EQ(dx_data, std::vector<float>(dx_data.size(), -7));
      mask_data[at] = mask_data.back() = 4;
    }
    EXPECT_EQ(backward(), FPOOL_OK) << fpool_last_error();
  }
  EXPECT_EQ(fpool_set_threads(0), FPOOL_OK);
}

TEST(Abi, EntriesWithoutAPositionAreSkipped) {
  Operands operands;
  std::fill(operands.mask_data, operands.mask_data + 120, FPOOL_MASK_NONE_COMPACT);
  EXPECT_EQ(operands(Call::route_backward), FPOOL_OK) << fpool_last_error();
  EXPECT_TRUE(std::all_of(operands.x_data, operands.x_data + 1512, [](int b) { return b == 0; }));
  EXPECT_EQ(operands(Call::mask_expand), FPOOL_OK) << fpool_last_error();
  EXPECT_TRUE(std::all_of(operands.indices_data, operands.indices_data + 960,
                          [](int b) { return b == 0xff; }));
}

TEST(Abi, RefusesBadAverages) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "average is null",
           [](Operands& o) { o.average_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "average.divisor_override is -1",
           [](Operands& o) { o.average.divisor_override = -1; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "average.reserved is 1",
           [](Operands& o) { o.average.reserved = 1; }},
      },
      [](Call call) { return call == Call::avg_forward || call == Call::avg_backward; });
}

TEST(Abi, RefusesBadExponents) {
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  const double kInfinity = std::numeric_limits<double>::infinity();
  for (const Call call : {Call::lp_forward, Call::lp_backward}) {
    for (const double p : {0.0, 0.99, -1.0, kNan, -kInfinity}) {
      expect_refused(call, {FPOOL_ERROR_INVALID_ARGUMENT, "; it must be at least 1, or infinity",
                            [p](Operands& o) { o.p = p; }});
    }
    expect_refused(call,
                   {FPOOL_ERROR_INVALID_ARGUMENT, "p is nan", [kNan](Operands& o) { o.p = kNan; }});
  }
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "p is null",
           [](Operands& o) { o.values_pointer = nullptr; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "p has 2 values; it must have 1, or 3, one per channel",
           [](Operands& o) { o.values_count = 2; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "p has 0 values", [](Operands& o) { o.values_count = 0; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "p has -1 values", [](Operands& o) { o.values_count = -1; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "p[2] is 0; it must be greater than 0 and finite",
           [](Operands& o) { o.values[2] = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "p[0] is nan", [=](Operands& o) { o.values[0] = kNan; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "p[1] is inf",
           [=](Operands& o) { o.values[1] = kInfinity; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "p is -2",
           [](Operands& o) {
             o.values_count = 1;
             o.values[0] = -2;
           }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "epsilon is 0; it must be greater than 0 and finite",
           [](Operands& o) { o.epsilon = 0; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "epsilon is nan", [=](Operands& o) { o.epsilon = kNan; }},
      },
      has_exponents);
}

TEST(Abi, RefusesBadWeights) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "alpha is null",
           [](Operands& o) { o.values_pointer = nullptr; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "alpha has 4 values; it must have 1, or 3, one per channel",
           [](Operands& o) { o.values_count = 4; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "alpha[1] is 1.5; it must be at least 0 and at most 1",
           [](Operands& o) { o.values[1] = 1.5; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "alpha[0] is -0.25",
           [](Operands& o) { o.values[0] = -0.25; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "alpha is nan",
           [](Operands& o) {
             o.values_count = 1;
             o.values[0] = std::numeric_limits<double>::quiet_NaN();
           }},
      },
      has_weights);
}

TEST(Abi, RefusesBadOperandsOfTheForwardCall) {
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "x is null",
           [](Operands& o) { o.input_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "x_data is null",
           [](Operands& o) { o.input_data = nullptr; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "x.extents are 2x3x7x8; they must be 2x3x7x9",
           [](Operands& o) { o.input.extents[3] = 8; }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "x.dtype is f64",
           [](Operands& o) {
             o.input.dtype = FPOOL_F64;
             o.input.byte_size *= 2;
           }},
          {FPOOL_ERROR_BAD_BUFFER, "x.byte_size is 1511",
           [](Operands& o) { o.input.byte_size = 1511; }},
          {FPOOL_ERROR_BAD_BUFFER, "overlap", [](Operands& o) { o.input_data = o.x_data; }},
      },
      needs_input);
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "y is null",
           [](Operands& o) { o.output_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "y_data is null",
           [](Operands& o) { o.output_data = nullptr; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "y.extents are 2x3x4x4; they must be 2x3x4x5",
           [](Operands& o) { o.output.extents[3] = 4; }},
          {FPOOL_ERROR_BAD_BUFFER, "y.byte_size is 479",
           [](Operands& o) { o.output.byte_size = 479; }},
          {FPOOL_ERROR_BAD_BUFFER, "overlap", [](Operands& o) { o.output_data = o.x_data + 1500; }},
      },
      needs_output);
}

TEST(Abi, GradientsOfParametersAreOptional) {
  for (const bool exponents : {true, false}) {
    Operands o;
    const auto backward = [&](double* gradients) {
      return exponents ? fpool_gem_backward(&o.input, o.input_data, &o.output, o.output_data, &o.y,
                                            o.y_data, &o.window, o.values, 3, o.epsilon, &o.x,
                                            o.x_data, gradients)
                       : fpool_mixed_add_backward(&o.input, o.input_data, &o.y, o.y_data, &o.window,
                                                  o.values, 3, &o.x, o.x_data, gradients);
    };
    EXPECT_EQ(backward(nullptr), FPOOL_OK) << fpool_last_error();
    EXPECT_EQ(o.gradients[0], -7);
    const auto dx = o.storage[0];
    std::fill(o.storage[0].begin(), o.storage[0].end(), 0);
    EXPECT_EQ(backward(o.gradients), FPOOL_OK) << fpool_last_error();
    EXPECT_NE(o.gradients[0], -7);
    EXPECT_TRUE(std::equal(dx.begin(), dx.begin() + o.x.byte_size, o.storage[0].begin()));
  }
}

/** Averages and maxima side by side: y has twice the channels. */
TEST(Abi, RefusesAJoinedOutputOfOtherChannels) {
  Operands o;
  o.y.extents[1] = 6;
  o.y.byte_size *= 2;
  EXPECT_EQ(fpool_mixed_cat_forward(&o.x, o.x_data, &o.window, &o.y, o.y_data), FPOOL_OK)
      << fpool_last_error();
  EXPECT_EQ(
      fpool_mixed_cat_backward(&o.input, o.input_data, &o.y, o.y_data, &o.window, &o.x, o.x_data),
      FPOOL_OK)
      << fpool_last_error();
  o.y.extents[1] = 3;
  const auto before = o.storage;
  for (const bool is_gradient : {false, true}) {
    EXPECT_EQ(is_gradient ? fpool_mixed_cat_backward(&o.input, o.input_data, &o.y, o.y_data,
                                                     &o.window, &o.x, o.x_data)
                          : fpool_mixed_cat_forward(&o.x, o.x_data, &o.window, &o.y, o.y_data),
              FPOOL_ERROR_SHAPE_MISMATCH);
    EXPECT_NE(std::string(fpool_last_error()).find("y.extents are 2x3x4x5; they must be 2x6x4x5"),
              std::string::npos)
        << fpool_last_error();
  }
  EXPECT_EQ(o.storage, before);
}

TEST(Abi, RefusesBadExpansions) {
  const auto only = [](Call call) { return call == Call::mask_expand; };
  expect_all_refused(
      {
          {FPOOL_ERROR_INVALID_ARGUMENT, "index_base is -1",
           [](Operands& o) { o.index_base = -1; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "index_base is 4", [](Operands& o) { o.index_base = 4; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "indices is null",
           [](Operands& o) { o.indices_pointer = nullptr; }},
          {FPOOL_ERROR_INVALID_ARGUMENT, "indices_data is null",
           [](Operands& o) { o.indices_data = nullptr; }},
          {FPOOL_ERROR_UNSUPPORTED_TYPE, "indices.dtype is i32",
           [](Operands& o) { o.indices.dtype = FPOOL_I32; }},
          {FPOOL_ERROR_SHAPE_MISMATCH, "indices.extents are 2x3x4x6",
           [](Operands& o) {
             o.indices.extents[3] = 6;
             o.indices.byte_size *= 2;
           }},
          {FPOOL_ERROR_BAD_BUFFER, "indices.byte_size is 959",
           [](Operands& o) { o.indices.byte_size = 959; }},
      },
      only);
}

TEST(Abi, OutputExtentsWantsAPlaceForThem) {
  const Operands operands;
  EXPECT_EQ(fpool_output_extents(&operands.x, &operands.window, nullptr),
            FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(fpool_last_error(), "extents is null");
}

TEST(Abi, OutputExtentsFillsAllFive) {
  Operands operands;
  ASSERT_EQ(operands(Call::output_extents), FPOOL_OK);
  EXPECT_EQ(std::vector<std::int64_t>(operands.extents, operands.extents + 5),
            (std::vector<std::int64_t>{2, 3, 4, 5, 1}));
}

TEST(Abi, AnEmptyBatchNeedsNoBuffers) {
  for (const auto [call, name] : kCalls) {
    Operands o;
    for (fpool_tensor* t : {&o.x, &o.y, &o.mask, &o.indices, &o.input, &o.output}) {
      t->extents[0] = 0;
      t->byte_size = 0;
    }
    o.x_data = o.y_data = o.mask_data = o.indices_data = o.input_data = o.output_data = nullptr;
    EXPECT_EQ(o(call), FPOOL_OK) << name_of(call) << ": " << fpool_last_error();
  }
}

TEST(Abi, AMaskIsOptionalInForwardOnly) {
  Operands operands;
  operands.mask_pointer = nullptr;
  operands.mask_data = nullptr;
  EXPECT_EQ(operands(Call::max_forward), FPOOL_OK) << fpool_last_error();
  EXPECT_EQ(operands(Call::route_backward), FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(fpool_last_error(), "mask is null");
}

TEST(Abi, ErrorsAreTheThreadsOwn) {
  EXPECT_EQ(fpool_output_extents(nullptr, nullptr, nullptr), FPOOL_ERROR_INVALID_ARGUMENT);
  const std::string here = fpool_last_error();
  EXPECT_EQ(here, "x is null");
  std::string there = "?";
  std::thread([&] { there = fpool_last_error(); }).join();
  EXPECT_EQ(there, "");
  EXPECT_EQ(fpool_last_error(), here);
}

TEST(Abi, Threads) {
  EXPECT_GE(fpool_get_threads(), 1);
  for (const int bad : {-1, 1025, std::numeric_limits<int>::min()}) {
    EXPECT_EQ(fpool_set_threads(bad), FPOOL_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(fpool_last_error()).find("threads is " + std::to_string(bad)),
              std::string::npos)
        << fpool_last_error();
  }
  EXPECT_EQ(fpool_set_threads(3), FPOOL_OK);
  EXPECT_EQ(fpool_get_threads(), 3);
  EXPECT_EQ(fpool_set_threads(0), FPOOL_OK);
  EXPECT_GE(fpool_get_threads(), 1);
}

// --- masks ---

/** Indices of all four bases from both kinds of mask, in a geometry with windows without a tap. */
void check_expansion(std::int32_t layout) {
  constexpr std::int64_t N = 2, C = 3, D = 4, H = 5, W = 6;
  fpool_tensor x{FPOOL_F32, layout, 3, 0, {N, C, D, H, W}, 4 * N * C * D * H * W};
  const fpool_window window{{2, 2, 2}, {1, 2, 1},          {4, 0, 1}, {4, 1, 1}, {5, 1, 2},
                            3,         FPOOL_PAD_EXPLICIT, 0,         0};
  std::vector<float> x_data(static_cast<std::size_t>(N * C * D * H * W));
  for (std::size_t i = 0; i < x_data.size(); ++i) {
    x_data[i] = static_cast<float>(i * 7919 % 1009);
  }
  fpool_tensor y = x;
  ASSERT_EQ(fpool_output_extents(&x, &window, y.extents), FPOOL_OK) << fpool_last_error();
  y.byte_size = byte_size(y);
  const auto outputs = static_cast<std::size_t>(y.byte_size / 4);
  fpool_tensor compact = y, plane = y, indices = y;
  compact.dtype = FPOOL_U8;
  plane.dtype = FPOOL_I32;
  indices.dtype = FPOOL_I64;
  for (fpool_tensor* t : {&compact, &plane, &indices}) t->byte_size = byte_size(*t);
  std::vector<float> y_data(outputs);
  std::vector<std::uint8_t> compact_data(outputs);
  std::vector<std::int32_t> plane_data(outputs);
  ASSERT_EQ(fpool_max_forward(&x, x_data.data(), &window, &y, y_data.data(), &compact,
                              compact_data.data()),
            FPOOL_OK);
  ASSERT_EQ(
      fpool_max_forward(&x, x_data.data(), &window, &y, y_data.data(), &plane, plane_data.data()),
      FPOOL_OK);
  EXPECT_NE(std::count(plane_data.begin(), plane_data.end(), FPOOL_MASK_NONE), 0);

  const std::int64_t size = y.extents[2] * y.extents[3] * y.extents[4];
  for (std::int32_t base = FPOOL_INDEX_PLANE; base <= FPOOL_INDEX_TENSOR_COLUMN_MAJOR; ++base) {
    std::vector<std::int64_t> from_compact(outputs, -9), from_plane(outputs, -9);
    ASSERT_EQ(fpool_mask_expand(&x, &window, &compact, compact_data.data(), base, &indices,
                                from_compact.data()),
              FPOOL_OK)
        << fpool_last_error();
    ASSERT_EQ(fpool_mask_expand(&x, &window, &plane, plane_data.data(), base, &indices,
                                from_plane.data()),
              FPOOL_OK)
        << fpool_last_error();
    EXPECT_EQ(from_compact, from_plane);
    for (std::size_t i = 0; i < outputs; ++i) {
      const auto entry = static_cast<std::int64_t>(i);
      const bool planar = layout == FPOOL_PLANAR;
      const std::int64_t n = entry / (C * size);
      const std::int64_t c = planar ? entry / size % C : entry % C;
      const std::int64_t at = plane_data[i];
      std::int64_t expected = at;
      if (at >= 0) {
        const std::int64_t d = at / (H * W), h = at / W % H, w = at % W;
        const std::int64_t memory =
            planar ? (n * C + c) * D * H * W + at : (n * D * H * W + at) * C + c;
        EXPECT_EQ(x_data[static_cast<std::size_t>(memory)], y_data[i]);
        if (base == FPOOL_INDEX_IMAGE) expected = c * D * H * W + at;
        if (base == FPOOL_INDEX_TENSOR) expected = (n * C + c) * D * H * W + at;
        if (base == FPOOL_INDEX_TENSOR_COLUMN_MAJOR) {
          expected = (n * C + c) * D * H * W + (w * H + h) * D + d;
        }
      }
      ASSERT_EQ(from_plane[i], expected) << "base " << base << " entry " << i;
    }
  }
}

TEST(Masks, ExpandToEveryBasePlanar) { check_expansion(FPOOL_PLANAR); }

TEST(Masks, ExpandToEveryBaseInterleaved) { check_expansion(FPOOL_INTERLEAVED); }

TEST(Masks, WindowsWithoutATapGiveTheLowestValue) {
  const fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, 1}, 4};
  const fpool_tensor y{FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, 2}, 8};
  const fpool_tensor mask{FPOOL_I32, FPOOL_PLANAR, 1, 0, {1, 1, 2}, 8};
  const fpool_window window{{2}, {1}, {2}, {2}, {3}, 1, FPOOL_PAD_EXPLICIT, 0, 0};
  const float x_data = 5;
  float y_data[2];
  std::int32_t mask_data[2];
  ASSERT_EQ(fpool_max_forward(&x, &x_data, &window, &y, y_data, &mask, mask_data), FPOOL_OK);
  for (const int i : {0, 1}) {
    EXPECT_EQ(y_data[i], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(mask_data[i], FPOOL_MASK_NONE);
  }
  float dx_data = 3;
  ASSERT_EQ(fpool_route_backward(&y, y_data, &mask, mask_data, &window, &x, &dx_data), FPOOL_OK);
  EXPECT_EQ(dx_data, 0);
}

}  // namespace
