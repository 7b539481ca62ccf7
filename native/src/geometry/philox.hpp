#pragma once

#include <array>
#include <cstdint>

namespace featurepool {

/**
 * Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011): four random words from a counter and a key, without any state. What is drawn for a
 * position therefore depends on nothing but seed and position.
 */
inline std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                           std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/** The words of stream `stream` at `position` under `seed`. */
inline std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t position,
                                           std::uint64_t stream) {
  return philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
                 static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

/** A word as a number in [0, 1): a multiple of 2^-24, which f32 and f64 hold alike. */
inline double unit_interval(std::uint32_t word) { return (word >> 8) * 0x1p-24; }

}  // namespace featurepool
