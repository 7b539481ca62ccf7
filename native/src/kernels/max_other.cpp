// Max pooling of the other types.

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/extremes.hpp"
#include "kernels/half_pairs.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max_other.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

#if HWY_ONCE
namespace featurepool {

std::vector<Kernel> other_maxima_kernels() {
  std::vector<Kernel> kernels = extremes::kernels<OtherExtremes<Order::greater>>();
  kernels.insert(kernels.begin(), half_pairs_kernel(Operation::max_forward));
  return kernels;
}

}  // namespace featurepool
#endif
