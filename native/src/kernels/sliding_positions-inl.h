// Maxima with their positions under large windows of stride 1: separable, like SlidingRows.
#if defined(FEATUREPOOL_KERNELS_SLIDING_POSITIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_SLIDING_POSITIONS_INL_H_
#undef FEATUREPOOL_KERNELS_SLIDING_POSITIONS_INL_H_
#else
#define FEATUREPOOL_KERNELS_SLIDING_POSITIONS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "hwy/highway.h"
#include "kernels/scan-inl.h"
#include "kernels/sliding_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** A line of values and of the position of each. */
template <class S>
struct PositionLine {
  typename S::Lane* value;
  typename S::Index* position;
};

/** result[i] = the greater of first[i] and second[i], the first if they are equal. */
template <class S>
HWY_INLINE void CombinePositions(const PositionLine<S>& first, const PositionLine<S>& second,
                                 std::int64_t size, const PositionLine<S>& result) {
  const typename S::D d;
  const typename S::DI di;
  for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
    auto best = hn::LoadU(d, first.value + i);
    auto at = hn::LoadU(di, first.position + i);
    S::template Take<false>(d, di, hn::LoadU(d, second.value + i),
                            hn::LoadU(di, second.position + i), best, at);
    hn::StoreU(best, d, result.value + i);
    hn::StoreU(at, di, result.position + i);
  }
}

/**
 * Forward max pooling with a mask for windows that slide by one row and one column.
 *
 * Rows are reduced first, by doubling, then columns, by suffixes and prefixes of blocks: combining
 * in that order, the earlier operand winning ties, keeps the first maximum in row-major order. A
 * position is row * M + column, where M is the row's length for positions within the plane. For
 * positions within the window M is the kernel's extent along W, so that subtracting the same sum of
 * the window's own start leaves the ordinal (modulo 256, which is all that an ordinal needs).
 */
template <class S>
class SlidingPositions {
 public:
  using Element = typename S::Element;
  using Lane = typename S::Lane;
  using Index = typename S::Index;

  static RowTiles Tiles(const PlaneView& view) {
    const auto line = static_cast<std::int64_t>(sizeof(Lane) + sizeof(Index)) * view.h.kernel;
    return {view.d.output, view.h.output, view.w.output,
            std::max(kSlidingBytes / line - view.w.reach(), view.w.reach())};
  }

  static bool Accepts(const PlaneView& view) {
    const auto line = static_cast<std::int64_t>(sizeof(Lane) + sizeof(Index)) * view.h.kernel;
    return line * Tiles(view).tile <= kMostSlidingBytes && PlanarScan<S>::Accepts(view);
  }

  explicit SlidingPositions(const Pooling& p)
      : p_(p),
        view_(p),
        tiles_(Tiles(view_)),
        pitch_((tiles_.tile + view_.w.reach() + 127) / 64 * 64),
        kernel_(view_.h.kernel),
        multiplier_(S::kFlat ? p.geometry.w().input : p.geometry.w().kernel),
        values_((kernel_ + kSpareLines) * pitch_),
        positions_((kernel_ + kSpareLines) * pitch_),
        columns_(pitch_),
        starts_(pitch_),
        suffix_(static_cast<std::size_t>(kernel_)),
        holds_nan_(static_cast<std::size_t>(2 * kernel_)) {}

  void Run(Span items) {
    for (std::int64_t index = items.begin; index < items.end;) {
      const RowTiles::Item item = tiles_.item(index);
      const std::int64_t block = item.h / kernel_ * kernel_;
      const std::int64_t end =
          std::min({view_.h.output, block + kernel_, item.h + items.end - index});
      Block(item, block, end);
      index += end - item.h;
    }
  }

 private:
  static constexpr std::int64_t kNone = -1;

  // Lines behind those of the suffixes: two prefixes in turn, a row before it is combined, and the
  // padded row that it is reduced from.
  enum { kPrefix = 0, kRow = 2, kPadded = 3, kSpareLines = 4 };

  PositionLine<S> LineAt(std::int64_t index) const {
    return {values_.get() + index * pitch_, positions_.get() + index * pitch_};
  }
  PositionLine<S> Spare(std::int64_t index) const { return LineAt(kernel_ + index); }

  /** Outputs [item.h, end) of one block of rows. */
  void Block(RowTiles::Item item, std::int64_t block, std::int64_t end) {
    const TileColumns columns(view_.w, tiles_.columns(item));
    const std::int64_t size = columns.outputs.size();
    StartTile(columns);
    const std::int64_t depth_rows = view_.d.start(item.d) * view_.h.input;
    const Element* plane = static_cast<const Element*>(p_.input) +
                           item.plane * view_.input_plane() + depth_rows * view_.w.input +
                           columns.inputs.begin;
    first_row_ = S::kFlat ? depth_rows : 0;
    block_ = block;

    // The line that holds the rows from `row` to the end of its block, or from its begin.
    std::int64_t held = kNone;
    for (std::int64_t row = block + kernel_ - 1; row >= item.h; --row) {
      const std::int64_t line = row - block;
      if (ReduceRow(plane, row, columns, held == kNone ? LineAt(line) : Spare(kRow))) {
        if (held != kNone) CombinePositions<S>(Spare(kRow), LineAt(held), size, LineAt(line));
        held = line;
      }
      suffix_[static_cast<std::size_t>(line)] = held;
    }
    held = kNone;
    std::int64_t next = block + kernel_;
    for (std::int64_t o = item.h; o < end; ++o) {
      for (; next < o + kernel_; ++next) {
        const std::int64_t line = kPrefix + next % 2;
        if (ReduceRow(plane, next, columns, held == kNone ? Spare(line) : Spare(kRow))) {
          if (held != kNone) CombinePositions<S>(Spare(held), Spare(kRow), size, Spare(line));
          held = line;
        }
      }
      const std::int64_t tail = suffix_[static_cast<std::size_t>(o - block)];
      PositionLine<S> result = Spare(kRow);
      if (held != kNone && tail != kNone) {
        CombinePositions<S>(LineAt(tail), Spare(held), size, result);
      } else {
        // Without dilation every window holds a row of the input.
        result = tail != kNone ? LineAt(tail) : Spare(held);
      }
      item.h = o;
      const auto first = holds_nan_.begin() + (o - block);
      if (std::find(first, first + kernel_, true) != first + kernel_) {
        if (!exact_) exact_ = std::make_unique<PlanarScan<S>>(p_, view_);
        exact_->Row(item, columns.outputs);
      } else {
        Write(item, columns, result);
      }
    }
  }

  /** Columns of the inputs and starts of the windows of a column tile, as positions hold them. */
  void StartTile(const TileColumns& columns) {
    const std::int64_t start = view_.w.start(columns.outputs.begin);
    for (std::int64_t i = 0; i < columns.outputs.size() + view_.w.reach() - 1; ++i) {
      // Padding before the input stands for the first column: a window of -inf that begins there
      // has its first maximum in that column.
      const std::int64_t column = std::max<std::int64_t>(0, start + i) / view_.interleave;
      columns_[i] = static_cast<Index>(column);
    }
    for (std::int64_t o = 0; o < columns.outputs.size(); ++o) {
      starts_[o] = static_cast<Index>((columns.outputs.begin + o) / view_.interleave -
                                      p_.geometry.w().pad_begin);
    }
  }

  /** Reduces a row (counted from the begin of the padding) along W; whether there is such a row. */
  bool ReduceRow(const Element* plane, std::int64_t row, const TileColumns& columns,
                 const PositionLine<S>& result) {
    const std::int64_t at = row - view_.h.pad_begin;
    holds_nan_[static_cast<std::size_t>(row - block_)] = false;
    if (at < 0 || at >= view_.h.input) return false;
    const typename S::D d;
    const typename S::DI di;
    const std::int64_t lanes = LaneCount(d);
    const Element* source = plane + at * view_.w.input;
    const std::int64_t size = columns.outputs.size();
    const std::int64_t inputs = columns.inputs.size();
    const std::int64_t kernel = view_.w.kernel;
    const std::int64_t step = view_.w.dilation;  // C, if interleaved
    const PositionLine<S> line = Spare(kPadded);

    auto sum = hn::Zero(d);
    for (std::int64_t x = 0;;) {
      const auto v = S::Load(d, source + x, std::min(lanes, inputs - x));
      if constexpr (std::is_floating_point_v<Lane>) sum = hn::Add(sum, v);
      hn::StoreU(v, d, line.value + columns.before + x);
      if (x + lanes >= inputs) break;
      x = std::min(x + lanes, inputs - lanes);
    }
    columns.Pad(line.value, S::Identity());
    if constexpr (std::is_floating_point_v<Lane>) {
      holds_nan_[static_cast<std::size_t>(row - block_)] = !hn::AllFalse(d, hn::IsNaN(sum));
    }
    const auto base = hn::Set(di, static_cast<Index>((first_row_ + at) * multiplier_));
    for (std::int64_t i = 0; i < size + (kernel - 1) * step; i += lanes) {
      hn::StoreU(hn::Add(base, hn::LoadU(di, columns_.get() + i)), di, line.position + i);
    }

    const auto shifted = [&](std::int64_t by) {
      return PositionLine<S>{line.value + by * step, line.position + by * step};
    };
    std::int64_t width = 1;
    for (; 2 * width < kernel; width *= 2) {
      CombinePositions<S>(line, shifted(width), size + (kernel - 2 * width) * step, line);
    }
    CombinePositions<S>(line, shifted(kernel - width), size, result);
    return true;
  }

  void Write(const RowTiles::Item& item, const TileColumns& columns,
             const PositionLine<S>& result) const {
    const typename S::D d;
    const typename S::DI di;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t size = columns.outputs.size();
    const std::int64_t to = OutputOffset(view_, item, columns.outputs.begin);
    auto* y = static_cast<Element*>(p_.output) + to;
    auto* mask = static_cast<typename S::Mask*>(p_.mask) + to;
    const auto row = hn::Set(di, static_cast<Index>(view_.h.start(item.h) * multiplier_));
    for (std::int64_t o = 0;;) {
      auto at = hn::LoadU(di, result.position + o);
      if constexpr (!S::kFlat) {
        at = hn::Sub(at, hn::Add(row, hn::LoadU(di, starts_.get() + o)));
        if constexpr (sizeof(Index) > 1) at = hn::And(at, hn::Set(di, Index{255}));
      }
      S::Store(d, hn::LoadU(d, result.value + o), y + o, size - o);
      S::StoreMask(di, at, mask + o, size - o);
      if (o + lanes >= size) break;
      o = std::min(o + lanes, size - lanes);
    }
  }

  const Pooling& p_;
  const PlaneView view_;
  const RowTiles tiles_;
  const std::int64_t pitch_;
  const std::int64_t kernel_;
  const std::int64_t multiplier_;
  std::int64_t block_ = 0;      ///< first row of the block at hand
  std::int64_t first_row_ = 0;  ///< number of the first row of the depth at hand
  const Line<Lane> values_;
  const Line<Index> positions_;
  const Line<Index> columns_;
  const Line<Index> starts_;
  std::vector<std::int64_t> suffix_;      ///< line of the suffix of each row of a block
  std::vector<bool> holds_nan_;           ///< per row of two blocks
  std::unique_ptr<PlanarScan<S>> exact_;  ///< for windows that hold a NaN
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
