// Maxima with their positions under small windows: rows are reduced first, each once, however many
// windows hold it, then columns.
#if defined(FEATUREPOOL_KERNELS_POSITION_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_POSITION_ROWS_INL_H_
#undef FEATUREPOOL_KERNELS_POSITION_ROWS_INL_H_
#else
#define FEATUREPOOL_KERNELS_POSITION_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "hwy/highway.h"
#include "kernels/scan-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** A reduced row: values, and from `positions` lanes on the position of each. */
template <class S>
HWY_INLINE void StoreToLine(hn::Vec<typename S::D> value, hn::Vec<typename S::DI> position,
                            typename S::Lane* HWY_RESTRICT line, std::int64_t positions) {
  const typename S::D d;
  hn::StoreU(value, d, line);
  hn::StoreU(hn::BitCast(d, position), d, line + positions);
}

template <class S>
HWY_INLINE hn::Vec<typename S::DI> LoadPositions(const typename S::Lane* HWY_RESTRICT positions) {
  return hn::BitCast(typename S::DI(), hn::LoadU(typename S::D(), positions));
}

/** Takes tap `t` of a vector of windows, limited if `limit` is not null; adds it to `seen`. */
template <class S, bool kLimited>
HWY_INLINE void TakeTap(hn::Vec<typename S::D> v, std::int64_t t,
                        const typename S::Lane* HWY_RESTRICT limit, hn::Vec<typename S::D>& best,
                        hn::Vec<typename S::DI>& at, hn::Vec<typename S::D>& seen) {
  const typename S::D d;
  const typename S::DI di;
  if constexpr (std::is_floating_point_v<typename S::Lane>) seen = t == 0 ? v : hn::Add(seen, v);
  if constexpr (kLimited) v = hn::Min(v, hn::LoadU(d, limit));
  if (t == 0) {
    best = v;
    at = hn::Zero(di);
  } else if (t == 1) {
    const auto better = hn::RebindMask(di, hn::Gt(v, best));
    best = Greater(v, best);
    at = hn::And(hn::VecFromMask(di, better), hn::Set(di, typename S::Index{1}));
  } else {
    S::template Take<false>(d, di, v, hn::Set(di, static_cast<typename S::Index>(t)), best, at);
  }
}

// Instead of a stride: windows of an interleaved tensor, whose lanes run along C.
constexpr int kInterleaved = 0;

/**
 * Reduces a vector of windows of kTaps (0: `taps`) taps along a row, the first of which begins at
 * `x` and each other kStride elements further on; or, kInterleaved, the next to it, and their taps
 * are `pitch` elements apart.
 *
 * @param limits of each tap, `pitch` lanes apart
 */
template <class S, int kStride, int kTaps, bool kLimited>
HWY_INLINE void ReduceWindows(const typename S::Element* HWY_RESTRICT x, std::int64_t taps,
                              const typename S::Lane* HWY_RESTRICT limits, std::int64_t pitch,
                              hn::Vec<typename S::D>& best, hn::Vec<typename S::DI>& at,
                              hn::Vec<typename S::D>& seen) {
  const typename S::D d;
  const std::int64_t lanes = LaneCount(d);
  if (kTaps > 0) taps = kTaps;
  if constexpr (kStride == kInterleaved) {
    HWY_UNROLL(3)
    for (std::int64_t t = 0; t < taps; ++t) {
      TakeTap<S, false>(S::Load(d, x + t * pitch), t, limits, best, at, seen);
    }
  } else if constexpr (kStride == 1) {
    HWY_UNROLL(3)
    for (std::int64_t t = 0; t < taps; ++t) {
      TakeTap<S, kLimited>(S::Load(d, x + t), t, limits + t * pitch, best, at, seen);
    }
  } else if constexpr (kStride == 2) {
    HWY_UNROLL(2)
    for (std::int64_t t = 0; t < taps; t += 2) {
      const auto a = S::Load(d, x + t);
      const auto b = S::Load(d, x + t + lanes);
      const auto* limit = limits + t * pitch;
      TakeTap<S, kLimited>(hn::ConcatEven(d, b, a), t, limit, best, at, seen);
      if (t + 1 == taps) break;
      TakeTap<S, kLimited>(hn::ConcatOdd(d, b, a), t + 1, limit + pitch, best, at, seen);
    }
  } else {
    static_assert(kStride == 3 || kStride == 4);
    for (std::int64_t t = 0; t < taps; t += kStride) {
      hn::Vec<typename S::D> v0, v1, v2, v3;
      if constexpr (kStride == 3) {
        hn::LoadInterleaved3(d, x + t, v0, v1, v2);
      } else {
        hn::LoadInterleaved4(d, x + t, v0, v1, v2, v3);
      }
      const auto* limit = limits + t * pitch;
      TakeTap<S, kLimited>(S::Turned(d, v0), t, limit, best, at, seen);
      if (t + 1 == taps) break;
      TakeTap<S, kLimited>(S::Turned(d, v1), t + 1, limit + pitch, best, at, seen);
      if (t + 2 == taps) break;
      TakeTap<S, kLimited>(S::Turned(d, v2), t + 2, limit + 2 * pitch, best, at, seen);
      if constexpr (kStride == 4) {
        if (t + 3 == taps) break;
        TakeTap<S, kLimited>(S::Turned(d, v3), t + 3, limit + 3 * pitch, best, at, seen);
      }
    }
  }
}

/** Outputs, side by side, whose windows hold the same taps: of an interleaved tensor. */
struct ColumnRun {
  std::int64_t from;   ///< element of their first tap, from the first tap of the tile on
  std::int64_t to;     ///< first output, in lanes
  std::int64_t size;   ///< lanes
  std::int64_t first;  ///< tap inside the input
  std::int64_t taps;   ///< inside the input
};

/**
 * The columns of a tile of outputs, as whole vectors: the lanes behind the last output are computed
 * along, and overwritten or left behind.
 *
 * Of a planar tensor, where a tap may lie in the padding, the elements there are limited to the
 * identity. A window of nothing but identities then has its first maximum at its first tap inside
 * the input, not before.
 */
template <class S>
class WindowColumns {
 public:
  using Lane = typename S::Lane;
  using Index = typename S::Index;

  /** For tiles of up to `size` lanes of outputs; `channels`: of an interleaved tensor, else 0. */
  WindowColumns(const Axis& w, std::int64_t channels, std::int64_t size)
      : w_(w),
        channels_(channels),
        // The last vector of the last column may begin anywhere.
        pitch_((size + (channels > 0 ? 2 : 1) * lanes() - 1) / lanes() * lanes()),
        limited_(channels == 0 && !w.whole()),
        limits_(limited_ ? w.kernel * pitch_ : 0),
        firsts_(limited_ ? pitch_ : 0) {}

  /** `outputs`: columns. */
  void StartTile(Span outputs) {
    size_ = outputs.size() * std::max<std::int64_t>(1, channels_);
    vectors_ = (size_ + lanes() - 1) / lanes();
    if (channels_ > 0) {
      ListRuns(outputs);
    } else if (limited_) {
      ListLimits(outputs);
    } else {
      inside_ = {0, vectors_};
    }
  }

  std::int64_t vectors() const { return vectors_; }
  std::int64_t size() const { return size_; }
  std::int64_t pitch() const { return pitch_; }
  std::int64_t taps() const { return w_.kernel; }
  std::int64_t channels() const { return channels_; }
  /** The vectors none of whose taps lies in the padding. */
  const Span& inside() const { return inside_; }
  const Lane* limits() const { return limits_.get(); }
  const Index* firsts() const { return firsts_.get(); }
  const std::vector<ColumnRun>& runs() const { return runs_; }

  /** Elements of a row that its windows read, from the first tap of the first of them on. */
  std::int64_t reads() const {
    if (channels_ > 0) return reads_;
    return w_.stride * (vectors_ * lanes() + (w_.kernel - 1) / w_.stride);
  }

 private:
  static std::int64_t lanes() { return LaneCount(typename S::D()); }

  HWY_NOINLINE void ListLimits(const Span& outputs) {
    const Span whole = w_.interior();
    const auto inside = [&](std::int64_t o) { return o >= whole.begin && o < whole.end; };
    inside_.begin = 0;
    while (inside_.begin < vectors_ && !inside(outputs.begin + inside_.begin * lanes())) {
      ++inside_.begin;
    }
    inside_.end = inside_.begin;
    while (inside_.end < vectors_ &&
           inside(outputs.begin + std::min((inside_.end + 1) * lanes(), size_) - 1)) {
      ++inside_.end;
    }
    constexpr Lane kUnlimited = std::numeric_limits<Lane>::has_infinity
                                    ? std::numeric_limits<Lane>::infinity()
                                    : std::numeric_limits<Lane>::max();
    std::fill_n(limits_.get(), w_.kernel * pitch_, S::Identity());
    std::fill_n(firsts_.get(), pitch_, Index{0});
    for (std::int64_t o = 0; o < size_; ++o) {
      const Span taps = w_.taps(outputs.begin + o);
      for (std::int64_t t = taps.begin; t < taps.end; ++t) limits_[t * pitch_ + o] = kUnlimited;
      firsts_[o] = static_cast<Index>(taps.begin);
    }
  }

  HWY_NOINLINE void ListRuns(const Span& outputs) {
    const std::int64_t start = w_.start(outputs.begin);
    runs_.clear();
    reads_ = 0;
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const Span taps = w_.taps(o);
      const bool whole = taps.size() == w_.kernel;
      if (whole && w_.stride == 1 && !runs_.empty() && runs_.back().taps == w_.kernel) {
        runs_.back().size += channels_;
      } else {
        runs_.push_back({(w_.position(o, taps.begin) - start) * channels_,
                         (o - outputs.begin) * channels_, channels_, taps.begin, taps.size()});
      }
      const ColumnRun& run = runs_.back();
      reads_ = std::max(reads_, run.from + (run.size + lanes() - 1) / lanes() * lanes() +
                                    (run.taps - 1) * channels_);
    }
  }

  const Axis w_;
  const std::int64_t channels_;
  const std::int64_t pitch_;
  const bool limited_;
  const Line<Lane> limits_;
  const Line<Index> firsts_;
  std::int64_t size_ = 0;
  std::int64_t vectors_ = 0;
  Span inside_{0, 0};
  std::vector<ColumnRun> runs_;
  std::int64_t reads_ = 0;
};

/** Reduces a row along W and hands each vector of values, their positions and its place in the row
 * of outputs to `take`, in ascending order: vectors may reach over into the next one's place. */
template <class S, int kStride, int kTaps, class Take>
HWY_INLINE void ReduceRowPositions(const typename S::Element* HWY_RESTRICT x,
                                   const WindowColumns<S>& columns, hn::Vec<typename S::D>& sum,
                                   const Take& take) {
  const typename S::D d;
  const typename S::DI di;
  const std::int64_t lanes = LaneCount(d);
  const std::int64_t taps = columns.taps();
  auto best = hn::Zero(d);
  auto at = hn::Zero(di);
  auto seen = hn::Zero(d);
  if constexpr (kStride == kInterleaved) {
    const std::int64_t channels = columns.channels();
    for (const ColumnRun& run : columns.runs()) {
      const auto first = hn::Set(di, static_cast<typename S::Index>(run.first));
      for (std::int64_t i = 0; i < run.size; i += lanes) {
        const auto* from = x + run.from + i;
        if (HWY_LIKELY(run.taps == taps)) {
          ReduceWindows<S, kStride, kTaps, false>(from, taps, nullptr, channels, best, at, seen);
        } else {
          ReduceWindows<S, kStride, 0, false>(from, run.taps, nullptr, channels, best, at, seen);
          at = hn::Add(at, first);
        }
        if constexpr (std::is_floating_point_v<typename S::Lane>) sum = hn::Add(sum, seen);
        take(best, at, run.to + i);
      }
    }
  } else {
    const std::int64_t vectors = columns.vectors();
    const Span inside = columns.inside();
    for (std::int64_t i = 0; i < vectors; ++i) {
      const auto* from = x + i * lanes * kStride;
      if (HWY_LIKELY(i >= inside.begin && i < inside.end)) {
        ReduceWindows<S, kStride, kTaps, false>(from, taps, nullptr, 0, best, at, seen);
      } else {
        ReduceWindows<S, kStride, kTaps, true>(from, taps, columns.limits() + i * lanes,
                                               columns.pitch(), best, at, seen);
        at = hn::Max(at, hn::LoadU(di, columns.firsts() + i * lanes));
      }
      if constexpr (std::is_floating_point_v<typename S::Lane>) sum = hn::Add(sum, seen);
      take(best, at, i * lanes);
    }
  }
}

/** Whether a sum shows that one of its terms is a NaN. */
template <class D>
HWY_INLINE bool HoldsNan(D d, hn::Vec<D> sum) {
  if constexpr (std::is_floating_point_v<hn::TFromD<D>>) return !hn::AllFalse(d, hn::IsNaN(sum));
  return false;
}

/** Reduces a row along W into a line; whether it holds a NaN. */
template <class S, int kStride, int kTaps>
HWY_NOINLINE bool ReduceRowToLine(const typename S::Element* x, const WindowColumns<S>& columns,
                                  typename S::Lane* HWY_RESTRICT line) {
  const typename S::D d;
  auto sum = hn::Zero(d);
  ReduceRowPositions<S, kStride, kTaps>(x, columns, sum,
                                        [&](auto best, auto at, std::int64_t o) HWY_ATTR {
                                          StoreToLine<S>(best, at, line + o, columns.pitch());
                                        });
  return HoldsNan(d, sum);
}

/** A reduced row of a window, and what its positions count from. */
template <class S>
struct WindowLine {
  typename S::Lane* line;
  typename S::Index base;
};

/** Collects outputs in the first-level cache and copies them past the caches, whole cache lines
 * only: a line written in two pieces costs several times as much. */
template <typename T>
class StreamedOutput {
 public:
  explicit StreamedOutput(std::int64_t capacity)
      : collected_(capacity > 0 ? capacity + kLine : 0) {}

  void Start(T* to) { to_ = to; }

  /** Where the next elements are to be collected. */
  T* next() const { return collected_.get() + held_; }

  /** Takes `size` elements at next(). */
  HWY_NOINLINE void Take(std::int64_t size) {
    const hn::ScalableTag<std::uint8_t> d;
    held_ += size;
    const auto past = reinterpret_cast<std::uintptr_t>(to_) % kLine;
    std::int64_t done = 0;
    if (past != 0) {
      done = std::min(held_, static_cast<std::int64_t>((kLine - past) / sizeof(T)));
      std::copy_n(collected_.get(), done, to_);
    }
    const auto* from = reinterpret_cast<const std::uint8_t*>(collected_.get() + done);
    auto* to = reinterpret_cast<std::uint8_t*>(to_ + done);
    const auto bytes = (held_ - done) * static_cast<std::int64_t>(sizeof(T)) / kLine * kLine;
    for (std::int64_t i = 0; i < bytes; i += LaneCount(d)) {
      hn::Stream(hn::LoadU(d, from + i), d, to + i);
    }
    done += bytes / static_cast<std::int64_t>(sizeof(T));
    std::copy(collected_.get() + done, collected_.get() + held_, collected_.get());
    to_ += done;
    held_ -= done;
  }

  /** Writes what is left. */
  void Flush() {
    std::copy_n(collected_.get(), held_, to_);
    to_ += held_;
    held_ = 0;
  }

 private:
  static constexpr std::int64_t kLine = 64;

  Line<T> collected_;
  T* to_ = nullptr;
  std::int64_t held_ = 0;
};

/** Where outputs go. */
template <class S>
struct PositionOutput {
  typename S::Element* y;
  typename S::Mask* mask;
  std::int64_t step;  ///< between rows
  std::int64_t size;  ///< of a row
  /** Behind the last element that lanes beyond a row's end may write; null: they may write none. */
  const typename S::Element* end;

  void Advance(std::int64_t rows) {
    y += rows * step;
    mask += rows * step;
  }
};

/** What positions within planes count from: the start of each window along W, and that of the rows
 * of windows. */
template <class S>
struct PositionStarts {
  const typename S::Index* columns;
  std::int64_t first;
  std::int64_t step;
};

/** Where the rows of the input lie. */
struct RowSteps {
  std::int64_t row;     ///< elements between rows
  std::int64_t stride;  ///< rows between rows of windows
  std::int64_t run;     ///< rows of windows of a plane, where windows share no rows
  std::int64_t plane;   ///< elements more between the last of a plane and the first of the next
};

/** The first maximum of kRows (0: `count`) lines, whose positions lie `pitch` lanes behind their
 * values, at `o`. */
template <class S, int kRows>
HWY_INLINE void CombineLines(const WindowLine<S>* lines, std::int64_t count, std::int64_t pitch,
                             std::int64_t o, hn::Vec<typename S::D>& best,
                             hn::Vec<typename S::DI>& at) {
  const typename S::D d;
  const typename S::DI di;
  if (kRows > 0) count = kRows;
  best = hn::LoadU(d, lines[0].line + o);
  at = hn::Add(LoadPositions<S>(lines[0].line + pitch + o), hn::Set(di, lines[0].base));
  HWY_UNROLL(2)
  for (std::int64_t t = 1; t < count; ++t) {
    const auto* line = lines[t].line + o;
    const auto position = hn::Add(LoadPositions<S>(line + pitch), hn::Set(di, lines[t].base));
    S::template Take<false>(d, di, hn::LoadU(d, line), position, best, at);
  }
}

/** Writes a vector of outputs at `o` of a row. */
template <class S>
HWY_INLINE void WritePositions(hn::Vec<typename S::D> best, hn::Vec<typename S::DI> at,
                               std::int64_t o, const PositionOutput<S>& to,
                               const PositionStarts<S>& starts) {
  const typename S::D d;
  const typename S::DI di;
  if constexpr (S::kFlat) {
    const auto start = hn::Set(di, static_cast<typename S::Index>(starts.first));
    at = hn::Add(at, hn::Add(start, hn::LoadU(di, starts.columns + o)));
  }
  const auto* end = to.end != nullptr ? to.end : to.y + to.size;
  const std::int64_t room = end - (to.y + o);
  S::Store(d, best, to.y + o, room);
  S::StoreMask(di, at, to.mask + o, room);
}

/** Writes a row of outputs from the lines of all rows of its windows. */
template <class S>
HWY_NOINLINE void WriteFromLines(const WindowLine<S>* lines, std::int64_t count,
                                 const WindowColumns<S>& columns, PositionOutput<S> to,
                                 PositionStarts<S> starts) {
  for (std::int64_t o = 0; o < columns.size(); o += LaneCount(typename S::D())) {
    auto best = hn::Zero(typename S::D());
    auto at = hn::Zero(typename S::DI());
    CombineLines<S, 0>(lines, count, columns.pitch(), o, best, at);
    WritePositions<S>(best, at, o, to, starts);
  }
}

/**
 * Writes `run` rows of outputs, each as the last row of its windows is reduced. The `count` = kRows
 * (0: any number of) lines are those of the rows of a window; all but the last are reduced already,
 * for the first row of outputs.
 *
 * The rows are read in turn, each once: a stream of memory, see ReduceRowsInTurn().
 *
 * @param x last row of the first windows
 */
template <class S, int kStride, int kTaps, int kRows>
HWY_NOINLINE bool WriteFromRows(const typename S::Element* x, RowSteps steps,
                                const WindowColumns<S>& columns, WindowLine<S>* lines,
                                std::int64_t count, std::int64_t run, PositionOutput<S> to,
                                PositionStarts<S> starts) {
  using Index = typename S::Index;
  const typename S::D d;
  const typename S::DI di;
  if (kRows > 0) count = kRows;
  const std::int64_t earlier = count - 1;
  const std::int64_t fresh = std::min(steps.stride, count);
  const bool kept = steps.stride < count;
  const std::int64_t first_start = starts.first;
  auto sum = hn::Zero(d);
  for (std::int64_t r = 0, in_plane = 0;;) {
    typename S::Lane* HWY_RESTRICT last = lines[earlier].line;
    const auto base = hn::Set(di, static_cast<Index>(lines[earlier].base));
    ReduceRowPositions<S, kStride, kTaps>(
        x, columns, sum, [&](auto v, auto position, std::int64_t o) HWY_ATTR {
          if (kept) StoreToLine<S>(v, position, last + o, columns.pitch());
          position = hn::Add(position, base);
          if (kRows == 1 || (kRows == 0 && earlier == 0)) {
            WritePositions<S>(v, position, o, to, starts);
            return;
          }
          auto best = hn::Zero(d);
          auto at = hn::Zero(di);
          CombineLines<S, (kRows > 0 ? kRows - 1 : 0)>(lines, earlier, columns.pitch(), o, best,
                                                       at);
          S::template Take<false>(d, di, v, position, best, at);
          WritePositions<S>(best, at, o, to, starts);
        });
    if (++r == run) break;
    to.Advance(1);
    starts.first += starts.step;
    if (!kept && ++in_plane == steps.run) {
      in_plane = 0;
      starts.first = first_start;
      x += steps.plane;
    }
    // The lines of rows that the next windows hold too move up; positions count anew.
    for (std::int64_t n = 0; kept && n < fresh; ++n) {
      typename S::Lane* first = lines[0].line;
      for (std::int64_t t = 0; t < earlier; ++t) lines[t].line = lines[t + 1].line;
      lines[earlier].line = first;
    }
    x += (steps.stride - fresh + 1) * steps.row;
    for (std::int64_t t = count - fresh; t < earlier; ++t, x += steps.row) {
      ReduceRowPositions<S, kStride, kTaps>(
          x, columns, sum, [&](auto v, auto position, std::int64_t o) HWY_ATTR {
            StoreToLine<S>(v, position, lines[t].line + o, columns.pitch());
          });
    }
  }
  return HoldsNan(d, sum);
}

/**
 * Forward max pooling with a mask for small windows.
 *
 * Each row of the input is reduced along W once, however many windows hold it; the lines of the
 * rows that the next windows hold too are kept. Combining rows first and columns then, the earlier
 * operand winning ties, keeps the first maximum in row-major order.
 */
template <class S>
class PositionRows {
 public:
  using Element = typename S::Element;
  using Mask = typename S::Mask;
  using Lane = typename S::Lane;
  using Index = typename S::Index;

  static bool Accepts(const Pooling& p) {
    const Geometry& g = p.geometry;
    if (g.binned() || g.taps() > kMostTaps) return false;
    for (const Axis& axis : g.axes) {
      if (axis.dilation != 1) return false;
    }
    if (p.layout == Layout::interleaved) {
      return g.d().kernel * g.h().kernel * g.channels <= kMostLineBytes / kLaneBytes;
    }
    return g.w().stride <= (kCommon ? 4 : 2) && PlanarScan<S>::Accepts(PlaneView(p));
  }

  /** Tiles of columns, whatever the layout. */
  static RowTiles Tiles(const Pooling& p) {
    const Geometry& g = p.geometry;
    const std::int64_t lines = std::max(g.d().kernel * g.h().kernel, g.w().kernel);
    const std::int64_t room = kLineBytes / kLaneBytes / lines;
    return {g.d().output, g.h().output, g.w().output,
            p.layout == Layout::interleaved ? std::max<std::int64_t>(1, room / g.channels)
                                            : whole_cache_lines(room)};
  }

  static std::int64_t Items(const Pooling& p) { return item_count(PlaneView(p).planes, Tiles(p)); }

  explicit PositionRows(const Pooling& p)
      : p_(p),
        view_(p),
        w_(p.geometry.w()),
        tiles_(Tiles(p)),
        columns_(w_, p.layout == Layout::interleaved ? p.geometry.channels : 0,
                 tiles_.tile * view_.interleave),
        rows_(view_.d.kernel * view_.h.kernel),
        line_pitch_(2 * columns_.pitch()),
        held_(rows_ * line_pitch_),
        starts_(columns_.pitch()),
        staged_rows_(beyond_cache(p) && tiles_.tiles == 1 ? 1 + kStagedElements / view_.w.output
                                                          : 0),
        streamed_y_(staged_rows_ * view_.w.output),
        streamed_mask_(staged_rows_ * view_.w.output),
        disjoint_(tiles_.tiles == 1 && view_.d.input == 1 && view_.d.kernel == 1 &&
                  view_.h.whole() && view_.h.stride >= view_.h.kernel) {
    ChooseReducer();
    for (std::int64_t t = 0; t < rows_; ++t) {
      lines_.push_back(held_.get() + t * line_pitch_);
    }
    listed_.resize(lines_.size());
    if (disjoint_) ListLines({0, view_.h.kernel});
  }

  void Run(Span items) {
    const std::int64_t height = view_.h.output;
    RowTiles::Item item = tiles_.item(items.begin);
    if (staged_rows_ > 0) {
      const std::int64_t to = OutputOffset(view_, item, 0);
      streamed_y_.Start(static_cast<Element*>(p_.output) + to);
      streamed_mask_.Start(static_cast<Mask*>(p_.mask) + to);
    }
    for (std::int64_t left = items.end - items.begin; left > 0;) {
      const std::int64_t most = staged_rows_ > 0 ? std::min(left, staged_rows_) : left;
      const std::int64_t rows = std::min(most, height - item.h);
      const std::int64_t planes = disjoint_ && rows == height ? most / height : 1;
      StartTile(item);
      Block(item, planes, rows, left);
      left -= planes * rows;
      item.plane += planes - 1;
      item.h += rows - 1;
      tiles_.advance(item);
    }
    if (staged_rows_ > 0) Flush();
  }

 private:
  // Rare combinations of types make do with loops of any number of taps.
  static constexpr bool kCommon =
      std::is_same_v<Element, float> || (std::is_same_v<Element, std::uint8_t> && !S::kFlat);
  static constexpr std::int64_t kMostTaps = 64;
  static constexpr std::int64_t kLaneBytes = 2 * sizeof(Lane);
  static constexpr std::int64_t kMostLineBytes = 512 << 10;
  // The lines of a window, or the limits of its taps, in the second-level cache.
  static constexpr std::int64_t kLineBytes = 64 << 10;
  static constexpr std::int64_t kStagedElements = 1024;
  static constexpr std::int64_t kNone = -1;

  using Reduce = bool (*)(const Element*, const WindowColumns<S>&, Lane*);
  using Write = bool (*)(const Element*, RowSteps, const WindowColumns<S>&, WindowLine<S>*,
                         std::int64_t, std::int64_t, PositionOutput<S>, PositionStarts<S>);

  template <int kStride, int kTaps>
  void SetReducer() {
    reduce_ = ReduceRowToLine<S, kStride, kTaps>;
    if constexpr (kTaps == 0) {
      write_ = WriteFromRows<S, kStride, 0, 0>;
    } else {
      write_ = rows_ == kTaps ? WriteFromRows<S, kStride, kTaps, kTaps>
                              : WriteFromRows<S, kStride, 0, 0>;
    }
  }

  void ChooseReducer() {
    const std::int64_t kernel = w_.kernel;
    if constexpr (kCommon) {
      if (columns_.channels() > 0) {
        return kernel == 2   ? SetReducer<kInterleaved, 2>()
               : kernel == 3 ? SetReducer<kInterleaved, 3>()
                             : SetReducer<kInterleaved, 0>();
      }
      switch (w_.stride) {
        case 1:
          return kernel == 3 ? SetReducer<1, 3>() : SetReducer<1, 0>();
        case 2:
          return kernel == 2   ? SetReducer<2, 2>()
                 : kernel == 3 ? SetReducer<2, 3>()
                               : SetReducer<2, 0>();
        case 3:
          return SetReducer<3, 0>();
        default:
          return SetReducer<4, 0>();
      }
    } else {
      return columns_.channels() > 0 ? SetReducer<kInterleaved, 0>()
             : w_.stride == 1        ? SetReducer<1, 0>()
                                     : SetReducer<2, 0>();
    }
  }

  HWY_NOINLINE void StartTile(const RowTiles::Item& item) {
    if (item.tile == started_) return;
    started_ = item.tile;
    const Span outputs = tiles_.columns(item);
    columns_.StartTile(outputs);
    const std::int64_t column = w_.start(outputs.begin);
    first_ = column * view_.interleave;
    for (std::int64_t o = 0; o < columns_.pitch(); ++o) {
      starts_[o] = static_cast<Index>(column + o / view_.interleave * w_.stride);
    }
    const std::int64_t width = view_.w.input;
    const std::int64_t room = view_.planes * view_.input_plane() - first_ - columns_.reads();
    safe_rows_ = {first_ < 0 ? (width - 1 - first_) / width : 0, room < 0 ? 0 : room / width + 1};
  }

  void Flush() {
    streamed_y_.Flush();
    streamed_mask_.Flush();
  }

  /** `rows` rows of outputs from `item` on, of each of `planes` planes; `left`: all that this run
   * of the kernel is still to give. */
  HWY_NOINLINE void Block(const RowTiles::Item& item, std::int64_t planes, std::int64_t rows,
                          std::int64_t left) {
    const Span outputs = tiles_.columns(item);
    const std::int64_t to = OutputOffset(view_, item, outputs.begin * view_.interleave);
    auto* y = static_cast<Element*>(p_.output) + to;
    auto* mask = static_cast<Mask*>(p_.mask) + to;
    const std::int64_t size = planes * rows * view_.w.output;
    PositionOutput<S> output{y, mask, view_.w.output, columns_.size(), nullptr};
    if (staged_rows_ > 0) {
      // A Line has room for what is behind the end of the last row.
      output.y = streamed_y_.next();
      output.mask = streamed_mask_.next();
      output.end = output.y + size + LaneCount(typename S::D());
    } else if (tiles_.tiles == 1) {
      // What is behind the end of a row is overwritten by the next.
      output.end = y + left * view_.w.output;
    }
    const bool holds_nan = disjoint_             ? DisjointRows(item, planes, rows, output)
                           : view_.d.kernel == 1 ? Rows(item, rows, output)
                                                 : DeepRows(item, rows, output);
    if (staged_rows_ > 0) {
      streamed_y_.Take(size);
      streamed_mask_.Take(size);
      if (holds_nan) Flush();
    }
    if (!holds_nan) return;
    next_ = kNone;
    RowTiles::Item at = item;
    for (; at.plane < item.plane + planes; ++at.plane) {
      for (at.h = item.h; at.h < item.h + rows; ++at.h) Exactly(at, outputs);
    }
  }

  /** Takes the taps of a row of windows one by one: they may hold a NaN. */
  HWY_NOINLINE void Exactly(const RowTiles::Item& item, const Span& outputs) {
    if (columns_.channels() == 0) {
      if (!planar_) planar_ = std::make_unique<PlanarScan<S>>(p_, view_);
      planar_->Row(item, outputs);
      return;
    }
    if (!windows_) windows_ = std::make_unique<InterleavedWindows>(p_.geometry);
    InterleavedScan<S> scan(p_);
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      scan.Window(item.plane, windows_->at(item.d, item.h, o), tiles_.row(item) * w_.output + o);
    }
  }

  /** Rows of outputs whose windows share no rows and lie inside the input. */
  HWY_NOINLINE bool DisjointRows(const RowTiles::Item& item, std::int64_t planes, std::int64_t rows,
                                 PositionOutput<S> output) {
    const Axis& h = view_.h;
    PositionStarts<S> starts{starts_.get(), 0, h.stride * w_.input};
    bool holds_nan = false;
    const auto write = [&](std::int64_t plane, std::int64_t oh, std::int64_t count,
                           std::int64_t run) {
      const std::int64_t row = plane * h.input + h.start(oh);
      for (std::int64_t t = 0; t + 1 < rows_; ++t) {
        holds_nan |= reduce_(RowAt(row + t), columns_, LineOf(t));
      }
      starts.first = h.start(oh) * w_.input;
      holds_nan |=
          write_(RowAt(row + rows_ - 1),
                 {view_.w.input, h.stride, run, (h.input - h.output * h.stride) * view_.w.input},
                 columns_, listed_.data(), rows_, run * count, output, starts);
      output.Advance(run * count);
    };
    for (std::int64_t plane = item.plane; plane < item.plane + planes;) {
      // The rows but at the begin and the end of the input are read in one go.
      const std::int64_t row = plane * h.input + h.start(item.h);
      const std::int64_t safe = row < safe_rows_.begin ? 0 : safe_rows_.end - row;
      if (safe >= (rows - 1) * h.stride + h.kernel) {
        std::int64_t count = item.plane + planes - plane;
        if (count > 1) {
          const std::int64_t last = (rows - 1) * h.stride + h.kernel;
          count = std::min(count, (safe - last) / h.input + 1);
        }
        write(plane, item.h, count, rows);
        plane += count;
        continue;
      }
      for (std::int64_t oh = item.h; oh < item.h + rows; ++oh) write(plane, oh, 1, 1);
      ++plane;
    }
    return holds_nan;
  }

  /** Rows of outputs of windows of one row or more; whether an input is a NaN. */
  HWY_NOINLINE bool Rows(const RowTiles::Item& item, std::int64_t rows, PositionOutput<S> output) {
    const Axis& h = view_.h;
    const std::int64_t first_row = (item.plane * view_.d.input + view_.d.start(item.d)) * h.input;
    if (first_row != held_first_row_ || item.tile != held_tile_ || item.h != held_h_) next_ = kNone;
    held_first_row_ = first_row;
    held_tile_ = item.tile;
    bool holds_nan = false;
    for (std::int64_t oh = item.h; oh < item.h + rows;) {
      const std::int64_t start = h.start(oh);
      const std::int64_t last = start + h.kernel - 1;
      // Where the window's last row is not the only one inside, it is not read before it is due.
      const bool writes = last < h.input && (start > 1 - h.kernel || h.kernel == 1);
      const std::int64_t end = writes ? last : std::min(h.input, last + 1);
      for (next_ = std::max({next_, start, std::int64_t{0}}); next_ < end; ++next_) {
        holds_nan |= reduce_(RowAt(first_row + next_), columns_, LineOf(next_ - start));
      }
      const PositionStarts<S> starts{starts_.get(), RowStart(item, oh), h.stride * w_.input};
      std::int64_t run = 1;
      if (start < 0 || last >= h.input || clipped_) {
        ListLines({std::max<std::int64_t>(0, -start), std::min(h.kernel, h.input - start)});
        clipped_ = start < 0 || last >= h.input;
      } else if (h.stride < h.kernel) {
        for (std::size_t t = 0; t < listed_.size(); ++t) listed_[t].line = lines_[t];
      }
      if (!writes) {
        WriteFromLines<S>(listed_.data(), rows_, columns_, output, starts);
      } else {
        if (start >= 0 && Safe(first_row + last)) {
          const std::int64_t room = std::min(h.input, safe_rows_.end - first_row) - 1 - last;
          run = item.h + rows - oh;
          if ((run - 1) * h.stride > room) run = room / h.stride + 1;
        }
        holds_nan |= write_(RowAt(first_row + last), {view_.w.input, h.stride, run, 0}, columns_,
                            listed_.data(), rows_, run, output, starts);
        if (run > 1) {
          for (std::size_t t = 0; t < listed_.size(); ++t) lines_[t] = listed_[t].line;
        }
        next_ = last + (run - 1) * h.stride + 1;
      }
      if (h.stride < h.kernel) std::rotate(lines_.begin(), lines_.begin() + h.stride, lines_.end());
      output.Advance(run);
      oh += run;
    }
    held_h_ = item.h + rows;
    return holds_nan;
  }

  /** Rows of outputs of windows of several positions along D: every row is reduced anew. */
  HWY_NOINLINE bool DeepRows(const RowTiles::Item& item, std::int64_t rows,
                             PositionOutput<S> output) {
    const Axis& h = view_.h;
    const Span depth = view_.d.taps(item.d);
    bool holds_nan = false;
    for (std::int64_t oh = item.h; oh < item.h + rows; ++oh) {
      const Span height = h.taps(oh);
      std::int64_t t = 0;
      for (std::int64_t td = 0; td < view_.d.kernel; ++td) {
        const bool inside = td >= depth.begin && td < depth.end;
        const std::int64_t row =
            (item.plane * view_.d.input + view_.d.position(item.d, td)) * h.input + h.start(oh);
        for (std::int64_t th = 0; th < h.kernel; ++th, ++t) {
          if (!inside || th < height.begin || th >= height.end) continue;
          holds_nan |= reduce_(RowAt(row + th), columns_, LineOf(t));
        }
      }
      ListLines(height, depth);
      WriteFromLines<S>(listed_.data(), rows_, columns_, output,
                        {starts_.get(), RowStart(item, oh), 0});
      output.Advance(1);
    }
    return holds_nan;
  }

  /** Position of column 0 of the first row of the windows at (item.d, oh). */
  std::int64_t RowStart(const RowTiles::Item& item, std::int64_t oh) const {
    return (view_.d.start(item.d) * view_.h.input + view_.h.start(oh)) * w_.input;
  }

  Lane* LineOf(std::int64_t tap) const { return lines_[static_cast<std::size_t>(tap)]; }

  /** Lists the lines of the rows of a window. A row in the padding is its neighbour inside once
   * more: what equals an earlier row never wins. */
  HWY_NOINLINE void ListLines(const Span& height, const Span& depth = {0, 1}) {
    const std::int64_t step = S::kFlat ? w_.input : w_.kernel;
    const std::int64_t depth_step = S::kFlat ? view_.h.input : view_.h.kernel;
    std::size_t t = 0;
    for (std::int64_t td = 0; td < view_.d.kernel; ++td) {
      const std::int64_t at_d = std::clamp(td, depth.begin, depth.end - 1);
      for (std::int64_t th = 0; th < view_.h.kernel; ++th, ++t) {
        const std::int64_t at_h = std::clamp(th, height.begin, height.end - 1);
        listed_[t] = {LineOf(at_d * view_.h.kernel + at_h),
                      static_cast<Index>((at_d * depth_step + at_h) * step)};
      }
    }
  }

  bool Safe(std::int64_t row) const { return row >= safe_rows_.begin && row < safe_rows_.end; }

  /** The first tap of the first window of a row of the input, counted from its begin. A row is
   * copied where windows would read before the input's begin or behind its end. */
  const Element* RowAt(std::int64_t row) {
    const std::int64_t width = view_.w.input;
    const auto* x = static_cast<const Element*>(p_.input) + row * width;
    if (HWY_LIKELY(Safe(row))) return x + first_;
    return CopyOf(x);
  }

  HWY_NOINLINE const Element* CopyOf(const Element* x) {
    const std::int64_t width = view_.w.input;
    const std::int64_t reads = columns_.reads();
    copy_.assign(static_cast<std::size_t>(reads), Element());
    const Span held{std::max<std::int64_t>(0, first_), std::min(width, first_ + reads)};
    std::copy(x + held.begin, x + held.end, copy_.begin() + (held.begin - first_));
    return copy_.data();
  }

  const Pooling& p_;
  const PlaneView view_;
  const Axis& w_;  ///< in columns, whatever the layout
  const RowTiles tiles_;
  WindowColumns<S> columns_;
  const std::int64_t rows_;  ///< of a window
  const std::int64_t line_pitch_;
  const Line<Lane> held_;           ///< reduced rows of the input, as many as a window has
  const Line<Index> starts_;        ///< of the windows along W
  const std::int64_t staged_rows_;  ///< 0: outputs are not streamed
  StreamedOutput<Element> streamed_y_;
  StreamedOutput<Mask> streamed_mask_;
  const bool disjoint_;  ///< whether all rows of outputs, of all planes, are alike
  Reduce reduce_ = nullptr;
  Write write_ = nullptr;
  std::vector<Lane*> lines_;           ///< of the rows of a window, in their order
  bool clipped_ = true;                ///< whether those listed are of clipped windows
  std::vector<WindowLine<S>> listed_;  ///< those with what stands for rows in the padding
  // The plane, the tile and the row of outputs at hand, and the first row not yet reduced.
  std::int64_t held_first_row_ = kNone;
  std::int64_t held_tile_ = kNone;
  std::int64_t held_h_ = kNone;
  std::int64_t next_ = kNone;
  std::int64_t started_ = kNone;  ///< the tile that columns_ are of
  std::int64_t first_ = 0;        ///< column of its first tap
  Span safe_rows_{0, 0};          ///< rows whose reads on both sides stay inside the input
  std::vector<Element> copy_;
  // For windows that hold a NaN.
  std::unique_ptr<PlanarScan<S>> planar_;
  std::unique_ptr<InterleavedWindows> windows_;
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
