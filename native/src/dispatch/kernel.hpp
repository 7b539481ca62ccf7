#pragma once

#include <cstdint>
#include <span>

#include "dispatch/calls.hpp"
#include "dispatch/tier.hpp"

namespace featurepool {

/**
 * One way to compute a call.
 *
 * A call falls into independent work items; run() computes items [begin, end) and any split of the
 * items over threads gives the same bits.
 */
template <class Call>
struct KernelOf {
  const char* name;
  /** Whether this kernel computes such a call. */
  bool (*accepts)(const Call&);
  /** Number of work items. */
  std::int64_t (*items)(const Call&);
  dispatch::Tiered<void(const Call&, Span)> run;
};

using Kernel = KernelOf<Pooling>;

/** The kernels of each operation, fastest first; what none of them accepts, the reference does. */
#define FEATUREPOOL_DECLARE(name, Call) std::span<const KernelOf<Call>> name##_kernels();
FEATUREPOOL_OPERATIONS(FEATUREPOOL_DECLARE)
#undef FEATUREPOOL_DECLARE

}  // namespace featurepool
