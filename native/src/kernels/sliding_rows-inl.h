// Large windows of stride 1 along H: two combinations per row, whatever the kernel.
#if defined(FEATUREPOOL_KERNELS_SLIDING_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_SLIDING_ROWS_INL_H_
#undef FEATUREPOOL_KERNELS_SLIDING_ROWS_INL_H_
#else
#define FEATUREPOOL_KERNELS_SLIDING_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hwy/highway.h"
#include "kernels/rows-inl.h"
#include "kernels/slide_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

constexpr std::int64_t kLeastSlidingRows = 6;
constexpr std::int64_t kSlidingBytes = 256 << 10;
constexpr std::int64_t kMostSlidingBytes = 768 << 10;

// From this many taps on, rows that are turned into lanes beat passes over a line (measured).
constexpr std::int64_t kLeastTurnedTaps = 12;
// Longest kernel and widest tile: their working memory stays in the second-level cache.
constexpr std::int64_t kMostTurnedTaps = 512;
constexpr std::int64_t kMostTurnedColumns = 2048;

/**
 * The horizontal half over rows of a column tile, one row per lane: three combinations per element,
 * whatever the kernel, where passes over a line take a load and more for each doubling. Rows are
 * collected and slid together.
 */
template <class R>
class TurnedRows {
 public:
  using Lane = typename R::Lane;

  /** Rows that are slid together: two vectors, so that no combination waits for the one before. */
  static std::int64_t rows() { return 2 * LaneCount(typename R::D()); }

  /** Maxima are as fast by passes, which may take a tap twice. */
  static constexpr bool kPays = !R::kIdempotent && sizeof(Lane) == 4;

  static bool Accepts(const PlaneView& view) {
    const Axis& w = view.w;
    // As along H, see SlidingAccepts(): the error of a sum grows with its run.
    return kPays && w.dilation == 1 && w.kernel >= kLeastTurnedTaps &&
           w.kernel <= std::min(kMostTurnedTaps, kLongestRun * view.h.kernel);
  }

  /** For `size` outputs of windows of `w`; not `accepted`: takes no memory. */
  TurnedRows(const Axis& w, std::int64_t size, bool accepted)
      : kernel_(w.kernel),
        chunk_((kChunk + w.kernel - 1) / w.kernel * w.kernel),
        pitch_((size + w.kernel + kLine) / kLine * kLine + kLine),
        lines_(accepted ? rows() * pitch_ : 0),
        turned_(accepted ? rows() * (chunk_ + kernel_ + 2 * kSide) : 0),
        slid_(accepted ? rows() * (chunk_ + kSide) : 0),
        suffixes_(accepted ? rows() * kernel_ : 0) {}

  /** Row `i`: from the first window's first tap on; after Slide(), the first `size` outputs. */
  Lane* row(std::int64_t i) const { return lines_.get() + i * pitch_; }

  /** Slides windows along all rows. */
  HWY_NOINLINE void Slide(std::int64_t size) const {
    const std::int64_t step = rows();
    const std::int64_t behind = kernel_ - 1;
    std::int64_t held = 0;  // columns that are turned, from `o` on
    for (std::int64_t o = 0; o < size; o += chunk_) {
      const std::int64_t count = std::min(chunk_, size - o);
      const std::int64_t more = WholeSquares(count + behind - held);
      TurnLanes(row(0) + o + held, pitch_, step, more, turned_.get() + held * step, step);
      held += more;
      SlideLines<R, true>({count + behind, count, kernel_, 0}, turned_.get(), step, step / 2,
                          suffixes_.get(), slid_.get(), step, step / 2,
                          [](auto v, std::int64_t, int) HWY_ATTR { return v; });
      // What reaches over lies on columns that are turned already.
      TurnLanes(slid_.get(), step, WholeSquares(count), step, row(0) + o, pitch_);
      if (o + count < size) {
        std::copy(turned_.get() + count * step, turned_.get() + held * step, turned_.get());
        held -= count;
      }
    }
  }

 private:
  // What is turned at a time stays in the first-level cache.
  static constexpr std::int64_t kChunk = 64;
  static constexpr std::int64_t kSide = 8;
  static constexpr std::int64_t kLine = 64 / sizeof(Lane);
  static_assert(kLeastTurnedTaps >= kSide);

  static std::int64_t WholeSquares(std::int64_t n) { return (n + kSide - 1) / kSide * kSide; }

  const std::int64_t kernel_;
  const std::int64_t chunk_;  ///< outputs: blocks of suffixes begin at fixed columns
  const std::int64_t pitch_;
  const Line<Lane> lines_;
  const Line<Lane> turned_;
  const Line<Lane> slid_;
  const Line<Lane> suffixes_;
};

template <class R>
RowTiles SlidingTiles(const PlaneView& view) {
  const auto line = static_cast<std::int64_t>(sizeof(typename R::Lane)) * view.h.kernel;
  std::int64_t room = std::max(kSlidingBytes / line - view.w.reach(), view.w.reach());
  if (TurnedRows<R>::Accepts(view)) room = std::min(room, kMostTurnedColumns);
  return {view.d.output, view.h.output, view.w.output, whole_cache_lines(room)};
}

template <class R>
bool SlidingAccepts(const Pooling& p) {
  if (!RowsAccept(p)) return false;
  const PlaneView view(p);
  if (view.w.stride != 1 || view.h.stride != 1 || view.h.dilation != 1 || view.d.kernel != 1 ||
      view.h.kernel < kLeastSlidingRows) {
    return false;
  }
  // A sum's error grows with the run of rows; it stays within 2 ulp * sqrt(taps) of wide windows.
  if (!R::kIdempotent && view.h.kernel > kLongestRun * p.geometry.w().kernel) return false;
  const std::int64_t length = SlidingTiles<R>(view).tile + view.w.reach();
  return static_cast<std::int64_t>(sizeof(typename R::Lane)) * view.h.kernel * length <=
         kMostSlidingBytes;
}

template <class R>
std::int64_t SlidingItems(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, SlidingTiles<R>(view));
}

/**
 * ForwardRows() for windows of stride 1 along H (van Herk 1992; Gil and Werman 1993): rows fall
 * into blocks as long as the kernel; a window is the end of one block and the begin of the next, so
 * it is the combination of a suffix and a prefix. Nothing is ever subtracted: it serves sums as
 * well as maxima, a NaN stays in the windows that hold it, and blocks lie at fixed rows, so the
 * bits do not depend on how the rows fall to threads.
 */
template <class R, class Finish, class Redo>
class SlidingRows {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;

  SlidingRows(const Pooling& p, const Finish& finish, const Redo& redo)
      : p_(p),
        view_(p),
        tiles_(SlidingTiles<R>(view_)),
        kernel_(view_.h.kernel),
        finish_(finish),
        redo_(redo),
        horizontal_(view_.w, tiles_.tile),
        turns_(TurnedRows<R>::Accepts(view_)),
        turned_(view_.w, tiles_.tile, turns_),
        pitch_((horizontal_.length() + 127) / 64 * 64),
        suffixes_(kernel_ * pitch_),
        prefix_(pitch_),
        suffix_(static_cast<std::size_t>(kernel_)),
        findings_(static_cast<std::size_t>(2 * kernel_)) {
    if (turns_) waiting_.reserve(static_cast<std::size_t>(TurnedRows<R>::rows()));
  }

  void Run(Span items) {
    std::int64_t started = -1;
    for (std::int64_t index = items.begin; index < items.end;) {
      const RowTiles::Item item = tiles_.item(index);
      const TileColumns columns(view_.w, tiles_.columns(item));
      if (item.tile != started) {
        WriteWaiting();
        finish_.StartTile(view_, columns.outputs);
        started = item.tile;
      }
      index += Block(item, columns, items.end - index);
    }
    WriteWaiting();
  }

 private:
  struct Row {
    RowTiles::Item item;
    int found;
  };

  std::size_t Place(std::int64_t row, std::int64_t block) const {
    return static_cast<std::size_t>(row - block);
  }

  /** Writes rows of outputs from `item` to the end of its block, at most `most`; how many. */
  std::int64_t Block(RowTiles::Item item, const TileColumns& columns, std::int64_t most) {
    const std::int64_t size = columns.inputs.size();
    const std::int64_t first_row = item.h;
    const std::int64_t block = first_row / kernel_ * kernel_;
    const std::int64_t end_row = std::min({view_.h.output, block + kernel_, first_row + most});
    const Element* plane =
        static_cast<const Element*>(p_.input) + item.plane * view_.input_plane() +
        view_.d.start(item.d) * view_.h.input * view_.w.input + columns.inputs.begin;
    // Rows are counted from the begin of the padding: the window at output o holds rows o to
    // o + kernel - 1. Rows in the padding leave a suffix or prefix as it is.
    const auto combine = [&](const Lane* sum, std::int64_t row, Lane* line) -> const Lane* {
      const std::int64_t at = row - view_.h.pad_begin;
      int& found = findings_[Place(row, block)];
      found = 0;
      if (at < 0 || at >= view_.h.input || size == 0) return sum;
      found = CombineRow<R>(sum, plane + at * view_.w.input, size, line);
      return line;
    };
    const Lane* sum = nullptr;
    for (std::int64_t row = block + kernel_ - 1; row >= first_row; --row) {
      sum = combine(sum, row, suffixes_.get() + (row - block) * pitch_);
      suffix_[Place(row, block)] = sum;
    }
    const Lane* head = nullptr;
    std::int64_t next = block + kernel_;
    for (; item.h < end_row; ++item.h) {
      const std::int64_t o = item.h;
      const Lane* tail = suffix_[Place(o, block)];
      Lane* line = NextLine(columns);
      bool joined = false;
      for (; next < o + kernel_; ++next) {
        const std::int64_t at = next - view_.h.pad_begin;
        joined = next + 1 == o + kernel_ && head != nullptr && tail != nullptr &&
                 at < view_.h.input && size > 0;
        if (joined) {
          findings_[Place(next, block)] = CombineRows<R, true>(head, plane + at * view_.w.input,
                                                               size, prefix_.get(), tail, line);
        } else {
          head = combine(head, next, prefix_.get());
        }
      }
      if (joined) {
        // The prefix and the window from one pass over the row.
      } else if (head != nullptr && tail != nullptr) {
        CombineLines<R>(tail, head, size, line);
      } else if (head != nullptr || tail != nullptr) {
        std::copy_n(head != nullptr ? head : tail, size, line);
      } else {
        FillLine(line, size, R::Identity());
      }
      int found = 0;
      if constexpr (R::kWatched) {
        for (std::int64_t row = o; row < o + kernel_; ++row) found |= findings_[Place(row, block)];
      }
      Take(item, columns, found);
    }
    return end_row - first_row;
  }

  /** Where the vertical half writes the columns of the next row. */
  Lane* NextLine(const TileColumns& columns) const {
    if (!turns_) return horizontal_.columns(columns);
    return turned_.row(static_cast<std::int64_t>(waiting_.size())) + columns.before;
  }

  /** Takes the row that the vertical half has written. */
  HWY_INLINE void Take(const RowTiles::Item& item, const TileColumns& columns, int found) {
    if constexpr (TurnedRows<R>::kPays) {
      if (turns_) {
        columns.Pad(turned_.row(static_cast<std::int64_t>(waiting_.size())), R::Identity());
        waiting_.push_back({item, found});
        if (static_cast<std::int64_t>(waiting_.size()) == TurnedRows<R>::rows()) WriteWaiting();
        return;
      }
    }
    finish_.StartRow(view_, item.d, item.h);
    horizontal_.Run(columns, finish_, OutputOf(item, columns.outputs));
    if (found != 0) redo_(item, columns.outputs, found);
  }

  /** Slides along the rows that wait, and writes them. */
  HWY_NOINLINE void WriteWaiting() {
    if constexpr (TurnedRows<R>::kPays) {
      if (waiting_.empty()) return;
      const Span outputs = tiles_.columns(waiting_.front().item);
      turned_.Slide(outputs.size());
      std::int64_t i = 0;
      for (const Row& row : waiting_) {
        finish_.StartRow(view_, row.item.d, row.item.h);
        WriteRow(typename R::D(), finish_, outputs.size(), LineLoad<R>{turned_.row(i++)},
                 OutputOf(row.item, outputs));
        if (row.found != 0) redo_(row.item, outputs, row.found);
      }
      waiting_.clear();
    }
  }

  Element* OutputOf(const RowTiles::Item& item, const Span& outputs) const {
    return static_cast<Element*>(p_.output) + OutputOffset(view_, item, outputs.begin);
  }

  const Pooling& p_;
  const PlaneView view_;
  const RowTiles tiles_;
  const std::int64_t kernel_;
  Finish finish_;
  const Redo& redo_;
  const Horizontal<R> horizontal_;
  const bool turns_;
  const TurnedRows<R> turned_;
  std::vector<Row> waiting_;  ///< to be slid along together
  const std::int64_t pitch_;
  const Line<Lane> suffixes_;
  const Line<Lane> prefix_;
  std::vector<const Lane*> suffix_;
  std::vector<int> findings_;  ///< of two blocks of rows
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
