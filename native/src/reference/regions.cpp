// Reductions over the bins of regions (RoI pooling, RoIAlign) and their gradients.

#include <cstdint>
#include <vector>

#include "geometry/dtype.hpp"
#include "reference/planes.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
Plane<T> input_plane(const RegionPooling& call, T* data, std::int64_t image, std::int64_t channel) {
  return plane_of(data, call.layout, call.channels, call.input_plane(),
                  image * call.channels + channel);
}

template <typename T>
Plane<T> output_plane(const RegionPooling& call, T* data, std::int64_t region,
                      std::int64_t channel) {
  return plane_of(data, call.layout, call.channels, call.output_plane(),
                  region * call.channels + channel);
}

/** Calls `visit(bin, row of bins, column of bins)` in row-major order. */
template <typename Visit>
void for_each_bin(const RegionPooling& call, const Visit& visit) {
  for (std::int64_t row = 0; row < call.rows; ++row) {
    for (std::int64_t column = 0; column < call.columns; ++column) {
      visit(row * call.columns + column, row, column);
    }
  }
}

/** Calls `visit(position, weight of the row, weight of the column)` for the elements of a bin. */
template <typename Visit>
void for_each_element(const RegionPooling& call, std::int64_t region, std::int64_t row,
                      std::int64_t column, const Visit& visit) {
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  const Span down = rows.of(region, row);
  const Span across = columns.of(region, column);
  for (auto i = static_cast<std::size_t>(down.begin); i < static_cast<std::size_t>(down.end); ++i) {
    for (auto j = static_cast<std::size_t>(across.begin); j < static_cast<std::size_t>(across.end);
         ++j) {
      visit(rows.position[i] * call.width + columns.position[j], rows.weight[i], columns.weight[j]);
    }
  }
}

/** The greatest weighted element of a bin; a sample outside the plane counts as 0. */
template <typename T>
struct Greatest {
  T value = 0;
  T weight = 0;
  std::int64_t position = -1;

  Greatest(const RegionPooling& call, const Plane<const T>& x, std::int64_t region,
           std::int64_t row, std::int64_t column) {
    bool found =
        call.taps.rows.has_outside(region, row) || call.taps.columns.has_outside(region, column);
    for_each_element(call, region, row, column, [&](std::int64_t i, double down, double across) {
      const T product = static_cast<T>(down) * static_cast<T>(across);
      const T term = product * x[i];
      if (!found || term > value || term != term) {
        found = true;
        value = term;
        weight = product;
        position = i;
      }
    });
  }
};

/** Calls `f.operator()<T>(item / channels, channel)` for every item. */
template <typename F>
void for_each_item(const RegionPooling& call, Span items, const F& f) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    for (std::int64_t item = items.begin; item < items.end; ++item) {
      f.template operator()<T>(item / call.channels, item % call.channels);
    }
  });
}

/** Sums in f64 what `add(sums, region, dy)` adds for every region of an image, stores them as dx.
 */
template <typename T, typename Add>
void accumulate(const RegionPooling& call, std::int64_t image, std::int64_t channel,
                const Add& add) {
  std::vector<double> sums(static_cast<std::size_t>(call.input_plane()));
  for (const std::int64_t region : call.regions_of(image)) {
    add(sums.data(), region,
        output_plane(call, static_cast<const T*>(call.input), region, channel));
  }
  const auto dx = input_plane(call, static_cast<T*>(call.output), image, channel);
  for (std::int64_t i = 0; i < call.input_plane(); ++i) {
    dx[i] = static_cast<T>(sums[static_cast<std::size_t>(i)]);
  }
}

}  // namespace

void region_max_forward(const RegionPooling& call, Span items) {
  for_each_item(call, items, [&]<typename T>(std::int64_t region, std::int64_t channel) {
    const auto x = input_plane(call, static_cast<const T*>(call.input),
                               call.images[static_cast<std::size_t>(region)], channel);
    const auto y = output_plane(call, static_cast<T*>(call.output), region, channel);
    const auto mask = output_plane(call, call.mask, region, channel);
    for_each_bin(call, [&](std::int64_t bin, std::int64_t row, std::int64_t column) {
      const Greatest<T> greatest(call, x, region, row, column);
      y[bin] = greatest.value;
      if (call.mask != nullptr) mask[bin] = static_cast<std::int32_t>(greatest.position);
    });
  });
}

void region_max_backward(const RegionPooling& call, Span items) {
  for_each_item(call, items, [&]<typename T>(std::int64_t image, std::int64_t channel) {
    const auto x = input_plane(call, static_cast<const T*>(call.x), image, channel);
    accumulate<T>(
        call, image, channel, [&](double* sums, std::int64_t region, const Plane<const T>& dy) {
          for_each_bin(call, [&](std::int64_t bin, std::int64_t row, std::int64_t column) {
            const Greatest<T> greatest(call, x, region, row, column);
            if (greatest.position < 0) return;
            sums[greatest.position] +=
                static_cast<double>(dy[bin]) * static_cast<double>(greatest.weight);
          });
        });
  });
}

void region_sum_forward(const RegionPooling& call, Span items) {
  for_each_item(call, items, [&]<typename T>(std::int64_t region, std::int64_t channel) {
    const auto r = static_cast<std::size_t>(region);
    const auto x = input_plane(call, static_cast<const T*>(call.input), call.images[r], channel);
    const auto y = output_plane(call, static_cast<T*>(call.output), region, channel);
    for_each_bin(call, [&](std::int64_t bin, std::int64_t row, std::int64_t column) {
      double sum = 0;
      for_each_element(call, region, row, column, [&](std::int64_t i, double down, double across) {
        sum += down * across * static_cast<double>(x[i]);
      });
      y[bin] = static_cast<T>(sum / static_cast<double>(call.taps.count[r]));
    });
  });
}

void region_sum_backward(const RegionPooling& call, Span items) {
  for_each_item(call, items, [&]<typename T>(std::int64_t image, std::int64_t channel) {
    accumulate<T>(
        call, image, channel, [&](double* sums, std::int64_t region, const Plane<const T>& dy) {
          const auto count = static_cast<double>(call.taps.count[static_cast<std::size_t>(region)]);
          for_each_bin(call, [&](std::int64_t bin, std::int64_t row, std::int64_t column) {
            const double share = static_cast<double>(dy[bin]) / count;
            for_each_element(call, region, row, column,
                             [&](std::int64_t i, double down, double across) {
                               sums[i] += down * across * share;
                             });
          });
        });
  });
}

void region_route_backward(const RegionPooling& call, Span items) {
  for_each_item(call, items, [&]<typename T>(std::int64_t image, std::int64_t channel) {
    const auto dx = input_plane(call, static_cast<T*>(call.output), image, channel);
    clear(dx, call.input_plane());
    for (const std::int64_t region : call.regions_of(image)) {
      const auto dy = output_plane(call, static_cast<const T*>(call.input), region, channel);
      const auto mask =
          output_plane(call, static_cast<const std::int32_t*>(call.mask), region, channel);
      for (std::int64_t bin = 0; bin < call.output_plane(); ++bin) {
        if (mask[bin] >= 0) dx[mask[bin]] += dy[bin];
      }
    }
  });
}

}  // namespace featurepool::reference
