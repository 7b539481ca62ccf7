#include "kernels/scratch.hpp"

#include <atomic>
#include <fstream>

namespace featurepool {
namespace {

std::atomic<std::int64_t> pretended_bytes{-1};

}  // namespace

std::int64_t last_level_cache_bytes() {
  // From the kernel and not from sysconf(): in a virtual machine glibc was seen to multiply 32 MB
  // by the number of sockets of the machine below.
  static const std::int64_t bytes = [] {
    constexpr std::int64_t kUnknown = std::int64_t{32} << 20;
    std::int64_t kib = 0;
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
    return file >> kib && kib > 0 ? kib << 10 : kUnknown;
  }();
  const std::int64_t pretended = pretended_bytes.load(std::memory_order_relaxed);
  return pretended < 0 ? bytes : pretended;
}

void use_last_level_cache_bytes(std::int64_t bytes) { pretended_bytes = bytes; }

}  // namespace featurepool
