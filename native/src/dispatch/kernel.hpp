#pragma once

#include <cstdint>
#include <span>

#include "dispatch/pooling.hpp"
#include "dispatch/tier.hpp"

namespace featurepool {

/**
 * One way to compute a pooling call.
 *
 * A call falls into independent work items; run() computes items [begin, end) and any split of the
 * items over threads gives the same bits.
 */
struct Kernel {
  const char* name;
  /** Whether this kernel computes such a call. */
  bool (*accepts)(const Pooling&);
  /** Number of work items. */
  std::int64_t (*items)(const Pooling&);
  dispatch::Tiered<void(const Pooling&, Span)> run;
};

/** The kernels of each operation, fastest first; what none of them accepts, the reference does. */
std::span<const Kernel> max_forward_kernels();
std::span<const Kernel> max_backward_kernels();
std::span<const Kernel> avg_forward_kernels();
std::span<const Kernel> avg_backward_kernels();

}  // namespace featurepool
