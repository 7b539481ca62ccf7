#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/pooling.hpp"

namespace featurepool {

/**
 * The taps of one window of an interleaved image, for kernels whose lanes run along C.
 *
 * `offset[i]` is the element of channel 0 of tap i, from `base`; `ordinal[i]` is its position
 * within the window and `position[i]` its position within the plane, from `base_position`.
 */
struct Taps {
  std::int64_t count;
  std::int64_t base;
  std::int64_t base_position;
  const std::int64_t* offset;
  const std::int32_t* ordinal;
  const std::int64_t* position;
};

// Windows of more taps than this are left to the reference rather than listed.
constexpr std::int64_t kMostListedTaps = 1 << 16;

/** Lists the taps of windows; a window wholly inside the input takes its offset table as it is. */
class InterleavedWindows {
 public:
  explicit InterleavedWindows(const Geometry& geometry)
      : g_(geometry),
        interior_d_(geometry.d().interior()),
        interior_h_(geometry.h().interior()),
        interior_w_(geometry.w().interior()) {
    Lists& all = inside_;
    for (std::int64_t td = 0; td < g_.d().kernel; ++td) {
      for (std::int64_t th = 0; th < g_.h().kernel; ++th) {
        for (std::int64_t tw = 0; tw < g_.w().kernel; ++tw) {
          all.add(g_, position(td * g_.d().dilation, th * g_.h().dilation, tw * g_.w().dilation),
                  static_cast<std::int32_t>(all.offset.size()));
        }
      }
    }
    clipped_.reserve(all.offset.size());
  }

  Taps at(std::int64_t d, std::int64_t h, std::int64_t w) {
    if (within(interior_d_, d) && within(interior_h_, h) && within(interior_w_, w)) {
      const std::int64_t first = position(g_.d().start(d), g_.h().start(h), g_.w().start(w));
      return inside_.taps(first * g_.channels, first);
    }
    clipped_.clear();
    const Span depth = g_.d().taps(d);
    const Span rows = g_.h().taps(h);
    const Span columns = g_.w().taps(w);
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = rows.begin; th < rows.end; ++th) {
        for (std::int64_t tw = columns.begin; tw < columns.end; ++tw) {
          clipped_.add(
              g_, position(g_.d().position(d, td), g_.h().position(h, th), g_.w().position(w, tw)),
              static_cast<std::int32_t>((td * g_.h().kernel + th) * g_.w().kernel + tw));
        }
      }
    }
    return clipped_.taps(0, 0);
  }

 private:
  struct Lists {
    std::vector<std::int64_t> offset;
    std::vector<std::int32_t> ordinal;
    std::vector<std::int64_t> position;

    void reserve(std::size_t taps) {
      offset.reserve(taps);
      ordinal.reserve(taps);
      position.reserve(taps);
    }
    void clear() {
      offset.clear();
      ordinal.clear();
      position.clear();
    }
    void add(const Geometry& g, std::int64_t at, std::int32_t tap) {
      offset.push_back(at * g.channels);
      ordinal.push_back(tap);
      position.push_back(at);
    }
    Taps taps(std::int64_t base, std::int64_t base_position) const {
      return {static_cast<std::int64_t>(offset.size()),
              base,
              base_position,
              offset.data(),
              ordinal.data(),
              position.data()};
    }
  };

  static bool within(const Span& span, std::int64_t i) { return i >= span.begin && i < span.end; }

  std::int64_t position(std::int64_t d, std::int64_t h, std::int64_t w) const {
    return (d * g_.h().input + h) * g_.w().input + w;
  }

  const Geometry& g_;
  Span interior_d_;
  Span interior_h_;
  Span interior_w_;
  Lists inside_;
  Lists clipped_;
};

/** An output position whose window holds a given input position, and through which tap. */
struct Covering {
  std::int64_t output;  ///< position on its axis
  std::int64_t tap;
};

/** The windows of one axis that hold input position `i`, in ascending order of output. */
inline void list_covering(const Axis& axis, std::int64_t i, std::vector<Covering>& list) {
  list.clear();
  const Span outputs = axis.covering(i);
  for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
    const std::int64_t reach = i - axis.start(o);
    if (reach % axis.dilation == 0) list.push_back({o, reach / axis.dilation});
  }
}

/** Most windows of one axis that hold any one input position. */
inline std::int64_t most_covering(const Axis& axis) {
  if (axis.bins == nullptr) return std::min(axis.kernel, (axis.reach() - 1) / axis.stride + 1);
  std::int64_t most = 1;
  for (std::int64_t o = 0, first = 0; o < axis.output; ++o) {
    while (axis.bins[first].end <= axis.bins[o].begin) ++first;
    most = std::max(most, o - first + 1);
  }
  return most;
}

/** Taps of one axis that an average counts for output `o`. */
inline std::int64_t counted_taps(const Axis& axis, const Divisor& divisor, std::int64_t o) {
  return divisor.include_padding ? axis.padded_taps(o) : axis.taps(o).size();
}

/** The divisor that all windows share; 0 where they differ. */
inline std::int64_t uniform_divisor(const Geometry& g, const Divisor& divisor) {
  if (divisor.override_by > 0) return divisor.override_by;
  for (const Axis& axis : g.axes) {
    const bool whole = divisor.include_padding && axis.bins == nullptr
                           ? axis.padded_taps(axis.output - 1) == axis.kernel
                           : axis.whole();
    if (!whole) return 0;
  }
  return g.taps();
}

}  // namespace featurepool
