#pragma once

#include <vector>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"

namespace featurepool {

/**
 * What a set of kernels for maxima, or minima, is compiled for. Those of the common types have
 * kernels of their own for the common windows; the others make do with those that take any window.
 */
template <Order kOrder, bool kCommon, typename... Types>
struct Extremes : ElementTypes<Types...> {
  static constexpr Order kSelects = kOrder;
  static constexpr bool kOwnKernels = kCommon;
};

template <Order kOrder>
using CommonExtremes = Extremes<kOrder, true, float, std::uint8_t>;
template <Order kOrder>
using OtherExtremes =
    Extremes<kOrder, false, double, hwy::float16_t, hwy::bfloat16_t, std::int8_t, std::int32_t>;

/** The kernels of maxima of the other types, in a file of their own. */
std::vector<Kernel> other_maxima_kernels();

}  // namespace featurepool
