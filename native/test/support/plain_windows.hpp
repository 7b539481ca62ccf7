#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "featurepool/featurepool.h"
#include "support/random.hpp"

/** Windows, padded, dilated or adaptive, tap by tap: arithmetic of its own for the oracles. */
namespace featurepool::testing {

struct PlainTap {
  std::int64_t position;  ///< in the plane
  std::int64_t ordinal;   ///< in the window, row-major over the most taps that any has per axis
};

/** A tensor's extents under a window, with everything that an oracle asks. */
class PlainWindows {
 public:
  PlainWindows(const fpool_tensor& x, const fpool_window& window) : x_(x), window_(window) {
    for (int i = 0; i < 3; ++i) axes_[i] = axis(i - (3 - x.spatial_rank));
  }

  std::int64_t planes() const { return x_.extents[0] * x_.extents[1]; }
  std::int64_t input_plane() const { return axes_[0].input * axes_[1].input * axes_[2].input; }
  std::int64_t output_plane() const { return axes_[0].output * axes_[1].output * axes_[2].output; }

  /** Extents of the output, in the form of the ABI. */
  fpool_tensor output(std::int32_t dtype, std::int64_t element) const {
    fpool_tensor y = x_;
    y.dtype = dtype;
    for (int i = 0; i < x_.spatial_rank; ++i) {
      y.extents[2 + i] = axes_[static_cast<std::size_t>(3 - x_.spatial_rank + i)].output;
    }
    y.byte_size = planes() * output_plane() * element;
    return y;
  }

  /** Element of a tensor of planes of `size` elements, from logical plane and position. */
  std::size_t at(std::int64_t plane, std::int64_t position, std::int64_t size) const {
    const std::int64_t channels = x_.extents[1];
    if (x_.layout == FPOOL_PLANAR) return static_cast<std::size_t>(plane * size + position);
    return static_cast<std::size_t>((plane / channels * size + position) * channels +
                                    plane % channels);
  }

  /** The taps inside the input of the window of output `o` of a plane, in row-major order. */
  std::vector<PlainTap> taps(std::int64_t o) const {
    const auto& [d, h, w] = axes_;
    std::vector<PlainTap> list;
    const auto depth = along(d, o / w.output / h.output);
    const auto rows = along(h, o / w.output % h.output);
    const auto columns = along(w, o % w.output);
    for (const auto& [z, i] : depth) {
      for (const auto& [y, j] : rows) {
        for (const auto& [x, k] : columns) {
          list.push_back({(z * h.input + y) * w.input + x, (i * h.most + j) * w.most + k});
        }
      }
    }
    return list;
  }

 private:
  struct Axis {
    std::int64_t input = 1, output = 1, kernel = 1, stride = 1, pad = 0, dilation = 1, most = 1;
    bool adaptive = false;
  };

  Axis axis(int i) const {
    if (i < 0) return {};
    Axis a{x_.extents[2 + i],    1,
           window_.kernel[i],    window_.stride[i],
           window_.pad_begin[i], window_.dilation[i],
           window_.kernel[i],    window_.adaptive != 0};
    if (a.adaptive) {
      a.output = a.kernel;
      a.most = 0;
      for (std::int64_t o = 0; o < a.output; ++o) {
        a.most = std::max<std::int64_t>(a.most, static_cast<std::int64_t>(along(a, o).size()));
      }
      return a;
    }
    const std::int64_t slack =
        a.input + a.pad + window_.pad_end[i] - a.dilation * (a.kernel - 1) - 1;
    a.output = (slack + (window_.ceil_mode != 0 ? a.stride - 1 : 0)) / a.stride + 1;
    if (window_.ceil_mode != 0 && (a.output - 1) * a.stride >= a.input + a.pad) --a.output;
    return a;
  }

  static std::vector<std::pair<std::int64_t, std::int64_t>> along(const Axis& a, std::int64_t o) {
    std::vector<std::pair<std::int64_t, std::int64_t>> list;
    if (a.adaptive) {
      const std::int64_t begin = o * a.input / a.output;
      const std::int64_t end = ((o + 1) * a.input + a.output - 1) / a.output;
      for (std::int64_t i = begin; i < end; ++i) list.emplace_back(i, i - begin);
      return list;
    }
    for (std::int64_t t = 0; t < a.kernel; ++t) {
      const std::int64_t i = o * a.stride - a.pad + t * a.dilation;
      if (i >= 0 && i < a.input) list.emplace_back(i, t);
    }
    return list;
  }

  const fpool_tensor x_;
  const fpool_window window_;
  std::array<Axis, 3> axes_;
};

/** A tensor and a window that may not fit each other: the caller draws again. */
struct RandomWindows {
  fpool_tensor x{};
  fpool_window window{};

  /** `most` bounds the kernel along every axis. */
  RandomWindows(Random& random, std::int32_t dtype, std::int64_t element, std::int64_t most) {
    x.dtype = dtype;
    x.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
    const int rank = random.one_in(5) ? 3 : random.one_in(4) ? 1 : 2;
    x.spatial_rank = window.spatial_rank = rank;
    const bool planar = x.layout == FPOOL_PLANAR;
    x.extents[0] = random.one_in(40) ? 0 : random.between(1, 2);
    x.extents[1] = planar ? random.between(1, 3) : random.between(1, random.one_in(3) ? 70 : 6);
    window.adaptive = random.one_in(5) ? 1 : 0;
    window.ceil_mode = window.adaptive == 0 && random.one_in(3) ? 1 : 0;
    const bool stride_1 = random.one_in(2);
    const bool dilated = random.one_in(4);
    const bool padded = random.one_in(2);
    const bool square = random.one_in(2);
    for (int i = 0; i < rank; ++i) {
      const bool copy = square && i > 0;
      const std::int64_t taps = rank == 3 ? std::min<std::int64_t>(most, 3) : most;
      window.kernel[i] = copy ? window.kernel[i - 1] : random.between(1, taps);
      window.stride[i] = stride_1 ? 1 : random.between(1, 5);
      window.dilation[i] = dilated ? random.between(1, 3) : 1;
      const std::int64_t reach = window.dilation[i] * (window.kernel[i] - 1) + 1;
      if (padded && window.adaptive == 0) {
        window.pad_begin[i] = random.between(0, reach - 1);
        window.pad_end[i] = random.between(0, reach - 1);
      }
      const std::int64_t room = i == rank - 1 && planar ? 90 : rank == 3 ? 7 : 16;
      x.extents[2 + i] = random.between(random.one_in(8) ? 1 : std::min(reach, room), room);
    }
    x.byte_size = element;
    for (int i = 0; i < 2 + rank; ++i) x.byte_size *= x.extents[i];
  }

  bool valid() const {
    std::int64_t extents[5];
    return fpool_output_extents(&x, &window, extents) == FPOOL_OK;
  }

  std::string describe() const {
    std::ostringstream text;
    const auto list = [&](const char* name, const std::int64_t* values, int count) {
      text << name;
      for (int i = 0; i < count; ++i) text << (i == 0 ? " " : "x") << values[i];
    };
    text << (x.layout == FPOOL_PLANAR ? "planar" : "interleaved") << " dtype " << x.dtype;
    list(", extents", x.extents, 2 + x.spatial_rank);
    list(window.adaptive != 0 ? ", bins" : ", kernel", window.kernel, x.spatial_rank);
    list(", stride", window.stride, x.spatial_rank);
    list(", pad", window.pad_begin, x.spatial_rank);
    list(" and", window.pad_end, x.spatial_rank);
    list(", dilation", window.dilation, x.spatial_rank);
    text << (window.ceil_mode != 0 ? ", ceil" : "");
    return text.str();
  }
};

}  // namespace featurepool::testing
