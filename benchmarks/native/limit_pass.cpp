#include "limit_pass.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "dispatch/tier.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "limit_pass.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fplimit {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Cache lines are the unit of the proportion: finer would tear write-combining buffers, coarser
// would be runs of reads and of writes rather than one proportion throughout.
constexpr std::size_t kLine = 64;
const hn::CappedTag<std::uint8_t, kLine> kTag;

template <bool kStreaming>
HWY_INLINE void store(hn::Vec<decltype(kTag)> value, std::uint8_t* to) {
  if constexpr (kStreaming) {
    hn::Stream(value, kTag, to);
  } else {
    hn::Store(value, kTag, to);
  }
}

/** Reads `count` lines and writes one. */
template <bool kStreaming>
HWY_INLINE void gather_lines(const std::uint8_t* in, std::int64_t count, std::uint8_t* out) {
  for (std::size_t i = 0; i < kLine; i += hn::Lanes(kTag)) {
    auto all = hn::Load(kTag, in + i);
    for (std::int64_t line = 1; line < count; ++line) {
      all = hn::Or(all, hn::Load(kTag, in + static_cast<std::size_t>(line) * kLine + i));
    }
    store<kStreaming>(all, out + i);
  }
}

/** Reads one line and writes `count`. */
template <bool kStreaming>
HWY_INLINE void spread_lines(const std::uint8_t* in, std::int64_t count, std::uint8_t* out) {
  for (std::int64_t line = 0; line < count; ++line) {
    for (std::size_t i = 0; i < kLine; i += hn::Lanes(kTag)) {
      store<kStreaming>(hn::Load(kTag, in + i), out + static_cast<std::size_t>(line) * kLine + i);
    }
  }
}

/**
 * A pass in steps of one line of the shorter side and `many / few` lines of the longer; where that
 * is no integer, some steps take one line more. kWhole, if not 0, is the integer part, known to the
 * compiler so that the step is straight code.
 */
template <bool kStreaming, bool kReadsMore, std::int64_t kWhole>
HWY_INLINE void steps(const std::uint8_t* in, std::uint8_t* out, std::int64_t few,
                      std::int64_t many) {
  const std::int64_t whole = kWhole == 0 ? many / few : kWhole;
  const std::int64_t rest = many % few;
  std::int64_t owed = 0;
  const auto step = [&](std::int64_t count) HWY_ATTR {
    if constexpr (kReadsMore) {
      gather_lines<kStreaming>(in, count, out);
      in += static_cast<std::size_t>(count) * kLine;
      out += kLine;
    } else {
      spread_lines<kStreaming>(in, count, out);
      in += kLine;
      out += static_cast<std::size_t>(count) * kLine;
    }
  };
  if (rest == 0) {
    HWY_UNROLL(4)
    for (std::int64_t i = 0; i < few; ++i) step(whole);
    return;
  }
  for (std::int64_t i = 0; i < few; ++i) {
    owed += rest;
    if (owed >= few) {
      owed -= few;
      step(whole + 1);
    } else {
      step(whole);
    }
  }
}

template <bool kStreaming, bool kReadsMore>
void lines_in_proportion(const std::uint8_t* in, std::uint8_t* out, std::int64_t few,
                         std::int64_t many) {
  switch (many / few) {
    case 1:
      return steps<kStreaming, kReadsMore, 1>(in, out, few, many);
    case 2:
      return steps<kStreaming, kReadsMore, 2>(in, out, few, many);
    case 3:
      return steps<kStreaming, kReadsMore, 3>(in, out, few, many);
    case 4:
      return steps<kStreaming, kReadsMore, 4>(in, out, few, many);
    case 8:
      return steps<kStreaming, kReadsMore, 8>(in, out, few, many);
    default:
      return steps<kStreaming, kReadsMore, 0>(in, out, few, many);
  }
}

void read_lines(const std::uint8_t* in, std::int64_t count) {
  auto a = hn::Zero(kTag);
  auto b = a, c = a, d = a;
  const std::uint8_t* const end = in + static_cast<std::size_t>(count) * kLine;
  const std::size_t lanes = hn::Lanes(kTag);
  // A line holds 1, 2 or 4 vectors, so four lines are a whole number of turns.
  const std::uint8_t* const last = in + static_cast<std::size_t>(count & ~std::int64_t{3}) * kLine;
  for (; in < last; in += 4 * lanes) {
    a = hn::Or(a, hn::Load(kTag, in));
    b = hn::Or(b, hn::Load(kTag, in + lanes));
    c = hn::Or(c, hn::Load(kTag, in + 2 * lanes));
    d = hn::Or(d, hn::Load(kTag, in + 3 * lanes));
  }
  for (; in < end; in += lanes) a = hn::Or(a, hn::Load(kTag, in));
  a = hn::Or(hn::Or(a, b), hn::Or(c, d));
  HWY_ALIGN std::array<std::uint8_t, kLine> sink;
  hn::Store(a, kTag, sink.data());
  // Nobody needs the value; without this the loads would be optimised away.
  __asm__ volatile("" : : "r"(sink.data()) : "memory");
}

template <bool kStreaming>
void write_lines(std::uint8_t* out, std::int64_t count) {
  const auto zero = hn::Zero(kTag);
  std::uint8_t* const end = out + static_cast<std::size_t>(count) * kLine;
  for (; out < end; out += hn::Lanes(kTag)) store<kStreaming>(zero, out);
}

template <bool kStreaming>
void run(const Pass& pass) {
  constexpr auto line = static_cast<std::int64_t>(kLine);
  const std::int64_t reads = pass.read_bytes / line;
  const std::int64_t writes = pass.write_bytes / line;
  if (writes == 0) {
    read_lines(pass.in, reads);
  } else if (reads == 0) {
    write_lines<kStreaming>(pass.out, writes);
  } else if (reads >= writes) {
    lines_in_proportion<kStreaming, true>(pass.in, pass.out, writes, reads);
  } else {
    lines_in_proportion<kStreaming, false>(pass.in, pass.out, reads, writes);
  }
  // The bytes behind the last whole line of either side.
  std::array<std::uint8_t, kLine> tail{};
  std::memcpy(tail.data(), pass.in + reads * line,
              static_cast<std::size_t>(pass.read_bytes % line));
  std::memcpy(pass.out + writes * line, tail.data(),
              static_cast<std::size_t>(pass.write_bytes % line));
  if constexpr (kStreaming) hwy::FlushStream();
}

void run_plain(const Pass& pass) { run<false>(pass); }
void run_streaming(const Pass& pass) { run<true>(pass); }

}  // namespace HWY_NAMESPACE
}  // namespace fplimit
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fplimit {
namespace {

using featurepool::dispatch::Tiered;

constexpr Tiered<void(const Pass&)> kPlain = FEATUREPOOL_TIERED(run_plain);
constexpr Tiered<void(const Pass&)> kStreaming = FEATUREPOOL_TIERED(run_streaming);

std::size_t best_tier() {
  std::size_t best = 0;
  for (std::size_t i = 0; i < featurepool::dispatch::kTiers; ++i) {
    if (featurepool::dispatch::has_tier(static_cast<featurepool::dispatch::Tier>(i))) best = i;
  }
  return best;
}

}  // namespace

void run(const Pass& pass, bool streaming) {
  static const std::size_t tier = best_tier();
  (streaming ? kStreaming : kPlain)[tier](pass);
}

}  // namespace fplimit
#endif  // HWY_ONCE
