// Stochastic pooling.

#include "dispatch/kernel.hpp"

namespace featurepool {

std::span<const Kernel> stochastic_forward_kernels() { return {}; }

std::span<const Kernel> stochastic_backward_kernels() { return {}; }

}  // namespace featurepool
