#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dispatch/pooling.hpp"
#include "support/guarded_memory.hpp"

namespace featurepool::testing {

/** What a tensor is filled with. */
enum class Values {
  uniform,   ///< random numbers, hardly any equal
  ties,      ///< a handful of small whole numbers, so that most windows have ties
  specials,  ///< ties, signed zeros, infinities, NaNs of both signs and many payloads
  lowest,    ///< nothing but what never wins: -inf or the lowest, of a minimum +inf or the highest
};

/**
 * One pooling call, described fluently and checked with every kernel at every tier and thread
 * count against the oracle: maxima, minima, masks and their gradients bit for bit, sums within
 * 2 ulp * sqrt(terms) of the exact ones (of f32 for halves, which are then rounded once) and bit
 * for bit among thread counts. Every buffer lies against an unmapped page.
 *
 *     PoolingCase().channels(3).input({7, 7}).kernel({3, 3}).stride({2, 2}).check(max_forward);
 */
class PoolingCase {
 public:
  PoolingCase& interleaved();
  /** FPOOL_F32 ... */
  PoolingCase& dtype(std::int32_t dtype);
  PoolingCase& bytes() { return dtype(FPOOL_U8); }
  /** Adaptive bins; the kernel is the output's extents. */
  PoolingCase& adaptive();
  PoolingCase& batch(std::int64_t n);
  PoolingCase& channels(std::int64_t c);
  /** Spatial extents; sets the rank, and kernel, stride and dilation of 1. */
  PoolingCase& input(const std::vector<std::int64_t>& extents);
  /** Other spatial extents of the same rank, under the same window. */
  PoolingCase& resize(const std::vector<std::int64_t>& extents);
  PoolingCase& kernel(const std::vector<std::int64_t>& kernel);
  PoolingCase& stride(const std::vector<std::int64_t>& stride);
  PoolingCase& dilation(const std::vector<std::int64_t>& dilation);
  PoolingCase& pad(const std::vector<std::int64_t>& begin, const std::vector<std::int64_t>& end);
  PoolingCase& pad(const std::vector<std::int64_t>& both);
  /** FPOOL_PAD_SAME_UPPER ... */
  PoolingCase& padding(std::int32_t mode);
  PoolingCase& ceil();
  PoolingCase& mask(MaskType type);
  PoolingCase& divisor(std::int64_t divisor);
  PoolingCase& include_padding();
  PoolingCase& values(Values values);
  PoolingCase& seed(std::uint64_t seed);
  PoolingCase& edge(Edge edge);
  PoolingCase& threads(const std::vector<int>& threads);

  const fpool_tensor& tensor() const { return tensor_; }
  const fpool_window& window() const { return window_; }

  /** Whether the library accepts this window over this tensor. */
  bool valid() const;

  /** The geometry, with what is known before there is data. */
  Pooling pooling(Operation operation) const;

  /**
   * Runs and compares everything, with one kernel (which must take the case) or with all that take
   * it; adds at most one failure to the current test.
   */
  void check(Operation operation, const std::string& kernel = "") const;

  /** Whether a kernel takes this case. */
  bool accepted_by(Operation operation, const std::string& kernel) const;

  /** All parameters in one line. */
  std::string describe() const;

 private:
  template <typename T>
  void check_as(Operation operation, const std::string& only) const;

  fpool_tensor tensor_{FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, 1}, 0};
  fpool_window window_{{1}, {1}, {0}, {0}, {1}, 1, FPOOL_PAD_EXPLICIT, 0, 0};
  MaskType mask_ = MaskType::none;
  Divisor divisor_;
  Values values_ = Values::uniform;
  std::uint64_t seed_ = 1;
  Edge edge_ = Edge::end;
  std::vector<int> threads_{1};
};

/** Number of generated cases per test: FEATUREPOOL_TEST_CASES, or the given number. */
int case_count(int usual);

/** Of a long row of directed cases, all; where few generated ones are asked for, each third, fifth
 * or seventh: builds that watch or emulate what they run need as long for it. */
class Thinned {
 public:
  Thinned();
  bool skips() { return next_++ % step_ != 0; }

 private:
  int step_;
  int next_ = 0;
};

}  // namespace featurepool::testing
