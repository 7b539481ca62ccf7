// Windows of interleaved tensors, lanes along C: a row of outputs is walked from left to right, all
// channels of one output before the next, so that rows and outputs are read and written in the
// order of memory; the columns that the next window shares are kept in a line.
#if defined(FEATUREPOOL_KERNELS_CHANNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_CHANNELS_INL_H_
#undef FEATUREPOOL_KERNELS_CHANNELS_INL_H_
#else
#define FEATUREPOOL_KERNELS_CHANNELS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** StoreElements() of whole vectors past the caches, where there is such a store; `p` is aligned to
 * what is stored. */
template <class D, typename T>
HWY_INLINE void StreamElements(hn::Vec<D> v, D d, T* HWY_RESTRICT p) {
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    hn::Stream(v, d, p);
  } else if constexpr (is_half<T>) {
    const hn::Rebind<std::uint16_t, D> du;
    const auto half = Narrow(d, T(), v);
    auto* const to = reinterpret_cast<std::uint16_t*>(p);
    if constexpr (hn::MaxLanes(du) * sizeof(T) >= 16) {
      hn::Stream(half, du, to);
    } else {
      hn::StoreU(half, du, to);
    }
  } else {
    StoreElements(v, d, p, LaneCount(d));
  }
}

/** A part of one or two rows of outputs, and the input rows under their windows. */
template <typename T>
struct ChannelRows {
  const T* const*
      rows;  ///< at column 0, from top to bottom; where two rows of outputs share some, once
  std::int64_t count;    ///< of rows
  std::int64_t columns;  ///< of the input
  std::int64_t channels;
  std::int64_t first;   ///< column of tap 0 of the first window; may lie in the padding
  std::int64_t stride;  ///< along W, as the next two
  std::int64_t kernel;
  std::int64_t dilation;
  std::int64_t outputs;  ///< columns
  T* output;
  std::int64_t pitch;    ///< elements between two rows of outputs
  std::int64_t ahead;    ///< elements to the rows to fetch while these are reduced; 0: fetch none
  std::int64_t fetched;  ///< how many of the last rows have such successors
  bool in_slices;  ///< of channels, all columns of one before the next: no stream, for the caches
};

// Channels of one column that are walked at a time: the columns kept stay in the first-level cache.
constexpr std::int64_t kKeptBytes = 8192;
constexpr std::int64_t kMostKept = 4;  ///< columns of one or two rows of outputs

// Bytes of inputs that are walked in slices of channels: those that lie in the second-level cache.
constexpr std::int64_t kMostSliced = std::int64_t{1} << 20;

// Fewer channels, which do not fill the vectors of x86, are taken as rows of W*C elements instead.
constexpr std::int64_t kLeastChannelBytes = 64;

/** Channels of a block, all blocks of about one size. */
inline std::int64_t ChannelsPerBlock(std::int64_t channels, std::int64_t lane_bytes) {
  constexpr std::int64_t kLargestVector = 256;
  const std::int64_t elements = kLargestVector / lane_bytes;
  const std::int64_t most = kKeptBytes / kMostKept / lane_bytes;
  const std::int64_t blocks = (channels + most - 1) / most;
  const std::int64_t even = (channels + blocks - 1) / blocks;
  return (even + elements - 1) / elements * elements;
}

/**
 * Walks a row of outputs.
 *
 * @tparam kTwo     two vectors of channels at a time
 * @tparam kRows    rows of a window; 0: as many as there are
 * @tparam kStep    two rows of outputs at once, so many input rows apart; 0: one row of outputs
 * @tparam kCarried columns that a window shares with the next: the kernel less the stride
 * @tparam kFresh   columns that it does not share; 0: as many as the kernel has
 */
template <class R, class Finish, bool kTwo, int kRows, int kStep, int kCarried, int kFresh>
class ChannelWalk {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  using D = typename R::D;
  using V = hn::Vec<D>;
  using VI = hn::Vec<hn::RebindToSigned<D>>;
  using Writer = typename Finish::Writer;

  /** Reduces the rows; returns what they may hold. `kept` has room for ChannelsPerBlock() of
   * kMostKept columns. */
  static HWY_NOINLINE int Run(const ChannelRows<Element>& r, const Writer& writer, Lane* kept) {
    // Its members live in registers, as no function that is called sees it.
    ChannelWalk walk(r, writer);
    // What Findings() asks; two of each, as one chain of additions would be too slow.
    const D d;
    const hn::RebindToSigned<D> di;
    auto sum = hn::Zero(d);
    auto sum1 = hn::Zero(d);
    auto least = hn::Zero(di);
    auto least1 = hn::Zero(di);
    auto clipped_sum = hn::Zero(d);
    auto clipped_least = hn::Zero(di);
    const std::int64_t size =
        kCarried == 0 ? r.channels : ChannelsPerBlock(r.channels, sizeof(Lane));
    // Outputs whose windows lie inside the input, and whose channels fill a vector; the columns
    // that they share with the window before may lie in the padding.
    const std::int64_t reach = kCarried + (walk.Fresh() - 1) * r.dilation + 1;
    const std::int64_t room = r.columns - reach - r.first;
    const bool vectors = r.channels >= LaneCount(D());
    const std::int64_t end = room < 0 || !vectors ? 0 : std::min(r.outputs, room / r.stride + 1);
    const std::int64_t before = -r.first - kCarried;
    const std::int64_t begin = before <= 0 ? 0 : (before + r.stride - 1) / r.stride;
    walk.pitch_ = size;
    bool in_slices = false;
    if constexpr (kSlices) {
      in_slices = r.in_slices && vectors;
      if (in_slices) walk.Slices(begin, end, sum, sum1, least, least1);
    }
    for (std::int64_t c = 0; !in_slices && c < r.channels; c += size) {
      walk.begin_ = c;
      walk.end_ = std::min(r.channels, c + size);
      walk.older_ = kept;
      walk.newer_ = kept + size * kOutputs;
      std::int64_t q = -Lead();
      for (; q < std::min(begin, r.outputs); ++q, walk.Turn())
        Clipped(walk, q, clipped_sum, clipped_least);
      for (; q < end; ++q, walk.Turn()) walk.Whole(q, sum, sum1, least, least1);
      for (; q < r.outputs; ++q, walk.Turn()) Clipped(walk, q, clipped_sum, clipped_least);
    }
    if constexpr (R::kWatched) {
      return Findings(d, hn::Add(hn::Add(sum, sum1), clipped_sum),
                      hn::Min(hn::Min(least, least1), clipped_least));
    }
    return 0;
  }

 private:
  ChannelWalk(const ChannelRows<Element>& r, const Writer& writer)
      : r_(r), writer_(writer), pointers_(r.rows) {}

  static constexpr int kOutputs = kStep == 0 ? 1 : 2;

  // Whether rows of outputs may be walked in slices of two vectors of channels, whose kept columns
  // stay in registers: of 64 bytes, which are whole cache lines, and of which there are 32.
  static constexpr bool kSlices = kTwo && kCarried > 0 && hn::MaxLanes(D()) * sizeof(Lane) >= 64;

  /** Steps without outputs that fetch the columns shared with the first window. */
  static constexpr std::int64_t Lead() {
    return kCarried == 0 ? 0 : (kCarried + kFresh - 1) / kFresh;
  }
  HWY_INLINE std::int64_t Fresh() const { return kFresh == 0 ? r_.kernel : kFresh; }

  /** The columns `at` of one vector of channels, one for each row of outputs. */
  template <bool kWhole>
  HWY_INLINE void Column(std::int64_t at, std::int64_t n, V& upper, V& lower, V& sum,
                         VI& least) const {
    if constexpr (kStep == 0) {
      const RowLoad<R, kWhole> load{pointers_.data(), at, n};
      upper = ReduceVector<R, kRows>(load, r_.count, sum, least);
    } else {
      const D d;
      const auto* rows = pointers_.data();
      const auto load = [&](int i) HWY_ATTR {
        return kWhole ? R::Load(d, rows[i] + at) : R::LoadPart(d, rows[i] + at, n);
      };
      const auto v0 = load(0);
      const auto v1 = load(1);
      const auto v2 = load(2);
      const auto v3 = load(3);
      const auto v4 = kStep == 1 ? v3 : load(4);
      if constexpr (R::kWatched) {
        const auto seen = hn::Add(hn::Add(v0, v1), hn::Add(v2, v3));
        auto lesser = hn::Min(hn::Min(R::Bits(d, v0), R::Bits(d, v1)),
                              hn::Min(R::Bits(d, v2), R::Bits(d, v3)));
        if constexpr (kStep == 2) lesser = hn::Min(lesser, R::Bits(d, v4));
        sum = hn::Add(sum, kStep == 1 ? seen : hn::Add(seen, v4));
        least = hn::Min(least, lesser);
      }
      if constexpr (kStep == 1) {
        const auto both = R::Combine(v1, v2);
        upper = R::Combine(v0, both);
        lower = R::Combine(both, v3);
      } else {
        upper = R::Combine(R::Combine(v0, v1), v2);
        lower = R::Combine(R::Combine(v2, v3), v4);
      }
    }
  }

  /** One vector of channels (kWhole: all of it) of the outputs `q`, whose windows may be clipped
   * (unless kInside), from channel `c` on, kept at `slot`. */
  template <bool kInside, bool kWhole, class Factor>
  HWY_INLINE void Vector(std::int64_t q, std::int64_t c, std::int64_t slot, const Factor& factor,
                         const Factor& factor1, V& sum, VI& least) const {
    const D d;
    const std::int64_t n = kWhole ? LaneCount(d) : r_.channels - c;
    Lane* HWY_RESTRICT older = older_ + slot;
    auto upper = hn::Set(d, R::Identity());
    auto lower = upper;
    if constexpr (kCarried > 0) {
      upper = hn::LoadU(d, older);
      if constexpr (kOutputs == 2) lower = hn::LoadU(d, older + pitch_);
    }
    if constexpr (kCarried > 1) {
      const Lane* HWY_RESTRICT newer = newer_ + slot;
      upper = R::Combine(upper, hn::LoadU(d, newer));
      if constexpr (kOutputs == 2) lower = R::Combine(lower, hn::LoadU(d, newer + pitch_));
    }
    std::int64_t column = r_.first + q * r_.stride + kCarried;
    const std::int64_t fresh = Fresh();
    for (std::int64_t t = 0; t < fresh; ++t, column += r_.dilation) {
      auto v = hn::Set(d, R::Identity());
      auto v1 = v;
      if (kInside || (column >= 0 && column < r_.columns && r_.count > 0)) {
        Column<kWhole>(column * r_.channels + c, n, v, v1, sum, least);
      }
      if constexpr (kCarried > 0) {
        if (t == fresh - 1) {
          hn::StoreU(v, d, older);
          if constexpr (kOutputs == 2) hn::StoreU(v1, d, older + pitch_);
        }
      }
      if (kInside && kCarried == 0 && t == 0) {
        upper = v;
        lower = v1;
        continue;
      }
      upper = R::Combine(upper, v);
      if constexpr (kOutputs == 2) lower = R::Combine(lower, v1);
    }
    if (!kInside && q < 0) return;
    Element* y = r_.output + q * r_.channels + c;
    writer_.Write(upper, factor, n, y);
    if constexpr (kOutputs == 2) writer_.Write(lower, factor1, n, y + r_.pitch);
  }

  /** All outputs; the windows of [begin, end) lie inside the input. */
  HWY_INLINE void Slices(std::int64_t begin, std::int64_t end, V& sum, V& sum1, VI& least,
                         VI& least1) const {
    const std::int64_t lanes = LaneCount(D());
    std::int64_t c = 0;
    for (; c + 2 * lanes <= r_.channels; c += 2 * lanes) {
      Slice<2>(begin, end, c, sum, sum1, least, least1);
    }
    for (; c < r_.channels; c += lanes) {
      // The last vector overlaps its neighbour.
      Slice<1>(begin, end, std::min(c, r_.channels - lanes), sum, sum1, least, least1);
    }
  }

  /** The columns that a window shares with the one before, of one vector of channels. */
  struct Kept {
    V older, newer;    ///< of the upper row of outputs
    V older1, newer1;  ///< of the lower one
  };

  /** The same of kVectors vectors of channels from `c` on. */
  template <int kVectors>
  HWY_INLINE void Slice(std::int64_t begin, std::int64_t end, std::int64_t c, V& sum, V& sum1,
                        VI& least, VI& least1) const {
    const std::int64_t lanes = LaneCount(D());
    const auto none = hn::Set(D(), R::Identity());
    Kept kept{none, none, none, none};
    Kept kept1 = kept;
    for (std::int64_t q = -Lead(); q < r_.outputs; ++q) {
      if (q >= begin && q < end) {
        Step<true>(q, c, kept, sum, least);
        if constexpr (kVectors == 2) Step<true>(q, c + lanes, kept1, sum1, least1);
      } else {
        Step<false>(q, c, kept, sum, least);
        if constexpr (kVectors == 2) Step<false>(q, c + lanes, kept1, sum1, least1);
      }
    }
  }

  /** One vector of the outputs `q`, as Vector(), whose kept columns lie in registers. */
  template <bool kInside>
  HWY_INLINE void Step(std::int64_t q, std::int64_t c, Kept& kept, V& sum, VI& least) const {
    const std::int64_t lanes = LaneCount(D());
    auto upper = kept.older;
    auto lower = kept.older1;
    if constexpr (kCarried > 1) {
      upper = R::Combine(upper, kept.newer);
      lower = R::Combine(lower, kept.newer1);
    }
    const auto none = hn::Set(D(), R::Identity());
    auto v = none;
    auto v1 = none;
    std::int64_t column = r_.first + q * r_.stride + kCarried;
    for (int t = 0; t < kFresh; ++t, ++column) {
      if (kInside || (column >= 0 && column < r_.columns)) {
        Column<true>(column * r_.channels + c, lanes, v, v1, sum, least);
      } else {
        v = v1 = none;
      }
      upper = R::Combine(upper, v);
      if constexpr (kOutputs == 2) lower = R::Combine(lower, v1);
    }
    kept = kCarried > 1 ? Kept{kept.newer, v, kept.newer1, v1} : Kept{v, v, v1, v1};
    if (!kInside && q < 0) return;
    Element* y = r_.output + q * r_.channels + c;
    writer_.Write(upper, writer_.At(0, q), lanes, y);
    if constexpr (kOutputs == 2) writer_.Write(lower, writer_.At(1, q), lanes, y + r_.pitch);
  }

  /** The oldest column kept has made room for the newest. */
  HWY_INLINE void Turn() {
    if constexpr (kCarried > 1) std::swap(older_, newer_);
  }

  HWY_INLINE void Whole(std::int64_t q, V& sum, V& sum1, VI& least, VI& least1) const {
    const std::int64_t lanes = LaneCount(D());
    const auto factor = writer_.At(0, q);
    const auto factor1 = writer_.At(kOutputs - 1, q);
    std::int64_t c = begin_;
    for (; kTwo && c + 2 * lanes <= end_; c += 2 * lanes) {
      if (r_.ahead != 0) Fetch(q, c, 2 * lanes);
      Vector<true, true>(q, c, c - begin_, factor, factor1, sum, least);
      Vector<true, true>(q, c + lanes, c + lanes - begin_, factor, factor1, sum1, least1);
    }
    for (; c < end_; c += lanes) {
      if (!kTwo && r_.ahead != 0) Fetch(q, c, lanes);
      // The last vector overlaps its neighbour.
      Vector<true, true>(q, std::min(c, end_ - lanes), c - begin_, factor, factor1, sum, least);
    }
  }

  static HWY_NOINLINE void Clipped(const ChannelWalk walk, std::int64_t q, V& sum, VI& least) {
    const std::int64_t lanes = LaneCount(D());
    const std::int64_t output = std::max<std::int64_t>(q, 0);
    const auto factor = walk.writer_.At(0, output);
    const auto factor1 = walk.writer_.At(kOutputs - 1, output);
    if constexpr (hn::MaxLanes(D()) * sizeof(Lane) > kLeastChannelBytes) {
      if (walk.r_.channels < lanes) {
        walk.template Vector<false, false>(q, 0, 0, factor, factor1, sum, least);
        return;
      }
    }
    for (std::int64_t c = walk.begin_; c < walk.end_; c += lanes) {
      walk.template Vector<false, true>(q, std::min(c, walk.end_ - lanes), c - walk.begin_, factor,
                                        factor1, sum, least);
    }
  }

  /** Fetches `n` channels of the rows under the next rows of outputs into the second-level cache.
   */
  HWY_INLINE void Fetch(std::int64_t q, std::int64_t c, std::int64_t n) const {
    constexpr std::int64_t kCacheLine = 64 / sizeof(Element);
    const std::int64_t fresh = Fresh();
    const std::int64_t column = r_.first + q * r_.stride + kCarried;
    for (std::int64_t row = r_.count - r_.fetched; row < r_.count; ++row) {
      const Element* from = r_.rows[row] + r_.ahead + column * r_.channels + c;
      for (std::int64_t t = 0; t < fresh; ++t, from += r_.dilation * r_.channels) {
        for (std::int64_t i = 0; i < n; i += kCacheLine) __builtin_prefetch(from + i, 0, 2);
      }
    }
  }

  const ChannelRows<Element> r_;
  const Writer writer_;
  const RowPointers<Element, kStep == 0 ? kRows : 3 + kStep> pointers_;
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  std::int64_t pitch_ = 0;
  Lane* older_ = nullptr;
  Lane* newer_ = nullptr;
};

// --- which windows, and their work items ---

inline bool ManyChannels(const Pooling& p, std::int64_t lane_bytes) {
  return p.layout == Layout::interleaved && p.geometry.channels * lane_bytes >= kLeastChannelBytes;
}

/** Whether windows are walked: those that share no columns with the next, or one or two of three.
 */
inline bool ChannelsAccept(const Pooling& p, std::int64_t lane_bytes) {
  const Geometry& g = p.geometry;
  if (!ManyChannels(p, lane_bytes) || g.binned()) return false;
  const Axis& w = g.w();
  const bool shares = w.kernel == 3 && w.dilation == 1 && w.stride <= 2;
  return (shares || w.stride >= w.reach()) && w.kernel <= kLongestRun &&
         g.d().kernel * g.h().kernel <= kLongestRun;
}

/** How many rows of outputs the first pair lacks, so that pairs begin where windows are not
 * clipped. */
inline std::int64_t ChannelLead(const Geometry& g) { return g.h().interior().begin % 2; }

/** Pairs of rows of outputs, in tiles of columns. */
inline RowTiles ChannelTiles(const Geometry& g) {
  constexpr std::int64_t kColumns = 128;
  constexpr std::int64_t kElements = 8192;
  return {g.d().output, (g.h().output + ChannelLead(g) + 1) / 2, g.w().output,
          std::max(kColumns, kElements / g.channels)};
}

inline std::int64_t ChannelItems(const Pooling& p) {
  return item_count(p.geometry.batch, ChannelTiles(p.geometry));
}

/**
 * Runs work items of a forward pooling.
 *
 * @tparam kCommon whether the common windows have code of their own
 * @param finish what becomes of reduced lanes: its Start(row, d, h, columns) is called before a row
 * of outputs (0 or 1 of a pair), and Write(v, At(row, column), n, to) of its writer(), a plain
 * value, with lanes of which the first `n` count
 * @param redo called with (image, d, h, columns, findings) after a row of outputs whose input rows
 * hold what ReduceRows() notices
 */
template <class R, bool kCommon, class Finish, class Redo>
class ForwardChannels {
 public:
  using Element = typename R::Element;
  using Lane = typename R::Lane;

  ForwardChannels(const Pooling& p, Finish& finish, const Redo& redo)
      : p_(p),
        g_(p.geometry),
        tiles_(ChannelTiles(g_)),
        lead_(ChannelLead(g_)),
        sliced_(g_.input_size() * static_cast<std::int64_t>(sizeof(Element)) <= kMostSliced &&
                !beyond_cache(p)),
        row_(g_.w().input * g_.channels),
        finish_(finish),
        redo_(redo),
        kept_(kMostKept * ChannelsPerBlock(g_.channels, sizeof(Lane))),
        rows_(static_cast<std::size_t>(g_.d().kernel * g_.h().kernel + 2)) {}

  void Run(Span items) {
    RowTiles::Item item = tiles_.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles_.advance(item)) {
      const std::int64_t h = 2 * item.h - lead_;
      if (h >= 0 && h + 1 < g_.h().output && Paired(item.d, h)) {
        Pair(item, h);
        continue;
      }
      if (h >= 0) Single(item, h);
      if (h + 1 < g_.h().output) Single(item, h + 1);
    }
  }

 private:
  /** Whether two rows of outputs, none of them clipped, are reduced at once. */
  bool Paired(std::int64_t d, std::int64_t h) const {
    const Axis& axis = g_.h();
    const Axis& w = g_.w();
    const Span whole = axis.interior();
    return kCommon && axis.kernel == 3 && axis.dilation == 1 && w.kernel == 3 && w.dilation == 1 &&
           axis.stride == w.stride && w.stride <= 2 && g_.d().kernel == 1 &&
           !g_.d().taps(d).empty() && h >= whole.begin && h + 1 < whole.end;
  }

  ChannelRows<Element> Rows(const RowTiles::Item& item, std::int64_t h, std::int64_t count,
                            std::int64_t outputs) const {
    const Axis& axis = g_.h();
    const Axis& w = g_.w();
    const Span columns = tiles_.columns(item);
    ChannelRows<Element> r{};
    r.rows = rows_.data();
    r.count = count;
    r.columns = w.input;
    r.channels = g_.channels;
    r.first = w.start(columns.begin);
    r.stride = w.stride;
    r.kernel = w.kernel;
    r.dilation = w.dilation;
    r.outputs = columns.size();
    r.pitch = w.output * g_.channels;
    r.output = static_cast<Element*>(p_.output) +
               ((item.plane * g_.d().output + item.d) * axis.output + h) * r.pitch +
               columns.begin * g_.channels;
    r.in_slices = sliced_;
    // Rows that share none with the next are read in the order of memory as it is.
    if (finish_.stream && axis.stride < axis.reach()) {
      r.fetched = std::min(outputs * axis.stride, count);
      r.ahead = outputs * axis.stride * row_;
    }
    return r;
  }

  void Pair(const RowTiles::Item& item, std::int64_t h) {
    const std::int64_t step = g_.h().stride;
    const std::int64_t depth = g_.d().position(item.d, g_.d().taps(item.d).begin);
    const Element* from = Row(item.plane, depth, g_.h().start(h));
    for (std::int64_t i = 0; i < 3 + step; ++i)
      rows_[static_cast<std::size_t>(i)] = from + i * row_;
    const Span columns = tiles_.columns(item);
    finish_.Start(0, item.d, h, columns);
    finish_.Start(1, item.d, h + 1, columns);
    const ChannelRows<Element> r = Rows(item, h, 3 + step, 2);
    int findings = 0;
    if constexpr (kCommon) {
      findings = step == 1 ? Walk<3, 1, 2, 1>(r) : Walk<3, 2, 1, 2>(r);
    }
    if (findings == 0) return;
    redo_(item.plane, item.d, h, columns, findings);
    redo_(item.plane, item.d, h + 1, columns, findings);
  }

  void Single(const RowTiles::Item& item, std::int64_t h) {
    const Span depth = g_.d().taps(item.d);
    const Span height = g_.h().taps(h);
    std::int64_t count = 0;
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        rows_[static_cast<std::size_t>(count++)] =
            Row(item.plane, g_.d().position(item.d, td), g_.h().position(h, th));
      }
    }
    const Axis& w = g_.w();
    const Span columns = tiles_.columns(item);
    finish_.Start(0, item.d, h, columns);
    ChannelRows<Element> r = Rows(item, h, count, 1);
    // Without rows, no column is inside the input.
    if (count == 0) r.columns = 0;
    int findings = 0;
    if (w.stride < w.reach()) {
      findings = w.stride == 1 ? Walk<0, 0, 2, 1>(r) : Walk<0, 0, 1, 2>(r);
    } else if (kCommon && count == 2 && w.kernel == 2) {
      if constexpr (kCommon) findings = Walk<2, 0, 0, 2>(r);
    } else {
      findings = Walk<0, 0, 0, 0>(r);
    }
    if (findings != 0) redo_(item.plane, item.d, h, columns, findings);
  }

  const Element* Row(std::int64_t image, std::int64_t d, std::int64_t h) const {
    return static_cast<const Element*>(p_.input) +
           ((image * g_.d().input + d) * g_.h().input + h) * row_;
  }

  template <int kRows, int kStep, int kCarried, int kFresh>
  int Walk(const ChannelRows<Element>& r) {
    using Walker = ChannelWalk<R, Finish, kCommon, kRows, kStep, kCarried, kFresh>;
    return Walker::Run(r, finish_.writer(), kept_.get());
  }

  const Pooling& p_;
  const Geometry& g_;
  const RowTiles tiles_;
  const std::int64_t lead_;
  const bool sliced_;
  const std::int64_t row_;
  Finish& finish_;
  const Redo& redo_;
  const Line<Lane> kept_;
  std::vector<const Element*> rows_;
};

// --- windows of any other stride, or of few channels: rows of W*C elements ---

/** Whether rows are reduced into a line from which windows of groups of C elements are taken; those
 * of stride 1 are windows over the line's elements, which the row engine takes. */
inline bool ChannelLinesAccept(const Pooling& p) {
  const Geometry& g = p.geometry;
  return p.layout == Layout::interleaved && !g.binned() && g.w().stride > 1 &&
         g.w().stride <= kMostReach && g.w().reach() * g.channels <= kMostReach &&
         g.d().kernel * g.h().kernel <= kMostRows;
}

inline RowTiles ChannelLineTiles(const Geometry& g) {
  const std::int64_t room = std::max(kTileElements, g.w().reach() * g.channels);
  return {g.d().output, g.h().output, g.w().output, room / (g.w().stride * g.channels) + 1};
}

inline std::int64_t ChannelLineItems(const Pooling& p) {
  return item_count(p.geometry.batch, ChannelLineTiles(p.geometry));
}

/** Takes windows of kTaps (0: `taps`) groups from a line. */
template <class R, int kTaps, class Writer>
HWY_NOINLINE void WindowsOfGroups(const typename R::Lane* HWY_RESTRICT line,
                                  const std::int64_t* offsets, std::int64_t taps,
                                  std::int64_t stride, std::int64_t channels, std::int64_t outputs,
                                  const Writer from, typename R::Element* HWY_RESTRICT to) {
  const std::int64_t lanes = LaneCount(typename R::D());
  const Writer writer = from;
  for (std::int64_t q = 0; q < outputs; ++q, line += stride * channels, to += channels) {
    const OffsetWindow<R, kTaps> window{line, offsets, taps};
    const auto factor = writer.At(0, q);
    if (channels < lanes) {
      // The lanes behind the channels are overwritten by the windows behind this one.
      writer.Write(window(0), factor, (outputs - q) * channels, to);
      continue;
    }
    for (std::int64_t c = 0;;) {
      writer.Write(window(c), factor, lanes, to + c);
      if (c + lanes >= channels) break;
      c = std::min(c + lanes, channels - lanes);
    }
  }
}

/** As ForwardChannels. */
template <class R, class Finish, class Redo>
HWY_INLINE void ForwardChannelLines(const Pooling& p, Span items, Finish& finish,
                                    const Redo& redo) {
  using Element = typename R::Element;
  using Lane = typename R::Lane;
  using Writer = typename Finish::Writer;
  const Geometry& g = p.geometry;
  const Axis& w = g.w();
  const RowTiles tiles = ChannelLineTiles(g);
  const std::int64_t row = w.input * g.channels;
  const Line<Lane> line(((tiles.tile - 1) * w.stride + w.reach()) * g.channels);
  std::vector<std::int64_t> offsets;
  for (std::int64_t t = 0; t < w.kernel; ++t) offsets.push_back(t * w.dilation * g.channels);
  std::vector<const Element*> rows(static_cast<std::size_t>(g.d().kernel * g.h().kernel));
  const bool in_turn = beyond_cache(p);
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const TileColumns columns(w, tiles.columns(item));
    const Element* image = static_cast<const Element*>(p.input) +
                           item.plane * g.d().input * g.h().input * row +
                           columns.inputs.begin * g.channels;
    const Span depth = g.d().taps(item.d);
    const Span height = g.h().taps(item.h);
    std::int64_t count = 0;
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        rows[static_cast<std::size_t>(count++)] =
            image + (g.d().position(item.d, td) * g.h().input + g.h().position(item.h, th)) * row;
      }
    }
    const std::int64_t size = columns.inputs.size() * g.channels;
    Lane* reduced = line.get() + columns.before * g.channels;
    int findings = 0;
    if (count == 0 || size == 0) {
      FillLine(reduced, size, R::Identity());
    } else if (in_turn && count <= kLongestRun) {
      findings = ReduceRowsInTurn<R>(rows.data(), count, size, reduced);
    } else {
      findings = ReduceRows<R>(rows.data(), count, size, reduced);
    }
    FillLine(line.get(), columns.before * g.channels, R::Identity());
    FillLine(reduced + size, columns.after * g.channels, R::Identity());

    const Span outputs = columns.outputs;
    finish.Start(0, item.d, item.h, outputs);
    Element* to = static_cast<Element*>(p.output) +
                  (((item.plane * g.d().output + item.d) * g.h().output + item.h) * w.output +
                   outputs.begin) *
                      g.channels;
    const auto take = w.kernel == 2   ? &WindowsOfGroups<R, 2, Writer>
                      : w.kernel == 3 ? &WindowsOfGroups<R, 3, Writer>
                                      : &WindowsOfGroups<R, 0, Writer>;
    take(line.get(), offsets.data(), w.kernel, w.stride, g.channels, outputs.size(),
         finish.writer(), to);
    if (findings != 0) redo(item.plane, item.d, item.h, outputs, findings);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
