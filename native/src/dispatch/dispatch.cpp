#include "dispatch/dispatch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include "dispatch/kernel.hpp"
#include "dispatch/threads.hpp"
#include "geometry/error.hpp"
#include "reference/reference.hpp"

namespace featurepool::dispatch {
namespace {

constexpr const char* kReference = "reference";

/** The kernels of every operation, fastest first; "reference" follows by itself. */
std::span<const Kernel> kernels_of(Operation operation) {
  switch (operation) {
    case Operation::max_forward:
      return max_forward_kernels();
    case Operation::max_backward:
      return max_backward_kernels();
    case Operation::avg_forward:
      return avg_forward_kernels();
    case Operation::avg_backward:
      return avg_backward_kernels();
  }
  return {};
}

constexpr std::array kOperations = {Operation::max_forward, Operation::max_backward,
                                    Operation::avg_forward, Operation::avg_backward};

std::vector<Tier> machine_tiers() {
  std::vector<Tier> result;
  for (std::size_t i = 0; i < kTiers; ++i) {
    if (has_tier(static_cast<Tier>(i))) result.push_back(static_cast<Tier>(i));
  }
  return result;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/** The best tier not above `cap`, which may be one that only a newer processor has; empty: any. */
Tier best_tier(const std::string& cap, fpool_status status, const char* name) {
  const std::vector<Tier> available = machine_tiers();
  if (cap.empty()) return available.back();
  std::vector<std::string> known;
  for (std::size_t i = 0; i < kTiers; ++i) {
    const Tier tier = static_cast<Tier>(i);
    const bool x86 = available.front() == kSse4;
    if (x86 != (i <= kAvx3)) continue;
    known.emplace_back(tier_name(tier));
    if (cap != tier_name(tier)) continue;
    Tier best = available.front();
    for (const Tier candidate : available) {
      if (candidate <= tier) best = candidate;
    }
    return best;
  }
  fail(status, name, " is '", cap, "'; it must be one of ", join(known, ", "));
}

/** All names that a kernel may be forced by. */
std::vector<std::string> all_kernel_names() {
  std::vector<std::string> names;
  for (const Operation operation : kOperations) {
    for (const Kernel& kernel : kernels_of(operation)) {
      if (std::find(names.begin(), names.end(), kernel.name) == names.end()) {
        names.emplace_back(kernel.name);
      }
    }
  }
  names.emplace_back(kReference);
  return names;
}

void check_kernel(const std::string& kernel, fpool_status status, const char* name) {
  const std::vector<std::string> names = all_kernel_names();
  if (kernel.empty() || std::find(names.begin(), names.end(), kernel) != names.end()) return;
  fail(status, name, " is '", kernel, "'; it must be one of ", join(names, ", "));
}

/** What the environment and the tests have chosen. */
struct Choice {
  Tier tier;
  std::string kernel;  // empty: the fastest

  static Choice from_environment() {
    const std::string kernel = environment("FEATUREPOOL_KERNEL");
    check_kernel(kernel, FPOOL_ERROR_CONFIGURATION, "FEATUREPOOL_KERNEL");
    return {best_tier(environment("FEATUREPOOL_MAX_ISA"), FPOOL_ERROR_CONFIGURATION,
                      "FEATUREPOOL_MAX_ISA"),
            kernel};
  }
};

Choice& choice() {
  // If this throws, the next call tries again and refuses again.
  static Choice instance = Choice::from_environment();
  return instance;
}

const Kernel* find_kernel(const Pooling& pooling) {
  const std::string& forced = choice().kernel;
  for (const Kernel& kernel : kernels_of(pooling.operation)) {
    if (!forced.empty() && forced != kernel.name) continue;
    if (kernel.accepts(pooling)) return &kernel;
  }
  return nullptr;
}

// Below this many bytes moved, waking a worker costs more than it saves (measured: a wake-up takes
// 5 to 10 us, in which one core moves a few hundred KB).
constexpr double kLeastParallelBytes = 512.0 * 1024;

int threads_for(const Pooling& p) {
  const int threads = get_threads();
  const Geometry& g = p.geometry;
  const auto element = static_cast<double>(dtype_size(p.dtype));
  const auto inputs = static_cast<double>(g.input_size());
  const auto outputs = static_cast<double>(g.output_size());
  // Taps count too: a large window is work even where the tensors are small.
  const double taps = std::min(static_cast<double>(g.taps()), 64.0);
  const double bytes = element * std::max(inputs + outputs, outputs * taps / 4);
  return bytes < kLeastParallelBytes ? 1 : threads;
}

}  // namespace

void run(const Pooling& pooling) {
  const Choice& chosen = choice();
  const int threads = threads_for(pooling);
  const Geometry& g = pooling.geometry;
  if (g.batch == 0) return;
  const Kernel* kernel = find_kernel(pooling);
  if (kernel == nullptr) {
    parallel_for(g.planes(), threads, [&](Span planes) { reference::run(pooling, planes); });
    return;
  }
  const auto function = kernel->run[chosen.tier];
  parallel_for(kernel->items(pooling), threads, [&](Span items) { function(pooling, items); });
}

std::vector<std::string> tiers() {
  std::vector<std::string> names;
  for (const Tier tier : machine_tiers()) names.emplace_back(tier_name(tier));
  return names;
}

const char* active_tier() { return tier_name(choice().tier); }

void use_tier(const std::string& tier) {
  choice().tier = tier.empty() ? Choice::from_environment().tier
                               : best_tier(tier, FPOOL_ERROR_INVALID_ARGUMENT, "tier");
}

std::vector<std::string> kernels(Operation operation) {
  std::vector<std::string> names;
  for (const Kernel& kernel : kernels_of(operation)) names.emplace_back(kernel.name);
  names.emplace_back(kReference);
  return names;
}

std::string kernel_for(const Pooling& pooling) {
  const Kernel* kernel = find_kernel(pooling);
  return kernel == nullptr ? kReference : kernel->name;
}

void use_kernel(const std::string& kernel) {
  check_kernel(kernel, FPOOL_ERROR_INVALID_ARGUMENT, "kernel");
  choice().kernel = kernel.empty() ? Choice::from_environment().kernel : kernel;
}

}  // namespace featurepool::dispatch
