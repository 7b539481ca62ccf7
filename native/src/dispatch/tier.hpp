#pragma once

#include <array>
#include <cstddef>

/**
 * Instruction-set tiers. A kernel's file is compiled once per tier (Highway's foreach_target);
 * which of the compiled forms runs is decided here, at run time. Highway's own run-time choice is
 * not used: it lives in a shared library that needs libstdc++, and ours must need nothing but libc.
 */
namespace featurepool::dispatch {

enum Tier : std::size_t { kSse4, kAvx2, kAvx3, kNeon, kTiers };

/** One function pointer per tier; null where the tier is not of this processor architecture. */
template <typename Function>
using Tiered = std::array<Function*, kTiers>;

/** The table of a function that is compiled once, for the least tier. */
template <typename Function>
constexpr Tiered<Function> in_every_tier(Function* function) {
  Tiered<Function> table{};
  table.fill(function);
  return table;
}

/**
 * The table of a function that Highway compiled for every tier; only inside `#if HWY_ONCE`. Such
 * functions are inline: the compiler then drops those of tiers that no table names, before it
 * optimises them.
 */
#define FEATUREPOOL_TIERED(FUNCTION)                                                 \
  {                                                                                  \
    HWY_CHOOSE_SSE4(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX3(FUNCTION), \
        HWY_CHOOSE_NEON(FUNCTION)                                                    \
  }

/**
 * The same without SSE4, whose processors (from before 2013) make do with the kernels that take any
 * window: a third of the library would be there for them alone.
 */
#define FEATUREPOOL_TIERED_ABOVE_SSE4(FUNCTION) \
  { nullptr, HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX3(FUNCTION), HWY_CHOOSE_NEON(FUNCTION) }

/**
 * The same with the code of AVX2 where there is AVX-512: for what is rarely called or seldom faster
 * with it, so that the library stays small.
 */
#define FEATUREPOOL_TIERED_UP_TO_AVX2(FUNCTION)                                      \
  {                                                                                  \
    HWY_CHOOSE_SSE4(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), \
        HWY_CHOOSE_NEON(FUNCTION)                                                    \
  }

/** Both: of x86, AVX2's code alone. */
#define FEATUREPOOL_TIERED_AVX2(FUNCTION) \
  { nullptr, HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_AVX2(FUNCTION), HWY_CHOOSE_NEON(FUNCTION) }

const char* tier_name(Tier tier);

/** Whether this processor and the library both have a tier. */
bool has_tier(Tier tier);

}  // namespace featurepool::dispatch
