// Norms and generalised means: powers of the elements, an average of those, its root; and back.

#include "reference/power.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "composed/parts.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/kernel.hpp"
#include "kernels/power_sums.hpp"

namespace featurepool {
namespace {

using dispatch::run_here;

/** Steps of a power sum over the elements of a part. */
template <typename T>
class Steps {
 public:
  Steps(const Pooling& p, const Part& part) : p_(p), part_(part) {}

  void run(Operation operation, const void* x, const void* dy, const double* terms, void* out,
           std::int64_t size) const {
    Powers powers;
    powers.operation = operation;
    powers.dtype = p_.dtype;
    powers.power = p_.power;
    powers.interleaved = p_.layout == Layout::interleaved;
    powers.channel = part_.channel;
    const Geometry& g = part_.geometry;
    powers.rows = p_.power.count == 1 ? 1 : powers.interleaved ? size / g.channels : g.channels;
    powers.width = powers.rows == 0 ? 0 : size / powers.rows;
    powers.x = x;
    powers.dy = dy;
    powers.terms = terms;
    powers.out = out;
    run_here(powers);
  }

  /** Sums, or means, of windows; `backward`: spreads them. */
  void average(Operation operation, const double* input, double* output) const {
    Pooling call = part_.call(operation, p_, FPOOL_F64);
    if (p_.power.magnitude) call.divisor.override_by = 1;
    call.input = input;
    call.output = output;
    run_here(call);
  }

 private:
  const Pooling& p_;
  const Part& part_;
};

/** Where element `i` of a part's outputs lies: its plane, and its window in the part. */
struct Place {
  std::int64_t plane;
  std::int64_t d;
  std::int64_t h;
  std::int64_t w;

  Place(const Geometry& g, Layout layout, std::int64_t i) {
    const std::int64_t size = g.output_plane();
    const bool planar = layout == Layout::planar;
    plane = planar ? i / size : i / (size * g.channels) * g.channels + i % g.channels;
    const std::int64_t position = planar ? i % size : i / g.channels % size;
    d = position / (g.h().output * g.w().output);
    h = position / g.w().output % g.h().output;
    w = position % g.w().output;
  }
};

double least_exponent(const Power& power) {
  return *std::min_element(power.p, power.p + power.count);
}

bool is_infinite(const Power& power) { return power.count == 1 && std::isinf(power.p[0]); }

/** The window of an output of a part, computed on its own; for those that need the greatest care.
 */
template <typename T>
struct Window {
  double exponent;
  reference::PowerSum sum;

  Window(const Pooling& p, const Part& part, const T* x, std::int64_t output) {
    Pooling call = part.call(p.operation, p, p.dtype);
    call.power = p.power;
    const Place place(part.geometry, p.layout, output);
    exponent = reference::exponent_of(p.power, (part.channel + place.plane) % p.geometry.channels);
    sum = reference::power_sum(
        call, reference::plane_of(x, call, part.geometry.input_plane(), place.plane), exponent,
        place.d, place.h, place.w);
  }
};

/** y of p = infinity: the largest |x|; 0 without any. */
template <typename T>
void largest_magnitudes(const Pooling& p, const Part& part, const T* x, T* scratch, T* y,
                        void* mask) {
  for (std::int64_t i = 0; i < part.inputs(); ++i) scratch[i] = std::fabs(x[i]);
  Pooling call = part.call(Operation::max_forward, p, p.dtype);
  call.input = scratch;
  call.output = y;
  call.mask = mask;
  if (mask != nullptr) call.mask_type = Part::mask_type(call);
  run_here(call);
  for (std::int64_t i = 0; i < part.outputs(); ++i) y[i] = y[i] < 0 ? 0 : y[i];
}

template <typename T>
void power_forward(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::outputs);
  const Line<double> terms(parts.most_inputs());
  const Line<double> sums(parts.most_outputs());
  const bool careful = can_leave_range<T>(p.power);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const Part part = parts.at(index);
    const T* x = static_cast<const T*>(p.input) + part.input;
    T* y = static_cast<T*>(p.output) + part.output;
    if (is_infinite(p.power)) {
      largest_magnitudes(p, part, x, reinterpret_cast<T*>(terms.get()), y, nullptr);
      continue;
    }
    const Steps<T> steps(p, part);
    steps.run(Operation::power_terms, x, nullptr, nullptr, terms.get(), part.inputs());
    steps.average(Operation::avg_forward, terms.get(), sums.get());
    steps.run(Operation::power_root, nullptr, nullptr, sums.get(), y, part.outputs());
    if (!careful) continue;
    for (std::int64_t i = 0; i < part.outputs(); ++i) {
      if (sums[i] >= kLeastPowerSum && sums[i] <= kGreatestPowerSum) continue;
      const Window<T> window(p, part, x, i);
      y[i] = static_cast<T>(window.sum.root(p.power, window.exponent));
    }
  }
}

/** Whether y^(p-1) of every result is within 2^-400 to 2^400, and none is infinite. */
template <typename T>
bool weights_in_range(const Power& power, const T* y, std::int64_t size) {
  constexpr double kRange = 400;
  const double most =
      std::max(std::fabs(greatest_exponent(power) - 1), std::fabs(least_exponent(power) - 1));
  // The limits of T itself where p is near 1.
  const double range = std::exp2(kRange / most);
  const double greatest = std::min<double>(range, std::numeric_limits<T>::max());
  const double least = std::max<double>(1 / range, std::numeric_limits<T>::denorm_min());
  std::int64_t beyond = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const double root = y[i];
    beyond += static_cast<int>(root > greatest) |
              (static_cast<int>(root < least) & static_cast<int>(root != 0));
  }
  return beyond == 0;
}

template <typename T>
void power_backward(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::gradients);
  const Line<double> weights(parts.most_outputs());
  const Line<double> terms(parts.most_inputs());
  const Line<T> values(is_infinite(p.power) ? parts.most_outputs() : 0);
  const Line<std::int32_t> mask(is_infinite(p.power) ? parts.most_outputs() : 0);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const Part part = parts.at(index);
    const T* x = static_cast<const T*>(p.x) + part.input;
    const T* y = static_cast<const T*>(p.y) + part.output;
    const T* dy = static_cast<const T*>(p.input) + part.output;
    T* dx = static_cast<T*>(p.output);
    const Span held = part.held_gradient();
    std::fill(dx + part.gradient.begin, dx + held.begin, T(0));
    std::fill(dx + held.end, dx + part.gradient.end, T(0));
    if (held.empty()) continue;
    dx += held.begin;
    const std::int64_t skip = held.begin - part.input;
    x += skip;
    if (is_infinite(p.power)) {
      T* const scratch = reinterpret_cast<T*>(terms.get());
      largest_magnitudes(p, part, x - skip, scratch, values.get(), mask.get());
      Pooling route = part.call(Operation::route_backward, p, p.dtype);
      route.mask_type = Part::mask_type(route);
      route.mask = mask.get();
      route.input = dy;
      route.output = scratch;
      run_here(route);
      for (std::int64_t i = 0; i < held.size(); ++i) {
        const T sum = scratch[skip + i];
        dx[i] = sum == 0 ? 0 : static_cast<T>(sum * reference::power_slope(p.power, x[i]));
      }
      continue;
    }
    if (weights_in_range(p.power, y, part.outputs())) {
      const Steps<T> steps(p, part);
      steps.run(Operation::power_weights, y, dy, nullptr, weights.get(), part.outputs());
      steps.average(Operation::avg_backward, weights.get(), terms.get());
      steps.run(Operation::power_gradient, x, nullptr, terms.get() + skip, dx, held.size());
      continue;
    }
    Pooling call = part.call(p.operation, p, p.dtype);
    call.power = p.power;
    const Geometry& g = part.geometry;
    std::fill_n(terms.get(), part.inputs(), 0.0);
    for (std::int64_t plane = 0; plane < g.planes(); ++plane) {
      const auto sums = reference::plane_of(terms.get(), call, g.input_plane(), plane);
      reference::spread_power<T>(
          call, reference::plane_of(x - skip, call, g.input_plane(), plane),
          reference::plane_of(y, call, g.output_plane(), plane),
          reference::plane_of(dy, call, g.output_plane(), plane),
          reference::exponent_of(p.power, (part.channel + plane) % p.geometry.channels),
          [&](std::int64_t i, double term) { sums[i] += term; });
    }
    for (std::int64_t i = 0; i < held.size(); ++i) dx[i] = static_cast<T>(terms[skip + i]);
  }
}

template <typename T>
void power_exponents(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::outputs);
  const Line<double> terms(parts.most_inputs());
  const Line<double> sums(parts.most_outputs());
  const Line<double> logs(parts.most_outputs());
  auto* const slopes = static_cast<double*>(p.output);
  for (std::int64_t group = items.begin; group < items.end; ++group) {
    for (std::int64_t slice = 0; slice < parts.slices(); ++slice) {
      const Part part = parts.at(group * parts.slices() + slice);
      const T* x = static_cast<const T*>(p.x) + part.input;
      const T* dy = static_cast<const T*>(p.input) + part.output;
      if (slice == 0) std::fill_n(slopes + part.plane, part.geometry.planes(), 0.0);
      const Steps<T> steps(p, part);
      steps.run(Operation::power_terms, x, nullptr, nullptr, terms.get(), part.inputs());
      steps.average(Operation::avg_forward, terms.get(), sums.get());
      steps.run(Operation::power_logs, x, nullptr, terms.get(), terms.get(), part.inputs());
      steps.average(Operation::avg_forward, terms.get(), logs.get());
      add_per_plane(p, part, slopes, [&](std::int64_t i, std::int64_t plane) {
        const double exponent =
            reference::exponent_of(p.power, (part.channel + plane) % p.geometry.channels);
        if (sums[i] >= kLeastPowerSum && sums[i] <= kGreatestPowerSum) {
          const double log = std::log(sums[i]) / exponent;
          return dy[i] * (std::exp(log) / exponent * (logs[i] / sums[i] - log));
        }
        const Window<T> window(p, part, x, i);
        const double root = window.sum.root(p.power, exponent);
        return dy[i] * reference::exponent_slope(window.sum, root, exponent);
      });
    }
  }
}

// --- what the tables hold: plain functions, the same for every tier ---

void forward_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { power_forward<T>(p, items); });
}
void backward_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { power_backward<T>(p, items); });
}
void exponents_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { power_exponents<T>(p, items); });
}

}  // namespace

std::span<const Kernel> power_forward_kernels() {
  static const Kernel kernels[] = {
      raised_taps_kernel(),
      {"composed", any_pooling, output_parts, every_tier(forward_of)},
  };
  return kernels;
}

std::span<const Kernel> power_backward_kernels() {
  static const Kernel kernels[] = {
      {"composed", any_pooling, gradient_parts, every_tier(backward_of)},
  };
  return kernels;
}

std::span<const Kernel> power_exponents_kernels() {
  static const Kernel kernels[] = {
      {"composed", any_pooling, output_groups, every_tier(exponents_of)},
  };
  return kernels;
}

}  // namespace featurepool
