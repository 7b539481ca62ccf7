#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dispatch/operation.hpp"
#include "geometry/geometry.hpp"
#include "geometry/regions.hpp"

namespace featurepool {

/**
 * A reduction over the bins of regions of planes, checked and resolved.
 *
 * Forward: `input` is x, `output` is y of one image per region. Backward: `input` is dy, `output`
 * is dx; the gradient of weighted maxima finds the forward call's x in `x`, that of a mask needs no
 * `taps`.
 */
struct RegionPooling {
  Operation operation = Operation::region_max_forward;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t rows = 1;  ///< bins
  std::int64_t columns = 1;
  std::vector<std::int64_t> images;  ///< the image of each region
  std::vector<std::int64_t> order;   ///< the regions, image by image; see group()
  std::vector<std::int64_t> first;   ///< where those of each image begin in `order`, and the end
  RegionTaps taps;
  const void* input = nullptr;
  void* output = nullptr;
  std::int32_t* mask = nullptr;  ///< positions in the plane, written or read; null: none
  const void* x = nullptr;

  std::int64_t regions() const { return static_cast<std::int64_t>(images.size()); }
  std::int64_t input_plane() const { return height * width; }
  std::int64_t output_plane() const { return rows * columns; }

  /** Lists the regions of every image, which gradients take together, in ascending order. */
  void group() {
    first.assign(static_cast<std::size_t>(batch + 1), 0);
    for (const std::int64_t image : images) ++first[static_cast<std::size_t>(image + 1)];
    for (std::size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    std::vector<std::int64_t> next = first;
    order.resize(images.size());
    for (std::size_t r = 0; r < images.size(); ++r) {
      order[static_cast<std::size_t>(next[static_cast<std::size_t>(images[r])]++)] =
          static_cast<std::int64_t>(r);
    }
  }

  /** The regions of an image, once grouped. */
  std::span<const std::int64_t> regions_of(std::int64_t image) const {
    const auto i = static_cast<std::size_t>(image);
    return {order.data() + first[i], order.data() + first[i + 1]};
  }

  bool is_forward() const {
    return operation == Operation::region_max_forward || operation == Operation::region_sum_forward;
  }

  /** The reference takes one plane of what it writes at a time. */
  std::int64_t items() const { return (is_forward() ? regions() : batch) * channels; }

  double work() const {
    const auto bins = static_cast<double>(regions() * output_plane());
    double elements = bins + (is_forward() ? 0 : static_cast<double>(batch * input_plane()));
    if (!taps.rows.position.empty() && !taps.columns.position.empty()) {
      elements += static_cast<double>(taps.rows.position.size()) /
                  static_cast<double>(regions() * rows) *
                  static_cast<double>(taps.columns.position.size()) /
                  static_cast<double>(regions() * columns) * bins;
    }
    return static_cast<double>(dtype_size(dtype) * channels) * elements;
  }
};

}  // namespace featurepool
