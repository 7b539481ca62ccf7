// Median pooling: networks of exchanges whose values are vectors of lanes, with columns that are
// sorted once for all windows of a row; for bytes, counting and histograms.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "dispatch/kernel.hpp"
#include "geometry/dtype.hpp"
#include "kernels/exchange.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/turned.hpp"
#include "kernels/windows.hpp"
#include "reference/selection.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/median.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/median_pairs-inl.h"
#include "kernels/median_rows-inl.h"
#include "kernels/median_tiles-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/turned-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace median_pooling {

// --- networks ---

#if !HWY_HAVE_SCALABLE
template <class Net, std::size_t kIndex, class V>
HWY_INLINE void Step(V* HWY_RESTRICT v) {
  constexpr Exchange e = Net::kExchanges[kIndex];
  const V low = v[e.low];
  const V high = v[e.high];
  if constexpr ((e.keep & Exchange::kLow) != 0) v[e.low] = hn::Min(low, high);
  if constexpr ((e.keep & Exchange::kHigh) != 0) v[e.high] = hn::Max(low, high);
}

/** Runs a network that the compiler knows, in registers as far as they reach. */
template <class Net, class V, std::size_t... kIndices>
HWY_INLINE void RunStatic(V* HWY_RESTRICT v, std::index_sequence<kIndices...>) {
  (Step<Net, kIndices>(v), ...);
}
#endif

/** Runs a network over slots of kVectors vectors each. */
template <int kVectors, class D, typename T = hn::TFromD<D>>
HWY_INLINE void Run(D d, const Network& network, T* HWY_RESTRICT slots) {
  const std::int64_t lanes = LaneCount(d);
  for (const Exchange& e : network.exchanges) {
    T* HWY_RESTRICT a = slots + e.low * kVectors * lanes;
    T* HWY_RESTRICT b = slots + e.high * kVectors * lanes;
    for (int v = 0; v < kVectors; ++v, a += lanes, b += lanes) {
      const auto low = hn::Load(d, a);
      const auto high = hn::Load(d, b);
      if ((e.keep & Exchange::kLow) != 0) hn::Store(hn::Min(low, high), d, a);
      if ((e.keep & Exchange::kHigh) != 0) hn::Store(hn::Max(low, high), d, b);
    }
  }
}

// Vectors per slot: several, so that looking up an exchange costs little.
constexpr int kVectors = 4;

// --- planes of rows ---

/** Elements of a tile's lines, which stay in the first-level cache. */
constexpr std::int64_t kLineBytes = 24 << 10;

template <typename T>
RowTiles ColumnTiles(const PlaneView& view) {
  const std::int64_t rows = view.d.kernel * view.h.kernel;
  const std::int64_t room = kLineBytes / static_cast<std::int64_t>(sizeof(T)) / rows;
  const std::int64_t reach = view.w.reach();
  return {view.d.output, view.h.output, view.w.output,
          whole_cache_lines(std::max({room - reach, reach, std::int64_t{128}}) / view.w.stride)};
}

/** Sorted columns, from which windows select. */
template <typename T>
class SortedColumns {
 public:
  using D = hn::ScalableTag<T>;

  SortedColumns(const Pooling& p, const PlaneView& view)
      : p_(p),
        view_(view),
        tiles_(ColumnTiles<T>(view)),
        medians_(p, view),
        pairs_(view, tiles_.tile),
        offsets_(view.w, tiles_.tile),
        most_rows_(view.d.kernel * view.h.kernel),
        rows_(view),
        lines_(most_rows_ * offsets_.pitch()),
        joined_(most_rows_ * joined_pitch()),
        slots_(most_rows_ * view.w.kernel * kVectors * LaneCount(D())) {}

  void Run(Span items) {
    const auto* x = static_cast<const T*>(p_.input);
    RowTiles::Item item = tiles_.item(items.begin);
    int findings = 0;
    bool second = false;  // of a pair, filled with the first
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles_.advance(item)) {
      const TileColumns columns(view_.w, tiles_.columns(item));
      StartTile(columns.outputs);
      const std::int64_t count =
          rows_.List(x + item.plane * view_.input_plane(), item.d, item.h, columns.inputs.begin);
      if (count == 0 || columns.inputs.empty()) {
        for (std::int64_t o = columns.outputs.begin; o < columns.outputs.end; ++o) {
          medians_.ExactAt(item, o);
        }
        continue;
      }
      T* y = static_cast<T*>(p_.output) + OutputOffset(view_, item, columns.outputs.begin);
      if (second) {
        second = false;
      } else if (index + 1 < items.end && pairs_.Takes(item.h)) {
        findings = pairs_.Run(rows_.data()[0], item.h, columns, y);
        second = true;
      } else {
        findings = Sort(count, columns);
        Select(count, columns.outputs.size(), y);
      }
      medians_.Positions(item, columns.outputs);
      for (const std::int64_t o : irregular_) medians_.ExactAt(item, o);
      if (findings != 0) medians_.Redo(item, columns, rows_.data(), count);
    }
  }

 private:
  std::int64_t joined_pitch() const { return offsets_.length() + kOverhang; }

  /** Lists the windows whose padding the lines cannot hold: clipped at both ends, or empty. */
  void StartTile(Span outputs) {
    if (started_.begin == outputs.begin && started_.end == outputs.end) return;
    started_ = outputs;
    pairs_.StartTile();
    irregular_.clear();
    const Axis& w = p_.geometry.w();
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const Span taps = w.taps(o / view_.interleave);
      if (taps.empty() || (taps.begin > 0 && taps.end < w.kernel)) irregular_.push_back(o);
    }
  }

  /** Sorts every column of the tile's rows into the padded lines; what the rows may hold. */
  int Sort(std::int64_t count, const TileColumns& columns) {
    const bool joined = view_.w.stride == 1;
    T* to = joined ? lines_.get() + columns.before : joined_.get();
    const std::int64_t pitch = joined ? offsets_.pitch() : joined_pitch();
    const std::int64_t size = columns.inputs.size();
    int findings = 0;
    switch (count) {
#if !HWY_HAVE_SCALABLE
      case 2:
        findings = SortStatic<2>(size, to, pitch);
        break;
      case 3:
        findings = SortStatic<3>(size, to, pitch);
        break;
      case 4:
        findings = SortStatic<4>(size, to, pitch);
        break;
      case 5:
        findings = SortStatic<5>(size, to, pitch);
        break;
      case 7:
        findings = SortStatic<7>(size, to, pitch);
        break;
#endif
      default:
        findings = SortAny(count, size, to, pitch);
    }
    if (!joined) {
      for (std::int64_t i = 0; i < count; ++i) {
        SplitPhases(joined_.get() + i * pitch, columns, view_.w.stride, T{0},
                    lines_.get() + i * offsets_.pitch(), offsets_.phase_pitch());
      }
    }
    Pad(count, columns);
    return findings;
  }

#if !HWY_HAVE_SCALABLE
  template <int kRows>
  HWY_NOINLINE int SortStatic(std::int64_t size, T* HWY_RESTRICT to, std::int64_t pitch) const {
    using Net = StaticNetwork<[] { return exchange::sorting(kRows); }>;
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t lanes = LaneCount(d);
    const RowPointers<T, kRows> pointers(rows_.data());
    auto sum = hn::Zero(d);
    auto least = hn::Zero(di);
    for (std::int64_t x = 0;;) {
      hn::Vec<D> v[kRows];
      for (int r = 0; r < kRows; ++r) v[r] = LoadPart(d, pointers.rows[r] + x, size - x);
      if constexpr (std::is_floating_point_v<T>) {
        auto seen = v[0];
        for (int r = 0; r < kRows; ++r) {
          if (r > 0) seen = hn::Add(seen, v[r]);
          least = hn::Min(least, hn::BitCast(di, v[r]));
        }
        sum = hn::Add(sum, seen);
      }
      RunStatic<Net>(v, std::make_index_sequence<Net::kSize>());
      for (int r = 0; r < kRows; ++r) hn::StoreU(v[Net::kResult[r]], d, to + r * pitch + x);
      if (x + lanes >= size) break;
      x = std::min(x + lanes, size - lanes);
    }
    if constexpr (std::is_floating_point_v<T>) return Findings(d, sum, least);
    return 0;
  }
#endif

  HWY_NOINLINE int SortAny(std::int64_t count, std::int64_t size, T* HWY_RESTRICT to,
                           std::int64_t pitch) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t lanes = LaneCount(d);
    const Network& network = sorting_network(count);
    const T* const* rows = rows_.data();
    T* HWY_RESTRICT slots = slots_.get();
    auto sum = hn::Zero(d);
    auto least = hn::Zero(di);
    for (std::int64_t x = 0;;) {
      for (std::int64_t r = 0; r < count; ++r) {
        const auto v = LoadPart(d, rows[r] + x, size - x);
        if constexpr (std::is_floating_point_v<T>) {
          sum = hn::Add(sum, v);
          least = hn::Min(least, hn::BitCast(di, v));
        }
        hn::Store(v, d, slots + r * lanes);
      }
      median_pooling::Run<1>(d, network, slots);
      for (std::int64_t r = 0; r < count; ++r) {
        hn::StoreU(hn::Load(d, slots + network.results[static_cast<std::size_t>(r)] * lanes), d,
                   to + r * pitch + x);
      }
      if (x + lanes >= size) break;
      x = std::min(x + lanes, size - lanes);
    }
    if constexpr (std::is_floating_point_v<T>) return Findings(d, sum, least);
    return 0;
  }

  /**
   * Fills the columns in the padding such that every window's rank stays the same: of a column that
   * is clipped off, about half the elements become less and half greater than everything. How many,
   * the c-th one from the edge decides: `Lows(c + 1) - Lows(c)`.
   */
  void Pad(std::int64_t count, const TileColumns& columns) const {
    const std::int64_t all = count * view_.w.kernel;
    const auto lows = [&](std::int64_t clipped) {
      return (all - 1) / 2 - (all - clipped * count - 1) / 2;
    };
    const std::int64_t size = columns.inputs.size();
    const std::int64_t dilation = view_.w.dilation;
    const auto fill = [&](std::int64_t at, std::int64_t distance) {
      const std::int64_t clipped = std::min(distance / dilation, view_.w.kernel - 2);
      const std::int64_t low = clipped < 0 ? 0 : lows(clipped + 1) - lows(clipped);
      const std::int64_t to = offsets_.At(at);
      for (std::int64_t i = 0; i < count; ++i) {
        lines_[i * offsets_.pitch() + to] = i < low ? kLowest : kHighest;
      }
    };
    for (std::int64_t t = 0; t < columns.before; ++t) fill(columns.before - 1 - t, t);
    for (std::int64_t t = 0; t < columns.after; ++t) fill(columns.before + size + t, t);
  }

  void Select(std::int64_t count, std::int64_t size, T* HWY_RESTRICT y) const {
#if !HWY_HAVE_SCALABLE
    if (count == 3 && view_.w.kernel == 3) return Select3x3(size, y);
    if (count == 5 && view_.w.kernel == 5) return SelectStatic<5, 5>(size, y);
    if (count == 2 && view_.w.kernel == 2) return SelectStatic<2, 2>(size, y);
#endif
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const Network& network = median_network(count, view_.w.kernel);
    std::int64_t o = 0;
    for (; o + lanes < size; o += kVectors * lanes) {
      SelectAny<kVectors>(network, count, o, size, y);
    }
    if (o < size) SelectAny<1>(network, count, o, size, y);
  }

#if !HWY_HAVE_SCALABLE
  /** Of columns in ascending order: the middle one of the greatest first, the middle second and the
   * least third. */
  HWY_NOINLINE void Select3x3(std::int64_t size, T* HWY_RESTRICT y) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const T* HWY_RESTRICT first = lines_.get();
    const T* HWY_RESTRICT second = first + offsets_.pitch();
    const T* HWY_RESTRICT third = second + offsets_.pitch();
    const std::int64_t t0 = offsets_[0], t1 = offsets_[1], t2 = offsets_[2];
    for (std::int64_t o = 0;;) {
      const auto low = hn::Max(hn::Max(hn::LoadU(d, first + t0 + o), hn::LoadU(d, first + t1 + o)),
                               hn::LoadU(d, first + t2 + o));
      const auto mid = Middle(hn::LoadU(d, second + t0 + o), hn::LoadU(d, second + t1 + o),
                              hn::LoadU(d, second + t2 + o));
      const auto high = hn::Min(hn::Min(hn::LoadU(d, third + t0 + o), hn::LoadU(d, third + t1 + o)),
                                hn::LoadU(d, third + t2 + o));
      StorePart(Middle(low, mid, high), d, y + o, size - o);
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
  }

  template <int kRows, int kColumns>
  HWY_NOINLINE void SelectStatic(std::int64_t size, T* HWY_RESTRICT y) const {
    using Net = StaticNetwork<[] { return exchange::median(kRows, kColumns); }>;
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const T* HWY_RESTRICT columns[kColumns];
    for (int c = 0; c < kColumns; ++c) columns[c] = lines_.get() + offsets_[c];
    const std::int64_t pitch = offsets_.pitch();
    for (std::int64_t o = 0;;) {
      hn::Vec<D> v[kRows * kColumns];
      for (int c = 0; c < kColumns; ++c) {
        for (int r = 0; r < kRows; ++r) v[c * kRows + r] = hn::LoadU(d, columns[c] + r * pitch + o);
      }
      RunStatic<Net>(v, std::make_index_sequence<Net::kSize>());
      StorePart(v[Net::kResult[0]], d, y + o, size - o);
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
  }
#endif

  template <int kBlock>
  HWY_INLINE void SelectAny(const Network& network, std::int64_t count, std::int64_t o,
                            std::int64_t size, T* HWY_RESTRICT y) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    T* HWY_RESTRICT slots = slots_.get();
    T* HWY_RESTRICT slot = slots;
    for (std::int64_t c = 0; c < view_.w.kernel; ++c) {
      const T* HWY_RESTRICT line = lines_.get() + offsets_[c] + o;
      for (std::int64_t r = 0; r < count; ++r, line += offsets_.pitch()) {
        for (int v = 0; v < kBlock; ++v, slot += lanes) {
          hn::Store(hn::LoadU(d, line + v * lanes), d, slot);
        }
      }
    }
    median_pooling::Run<kBlock>(d, network, slots);
    const T* result = slots + network.results[0] * kBlock * lanes;
    for (int v = 0; v < kBlock && o < size; ++v, o += lanes) {
      StorePart(hn::Load(d, result + v * lanes), d, y + o, size - o);
    }
  }

  static constexpr std::int64_t kOverhang = 128;
  static constexpr T kLowest = MaxOf<T>::Identity();
  static constexpr T kHighest = std::numeric_limits<T>::has_infinity
                                    ? std::numeric_limits<T>::infinity()
                                    : std::numeric_limits<T>::max();

  const Pooling& p_;
  const PlaneView& view_;
  const RowTiles tiles_;
  RowMedians<T> medians_;
  RowPairs<T> pairs_;
  const LineOffsets offsets_;
  const std::int64_t most_rows_;
  WindowRows<T> rows_;
  const Line<T> lines_;   ///< sorted columns: line i holds the elements of rank i
  const Line<T> joined_;  ///< the same before they are split into phases
  const Line<T> slots_;
  std::vector<std::int64_t> irregular_;
  Span started_{0, 0};
};

template <typename T>
void Columns(const Pooling& p, Span items) {
  const PlaneView view(p);
  SortedColumns<T>(p, view).Run(items);
}

// --- bytes: the bits of the median one after the other, by counting the taps below ---

class CountedBytes {
 public:
  using D = hn::ScalableTag<std::int8_t>;
  using DU = hn::ScalableTag<std::uint8_t>;

  CountedBytes(const Pooling& p, const PlaneView& view)
      : p_(p),
        view_(view),
        tiles_(ColumnTiles<std::uint8_t>(view)),
        medians_(p, view),
        offsets_(view.w, tiles_.tile),
        rows_(view),
        lines_(view.d.kernel * view.h.kernel * offsets_.pitch()),
        joined_(offsets_.length()),
        ranks_(tiles_.tile) {}

  void Run(Span items) {
    const auto* x = static_cast<const std::uint8_t*>(p_.input);
    RowTiles::Item item = tiles_.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles_.advance(item)) {
      const TileColumns columns(view_.w, tiles_.columns(item));
      const std::int64_t count =
          rows_.List(x + item.plane * view_.input_plane(), item.d, item.h, columns.inputs.begin);
      if (count == 0 || columns.inputs.empty()) {
        for (std::int64_t o = columns.outputs.begin; o < columns.outputs.end; ++o) {
          medians_.ExactAt(item, o);
        }
        continue;
      }
      Stage(count, columns);
      Rank(count, columns.outputs);
      Count(columns.outputs.size(), static_cast<std::uint8_t*>(p_.output) +
                                        OutputOffset(view_, item, columns.outputs.begin));
      medians_.Positions(item, columns.outputs);
      for (const std::int64_t o : empty_) medians_.ExactAt(item, o);
    }
  }

 private:
  // What is less than no threshold: taps in the padding are never counted.
  static constexpr std::int8_t kNever = std::numeric_limits<std::int8_t>::max();

  /** Copies rows into padded lines, as signed numbers of the same order: those compare at once. */
  void Stage(std::int64_t count, const TileColumns& columns) {
    const DU d;
    const D di;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t size = columns.inputs.size();
    const auto sign = hn::Set(d, 0x80);
    taps_.clear();
    for (std::int64_t r = 0; r < count; ++r) {
      const std::uint8_t* row = rows_.data()[r];
      std::int8_t* staged = lines_.get() + r * offsets_.pitch();
      std::int8_t* line = view_.w.stride == 1 ? staged + columns.before : joined_.get();
      for (std::int64_t i = 0;;) {
        const auto v = hn::Xor(LoadPart(d, row + i, size - i), sign);
        hn::StoreU(hn::BitCast(di, v), di, line + i);
        if (i + lanes >= size) break;
        i = std::min(i + lanes, size - lanes);
      }
      if (view_.w.stride == 1) {
        columns.Pad(staged, kNever);
      } else {
        SplitPhases(line, columns, view_.w.stride, kNever, staged, offsets_.phase_pitch());
      }
      for (std::int64_t t = 0; t < view_.w.kernel; ++t) taps_.push_back(staged + offsets_[t]);
    }
  }

  /** How many taps of each window are less than its median, at most. */
  void Rank(std::int64_t count, Span outputs) {
    if (ranked_ == count && started_.begin == outputs.begin && started_.end == outputs.end) return;
    ranked_ = count;
    started_ = outputs;
    empty_.clear();
    const Axis& w = p_.geometry.w();
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const std::int64_t taps = count * w.taps(o / view_.interleave).size();
      if (taps == 0) empty_.push_back(o);
      ranks_[o - outputs.begin] = static_cast<std::uint8_t>(taps == 0 ? 0 : (taps - 1) / 2);
    }
  }

  HWY_NOINLINE void Count(std::int64_t size, std::uint8_t* HWY_RESTRICT y) const {
    const DU d;
    const std::int64_t lanes = LaneCount(d);
    for (std::int64_t o = 0; o < size; o += 4 * lanes) {
      auto v0 = hn::Zero(d), v1 = v0, v2 = v0, v3 = v0;
      const auto r0 = hn::LoadU(d, ranks_.get() + o);
      const auto r1 = hn::LoadU(d, ranks_.get() + o + lanes);
      const auto r2 = hn::LoadU(d, ranks_.get() + o + 2 * lanes);
      const auto r3 = hn::LoadU(d, ranks_.get() + o + 3 * lanes);
      for (int bit = 0x80; bit != 0; bit >>= 1) {
        const auto b = hn::Set(d, static_cast<std::uint8_t>(bit));
        Bit(o, b, r0, r1, r2, r3, v0, v1, v2, v3);
      }
      StorePart(v0, d, y + o, size - o);
      if (o + lanes < size) StorePart(v1, d, y + o + lanes, size - o - lanes);
      if (o + 2 * lanes < size) StorePart(v2, d, y + o + 2 * lanes, size - o - 2 * lanes);
      if (o + 3 * lanes < size) StorePart(v3, d, y + o + 3 * lanes, size - o - 3 * lanes);
    }
  }

  using V = hn::Vec<DU>;

  /** Sets a bit of the medians where no more than `r` taps are less than they then are. */
  HWY_INLINE void Bit(std::int64_t o, V bit, V r0, V r1, V r2, V r3, V& v0, V& v1, V& v2,
                      V& v3) const {
    const DU d;
    const D di;
    const std::int64_t lanes = LaneCount(d);
    const auto sign = hn::Set(d, 0x80);
    const auto t0 = hn::BitCast(di, hn::Xor(hn::Or(v0, bit), sign));
    const auto t1 = hn::BitCast(di, hn::Xor(hn::Or(v1, bit), sign));
    const auto t2 = hn::BitCast(di, hn::Xor(hn::Or(v2, bit), sign));
    const auto t3 = hn::BitCast(di, hn::Xor(hn::Or(v3, bit), sign));
    auto c0 = hn::Zero(di), c1 = c0, c2 = c0, c3 = c0;
    for (const std::int8_t* tap : taps_) {
      const std::int8_t* HWY_RESTRICT x = tap + o;
      c0 = hn::Sub(c0, hn::VecFromMask(di, hn::Gt(t0, hn::LoadU(di, x))));
      c1 = hn::Sub(c1, hn::VecFromMask(di, hn::Gt(t1, hn::LoadU(di, x + lanes))));
      c2 = hn::Sub(c2, hn::VecFromMask(di, hn::Gt(t2, hn::LoadU(di, x + 2 * lanes))));
      c3 = hn::Sub(c3, hn::VecFromMask(di, hn::Gt(t3, hn::LoadU(di, x + 3 * lanes))));
    }
    v0 = Decide(v0, bit, hn::BitCast(d, c0), r0);
    v1 = Decide(v1, bit, hn::BitCast(d, c1), r1);
    v2 = Decide(v2, bit, hn::BitCast(d, c2), r2);
    v3 = Decide(v3, bit, hn::BitCast(d, c3), r3);
  }

  static HWY_INLINE V Decide(V v, V bit, V count, V rank) {
    return hn::IfThenElse(hn::Eq(hn::Max(count, rank), rank), hn::Or(v, bit), v);
  }

  const Pooling& p_;
  const PlaneView& view_;
  const RowTiles tiles_;
  RowMedians<std::uint8_t> medians_;
  const LineOffsets offsets_;
  WindowRows<std::uint8_t> rows_;
  const Line<std::int8_t> lines_;
  const Line<std::int8_t> joined_;
  const Line<std::uint8_t> ranks_;
  std::vector<const std::int8_t*> taps_;
  std::vector<std::int64_t> empty_;
  std::int64_t ranked_ = -1;
  Span started_{0, 0};
};

void Counted(const Pooling& p, Span items) {
  const PlaneView view(p);
  CountedBytes(p, view).Run(items);
}

// --- interleaved: lanes along C ---

template <typename T>
class ChannelMedians {
 public:
  using D = hn::ScalableTag<T>;

  explicit ChannelMedians(const Pooling& p)
      : p_(p),
        x_(static_cast<const T*>(p.input)),
        end_(x_ + p.geometry.input_size()),
        exact_(p),
        slots_(p.geometry.taps() * kVectors * LaneCount(D())) {}

  void Run(Span items) {
    const Geometry& g = p_.geometry;
    const RowTiles tiles = InterleavedOutputTiles(g);
    InterleavedWindows windows(g);
    RowTiles::Item item = tiles.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
      const Span columns = tiles.columns(item);
      for (std::int64_t w = columns.begin; w < columns.end; ++w) {
        Window(item, w, windows.at(item.d, item.h, w));
      }
    }
  }

 private:
  void Window(const RowTiles::Item& item, std::int64_t w, const Taps& taps) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const Geometry& g = p_.geometry;
    const std::int64_t entry =
        ((item.plane * g.d().output + item.d) * g.h().output + item.h) * g.w().output + w;
    const std::int64_t first = entry * g.channels;
    int findings = kHoldsNan;
    if (taps.count > 0) {
      if (network_ == nullptr || taps.count != count_) {
        count_ = taps.count;
        network_ = &median_network(1, count_);
      }
      findings = 0;
      const T* x = x_ + item.plane * g.input_plane() * g.channels + taps.base;
      T* y = static_cast<T*>(p_.output) + first;
      std::int64_t c = 0;
      for (; c + kVectors * lanes <= g.channels; c += kVectors * lanes) {
        findings |= Channels<kVectors>(x, taps, c, y);
      }
      while (c < g.channels) {
        if (g.channels >= lanes) c = std::min(c, g.channels - lanes);
        findings |= Channels<1>(x, taps, c, y);
        c += lanes;
      }
    }
    if (findings == 0 && p_.mask_type == MaskType::none) return;
    for (std::int64_t c = 0; c < g.channels; ++c) {
      if (findings != 0) {
        exact_.Window(item.plane * g.channels + c, item.d, item.h, w, first + c);
      } else {
        exact_.Position(item.plane * g.channels + c, item.d, item.h, w, first + c);
      }
    }
  }

  template <int kBlock>
  HWY_INLINE int Channels(const T* HWY_RESTRICT x, const Taps& taps, std::int64_t c,
                          T* HWY_RESTRICT y) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t n = p_.geometry.channels - c;
    T* HWY_RESTRICT slots = slots_.get();
    T* HWY_RESTRICT slot = slots;
    auto sum = hn::Zero(d);
    auto least = hn::Zero(di);
    for (std::int64_t i = 0; i < taps.count; ++i) {
      const T* from = x + taps.offset[i] + c;
      for (int v = 0; v < kBlock; ++v, slot += lanes) {
        // Fewer channels than lanes: the neighbours behind them are read along, where there are
        // some.
        const auto value = kBlock > 1 ? hn::LoadU(d, from + v * lanes)
                                      : LoadPart(d, from, end_ - from >= lanes ? lanes : n);
        if constexpr (std::is_floating_point_v<T>) {
          sum = hn::Add(sum, value);
          least = hn::Min(least, hn::BitCast(di, value));
        }
        hn::Store(value, d, slot);
      }
    }
    median_pooling::Run<kBlock>(d, *network_, slots);
    const T* result = slots + network_->results[0] * kBlock * lanes;
    for (int v = 0; v < kBlock; ++v) {
      StorePart(hn::Load(d, result + v * lanes), d, y + c + v * lanes, n);
    }
    if constexpr (std::is_floating_point_v<T>) return Findings(d, sum, least);
    return 0;
  }

  const Pooling& p_;
  const T* x_;
  const T* end_;
  Exact<T> exact_;
  const Line<T> slots_;
  const Network* network_ = nullptr;
  std::int64_t count_ = 0;
};

template <typename T>
void InterleavedTaps(const Pooling& p, Span items) {
  ChannelMedians<T>(p).Run(items);
}

// --- what the tables hold: inline functions ---

inline void MedianTiles(const Pooling& p, Span items) {
  with_dtype<float, double, std::uint8_t>(p.dtype,
                                          [&]<typename T>() { TileMedians<T>(p).Run(items); });
}
inline void MedianColumns(const Pooling& p, Span items) {
  with_dtype<float, double, std::uint8_t>(p.dtype, [&]<typename T>() { Columns<T>(p, items); });
}
inline void MedianCounted(const Pooling& p, Span items) { Counted(p, items); }
inline void MedianInterleavedTaps(const Pooling& p, Span items) {
  with_dtype<float, double, std::uint8_t>(p.dtype,
                                          [&]<typename T>() { InterleavedTaps<T>(p, items); });
}

inline void MedianTurned(const Pooling& p, Span items) {
  with_dtype<float, double, std::uint8_t>(p.dtype, [&]<typename T>() {
    ForwardTurned<T>(p, items, [](const Pooling& turned) {
      InterleavedTaps<T>(turned, {0, InterleavedOutputItems(turned)});
    });
  });
}

}  // namespace median_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;
using namespace HWY_NAMESPACE::median_pooling;  // the functions that decide are the same in every
                                                // tier

// Counts are bytes.
constexpr std::int64_t kMostCounted = 255;

// A network of n taps takes about n log(n)^2 / 4 exchanges of whole vectors, quickselect about 8 n
// operations per output: with too many taps, or too few outputs in a vector, the latter wins.
constexpr std::int64_t kMostNetworkBytes = 2048;

bool network_pays(const Pooling& p, std::int64_t outputs) {
  const std::int64_t taps = p.geometry.taps();
  const std::int64_t most =
      p.dtype == FPOOL_U8 ? kMostCounted : kMostNetworkBytes / dtype_size(p.dtype);
  if (taps > most) return false;
  const auto log = static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(taps)));
  return log * log <= 12 * outputs;
}

bool accepts_columns(const Pooling& p) {
  return RowsAccept(p) && network_pays(p, PlaneView(p).w.output);
}

std::int64_t column_items(const Pooling& p) {
  std::int64_t items = 0;
  with_dtype<float, double, std::uint8_t>(p.dtype, [&]<typename T>() {
    const PlaneView view(p);
    items = item_count(view.planes, ColumnTiles<T>(view));
  });
  return items;
}

// Fewer taps do without a tile (measured); more need more memory than a call may take.
constexpr std::int64_t kLeastTileTaps = 30;
constexpr std::int64_t kMostTileTaps = 1024;
constexpr std::int64_t kLeastInterleavedBytes = 200;

bool accepts_tiles(const Pooling& p) {
  const std::int64_t taps = p.geometry.taps();
  if (taps < kLeastTileTaps || taps > kMostTileTaps || !TilesAccept(p)) return false;
  // A lane is four windows. The alternative for bytes, counting, is faster than that for floats.
  const std::int64_t lanes = 32 / dtype_size(p.dtype);
  const std::int64_t outputs = PlaneView(p).w.output;
  if (p.dtype != FPOOL_U8) return 2 * outputs >= kTileWidth * lanes;
  return outputs >= 3 * lanes && (p.layout == Layout::planar || taps >= kLeastInterleavedBytes);
}

std::int64_t tile_items(const Pooling& p) {
  const PlaneView view(p);
  std::int64_t items = 0;
  with_dtype<float, double, std::uint8_t>(
      p.dtype, [&]<typename T>() { items = item_count(view.planes, TileStrips<T>(view)); });
  return items;
}

// Below so many taps, networks are faster than counting (measured).
constexpr std::int64_t kLeastCounted = 37;

bool accepts_counted(const Pooling& p) {
  const std::int64_t taps = p.geometry.taps();
  return p.dtype == FPOOL_U8 && taps >= kLeastCounted && taps <= kMostCounted && RowsAccept(p) &&
         PlaneView(p).w.output >= 8;
}

bool accepts_interleaved_taps(const Pooling& p) {
  return p.layout == Layout::interleaved && network_pays(p, p.geometry.channels);
}

bool accepts_turned(const Pooling& p) {
  return can_turn(p) && network_pays(p, p.geometry.planes());
}

/** Bytes of large windows: a histogram that follows the window along the row (T. S. Huang, 1979).
 */
class Histogram {
 public:
  void Clear() {
    fine_.fill(0);
    coarse_.fill(0);
  }
  void Add(std::uint8_t value, std::int32_t by) {
    fine_[value] += by;
    coarse_[value / kPerCoarse] += by;
  }
  /** The value of rank `rank`, counted from 0. */
  std::uint8_t Select(std::int64_t rank) const {
    std::size_t group = 0;
    for (; rank >= coarse_[group]; ++group) rank -= coarse_[group];
    std::size_t value = group * kPerCoarse;
    for (; rank >= fine_[value]; ++value) rank -= fine_[value];
    return static_cast<std::uint8_t>(value);
  }

 private:
  static constexpr std::size_t kPerCoarse = 16;

  std::array<std::int32_t, 256> fine_{};
  std::array<std::int32_t, 256 / kPerCoarse> coarse_{};
};

/** Rows of outputs of a plane. */
class SlidingHistogram {
 public:
  explicit SlidingHistogram(const Pooling& p) : p_(p), g_(p.geometry) {}

  void Row(std::int64_t plane, std::int64_t d, std::int64_t h) {
    const auto x = reference::plane_of(static_cast<const std::uint8_t*>(p_.input), p_,
                                       g_.input_plane(), plane);
    const auto y =
        reference::plane_of(static_cast<std::uint8_t*>(p_.output), p_, g_.output_plane(), plane);
    const Axis& w = g_.w();
    const Span depth = g_.d().taps(d);
    const Span height = g_.h().taps(h);
    rows_.clear();
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        rows_.push_back((g_.d().position(d, td) * g_.h().input + g_.h().position(h, th)) * w.input);
      }
    }
    const auto count = static_cast<std::int64_t>(rows_.size());
    const std::int64_t first = &y[0] - static_cast<std::uint8_t*>(p_.output);
    histogram_.Clear();
    Span held{0, 0};
    for (std::int64_t o = 0; o < w.output; ++o) {
      const Span taps = w.taps(o);
      const Span columns = taps.empty()
                               ? Span{held.end, held.end}
                               : Span{w.position(o, taps.begin), w.position(o, taps.end - 1) + 1};
      if (w.dilation == 1) {
        // Both ends only ever move on.
        Add(x, held.begin, std::min(held.end, columns.begin), 1, -1);
        Add(x, std::max(held.end, columns.begin), columns.end, 1, 1);
        held = columns;
      } else {
        Add(x, held.begin, held.end, w.dilation, -1);
        Add(x, columns.begin, columns.end, w.dilation, 1);
        held = columns;
      }
      const std::int64_t output = (d * g_.h().output + h) * w.output + o;
      const std::int64_t all = count * taps.size();
      y[output] = all == 0 ? 0 : histogram_.Select((all - 1) / 2);
      if (p_.mask_type == MaskType::none) continue;
      reference::write_mask(
          p_, first + output * y.step,
          all == 0 ? reference::Selected<std::uint8_t>{0}
                   : reference::WindowMedian<std::uint8_t>::first_equal(g_, x, d, h, o, y[output]));
    }
  }

 private:
  void Add(const reference::Plane<const std::uint8_t>& x, std::int64_t begin, std::int64_t end,
           std::int64_t step, std::int32_t by) {
    for (std::int64_t i = begin; i < end; i += step) {
      for (const std::int64_t row : rows_) histogram_.Add(x[row + i], by);
    }
  }

  const Pooling& p_;
  const Geometry& g_;
  Histogram histogram_;
  std::vector<std::int64_t> rows_;
};

void HistogramRows(const Pooling& p, Span items) {
  const Geometry& g = p.geometry;
  SlidingHistogram sliding(p);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t rows = g.d().output * g.h().output;
    sliding.Row(item / rows, item % rows / g.h().output, item % g.h().output);
  }
}

// Below so many taps, selecting is faster than clearing a histogram (measured).
constexpr std::int64_t kLeastHistogram = 64;

bool accepts_histogram(const Pooling& p) {
  return p.dtype == FPOOL_U8 && p.geometry.taps() >= kLeastHistogram;
}

std::int64_t histogram_items(const Pooling& p) {
  const Geometry& g = p.geometry;
  return g.planes() * g.d().output * g.h().output;
}

}  // namespace

std::span<const Kernel> median_forward_kernels() {
  static const Kernel kernels[] = {
      {"tiles", accepts_tiles, tile_items,
       FEATUREPOOL_TIERED_ABOVE_SSE4(median_pooling::MedianTiles)},
      {"counted", accepts_counted, column_items, FEATUREPOOL_TIERED(median_pooling::MedianCounted)},
      {"columns", accepts_columns, column_items, FEATUREPOOL_TIERED(median_pooling::MedianColumns)},
      {"turned", accepts_turned, turned_items, FEATUREPOOL_TIERED(median_pooling::MedianTurned)},
      {"interleaved_taps", accepts_interleaved_taps, InterleavedOutputItems,
       FEATUREPOOL_TIERED(median_pooling::MedianInterleavedTaps)},
      {"histogram", accepts_histogram, histogram_items, dispatch::in_every_tier(HistogramRows)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
