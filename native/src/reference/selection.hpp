#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "reference/planes.hpp"

namespace featurepool::reference {

/** One tap that an operator selected. */
template <typename T>
struct Selected {
  T value{};
  std::int64_t position = FPOOL_MASK_NONE;         ///< in the plane
  std::int64_t ordinal = FPOOL_MASK_NONE_COMPACT;  ///< in the window
};

/** What a median gives where a window has no valid tap. */
template <typename T>
constexpr T no_median() {
  return std::numeric_limits<T>::has_quiet_NaN ? std::numeric_limits<T>::quiet_NaN() : T{0};
}

/** The first tap of a window, in row-major order, whose value `is_it`; none: without a position. */
template <typename T, class IsIt>
Selected<T> first_tap(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                      std::int64_t w, const IsIt& is_it) {
  const Span depth = g.d().taps(d);
  const Span rows = g.h().taps(h);
  const Span columns = g.w().taps(w);
  const std::int64_t dilation = g.w().dilation;
  for (std::int64_t td = depth.begin; td < depth.end; ++td) {
    for (std::int64_t th = rows.begin; th < rows.end; ++th) {
      std::int64_t i = (g.d().position(d, td) * g.h().input + g.h().position(h, th)) * g.w().input +
                       g.w().position(w, columns.begin);
      for (std::int64_t tw = columns.begin; tw < columns.end; ++tw, i += dilation) {
        if (is_it(x[i])) return {x[i], i, (td * g.h().kernel + th) * g.w().kernel + tw};
      }
    }
  }
  return {};
}

/** Medians of single windows; keeps its working memory from one to the next. */
template <typename T>
class WindowMedian {
 public:
  /** The lower median of a window: the first tap equal to it; the last NaN where there is one. */
  Selected<T> select(const Geometry& g, const Plane<const T>& x, std::int64_t d, std::int64_t h,
                     std::int64_t w) {
    values_.clear();
    Selected<T> nan{no_median<T>()};
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
      const T value = x[i];
      if (value != value) nan = {value, i, tap};
      values_.push_back(value);
    });
    if (values_.empty() || nan.position >= 0) return nan;
    const auto middle = values_.begin() + (static_cast<std::ptrdiff_t>(values_.size()) - 1) / 2;
    std::nth_element(values_.begin(), middle, values_.end());
    return first_equal(g, x, d, h, w, *middle);
  }

  /** The first tap of a window that equals `value`; one does. */
  static Selected<T> first_equal(const Geometry& g, const Plane<const T>& x, std::int64_t d,
                                 std::int64_t h, std::int64_t w, T value) {
    return first_tap(g, x, d, h, w, [value](T tap) { return tap == value; });
  }

 private:
  std::vector<T> values_;
};

/** Writes entry `i` of a mask of the call, if it has one. */
template <typename T>
void write_mask(const Pooling& p, std::int64_t i, const Selected<T>& selected) {
  if (p.mask_type == MaskType::position_u8) {
    static_cast<std::uint8_t*>(p.mask)[i] = static_cast<std::uint8_t>(selected.ordinal);
  } else if (p.mask_type == MaskType::plane_i32) {
    static_cast<std::int32_t*>(p.mask)[i] = static_cast<std::int32_t>(selected.position);
  }
}

}  // namespace featurepool::reference
