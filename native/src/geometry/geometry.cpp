#include "geometry/geometry.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "geometry/error.hpp"

namespace featurepool {
namespace {

// Bins are listed, so their number must fit memory.
constexpr std::int64_t kMostBins = std::int64_t{1} << 24;

// Positions are sums of a few extents; below this none of those sums can overflow.
constexpr std::int64_t kLargestExtent = std::int64_t{1} << 60;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

bool multiply_overflows(std::int64_t a, std::int64_t b, std::int64_t* product) {
  return __builtin_mul_overflow(a, b, product);
}

std::string in_axis(int axis, int rank) {
  static constexpr const char* names[] = {"D", "H", "W"};
  return std::string(" in axis ") + names[axis + FPOOL_MAX_SPATIAL_RANK - rank];
}

void check_positive(const char* name, std::int64_t value, const std::string& where) {
  if (value <= 0 || value > kLargestExtent) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is ", value, where, "; it must be at least 1",
         value > 0 ? " and at most 2^60" : "");
  }
}

void check_pad(const char* name, std::int64_t value, std::int64_t reach, const std::string& where) {
  if (value < 0 || value >= reach) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is ", value, where,
         "; it must be at least 0 and less than the dilated kernel, ", reach);
  }
}

/** Checks what an axis of a window has without an input; SAME padding is still unresolved. */
Axis resolve_window(const fpool_window& window, int index) {
  const std::string where = in_axis(index, window.spatial_rank);
  Axis axis;
  axis.kernel = window.kernel[index];
  axis.stride = window.stride[index];
  axis.dilation = window.dilation[index];
  check_positive("kernel", axis.kernel, where);
  check_positive("stride", axis.stride, where);
  check_positive("dilation", axis.dilation, where);
  std::int64_t reach = 0;
  if (multiply_overflows(axis.dilation, axis.kernel - 1, &reach) || reach >= kLargestExtent) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "dilation ", axis.dilation, " times kernel ", axis.kernel,
         where, " overflows; the dilated kernel must be less than 2^60");
  }
  reach += 1;
  if (window.padding == FPOOL_PAD_EXPLICIT) {
    axis.pad_begin = window.pad_begin[index];
    axis.pad_end = window.pad_end[index];
    check_pad("pad_begin", axis.pad_begin, reach, where);
    check_pad("pad_end", axis.pad_end, reach, where);
  }
  return axis;
}

/** Resolves the padding mode and computes the output extent of one axis. */
Axis resolve(std::int64_t input, const fpool_window& window, int index) {
  Axis axis = resolve_window(window, index);
  axis.input = input;
  const std::int64_t reach = axis.reach();
  const bool same =
      window.padding == FPOOL_PAD_SAME_UPPER || window.padding == FPOOL_PAD_SAME_LOWER;
  if (same) {
    axis.output = ceil_div(input, axis.stride);
    const std::int64_t total =
        std::max<std::int64_t>(0, (axis.output - 1) * axis.stride + reach - input);
    const std::int64_t smaller = total / 2;
    const std::int64_t larger = total - smaller;
    axis.pad_begin = window.padding == FPOOL_PAD_SAME_UPPER ? smaller : larger;
    axis.pad_end = total - axis.pad_begin;
    return axis;
  }
  const std::int64_t slack = input + axis.pad_begin + axis.pad_end - reach;
  if (window.ceil_mode != 0) {
    axis.output = ceil_div(slack, axis.stride) + 1;
    // The last window must start inside the input or its begin padding.
    if ((axis.output - 1) * axis.stride >= input + axis.pad_begin) axis.output -= 1;
  } else {
    axis.output = floor_div(slack, axis.stride) + 1;
  }
  if (axis.output <= 0) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "the window reaches over ", reach, " elements",
         in_axis(index, window.spatial_rank), ", more than the padded input has: ", axis.pad_begin,
         " + ", input, " + ", axis.pad_end, "; use a smaller kernel or dilation, or more padding");
  }
  return axis;
}

}  // namespace

Span Axis::covering(std::int64_t i) const {
  if (bins != nullptr) {
    const Span* const last = bins + output;
    const Span* const from =
        std::partition_point(bins, last, [i](const Span& bin) { return bin.end <= i; });
    const Span* const to =
        std::partition_point(from, last, [i](const Span& bin) { return bin.begin <= i; });
    return {from - bins, to - bins};
  }
  const std::int64_t first = ceil_div(i + pad_begin - (reach() - 1), stride);
  const std::int64_t last = (i + pad_begin) / stride;
  return {std::max<std::int64_t>(0, first), std::min(output, last + 1)};
}

Span Axis::interior() const {
  if (bins != nullptr) return {0, 0};
  const std::int64_t begin = std::min(output, ceil_div(pad_begin, stride));
  const std::int64_t end = floor_div(input - reach() + pad_begin, stride) + 1;
  return {begin, std::max(begin, std::min(output, end))};
}

std::vector<Span> adaptive_bins(std::int64_t input, std::int64_t output) {
  std::vector<Span> bins(static_cast<std::size_t>(output));
  // i * input overflows 64 bits where both are large.
  using Wide = unsigned __int128;
  const auto at = [&](std::int64_t i) { return static_cast<Wide>(i) * static_cast<Wide>(input); };
  for (std::int64_t i = 0; i < output; ++i) {
    const auto extent = static_cast<Wide>(output);
    bins[static_cast<std::size_t>(i)] = {static_cast<std::int64_t>(at(i) / extent),
                                         static_cast<std::int64_t>((at(i + 1) - 1) / extent) + 1};
  }
  return bins;
}

void Geometry::set_bins(int index, std::int64_t input, std::vector<Span> bins) {
  Axis axis;
  axis.input = input;
  axis.output = static_cast<std::int64_t>(bins.size());
  for (const Span& bin : bins) axis.kernel = std::max(axis.kernel, bin.size());
  const std::int64_t step = bins.size() > 1 ? bins[1].begin - bins[0].begin : 1;
  bool even = bins[0].begin == 0 && step > 0;
  for (std::size_t i = 0; i < bins.size() && even; ++i) {
    even = bins[i].size() == axis.kernel && bins[i].begin == static_cast<std::int64_t>(i) * step;
  }
  if (even) {
    axis.stride = bins.size() > 1 ? step : axis.kernel;
  } else {
    bins_[static_cast<std::size_t>(index)] =
        std::make_shared<const std::vector<Span>>(std::move(bins));
    axis.bins = bins_[static_cast<std::size_t>(index)]->data();
  }
  axes[static_cast<std::size_t>(index)] = axis;
}

std::int64_t dtype_size(std::int32_t dtype) {
  switch (dtype) {
    case FPOOL_I8:
    case FPOOL_U8:
      return 1;
    case FPOOL_F16:
    case FPOOL_BF16:
      return 2;
    case FPOOL_F32:
    case FPOOL_I32:
      return 4;
    case FPOOL_F64:
    case FPOOL_I64:
      return 8;
    default:
      return 0;
  }
}

const char* dtype_name(std::int32_t dtype) {
  switch (dtype) {
    case FPOOL_F32:
      return "f32";
    case FPOOL_F64:
      return "f64";
    case FPOOL_F16:
      return "f16";
    case FPOOL_BF16:
      return "bf16";
    case FPOOL_I8:
      return "i8";
    case FPOOL_U8:
      return "u8";
    case FPOOL_I32:
      return "i32";
    case FPOOL_I64:
      return "i64";
    default:
      return "no data type";
  }
}

std::int64_t checked_byte_size(const fpool_tensor& tensor, const char* name) {
  // N multiplies last: an empty batch must not hide that the other extents overflow.
  std::int64_t bytes = dtype_size(tensor.dtype);
  bool overflow = false;
  for (int i = 1; i < 2 + tensor.spatial_rank; ++i) {
    overflow = overflow || multiply_overflows(bytes, tensor.extents[i], &bytes);
  }
  overflow = overflow || multiply_overflows(bytes, tensor.extents[0], &bytes);
  if (overflow) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, name, ".extents are ",
         join(std::span(tensor.extents, static_cast<std::size_t>(2 + tensor.spatial_rank)), "x"),
         " of ", dtype_name(tensor.dtype), "; their size in bytes must be less than 2^63");
  }
  return bytes;
}

void check_tensor(const fpool_tensor* tensor, const char* name) {
  if (tensor == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is null");
  if (dtype_size(tensor->dtype) == 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, ".dtype is ", tensor->dtype,
         "; it must be one of FPOOL_F32 (1) to FPOOL_I64 (8)");
  }
  if (tensor->layout != FPOOL_PLANAR && tensor->layout != FPOOL_INTERLEAVED) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, ".layout is ", tensor->layout,
         "; it must be FPOOL_PLANAR (0) or FPOOL_INTERLEAVED (1)");
  }
  if (tensor->spatial_rank < 1 || tensor->spatial_rank > FPOOL_MAX_SPATIAL_RANK) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, ".spatial_rank is ", tensor->spatial_rank,
         "; it must be 1, 2 or 3");
  }
  if (tensor->reserved != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, name, ".reserved is ", tensor->reserved, "; it must be 0");
  }
  for (int i = 0; i < 2 + tensor->spatial_rank; ++i) {
    const std::int64_t least = i == 0 ? 0 : 1;
    if (tensor->extents[i] < least) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, name, ".extents[", i, "] is ", tensor->extents[i],
           "; it must be at least ", least);
    }
  }
  checked_byte_size(*tensor, name);
}

namespace {

void check_rank(const fpool_tensor& x, const fpool_window& window) {
  if (window.spatial_rank < 1 || window.spatial_rank > FPOOL_MAX_SPATIAL_RANK) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "window.spatial_rank is ", window.spatial_rank,
         "; it must be 1, 2 or 3");
  }
  if (window.spatial_rank != x.spatial_rank) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "window.spatial_rank is ", window.spatial_rank,
         "; the tensor has ", x.spatial_rank, " spatial axes");
  }
  if (window.padding < FPOOL_PAD_EXPLICIT || window.padding > FPOOL_PAD_VALID) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "window.padding is ", window.padding,
         "; it must be one of FPOOL_PAD_EXPLICIT (0) to FPOOL_PAD_VALID (3)");
  }
}

}  // namespace

Geometry make_geometry(const fpool_tensor& x, const fpool_window& window) {
  check_rank(x, window);
  const bool same =
      window.padding == FPOOL_PAD_SAME_UPPER || window.padding == FPOOL_PAD_SAME_LOWER;
  if (window.adaptive != 0 && (window.padding != FPOOL_PAD_EXPLICIT || window.ceil_mode != 0)) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "window.adaptive is set with padding ", window.padding,
         " and ceil_mode ", window.ceil_mode, "; bins have neither, so both must be 0");
  }
  if (same && window.ceil_mode != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "window.ceil_mode is ", window.ceil_mode,
         "; SAME padding gives ceil(input / stride) outputs already, so it must be 0");
  }

  Geometry geometry;
  geometry.batch = x.extents[0];
  geometry.channels = x.extents[1];
  const int unit_axes = FPOOL_MAX_SPATIAL_RANK - x.spatial_rank;
  if (window.adaptive != 0) {
    for (int i = 0; i < x.spatial_rank; ++i) {
      const std::int64_t bins = window.kernel[i];
      if (bins <= 0 || bins > kMostBins) {
        fail(FPOOL_ERROR_INVALID_ARGUMENT, "output is ", bins, in_axis(i, x.spatial_rank),
             "; it must be at least 1 and at most ", kMostBins);
      }
    }
    for (int i = 0; i < x.spatial_rank; ++i) {
      geometry.set_bins(unit_axes + i, x.extents[2 + i],
                        adaptive_bins(x.extents[2 + i], window.kernel[i]));
    }
  } else {
    for (int i = 0; i < x.spatial_rank; ++i) {
      Axis& axis = geometry.axes[unit_axes + i];
      axis = resolve(x.extents[2 + i], window, i);
      // One output has no next one: kernels need not be ready for a step beyond the input.
      if (axis.output == 1) axis.stride = std::min(axis.stride, std::max(axis.input, axis.kernel));
    }
  }

  std::int64_t taps = 1;
  std::int64_t outputs = 8;  // the largest element size: indices are i64
  bool overflow = false;
  for (const Axis& axis : geometry.axes) {
    overflow = overflow || multiply_overflows(taps, axis.kernel, &taps);
    overflow = overflow || multiply_overflows(outputs, axis.output, &outputs);
  }
  overflow = overflow || multiply_overflows(outputs, geometry.channels, &outputs);
  overflow = overflow || multiply_overflows(outputs, geometry.batch, &outputs);
  if (overflow) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, "a window of ", geometry.d().kernel, "x", geometry.h().kernel,
         "x", geometry.w().kernel, " gives ", geometry.d().output, "x", geometry.h().output, "x",
         geometry.w().output,
         " outputs per plane; the number of taps and the size in bytes of "
         "the output must be less than 2^63");
  }
  return geometry;
}

std::array<std::int64_t, 5> unpooled_extents(const fpool_tensor& x, const fpool_window& window,
                                             const std::int64_t* requested) {
  check_rank(x, window);
  if (window.adaptive != 0 || window.padding == FPOOL_PAD_SAME_UPPER ||
      window.padding == FPOOL_PAD_SAME_LOWER) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "window.padding is ", window.padding,
         " and window.adaptive is ", window.adaptive,
         "; unpooling needs a kernel and explicit padding, to know what was pooled");
  }
  std::array<std::int64_t, 5> extents{x.extents[0], x.extents[1], 1, 1, 1};
  for (int i = 0; i < x.spatial_rank; ++i) {
    const std::string where = in_axis(i, window.spatial_rank);
    const Axis axis = resolve_window(window, i);
    std::int64_t extent = 0;
    const bool overflow =
        multiply_overflows(x.extents[2 + i] - 1, axis.stride, &extent) || extent > kLargestExtent;
    if (overflow) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "unpooling ", x.extents[2 + i], " elements", where,
           " overflows; the output must have at most 2^60");
    }
    extent += axis.reach() - axis.pad_begin - axis.pad_end;
    const std::int64_t most = extent + axis.stride - 1;
    const std::int64_t least = std::max<std::int64_t>(1, extent - axis.stride + 1);
    if (requested != nullptr) extent = requested[i];
    if (extent < least || extent > most) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "output size is ", extent, where, "; it must be at least ",
           least, " and at most ", most);
    }
    extents[static_cast<std::size_t>(2 + i)] = extent;
  }
  return extents;
}

}  // namespace featurepool
