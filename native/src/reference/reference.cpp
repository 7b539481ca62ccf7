#include "reference/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace featurepool::reference {
namespace {

/** One plane of a tensor: consecutive elements are `step` apart (the channels, if interleaved). */
template <typename T>
struct Plane {
  T* data;
  std::int64_t step;

  T& operator[](std::int64_t i) const { return data[i * step]; }
};

template <typename T>
Plane<T> plane_of(T* data, const Pooling& pooling, std::int64_t size, std::int64_t index) {
  const std::int64_t channels = pooling.geometry.channels;
  if (data == nullptr) return {nullptr, 1};
  if (pooling.layout == Layout::planar) return {data + index * size, 1};
  return {data + index / channels * channels * size + index % channels, channels};
}

template <typename T>
constexpr T lowest() {
  return std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                              : std::numeric_limits<T>::lowest();
}

/** Calls `visit(output, d, h, w)` for every output position of a plane, in row-major order. */
template <typename Visit>
void for_each_output(const Geometry& g, Visit visit) {
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < g.d().output; ++d) {
    for (std::int64_t h = 0; h < g.h().output; ++h) {
      for (std::int64_t w = 0; w < g.w().output; ++w) visit(output++, d, h, w);
    }
  }
}

/** Calls `visit(position in the plane, ordinal of the tap)` for the taps inside the input. */
template <typename Visit>
void for_each_tap(const Geometry& g, std::int64_t d, std::int64_t h, std::int64_t w, Visit visit) {
  const Span depth = g.d().taps(d);
  const Span rows = g.h().taps(h);
  const Span columns = g.w().taps(w);
  for (std::int64_t td = depth.begin; td < depth.end; ++td) {
    for (std::int64_t th = rows.begin; th < rows.end; ++th) {
      const std::int64_t row =
          (g.d().position(d, td) * g.h().input + g.h().position(h, th)) * g.w().input;
      const std::int64_t ordinal = (td * g.h().kernel + th) * g.w().kernel;
      for (std::int64_t tw = columns.begin; tw < columns.end; ++tw) {
        visit(row + g.w().position(w, tw), ordinal + tw);
      }
    }
  }
}

template <typename T>
void max_forward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  const bool compact = p.mask_type == MaskType::position_u8;
  const auto compact_mask =
      plane_of(static_cast<std::uint8_t*>(p.mask), p, g.output_plane(), index);
  const auto index_mask = plane_of(static_cast<std::int32_t*>(p.mask), p, g.output_plane(), index);

  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    T maximum = lowest<T>();
    std::int64_t position = FPOOL_MASK_NONE;
    std::int64_t ordinal = FPOOL_MASK_NONE_COMPACT;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t tap) {
      const T value = x[i];
      if (position < 0 || value > maximum || value != value) {
        maximum = value;
        position = i;
        ordinal = tap;
      }
    });
    y[output] = maximum;
    if (compact) {
      compact_mask[output] = static_cast<std::uint8_t>(ordinal);
    } else if (p.mask_type == MaskType::plane_i32) {
      index_mask[output] = static_cast<std::int32_t>(position);
    }
  });
}

template <typename T>
void clear(const Plane<T>& plane, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) plane[i] = 0;
}

void max_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const float*>(p.input), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<float*>(p.output), p, g.input_plane(), index);
  clear(dx, g.input_plane());
  if (p.mask_type == MaskType::plane_i32) {
    const auto mask =
        plane_of(static_cast<const std::int32_t*>(p.mask), p, g.output_plane(), index);
    for (std::int64_t output = 0; output < g.output_plane(); ++output) {
      if (mask[output] >= 0) dx[mask[output]] += dy[output];
    }
    return;
  }
  const auto mask = plane_of(static_cast<const std::uint8_t*>(p.mask), p, g.output_plane(), index);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const std::int64_t ordinal = mask[output];
    if (ordinal == FPOOL_MASK_NONE_COMPACT) return;
    const std::int64_t tw = ordinal % g.w().kernel;
    const std::int64_t th = ordinal / g.w().kernel % g.h().kernel;
    const std::int64_t td = ordinal / g.w().kernel / g.h().kernel;
    const std::int64_t row =
        (g.d().position(d, td) * g.h().input + g.h().position(h, th)) * g.w().input;
    dx[row + g.w().position(w, tw)] += dy[output];
  });
}

/** Quotient of integers rounded half to even and saturated to T. */
template <typename T>
T rounded_quotient(std::int64_t sum, std::int64_t divisor) {
  if (divisor == 0) return 0;
  std::int64_t quotient = sum / divisor;
  const std::int64_t rest = sum % divisor;
  if (rest > divisor - rest || (rest == divisor - rest && quotient % 2 != 0)) quotient += 1;
  return static_cast<T>(std::min<std::int64_t>(quotient, std::numeric_limits<T>::max()));
}

template <typename T>
void avg_forward(const Pooling& p, std::int64_t index) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    Sum sum = 0;
    for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) { sum += x[i]; });
    const std::int64_t divisor = divisor_of(g, p.divisor, d, h, w);
    if constexpr (std::is_integral_v<T>) {
      y[output] = rounded_quotient<T>(sum, divisor);
    } else {
      y[output] = static_cast<T>(sum / static_cast<double>(divisor));
    }
  });
}

/** Output positions and taps of one axis that meet input position `i`. */
template <typename Visit>
void for_each_covering(const Axis& axis, std::int64_t i, Visit visit) {
  const Span outputs = axis.covering(i);
  for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
    if ((i - axis.start(o)) % axis.dilation == 0) visit(o);
  }
}

void avg_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const float*>(p.input), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<float*>(p.output), p, g.input_plane(), index);
  std::int64_t input = 0;
  for (std::int64_t z = 0; z < g.d().input; ++z) {
    for (std::int64_t row = 0; row < g.h().input; ++row) {
      for (std::int64_t column = 0; column < g.w().input; ++column) {
        double sum = 0;
        for_each_covering(g.d(), z, [&](std::int64_t d) {
          for_each_covering(g.h(), row, [&](std::int64_t h) {
            for_each_covering(g.w(), column, [&](std::int64_t w) {
              const std::int64_t output = (d * g.h().output + h) * g.w().output + w;
              sum += dy[output] / static_cast<double>(divisor_of(g, p.divisor, d, h, w));
            });
          });
        });
        dx[input++] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace

std::int64_t divisor_of(const Geometry& g, const Divisor& divisor, std::int64_t d, std::int64_t h,
                        std::int64_t w) {
  if (divisor.override_by > 0) return divisor.override_by;
  if (divisor.include_padding) {
    return g.d().padded_taps(d) * g.h().padded_taps(h) * g.w().padded_taps(w);
  }
  return g.d().taps(d).size() * g.h().taps(h).size() * g.w().taps(w).size();
}

void run(const Pooling& pooling, Span planes) {
  const bool bytes = pooling.dtype == FPOOL_U8;
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
    switch (pooling.operation) {
      case Operation::max_forward:
        bytes ? max_forward<std::uint8_t>(pooling, plane) : max_forward<float>(pooling, plane);
        break;
      case Operation::max_backward:
        max_backward(pooling, plane);
        break;
      case Operation::avg_forward:
        bytes ? avg_forward<std::uint8_t>(pooling, plane) : avg_forward<float>(pooling, plane);
        break;
      case Operation::avg_backward:
        avg_backward(pooling, plane);
        break;
    }
  }
}

}  // namespace featurepool::reference
