// Transposing planes into lanes.
#if defined(FEATUREPOOL_KERNELS_TURN_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_TURN_LANES_INL_H_
#undef FEATUREPOOL_KERNELS_TURN_LANES_INL_H_
#else
#define FEATUREPOOL_KERNELS_TURN_LANES_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/turned-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Transposes a square of eight rows of eight lanes of four bytes in whole vectors. */
template <typename Lane>
HWY_INLINE void TurnEight(const Lane* HWY_RESTRICT from, std::int64_t from_pitch,
                          Lane* HWY_RESTRICT to, std::int64_t to_pitch) {
  const hn::CappedTag<Lane, 8> d;
  const hn::Repartition<std::uint64_t, decltype(d)> pairs;
  const auto row = [&](std::int64_t r) HWY_ATTR { return hn::LoadU(d, from + r * from_pitch); };
  // Columns of four rows: of each half, the first two and the last two.
  const auto four = [&](std::int64_t r, auto& c0, auto& c1, auto& c2, auto& c3) HWY_ATTR {
    const auto a = row(r);
    const auto b = row(r + 1);
    const auto c = row(r + 2);
    const auto e = row(r + 3);
    const auto low0 = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
    const auto low1 = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
    const auto high0 = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
    const auto high1 = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
    c0 = hn::BitCast(d, hn::InterleaveLower(pairs, low0, low1));
    c1 = hn::BitCast(d, hn::InterleaveUpper(pairs, low0, low1));
    c2 = hn::BitCast(d, hn::InterleaveLower(pairs, high0, high1));
    c3 = hn::BitCast(d, hn::InterleaveUpper(pairs, high0, high1));
  };
  hn::Vec<decltype(d)> a0, a1, a2, a3, b0, b1, b2, b3;
  four(0, a0, a1, a2, a3);
  four(4, b0, b1, b2, b3);
  hn::StoreU(hn::ConcatLowerLower(d, b0, a0), d, to);
  hn::StoreU(hn::ConcatLowerLower(d, b1, a1), d, to + to_pitch);
  hn::StoreU(hn::ConcatLowerLower(d, b2, a2), d, to + 2 * to_pitch);
  hn::StoreU(hn::ConcatLowerLower(d, b3, a3), d, to + 3 * to_pitch);
  hn::StoreU(hn::ConcatUpperUpper(d, b0, a0), d, to + 4 * to_pitch);
  hn::StoreU(hn::ConcatUpperUpper(d, b1, a1), d, to + 5 * to_pitch);
  hn::StoreU(hn::ConcatUpperUpper(d, b2, a2), d, to + 6 * to_pitch);
  hn::StoreU(hn::ConcatUpperUpper(d, b3, a3), d, to + 7 * to_pitch);
}

/** Side of the squares that TurnPart() transposes. */
template <typename Lane>
constexpr std::int64_t TurnedSide() {
  const bool eight = sizeof(Lane) == 4 && hn::MaxLanes(hn::ScalableTag<Lane>()) >= 8;
  return eight ? 8 : kSquare<Lane>;
}

template <typename Lane>
HWY_INLINE void TurnPart(const Lane* HWY_RESTRICT from, std::int64_t from_pitch,
                         Lane* HWY_RESTRICT to, std::int64_t to_pitch) {
  if constexpr (TurnedSide<Lane>() == 8) {
    TurnEight(from, from_pitch, to, to_pitch);
  } else {
    TurnSquare(from, from_pitch, to, to_pitch);
  }
}

/** Transposes `rows` rows of `columns` lanes; nothing but they are read or written. */
template <typename Lane>
HWY_NOINLINE void TurnLanes(const Lane* HWY_RESTRICT from, std::int64_t from_pitch,
                            std::int64_t rows, std::int64_t columns, Lane* HWY_RESTRICT to,
                            std::int64_t to_pitch) {
  constexpr std::int64_t kSide = TurnedSide<Lane>();
  const std::int64_t whole_rows = rows / kSide * kSide;
  const std::int64_t whole_columns = columns / kSide * kSide;
  for (std::int64_t r = 0; r < whole_rows; r += kSide) {
    const Lane* HWY_RESTRICT x = from + r * from_pitch;
    Lane* HWY_RESTRICT y = to + r;
    for (std::int64_t c = 0; c < whole_columns; c += kSide, x += kSide, y += kSide * to_pitch) {
      TurnPart(x, from_pitch, y, to_pitch);
    }
  }
  std::int64_t done = whole_rows;
  if constexpr (kSide > kSquare<Lane>) {
    for (; done + kSquare<Lane> <= rows; done += kSquare<Lane>) {
      for (std::int64_t c = 0; c < whole_columns; c += kSquare<Lane>) {
        TurnSquare(from + done * from_pitch + c, from_pitch, to + c * to_pitch + done, to_pitch);
      }
    }
  }
  if (done == rows && whole_columns == columns) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = r < done ? whole_columns : 0; c < columns; ++c) {
      to[c * to_pitch + r] = from[r * from_pitch + c];
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
