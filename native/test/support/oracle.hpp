#pragma once

#include <cstdint>
#include <vector>

#include "dispatch/pooling.hpp"

/**
 * What every operator computes, once more and independently of the library: from the extents of a
 * geometry only, tap by tap, without any of its spans.
 */
namespace featurepool::testing {

/** Results of a max pooling; one entry per output, in the order of the tensor's memory. */
template <typename T>
struct Maxima {
  std::vector<T> values;
  std::vector<std::int64_t> plane_positions;   ///< -1: no valid tap
  std::vector<std::int64_t> window_positions;  ///< -1: no valid tap
};

template <typename T>
Maxima<T> max_forward(const Pooling& pooling);

/** `dx[position] += dy`, in the order of the outputs of a plane. */
std::vector<float> route_backward(const Pooling& pooling,
                                  const std::vector<std::int64_t>& plane_positions);

/** Sums in f64, with what their error is measured by. */
struct Sums {
  std::vector<double> values;
  std::vector<double> magnitudes;  ///< the sum of the absolute values, divided alike
  std::vector<std::int64_t> terms;
};

Sums avg_forward(const Pooling& pooling);
Sums avg_backward(const Pooling& pooling);

/** Averages of bytes: exact, half to even, saturated. */
std::vector<std::uint8_t> avg_forward_bytes(const Pooling& pooling);

}  // namespace featurepool::testing
