// Max pooling of the common types.

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/bands.hpp"
#include "kernels/extremes.hpp"
#include "kernels/position_pairs.hpp"
#include "kernels/slide_lanes.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

#if HWY_ONCE
namespace featurepool {

std::span<const Kernel> max_forward_kernels() {
  static const std::vector<Kernel> all = [] {
    std::vector<Kernel> kernels = extremes::kernels<CommonExtremes<Order::greater>>();
    const std::vector<Kernel> others = other_maxima_kernels();
    kernels.insert(kernels.end(), others.begin(), others.end());
    kernels.insert(kernels.begin(), {slide_lanes_kernel(Operation::max_forward),
                                     bands_kernel(Operation::max_forward),
                                     position_pairs_kernel(Operation::max_forward)});
    return kernels;
  }();
  return all;
}

}  // namespace featurepool
#endif
