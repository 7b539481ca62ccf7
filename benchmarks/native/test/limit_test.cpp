#include "limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace {

struct Free {
  void operator()(void* data) const { std::free(data); }
};

/** `size` bytes of `value` at an aligned address, and as many guard bytes as a line behind them. */
class Buffer {
 public:
  Buffer(std::int64_t size, std::uint8_t value)
      : size_(size),
        data_(static_cast<std::uint8_t*>(std::aligned_alloc(
            FPLIMIT_ALIGNMENT,
            static_cast<std::size_t>(size / FPLIMIT_ALIGNMENT + 2) * FPLIMIT_ALIGNMENT))) {
    std::fill_n(data_.get(), size, value);
    std::fill_n(data_.get() + size, FPLIMIT_ALIGNMENT, kGuard);
  }

  std::uint8_t* data() { return data_.get(); }

  /** How many of the bytes are `value`. */
  std::int64_t count(std::uint8_t value) {
    return std::count(data_.get(), data_.get() + size_, value);
  }

  bool guard_intact() {
    return std::all_of(data_.get() + size_, data_.get() + size_ + FPLIMIT_ALIGNMENT,
                       [](std::uint8_t byte) { return byte == kGuard; });
  }

 private:
  static constexpr std::uint8_t kGuard = 0xEE;

  std::int64_t size_;
  std::unique_ptr<std::uint8_t, Free> data_;
};

TEST(LimitPass, WritesEveryByteOfTheOutputAndNoOther) {
  const std::vector<std::int64_t> sizes = {0, 1, 63, 64, 65, 640, 1000, 4096, 12345, 50176};
  for (const std::int64_t reads : sizes) {
    for (const std::int64_t writes : sizes) {
      for (const bool streaming : {false, true}) {
        for (const int threads : {1, 2, 5}) {
          // The tail of an output that is longer than the input's has nothing to combine but zeros.
          Buffer in(reads, 0x5A);
          Buffer out(writes, 0xFF);
          fplimit_pass(in.data(), reads, out.data(), writes, streaming, threads);
          EXPECT_EQ(out.count(0xFF), 0) << reads << ':' << writes << " threads " << threads;
          EXPECT_EQ(out.count(0x5A) + out.count(0), writes);
          EXPECT_EQ(in.count(0x5A), reads);
          EXPECT_TRUE(out.guard_intact()) << reads << ':' << writes << " threads " << threads;
        }
      }
    }
  }
}

TEST(LimitPass, WhatIsWrittenDependsOnEveryLineRead) {
  constexpr std::int64_t lines = 40;
  for (std::int64_t line = 0; line < lines; ++line) {
    Buffer in(lines * FPLIMIT_ALIGNMENT, 0);
    Buffer out(lines * FPLIMIT_ALIGNMENT / 4, 0xFF);
    in.data()[line * FPLIMIT_ALIGNMENT + 17] = 1;
    fplimit_pass(in.data(), lines * FPLIMIT_ALIGNMENT, out.data(), lines * FPLIMIT_ALIGNMENT / 4, 0,
                 1);
    // In the same proportion throughout: line 4 i + j is part of line i of the output.
    EXPECT_EQ(out.data()[line / 4 * FPLIMIT_ALIGNMENT + 17], 1) << line;
    EXPECT_EQ(out.count(1), 1) << line;
  }
}

std::int32_t calls = 0;

std::int32_t count_call() { return ++calls; }

fpool_status refuse(const fpool_tensor*, const void*, const fpool_window*, const fpool_tensor*,
                    void*, const fpool_tensor*, void*) {
  return FPOOL_ERROR_INVALID_ARGUMENT;
}

TEST(LimitTimes, CallsAsOftenAsAsked) {
  calls = 0;
  EXPECT_GE(fplimit_time_abi_version(count_call, 1000), 0);
  EXPECT_EQ(calls, 1000);
}

TEST(LimitTimes, MeasuresLargeProducts) {
  const double flops = fplimit_sgemm(1);
  EXPECT_GT(flops, 0.1);
  EXPECT_LT(flops, 10'000.0);
}

TEST(LimitTimes, TellsARefusal) {
  EXPECT_EQ(fplimit_time_max_forward(refuse, 10, nullptr, nullptr, nullptr, nullptr, nullptr), -1);
}

}  // namespace
