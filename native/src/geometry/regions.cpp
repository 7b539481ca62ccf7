#include "geometry/regions.hpp"

#include <algorithm>
#include <cmath>

#include "geometry/error.hpp"

namespace featurepool {
namespace {

constexpr const char* kCoordinates[] = {"x1", "y1", "x2", "y2"};

// Regions reach no further than this from the origin: beyond, f32 has no halves left to round.
constexpr double kFarthest = 1 << 22;

// Samples of one bin along one axis.
constexpr double kMostSamples = 1 << 20;

/** A coordinate of a box in elements of the plane. */
template <typename T>
T scaled(const double* boxes, std::int64_t region, int i, double scale) {
  const double coordinate = boxes[region * 4 + i];
  const T result = static_cast<T>(coordinate) * static_cast<T>(scale);
  if (!(std::abs(static_cast<double>(result)) <= kFarthest)) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "boxes[", region, "].", kCoordinates[i], " is ", coordinate,
         std::isfinite(coordinate) ? "; times the scale it must be within +-2^22"
                                   : "; coordinates must be finite");
  }
  return result;
}

BinTaps start_axis(std::int64_t bins) {
  BinTaps axis;
  axis.bins = bins;
  axis.first.push_back(0);
  return axis;
}

void close_bin(BinTaps& axis, bool outside) {
  axis.first.push_back(static_cast<std::int64_t>(axis.position.size()));
  axis.outside.push_back(outside ? 1 : 0);
}

/** The bins of one axis of one region of [begin, end], both included. */
template <typename T>
void add_whole_bins(BinTaps& axis, T begin, T end, std::int64_t extent) {
  const auto start = static_cast<std::int64_t>(std::round(begin));
  const auto stop = static_cast<std::int64_t>(std::round(end));
  const T size =
      static_cast<T>(std::max<std::int64_t>(stop - start + 1, 1)) / static_cast<T>(axis.bins);
  for (std::int64_t bin = 0; bin < axis.bins; ++bin) {
    const auto from = start + static_cast<std::int64_t>(std::floor(static_cast<T>(bin) * size));
    const auto to = start + static_cast<std::int64_t>(std::ceil(static_cast<T>(bin + 1) * size));
    for (std::int64_t i = std::max<std::int64_t>(from, 0); i < std::min(to, extent); ++i) {
      axis.position.push_back(i);
      axis.weight.push_back(1);
    }
    close_bin(axis, false);
  }
}

/** Adds a weight to the last of the entries of the open bin that has this position. */
void merge(BinTaps& axis, std::int64_t position, double weight) {
  if (weight == 0) return;
  // Samples ascend or, in a region turned inside out, descend: an equal position is near the end.
  const auto open = static_cast<std::size_t>(axis.first.back());
  for (std::size_t i = axis.position.size(); i > open && i + 2 > axis.position.size(); --i) {
    if (axis.position[i - 1] == position) {
      axis.weight[i - 1] += weight;
      return;
    }
  }
  axis.position.push_back(position);
  axis.weight.push_back(weight);
}

/** The samples of one axis of one region; returns how many each bin has. */
template <typename T>
std::int64_t add_samples(BinTaps& axis, T start, T end, const RegionGrid& grid, std::int64_t extent,
                         std::int64_t region, bool merged) {
  T size = end - start;
  if (!grid.half_pixel) size = std::max(size, T{1});
  const T bin_size = size / static_cast<T>(axis.bins);
  const T adaptive = std::ceil(bin_size);
  if (grid.sampling_ratio == 0 && static_cast<double>(adaptive) > kMostSamples) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "boxes[", region, "] gives bins of ", bin_size,
         " elements; an adaptive sampling ratio reaches 2^20");
  }
  const std::int64_t samples =
      grid.sampling_ratio > 0 ? grid.sampling_ratio : static_cast<std::int64_t>(adaptive);
  for (std::int64_t bin = 0; bin < axis.bins; ++bin) {
    bool outside = false;
    for (std::int64_t i = 0; i < samples; ++i) {
      T at = start + static_cast<T>(bin) * bin_size +
             (static_cast<T>(i) + T{0.5}) * bin_size / static_cast<T>(samples);
      if (at < T{-1} || at > static_cast<T>(extent)) {
        outside = true;
        continue;
      }
      at = std::max(at, T{0});
      std::int64_t low = static_cast<std::int64_t>(at);
      std::int64_t high = low + 1;
      if (low >= extent - 1) {
        low = high = extent - 1;
        at = static_cast<T>(low);
      }
      const T to_high = at - static_cast<T>(low);
      const T to_low = T{1} - to_high;
      if (merged) {
        merge(axis, low, to_low);
        merge(axis, high, to_high);
      } else {
        axis.position.insert(axis.position.end(), {low, high});
        axis.weight.insert(axis.weight.end(), {to_low, to_high});
      }
    }
    close_bin(axis, outside);
  }
  return std::max<std::int64_t>(samples, 0);
}

}  // namespace

template <typename T>
RegionTaps roi_pool_taps(const RegionGrid& grid, const double* boxes, std::int64_t regions) {
  RegionTaps taps{start_axis(grid.rows), start_axis(grid.columns), {}};
  for (std::int64_t r = 0; r < regions; ++r) {
    const auto at = [&](int i) { return scaled<T>(boxes, r, i, grid.scale); };
    add_whole_bins<T>(taps.columns, at(0), at(2), grid.width);
    add_whole_bins<T>(taps.rows, at(1), at(3), grid.height);
    taps.count.push_back(1);
  }
  return taps;
}

template <typename T>
RegionTaps roi_align_taps(const RegionGrid& grid, const double* boxes, std::int64_t regions,
                          bool merged) {
  RegionTaps taps{start_axis(grid.rows), start_axis(grid.columns), {}};
  const T offset = grid.half_pixel ? T{0.5} : T{0};
  for (std::int64_t r = 0; r < regions; ++r) {
    const auto at = [&](int i) { return scaled<T>(boxes, r, i, grid.scale) - offset; };
    const std::int64_t across =
        add_samples<T>(taps.columns, at(0), at(2), grid, grid.width, r, merged);
    const std::int64_t down = add_samples<T>(taps.rows, at(1), at(3), grid, grid.height, r, merged);
    taps.count.push_back(std::max<std::int64_t>(across * down, 1));
  }
  return taps;
}

template RegionTaps roi_pool_taps<float>(const RegionGrid&, const double*, std::int64_t);
template RegionTaps roi_pool_taps<double>(const RegionGrid&, const double*, std::int64_t);
template RegionTaps roi_align_taps<float>(const RegionGrid&, const double*, std::int64_t, bool);
template RegionTaps roi_align_taps<double>(const RegionGrid&, const double*, std::int64_t, bool);

}  // namespace featurepool
