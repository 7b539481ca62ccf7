// Small windows of stride 1 over wide planar rows, a band of two output rows at a time: their input
// rows are combined vertically and the result horizontally, from the input to the output in
// registers.
#if defined(FEATUREPOOL_KERNELS_BANDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_BANDS_INL_H_
#undef FEATUREPOOL_KERNELS_BANDS_INL_H_
#else
#define FEATUREPOOL_KERNELS_BANDS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

// Widest and highest windows: their taps along W are shifts of neighbouring vectors.
constexpr std::int64_t kMostBandTaps = 7;
// Narrowest rows, in bytes of lanes: a vector of the largest tier fits in.
constexpr std::int64_t kLeastBandBytes = 64;
// Widest rows: those of a band stay in the second-level cache.
constexpr std::int64_t kMostBandColumns = 1 << 14;
// Rows of a work item: a multiple of those of a band.
constexpr std::int64_t kBandItemRows = 16;

/** Of windows of three rows, for which there are blocks, those over rows of at least `least_three`
 * bytes of lanes. */
inline bool BandsAccept(const Pooling& p, std::int64_t lane_bytes, std::int64_t least_three) {
  if (p.layout != Layout::planar || p.geometry.binned()) return false;
  const Axis& d = p.geometry.d();
  const Axis& h = p.geometry.h();
  const Axis& w = p.geometry.w();
  return d.kernel == 1 && h.stride == 1 && h.dilation == 1 && w.stride == 1 && w.dilation == 1 &&
         h.kernel > 1 && h.kernel <= kMostBandTaps && w.kernel > 1 && w.kernel <= kMostBandTaps &&
         w.output * lane_bytes >= (h.kernel == 3 ? least_three : kLeastBandBytes) &&
         w.input <= kMostBandColumns && w.output <= kMostBandColumns;
}

inline std::int64_t BandsPerSlice(const Axis& h) {
  return (h.output + kBandItemRows - 1) / kBandItemRows;
}

inline std::int64_t BandItems(const Pooling& p) {
  return p.geometry.planes() * p.geometry.d().output * BandsPerSlice(p.geometry.h());
}

/** The rows of a band: windows of both outputs hold `rows` from `core` on, and each one more. */
template <typename T>
struct Band {
  const T* core;
  std::int64_t rows;
  std::int64_t step;  ///< elements from one row to the next
  const T* above;
  const T* below;
  T* first;
  T* second;
};

/** The vectors at `v`, moved down by whole blocks of 16 bytes. */
template <int kBlocks, class D, class V>
HWY_INLINE V MovedBlocks(D d, const V* v) {
  constexpr int kPerVector = static_cast<int>(hn::MaxLanes(d) * sizeof(hn::TFromD<D>)) / 16;
  constexpr int kAt = kBlocks / kPerVector;
  constexpr int kRest = kBlocks % kPerVector;
  if constexpr (kRest == 0) {
    return v[kAt];
  } else {
    const V half = hn::ConcatLowerUpper(d, v[kAt + 1], v[kAt]);
    if constexpr (2 * kRest == kPerVector) {
      return half;
    } else {
      // A quarter of four blocks less, or more.
      const V swapped = hn::SwapAdjacentBlocks(half);
      if constexpr (kRest == 1) return hn::OddEvenBlocks(swapped, hn::SwapAdjacentBlocks(v[kAt]));
      return hn::OddEvenBlocks(hn::SwapAdjacentBlocks(v[kAt + 1]), swapped);
    }
  }
}

/** The same by bytes. */
template <int kBytes, class D, class V>
HWY_INLINE V MovedBytes(D d, const V* v) {
  const V low = MovedBlocks<kBytes / 16>(d, v);
  if constexpr (kBytes % 16 == 0) {
    return low;
  } else {
    return hn::CombineShiftRightBytes<kBytes % 16>(d, MovedBlocks<kBytes / 16 + 1>(d, v), low);
  }
}

/** Slides windows of kTaps columns over bands. */
template <class R, int kTaps>
class BandLines {
 public:
  using Element = typename R::Element;
  using D = typename R::D;
  using V = hn::Vec<D>;
  using B = Band<Element>;
  static constexpr std::int64_t kLanes = hn::MaxLanes(D());
  /** Vectors behind an output's own that its windows reach into. */
  static constexpr std::int64_t kAhead = (kTaps - 2 + kLanes) / kLanes;

  explicit BandLines(const Axis& w)
      : pad_(w.pad_begin), last_(w.output - kLanes), input_end_(w.pad_begin + w.input) {
    // From here on windows reach into the end padding. What is wrong of them, the last vector puts
    // right; more than that is left to Edge().
    const std::int64_t clipped = input_end_ - kTaps + 1;
    const std::int64_t end = clipped >= last_ ? w.output : std::max<std::int64_t>(0, clipped);
    end_ = end / kLanes * kLanes;
    head_ = std::min(end_, (pad_ + kLanes - 1) / kLanes * kLanes);
    whole_ = end_ == w.output && clipped >= w.output;
  }

  /** Elements behind the last of a row that are read, at most. */
  static std::int64_t Overhang(const Axis& w) {
    return std::max<std::int64_t>(0, w.output + kAhead * kLanes - w.pad_begin - w.input);
  }

  /** Returns what the new rows of a band, the last of `core` and `below`, may hold. */
  template <class Finish>
  int Run(const B& band, const Finish& finish) const {
    // Square windows are the common ones.
    if (band.rows == kTaps - 1) return RunRows<kTaps - 1>(band, finish);
    return RunRows<0>(band, finish);
  }

 private:
  struct Watched {
    V sum;
    V other;
    hn::Vec<hn::RebindToSigned<D>> least;
  };

  /** The same for bands whose outputs share kRows rows; 0: any number. */
  template <int kRows, class Finish>
  HWY_NOINLINE int RunRows(const B& band, const Finish& finish) const {
    const D d;
    const V none = hn::Set(d, R::Identity());
    const auto writer = finish.writer();
    Watched seen{hn::Zero(d), hn::Zero(d), hn::Zero(hn::RebindToSigned<D>())};
    // Columns are counted as those of outputs.
    B b = band;
    b.core -= pad_;
    b.above -= pad_;
    b.below -= pad_;
    V upper[kAhead + 1];
    V lower[kAhead + 1];
    for (std::int64_t i = 0; i < kAhead; ++i) {
      Rows<kRows>(b, i * kLanes, upper[i], lower[i], seen);
      if (pad_ > i * kLanes) {
        const auto padding = First(pad_ - i * kLanes);
        upper[i] = hn::IfThenElse(padding, none, upper[i]);
        lower[i] = hn::IfThenElse(padding, none, lower[i]);
      }
    }
    std::int64_t o = 0;
    if constexpr (Finish::kHasEdges) {
      for (const std::int64_t head = head_; o < head; o += kLanes) {
        Rows<kRows>(b, o + kAhead * kLanes, upper[kAhead], lower[kAhead], seen);
        finish.WriteEdge(0, Columns(upper), o, b.first + o);
        finish.WriteEdge(1, Columns(lower), o, b.second + o);
        Advance(upper, lower);
      }
    }
    for (const std::int64_t end = end_; o < end; o += kLanes) {
      Rows<kRows>(b, o + kAhead * kLanes, upper[kAhead], lower[kAhead], seen);
      writer.Write(0, Columns(upper), b.first + o);
      writer.Write(1, Columns(lower), b.second + o);
      Advance(upper, lower);
    }
    if (!whole_) {
      do {
        // The last vector overlaps its neighbour.
        o = std::min(o, last_);
        V above[kAhead + 1];
        V below[kAhead + 1];
        for (std::int64_t i = 0; i <= kAhead; ++i) {
          const std::int64_t at = o + i * kLanes;
          const auto inside = hn::AndNot(First(pad_ - at), First(input_end_ - at));
          Rows<kRows>(b, at, above[i], below[i], seen);
          above[i] = hn::IfThenElse(inside, above[i], none);
          below[i] = hn::IfThenElse(inside, below[i], none);
        }
        finish.WriteEdge(0, Columns(above), o, b.first + o);
        finish.WriteEdge(1, Columns(below), o, b.second + o);
        o += kLanes;
      } while (o < last_ + kLanes);
    }
    if constexpr (R::kWatched) return Findings(d, hn::Add(seen.sum, seen.other), seen.least);
    return 0;
  }

  static HWY_INLINE void Advance(V* upper, V* lower) {
    for (std::int64_t i = 0; i < kAhead; ++i) {
      upper[i] = upper[i + 1];
      lower[i] = lower[i + 1];
    }
  }

  /** The first n lanes: none if n is negative. */
  static HWY_INLINE hn::Mask<D> First(std::int64_t n) {
    return hn::FirstN(D(), static_cast<std::size_t>(std::clamp<std::int64_t>(n, 0, kLanes)));
  }

  /** The rows' combinations at column `at`. */
  template <int kRows>
  static HWY_INLINE void Rows(const B& b, std::int64_t at, V& upper, V& lower, Watched& seen) {
    const D d;
    const std::int64_t rows = kRows > 0 ? kRows : b.rows;
    const Element* HWY_RESTRICT p = b.core + at;
    V core = R::Load(d, p);
    V last = core;
    for (std::int64_t t = 1; t < rows; ++t) {
      p += b.step;
      last = R::Load(d, p);
      core = R::Combine(core, last);
    }
    const V below = R::Load(d, b.below + at);
    if constexpr (R::kWatched) {
      seen.sum = hn::MulAdd(last, last, seen.sum);
      seen.other = hn::MulAdd(below, below, seen.other);
      seen.least = hn::Min(seen.least, hn::Min(R::Bits(d, last), R::Bits(d, below)));
    } else {
      (void)seen;
    }
    upper = R::Combine(core, R::Load(d, b.above + at));
    lower = R::Combine(core, below);
  }

  static HWY_INLINE V Columns(const V* v) {
    const D d;
    constexpr int kSize = sizeof(typename R::Lane);
    V value = v[0];
    const auto take = [&]<int kTap>() HWY_ATTR {
      if constexpr (kTap < kTaps) value = R::Combine(value, MovedBytes<kTap * kSize>(d, v));
    };
    take.template operator()<1>();
    take.template operator()<2>();
    take.template operator()<3>();
    take.template operator()<4>();
    take.template operator()<5>();
    take.template operator()<6>();
    return value;
  }

  const std::int64_t pad_;
  const std::int64_t last_;       ///< output of the last vector
  const std::int64_t input_end_;  ///< column behind the last of the input
  std::int64_t head_;             ///< outputs whose windows may reach into the begin padding
  std::int64_t end_;              ///< outputs taken vector by vector
  bool whole_;                    ///< all of them, and right
};

/**
 * Runs bands of a forward pooling; see ForwardRows(). `finish.Start(i, d, h)` is called before row
 * i of a band is written.
 */
template <class R, int kTaps, class Finish, class Redo>
class BandRun {
 public:
  using Element = typename R::Element;
  using D = typename R::D;
  using Lines = BandLines<R, kTaps>;

  BandRun(const Pooling& p, Finish& finish, const Redo& redo)
      : p_(p),
        view_(p),
        lines_(view_.w),
        finish_(finish),
        redo_(redo),
        room_((view_.w.pad_begin + view_.w.input + Lines::Overhang(view_.w) + kRound) / kRound *
              kRound),
        none_(room_),
        spare_(view_.w.output),
        copies_((view_.h.kernel + 1) * room_) {
    FillNone();
  }

  void Run(Span items) {
    const std::int64_t bands = BandsPerSlice(view_.h);
    for (std::int64_t i = items.begin; i < items.end; ++i) {
      const std::int64_t slice = i / bands;
      const std::int64_t row = (i - slice * bands) * kBandItemRows;
      if (i == items.begin || row == 0) StartSlice(slice, row);
      const std::int64_t end = std::min(view_.h.output, row + kBandItemRows);
      for (std::int64_t h = row; h < end; h += 2) RunBand(slice, h);
    }
  }

 private:
  // Lanes of the largest vector.
  static constexpr std::int64_t kRound = 64;
  // Rows whose findings are kept: a power of two, at least as many as a band has.
  static constexpr std::int64_t kKept = 16;

  /** Rows that change nothing. */
  void FillNone() const {
    if constexpr (R::kIdempotent) {
      const D d;
      const auto none = Turn<R::kSelects>(d, hn::Set(d, R::Identity()));
      for (std::int64_t i = 0; i < room_; i += LaneCount(d)) {
        StoreElements(none, d, none_.get() + i, LaneCount(d));
      }
    } else {
      std::fill_n(none_.get(), room_, Element{0});
    }
  }

  /** Row `h` of the slice, or one that changes nothing. */
  const Element* row(std::int64_t h) const {
    if (h < 0 || h >= view_.h.input) return none_.get() + view_.w.pad_begin;
    return static_cast<const Element*>(p_.input) + slice_ + h * view_.w.input;
  }

  /** Whether vectors over rows [begin, end) of the slice stay inside the tensor. */
  bool Inside(std::int64_t begin, std::int64_t end) const {
    return slice_ + begin * view_.w.input >= view_.w.pad_begin &&
           slice_ + end * view_.w.input + Lines::Overhang(view_.w) <= p_.geometry.input_size();
  }

  int& found(std::int64_t h) { return found_[static_cast<std::size_t>(h & (kKept - 1))]; }

  void StartSlice(std::int64_t slice, std::int64_t h) {
    plane_ = slice / view_.d.output;
    depth_ = slice - plane_ * view_.d.output;
    slice_ = plane_ * view_.input_plane() + view_.d.start(depth_) * view_.h.input * view_.w.input;
    if constexpr (R::kWatched) {
      const std::int64_t first = view_.h.start(h);
      for (std::int64_t r = first; r < first + view_.h.kernel - 1; ++r) {
        found(r) = r >= 0 && r < view_.h.input ? Look(row(r)) : 0;
      }
    }
  }

  int Look(const Element* x) const {
    const D d;
    auto sum = hn::Zero(d);
    auto least = hn::Zero(hn::RebindToSigned<D>());
    for (std::int64_t i = 0; i < view_.w.input; i += LaneCount(d)) {
      const auto v = R::LoadPart(d, x + i, view_.w.input - i);
      sum = hn::MulAdd(v, v, sum);
      least = hn::Min(least, R::Bits(d, v));
    }
    return Findings(d, sum, least);
  }

  void RunBand(std::int64_t slice, std::int64_t h) {
    const std::int64_t first = view_.h.start(h);
    const std::int64_t last = first + view_.h.kernel;
    const Span core{std::max<std::int64_t>(0, first + 1), std::min(view_.h.input, last)};
    const bool two = h + 1 < view_.h.output;
    Element* out = static_cast<Element*>(p_.output) + (slice * view_.h.output + h) * view_.w.output;
    Band<Element> band{row(core.begin),
                       core.size(),
                       view_.w.input,
                       row(first),
                       row(last),
                       out,
                       two ? out + view_.w.output : spare_.get()};
    if (core.size() < 1) {
      band.core = none_.get() + view_.w.pad_begin;
      band.rows = 1;
    }
    if (!Inside(std::max<std::int64_t>(0, first), std::min(view_.h.input, last + 1))) {
      KeepInside(band);
    }
    finish_.Start(0, depth_, h);
    if (two) finish_.Start(1, depth_, h + 1);
    const int seen = lines_.Run(band, finish_);
    if constexpr (R::kWatched) {
      found(last - 1) = seen;
      found(last) = seen;
      const auto redo = [&](std::int64_t output) {
        int all = 0;
        for (std::int64_t r = view_.h.start(output); r < view_.h.start(output) + view_.h.kernel;
             ++r) {
          all |= found(r);
        }
        const RowTiles::Item item{plane_, 0, depth_, output};
        if (all != 0) redo_(item, Span{0, view_.w.output}, all);
      };
      redo(h);
      if (two) redo(h + 1);
    } else {
      (void)seen;
    }
  }

  /** Copies a band's rows to where vectors may reach over their ends. */
  void KeepInside(Band<Element>& band) const {
    const auto copy = [&](const Element* from, std::int64_t i) {
      Element* to = copies_.get() + i * room_ + view_.w.pad_begin;
      std::copy_n(from, view_.w.input, to);
      return to;
    };
    for (std::int64_t r = 0; r < band.rows; ++r) copy(band.core + r * band.step, r);
    band.core = copies_.get() + view_.w.pad_begin;
    band.step = room_;
    band.above = copy(band.above, band.rows);
    band.below = copy(band.below, band.rows + 1);
  }

  const Pooling& p_;
  const PlaneView view_;
  const Lines lines_;
  Finish& finish_;
  const Redo& redo_;
  const std::int64_t room_;  ///< elements of a row and of what may be read around it
  const Line<Element> none_;
  const Line<Element> spare_;  ///< for the second row of a band that has one
  const Line<Element> copies_;
  std::int64_t slice_ = 0;  ///< where the current one begins, from the begin of the tensor
  std::int64_t plane_ = 0;
  std::int64_t depth_ = 0;
  std::array<int, kKept> found_{};
};

template <class R, class Finish, class Redo>
void ForwardBands(const Pooling& p, Span items, Finish& finish, const Redo& redo) {
  const auto run = [&]<int kTaps>() {
    BandRun<R, kTaps, Finish, Redo>(p, finish, redo).Run(items);
  };
  switch (p.geometry.w().kernel) {
    case 2:
      return run.template operator()<2>();
    case 3:
      return run.template operator()<3>();
    case 4:
      return run.template operator()<4>();
    case 5:
      return run.template operator()<5>();
    case 6:
      return run.template operator()<6>();
    default:
      return run.template operator()<7>();
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
