#include "dispatch/tier.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace featurepool::dispatch {
namespace {

#if defined(__x86_64__)
/** What __builtin_cpu_supports() does not know in every compiler. */
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

/** What the processor has of the features that Highway compiles each tier with; asked once, because
 * hypervisors take long to answer. */
struct Processor {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_f16c();
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq");
};
#endif

}  // namespace

const char* tier_name(Tier tier) {
  static constexpr const char* names[kTiers] = {"SSE4", "AVX2", "AVX3", "NEON"};
  return names[tier];
}

bool has_tier(Tier tier) {
#if defined(__x86_64__)
  static const Processor processor;
  switch (tier) {
#ifndef FEATUREPOOL_ONLY_AVX2
    case kSse4:
      return true;
#endif
    case kAvx2:
      return processor.avx2;
#ifndef FEATUREPOOL_WITHOUT_AVX3
    case kAvx3:
      return processor.avx3;
#endif
    default:
      return false;
  }
#elif defined(__aarch64__)
  return tier == kNeon;
#else
#error "Featurepool has no instruction-set tier for this processor architecture"
#endif
}

}  // namespace featurepool::dispatch
