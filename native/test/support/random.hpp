#pragma once

#include <cstdint>

namespace featurepool::testing {

/** SplitMix64: the same numbers from a seed on every platform, unlike <random>'s distributions. */
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /** Uniform in [low, high]. */
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % (static_cast<std::uint64_t>(high - low) + 1));
  }

  bool one_in(std::int64_t n) { return between(1, n) == 1; }

  /** Uniform in [0, 1). */
  float fraction() { return static_cast<float>(next() >> 40) * 0x1p-24f; }

 private:
  std::uint64_t state_;
};

}  // namespace featurepool::testing
