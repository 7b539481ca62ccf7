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
#include "kernels/touch-inl.h"
#include "kernels/turn_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** The input positions of output `o` of an axis of bins, or of unclipped windows. */
inline Span BinOf(const Axis& axis, std::int64_t o) {
  if (axis.bins != nullptr) return axis.bins[o];
  return {axis.start(o), axis.start(o) + axis.kernel};
}

// Channels of an interleaved image that are taken at once.
constexpr std::int64_t kBinChannels = 32;

// Planes of at most so many elements are turned as a whole, before anything else: both copies of a
// group fit in the first-level cache.
constexpr std::int64_t kMostTurnedPlane = 256;

/** Where the bins of a level lie: the input positions of its rows, and of its columns. */
struct BinPlaces {
  std::vector<Span> rows;
  std::vector<Span> columns;
};

inline BinPlaces PlacesOf(const Geometry& g) {
  const auto list = [](const Axis& axis) {
    std::vector<Span> bins;
    for (std::int64_t o = 0; o < axis.output; ++o) bins.push_back(BinOf(axis, o));
    return bins;
  };
  return {list(g.h()), list(g.w())};
}

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
      : lanes_(layout == Layout::planar ? LaneCount(D()) : std::min(kBinChannels, g.channels)),
        plane_(g.input_plane()),
        turns_(layout == Layout::planar && plane_ <= kMostTurnedPlane),
        planar_(layout == Layout::planar && !turns_),
        step_(planar_ ? 1 : (turns_ ? lanes_ : g.channels)),
        height_(g.h().input),
        width_(g.w().input),
        block_(turns_ ? plane_ * lanes_ : 0),
        end_(turns_ ? block_.get() + plane_ * lanes_ : end),
        chunk_(std::clamp<std::int64_t>(kChunk / lanes_, 1, width_)),
        pitch_(planar_ ? whole_vectors(chunk_) + kSquare<Lane> : lanes_),
        size_((planar_ ? pitch_ : chunk_) * lanes_),
        lines_(size_),
        turned_(planar_ ? size_ : 0),
        line_at_(kPositions ? size_ : 0),
        turned_at_(kPositions && planar_ ? size_ : 0) {
    // Lanes of planes that are not there are computed too.
    std::fill_n(lines_.get(), size_, Lane{0});
    if (turns_) std::fill_n(block_.get(), plane_ * lanes_, Lane{0});
    if constexpr (kPositions) std::fill_n(line_at_.get(), size_, Index{0});
  }

  /** Elements between the lanes of neighbouring bins. */
  std::int64_t lanes() const { return whole_vectors(lanes_); }

  /** What Reduce() takes of `count` planes (channels) from `x` on; valid until the next call. */
  const Element* Read(const Element* x, std::int64_t count) const {
    if (!turns_) return x;
    // Memory is read as one stream: squares of all planes together would follow none.
    Touch(x, count * plane_);
    TurnLanes(x, plane_, count, plane_, block_.get(), lanes_);
    return block_.get();
  }

  /**
   * Rows [rows.begin, rows.end) of bins of `count` planes (channels), as Read() gave them; returns
   * what the elements may hold.
   */
  int Reduce(const BinPlaces& bins, const Element* x, std::int64_t count, Span rows, Lane* out,
             Index* at) {
    int found = 0;
    const auto width = static_cast<std::int64_t>(bins.columns.size());
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const Span height = bins.rows[static_cast<std::size_t>(row)];
      std::int64_t first = 0;
      for (std::int64_t begin = 0; begin < width_; begin += chunk_) {
        const Span columns{begin, std::min(width_, begin + chunk_)};
        found |= Columns(x, count, height, columns);
        while (first < width && bins.columns[static_cast<std::size_t>(first)].end <= begin) ++first;
        Bins(bins.columns, first, columns, out, at);
      }
      out += width * lanes();
      if constexpr (kPositions) at += width * lanes();
    }
    return found;
  }

  /** The combination of a rectangle of bins of another level. */
  void Join(const Lane* from, std::int64_t width, Span rows, Span columns, Lane* out) const {
    static_assert(R::kIdempotent);
    const D d;
    const std::int64_t pitch = lanes();
    for (std::int64_t c = 0; c < lanes_; c += LaneCount(d)) {
      const Lane* row = from + (rows.begin * width + columns.begin) * pitch + c;
      auto value = hn::LoadU(d, row);
      for (std::int64_t r = rows.size(); r > 0; --r, row += width * pitch) {
        const Lane* bin = row;
        for (std::int64_t i = columns.size(); i > 0; --i, bin += pitch) {
          value = R::Combine(value, hn::LoadU(d, bin));
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

  /** Reduces rows over some columns into lines of one element per column and lane. */
  int Columns(const Element* x, std::int64_t count, Span rows, Span columns) {
    if (!planar_) {
      x += columns.begin * step_;
      if (step_ == lanes_) return Lines(x, rows, 0, 1, columns.size() * lanes_, 0);
      return Lines(x, rows, step_, columns.size(), count, lanes_);
    }
    const int found = Lines(x + columns.begin, rows, plane_, count, columns.size(), pitch_);
    TurnLanes(lines_.get(), pitch_, lanes_, columns.size(), turned_.get(), lanes_);
    if constexpr (kPositions) {
      TurnLanes(line_at_.get(), pitch_, lanes_, columns.size(), turned_at_.get(), lanes_);
    }
    return found;
  }

  /** `count` runs of `size` elements, `step` apart, of every row, into lines `pitch` apart. */
  int Lines(const Element* x, Span rows, std::int64_t step, std::int64_t count, std::int64_t size,
            std::int64_t pitch) {
    switch (rows.size()) {
      case 1:
        return LinesOf<1>(x, rows, step, count, size, pitch);
      case 2:
        return LinesOf<2>(x, rows, step, count, size, pitch);
      case 3:
        return LinesOf<3>(x, rows, step, count, size, pitch);
      case 4:
        return LinesOf<4>(x, rows, step, count, size, pitch);
      default:
        return LinesOf<0>(x, rows, step, count, size, pitch);
    }
  }

  template <int kRows>
  HWY_NOINLINE int LinesOf(const Element* x, Span rows, std::int64_t step, std::int64_t count,
                           std::int64_t size, std::int64_t pitch) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const std::int64_t down = width_ * step_;
    const std::int64_t number = kRows > 0 ? kRows : rows.size();
    Watch<R> watch;
    Lane* HWY_RESTRICT line = lines_.get();
    Index* HWY_RESTRICT line_at = line_at_.get();
    x += rows.begin * down;
    for (std::int64_t k = 0; k < count; ++k, x += step) {
      // Elements behind a run are read along, where there are some.
      const std::int64_t inside = end_ - x - (number - 1) * down;
      std::int64_t i = 0;
      for (; i < size && i + lanes <= inside; i += lanes) {
        const auto load = [&](std::int64_t r) HWY_ATTR { return R::Load(d, x + i + r * down); };
        Vertical<kRows>(load, rows, watch, line + i, line_at + i);
      }
      if (i < size) {
        const auto load = [&](std::int64_t r)
                              HWY_ATTR { return R::LoadPart(d, x + i + r * down, size - i); };
        Vertical<kRows>(load, rows, watch, line + i, line_at + i);
      }
      line += pitch;
      if constexpr (kPositions) line_at += pitch;
    }
    return watch.found();
  }

  template <int kRows, class Load>
  HWY_INLINE void Vertical(const Load& load, Span rows, Watch<R>& watch, Lane* HWY_RESTRICT line,
                           Index* HWY_RESTRICT line_at) const {
    const D d;
    const std::int64_t number = kRows > 0 ? kRows : rows.size();
    auto value = load(0);
    if constexpr (kPositions) {
      const DI di;
      const auto first = [&](std::int64_t r) HWY_ATTR {
        return hn::Set(di, static_cast<Index>((rows.begin + r) * width_));
      };
      auto at = first(0);
      for (std::int64_t r = 1; r < number; ++r) {
        const auto v = load(r);
        const auto better = hn::Or(hn::Gt(v, value), hn::IsNaN(v));
        value = hn::IfThenElse(better, v, value);
        at = hn::IfThenElse(hn::RebindMask(di, better), first(r), at);
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
      std::int64_t r = 1;
      for (; r + 4 <= number; r += 4) {
        const auto v0 = load(r);
        const auto v1 = load(r + 1);
        const auto v2 = load(r + 2);
        const auto v3 = load(r + 3);
        watch.See(v0, v1, v2, v3);
        value = R::Combine(R::Combine(value, R::Combine(v0, v1)), R::Combine(v2, v3));
      }
      for (; r < number; ++r) {
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
  void Bins(const std::vector<Span>& bins, std::int64_t first, Span columns, Lane* HWY_RESTRICT out,
            Index* HWY_RESTRICT out_at) const {
    const D d;
    const Lane* HWY_RESTRICT lines = planar_ ? turned_.get() : lines_.get();
    const Index* HWY_RESTRICT lines_at = planar_ ? turned_at_.get() : line_at_.get();
    const std::int64_t step = lanes();
    for (std::int64_t o = first; o < static_cast<std::int64_t>(bins.size()); ++o) {
      const Span bin = bins[static_cast<std::size_t>(o)];
      if (bin.begin >= columns.end) return;
      const Span part{std::max(bin.begin, columns.begin) - columns.begin,
                      std::min(bin.end, columns.end) - columns.begin};
      const bool more = bin.begin < columns.begin;
      for (std::int64_t c = 0; c < lanes_; c += LaneCount(d)) {
        const std::int64_t to = o * step + c;
        const auto load = [&](std::int64_t i)
                              HWY_ATTR { return hn::LoadU(d, lines + i * lanes_ + c); };
        if constexpr (kPositions) {
          const DI di;
          const auto load_at = [&](std::int64_t i) HWY_ATTR {
            return hn::Add(hn::LoadU(di, lines_at + i * lanes_ + c),
                           hn::Set(di, static_cast<Index>(columns.begin + i)));
          };
          auto value = more ? hn::LoadU(d, out + to) : load(part.begin);
          auto at = more ? hn::LoadU(di, out_at + to) : load_at(part.begin);
          for (std::int64_t i = part.begin; i < part.end; ++i) {
            First(load(i), load_at(i), value, at);
          }
          hn::StoreU(value, d, out + to);
          hn::StoreU(at, di, out_at + to);
        } else if (R::kIdempotent || part.size() <= kLongestRun) {
          const Lane* HWY_RESTRICT line = lines + part.begin * lanes_ + c;
          auto value = hn::LoadU(d, line);
          for (std::int64_t left = part.size() - 1; left > 0; --left) {
            line += lanes_;
            value = R::Combine(value, hn::LoadU(d, line));
          }
          if (more) value = R::Combine(hn::LoadU(d, out + to), value);
          hn::StoreU(value, d, out + to);
        } else {
          auto value = CombineHalves<R>(load, part.begin, part.end);
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

  const std::int64_t lanes_;
  const std::int64_t plane_;
  const bool turns_;         ///< planes are turned before they are reduced
  const bool planar_;        ///< lines of a row of bins are turned
  const std::int64_t step_;  ///< elements between columns
  const std::int64_t height_;
  const std::int64_t width_;
  const Line<Lane> block_;  ///< planes, turned
  const Element* const end_;
  const std::int64_t chunk_;  ///< columns that are reduced at once
  const std::int64_t pitch_;  ///< of lines
  const std::int64_t size_;   ///< of all lines
  const Line<Lane> lines_;
  const Line<Lane> turned_;
  const Line<Index> line_at_;
  const Line<Index> turned_at_;
};

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
