#pragma once

#include <cstdint>
#include <vector>

#include "geometry/geometry.hpp"

namespace featurepool {

/** How regions of planes are cut into bins and those sampled; see fpool_roi. */
struct RegionGrid {
  std::int64_t height = 1;  ///< of a plane
  std::int64_t width = 1;
  std::int64_t rows = 1;  ///< bins
  std::int64_t columns = 1;
  double scale = 1;
  std::int64_t sampling_ratio = 0;
  bool half_pixel = false;
};

/**
 * The rows, or the columns, of the bins of all regions: a bin's elements are all pairs of one of
 * its rows and one of its columns, and the weight of an element is the product of theirs.
 */
struct BinTaps {
  std::int64_t bins = 1;            ///< per region
  std::vector<std::int64_t> first;  ///< of every bin of every region, and the end
  std::vector<std::int64_t> position;
  std::vector<double> weight;
  /** Of every bin of every region: whether some of its samples lie outside the plane. */
  std::vector<std::uint8_t> outside;

  std::int64_t index(std::int64_t region, std::int64_t bin) const { return region * bins + bin; }

  Span of(std::int64_t region, std::int64_t bin) const {
    const auto i = static_cast<std::size_t>(index(region, bin));
    return {first[i], first[i + 1]};
  }

  bool has_outside(std::int64_t region, std::int64_t bin) const {
    return outside[static_cast<std::size_t>(index(region, bin))] != 0;
  }
};

/** What is reduced in the bins of every region of a call. */
struct RegionTaps {
  BinTaps rows;
  BinTaps columns;
  std::vector<std::int64_t> count;  ///< samples per bin, of every region, at least 1
};

/** Boxes are four numbers (x1, y1, x2, y2) each. T: the type of the tensor, in which coordinates
 * are computed, so that they round as in the libraries that these rules come from. */

/** Bins of whole elements, of weight 1 (Fast R-CNN). */
template <typename T>
RegionTaps roi_pool_taps(const RegionGrid& grid, const double* boxes, std::int64_t regions);

/**
 * Bilinear samples (RoIAlign). `merged`: the weights that samples give one row or column are added
 * up, and those of 0 left out; otherwise every sample has two, in the order of the samples.
 */
template <typename T>
RegionTaps roi_align_taps(const RegionGrid& grid, const double* boxes, std::int64_t regions,
                          bool merged);

}  // namespace featurepool
