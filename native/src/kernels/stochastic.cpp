// Stochastic pooling: drawn in training, expected in inference, and the gradient of the latter.
// Lanes are windows, each with the additions of the reference in the reference's order.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "geometry/dtype.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/turned.hpp"
#include "kernels/windows.hpp"
#include "reference/selection.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/stochastic.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/rows-inl.h"
#include "kernels/turned-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace stochastic_pooling {

using D = hn::ScalableTag<double>;
using DI = hn::RebindToSigned<D>;
using DU = hn::RebindToUnsigned<D>;
using V = hn::Vec<D>;

/** Loads `n` elements as f64; all lanes where n reaches so far. */
template <typename T>
HWY_INLINE V LoadDouble(const T* HWY_RESTRICT p, std::int64_t n) {
  const D d;
  if constexpr (std::is_same_v<T, double>) {
    return LoadPart(d, p, n);
  } else {
    return hn::PromoteTo(d, LoadPart(hn::Rebind<T, D>(), p, n));
  }
}

template <typename T>
HWY_INLINE void StoreDouble(V v, T* HWY_RESTRICT p, std::int64_t n) {
  const D d;
  if constexpr (std::is_same_v<T, double>) {
    StorePart(v, d, p, n);
  } else {
    const hn::Rebind<T, D> narrow;
    StorePart(hn::DemoteTo(narrow, v), narrow, p, n);
  }
}

/** philox() of geometry/philox.hpp: the first words for 64-bit counters, as numbers in [0, 1). */
HWY_INLINE V UnitInterval(hn::Vec<DU> counters, std::uint64_t seed) {
  const D d;
  const DU du;
  const hn::Repartition<std::uint32_t, D> d32;
  const auto left = hn::Set(d32, 0xD2511F53u);
  const auto right = hn::Set(d32, 0xCD9E8D57u);
  auto k0 = static_cast<std::uint32_t>(seed);
  auto k1 = static_cast<std::uint32_t>(seed >> 32);
  // One word per 64-bit lane; what is above the word is never looked at.
  auto c0 = counters;
  auto c1 = hn::ShiftRight<32>(counters);
  auto c2 = hn::Zero(du);
  auto c3 = hn::Zero(du);
  for (int round = 0; round < 10; ++round) {
    const auto a = hn::MulEven(hn::BitCast(d32, c0), left);
    const auto b = hn::MulEven(hn::BitCast(d32, c2), right);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(b), c1), hn::Set(du, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(a), c3), hn::Set(du, k1));
    c1 = b;
    c3 = a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const auto fraction = hn::And(hn::ShiftRight<8>(c0), hn::Set(du, 0xFFFFFFu));
  // The bits of 2^52 + fraction.
  const auto shifted = hn::BitCast(d, hn::Or(fraction, hn::Set(du, 0x4330000000000000u)));
  return hn::Mul(hn::Sub(shifted, hn::Set(d, 0x1p52)), hn::Set(d, 0x1p-24));
}

template <class Load>
HWY_INLINE V SumTaps(const Load& load, std::int64_t taps) {
  auto sum = hn::Zero(D());
  for (std::int64_t i = 0; i < taps; ++i) sum = hn::Add(sum, load(i));
  return sum;
}

/** square_scale() of the reference. */
HWY_INLINE V SquareScale(V sum) {
  const D d;
  const DI di;
  const auto exponent = hn::ShiftRight<52>(hn::BitCast(di, sum));
  const auto inverse = hn::Sub(hn::Set(di, 2046), exponent);
  const auto one = hn::Set(di, 1);
  const auto least = hn::IfThenElse(hn::Gt(one, inverse), one, inverse);
  return hn::BitCast(d, hn::ShiftLeft<52>(least));
}

/** The sums of windows, and in `expected` their expectations; 0 where the sum is. */
template <typename T, class Load>
HWY_INLINE V SumAndExpect(const Load& load, std::int64_t taps, V& expected) {
  const D d;
  auto sum = hn::Zero(d);
  auto squares = hn::Zero(d);
  if constexpr (sizeof(T) < sizeof(double)) {
    for (std::int64_t i = 0; i < taps; ++i) {
      const auto a = load(i);
      sum = hn::Add(sum, a);
      squares = hn::Add(squares, hn::Mul(a, a));
    }
    expected = hn::Div(squares, sum);
  } else {
    sum = SumTaps(load, taps);
    const auto scale = SquareScale(sum);
    for (std::int64_t i = 0; i < taps; ++i) {
      const auto a = hn::Mul(load(i), scale);
      squares = hn::Add(squares, hn::Mul(a, a));
    }
    expected = hn::Div(hn::Div(squares, hn::Mul(sum, scale)), scale);
  }
  expected = hn::IfThenZeroElse(hn::Eq(sum, hn::Zero(d)), expected);
  return sum;
}

/** Draws a tap of each window: its value, and in `index` which; -1 where the sum is 0. */
template <class Load>
HWY_INLINE V DrawTap(const Load& load, std::int64_t taps, V u, hn::Vec<DI>& index) {
  const D d;
  const DI di;
  const auto sum = SumTaps(load, taps);
  const auto none = hn::Eq(sum, hn::Zero(d));
  const auto finite = hn::Min(sum, hn::Set(d, std::numeric_limits<double>::max()));
  const auto below = hn::BitCast(d, hn::Sub(hn::BitCast(di, sum), hn::Set(di, 1)));
  const auto limit = hn::IfThenElse(none, sum, hn::Min(hn::Mul(u, finite), below));
  auto running = hn::Zero(d);
  auto taken = running;
  auto pending = hn::Eq(running, running);
  // -1 for every tap that was passed over.
  auto passed = hn::Zero(di);
  for (std::int64_t i = 0; i < taps; ++i) {
    const auto a = load(i);
    taken = hn::IfThenElse(pending, a, taken);
    running = hn::Add(running, a);
    pending = hn::Le(running, limit);
    passed = hn::Add(passed, hn::VecFromMask(di, hn::RebindMask(di, pending)));
  }
  const auto drawn = hn::Sub(hn::Zero(di), passed);
  index = hn::IfThenElse(hn::RebindMask(di, none), hn::Set(di, -1), drawn);
  return hn::IfThenElse(none, hn::Zero(d), taken);
}

// --- planes of rows: lanes along W ---

inline RowTiles PlanarTiles(const PlaneView& view) {
  constexpr std::int64_t kElements = 8192;
  const std::int64_t room = kElements / (view.d.kernel * view.h.kernel);
  const std::int64_t reach = view.w.reach();
  return {view.d.output, view.h.output, view.w.output,
          std::max({room - reach, reach, std::int64_t{64}}) / view.w.stride + 1};
}

/** The rows of a window, copied into lines between zeros and split into phases. */
template <typename T>
class PaddedRows {
 public:
  PaddedRows(const PlaneView& view, std::int64_t tile)
      : view_(view),
        offsets_(view.w, tile),
        rows_(view),
        lines_(view.d.kernel * view.h.kernel * offsets_.pitch()),
        joined_(offsets_.length()) {}

  /** Copies what the windows of a row tile hold. */
  void Stage(const T* plane, const RowTiles::Item& item, const TileColumns& columns) {
    const std::int64_t size = columns.inputs.size();
    const std::int64_t count = rows_.List(plane, item.d, item.h, columns.inputs.begin);
    taps_.clear();
    for (std::int64_t r = 0; r < count; ++r) {
      const T* row = rows_.data()[r];
      T* staged = lines_.get() + r * offsets_.pitch();
      if (view_.w.stride == 1) {
        std::copy_n(row, size, staged + columns.before);
        columns.Pad(staged, T{0});
      } else {
        std::copy_n(row, size, joined_.get());
        SplitPhases(joined_.get(), columns, view_.w.stride, T{0}, staged, offsets_.phase_pitch());
      }
      for (std::int64_t t = 0; t < view_.w.kernel; ++t) taps_.push_back(staged + offsets_[t]);
    }
  }

  /** Where each tap of the tile's first window lies; of the next ones, behind it. */
  const std::vector<const T*>& taps() const { return taps_; }
  const T* const* rows() const { return rows_.data(); }

 private:
  const PlaneView& view_;
  const LineOffsets offsets_;
  WindowRows<T> rows_;
  const Line<T> lines_;
  const Line<T> joined_;
  std::vector<const T*> taps_;
};

/** Loads a tap of the windows at `o`. */
template <typename T>
struct PaddedLoad {
  const T* const* taps;
  std::int64_t o;
  HWY_INLINE V operator()(std::int64_t i) const { return LoadDouble(taps[i] + o, LaneCount(D())); }
};

template <typename T>
class PlanarDraws {
 public:
  explicit PlanarDraws(const Pooling& p)
      : p_(p), view_(p), tiles_(PlanarTiles(view_)), rows_(view_, tiles_.tile) {}

  void Run(Span items) {
    const auto* x = static_cast<const T*>(p_.input);
    RowTiles::Item item = tiles_.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, tiles_.advance(item)) {
      const TileColumns columns(view_.w, tiles_.columns(item));
      rows_.Stage(x + item.plane * view_.input_plane(), item, columns);
      const std::int64_t to = OutputOffset(view_, item, columns.outputs.begin);
      if (p_.draw.training) {
        ListRows(item);
        Train(to, columns.outputs);
      } else {
        Infer(to, columns.outputs.size());
      }
    }
  }

 private:
  /** Ordinal, and position but for the column of tap 0, of each staged tap. */
  void ListRows(const RowTiles::Item& item) {
    listed_.clear();
    const Span depth = view_.d.taps(item.d);
    const Span height = view_.h.taps(item.h);
    for (std::int64_t td = depth.begin; td < depth.end; ++td) {
      for (std::int64_t th = height.begin; th < height.end; ++th) {
        const std::int64_t row =
            view_.d.position(item.d, td) * view_.h.input + view_.h.position(item.h, th);
        const std::int64_t ordinal = (td * view_.h.kernel + th) * view_.w.kernel;
        for (std::int64_t t = 0; t < view_.w.kernel; ++t) {
          listed_.push_back({T{0}, row * view_.w.input + t * view_.w.dilation, ordinal + t});
        }
      }
    }
  }

  HWY_NOINLINE void Train(std::int64_t to, Span outputs) {
    const DU du;
    const DI di;
    const std::int64_t lanes = LaneCount(di);
    const auto count = static_cast<std::int64_t>(rows_.taps().size());
    HWY_ALIGN std::int64_t drawn[hn::MaxLanes(di)];
    T* y = static_cast<T*>(p_.output) + to;
    for (std::int64_t o = 0; o < outputs.size(); o += lanes) {
      // A planar output's place in memory is its logical position.
      const auto counters = hn::Iota(du, static_cast<std::uint64_t>(to + o));
      auto index = hn::Zero(di);
      const auto value = DrawTap(PaddedLoad<T>{rows_.taps().data(), o}, count,
                                 UnitInterval(counters, p_.draw.seed), index);
      const std::int64_t part = std::min(lanes, outputs.size() - o);
      StoreDouble(value, y + o, part);
      hn::Store(index, di, drawn);
      for (std::int64_t i = 0; i < part; ++i) {
        Record(to + o + i, outputs.begin + o + i, count == 0 ? kNone : drawn[i]);
      }
    }
  }

  /** Writes the mask's entry of output column `o`: tap `drawn`, or the first where that is -1. */
  HWY_INLINE void Record(std::int64_t entry, std::int64_t o, std::int64_t drawn) const {
    if (drawn < 0) {
      const Span taps = view_.w.taps(o);
      drawn = drawn == kNone || taps.empty() ? kNone : taps.begin;
    }
    reference::Selected<T> selected{T{0}};
    if (drawn != kNone) {
      selected = listed_[static_cast<std::size_t>(drawn)];
      selected.position += view_.w.start(o);
    }
    reference::write_mask(p_, entry, selected);
  }

  HWY_NOINLINE void Infer(std::int64_t to, std::int64_t size) const {
    const std::int64_t lanes = LaneCount(D());
    const auto count = static_cast<std::int64_t>(rows_.taps().size());
    T* y = static_cast<T*>(p_.output) + to;
    for (std::int64_t o = 0; o < size; o += lanes) {
      const PaddedLoad<T> load{rows_.taps().data(), o};
      auto expected = hn::Zero(D());
      SumAndExpect<T>(load, count, expected);
      StoreDouble(expected, y + o, size - o);
    }
  }

  static constexpr std::int64_t kNone = -2;

  const Pooling& p_;
  const PlaneView view_;
  const RowTiles tiles_;
  PaddedRows<T> rows_;
  std::vector<reference::Selected<T>> listed_;
};

template <typename T>
void Planar(const Pooling& p, Span items) {
  PlanarDraws<T>(p).Run(items);
}

// --- interleaved: lanes along C ---

/** Loads a tap of `n` channels; behind the tensor's end it stops. */
template <typename T>
struct ChannelLoad {
  const T* x;
  const T* end;
  const std::int64_t* offsets;
  std::int64_t n;
  HWY_INLINE V operator()(std::int64_t i) const {
    const T* p = x + offsets[i];
    const std::int64_t lanes = LaneCount(D());
    return LoadDouble(p, end - p >= lanes ? lanes : n);
  }
};

template <typename T>
void Interleaved(const Pooling& p, Span items) {
  const DU du;
  const DI di;
  const std::int64_t lanes = LaneCount(di);
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedOutputTiles(g);
  const T* x = static_cast<const T*>(p.input);
  const T* end = x + g.input_size();
  InterleavedWindows windows(g);
  HWY_ALIGN std::int64_t drawn[hn::MaxLanes(di)];
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    for (std::int64_t w = columns.begin; w < columns.end; ++w) {
      const Taps taps = windows.at(item.d, item.h, w);
      const std::int64_t output = tiles.row(item) * g.w().output + w;
      const std::int64_t first = (item.plane * g.output_plane() + output) * g.channels;
      T* y = static_cast<T*>(p.output) + first;
      for (std::int64_t c = 0; c < g.channels; c += lanes) {
        const std::int64_t part = std::min(lanes, g.channels - c);
        const ChannelLoad<T> load{x + item.plane * g.input_plane() * g.channels + taps.base + c,
                                  end, taps.offset, part};
        if (!p.draw.training) {
          auto expected = hn::Zero(D());
          SumAndExpect<T>(load, taps.count, expected);
          StoreDouble(expected, y + c, part);
          continue;
        }
        const std::int64_t plane = p.draw.first_plane + item.plane * g.channels + c;
        for (std::int64_t i = 0; i < lanes; ++i) drawn[i] = i * g.output_plane();
        const auto counters =
            hn::Add(hn::BitCast(du, hn::Load(di, drawn)),
                    hn::Set(du, static_cast<std::uint64_t>(plane * g.output_plane() + output)));
        auto at = hn::Zero(di);
        const auto value = DrawTap(load, taps.count, UnitInterval(counters, p.draw.seed), at);
        StoreDouble(value, y + c, part);
        hn::Store(at, di, drawn);
        for (std::int64_t i = 0; i < part; ++i) {
          reference::Selected<T> selected{T{0}};
          if (taps.count > 0) {
            const std::int64_t tap = std::max<std::int64_t>(0, drawn[i]);
            selected.position = taps.base_position + taps.position[tap];
            selected.ordinal = taps.ordinal[tap];
          }
          reference::write_mask(p, first + c + i, selected);
        }
      }
    }
  }
}

// --- the gradient of the expectation: dx = 2 a (sum of dy / S) - (sum of dy y / S) ---

/** dy / S and its product with y, 0 where S is. */
template <typename T, class Load>
HWY_INLINE void Share(const Load& load, std::int64_t taps, V dy, V& weight, V& product) {
  const D d;
  auto y = hn::Zero(d);
  const auto sum = SumAndExpect<T>(load, taps, y);
  weight = hn::IfThenZeroElse(hn::Eq(sum, hn::Zero(d)), hn::Div(dy, sum));
  product = hn::Mul(weight, y);
}

template <typename T>
HWY_INLINE void WriteGradient(const T* HWY_RESTRICT x, V weights, V products, T* HWY_RESTRICT dx,
                              std::int64_t n) {
  const auto a = LoadDouble(x, n);
  StoreDouble(hn::Sub(hn::Mul(hn::Add(a, a), weights), products), dx, n);
}

/** Adds `size` pairs to those `stride` apart. */
HWY_INLINE void AddPairs(double* HWY_RESTRICT to, std::int64_t stride,
                         const double* HWY_RESTRICT from, std::int64_t size) {
  const hn::CappedTag<double, 2> pair;
  std::int64_t i = 0;
  if (stride == 1) {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    for (; i + lanes <= 2 * size; i += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
    }
  }
  for (; i < 2 * size; i += 2) {
    double* sums = to + i * stride;
    hn::StoreU(hn::Add(hn::LoadU(pair, sums), hn::LoadU(pair, from + i)), pair, sums);
  }
}

template <typename T>
void PlanarGradient(const Pooling& p, Span planes) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  const PlaneView view(p);
  const Axis& w = view.w;
  const RowTiles tiles = PlanarTiles(view);
  const std::int64_t inputs = view.input_plane();
  PaddedRows<T> rows(view, tiles.tile);
  // Of each element, and of each window of a row tile: the sum, or share, of dy / S and dy y / S.
  const Line<double> sums(2 * inputs);
  const Line<double> shares(2 * tiles.tile);
  for (std::int64_t plane = planes.begin; plane < planes.end; ++plane) {
    const T* x = static_cast<const T*>(p.x) + plane * inputs;
    T* dx = static_cast<T*>(p.output) + plane * inputs;
    std::fill_n(sums.get(), 2 * inputs, 0.0);
    RowTiles::Item item = tiles.item(plane * tiles.items_per_plane());
    for (; item.plane == plane; tiles.advance(item)) {
      const TileColumns columns(w, tiles.columns(item));
      const std::int64_t size = columns.outputs.size();
      rows.Stage(x, item, columns);
      const auto count = static_cast<std::int64_t>(rows.taps().size());
      const T* dy =
          static_cast<const T*>(p.input) + OutputOffset(view, item, columns.outputs.begin);
      for (std::int64_t o = 0; o < size; o += lanes) {
        auto weight = hn::Zero(d);
        auto product = weight;
        Share<T>(PaddedLoad<T>{rows.taps().data(), o}, count, LoadDouble(dy + o, size - o), weight,
                 product);
        hn::StoreInterleaved2(weight, product, d, shares.get() + 2 * o);
      }
      for (std::int64_t r = 0; r < count / w.kernel; ++r) {
        // The row lies in x as its sums do in theirs.
        const std::int64_t row = rows.rows()[r] - columns.inputs.begin - x;
        for (std::int64_t t = 0; t < w.kernel; ++t) {
          const std::int64_t start = w.position(columns.outputs.begin, t);
          const std::int64_t skip =
              start >= 0 ? 0 : std::min(size, (-start + w.stride - 1) / w.stride);
          const std::int64_t end =
              start >= w.input ? 0 : std::min(size, (w.input - start + w.stride - 1) / w.stride);
          if (skip >= end) continue;
          const std::int64_t at = row + start + skip * w.stride;
          AddPairs(sums.get() + 2 * at, w.stride, shares.get() + 2 * skip, end - skip);
        }
      }
    }
    for (std::int64_t i = 0; i < inputs; i += lanes) {
      V weights;
      V products;
      hn::LoadInterleaved2(d, sums.get() + 2 * i, weights, products);
      WriteGradient(x + i, weights, products, dx + i, inputs - i);
    }
  }
}

// Channels of an interleaved image that one work item takes.
constexpr std::int64_t kChannels = 16;

inline std::int64_t ChannelBlocks(const Pooling& p) {
  return (p.geometry.channels + kChannels - 1) / kChannels;
}

template <typename T>
void InterleavedGradient(const Pooling& p, Span items) {
  const D d;
  const std::int64_t lanes = LaneCount(d);
  const Geometry& g = p.geometry;
  const std::int64_t blocks = ChannelBlocks(p);
  const T* end = static_cast<const T*>(p.x) + g.input_size();
  const T* end_dy = static_cast<const T*>(p.input) + g.output_size();
  // A position's sums begin at a whole number of vectors; what is behind its channels is ours.
  const std::int64_t pitch = (std::min(kChannels, g.channels) + lanes - 1) / lanes * lanes;
  // Of each position: the sums of dy / S of all channels, then those of dy y / S.
  const std::int64_t size = 2 * g.input_plane() * pitch;
  const Line<double> sums(size);
  InterleavedWindows windows(g);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const std::int64_t image = index / blocks;
    const std::int64_t first = index % blocks * kChannels;
    const std::int64_t channels = std::min(kChannels, g.channels - first);
    const T* x = static_cast<const T*>(p.x) + image * g.input_plane() * g.channels + first;
    const T* dy = static_cast<const T*>(p.input) + image * g.output_plane() * g.channels + first;
    T* dx = static_cast<T*>(p.output) + image * g.input_plane() * g.channels + first;
    std::fill_n(sums.get(), size, 0.0);
    reference::for_each_output(
        g, [&](std::int64_t output, std::int64_t od, std::int64_t oh, std::int64_t ow) HWY_ATTR {
          const Taps taps = windows.at(od, oh, ow);
          for (std::int64_t c = 0; c < channels; c += lanes) {
            const std::int64_t part = std::min(lanes, channels - c);
            const T* own = dy + output * g.channels + c;
            auto weight = hn::Zero(d);
            auto product = weight;
            Share<T>(ChannelLoad<T>{x + taps.base + c, end, taps.offset, part}, taps.count,
                     LoadDouble(own, end_dy - own >= lanes ? lanes : part), weight, product);
            for (std::int64_t i = 0; i < taps.count; ++i) {
              const std::int64_t at = (taps.base_position + taps.position[i]) * 2 * pitch + c;
              double* weights = sums.get() + at;
              double* products = weights + pitch;
              hn::StoreU(hn::Add(hn::LoadU(d, weights), weight), d, weights);
              hn::StoreU(hn::Add(hn::LoadU(d, products), product), d, products);
            }
          }
        });
    for (std::int64_t i = 0; i < g.input_plane(); ++i) {
      for (std::int64_t c = 0; c < channels; c += lanes) {
        // A whole vector where what is behind the channels is of this item, and written later.
        const std::int64_t at = i * g.channels + c;
        const bool whole = blocks == 1 && at + lanes <= g.input_plane() * g.channels;
        const double* of = sums.get() + i * 2 * pitch + c;
        WriteGradient(x + at, hn::LoadU(d, of), hn::LoadU(d, of + pitch), dx + at,
                      whole ? lanes : std::min(lanes, channels - c));
      }
    }
  }
}

// --- what the tables hold: inline functions ---

inline void StochasticPlanar(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { Planar<T>(p, items); });
}
inline void StochasticInterleaved(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { Interleaved<T>(p, items); });
}
inline void StochasticTurned(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    ForwardTurned<T>(p, items, [](const Pooling& turned) {
      Interleaved<T>(turned, {0, InterleavedOutputItems(turned)});
    });
  });
}
inline void StochasticTurnedGradient(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() {
    BackwardTurned<T>(p, items, [](const Pooling& turned) {
      InterleavedGradient<T>(turned, {0, ChannelBlocks(turned)});
    });
  });
}
inline void StochasticPlanarGradient(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { PlanarGradient<T>(p, items); });
}
inline void StochasticInterleavedGradient(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { InterleavedGradient<T>(p, items); });
}

}  // namespace stochastic_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

using namespace HWY_NAMESPACE;
using namespace HWY_NAMESPACE::stochastic_pooling;  // the functions that decide are the same in
                                                    // every tier

// Of fewer outputs in a row, taking the windows one by one is faster than padding rows (measured).
constexpr std::int64_t kLeastOutputs = 12;

bool accepts_planar(const Pooling& p) {
  return p.layout == Layout::planar && RowsAccept(p) && p.geometry.w().output >= kLeastOutputs;
}

std::int64_t planar_items(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, PlanarTiles(view));
}

bool accepts_interleaved(const Pooling& p) {
  return p.layout == Layout::interleaved && p.geometry.taps() <= kMostListedTaps;
}

bool accepts_turned(const Pooling& p) {
  return can_turn(p) && p.geometry.taps() <= kMostListedTaps;
}

std::int64_t planes(const Pooling& p) { return p.geometry.planes(); }

std::int64_t channel_block_items(const Pooling& p) { return p.geometry.batch * ChannelBlocks(p); }

}  // namespace

std::span<const Kernel> stochastic_forward_kernels() {
  static const Kernel kernels[] = {
      {"planar_draws", accepts_planar, planar_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticPlanar)},
      {"turned_draws", accepts_turned, turned_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticTurned)},
      {"interleaved_draws", accepts_interleaved, InterleavedOutputItems,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticInterleaved)},
  };
  return kernels;
}

std::span<const Kernel> stochastic_backward_kernels() {
  static const Kernel kernels[] = {
      {"planar_shares", accepts_planar, planes,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticPlanarGradient)},
      {"turned_shares", accepts_turned, turned_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticTurnedGradient)},
      {"interleaved_shares", accepts_interleaved, channel_block_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(stochastic_pooling::StochasticInterleavedGradient)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
