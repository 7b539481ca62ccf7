#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/operation.hpp"
#include "dispatch/pooling.hpp"
#include "geometry/geometry.hpp"

namespace featurepool {

/**
 * The SPP block of YOLOv3-SPP: max pools of stride 1 over the same planes, padded to their size,
 * and the planes themselves, in groups of channels: [largest kernel ... smallest kernel, input].
 *
 * Forward: `input` is x, `output` has all groups, `mask` (all groups but the last) is written where
 * there is one. Backward: `input` has the gradients of all groups, `output` is dx, `mask` is read.
 */
struct SppBlock {
  Operation operation = Operation::spp_block_forward;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::vector<std::int64_t> kernels;  ///< in the order of the groups: descending
  const void* input = nullptr;
  void* output = nullptr;
  void* mask = nullptr;
  MaskType mask_type = MaskType::none;

  /** Groups of max pools. */
  std::int64_t pools() const { return static_cast<std::int64_t>(kernels.size()); }
  std::int64_t groups() const { return pools() + 1; }
  std::int64_t plane() const { return height * width; }

  /** The reference takes one plane of x at a time. */
  std::int64_t items() const { return batch * channels; }

  double work() const {
    const auto elements = static_cast<double>(items()) * static_cast<double>(plane());
    return static_cast<double>(dtype_size(dtype)) * elements * static_cast<double>(4 * groups());
  }

  /** The pooling of one group over `images` of `planes` planes each. */
  Geometry geometry(std::int64_t group, std::int64_t images, std::int64_t planes) const {
    const std::int64_t kernel = kernels[static_cast<std::size_t>(group)];
    Geometry geometry;
    geometry.batch = images;
    geometry.channels = planes;
    for (const int axis : {Geometry::H, Geometry::W}) {
      const std::int64_t extent = axis == Geometry::H ? height : width;
      geometry.axes[static_cast<std::size_t>(axis)] = {extent,     extent,     kernel, 1,
                                                       kernel / 2, kernel / 2, 1};
    }
    return geometry;
  }
};

}  // namespace featurepool
