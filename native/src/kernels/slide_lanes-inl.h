// Windows that slide by one position, one plane or channel per lane: along both axes three
// combinations per element, whatever the kernel.
#if defined(FEATUREPOOL_KERNELS_SLIDE_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_SLIDE_LANES_INL_H_
#undef FEATUREPOOL_KERNELS_SLIDE_LANES_INL_H_
#else
#define FEATUREPOOL_KERNELS_SLIDE_LANES_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/global-inl.h"
#include "kernels/turn_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Lanes of a block of elements: those of neighbouring rows and columns are so far apart. */
template <typename Lane>
struct LaneBlock {
  Lane* first;
  std::int64_t row;
  std::int64_t column;

  Lane* at(std::int64_t r, std::int64_t c) const { return first + r * row + c * column; }
};

/** Windows of stride 1 along one axis. */
struct SlidingAxis {
  std::int64_t input;
  std::int64_t output;
  std::int64_t kernel;
  std::int64_t pad;
};

inline SlidingAxis SlidingOver(const Axis& axis) {
  return {axis.input, axis.output, axis.kernel, axis.pad_begin};
}

/**
 * Slides windows along lines of lanes (van Herk 1992; Gil and Werman 1993): elements fall into
 * blocks as long as the kernel; a window is the end of one block and the begin of the next, the
 * combination of a suffix and a prefix. `C::Combine(a, b)` combines `a` before `b`. Two lines at a
 * time, `other` apart; `finish(v, o, i)` gives what is stored of output o of line i.
 */
template <class C, bool kTwo, class Finish>
HWY_INLINE void SlideLines(const SlidingAxis& axis, const typename C::Lane* HWY_RESTRICT from,
                           std::int64_t step, std::int64_t other,
                           typename C::Lane* HWY_RESTRICT suffixes,
                           typename C::Lane* HWY_RESTRICT to, std::int64_t to_step,
                           std::int64_t to_other, const Finish& finish) {
  const typename C::D d;
  const std::int64_t lanes = LaneCount(d);
  for (std::int64_t block = 0; block < axis.output; block += axis.kernel) {
    const std::int64_t begin = block - axis.pad;
    const std::int64_t low = std::max<std::int64_t>(0, begin);
    const std::int64_t high = std::min(axis.input, begin + axis.kernel);
    const typename C::Lane* x = from + (high - 1) * step;
    typename C::Lane* suffix = suffixes + (high - 1 - low) * 2 * lanes;
    auto a = hn::LoadU(d, x);
    auto b = kTwo ? hn::LoadU(d, x + other) : a;
    hn::StoreU(a, d, suffix);
    if (kTwo) hn::StoreU(b, d, suffix + lanes);
    for (std::int64_t j = high - 1; j > low; --j) {
      x -= step;
      suffix -= 2 * lanes;
      a = C::Combine(hn::LoadU(d, x), a);
      hn::StoreU(a, d, suffix);
      if (kTwo) {
        b = C::Combine(hn::LoadU(d, x + other), b);
        hn::StoreU(b, d, suffix + lanes);
      }
    }
    // a, b: the suffix of all of the block, that of the first output. `suffix` is that of each next
    // one; those of windows that begin in the padding are the first.
    typename C::Lane* y = to + block * to_step;
    hn::StoreU(finish(a, block, 0), d, y);
    if (kTwo) hn::StoreU(finish(b, block, 1), d, y + to_other);
    const std::int64_t end = std::min(axis.output, block + axis.kernel);
    // Windows before this output reach one element further than the one before.
    const std::int64_t reach = std::min(end, axis.input - axis.kernel + axis.pad + 1);
    const std::int64_t padded = low + axis.pad;
    std::int64_t o = block + 1;
    if (o < reach) {
      x = from + (begin + axis.kernel) * step;
      a = hn::LoadU(d, x);
      if (kTwo) b = hn::LoadU(d, x + other);
      for (;;) {
        if (o > padded) suffix += 2 * lanes;
        y += to_step;
        hn::StoreU(finish(C::Combine(hn::LoadU(d, suffix), a), o, 0), d, y);
        if (kTwo)
          hn::StoreU(finish(C::Combine(hn::LoadU(d, suffix + lanes), b), o, 1), d, y + to_other);
        if (++o >= reach) break;
        x += step;
        a = C::Combine(a, hn::LoadU(d, x));
        if (kTwo) b = C::Combine(b, hn::LoadU(d, x + other));
      }
      for (; o < end; ++o) {
        if (o > padded) suffix += 2 * lanes;
        y += to_step;
        hn::StoreU(finish(C::Combine(hn::LoadU(d, suffix), a), o, 0), d, y);
        if (kTwo)
          hn::StoreU(finish(C::Combine(hn::LoadU(d, suffix + lanes), b), o, 1), d, y + to_other);
      }
      continue;
    }
    for (; o < end; ++o) {
      if (o > padded) suffix += 2 * lanes;
      y += to_step;
      hn::StoreU(finish(hn::LoadU(d, suffix), o, 0), d, y);
      if (kTwo) hn::StoreU(finish(hn::LoadU(d, suffix + lanes), o, 1), d, y + to_other);
    }
  }
}

/** Slides windows along the columns of a row, for all rows; `suffixes` has room for two lines. */
template <class C>
HWY_NOINLINE void SlideAlongRows(const SlidingAxis& w, std::int64_t rows,
                                 const LaneBlock<const typename C::Lane>& from,
                                 typename C::Lane* suffixes,
                                 const LaneBlock<typename C::Lane>& to) {
  const auto same = [](auto v, std::int64_t, int) HWY_ATTR { return v; };
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    SlideLines<C, true>(w, from.at(r, 0), from.column, from.row, suffixes, to.at(r, 0), to.column,
                        to.row, same);
  }
  if (r < rows) {
    SlideLines<C, false>(w, from.at(r, 0), from.column, 0, suffixes, to.at(r, 0), to.column, 0,
                         same);
  }
}

/** Slides windows along the rows of a column, for all columns; `finish(v, row, column)`. */
template <class C, class Finish>
HWY_NOINLINE void SlideAlongColumns(const SlidingAxis& h, std::int64_t columns,
                                    const LaneBlock<const typename C::Lane>& from,
                                    typename C::Lane* suffixes,
                                    const LaneBlock<typename C::Lane>& to, const Finish& finish) {
  std::int64_t c = 0;
  for (; c + 2 <= columns; c += 2) {
    const auto store = [&](auto v, std::int64_t o, int line)
                           HWY_ATTR { return finish(v, o, c + line); };
    SlideLines<C, true>(h, from.at(0, c), from.row, from.column, suffixes, to.at(0, c), to.row,
                        to.column, store);
  }
  if (c < columns) {
    const auto store = [&](auto v, std::int64_t o, int line)
                           HWY_ATTR { return finish(v, o, c + line); };
    SlideLines<C, false>(h, from.at(0, c), from.row, 0, suffixes, to.at(0, c), to.row, 0, store);
  }
}

/** Of `a` before `b`: the last NaN, else the first maximum, in lanes like those of R. */
template <class R>
struct InOrder {
  using Lane = typename R::Lane;
  using D = typename R::D;
  template <class V>
  static HWY_INLINE V Combine(V a, V b) {
    return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
  }
};

// Bytes of an interleaved position that are taken at once: a cache line.
constexpr std::int64_t kStripBytes = 64;

/** The planes, or channels of an image, whose windows slide together, and their memory. */
template <class R>
class SlidingBlock {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  using D = typename R::D;

  /** Planes of `height` x `width`, and of results of at most so many rows and columns. */
  SlidingBlock(Layout layout, std::int64_t height, std::int64_t width, std::int64_t rows,
               std::int64_t columns, std::int64_t kernel)
      : planar_(layout == Layout::planar),
        strip_(planar_ ? LaneCount(D()) : kStripBytes / static_cast<std::int64_t>(sizeof(Lane))),
        height_(height),
        width_(width),
        block_(height * width * strip_),
        rows_(height * columns * strip_ + kApart),
        results_(rows * columns * strip_ + 2 * kApart),
        suffixes_(2 * kernel * LaneCount(D())) {
    std::fill_n(block_.get(), height * width * strip_, Lane{0});
  }

  std::int64_t strip() const { return strip_; }

  /** Reads `count` planes, or channels `pitch` apart; returns what they may hold. */
  int Load(const Element* x, std::int64_t count, std::int64_t pitch) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t size = height_ * width_;
    Lane* HWY_RESTRICT to = block_.get();
    Watch<R> watch;
    if (planar_) {
      if constexpr (sizeof(Lane) >= 4) {
        TurnLanes(reinterpret_cast<const Lane*>(x), size, count, size, to, strip_);
        if constexpr (R::kIdempotent) {
          // Minima are maxima of turned lanes.
          if constexpr (R::kSelects == Order::less) {
            for (std::int64_t i = 0; i < size * strip_; i += lanes) {
              hn::StoreU(R::Load(d, to + i), d, to + i);
            }
          }
        }
      }
    } else {
      for (std::int64_t i = 0; i < size; ++i, x += pitch, to += strip_) {
        for (std::int64_t c = 0; c < count; c += lanes) {
          hn::StoreU(R::LoadPart(d, x + c, count - c), d, to + c);
        }
      }
    }
    if constexpr (R::kWatched) Look(block_.get(), size * strip_, watch);
    return watch.found();
  }

  /** Slides windows over what was read; C combines, `finish(v, row, column)` gives results. */
  template <class C, class Finish>
  void Slide(const SlidingAxis& h, const SlidingAxis& w, const Finish& finish) {
    for (std::int64_t c = 0; c < strip_; c += LaneCount(D())) {
      const LaneBlock<const Lane> from{block_.get() + c, width_ * strip_, strip_};
      const std::int64_t row = w.output * strip_;
      const LaneBlock<Lane> along{rows_.get() + c, row, strip_};
      SlideAlongRows<C>(w, height_, from, suffixes_.get(), along);
      SlideAlongColumns<C>(h, w.output, {along.first, row, strip_}, suffixes_.get(),
                           {results_.get() + c, row, strip_}, finish);
    }
  }

  /** Writes the results, `size` per plane: planes `pitch` apart, or channels. */
  void Store(std::int64_t size, std::int64_t count, std::int64_t pitch, Element* y) const {
    Write(results_.get(), size, count, pitch, y);
  }

 private:
  // Neighbouring memory begins at other offsets within pages: stores must not look like those that
  // the next loads depend on.
  static constexpr std::int64_t kApart = 272;

  static HWY_INLINE void Look(const Lane* line, std::int64_t size, Watch<R>& watch) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    std::int64_t i = 0;
    for (; i + 4 * lanes <= size; i += 4 * lanes) {
      watch.See(hn::LoadU(d, line + i), hn::LoadU(d, line + i + lanes),
                hn::LoadU(d, line + i + 2 * lanes), hn::LoadU(d, line + i + 3 * lanes));
    }
    for (; i < size; i += lanes) watch.See(hn::LoadU(d, line + i));
  }

  void Write(const Lane* HWY_RESTRICT from, std::int64_t size, std::int64_t count,
             std::int64_t pitch, Element* HWY_RESTRICT y) const {
    const D d;
    if (planar_) {
      if constexpr (sizeof(Lane) >= 4)
        TurnLanes(from, strip_, size, count, reinterpret_cast<Lane*>(y), size);
      return;
    }
    for (std::int64_t i = 0; i < size; ++i, from += strip_, y += pitch) {
      for (std::int64_t c = 0; c < count; c += LaneCount(d)) {
        StoreElements(hn::LoadU(d, from + c), d, y + c, count - c);
      }
    }
  }

  const bool planar_;
  const std::int64_t strip_;
  const std::int64_t height_;
  const std::int64_t width_;
  const Line<Lane> block_;
  const Line<Lane> rows_;
  const Line<Lane> results_;
  const Line<Lane> suffixes_;
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
