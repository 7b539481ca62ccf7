// Medians of 3x3 windows of stride 1, two rows of outputs at a time, from the input to the output
// in registers.
#if defined(FEATUREPOOL_KERNELS_MEDIAN_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_MEDIAN_PAIRS_INL_H_
#undef FEATUREPOOL_KERNELS_MEDIAN_PAIRS_INL_H_
#else
#define FEATUREPOOL_KERNELS_MEDIAN_PAIRS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/plane_view.hpp"
#include "kernels/rows-inl.h"
#include "kernels/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace median_pooling {

template <class V>
HWY_INLINE V Middle(V a, V b, V c) {
  return hn::Max(hn::Min(a, b), hn::Min(hn::Max(a, b), c));
}

/**
 * The median of three sorted triples is the middle one of the greatest first, the middle second and
 * the least third. The triples are the rows of a window: their taps are loads of the input, each is
 * sorted once for three rows of outputs, and of the middle two rows of a pair of outputs, what they
 * give together is found once for both. What is sorted of the last two rows waits for the next
 * pair.
 */
template <typename T>
class RowPairs {
 public:
  using D = hn::ScalableTag<T>;

  RowPairs(const PlaneView& view, std::int64_t tile)
      : view_(view),
        accepts_(view.d.kernel == 1 && view.h.kernel == 3 && view.h.stride == 1 &&
                 view.h.dilation == 1 && view.w.kernel == 3 && view.w.stride == 1),
        whole_(view.h.interior()),
        pitch_(accepts_ ? tile + view.w.reach() + kSlack : 0),
        staged_(3 * pitch_),
        kept_(kKept * pitch_) {}

  /** Whether all windows at `h` and at `h + 1` hold three rows. */
  bool Takes(std::int64_t h) const { return accepts_ && h >= whole_.begin && h + 1 < whole_.end; }

  /** Begins other columns. */
  void StartTile() { next_ = nullptr; }

  /** Fills two rows of outputs, the first at `h`, whose first input row is `row`; returns what
   * their windows may hold. */
  int Run(const T* row, std::int64_t h, const TileColumns& columns, T* y) {
    if (row != next_) {
      T* const none = staged_.get() + 2 * pitch_;
      findings_ = Rows(row, h, columns, none, none);
    }
    next_ = row + 2 * view_.w.input;
    const int before = findings_;
    findings_ = Rows(next_, h + 2, columns, y, y + view_.w.output);
    return before | findings_;
  }

 private:
  // Vectors that are kept: three of each row.
  static constexpr std::int64_t kKept = 6;
  // For the overhang of vectors, and for those that overlap.
  static constexpr std::int64_t kSlack = 256;
  // Fewer vectors, and all of a row is staged.
  static constexpr std::int64_t kLeastDirect = 16;
  static constexpr T kLowest = MaxOf<T>::Identity();
  static constexpr T kHighest = std::numeric_limits<T>::has_infinity
                                    ? std::numeric_limits<T>::infinity()
                                    : std::numeric_limits<T>::max();

  std::int64_t reach() const { return view_.w.reach() - 1; }

  /** Takes the input rows numbered `h` and `h + 1`; returns what they may hold. */
  int Rows(const T* row, std::int64_t h, const TileColumns& columns, T* y0, T* y1) const {
    const std::int64_t lanes = LaneCount(D());
    const std::int64_t size = columns.outputs.size();
    // Edges of at least a vector; what is between them reads the input as it lies there.
    std::int64_t begin = std::max(lanes, columns.before);
    std::int64_t end = std::min(size - lanes, columns.before + columns.inputs.size() - reach());
    if (end - begin < kLeastDirect * lanes) begin = end = size;
    T* kept = kept_.get();
    int findings = Edge(row, h, columns, {0, begin}, y0, y1, kept);
    if (end < size) {
      const T* from = row + begin - columns.before;
      findings |= Select(from, from + view_.w.input, end - begin, y0 + begin, y1 + begin, kept);
      findings |= Edge(row, h, columns, {end, size}, y0, y1, kept);
    }
    return findings;
  }

  int Edge(const T* row, std::int64_t h, const TileColumns& columns, Span outputs, T* y0, T* y1,
           T*& kept) const {
    const Span positions{outputs.begin, outputs.end + reach()};
    T* const first = staged_.get();
    T* const second = first + pitch_;
    const int findings = Stage(row, h, columns, positions, first) |
                         Stage(row + view_.w.input, h + 1, columns, positions, second);
    Select(first, second, outputs.size(), y0 + outputs.begin, y1 + outputs.begin, kept);
    return findings;
  }

  /** Copies a row's `positions`, counted from the begin of the padding. */
  int Stage(const T* row, std::int64_t h, const TileColumns& columns, Span positions,
            T* line) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t size = columns.inputs.size();
    const std::int64_t begin = std::clamp(columns.before, positions.begin, positions.end);
    const std::int64_t end = std::clamp(columns.before + size, begin, positions.end);
    auto sum = hn::Zero(d);
    auto least = hn::Zero(di);
    for (std::int64_t i = begin; i < end; i += LaneCount(d)) {
      const std::int64_t at = i - columns.before;
      const auto v = LoadPart(d, row + at, size - at);
      if constexpr (std::is_floating_point_v<T>) {
        sum = hn::Add(sum, v);
        least = hn::Min(least, hn::BitCast(di, v));
      }
      hn::StoreU(v, d, line + i - positions.begin);
    }
    // What stands for taps in the padding leaves every window its rank: of three rows' taps, two
    // are less than everything in the column at the edge and one is in the column behind it.
    const std::int64_t low = h % 3;
    const auto pad = [&](std::int64_t i, std::int64_t distance) {
      const bool at_edge = distance < view_.w.dilation;
      line[i - positions.begin] = low < (at_edge ? 2 : 1) ? kLowest : kHighest;
    };
    for (std::int64_t i = positions.begin; i < begin; ++i) pad(i, columns.before - 1 - i);
    for (std::int64_t i = end; i < positions.end; ++i) pad(i, i - columns.before - size);
    if constexpr (std::is_floating_point_v<T>) return Findings(d, sum, least);
    return 0;
  }

  /** The taps that windows have in one row, sorted. */
  struct Triple {
    hn::Vec<D> low;
    hn::Vec<D> middle;
    hn::Vec<D> high;
  };

  /** Takes two rows of taps for the windows that end in them; returns what the rows may hold. */
  HWY_NOINLINE int Select(const T* HWY_RESTRICT row2, const T* HWY_RESTRICT row3, std::int64_t size,
                          T* y0, T* y1, T*& kept) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t step = view_.w.dilation;
    auto sum2 = hn::Zero(d);
    auto sum3 = hn::Zero(d);
    auto least = hn::Zero(di);
    T* HWY_RESTRICT k = kept;
    const auto load = [&](const T* HWY_RESTRICT x, hn::Vec<D>& sum) HWY_ATTR {
      const auto a = hn::LoadU(d, x);
      const auto b = hn::LoadU(d, x + step);
      const auto c = hn::LoadU(d, x + 2 * step);
      if constexpr (std::is_floating_point_v<T>) {
        sum = hn::Add(sum, b);
        least = hn::Min(least, hn::BitCast(di, b));
      }
      const auto low = hn::Min(a, b);
      const auto high = hn::Max(a, b);
      const auto most = hn::Max(low, c);
      return Triple{hn::Min(low, c), hn::Min(most, high), hn::Max(most, high)};
    };
    const auto exchange = [&](const Triple& with, std::int64_t i) HWY_ATTR {
      const Triple was{hn::Load(d, k + i * lanes), hn::Load(d, k + (i + 1) * lanes),
                       hn::Load(d, k + (i + 2) * lanes)};
      hn::Store(with.low, d, k + i * lanes);
      hn::Store(with.middle, d, k + (i + 1) * lanes);
      hn::Store(with.high, d, k + (i + 2) * lanes);
      return was;
    };
    for (std::int64_t o = 0;; k += kKept * lanes) {
      const Triple t2 = load(row2 + o, sum2);
      const Triple t0 = exchange(t2, 0);
      const Triple t3 = load(row3 + o, sum3);
      const Triple t1 = exchange(t3, 3);
      const auto low = hn::Max(t1.low, t2.low);
      const auto less = hn::Min(t1.middle, t2.middle);
      const auto more = hn::Max(t1.middle, t2.middle);
      const auto high = hn::Min(t1.high, t2.high);
      const auto median = [&](const Triple& t) HWY_ATTR {
        return Middle(hn::Max(low, t.low), hn::Max(less, hn::Min(more, t.middle)),
                      hn::Min(high, t.high));
      };
      StorePart(median(t0), d, y0 + o, size - o);
      StorePart(median(t3), d, y1 + o, size - o);
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
    kept = k + kKept * lanes;
    if constexpr (std::is_floating_point_v<T>) return Findings(d, hn::Add(sum2, sum3), least);
    return 0;
  }

  const PlaneView& view_;
  const bool accepts_;
  const Span whole_;  ///< rows of outputs whose windows hold three rows
  const std::int64_t pitch_;
  const Line<T> staged_;  ///< two rows, and outputs that nobody needs
  const Line<T> kept_;
  const T* next_ = nullptr;  ///< the row whose triples are kept, with those of the one behind it
  int findings_ = 0;         ///< what they may hold
};

}  // namespace median_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
