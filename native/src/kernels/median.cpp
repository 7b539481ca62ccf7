// Median pooling.

#include "dispatch/kernel.hpp"

namespace featurepool {

std::span<const Kernel> median_forward_kernels() { return {}; }

}  // namespace featurepool
