#pragma once

#include <cstdint>

namespace fplimit {

/** Buffers of a pass by one thread, as for fplimit_pass(). */
struct Pass {
  const std::uint8_t* in;
  std::int64_t read_bytes;
  std::uint8_t* out;
  std::int64_t write_bytes;
};

/** Runs a pass with the widest vectors of this processor. */
void run(const Pass& pass, bool streaming);

}  // namespace fplimit
