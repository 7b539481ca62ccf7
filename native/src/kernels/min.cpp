// Min pooling of the common types.

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/extremes.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/min.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

#if HWY_ONCE
namespace featurepool {

std::span<const Kernel> min_forward_kernels() {
  static const std::vector<Kernel> all = [] {
    std::vector<Kernel> kernels = extremes::kernels<CommonExtremes<Order::less>>();
    const std::vector<Kernel> others = other_minima_kernels();
    kernels.insert(kernels.end(), others.begin(), others.end());
    return kernels;
  }();
  return all;
}

}  // namespace featurepool
#endif
