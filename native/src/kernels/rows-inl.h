// The row engine: reduce the rows of a window vertically into one line, then the line horizontally.
// The first half is the same for every layout; the second finds its taps by contiguous loads, after
// a line of stride s was split into its s phases.
#if defined(FEATUREPOOL_KERNELS_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_ROWS_INL_H_
#undef FEATUREPOOL_KERNELS_ROWS_INL_H_
#else
#define FEATUREPOOL_KERNELS_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Combines taps [begin, end) of what `load(tap)` gives; in pairs of halves, so that errors of long
 * sums grow with the logarithm of their length only. */
template <class R, class Load>
HWY_INLINE hn::Vec<typename R::D> CombineRun(const Load& load, std::int64_t begin,
                                             std::int64_t end) {
  auto value = load(begin);
  for (std::int64_t i = begin + 1; i < end; ++i) value = R::Combine(value, load(i));
  return value;
}

// Longest run of taps that is summed one after the other.
constexpr std::int64_t kLongestRun = 16;

template <class R, class Load>
hn::Vec<typename R::D> CombineHalves(const Load& load, std::int64_t begin, std::int64_t end) {
  if (end - begin <= kLongestRun) return CombineRun<R>(load, begin, end);
  const std::int64_t middle = begin + (end - begin) / 2;
  return R::Combine(CombineHalves<R>(load, begin, middle), CombineHalves<R>(load, middle, end));
}

template <class R, class Load>
HWY_INLINE hn::Vec<typename R::D> CombineTaps(const Load& load, std::int64_t taps) {
  return R::kIdempotent ? CombineRun<R>(load, 0, taps) : CombineHalves<R>(load, 0, taps);
}

/** Loads a vector at `x` of row t; kWhole: all of it, else its first `n` elements. */
template <class R, bool kWhole>
struct RowLoad {
  const typename R::Element* const* rows;
  std::int64_t x;
  std::int64_t n;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t t) const {
    const typename R::D d;
    if constexpr (kWhole) return R::Load(d, rows[t] + x);
    return R::LoadPart(d, rows[t] + x, n);
  }
};

/** Combines the vectors of kRows (0: `count`) rows; a watched reducer adds to what Findings() asks.
 */
template <class R, int kRows, bool kWhole>
HWY_INLINE hn::Vec<typename R::D> ReduceVector(const RowLoad<R, kWhole>& load, std::int64_t count,
                                               hn::Vec<typename R::D>& sum,
                                               hn::Vec<hn::RebindToSigned<typename R::D>>& least) {
  if (kRows > 0) count = kRows;
  if constexpr (R::kWatched) {
    const typename R::D d;
    auto value = load(0);
    auto seen = value;
    least = hn::Min(least, R::Bits(d, value));
    for (std::int64_t r = 1; r < count; ++r) {
      const auto v = load(r);
      seen = hn::Add(seen, v);
      least = hn::Min(least, R::Bits(d, v));
      value = R::Combine(value, v);
    }
    sum = hn::Add(sum, seen);
    return value;
  } else {
    (void)sum;
    (void)least;
    return kRows > 0 ? CombineRun<R>(load, 0, count) : CombineTaps<R>(load, count);
  }
}

/** Row pointers as locals where their number is known: in registers, not read again and again. */
template <typename Element, int kRows>
struct RowPointers {
  const Element* rows[kRows];
  explicit RowPointers(const Element* const* from) { std::copy_n(from, kRows, rows); }
  const Element* const* data() const { return rows; }
};
template <typename Element>
struct RowPointers<Element, 0> {
  const Element* const* from;
  explicit RowPointers(const Element* const* from) : from(from) {}
  const Element* const* data() const { return from; }
};

/** Reduces `count` rows over elements [0, size) into `line`; returns what the rows may hold. */
template <class R, int kRows>
HWY_INLINE int ReduceRowsOf(const typename R::Element* const* from, std::int64_t count,
                            std::int64_t size, typename R::Lane* HWY_RESTRICT line) {
  const typename R::D d;
  const hn::RebindToSigned<typename R::D> di;
  const std::int64_t lanes = LaneCount(d);
  const RowPointers<typename R::Element, kRows> pointers(from);
  const auto* rows = pointers.data();
  // Two of each: a single chain of additions would be slower than the loads.
  auto sum = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto least = hn::Zero(di);
  std::int64_t x = 0;
  for (; x + 2 * lanes <= size; x += 2 * lanes) {
    const RowLoad<R, true> low{rows, x, lanes};
    const RowLoad<R, true> high{rows, x + lanes, lanes};
    hn::StoreU(ReduceVector<R, kRows>(low, count, sum, least), d, line + x);
    hn::StoreU(ReduceVector<R, kRows>(high, count, sum1, least), d, line + x + lanes);
  }
  while (x < size) {
    // The last vector overlaps its neighbour, if there is one.
    x = size < lanes ? 0 : std::min(x, size - lanes);
    const RowLoad<R, false> load{rows, x, size - x};
    hn::StoreU(ReduceVector<R, kRows>(load, count, sum, least), d, line + x);
    x += lanes;
  }
  if constexpr (R::kWatched) return Findings(d, hn::Add(sum, sum1), least);
  return 0;
}

template <class R>
HWY_NOINLINE int ReduceRows(const typename R::Element* const* rows, std::int64_t count,
                            std::int64_t size, typename R::Lane* line) {
  switch (count) {
    case 1:
      return ReduceRowsOf<R, 1>(rows, count, size, line);
    case 2:
      return ReduceRowsOf<R, 2>(rows, count, size, line);
    case 3:
      return ReduceRowsOf<R, 3>(rows, count, size, line);
    default:
      return ReduceRowsOf<R, 0>(rows, count, size, line);
  }
}

/** A step of CombineRow(): `n` elements, of which whole vectors are loaded if kWhole. */
template <class R, bool kTail, bool kWhole>
HWY_INLINE void CombineVector(const typename R::Lane* sum, const typename R::Element* row,
                              std::int64_t n, typename R::Lane* line, const typename R::Lane* tail,
                              typename R::Lane* result, hn::Vec<typename R::D>& seen,
                              hn::Vec<hn::RebindToSigned<typename R::D>>& least) {
  const typename R::D d;
  const auto v = kWhole ? R::Load(d, row) : R::LoadPart(d, row, n);
  if constexpr (R::kWatched) {
    seen = hn::Add(seen, v);
    least = hn::Min(least, R::Bits(d, v));
  } else {
    (void)seen;
    (void)least;
  }
  const auto value = R::Combine(hn::LoadU(d, sum), v);
  hn::StoreU(value, d, line);
  if constexpr (kTail) hn::StoreU(R::Combine(hn::LoadU(d, tail), value), d, result);
}

/** line = `sum` (may be `line`) combined with a row and, if kTail, result = `tail` combined with
 * that; returns what the row may hold. */
template <class R, bool kTail>
HWY_NOINLINE int CombineRows(const typename R::Lane* sum, const typename R::Element* row,
                             std::int64_t size, typename R::Lane* line,
                             const typename R::Lane* tail, typename R::Lane* result) {
  const typename R::D d;
  const std::int64_t lanes = LaneCount(d);
  // Two of each: a single chain of additions would be slower than the loads.
  auto seen = hn::Zero(d);
  auto seen1 = hn::Zero(d);
  auto least = hn::Zero(hn::RebindToSigned<typename R::D>());
  std::int64_t x = 0;
  for (; x + 2 * lanes <= size; x += 2 * lanes) {
    const std::int64_t high = x + lanes;
    CombineVector<R, kTail, true>(sum + x, row + x, lanes, line + x, tail + x, result + x, seen,
                                  least);
    CombineVector<R, kTail, true>(sum + high, row + high, lanes, line + high, tail + high,
                                  result + high, seen1, least);
  }
  for (; x < size; x += lanes) {
    // The last vector overlaps its neighbour; not in a sum, which would take elements twice.
    if (R::kIdempotent && size >= lanes) x = std::min(x, size - lanes);
    CombineVector<R, kTail, false>(sum + x, row + x, size - x, line + x, tail + x, result + x, seen,
                                   least);
  }
  if constexpr (R::kWatched) return Findings(d, hn::Add(seen, seen1), least);
  return 0;
}

/** line = `sum` (null: none yet; may be `line`) combined with a row; returns what the row may hold.
 */
template <class R>
HWY_INLINE int CombineRow(const typename R::Lane* sum, const typename R::Element* row,
                          std::int64_t size, typename R::Lane* line) {
  if (sum == nullptr) return ReduceRowsOf<R, 1>(&row, 1, size, line);
  return CombineRows<R, false>(sum, row, size, line, sum, line);
}

/**
 * ReduceRows() one row after another. Beyond the last-level cache, the processor's prefetchers
 * follow one stream of memory at twice the speed of several that take turns (measured: 4.6 ms
 * against 10.4 ms for 2x2 windows over 103 MB), which is worth a detour through the first-level
 * cache.
 */
template <class R>
int ReduceRowsInTurn(const typename R::Element* const* rows, std::int64_t count, std::int64_t size,
                     typename R::Lane* line) {
  int findings = ReduceRowsOf<R, 1>(rows, 1, size, line);
  for (std::int64_t r = 1; r < count; ++r) findings |= CombineRow<R>(line, rows[r], size, line);
  return findings;
}

/** line[i] = combination of a[i] and b[i] for i in [0, size), whole vectors (the overhang is ours).
 */
template <class R>
HWY_INLINE void CombineLines(const typename R::Lane* a, const typename R::Lane* b,
                             std::int64_t size, typename R::Lane* line) {
  const typename R::D d;
  const std::int64_t lanes = LaneCount(d);
  for (std::int64_t i = 0; i < size; i += lanes) {
    hn::StoreU(R::Combine(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, line + i);
  }
}

template <typename T>
HWY_INLINE void FillLine(T* line, std::int64_t size, T value) {
  std::fill_n(line, std::max<std::int64_t>(0, size), value);
}

/** Where the columns of one tile lie in the input and in the line of its windows. */
struct TileColumns {
  Span outputs;         ///< output columns
  Span inputs;          ///< input columns that their windows hold
  std::int64_t before;  ///< line elements in the begin padding
  std::int64_t after;   ///< line elements behind the last input column

  TileColumns(const Axis& w, Span outputs) : outputs(outputs) {
    const std::int64_t start = w.start(outputs.begin);
    const std::int64_t end = w.start(outputs.end - 1) + w.reach();
    inputs.begin = std::clamp<std::int64_t>(start, 0, w.input);
    inputs.end = std::clamp<std::int64_t>(end, inputs.begin, w.input);
    before = std::min(inputs.begin, end) - start;
    after = end - start - before - inputs.size();
  }

  /** Fills the line's padding, before and behind the input's columns. */
  template <typename T>
  void Pad(T* line, T value) const {
    FillLine(line, before, value);
    FillLine(line + before + inputs.size(), after, value);
  }
};

/**
 * Splits a tile's columns, without their padding in `line`, into padded phases: phase r holds the
 * elements r, r + stride, r + 2 * stride ... of the padded line.
 */
template <typename T>
HWY_NOINLINE void SplitPhases(const T* HWY_RESTRICT line, const TileColumns& columns,
                              std::int64_t stride, T padding, T* HWY_RESTRICT phases,
                              std::int64_t pitch) {
  const hn::ScalableTag<T> d;
  const std::int64_t lanes = LaneCount(d);
  const std::int64_t size = columns.inputs.size();
  const std::int64_t length = (size + stride - 1) / stride;
  // Element t of the columns is element before + t of the padded line.
  const auto phase_of = [&](std::int64_t t) {
    const std::int64_t at = columns.before + t;
    return phases + at % stride * pitch + at / stride;
  };
  T* const p0 = phase_of(0);
  T* const p1 = phase_of(1);
  T* const p2 = phase_of(2);
  T* const p3 = phase_of(3);
  hn::Vec<decltype(d)> v0, v1, v2, v3;
  switch (stride) {
    case 2:
      for (std::int64_t i = 0; i < length; i += lanes) {
        const auto a = hn::LoadU(d, line + 2 * i);
        const auto b = hn::LoadU(d, line + 2 * i + lanes);
        hn::StoreU(hn::ConcatEven(d, b, a), d, p0 + i);
        hn::StoreU(hn::ConcatOdd(d, b, a), d, p1 + i);
      }
      break;
    case 3:
      for (std::int64_t i = 0; i < length; i += lanes) {
        hn::LoadInterleaved3(d, line + 3 * i, v0, v1, v2);
        hn::StoreU(v0, d, p0 + i);
        hn::StoreU(v1, d, p1 + i);
        hn::StoreU(v2, d, p2 + i);
      }
      break;
    case 4:
      for (std::int64_t i = 0; i < length; i += lanes) {
        hn::LoadInterleaved4(d, line + 4 * i, v0, v1, v2, v3);
        hn::StoreU(v0, d, p0 + i);
        hn::StoreU(v1, d, p1 + i);
        hn::StoreU(v2, d, p2 + i);
        hn::StoreU(v3, d, p3 + i);
      }
      break;
    default:
      for (std::int64_t t = 0; t < std::min(stride, size); ++t) {
        T* phase = phase_of(t);
        for (std::int64_t at = t; at < size; at += stride) *phase++ = line[at];
      }
  }
  for (std::int64_t t = -columns.before; t < 0; ++t) *phase_of(t) = padding;
  for (std::int64_t t = size; t < size + columns.after; ++t) *phase_of(t) = padding;
}

/** Loads tap t from `line + offsets[t]`. */
template <class R>
struct OffsetLoad {
  const typename R::Lane* line;
  const std::int64_t* offsets;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t t) const {
    return hn::LoadU(typename R::D(), line + offsets[t]);
  }
};

// From this many taps on, doubling beats taking them one by one.
constexpr std::int64_t kLeastDoubling = 6;

// Taps of a pass over a line: fewer passes store less.
constexpr std::int64_t kPassTaps = 4;

/** line[i] = combination of kPassTaps elements `step` apart, for i in [0, size), in place. */
template <class R>
HWY_NOINLINE void WidenWindows(typename R::Lane* line, std::int64_t size, std::int64_t step) {
  const typename R::D d;
  for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
    const auto a = R::Combine(hn::LoadU(d, line + i), hn::LoadU(d, line + i + step));
    const auto b = R::Combine(hn::LoadU(d, line + i + 2 * step), hn::LoadU(d, line + i + 3 * step));
    hn::StoreU(R::Combine(a, b), d, line + i);
  }
}

/**
 * Combines windows of `kernel` taps, `dilation` apart, at stride 1 over a line, in place, in about
 * log2(kernel) passes: result[i] covers line[i], line[i + dilation], ... . `line` is consumed and
 * `spare` holds the partial result of a sum.
 *
 * @return the line that holds the result
 */
template <class R>
HWY_NOINLINE typename R::Lane* SlideByDoubling(typename R::Lane* line, typename R::Lane* spare,
                                               std::int64_t size, std::int64_t kernel,
                                               std::int64_t dilation) {
  std::int64_t width = 1;
  if constexpr (R::kIdempotent) {
    for (; 2 * width <= kernel; width *= 2) {
      CombineLines<R>(line, line + width * dilation, size + (kernel - 2 * width) * dilation, line);
    }
    if (width < kernel) {
      CombineLines<R>(line, line + (kernel - width) * dilation, size, line);
    }
    return line;
  } else {
    // A sum counts every tap once: the windows of the powers of two in `kernel`, one behind
    // another.
    std::int64_t covered = 0;
    for (;; width *= 2) {
      if ((kernel & width) != 0) {
        if (covered == 0) {
          std::copy_n(line, size, spare);
        } else {
          CombineLines<R>(spare, line + covered * dilation, size, spare);
        }
        covered += width;
      }
      if (covered == kernel) return spare;
      CombineLines<R>(line, line + width * dilation, size + (kernel - 2 * width) * dilation, line);
    }
  }
}

/** Hands every vector of outputs [0, size) to `finish`; the last one overlaps its neighbour. */
template <class D, class Finish, class Load>
HWY_INLINE void WriteRow(D d, const Finish& finish, std::int64_t size, const Load& load,
                         typename Finish::Element* HWY_RESTRICT row) {
  const std::int64_t lanes = LaneCount(d);
  for (std::int64_t o = 0;;) {
    finish.Write(load(o), o, size - o, row);
    if (o + lanes >= size) return;
    o = finish.stream ? o + lanes : std::min(o + lanes, size - lanes);
  }
}

/** Combines kTaps (0: `taps`) taps at `offsets` of a line. */
template <class R, int kTaps>
struct OffsetWindow {
  const typename R::Lane* line;
  const std::int64_t* offsets;
  std::int64_t taps;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t o) const {
    const OffsetLoad<R> load{line + o, offsets};
    return kTaps > 0 ? CombineRun<R>(load, 0, kTaps) : CombineTaps<R>(load, taps);
  }
};

/** The result as it stands in a line. */
template <class R>
struct LineLoad {
  const typename R::Lane* line;
  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t o) const {
    return hn::LoadU(typename R::D(), line + o);
  }
};

/** Whether the rows of a call's output are best streamed past the caches, and can be. */
inline bool CanStream(const Pooling& p, std::int64_t row_elements) {
  const std::int64_t element = dtype_size(p.dtype);
  constexpr std::int64_t kLargestVector = 64;
  return beyond_cache(p) && reinterpret_cast<std::uintptr_t>(p.output) % kLargestVector == 0 &&
         row_elements * element % kLargestVector == 0;
}

/** The horizontal half of the row engine over one column tile. */
template <class R>
class Horizontal {
 public:
  using Lane = typename R::Lane;

  /** Windows of `axis` over outputs [0, size) of a line that starts at the first window's tap 0. */
  Horizontal(const Axis& axis, std::int64_t size)
      : axis_(axis),
        length_((size - 1) * axis.stride + axis.reach()),
        doubling_(axis.stride == 1 && axis.kernel >= kLeastDoubling),
        pitch_(axis.stride == 1 ? 0 : (length_ + axis.stride - 1) / axis.stride + kPitchSlack),
        line_(length_),
        spare_(axis.stride == 1 ? length_ : pitch_ * axis.stride) {
    if (doubling_) {
      if (!R::kIdempotent) return;
      while (axis.kernel > kPassTaps * width_) width_ *= kPassTaps;
      // The last two may overlap: a tap may well be taken twice.
      for (std::int64_t t = 0; t < axis.kernel; t += width_) {
        offsets_.push_back(std::min(t, axis.kernel - width_) * axis.dilation);
      }
      return;
    }
    for (std::int64_t t = 0; t < axis.kernel; ++t) {
      const std::int64_t at = t * axis.dilation;
      offsets_.push_back(axis.stride == 1 ? at : at % axis.stride * pitch_ + at / axis.stride);
    }
  }

  /** Where the vertical half writes a tile's input columns; the padding is filled here. */
  Lane* columns(const TileColumns& columns) const {
    return axis_.stride == 1 ? line_.get() + columns.before : line_.get();
  }
  std::int64_t length() const { return length_; }

  /** Reduces the columns of a tile and hands the outputs to `finish`; consumes the line. */
  template <class Finish>
  HWY_INLINE void Run(const TileColumns& columns, const Finish& finish,
                      typename Finish::Element* HWY_RESTRICT row) const {
    const typename R::D d;
    const std::int64_t size = columns.outputs.size();
    if (axis_.stride == 1) columns.Pad(line_.get(), R::Identity());
    if (doubling_ && !R::kIdempotent) {
      const Lane* result =
          SlideByDoubling<R>(line_.get(), spare_.get(), size, axis_.kernel, axis_.dilation);
      WriteRow(d, finish, size, LineLoad<R>{result}, row);
      return;
    }
    for (std::int64_t width = 1; width < width_; width *= kPassTaps) {
      const std::int64_t behind = (axis_.kernel - kPassTaps * width) * axis_.dilation;
      WidenWindows<R>(line_.get(), size + behind, width * axis_.dilation);
    }
    const Lane* source = line_.get();
    if (axis_.stride > 1) {
      SplitPhases(line_.get(), columns, axis_.stride, R::Identity(), spare_.get(), pitch_);
      source = spare_.get();
    }
    const std::int64_t* offsets = offsets_.data();
    const auto taps = static_cast<std::int64_t>(offsets_.size());
    switch (taps) {
      case 2:
        WriteRow(d, finish, size, OffsetWindow<R, 2>{source, offsets, 2}, row);
        return;
      case 3:
        WriteRow(d, finish, size, OffsetWindow<R, 3>{source, offsets, 3}, row);
        return;
      case 4:
        WriteRow(d, finish, size, OffsetWindow<R, 4>{source, offsets, 4}, row);
        return;
      default:
        WriteRow(d, finish, size, OffsetWindow<R, 0>{source, offsets, taps}, row);
    }
  }

 private:
  static constexpr std::int64_t kPitchSlack = 128;

  Axis axis_;
  std::int64_t length_;
  bool doubling_;
  std::int64_t width_ = 1;  ///< taps that are in each element before the last pass
  std::int64_t pitch_;
  Line<Lane> line_;
  Line<Lane> spare_;
  std::vector<std::int64_t> offsets_;
};

/** The vertical half: lists the rows of a window that lie inside the input. */
template <typename Element>
class WindowRows {
 public:
  explicit WindowRows(const PlaneView& view)
      : view_(view),
        whole_(view.h.interior()),
        step_(whole_.size() > 1 ? view.h.stride * view.w.input : 0) {
    rows_.resize(static_cast<std::size_t>(view.d.kernel * view.h.kernel));
  }

  /** Lists the rows of the windows at (od, oh), from input column `x` on; returns their number. */
  HWY_INLINE std::int64_t List(const Element* plane, std::int64_t od, std::int64_t oh,
                               std::int64_t x) {
    if (plane == plane_ && od == od_ && oh == oh_ + 1 && x == x_ && whole_.begin <= oh_ &&
        oh < whole_.end) {
      // The windows of the row before, none of them clipped, one stride further on.
      oh_ = oh;
      for (std::int64_t i = 0; i < count_; ++i) rows_[static_cast<std::size_t>(i)] += step_;
      return count_;
    }
    return ListAnew(plane, od, oh, x);
  }

  const Element* const* data() const { return rows_.data(); }

 private:
  HWY_NOINLINE std::int64_t ListAnew(const Element* plane, std::int64_t od, std::int64_t oh,
                                     std::int64_t x) {
    plane_ = plane;
    od_ = od;
    oh_ = oh;
    x_ = x;
    count_ = 0;
    const Span depth = view_.d.taps(od);
    const Span height = view_.h.taps(oh);
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        rows_[static_cast<std::size_t>(count_++)] =
            plane +
            (view_.d.position(od, td) * view_.h.input + view_.h.position(oh, th)) * view_.w.input +
            x;
      }
    }
    return count_;
  }

  const PlaneView& view_;
  const Span whole_;         ///< outputs along H whose windows lie inside the input
  const std::int64_t step_;  ///< elements between the rows of neighbouring outputs along H
  const Element* plane_ = nullptr;
  std::int64_t od_ = -1;
  std::int64_t oh_ = -1;
  std::int64_t x_ = -1;
  std::int64_t count_ = 0;
  std::vector<const Element*> rows_;
};

// A tile's line and its phases stay in the first-level cache.
constexpr std::int64_t kTileElements = 2048;

inline RowTiles OutputTiles(const PlaneView& view) {
  const std::int64_t room = std::max(kTileElements - view.w.reach(), view.w.reach());
  return {view.d.output, view.h.output, view.w.output, whole_cache_lines(room / view.w.stride)};
}

// Longest dilated kernel along W and most rows of a window that the row engine takes; what is
// larger is rare, and the working memory stays small.
constexpr std::int64_t kMostReach = 16384;
constexpr std::int64_t kMostRows = 4096;

inline bool RowsAccept(const Pooling& p) {
  if (!PlaneView::accepts(p)) return false;
  const PlaneView view(p);
  return view.w.reach() <= kMostReach && view.w.stride <= kMostReach &&
         view.d.kernel * view.h.kernel <= kMostRows;
}

inline std::int64_t OutputRowItems(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, OutputTiles(view));
}

/** Where the outputs of a row tile lie, from the begin of the output. */
inline std::int64_t OutputOffset(const PlaneView& view, const RowTiles::Item& item,
                                 std::int64_t column) {
  return ((item.plane * view.d.output + item.d) * view.h.output + item.h) * view.w.output + column;
}

/**
 * Runs work items of a forward pooling through the row engine.
 *
 * @param finish what becomes of reduced lanes: its StartTile(view, outputs) is called before the
 * rows of a column tile, StartRow(view, d, h) before each of its rows, and Write(v, o, n, row) with
 * the lanes at column `o` of a tile's output row, of which the first `n` count (all, if there are
 * fewer); `stream` says that Write() may store past the caches
 * @param redo   called with (item, output columns, findings) after a row tile whose input rows hold
 *               what ReduceRows() notices
 */
template <class R, class Finish, class Redo>
HWY_INLINE void ForwardRows(const Pooling& p, Span items, Finish finish, const Redo& redo) {
  using Element = typename R::Element;
  const PlaneView view(p);
  const RowTiles tiles = OutputTiles(view);
  const auto* x = static_cast<const Element*>(p.input);
  const Horizontal<R> horizontal(view.w, tiles.tile);
  WindowRows<Element> rows(view);
  const bool in_turn = beyond_cache(p);
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const TileColumns columns(view.w, tiles.columns(item));
    if (item.tile != started) finish.StartTile(view, columns.outputs);
    started = item.tile;
    const std::int64_t count =
        rows.List(x + item.plane * view.input_plane(), item.d, item.h, columns.inputs.begin);
    auto* line = horizontal.columns(columns);
    int findings = 0;
    if (count == 0 || columns.inputs.empty()) {
      FillLine(line, columns.inputs.size(), R::Identity());
    } else if (in_turn && count <= kLongestRun) {
      findings = ReduceRowsInTurn<R>(rows.data(), count, columns.inputs.size(), line);
    } else {
      findings = ReduceRows<R>(rows.data(), count, columns.inputs.size(), line);
    }
    finish.StartRow(view, item.d, item.h);
    horizontal.Run(
        columns, finish,
        static_cast<Element*>(p.output) + OutputOffset(view, item, columns.outputs.begin));
    if (findings != 0) redo(item, columns.outputs, findings);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
