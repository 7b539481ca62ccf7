#include "dispatch/dispatch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <type_traits>

#include "dispatch/kernel.hpp"
#include "dispatch/threads.hpp"
#include "geometry/error.hpp"
#include "reference/reference.hpp"

namespace featurepool::dispatch {
namespace {

constexpr const char* kReference = "reference";

/** The kernels of an operation on calls of type Call, fastest first; "reference" follows by itself.
 */
template <class Call>
std::span<const KernelOf<Call>> kernels_of(Operation operation) {
  switch (operation) {
#define FEATUREPOOL_CASE(op, Type)                                   \
  case Operation::op:                                                \
    if constexpr (std::is_same_v<Type, Call>) return op##_kernels(); \
    break;
    FEATUREPOOL_OPERATIONS(FEATUREPOOL_CASE)
#undef FEATUREPOOL_CASE
  }
  return {};
}

template <class Call>
void run_reference(const Call& call, Span items) {
  switch (call.operation) {
#define FEATUREPOOL_CASE(op, Type)                                               \
  case Operation::op:                                                            \
    if constexpr (std::is_same_v<Type, Call>) return reference::op(call, items); \
    break;
    FEATUREPOOL_OPERATIONS(FEATUREPOOL_CASE)
#undef FEATUREPOOL_CASE
  }
}

void add_new(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

/** Names of the kernels of an operation, whatever it is called with; those of other element types
 * may have the same. */
std::vector<std::string> names_of(Operation operation) {
  std::vector<std::string> names;
  switch (operation) {
#define FEATUREPOOL_CASE(op, Type)                                                   \
  case Operation::op:                                                                \
    for (const KernelOf<Type>& kernel : op##_kernels()) add_new(names, kernel.name); \
    break;
    FEATUREPOOL_OPERATIONS(FEATUREPOOL_CASE)
#undef FEATUREPOOL_CASE
  }
  return names;
}

constexpr std::array kOperations = {
#define FEATUREPOOL_LIST(name, Call) Operation::name,
    FEATUREPOOL_OPERATIONS(FEATUREPOOL_LIST)
#undef FEATUREPOOL_LIST
};

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
    const bool x86 = available.front() <= kAvx3;
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
const std::vector<std::string>& all_kernel_names() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> names;
    for (const Operation operation : kOperations) {
      for (const std::string& name : names_of(operation)) add_new(names, name);
    }
    names.emplace_back(kReference);
    return names;
  }();
  return all;
}

void check_kernel(const std::string& kernel, fpool_status status, const char* name) {
  if (kernel.empty()) return;
  const std::vector<std::string>& names = all_kernel_names();
  if (std::find(names.begin(), names.end(), kernel) != names.end()) return;
  fail(status, name, " is '", kernel, "'; it must be one of ", join(names, ", "));
}

/**
 * Calls that move fewer bytes stay with their caller. In 1 MB one core is busy for 40 to 100 us; to
 * hand work to one that still looks for some takes 1 us, to one that sleeps up to 100 us on a
 * virtual machine, by when the caller has done it alone.
 */
constexpr double kLeastSharedBytes = 1024.0 * 1024;

double least_shared_bytes() {
  constexpr const char* kName = "FEATUREPOOL_LEAST_SHARED_BYTES";
  const std::string text = environment(kName);
  if (text.empty()) return kLeastSharedBytes;
  if (text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) {
    fail(FPOOL_ERROR_CONFIGURATION, kName, " is '", text, "'; it must be a number of bytes");
  }
  return std::stod(text);
}

/** What the environment and the tests have chosen. */
struct Choice {
  Tier tier;
  std::string kernel;  // empty: the fastest
  double least_shared_bytes;

  static Choice from_environment() {
    const std::string kernel = environment("FEATUREPOOL_KERNEL");
    check_kernel(kernel, FPOOL_ERROR_CONFIGURATION, "FEATUREPOOL_KERNEL");
    return {best_tier(environment("FEATUREPOOL_MAX_ISA"), FPOOL_ERROR_CONFIGURATION,
                      "FEATUREPOOL_MAX_ISA"),
            kernel, dispatch::least_shared_bytes()};
  }
};

Choice& choice() {
  // If this throws, the next call tries again and refuses again.
  static Choice instance = Choice::from_environment();
  return instance;
}

/** Whether a kernel exists for the tier in use, and takes a call. */
template <class Call>
bool takes(const KernelOf<Call>& kernel, const Call& call) {
  return kernel.run[choice().tier] != nullptr && kernel.accepts(call);
}

template <class Call>
const KernelOf<Call>* find_kernel(const Call& call) {
  const std::string& forced = choice().kernel;
  for (const KernelOf<Call>& kernel : kernels_of<Call>(call.operation)) {
    if (!forced.empty() && forced != kernel.name) continue;
    if (takes(kernel, call)) return &kernel;
  }
  return nullptr;
}

/** About how many times as long a call takes as moving what its work() says. */
template <class Call>
double slowness(const Call& call) {
  if constexpr (std::is_same_v<Call, Pooling>) {
    switch (call.operation) {
      case Operation::median_forward:
      case Operation::stochastic_forward:
      case Operation::stochastic_backward:
        return 16;
      default:
        // Bytes are 33 us (maxima) to 270 us (averages) per MB.
        return dtype_size(call.dtype) == 1 ? 2 : 1;
    }
  }
  return 1;
}

}  // namespace

template <class Call>
void run(const Call& call) {
  const Choice& chosen = choice();
  const int allowed = get_threads();
  if (call.items() == 0) return;
  const int threads = call.work() * slowness(call) < chosen.least_shared_bytes ? 1 : allowed;
  const KernelOf<Call>* kernel = find_kernel(call);
  if (kernel == nullptr) {
    parallel_for(call.items(), threads, [&](Span items) { run_reference(call, items); });
    return;
  }
  const auto function = kernel->run[chosen.tier];
  parallel_for(kernel->items(call), threads, [&](Span items) { function(call, items); });
}

template <class Call>
void run_here(const Call& call) {
  for (const KernelOf<Call>& kernel : kernels_of<Call>(call.operation)) {
    if (!takes(kernel, call)) continue;
    kernel.run[choice().tier](call, {0, kernel.items(call)});
    return;
  }
  run_reference(call, {0, call.items()});
}

template <class Call>
std::string kernel_for(const Call& call) {
  const KernelOf<Call>* kernel = find_kernel(call);
  return kernel == nullptr ? kReference : kernel->name;
}

#define FEATUREPOOL_INSTANTIATE(Call)       \
  template void run(const Call& call);      \
  template void run_here(const Call& call); \
  template std::string kernel_for(const Call& call);
FEATUREPOOL_CALLS(FEATUREPOOL_INSTANTIATE)
#undef FEATUREPOOL_INSTANTIATE

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
  std::vector<std::string> names = names_of(operation);
  names.emplace_back(kReference);
  return names;
}

const char* operation_name(Operation operation) {
  switch (operation) {
#define FEATUREPOOL_CASE(op, Call) \
  case Operation::op:              \
    return #op;
    FEATUREPOOL_OPERATIONS(FEATUREPOOL_CASE)
#undef FEATUREPOOL_CASE
  }
  return "no operation";
}

void use_kernel(const std::string& kernel) {
  check_kernel(kernel, FPOOL_ERROR_INVALID_ARGUMENT, "kernel");
  choice().kernel = kernel.empty() ? Choice::from_environment().kernel : kernel;
}

}  // namespace featurepool::dispatch
