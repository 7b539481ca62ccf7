#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "featurepool/featurepool.h"

namespace featurepool {

/** Order of the axes in memory. */
enum class Layout : std::int32_t { planar = FPOOL_PLANAR, interleaved = FPOOL_INTERLEAVED };

/** A half-open range. */
struct Span {
  std::int64_t begin;
  std::int64_t end;

  std::int64_t size() const { return end - begin; }
  bool empty() const { return end <= begin; }
};

/**
 * One spatial axis of a geometry: which input positions belong to which output position. Either
 * windows, which a formula gives, or bins, which are listed.
 */
struct Axis {
  std::int64_t input = 1;
  std::int64_t output = 1;
  std::int64_t kernel = 1;  ///< taps of a window; of bins: the most that any has
  std::int64_t stride = 1;
  std::int64_t pad_begin = 0;
  std::int64_t pad_end = 0;
  std::int64_t dilation = 1;
  /** One span per output, begins and ends ascending; null: windows. Owned by the Geometry. */
  const Span* bins = nullptr;

  /** Input position of tap 0 of the window at `o`; negative inside the begin padding. */
  std::int64_t start(std::int64_t o) const {
    return bins == nullptr ? o * stride - pad_begin : bins[o].begin;
  }

  /** Input position of tap `t` of the window at `o`. */
  std::int64_t position(std::int64_t o, std::int64_t t) const { return start(o) + t * dilation; }

  /** Extent of the dilated kernel. */
  std::int64_t reach() const { return dilation * (kernel - 1) + 1; }

  /** The taps of the window at `o` that lie inside the input. */
  Span taps(std::int64_t o) const {
    if (bins != nullptr) return {0, bins[o].size()};
    const std::int64_t first = start(o);
    // Kernels ask once per row; without dilation, no division.
    const std::int64_t begin = first >= 0 ? 0 : in_dilations(-first);
    const std::int64_t end = first >= input ? 0 : in_dilations(input - first);
    return {begin, std::max(begin, std::min(kernel, end))};
  }

  /** How many taps of the window at `o` lie before the end of the end padding. */
  std::int64_t padded_taps(std::int64_t o) const {
    if (bins != nullptr) return bins[o].size();
    return std::min(kernel, in_dilations(input + pad_end - start(o)));
  }

  /** The output positions whose windows may hold input position `i` (they do if dilation is 1). */
  Span covering(std::int64_t i) const;

  /** The output positions whose windows have all `kernel` taps inside the input; none of bins. */
  Span interior() const;

  /** Whether every window has all `kernel` taps inside the input. */
  bool whole() const {
    if (bins != nullptr) return false;
    return pad_begin == 0 && position(output - 1, kernel - 1) < input;
  }

 private:
  /** Number of dilation steps that reach over `distance` > 0, rounded up. */
  std::int64_t in_dilations(std::int64_t distance) const {
    return dilation == 1 ? distance : (distance + dilation - 1) / dilation;
  }
};

/** The bins of adaptive pooling: bin i of O is [floor(i I / O), floor(((i+1) I - 1) / O) + 1). */
std::vector<Span> adaptive_bins(std::int64_t input, std::int64_t output);

/** Batch, channels and the axes D, H, W (unit axes where the rank is less) of a pooling. */
struct Geometry {
  enum { D = 0, H = 1, W = 2 };

  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::array<Axis, 3> axes;

  /** Makes an axis one of bins; evenly spaced bins of one size become windows. */
  void set_bins(int axis, std::int64_t input, std::vector<Span> bins);

  /** Whether an axis has bins: no stride, no kernel that all windows share. */
  bool binned() const {
    return axes[D].bins != nullptr || axes[H].bins != nullptr || axes[W].bins != nullptr;
  }

  const Axis& d() const { return axes[D]; }
  const Axis& h() const { return axes[H]; }
  const Axis& w() const { return axes[W]; }

  std::int64_t planes() const { return batch * channels; }
  std::int64_t input_plane() const { return d().input * h().input * w().input; }
  std::int64_t output_plane() const { return d().output * h().output * w().output; }
  std::int64_t input_size() const { return planes() * input_plane(); }
  std::int64_t output_size() const { return planes() * output_plane(); }
  /** Taps of a window; of bins: a bound. */
  std::int64_t taps() const { return d().kernel * h().kernel * w().kernel; }

 private:
  std::array<std::shared_ptr<const std::vector<Span>>, 3> bins_;
};

/** Size in bytes of an element; 0 for a code that is no data type. */
std::int64_t dtype_size(std::int32_t dtype);

/** Name of a data type as the documentation writes it ("f32"). */
const char* dtype_name(std::int32_t dtype);

/** Product of the extents times the element size, all checked; `name` is for messages. */
std::int64_t checked_byte_size(const fpool_tensor& tensor, const char* name);

/** Checks the descriptor of a tensor on its own; throws an Error. */
void check_tensor(const fpool_tensor* tensor, const char* name);

/**
 * The geometry of `window` over a tensor of the extents of `x`, padding mode or bins resolved and
 * output extents computed. Throws an Error that names the parameter that does not fit.
 */
Geometry make_geometry(const fpool_tensor& x, const fpool_window& window);

/**
 * Extents of what unpooling a tensor of the extents of `x` gives: `(I-1)s - p0 - p1 + d(k-1) + 1`
 * along each axis, or the `requested` ones, which must differ from these by less than a stride.
 */
std::array<std::int64_t, 5> unpooled_extents(const fpool_tensor& x, const fpool_window& window,
                                             const std::int64_t* requested);

}  // namespace featurepool
