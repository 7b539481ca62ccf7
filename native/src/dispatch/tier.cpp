#include "dispatch/tier.hpp"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace featurepool::dispatch {

const char* tier_name(Tier tier) {
  static constexpr const char* names[kTiers] = {"SSE4", "AVX2", "AVX3", "NEON", "SVE2"};
  return names[tier];
}

bool has_tier(Tier tier) {
#if defined(__x86_64__)
  // The features of the attributes that Highway compiles each tier with.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("f16c");
  switch (tier) {
    case kSse4:
      return true;
    case kAvx2:
      return avx2;
#ifndef FEATUREPOOL_WITHOUT_AVX3
    case kAvx3:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq");
#endif
    default:
      return false;
  }
#elif defined(__aarch64__)
  switch (tier) {
    case kNeon:
      return true;
    case kSve2:
      return (getauxval(AT_HWCAP2) & HWCAP2_SVE2) != 0;
    default:
      return false;
  }
#else
#error "Featurepool has no instruction-set tier for this processor architecture"
#endif
}

}  // namespace featurepool::dispatch
