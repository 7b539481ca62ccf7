// Norms and generalised means of windows, their gradients, and the powers that they are made of.

#include "reference/power.hpp"

#include <vector>

#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
void power_forward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto x = plane_of(static_cast<const T*>(p.input), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<T*>(p.output), p, g.output_plane(), index);
  const double exponent = exponent_of(p.power, index % g.channels);
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    y[output] = static_cast<T>(power_sum(p, x, exponent, d, h, w).root(p.power, exponent));
  });
}

template <typename T>
void power_backward(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  const auto x = plane_of(static_cast<const T*>(p.x), p, g.input_plane(), index);
  const auto y = plane_of(static_cast<const T*>(p.y), p, g.output_plane(), index);
  const auto dx = plane_of(static_cast<T*>(p.output), p, g.input_plane(), index);
  std::vector<double> sums(static_cast<std::size_t>(g.input_plane()));
  spread_power(p, x, y, dy, exponent_of(p.power, index % g.channels),
               [&](std::int64_t i, double term) { sums[static_cast<std::size_t>(i)] += term; });
  for (std::int64_t i = 0; i < g.input_plane(); ++i) {
    dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
  }
}

template <typename T>
void power_exponents(const Pooling& p, std::int64_t index) {
  const Geometry& g = p.geometry;
  const auto dy = plane_of(static_cast<const T*>(p.input), p, g.output_plane(), index);
  const auto x = plane_of(static_cast<const T*>(p.x), p, g.input_plane(), index);
  const double exponent = exponent_of(p.power, index % g.channels);
  double sum = 0;
  for_each_output(g, [&](std::int64_t output, std::int64_t d, std::int64_t h, std::int64_t w) {
    const PowerSum powers = power_sum(p, x, exponent, d, h, w);
    sum += dy[output] * exponent_slope(powers, powers.root(p.power, exponent), exponent);
  });
  static_cast<double*>(p.output)[index] = sum;
}

/** Calls `item(element, row, channel)` for the elements of items; `channel` that of p. */
template <class Item>
void for_each_element(const Powers& p, Span items, const Item& item) {
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const std::int64_t row = index / p.blocks();
    const std::int64_t begin = index % p.blocks() * Powers::kBlock;
    const std::int64_t end = std::min(p.width, begin + Powers::kBlock);
    for (std::int64_t i = begin; i < end; ++i) {
      item(row * p.width + i, p.by_column() ? p.power.p[i] : p.exponent(row));
    }
  }
}

/** One kind of Powers over elements of type T; `f(x, exponent, element)` is in f64. */
template <typename T, typename Out, class F>
void map_powers(const Powers& p, Span items, const F& f) {
  const auto* const x = static_cast<const T*>(p.x);
  auto* const out = static_cast<Out*>(p.out);
  for_each_element(p, items, [&](std::int64_t i, double exponent) {
    out[i] = static_cast<Out>(f(x == nullptr ? 0.0 : static_cast<double>(x[i]), exponent, i));
  });
}

}  // namespace

void power_forward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) power_forward<T>(p, plane);
  });
}

void power_backward(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      power_backward<T>(p, plane);
    }
  });
}

void power_exponents(const Pooling& p, Span planes) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
      power_exponents<T>(p, plane);
    }
  });
}

void power_terms(const Powers& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    map_powers<T, double>(p, items, [&](double x, double exponent, std::int64_t) {
      return std::pow(power_base(p.power, x), exponent);
    });
  });
}

void power_logs(const Powers& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    map_powers<T, double>(p, items, [&](double x, double, std::int64_t i) {
      return p.terms[i] * std::log(power_base(p.power, x));
    });
  });
}

void power_root(const Powers& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    map_powers<T, T>(p, items, [&](double, double exponent, std::int64_t i) {
      return std::pow(p.terms[i], 1 / exponent);
    });
  });
}

void power_weights(const Powers& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    const auto* const dy = static_cast<const T*>(p.dy);
    map_powers<T, double>(p, items, [&](double y, double exponent, std::int64_t i) {
      return y == 0 ? 0 : dy[i] / std::pow(y, exponent - 1);
    });
  });
}

void power_gradient(const Powers& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    map_powers<T, T>(p, items, [&](double x, double exponent, std::int64_t i) {
      const double slope = power_slope(p.power, x);
      return slope == 0 || p.terms[i] == 0
                 ? 0
                 : p.terms[i] * slope * std::pow(power_base(p.power, x), exponent - 1);
    });
  });
}

}  // namespace featurepool::reference
