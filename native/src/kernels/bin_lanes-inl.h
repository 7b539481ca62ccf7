// Bins of many planes at once, one plane per lane: rows of bins are reduced vertically with lanes
// along W, turned, and then reduced along W, where bins may begin and end anywhere.
#if defined(FEATUREPOOL_KERNELS_BIN_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_BIN_LANES_INL_H_
#undef FEATUREPOOL_KERNELS_BIN_LANES_INL_H_
#else
#define FEATUREPOOL_KERNELS_BIN_LANES_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/global-inl.h"
#include "kernels/turned-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** The input positions of output `o` of an axis of bins, or of unclipped windows. */
inline Span BinOf(const Axis& axis, std::int64_t o) {
  if (axis.bins != nullptr) return axis.bins[o];
  return {axis.start(o), axis.start(o) + axis.kernel};
}

/** Transposes `rows` rows into columns, both counts rounded up to whole squares; what they overhang
 * in `to` is written before what belongs there. */
template <typename Lane>
HWY_INLINE void TurnSquares(const Lane* HWY_RESTRICT from, std::int64_t from_pitch,
                            std::int64_t rows, std::int64_t columns, Lane* HWY_RESTRICT to,
                            std::int64_t to_pitch) {
  constexpr std::int64_t kSide = kSquare<Lane>;
  for (std::int64_t r = (rows - 1) / kSide * kSide; r >= 0; r -= kSide) {
    for (std::int64_t c = 0; c < columns; c += kSide) {
      TurnSquare(from + r * from_pitch + c, from_pitch, to + c * to_pitch + r, to_pitch);
    }
  }
}

// Channels of an interleaved image that are taken at once.
constexpr std::int64_t kBinChannels = 32;

/**
 * Reduces bins of some planes, or of some channels of an interleaved image: `lanes` of them side by
 * side. kPositions: maxima with their positions, exact for ties, signed zeros and NaN.
 */
template <class R, bool kPositions>
class BinLanes {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  using Index = hwy::MakeSigned<Lane>;
  using D = typename R::D;
  using DI = hn::ScalableTag<Index>;

  BinLanes(const Geometry& g, Layout layout, const Element* end)
      : planar_(layout == Layout::planar),
        lanes_(planar_ ? LaneCount(D()) : std::min(kBinChannels, g.channels)),
        step_(planar_ ? 1 : g.channels),
        plane_(g.input_plane()),
        height_(g.h().input),
        width_(g.w().input),
        end_(end),
        chunk_(std::clamp<std::int64_t>(kChunk / lanes_, 1, width_)),
        pitch_(planar_ ? whole_vectors(chunk_) + kSquare<Lane> : lanes_),
        size_((planar_ ? pitch_ : chunk_) * lanes_),
        lines_(size_),
        turned_(planar_ ? size_ : 0),
        line_at_(kPositions ? size_ : 0),
        turned_at_(kPositions && planar_ ? size_ : 0) {
    // Lanes of planes that are not there are computed too.
    std::fill_n(lines_.get(), size_, Lane{0});
    if constexpr (kPositions) std::fill_n(line_at_.get(), size_, Index{0});
  }

  /** Elements between the lanes of neighbouring bins. */
  std::int64_t lanes() const { return whole_vectors(lanes_); }

  /**
   * Rows [rows.begin, rows.end) of bins of `count` planes (channels) from `x` on.
   *
   * @param window positions are those within a bin, of windows as large as the largest; else those
   * within the plane
   * @return what the elements may hold
   */
  int Reduce(const Geometry& bins, const Element* x, std::int64_t count, Span rows, bool window,
             Lane* out, Index* at) {
    int found = 0;
    const Axis& w = bins.w();
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      List(bins, row, window);
      std::int64_t first = 0;
      for (std::int64_t begin = 0; begin < width_; begin += chunk_) {
        const Span columns{begin, std::min(width_, begin + chunk_)};
        found |= Columns(x, count, columns);
        while (first < w.output && BinOf(w, first).end <= begin) ++first;
        Bins(w, first, columns, window, out, at);
      }
      out += w.output * lanes();
      if constexpr (kPositions) at += w.output * lanes();
    }
    return found;
  }

  /** The combination of a rectangle of bins of another level. */
  void Join(const Lane* from, std::int64_t width, Span rows, Span columns, Lane* out) const {
    static_assert(R::kIdempotent);
    const D d;
    for (std::int64_t c = 0; c < lanes_; c += LaneCount(d)) {
      auto value = hn::LoadU(d, from + (rows.begin * width + columns.begin) * lanes() + c);
      for (std::int64_t r = rows.begin; r < rows.end; ++r) {
        for (std::int64_t i = columns.begin; i < columns.end; ++i) {
          value = R::Combine(value, hn::LoadU(d, from + (r * width + i) * lanes() + c));
        }
      }
      hn::StoreU(value, d, out + c);
    }
  }

 private:
  static constexpr std::int64_t kChunk = 2048;  // elements of a line: it stays in the first cache

  static std::int64_t whole_vectors(std::int64_t size) {
    const std::int64_t lanes = LaneCount(D());
    return (size + lanes - 1) / lanes * lanes;
  }

  /** Lists the rows of a row of bins. */
  void List(const Geometry& g, std::int64_t row, bool window) {
    rows_.clear();
    bases_.clear();
    const Span depth = BinOf(g.d(), row / g.h().output);
    const Span height = BinOf(g.h(), row % g.h().output);
    for (std::int64_t d = depth.begin; d < depth.end; ++d) {
      for (std::int64_t h = height.begin; h < height.end; ++h) {
        rows_.push_back((d * height_ + h) * width_ * step_);
        if constexpr (kPositions) {
          const std::int64_t first =
              window ? ((d - depth.begin) * g.h().kernel + h - height.begin) * g.w().kernel
                     : (d * height_ + h) * width_;
          bases_.push_back(static_cast<Index>(first));
        }
      }
    }
  }

  /** Reduces the rows over some columns into lines of one element per column and lane. */
  int Columns(const Element* x, std::int64_t count, Span columns) {
    if (!planar_) {
      x += columns.begin * step_;
      if (step_ == lanes_) return Lines(x, 0, 1, columns.size() * lanes_, 0);
      return Lines(x, step_, columns.size(), count, lanes_);
    }
    const int found = Lines(x + columns.begin, plane_, count, columns.size(), pitch_);
    TurnSquares(lines_.get(), pitch_, lanes_, columns.size(), turned_.get(), lanes_);
    if constexpr (kPositions) {
      TurnSquares(line_at_.get(), pitch_, lanes_, columns.size(), turned_at_.get(), lanes_);
    }
    return found;
  }

  /** `count` runs of `size` elements, `step` apart, of every row, into lines `pitch` apart. */
  int Lines(const Element* x, std::int64_t step, std::int64_t count, std::int64_t size,
            std::int64_t pitch) {
    switch (rows_.size()) {
      case 1:
        return LinesOf<1>(x, step, count, size, pitch);
      case 2:
        return LinesOf<2>(x, step, count, size, pitch);
      case 3:
        return LinesOf<3>(x, step, count, size, pitch);
      case 4:
        return LinesOf<4>(x, step, count, size, pitch);
      default:
        return LinesOf<0>(x, step, count, size, pitch);
    }
  }

  template <int kRows>
  HWY_NOINLINE int LinesOf(const Element* x, std::int64_t step, std::int64_t count,
                           std::int64_t size, std::int64_t pitch) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t* rows = rows_.data();
    const std::int64_t number = kRows > 0 ? kRows : static_cast<std::int64_t>(rows_.size());
    Watch<R> watch;
    Lane* HWY_RESTRICT line = lines_.get();
    Index* HWY_RESTRICT line_at = line_at_.get();
    for (std::int64_t k = 0; k < count; ++k, x += step) {
      // Elements behind a run are read along, where there are some.
      const std::int64_t inside = end_ - x - rows[number - 1];
      std::int64_t i = 0;
      for (; i < size && i + lanes <= inside; i += lanes) {
        const auto load = [&](std::int64_t r) HWY_ATTR { return R::Load(d, x + rows[r] + i); };
        Vertical<kRows>(load, number, watch, line + i, line_at + i);
      }
      if (i < size) {
        const auto load = [&](std::int64_t r)
                              HWY_ATTR { return R::LoadPart(d, x + rows[r] + i, size - i); };
        Vertical<kRows>(load, number, watch, line + i, line_at + i);
      }
      line += pitch;
      if constexpr (kPositions) line_at += pitch;
    }
    return watch.found();
  }

  template <int kRows, class Load>
  HWY_INLINE void Vertical(const Load& load, std::int64_t number, Watch<R>& watch,
                           Lane* HWY_RESTRICT line, Index* HWY_RESTRICT line_at) const {
    const D d;
    auto value = load(0);
    if constexpr (kPositions) {
      const DI di;
      auto at = hn::Set(di, bases_[0]);
      for (std::int64_t r = 1; r < number; ++r) {
        const auto v = load(r);
        const auto better = hn::Or(hn::Gt(v, value), hn::IsNaN(v));
        value = hn::IfThenElse(better, v, value);
        at = hn::IfThenElse(hn::RebindMask(di, better),
                            hn::Set(di, bases_[static_cast<std::size_t>(r)]), at);
      }
      hn::StoreU(at, di, line_at);
    } else if constexpr (kRows == 4) {
      const auto v1 = load(1);
      const auto v2 = load(2);
      const auto v3 = load(3);
      watch.See(value, v1, v2, v3);
      value = R::Combine(R::Combine(value, v1), R::Combine(v2, v3));
    } else if constexpr (R::kWatched) {
      watch.See(value);
      for (std::int64_t r = 1; r < (kRows > 0 ? kRows : number); ++r) {
        const auto v = load(r);
        watch.See(v);
        value = R::Combine(value, v);
      }
    } else {
      value = kRows > 0 ? CombineRun<R>(load, 0, kRows) : CombineTaps<R>(load, number);
    }
    hn::StoreU(value, d, line);
  }

  /** The parts of bins from `first` on that lie in some columns. */
  void Bins(const Axis& w, std::int64_t first, Span columns, bool window, Lane* HWY_RESTRICT out,
            Index* HWY_RESTRICT out_at) const {
    const D d;
    const Lane* HWY_RESTRICT lines = planar_ ? turned_.get() : lines_.get();
    const Index* HWY_RESTRICT lines_at = planar_ ? turned_at_.get() : line_at_.get();
    for (std::int64_t o = first; o < w.output; ++o) {
      const Span bin = BinOf(w, o);
      if (bin.begin >= columns.end) return;
      const Span part{std::max(bin.begin, columns.begin) - columns.begin,
                      std::min(bin.end, columns.end) - columns.begin};
      const bool more = bin.begin < columns.begin;
      for (std::int64_t c = 0; c < lanes_; c += LaneCount(d)) {
        const std::int64_t to = o * lanes() + c;
        const auto load = [&](std::int64_t i)
                              HWY_ATTR { return hn::LoadU(d, lines + i * lanes_ + c); };
        if constexpr (kPositions) {
          const DI di;
          const auto load_at = [&](std::int64_t i) HWY_ATTR {
            const std::int64_t column = columns.begin + i - (window ? bin.begin : 0);
            return hn::Add(hn::LoadU(di, lines_at + i * lanes_ + c),
                           hn::Set(di, static_cast<Index>(column)));
          };
          auto value = more ? hn::LoadU(d, out + to) : load(part.begin);
          auto at = more ? hn::LoadU(di, out_at + to) : load_at(part.begin);
          for (std::int64_t i = part.begin; i < part.end; ++i) {
            First(load(i), load_at(i), value, at);
          }
          hn::StoreU(value, d, out + to);
          hn::StoreU(at, di, out_at + to);
        } else {
          auto value = R::kIdempotent || part.size() <= kLongestRun
                           ? CombineRun<R>(load, part.begin, part.end)
                           : CombineHalves<R>(load, part.begin, part.end);
          if (more) value = R::Combine(hn::LoadU(d, out + to), value);
          hn::StoreU(value, d, out + to);
        }
      }
    }
  }

  /** Takes the first maximum in row-major order, or the last NaN, of two in any order. */
  static HWY_INLINE void First(hn::Vec<D> v, hn::Vec<DI> at, hn::Vec<D>& best,
                               hn::Vec<DI>& best_at) {
    const D d;
    const auto later = hn::RebindMask(d, hn::Gt(at, best_at));
    const auto earlier = hn::RebindMask(d, hn::Gt(best_at, at));
    const auto first = hn::And(hn::Eq(v, best), earlier);
    const auto nan = hn::And(hn::IsNaN(v), hn::Or(hn::Eq(best, best), later));
    const auto better = hn::Or(hn::Or(hn::Gt(v, best), first), nan);
    best = hn::IfThenElse(better, v, best);
    best_at = hn::IfThenElse(hn::RebindMask(DI(), better), at, best_at);
  }

  const bool planar_;
  const std::int64_t lanes_;
  const std::int64_t step_;  ///< elements between columns
  const std::int64_t plane_;
  const std::int64_t height_;
  const std::int64_t width_;
  const Element* const end_;
  const std::int64_t chunk_;  ///< columns that are reduced at once
  const std::int64_t pitch_;  ///< of lines
  const std::int64_t size_;   ///< of all lines
  const Line<Lane> lines_;
  const Line<Lane> turned_;
  const Line<Index> line_at_;
  const Line<Index> turned_at_;
  std::vector<std::int64_t> rows_;  ///< of a row of bins, from the begin of a plane
  std::vector<Index> bases_;        ///< position of the first column of each
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
