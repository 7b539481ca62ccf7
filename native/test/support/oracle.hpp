#pragma once

#include <cstdint>
#include <vector>

#include "dispatch/pooling.hpp"

/**
 * What every operator computes, once more and independently of the library: from the extents of a
 * geometry only, tap by tap, without any of its spans.
 */
namespace featurepool::testing {

/** Results of a pooling that selects; one entry per output, in the order of the tensor's memory. */
template <typename T>
struct Selected {
  std::vector<T> values;
  std::vector<std::int64_t> plane_positions;   ///< -1: no valid tap
  std::vector<std::int64_t> window_positions;  ///< -1: no valid tap
};

/** Maxima or minima of f32, f64, f16 (Eigen::half), bf16 (Eigen::bfloat16), i8, u8 or i32. */
template <typename T>
Selected<T> extremes(const Pooling& pooling, bool min);

/** `dx[position] += dy`, in the order of the outputs of a plane; sums of halves are f32. */
template <typename T>
std::vector<T> route_backward(const Pooling& pooling,
                              const std::vector<std::int64_t>& plane_positions);

/** Sums wider than any type's, with what their error is measured by. */
struct Sums {
  std::vector<long double> values;
  std::vector<long double> magnitudes;  ///< the sum of the absolute values, divided alike
  std::vector<std::int64_t> terms;
};

/** Averages of floating-point types. */
template <typename T>
Sums avg_forward(const Pooling& pooling);
template <typename T>
Sums avg_backward(const Pooling& pooling);

/** Averages of bytes: exact, half to even, saturated. */
template <typename T>
std::vector<T> avg_forward_bytes(const Pooling& pooling);

}  // namespace featurepool::testing
