#pragma once

#include <cstdint>
#include <type_traits>

#include "dispatch/pooling.hpp"
#include "geometry/dtype.hpp"
#include "hwy/base.h"

/** The types of elements as kernels have them; the half types are 16 bits in memory, f32 in lanes.
 */
namespace featurepool {

template <>
inline constexpr std::int32_t dtype_of<hwy::float16_t> = FPOOL_F16;
template <>
inline constexpr std::int32_t dtype_of<hwy::bfloat16_t> = FPOOL_BF16;

template <typename T>
inline constexpr bool is_half =
    std::is_same_v<T, hwy::float16_t> || std::is_same_v<T, hwy::bfloat16_t>;

/** The type of a lane that holds an element of type T. */
template <typename T>
using LaneOf = std::conditional_t<is_half<T>, float, T>;

/** Which of two elements a pooling selects: the greater, or the less. */
enum class Order { greater, less };

/** The types of elements that a family of kernels takes. */
template <typename... Types>
struct ElementTypes {
  static bool has(const Pooling& p) { return ((p.dtype == dtype_of<Types>) || ...); }

  /** Calls `f.template operator()<T>()` for the type of a call's elements. */
  template <class F>
  static void with(const Pooling& p, const F& f) {
    with_dtype<Types...>(p.dtype, f);
  }
};

using FloatTypes = ElementTypes<float, double, hwy::float16_t, hwy::bfloat16_t>;

}  // namespace featurepool
