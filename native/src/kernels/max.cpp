#include "dispatch/kernel.hpp"
namespace featurepool {
std::span<const Kernel> max_forward_kernels() { return {}; }
std::span<const Kernel> max_backward_kernels() { return {}; }
}  // namespace featurepool
