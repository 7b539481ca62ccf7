// Small windows over planar tensors, a block of output rows at a time (of several planes where
// these are small): first all its rows are reduced vertically into lines in the first-level cache,
// then all lines horizontally. What a row costs before its first vector is shared by the block.
#if defined(FEATUREPOOL_KERNELS_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_BLOCKS_INL_H_
#undef FEATUREPOOL_KERNELS_BLOCKS_INL_H_
#else
#define FEATUREPOOL_KERNELS_BLOCKS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/rows-inl.h"
#include "kernels/touch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

// The lines of a block; with the rows that they come from and go to, they fill the first-level
// cache.
constexpr std::int64_t kBlockBytes = 8 << 10;

// Longest dilated kernel along W: lines stay short.
constexpr std::int64_t kMostBlockReach = 64;
constexpr std::int64_t kMostBlockStride = 4;

inline bool BlocksAccept(const Pooling& p) {
  const Axis& w = p.geometry.w();
  return p.layout == Layout::planar && !p.geometry.binned() && w.reach() <= kMostBlockReach &&
         w.stride <= kMostBlockStride &&
         (w.kernel < kLeastDoubling || (w.stride > 1 && w.kernel <= kLongestRun)) &&
         p.geometry.d().kernel * p.geometry.h().kernel <= kLongestRun;
}

/** How a call falls into blocks. A slice is what one output position along D has of a plane. */
struct BlockLayout {
  std::int64_t slices;   ///< of the whole call
  std::int64_t tile;     ///< columns per tile of an output row
  std::int64_t tiles;    ///< tiles per row
  std::int64_t pitch;    ///< lanes per line
  std::int64_t height;   ///< rows of a slice in a block
  std::int64_t heights;  ///< blocks per slice
  std::int64_t depth;    ///< slices per block, where `heights` is 1

  BlockLayout(const PlaneView& view, std::int64_t lane_bytes)
      : slices(view.planes * view.d.output) {
    const Axis& w = view.w;
    const std::int64_t room = kBlockBytes / lane_bytes;
    const std::int64_t widest = (room - w.reach()) / w.stride;
    tiles = (w.output + widest - 1) / widest;
    tile = tiles == 1 ? w.output : whole_cache_lines((w.output + tiles - 1) / tiles);
    tiles = (w.output + tile - 1) / tile;
    const std::int64_t whole_vectors = 64 / lane_bytes;
    pitch = ((tile - 1) * w.stride + w.reach() + whole_vectors - 1) / whole_vectors * whole_vectors;
    const std::int64_t rows = std::max<std::int64_t>(1, room / pitch);
    heights = (view.h.output + rows - 1) / rows;
    height = (view.h.output + heights - 1) / heights;
    heights = (view.h.output + height - 1) / height;
    depth = heights > 1 ? 1 : std::max<std::int64_t>(1, rows / height);
  }

  std::int64_t items() const { return (slices + depth - 1) / depth * heights * tiles; }
};

/** Adds to what Findings() asks of a watched reducer. */
template <class R>
HWY_INLINE void Notice(hn::Vec<typename R::D> v, hn::Vec<typename R::D>& sum,
                       hn::Vec<hn::RebindToSigned<typename R::D>>& least) {
  if constexpr (R::kWatched) {
    const typename R::D d;
    sum = hn::MulAdd(v, v, sum);
    least = hn::Min(least, R::Bits(d, v));
  } else {
    (void)v;
    (void)sum;
    (void)least;
  }
}

/** Notice() of two vectors; the chain of additions is no longer for it. */
template <class R>
HWY_INLINE void Notice(hn::Vec<typename R::D> v0, hn::Vec<typename R::D> v1,
                       hn::Vec<typename R::D>& sum, hn::Vec<typename R::D>& other,
                       hn::Vec<hn::RebindToSigned<typename R::D>>& least) {
  if constexpr (R::kWatched) {
    const typename R::D d;
    sum = hn::MulAdd(v0, v0, sum);
    other = hn::MulAdd(v1, v1, other);
    least = hn::Min(least, hn::Min(R::Bits(d, v0), R::Bits(d, v1)));
  } else {
    (void)v0;
    (void)v1;
    (void)sum;
    (void)other;
    (void)least;
  }
}

/** A vector of elements at `p`; of those before `end` if kChecked. */
template <class R, bool kChecked>
HWY_INLINE hn::Vec<typename R::D> LoadBefore(const typename R::Element* HWY_RESTRICT p,
                                             const typename R::Element* end) {
  const typename R::D d;
  if constexpr (!kChecked) return R::Load(d, p);
  if (p >= end) return hn::Set(d, R::Identity());
  return R::LoadPart(d, p, end - p);
}

/** Columns of the rows that the windows of a block's rows hold, and where their reductions go. */
template <class R>
struct Strip {
  const typename R::Element* x;    ///< first input row of the first slice
  const typename R::Element* end;  ///< of the tensor
  std::int64_t width;              ///< elements per row
  std::int64_t height;             ///< input rows of a slice
  std::int64_t plane;              ///< elements from a slice to the next
  std::int64_t slices;
  std::int64_t pad;  ///< rows before the first
  Span rows;         ///< output rows
  Span inner;        ///< those of `rows` whose windows lie inside the slice
  typename R::Lane* lines;
  std::int64_t pitch;
};

/**
 * The vertical half for windows of three rows, kStride apart: walks down one vector of columns at
 * `at`, or (kPair) two, the second at `at1`. Each row is loaded once, and the rows that
 * neighbouring windows share stay in registers. Of one vector, lanes from `part` on are columns of
 * none: they become the identity, which is padding if it is anything.
 */
template <class R, int kStride, bool kPair, bool kChecked>
HWY_NOINLINE int WalkThree(const Strip<R>& strip, std::int64_t at, std::int64_t at1,
                           std::int64_t part) {
  using V = hn::Vec<typename R::D>;
  const typename R::D d;
  const hn::RebindToSigned<typename R::D> di;
  const Strip<R> s = strip;
  const auto kept = hn::FirstN(d, static_cast<std::size_t>(part));
  const V none = hn::Set(d, R::Identity());
  const std::int64_t step = at1 - at;
  auto sum = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  auto least = hn::Zero(di);
  auto least1 = hn::Zero(di);
  auto* line = s.lines + at;
  const auto* slice = s.x + at;
  for (std::int64_t left = s.slices; left > 0; --left, slice += s.plane) {
    std::int64_t next = s.rows.begin * kStride - s.pad;
    const auto* p = slice + next * s.width;
    // The next row of the slice, which may be padding.
    const auto load = [&](V& v, V& v1) HWY_ATTR {
      v = none;
      v1 = none;
      if (next >= 0 && next < s.height) {
        v = LoadBefore<R, kChecked>(p, s.end);
        Notice<R>(v, sum, least);
        if constexpr (kPair) {
          v1 = LoadBefore<R, kChecked>(p + step, s.end);
          Notice<R>(v1, sum1, least1);
        }
      }
      ++next;
      p += s.width;
    };
    const auto store = [&](V v, V v1) HWY_ATTR {
      hn::StoreU(kPair ? v : hn::IfThenElse(kept, v, none), d, line);
      if constexpr (kPair) hn::StoreU(v1, d, line + step);
      line += s.pitch;
    };
    std::int64_t row = s.rows.begin;
    V a, a1, b, b1, c, c1;
    load(a, a1);
    if constexpr (kStride == 1) {
      load(b, b1);
      a = R::Combine(a, b);
      if constexpr (kPair) a1 = R::Combine(a1, b1);
      const auto put = [&]() HWY_ATTR {
        const V v = R::Combine(a, c);
        a = R::Combine(b, c);
        b = c;
        V v1 = v;
        if constexpr (kPair) {
          v1 = R::Combine(a1, c1);
          a1 = R::Combine(b1, c1);
          b1 = c1;
        }
        store(v, v1);
      };
      for (; row < s.inner.begin; ++row) {
        load(c, c1);
        put();
      }
      for (; row < s.inner.end; ++row, p += s.width) {
        c = LoadBefore<R, kChecked>(p, s.end);
        Notice<R>(c, sum, least);
        if constexpr (kPair) {
          c1 = LoadBefore<R, kChecked>(p + step, s.end);
          Notice<R>(c1, sum1, least1);
        }
        put();
      }
      next = row - s.pad + 2;
      for (; row < s.rows.end; ++row) {
        load(c, c1);
        put();
      }
    } else {
      const auto put = [&]() HWY_ATTR {
        const V v = R::Combine(R::Combine(a, b), c);
        a = c;
        V v1 = v;
        if constexpr (kPair) {
          v1 = R::Combine(R::Combine(a1, b1), c1);
          a1 = c1;
        }
        store(v, v1);
      };
      for (; row < s.inner.begin; ++row) {
        load(b, b1);
        load(c, c1);
        put();
      }
      for (; row < s.inner.end; ++row, p += 2 * s.width) {
        b = LoadBefore<R, kChecked>(p, s.end);
        c = LoadBefore<R, kChecked>(p + s.width, s.end);
        Notice<R>(b, c, sum, sum2, least);
        if constexpr (kPair) {
          b1 = LoadBefore<R, kChecked>(p + step, s.end);
          c1 = LoadBefore<R, kChecked>(p + step + s.width, s.end);
          Notice<R>(b1, c1, sum1, sum3, least1);
        }
        put();
      }
      next = row * kStride - s.pad + 1;
      for (; row < s.rows.end; ++row) {
        load(b, b1);
        load(c, c1);
        put();
      }
    }
  }
  if constexpr (R::kWatched)
    return Findings(d, hn::Add(hn::Add(sum, sum1), hn::Add(sum2, sum3)), hn::Min(least, least1));
  return 0;
}

/** WalkThree() over columns [begin, begin + size) of the rows. */
template <class R, int kStride>
int WalkColumns(const Strip<R>& strip, std::int64_t begin, std::int64_t size) {
  Strip<R> s = strip;
  s.x += begin;
  const std::int64_t lanes = LaneCount(typename R::D());
  if (size < lanes) {
    const auto* last = s.x + (s.slices - 1) * s.plane + (s.height - 1) * s.width;
    return s.end - last < lanes ? WalkThree<R, kStride, false, true>(s, 0, 0, size)
                                : WalkThree<R, kStride, false, false>(s, 0, 0, size);
  }
  int findings = 0;
  std::int64_t at = 0;
  // The last vector overlaps its neighbour.
  for (; at + lanes < size; at += 2 * lanes) {
    findings |= WalkThree<R, kStride, true, false>(s, at, std::min(at + lanes, size - lanes), 0);
  }
  if (at < size) findings |= WalkThree<R, kStride, false, false>(s, size - lanes, 0, lanes);
  return findings;
}

/** Combines the taps of windows kStride apart over a padded line; kTaps is their number, 0: any. */
template <class R, int kStride, int kTaps>
struct LineWindows {
  const typename R::Lane* line;
  std::int64_t taps;
  std::int64_t dilation;

  using V = hn::Vec<typename R::D>;

  /** Outputs at `o`. */
  HWY_INLINE V operator()(std::int64_t o) const {
    const typename R::D d;
    const std::int64_t lanes = LaneCount(d);
    const auto* at = line + kStride * o;
    if constexpr (kStride == 1) {
      return Windows(at);
    } else if constexpr (kStride == 2 && kTaps > 0) {
      const V a = hn::LoadU(d, at);
      const V b = hn::LoadU(d, at + lanes);
      const V two = R::Combine(hn::ConcatEven(d, b, a), hn::ConcatOdd(d, b, a));
      if constexpr (kTaps == 2) return two;
      return R::Combine(two, hn::ConcatEven(d, hn::LoadU(d, at + 2 + lanes), hn::LoadU(d, at + 2)));
    } else if constexpr (kStride == 2) {
      return hn::ConcatEven(d, Windows(at + lanes), Windows(at));
    } else if constexpr (kStride == 3) {
      V a, b, c;
      hn::LoadInterleaved3(d, at, a, b, c);
      if constexpr (kTaps == 3) return R::Combine(R::Combine(a, b), c);
      V value = a;
      for (std::int64_t t = 1; t < taps; ++t) {
        hn::LoadInterleaved3(d, at + t * dilation, a, b, c);
        value = R::Combine(value, a);
      }
      return value;
    } else {
      V a, b, c, e;
      hn::LoadInterleaved4(d, at, a, b, c, e);
      if constexpr (kTaps == 4) return R::Combine(R::Combine(a, b), R::Combine(c, e));
      V value = a;
      for (std::int64_t t = 1; t < taps; ++t) {
        hn::LoadInterleaved4(d, at + t * dilation, a, b, c, e);
        value = R::Combine(value, a);
      }
      return value;
    }
  }

 private:
  /** Windows at stride 1. */
  HWY_INLINE V Windows(const typename R::Lane* at) const {
    const typename R::D d;
    V value = hn::LoadU(d, at);
    if constexpr (kTaps > 0) {
      for (int t = 1; t < kTaps; ++t) value = R::Combine(value, hn::LoadU(d, at + t * dilation));
    } else {
      for (std::int64_t t = 1; t < taps; ++t) {
        value = R::Combine(value, hn::LoadU(d, at + t * dilation));
      }
    }
    return value;
  }
};

/** Where the rows of a block's outputs go. */
template <typename Element>
struct BlockOutputs {
  Element* out;
  std::int64_t step;  ///< elements from a row to the next
  std::int64_t size;  ///< of a row
};

/** Hands the vectors of an output row, made by `windows(o)`, to `writer`; kOne: there is one, of
 * which `size` lanes count. Vectors are stored whole. */
template <class R, bool kOne, class Writer, class Windows>
HWY_INLINE void FinishRow(const Writer& writer, const Windows& windows, std::int64_t size,
                          typename R::Element* HWY_RESTRICT out) {
  const std::int64_t lanes = LaneCount(typename R::D());
  if constexpr (kOne) {
    writer.Write(windows(0), 0, lanes, out);
  } else {
    std::int64_t o = 0;
    for (; o + lanes < size; o += lanes) writer.Write(windows(o), o, lanes, out);
    // The last vector overlaps its neighbour.
    writer.Write(windows(size - lanes), size - lanes, lanes, out);
  }
}

/** The horizontal half: windows over all lines of a block. */
template <class R, int kStride, int kTaps, bool kOne, class Finish>
HWY_NOINLINE void FinishLines(const PlaneView& view, const Strip<R>& strip, std::int64_t slice,
                              const BlockOutputs<typename R::Element>& outputs, Finish& finish) {
  const Strip<R> s = strip;
  LineWindows<R, kStride, kTaps> windows{s.lines, view.w.kernel, view.w.dilation};
  const std::int64_t step = outputs.step;
  const std::int64_t size = outputs.size;
  auto* out = outputs.out;
  for (std::int64_t i = 0; i < s.slices; ++i) {
    const std::int64_t d = view.d.output == 1 ? 0 : (slice + i) % view.d.output;
    for (std::int64_t row = s.rows.begin; row < s.rows.end;) {
      finish.StartRow(view, d, row);
      const auto writer = finish.writer();
      // Windows inside the input count the same taps.
      const std::int64_t next = row == s.inner.begin ? std::max(row + 1, s.inner.end) : row + 1;
      for (; row < next; ++row) {
        FinishRow<R, kOne>(writer, windows, size, out);
        windows.line += s.pitch;
        out += step;
      }
    }
  }
}

/** Windows of 2 by 2 (by 2), 2 apart along W: from the rows to the outputs in registers. kAhead:
 * what follows the two rows in memory is asked for in time. */
template <class R, int kDepth, bool kChecked, bool kAhead>
struct PairWindows {
  const typename R::Element* row;
  const typename R::Element* end;
  std::int64_t below;   ///< elements to the next row of a window
  std::int64_t behind;  ///< elements to the next slice of a window
  hn::Vec<typename R::D>& sum;
  hn::Vec<typename R::D>& sum1;
  hn::Vec<typename R::D>& sum2;
  hn::Vec<typename R::D>& sum3;
  hn::Vec<hn::RebindToSigned<typename R::D>>& least;
  hn::Vec<hn::RebindToSigned<typename R::D>>& least1;

  HWY_INLINE hn::Vec<typename R::D> operator()(std::int64_t o) const {
    const typename R::D d;
    if constexpr (kAhead) AskAhead(row + 4 * o, 4 * LaneCount(d));
    const auto a = Two(row + 2 * o, sum, sum2, least);
    const auto b = Two(row + 2 * o + LaneCount(d), sum1, sum3, least1);
    return R::Combine(hn::ConcatEven(d, b, a), hn::ConcatOdd(d, b, a));
  }

 private:
  HWY_INLINE hn::Vec<typename R::D> Two(
      const typename R::Element* p, hn::Vec<typename R::D>& sum_of,
      hn::Vec<typename R::D>& other_of,
      hn::Vec<hn::RebindToSigned<typename R::D>>& least_of) const {
    const auto a = LoadBefore<R, kChecked>(p, end);
    const auto b = LoadBefore<R, kChecked>(p + below, end);
    Notice<R>(a, b, sum_of, other_of, least_of);
    auto value = R::Combine(a, b);
    if constexpr (kDepth == 2) {
      const auto c = LoadBefore<R, kChecked>(p + behind, end);
      const auto e = LoadBefore<R, kChecked>(p + behind + below, end);
      Notice<R>(c, e, sum_of, other_of, least_of);
      value = R::Combine(value, R::Combine(c, e));
    }
    return value;
  }
};

template <class R, int kDepth, bool kOne, bool kChecked, bool kAhead, class Finish>
HWY_NOINLINE int FinishPairs(const PlaneView& view, const Strip<R>& strip,
                             const BlockOutputs<typename R::Element>& outputs,
                             const Finish& finish) {
  const typename R::D d;
  const hn::RebindToSigned<typename R::D> di;
  const Strip<R> s = strip;
  auto sum = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  auto least = hn::Zero(di);
  auto least1 = hn::Zero(di);
  PairWindows<R, kDepth, kChecked, kAhead> windows{s.x,
                                                   s.end,
                                                   view.h.dilation * s.width,
                                                   view.d.dilation * s.width * s.height,
                                                   sum,
                                                   sum1,
                                                   sum2,
                                                   sum3,
                                                   least,
                                                   least1};
  const std::int64_t in_step = view.h.stride * s.width;
  const std::int64_t step = outputs.step;
  const std::int64_t size = outputs.size;
  auto* out = outputs.out;
  const auto writer = finish.writer();
  for (std::int64_t i = 0; i < s.slices; ++i) {
    windows.row = s.x + i * s.plane + s.rows.begin * in_step;
    for (std::int64_t left = s.rows.size(); left > 0; --left) {
      FinishRow<R, kOne>(writer, windows, size, out);
      windows.row += in_step;
      out += step;
    }
  }
  if constexpr (R::kWatched)
    return Findings(d, hn::Add(hn::Add(sum, sum1), hn::Add(sum2, sum3)), hn::Min(least, least1));
  return 0;
}

/** Copies past the caches; what does not fill a cache line, through them. */
inline HWY_NOINLINE void StreamBytes(const std::uint8_t* HWY_RESTRICT from, std::int64_t bytes,
                                     std::uint8_t* HWY_RESTRICT to) {
  constexpr std::int64_t kCacheLine = 64;
  const hn::CappedTag<std::uint8_t, kCacheLine> d;
  const auto at = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) % kCacheLine);
  std::int64_t i = std::min(bytes, (kCacheLine - at) % kCacheLine);
  std::memcpy(to, from, static_cast<std::size_t>(i));
  for (; i + kCacheLine <= bytes; i += kCacheLine) {
    for (std::int64_t lane = 0; lane < kCacheLine; lane += LaneCount(d)) {
      hn::Stream(hn::LoadU(d, from + i + lane), d, to + i + lane);
    }
  }
  std::memcpy(to + i, from + i, static_cast<std::size_t>(bytes - i));
}

/** Which loop reduces the rows of a block. */
enum class BlockRows { pairs, deep_pairs, threes, strided_threes, any };

inline BlockRows RowsOfBlocks(const PlaneView& view) {
  if (view.w.kernel == 2 && view.w.stride == 2 && view.w.dilation == 1 && view.w.whole() &&
      view.h.kernel == 2 && view.h.whole() && view.d.whole()) {
    if (view.d.kernel == 1) return BlockRows::pairs;
    if (view.d.kernel == 2) return BlockRows::deep_pairs;
  }
  if (view.d.kernel == 1 && view.h.kernel == 3 && view.h.dilation == 1) {
    if (view.h.stride == 1) return BlockRows::threes;
    if (view.h.stride == 2) return BlockRows::strided_threes;
  }
  return BlockRows::any;
}

// From here on the rows of a block are first read once in the order of memory (measured: see
// docs/performance.md).
constexpr std::int64_t kTouchBytes = 8 << 20;

/** Runs blocks of a forward pooling; see ForwardRows(). */
template <class R, class Finish, class Redo>
class BlockRun {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;

  BlockRun(const Pooling& p, const Finish& finish, const Redo& redo)
      : p_(p),
        view_(p),
        blocks_(view_, sizeof(Lane)),
        kind_(RowsOfBlocks(view_)),
        // Slices of all planes follow one another at the same distance.
        even_(view_.d.output == 1 || view_.d.output * view_.d.stride == view_.d.input),
        inner_(view_.h.interior()),
        narrow_((view_.w.output - 1) % blocks_.tile + 1 < LaneCount(typename R::D())),
        stream_(beyond_cache(p)),
        touch_(tensor_bytes(p) > std::min(kTouchBytes, last_level_cache_bytes())),
        ahead_(touch_ && kind_ == BlockRows::pairs && blocks_.tiles == 1 && view_.h.stride == 2 &&
               view_.h.dilation == 1 && view_.w.output > LaneCount(typename R::D())),
        finish_(finish),
        redo_(redo),
        rows_(view_),
        columns_(view_.w, {0, blocks_.tile}),
        lines_(paired() ? 0 : blocks_.depth * blocks_.height * blocks_.pitch + kSlack),
        staged_(stream_ || narrow_ ? blocks_.depth * blocks_.height * blocks_.tile : 0) {}

  void Run(Span items) {
    std::int64_t tile = items.begin % blocks_.tiles;
    std::int64_t part = items.begin / blocks_.tiles % blocks_.heights;
    std::int64_t slice = items.begin / (blocks_.tiles * blocks_.heights) * blocks_.depth;
    StartTile(tile);
    for (std::int64_t i = items.begin;;) {
      const std::int64_t top = part * blocks_.height;
      const std::int64_t slices = std::min(blocks_.depth, blocks_.slices - slice);
      const Span rows{top, std::min(view_.h.output, top + blocks_.height)};
      // What whole vectors leave behind a block's last row, the next block writes over, if it is
      // ours and large enough.
      const bool followed = i + 2 < items.end;
      RunBlock(tile, slice, slices, rows, followed);
      if (++i >= items.end) return;
      if (++tile == blocks_.tiles) {
        tile = 0;
        if (++part == blocks_.heights) {
          part = 0;
          slice += blocks_.depth;
        }
      }
      if (blocks_.tiles > 1) StartTile(tile);
    }
  }

 private:
  // Lanes that whole vectors of strided windows may read behind the last line.
  static constexpr std::int64_t kSlack = 4 * kMostBlockReach + 256;

  bool paired() const { return kind_ == BlockRows::pairs || kind_ == BlockRows::deep_pairs; }

  const Element* input() const { return static_cast<const Element*>(p_.input); }

  /** Offset of the input row 0 that the windows of an output slice begin with along D. */
  std::int64_t SliceOffset(std::int64_t slice) const {
    const std::int64_t row = view_.h.input * view_.w.input;
    if (view_.d.output == 1) return slice * view_.input_plane();
    return (slice / view_.d.output * view_.d.input + slice % view_.d.output * view_.d.stride) * row;
  }

  Lane* line(std::int64_t row) const {
    return lines_.get() + row * blocks_.pitch + columns_.before;
  }

  void StartTile(std::int64_t tile) {
    const std::int64_t begin = tile * blocks_.tile;
    columns_ = TileColumns(view_.w, {begin, std::min(view_.w.output, begin + blocks_.tile)});
    finish_.StartTile(view_, columns_.outputs);
    if (paired() || columns_.before + columns_.after == 0) return;
    for (std::int64_t row = 0; row < blocks_.depth * blocks_.height; ++row) {
      columns_.Pad(lines_.get() + row * blocks_.pitch, R::Identity());
    }
  }

  void RunBlock(std::int64_t tile, std::int64_t slice, std::int64_t slices, Span rows,
                bool followed) {
    const std::int64_t size = columns_.outputs.size();
    const std::int64_t count = slices * rows.size();
    Element* out = static_cast<Element*>(p_.output) +
                   (slice * view_.h.output + rows.begin) * view_.w.output + columns_.outputs.begin;
    if (touch_ && !ahead_) TouchInputs(slice, slices, rows);
    const bool staged = stream_ || (narrow_ && (blocks_.tiles > 1 || !followed));
    BlockOutputs<Element> outputs{out, view_.w.output, size};
    if (staged) outputs = {staged_.get(), size, size};
    int findings = 0;
    if (even_) {
      findings = Reduce(slice, slices, rows, outputs);
    } else {
      for (std::int64_t i = 0; i < slices; ++i) {
        BlockOutputs<Element> part = outputs;
        part.out += i * rows.size() * outputs.step;
        findings |= Reduce(slice + i, 1, rows, part);
      }
    }
    if (staged) Unstage(count, out);
    if (findings != 0) Recheck(tile, slice, slices, rows);
  }

  int Reduce(std::int64_t slice, std::int64_t slices, Span rows,
             const BlockOutputs<Element>& outputs) {
    Strip<R> strip;
    strip.x = input() + SliceOffset(slice);
    strip.end = input() + p_.geometry.input_size();
    strip.width = view_.w.input;
    strip.height = view_.h.input;
    strip.plane =
        view_.d.output == 1 ? view_.input_plane() : view_.d.stride * view_.h.input * view_.w.input;
    strip.slices = slices;
    strip.pad = view_.h.pad_begin;
    strip.rows = rows;
    strip.inner.begin = std::clamp(inner_.begin, rows.begin, rows.end);
    strip.inner.end = std::clamp(inner_.end, strip.inner.begin, rows.end);
    strip.lines = lines_.get() + columns_.before;
    strip.pitch = blocks_.pitch;
    int findings = 0;
    switch (kind_) {
      case BlockRows::pairs:
        return Pairs<1>(strip, outputs);
      case BlockRows::deep_pairs:
        return Pairs<2>(strip, outputs);
      case BlockRows::threes:
        findings = WalkColumns<R, 1>(strip, columns_.inputs.begin, columns_.inputs.size());
        break;
      case BlockRows::strided_threes:
        findings = WalkColumns<R, 2>(strip, columns_.inputs.begin, columns_.inputs.size());
        break;
      case BlockRows::any:
        findings = ReduceAny(slice, slices, rows);
        break;
    }
    strip.lines = lines_.get();
    Horizontal(strip, slice, outputs);
    return findings;
  }

  template <int kDepth>
  int Pairs(Strip<R> strip, const BlockOutputs<Element>& outputs) {
    const typename R::D d;
    strip.x += columns_.inputs.begin;
    const Element* last = strip.x + (strip.slices - 1) * strip.plane +
                          view_.d.dilation * (kDepth - 1) * view_.h.input * view_.w.input +
                          view_.h.position(strip.rows.end - 1, 1) * view_.w.input;
    finish_.StartRow(view_, 0, 0);
    if (outputs.size > LaneCount(d)) {
      if constexpr (kDepth == 1) {
        if (ahead_) return FinishPairs<R, 1, false, false, true>(view_, strip, outputs, finish_);
      }
      return FinishPairs<R, kDepth, false, false, false>(view_, strip, outputs, finish_);
    }
    // Narrow rows are read beyond their end, unless that is beyond the end of the tensor.
    return strip.end - last < 2 * LaneCount(d)
               ? FinishPairs<R, kDepth, true, true, false>(view_, strip, outputs, finish_)
               : FinishPairs<R, kDepth, true, false, false>(view_, strip, outputs, finish_);
  }

  /** The vertical half for any rows. */
  int ReduceAny(std::int64_t slice, std::int64_t slices, Span rows) {
    int findings = 0;
    const std::int64_t size = columns_.inputs.size();
    std::int64_t at = 0;
    for (std::int64_t i = slice; i < slice + slices; ++i) {
      for (std::int64_t row = rows.begin; row < rows.end; ++row, ++at) {
        findings |= ReduceRow(i, row, line(at));
        // Whole vectors were written.
        if (size < LaneCount(typename R::D())) {
          columns_.Pad(line(at) - columns_.before, R::Identity());
        }
      }
    }
    return findings;
  }

  int ReduceRow(std::int64_t slice, std::int64_t row, Lane* to) {
    const std::int64_t size = columns_.inputs.size();
    const std::int64_t plane = slice / view_.d.output;
    const std::int64_t count =
        rows_.List(input() + plane * view_.input_plane(), slice - plane * view_.d.output, row,
                   columns_.inputs.begin);
    if (count > 0 && size > 0) return ReduceRows<R>(rows_.data(), count, size, to);
    FillLine(to, size, R::Identity());
    return 0;
  }

  void Horizontal(const Strip<R>& strip, std::int64_t slice, const BlockOutputs<Element>& outputs) {
    const Axis& w = view_.w;
    const std::int64_t taps = w.dilation == 1 ? w.kernel : 0;
    switch (w.stride) {
      case 1:
        if (w.kernel == 2) return Lines<1, 2>(strip, slice, outputs);
        if (w.kernel == 3) return Lines<1, 3>(strip, slice, outputs);
        return Lines<1, 0>(strip, slice, outputs);
      case 2:
        if (taps == 2) return Lines<2, 2>(strip, slice, outputs);
        if (taps == 3) return Lines<2, 3>(strip, slice, outputs);
        return Lines<2, 0>(strip, slice, outputs);
      case 3:
        if (taps == 3) return Lines<3, 3>(strip, slice, outputs);
        return Lines<3, 0>(strip, slice, outputs);
      default:
        if (taps == 4) return Lines<4, 4>(strip, slice, outputs);
        return Lines<4, 0>(strip, slice, outputs);
    }
  }

  template <int kStride, int kTaps>
  void Lines(const Strip<R>& strip, std::int64_t slice, const BlockOutputs<Element>& outputs) {
    if (outputs.size > LaneCount(typename R::D())) {
      FinishLines<R, kStride, kTaps, false>(view_, strip, slice, outputs, finish_);
    } else {
      FinishLines<R, kStride, kTaps, true>(view_, strip, slice, outputs, finish_);
    }
  }

  /** Copies the outputs of a block to where they belong. */
  void Unstage(std::int64_t count, Element* out) const {
    const auto bytes = static_cast<std::int64_t>(sizeof(Element));
    const std::int64_t size = columns_.outputs.size();
    const auto* from = reinterpret_cast<const std::uint8_t*>(staged_.get());
    auto* to = reinterpret_cast<std::uint8_t*>(out);
    const bool together = blocks_.tiles == 1;
    const std::int64_t run = (together ? count * size : size) * bytes;
    for (std::int64_t row = 0; row < (together ? 1 : count); ++row) {
      if (stream_) {
        StreamBytes(from + row * run, run, to + row * view_.w.output * bytes);
      } else {
        std::memcpy(to + row * view_.w.output * bytes, from + row * run,
                    static_cast<std::size_t>(run));
      }
    }
  }

  void TouchInputs(std::int64_t slice, std::int64_t slices, Span rows) const {
    const std::int64_t first =
        std::clamp<std::int64_t>(view_.h.start(rows.begin), 0, view_.h.input);
    const std::int64_t last = std::clamp<std::int64_t>(
        view_.h.start(rows.end - 1) + view_.h.reach(), first, view_.h.input);
    for (std::int64_t i = slice; i < slice + slices; ++i) {
      const std::int64_t plane = i / view_.d.output;
      const std::int64_t od = i - plane * view_.d.output;
      const Span depth = view_.d.taps(od);
      for (std::int64_t td = depth.begin; td < depth.end; ++td) {
        const std::int64_t row =
            (plane * view_.d.input + view_.d.position(od, td)) * view_.h.input + first;
        const Element* x = input() + row * view_.w.input;
        if (blocks_.tiles == 1) {
          Touch(x, (last - first) * view_.w.input);
        } else {
          x += columns_.inputs.begin;
          for (std::int64_t j = first; j < last; ++j, x += view_.w.input) {
            Touch(x, columns_.inputs.size());
          }
        }
      }
    }
  }

  /** Finds out which rows of a block hold what was found in it. */
  void Recheck(std::int64_t tile, std::int64_t slice, std::int64_t slices, Span rows) {
    const Line<Lane> line(columns_.inputs.size());
    for (std::int64_t i = slice; i < slice + slices; ++i) {
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        const int findings = ReduceRow(i, row, line.get());
        const std::int64_t plane = i / view_.d.output;
        if (findings != 0) {
          const RowTiles::Item item{plane, tile, i - plane * view_.d.output, row};
          redo_(item, columns_.outputs, findings);
        }
      }
    }
  }

  const Pooling& p_;
  const PlaneView view_;
  const BlockLayout blocks_;
  const BlockRows kind_;
  const bool even_;
  const Span inner_;
  const bool narrow_;  ///< a row of outputs, or its last tile, does not fill a vector
  const bool stream_;
  const bool touch_;
  const bool ahead_;  ///< instead, as the pairs of rows follow one another in memory
  Finish finish_;
  const Redo& redo_;
  WindowRows<Element> rows_;
  TileColumns columns_;
  const Line<Lane> lines_;
  const Line<Element> staged_;
};

template <class R, class Finish, class Redo>
HWY_INLINE void ForwardBlocks(const Pooling& p, Span items, const Finish& finish,
                              const Redo& redo) {
  BlockRun<R, Finish, Redo>(p, finish, redo).Run(items);
}

template <class R>
std::int64_t BlockItems(const Pooling& p) {
  return BlockLayout(PlaneView(p), sizeof(typename R::Lane)).items();
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
