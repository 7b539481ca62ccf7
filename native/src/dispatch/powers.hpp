#pragma once

#include <cstdint>

#include "dispatch/operation.hpp"
#include "featurepool/featurepool.h"
#include "geometry/dtype.hpp"

namespace featurepool {

/**
 * What a power sum is made of: of every element its base, |x| or max(x, floor), to the power p, one
 * p for all channels or one per channel.
 */
struct Power {
  const double* p = nullptr;
  std::int64_t count = 1;
  double floor = 0;        ///< greater than 0 if not `magnitude`
  bool magnitude = false;  ///< |x|, and sums; else max(x, floor), and means
};

/**
 * Powers of many elements, one by one: the halves of a power sum that know no window. Elements of
 * the caller's type are `x`, `dy` and `out`, or `out` is f64; `terms` is f64. They come in rows of
 * `width`; with one p per channel a row is a plane (from channel `channel` on) or, interleaved, a
 * position that has all channels.
 *
 * - power_terms:    out = base(x)^p, f64
 * - power_logs:     out = terms * ln(base(x)), f64
 * - power_root:     out = terms^(1/p)
 * - power_weights:  out = dy / x^(p-1), f64; 0 where x (the result of the forward call) is 0
 * - power_gradient: out = terms * base(x)^(p-1) * (derivative of the base); 0 where terms is 0
 */
struct Powers {
  /** Elements of a row that one item holds; a row's last item holds what is left. */
  static constexpr std::int64_t kBlock = 4096;

  Operation operation = Operation::power_terms;
  std::int32_t dtype = FPOOL_F32;
  Power power;
  bool interleaved = false;
  std::int64_t channel = 0;
  std::int64_t rows = 1;
  std::int64_t width = 0;
  const void* x = nullptr;
  const void* dy = nullptr;
  const double* terms = nullptr;
  void* out = nullptr;

  /** Whether p differs along a row. */
  bool by_column() const { return power.count > 1 && interleaved; }

  /** The p of a row, where it is the same along it. */
  double exponent(std::int64_t row) const {
    return power.count == 1 ? power.p[0] : power.p[(channel + row) % power.count];
  }

  std::int64_t blocks() const { return (width + kBlock - 1) / kBlock; }
  std::int64_t items() const { return rows * blocks(); }
  double work() const { return 16.0 * static_cast<double>(rows * width); }
};

/** Whether a kind of Powers takes elements of the caller's type to f64. */
inline bool gives_terms(Operation operation) {
  return operation != Operation::power_root && operation != Operation::power_gradient;
}

}  // namespace featurepool
