#pragma once

#include <Eigen/Core>
#include <concepts>

#include "geometry/dtype.hpp"

/** The half types as scalar code has them: numbers that convert to and from float. */
namespace featurepool {

template <>
inline constexpr std::int32_t dtype_of<Eigen::half> = FPOOL_F16;
template <>
inline constexpr std::int32_t dtype_of<Eigen::bfloat16> = FPOOL_BF16;

/** Types whose sums are taken in f32 and rounded once. */
template <typename T>
concept Half = std::same_as<T, Eigen::half> || std::same_as<T, Eigen::bfloat16>;

}  // namespace featurepool
