// Min pooling: all that computes it.

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/bands.hpp"
#include "kernels/extremes.hpp"
#include "kernels/half_pairs.hpp"
#include "kernels/position_pairs.hpp"
#include "kernels/slide_lanes.hpp"
#include "reference/extremes.hpp"
#include "reference/reference.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/min.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

#if HWY_ONCE
namespace featurepool {

void reference::min_forward(const Pooling& p, Span planes) { extremes_of_planes<true>(p, planes); }

std::span<const Kernel> min_forward_kernels() {
  static const std::vector<Kernel> all = [] {
    std::vector<Kernel> kernels = extremes::kernels<CommonExtremes<Order::less>>();
    const std::vector<Kernel> others = extremes::kernels<OtherExtremes<Order::less>>();
    kernels.insert(kernels.end(), others.begin(), others.end());
    kernels.insert(
        kernels.begin(),
        {slide_lanes_kernel(Operation::min_forward), bands_kernel(Operation::min_forward),
         half_pairs_kernel(Operation::min_forward), position_pairs_kernel(Operation::min_forward)});
    return kernels;
  }();
  return all;
}

}  // namespace featurepool
#endif
