// Max pooling of the other types.

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/extremes.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/max_other.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/extremes-inl.h"

#if HWY_ONCE
namespace featurepool {

std::vector<Kernel> other_maxima_kernels() {
  return extremes::kernels<OtherExtremes<Order::greater>>();
}

}  // namespace featurepool
#endif
