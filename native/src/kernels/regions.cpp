// Reductions over the bins of regions (RoI pooling, RoIAlign) and their gradients.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "dispatch/kernel.hpp"
#include "geometry/dtype.hpp"
#include "kernels/scratch.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/regions.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/lanes-inl.h"

// What no tier changes; this file is compiled once per tier.
#ifndef FEATUREPOOL_KERNELS_REGIONS_CPP_ONCE
#define FEATUREPOOL_KERNELS_REGIONS_CPP_ONCE
namespace featurepool {

/** Channels that one work item takes: of an interleaved image, a cache line of each position. */
inline std::int64_t region_channels(const RegionPooling& call) {
  return call.layout == Layout::planar ? 8 : 64 / dtype_size(call.dtype);
}

inline std::int64_t region_channel_blocks(const RegionPooling& call) {
  const std::int64_t block = region_channels(call);
  return (call.channels + block - 1) / block;
}

/** The position and weight of one entry of the rows or columns of a bin. */
template <typename T>
struct RegionEntry {
  std::int64_t position;
  T weight;
};

template <typename T>
RegionEntry<T> region_entry(const BinTaps& taps, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  return {taps.position[at], static_cast<T>(taps.weight[at])};
}

}  // namespace featurepool
#endif

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace region_pooling {

template <typename T>
using D = hn::ScalableTag<T>;
template <typename T>
using DI = hn::RebindToSigned<D<T>>;
template <typename T>
using IndexOf = hn::TFromD<DI<T>>;

/** Loads a vector of an interleaved image; behind the tensor's end it stops after `n`. */
template <typename T>
HWY_INLINE hn::Vec<D<T>> LoadChannels(const T* p, const T* end, std::int64_t n) {
  const D<T> d;
  return LoadPart(d, p, end - p >= LaneCount(d) ? LaneCount(d) : n);
}

// --- maxima ---

// The greatest weighted elements so far are three vectors: value, weight and position (-1: none).
// They are not a struct, which scalable vectors cannot be members of.

/** Takes elements that are greater, or NaN, lane by lane. */
template <typename T>
HWY_INLINE void TakeGreater(hn::Vec<D<T>> term, hn::Vec<D<T>> product, hn::Vec<DI<T>> at,
                            hn::Vec<D<T>>& value, hn::Vec<D<T>>& weight, hn::Vec<DI<T>>& position) {
  const DI<T> di;
  const auto better = hn::Or(hn::Gt(term, value), hn::IsNaN(term));
  value = hn::IfThenElse(better, term, value);
  weight = hn::IfThenElse(better, product, weight);
  position = hn::IfThenElse(hn::RebindMask(di, better), at, position);
}

/** Forgets all in the lanes of `none`: 0 at no position. */
template <typename T>
HWY_INLINE void Forget(hn::Mask<D<T>> none, hn::Vec<D<T>>& value, hn::Vec<D<T>>& weight,
                       hn::Vec<DI<T>>& position) {
  const DI<T> di;
  value = hn::IfThenZeroElse(none, value);
  weight = hn::IfThenZeroElse(none, weight);
  position = hn::IfThenElse(hn::RebindMask(di, none), hn::Set(di, -1), position);
}

/** The columns of all bins of a row of bins of one region, side by side: lanes are bins. */
template <typename T>
class BinColumns {
 public:
  explicit BinColumns(const RegionPooling& call)
      : columns_(call.taps.columns), pitch_((call.columns + kLanes - 1) / kLanes * kLanes) {}

  void Start(std::int64_t region) {
    length_ = 0;
    for (std::int64_t b = 0; b < columns_.bins; ++b) {
      length_ = std::max(length_, columns_.of(region, b).size());
    }
    const auto size = static_cast<std::size_t>(length_ * pitch_);
    position_.assign(size, 0);
    weight_.assign(size, 0);
    outside_.assign(static_cast<std::size_t>(pitch_), 0);
    empty_.assign(static_cast<std::size_t>(pitch_), 1);
    for (std::int64_t b = 0; b < columns_.bins; ++b) {
      const Span span = columns_.of(region, b);
      outside_[static_cast<std::size_t>(b)] = columns_.has_outside(region, b) ? 1 : 0;
      if (span.empty()) continue;
      empty_[static_cast<std::size_t>(b)] = 0;
      for (std::int64_t t = 0; t < length_; ++t) {
        // The last entry, seen again, changes nothing.
        const auto entry = region_entry<T>(columns_, span.begin + std::min(t, span.size() - 1));
        const auto at = static_cast<std::size_t>(t * pitch_ + b);
        position_[at] = static_cast<IndexOf<T>>(entry.position);
        weight_[at] = entry.weight;
      }
    }
  }

  /** The greatest elements of the bins from `b` on of the row of bins that has rows `down`. */
  HWY_INLINE void Reduce(const BinTaps& rows, Span down, bool outside, const T* x,
                         std::int64_t width, std::int64_t b, hn::Vec<D<T>>& value,
                         hn::Vec<D<T>>& weight, hn::Vec<DI<T>>& position) const {
    const D<T> d;
    const DI<T> di;
    value = hn::Zero(d);
    weight = hn::Zero(d);
    position = hn::Set(di, -1);
    if (length_ == 0) return;
    for (std::int64_t i = down.begin; i < down.end; ++i) {
      const auto row = region_entry<T>(rows, i);
      const T* line = x + row.position * width;
      const auto base = hn::Set(di, static_cast<IndexOf<T>>(row.position * width));
      const auto scale = hn::Set(d, row.weight);
      for (std::int64_t t = 0; t < length_; ++t) {
        const auto offset = static_cast<std::size_t>(t * pitch_ + b);
        const auto column = hn::LoadU(di, position_.data() + offset);
        const auto product = hn::Mul(scale, hn::LoadU(d, weight_.data() + offset));
        const auto term = hn::Mul(product, hn::GatherIndex(d, line, column));
        const auto at = hn::Add(base, column);
        if (i == down.begin && t == 0 && !outside) {
          value = term;
          weight = product;
          position = at;
          Forget<T>(Flagged(outside_, b), value, weight, position);
        }
        TakeGreater<T>(term, product, at, value, weight, position);
      }
    }
    Forget<T>(Flagged(empty_, b), value, weight, position);
  }

 private:
  static constexpr std::int64_t kLanes = 64;

  HWY_INLINE hn::Mask<D<T>> Flagged(const std::vector<T>& flags, std::int64_t b) const {
    const D<T> d;
    return hn::Ne(hn::LoadU(d, flags.data() + b), hn::Zero(d));
  }

  const BinTaps& columns_;
  const std::int64_t pitch_;
  std::int64_t length_ = 0;
  std::vector<IndexOf<T>> position_;
  std::vector<T> weight_;
  std::vector<T> outside_;
  std::vector<T> empty_;
};

/** Items are blocks of channels of regions. */
template <typename T>
void MaxBins(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t blocks = region_channel_blocks(call);
  BinColumns<T> columns(call);
  std::int64_t started = -1;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t region = item / blocks;
    const std::int64_t first = item % blocks * region_channels(call);
    if (region != started) columns.Start(region);
    started = region;
    const std::int64_t image = call.images[static_cast<std::size_t>(region)];
    for (std::int64_t c = first; c < std::min(call.channels, first + region_channels(call)); ++c) {
      const T* x =
          static_cast<const T*>(call.input) + (image * call.channels + c) * call.input_plane();
      const std::int64_t to = (region * call.channels + c) * call.output_plane();
      for (std::int64_t row = 0; row < call.rows; ++row) {
        const Span down = call.taps.rows.of(region, row);
        const bool outside = call.taps.rows.has_outside(region, row);
        for (std::int64_t b = 0; b < call.columns; b += LaneCount(d)) {
          hn::Vec<D<T>> value, weight;
          hn::Vec<DI<T>> position;
          columns.Reduce(call.taps.rows, down, outside, x, call.width, b, value, weight, position);
          const std::int64_t at = to + row * call.columns + b;
          StorePart(value, d, static_cast<T*>(call.output) + at, call.columns - b);
          if (call.mask != nullptr) {
            StorePositions(DI<T>(), position, call.mask + at, call.columns - b);
          }
        }
      }
    }
  }
}

/** The greatest elements of one bin in channels from `x` on, `n` of them wanted. */
template <typename T>
HWY_INLINE void MaxOfChannels(const RegionPooling& call, std::int64_t region, std::int64_t row,
                              std::int64_t column, const T* x, const T* end, std::int64_t n,
                              hn::Vec<D<T>>& value, hn::Vec<D<T>>& weight,
                              hn::Vec<DI<T>>& position) {
  const D<T> d;
  const DI<T> di;
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  const Span down = rows.of(region, row);
  const Span across = columns.of(region, column);
  value = hn::Zero(d);
  weight = hn::Zero(d);
  position = hn::Set(di, -1);
  bool found = rows.has_outside(region, row) || columns.has_outside(region, column);
  for (std::int64_t i = down.begin; i < down.end; ++i) {
    const auto r = region_entry<T>(rows, i);
    for (std::int64_t j = across.begin; j < across.end; ++j) {
      const auto c = region_entry<T>(columns, j);
      const std::int64_t place = r.position * call.width + c.position;
      const auto product = hn::Set(d, r.weight * c.weight);
      const auto term = hn::Mul(product, LoadChannels<T>(x + place * call.channels, end, n));
      const auto at = hn::Set(di, static_cast<IndexOf<T>>(place));
      if (!found) {
        value = term;
        weight = product;
        position = at;
      }
      found = true;
      TakeGreater<T>(term, product, at, value, weight, position);
    }
  }
}

/** Items are rows of bins of regions. */
template <typename T>
void MaxChannels(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t channels = call.channels;
  const T* end = static_cast<const T*>(call.input) + call.batch * call.input_plane() * channels;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t region = item / call.rows;
    const std::int64_t row = item % call.rows;
    const T* x = static_cast<const T*>(call.input) +
                 call.images[static_cast<std::size_t>(region)] * call.input_plane() * channels;
    for (std::int64_t column = 0; column < call.columns; ++column) {
      const std::int64_t to = (item * call.columns + column) * channels;
      for (std::int64_t c = 0; c < channels; c += LaneCount(d)) {
        hn::Vec<D<T>> value, weight;
        hn::Vec<DI<T>> position;
        MaxOfChannels<T>(call, region, row, column, x + c, end, channels - c, value, weight,
                         position);
        StorePart(value, d, static_cast<T*>(call.output) + to + c, channels - c);
        if (call.mask != nullptr) {
          StorePositions(DI<T>(), position, call.mask + to + c, channels - c);
        }
      }
    }
  }
}

/** Adds the gradients of `n` lanes where their greatest elements were, `step` apart, lane by lane.
 */
template <typename T>
HWY_INLINE void ScatterGreatest(hn::Vec<D<T>> weights, hn::Vec<DI<T>> positions, const T* dy,
                                std::int64_t n, T* dx, std::int64_t step, std::int64_t lane_step) {
  const D<T> d;
  const DI<T> di;
  HWY_ALIGN T weight[hn::MaxLanes(D<T>())];
  HWY_ALIGN IndexOf<T> position[hn::MaxLanes(D<T>())];
  hn::Store(weights, d, weight);
  hn::Store(positions, di, position);
  for (std::int64_t lane = 0; lane < std::min(n, LaneCount(d)); ++lane) {
    if (position[lane] >= 0)
      dx[position[lane] * step + lane * lane_step] += dy[lane] * weight[lane];
  }
}

/** Items are planes of images. */
template <typename T>
void MaxBinsBackward(const RegionPooling& call, Span items) {
  const D<T> d;
  BinColumns<T> columns(call);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t channel = item % call.channels;
    const T* x = static_cast<const T*>(call.x) + item * call.input_plane();
    T* dx = static_cast<T*>(call.output) + item * call.input_plane();
    std::fill_n(dx, call.input_plane(), T{0});
    for (const std::int64_t region : call.regions_of(item / call.channels)) {
      columns.Start(region);
      const T* dy = static_cast<const T*>(call.input) +
                    (region * call.channels + channel) * call.output_plane();
      for (std::int64_t row = 0; row < call.rows; ++row) {
        const Span down = call.taps.rows.of(region, row);
        const bool outside = call.taps.rows.has_outside(region, row);
        for (std::int64_t b = 0; b < call.columns; b += LaneCount(d)) {
          hn::Vec<D<T>> value, weight;
          hn::Vec<DI<T>> position;
          columns.Reduce(call.taps.rows, down, outside, x, call.width, b, value, weight, position);
          ScatterGreatest<T>(weight, position, dy + row * call.columns + b, call.columns - b, dx, 1,
                             0);
        }
      }
    }
  }
}

/** One block of channels of an interleaved image. */
template <typename T>
struct ChannelBlock {
  std::int64_t image;
  std::int64_t first;
  std::int64_t size;

  ChannelBlock(const RegionPooling& call, std::int64_t item) {
    const std::int64_t blocks = region_channel_blocks(call);
    image = item / blocks;
    first = item % blocks * region_channels(call);
    size = std::min(region_channels(call), call.channels - first);
  }

  T* In(const RegionPooling& call, T* tensor) const {
    return tensor + image * call.input_plane() * call.channels + first;
  }

  void Clear(const RegionPooling& call, std::remove_const_t<T>* dx) const {
    for (std::int64_t i = 0; i < call.input_plane(); ++i) {
      std::fill_n(dx + i * call.channels, size, T{0});
    }
  }
};

/** Items are blocks of channels of images. */
template <typename T>
void MaxChannelsBackward(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t channels = call.channels;
  const T* end = static_cast<const T*>(call.x) + call.batch * call.input_plane() * channels;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const ChannelBlock<T> block(call, item);
    T* dx = block.In(call, static_cast<T*>(call.output));
    const T* x = static_cast<const T*>(call.x) + (dx - static_cast<T*>(call.output));
    block.Clear(call, dx);
    for (const std::int64_t region : call.regions_of(block.image)) {
      for (std::int64_t bin = 0; bin < call.output_plane(); ++bin) {
        const T* dy = static_cast<const T*>(call.input) +
                      (region * call.output_plane() + bin) * channels + block.first;
        for (std::int64_t c = 0; c < block.size; c += LaneCount(d)) {
          hn::Vec<D<T>> value, weight;
          hn::Vec<DI<T>> position;
          MaxOfChannels<T>(call, region, bin / call.columns, bin % call.columns, x + c, end,
                           block.size - c, value, weight, position);
          ScatterGreatest<T>(weight, position, dy + c, block.size - c, dx + c, channels, 1);
        }
      }
    }
  }
}

// --- sums ---

/** The columns that a region touches. */
inline Span TouchedColumns(const RegionPooling& call, std::int64_t region) {
  const BinTaps& columns = call.taps.columns;
  const auto begin = columns.position.begin() + columns.of(region, 0).begin;
  const auto end = columns.position.begin() + columns.of(region, call.columns - 1).end;
  if (begin == end) return {0, 0};
  const auto [least, most] = std::minmax_element(begin, end);
  return {*least, *most + 1};
}

/** Items are blocks of channels of regions: rows of a plane are added up, then along columns. */
template <typename T>
void SumRows(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t blocks = region_channel_blocks(call);
  const T* end =
      static_cast<const T*>(call.input) + call.batch * call.channels * call.input_plane();
  const Line<T> line(call.width);
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t region = item / blocks;
    const std::int64_t first = item % blocks * region_channels(call);
    const Span touched = TouchedColumns(call, region);
    const std::int64_t image = call.images[static_cast<std::size_t>(region)];
    const auto count = static_cast<T>(call.taps.count[static_cast<std::size_t>(region)]);
    for (std::int64_t c = first; c < std::min(call.channels, first + region_channels(call)); ++c) {
      const T* x = static_cast<const T*>(call.input) +
                   (image * call.channels + c) * call.input_plane() + touched.begin;
      T* y = static_cast<T*>(call.output) + (region * call.channels + c) * call.output_plane();
      for (std::int64_t row = 0; row < call.rows; ++row, y += call.columns) {
        const Span down = rows.of(region, row);
        for (std::int64_t i = 0; i < touched.size(); i += LaneCount(d)) {
          auto sum = hn::Zero(d);
          for (std::int64_t r = down.begin; r < down.end; ++r) {
            const auto entry = region_entry<T>(rows, r);
            const auto value =
                LoadChannels<T>(x + entry.position * call.width + i, end, touched.size() - i);
            sum = hn::Add(sum, hn::Mul(hn::Set(d, entry.weight), value));
          }
          hn::StoreU(sum, d, line.get() + i);
        }
        for (std::int64_t b = 0; b < call.columns; ++b) {
          const Span across = columns.of(region, b);
          T sum = 0;
          for (std::int64_t j = across.begin; j < across.end; ++j) {
            const auto entry = region_entry<T>(columns, j);
            sum += entry.weight * line[entry.position - touched.begin];
          }
          y[b] = sum / count;
        }
      }
    }
  }
}

/** Items are rows of bins of regions. */
template <typename T>
void SumChannels(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t channels = call.channels;
  const T* end = static_cast<const T*>(call.input) + call.batch * call.input_plane() * channels;
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const auto region = static_cast<std::size_t>(item / call.rows);
    const Span down = rows.of(item / call.rows, item % call.rows);
    const T* x =
        static_cast<const T*>(call.input) + call.images[region] * call.input_plane() * channels;
    const auto count = hn::Set(d, static_cast<T>(call.taps.count[region]));
    for (std::int64_t column = 0; column < call.columns; ++column) {
      const Span across = columns.of(item / call.rows, column);
      T* y = static_cast<T*>(call.output) + (item * call.columns + column) * channels;
      for (std::int64_t c = 0; c < channels; c += LaneCount(d)) {
        auto sum = hn::Zero(d);
        for (std::int64_t i = down.begin; i < down.end; ++i) {
          const auto row = region_entry<T>(rows, i);
          for (std::int64_t j = across.begin; j < across.end; ++j) {
            const auto entry = region_entry<T>(columns, j);
            const T* p = x + (row.position * call.width + entry.position) * channels + c;
            sum = hn::Add(sum, hn::Mul(hn::Set(d, row.weight * entry.weight),
                                       LoadChannels<T>(p, end, channels - c)));
          }
        }
        StorePart(hn::Div(sum, count), d, y + c, channels - c);
      }
    }
  }
}

/** `p[i] += weight * share[i]` for the lanes i < n. */
template <typename T>
HWY_INLINE void AddTo(T* HWY_RESTRICT p, T weight, hn::Vec<D<T>> share, std::int64_t n) {
  const D<T> d;
  if (HWY_LIKELY(n >= LaneCount(d))) {
    hn::StoreU(hn::Add(hn::LoadU(d, p), hn::Mul(hn::Set(d, weight), share)), d, p);
    return;
  }
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(share, d, lanes);
  for (std::int64_t i = 0; i < n; ++i) p[i] += weight * lanes[i];
}

/** Items are planes of images: SumRows() the other way round. */
template <typename T>
void SumRowsBackward(const RegionPooling& call, Span items) {
  const D<T> d;
  const Line<T> line(call.width);
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t channel = item % call.channels;
    T* plane = static_cast<T*>(call.output) + item * call.input_plane();
    std::fill_n(plane, call.input_plane(), T{0});
    for (const std::int64_t region : call.regions_of(item / call.channels)) {
      const Span touched = TouchedColumns(call, region);
      const auto count = static_cast<T>(call.taps.count[static_cast<std::size_t>(region)]);
      const T* dy = static_cast<const T*>(call.input) +
                    (region * call.channels + channel) * call.output_plane();
      for (std::int64_t row = 0; row < call.rows; ++row, dy += call.columns) {
        std::fill_n(line.get(), touched.size(), T{0});
        for (std::int64_t b = 0; b < call.columns; ++b) {
          const Span across = columns.of(region, b);
          const T share = dy[b] / count;
          for (std::int64_t j = across.begin; j < across.end; ++j) {
            const auto entry = region_entry<T>(columns, j);
            line[entry.position - touched.begin] += entry.weight * share;
          }
        }
        const Span down = rows.of(region, row);
        for (std::int64_t r = down.begin; r < down.end; ++r) {
          const auto entry = region_entry<T>(rows, r);
          T* dx = plane + entry.position * call.width + touched.begin;
          for (std::int64_t i = 0; i < touched.size(); i += LaneCount(d)) {
            AddTo(dx + i, entry.weight, hn::LoadU(d, line.get() + i), touched.size() - i);
          }
        }
      }
    }
  }
}

/** Items are blocks of channels of images. */
template <typename T>
void SumChannelsBackward(const RegionPooling& call, Span items) {
  const D<T> d;
  const std::int64_t channels = call.channels;
  const BinTaps& rows = call.taps.rows;
  const BinTaps& columns = call.taps.columns;
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const ChannelBlock<T> block(call, item);
    T* dx = block.In(call, static_cast<T*>(call.output));
    block.Clear(call, dx);
    for (const std::int64_t region : call.regions_of(block.image)) {
      const auto count =
          hn::Set(d, static_cast<T>(call.taps.count[static_cast<std::size_t>(region)]));
      for (std::int64_t bin = 0; bin < call.output_plane(); ++bin) {
        const Span down = rows.of(region, bin / call.columns);
        const Span across = columns.of(region, bin % call.columns);
        const T* dy = static_cast<const T*>(call.input) +
                      (region * call.output_plane() + bin) * channels + block.first;
        for (std::int64_t c = 0; c < block.size; c += LaneCount(d)) {
          const std::int64_t n = block.size - c;
          const auto share = hn::Div(LoadPart(d, dy + c, n), count);
          for (std::int64_t i = down.begin; i < down.end; ++i) {
            const auto row = region_entry<T>(rows, i);
            for (std::int64_t j = across.begin; j < across.end; ++j) {
              const auto entry = region_entry<T>(columns, j);
              T* p = dx + (row.position * call.width + entry.position) * channels + c;
              AddTo(p, row.weight * entry.weight, share, n);
            }
          }
        }
      }
    }
  }
}

// --- what the tables hold: inline functions ---

#define FEATUREPOOL_REGION_KERNEL(NAME, FUNCTION)                                           \
  inline void NAME(const RegionPooling& call, Span items) {                                 \
    call.dtype == FPOOL_F32 ? FUNCTION<float>(call, items) : FUNCTION<double>(call, items); \
  }
FEATUREPOOL_REGION_KERNEL(RunMaxBins, MaxBins)
FEATUREPOOL_REGION_KERNEL(RunMaxChannels, MaxChannels)
FEATUREPOOL_REGION_KERNEL(RunMaxBinsBackward, MaxBinsBackward)
FEATUREPOOL_REGION_KERNEL(RunMaxChannelsBackward, MaxChannelsBackward)
FEATUREPOOL_REGION_KERNEL(RunSumRows, SumRows)
FEATUREPOOL_REGION_KERNEL(RunSumChannels, SumChannels)
FEATUREPOOL_REGION_KERNEL(RunSumRowsBackward, SumRowsBackward)
FEATUREPOOL_REGION_KERNEL(RunSumChannelsBackward, SumChannelsBackward)
#undef FEATUREPOOL_REGION_KERNEL

}  // namespace region_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

bool accepts_planar(const RegionPooling& call) { return call.layout == Layout::planar; }

bool accepts_interleaved(const RegionPooling& call) { return call.layout == Layout::interleaved; }

/** Lanes hold positions in a plane as i32. */
bool fits_lanes(const RegionPooling& call) {
  return call.input_plane() <= std::numeric_limits<std::int32_t>::max();
}

bool accepts_planar_max(const RegionPooling& call) {
  return accepts_planar(call) && fits_lanes(call);
}

bool accepts_interleaved_max(const RegionPooling& call) {
  return accepts_interleaved(call) && fits_lanes(call);
}

std::int64_t region_block_items(const RegionPooling& call) {
  return call.regions() * region_channel_blocks(call);
}

std::int64_t bin_row_items(const RegionPooling& call) { return call.regions() * call.rows; }

std::int64_t plane_items(const RegionPooling& call) { return call.batch * call.channels; }

std::int64_t image_block_items(const RegionPooling& call) {
  return call.batch * region_channel_blocks(call);
}

/** The gradient of a mask in one plane. */
template <typename T>
void route_plane(const RegionPooling& call, std::int64_t plane) {
  T* dx = static_cast<T*>(call.output) + plane * call.input_plane();
  std::fill_n(dx, call.input_plane(), T{0});
  for (const std::int64_t region : call.regions_of(plane / call.channels)) {
    const std::int64_t from =
        (region * call.channels + plane % call.channels) * call.output_plane();
    const T* dy = static_cast<const T*>(call.input) + from;
    const std::int32_t* mask = call.mask + from;
    for (std::int64_t bin = 0; bin < call.output_plane(); ++bin) {
      if (mask[bin] >= 0) dx[mask[bin]] += dy[bin];
    }
  }
}

// Channels of an interleaved image that one work item of a mask's gradient takes: the more, the
// fewer times it walks over the positions.
constexpr std::int64_t kRoutedChannels = 128;

std::int64_t routed_blocks(const RegionPooling& call) {
  return (call.channels + kRoutedChannels - 1) / kRoutedChannels;
}

/** The gradient of a mask in one block of channels of an interleaved image. */
template <typename T>
void route_block(const RegionPooling& call, std::int64_t item) {
  const std::int64_t channels = call.channels;
  const std::int64_t image = item / routed_blocks(call);
  const std::int64_t first = item % routed_blocks(call) * kRoutedChannels;
  const std::int64_t size = std::min(kRoutedChannels, channels - first);
  T* dx = static_cast<T*>(call.output) + image * call.input_plane() * channels + first;
  for (std::int64_t i = 0; i < call.input_plane(); ++i) std::fill_n(dx + i * channels, size, T{0});
  for (const std::int64_t region : call.regions_of(image)) {
    for (std::int64_t bin = 0; bin < call.output_plane(); ++bin) {
      const std::int64_t from = (region * call.output_plane() + bin) * channels + first;
      const T* dy = static_cast<const T*>(call.input) + from;
      const std::int32_t* mask = call.mask + from;
      for (std::int64_t c = 0; c < size; ++c) {
        if (mask[c] >= 0) dx[mask[c] * channels + c] += dy[c];
      }
    }
  }
}

std::int64_t routed_block_items(const RegionPooling& call) {
  return call.batch * routed_blocks(call);
}

void RoutePlanes(const RegionPooling& call, Span items) {
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    call.dtype == FPOOL_F32 ? route_plane<float>(call, item) : route_plane<double>(call, item);
  }
}

void RouteBlocks(const RegionPooling& call, Span items) {
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    call.dtype == FPOOL_F32 ? route_block<float>(call, item) : route_block<double>(call, item);
  }
}

}  // namespace

std::span<const KernelOf<RegionPooling>> region_max_forward_kernels() {
  static const KernelOf<RegionPooling> kernels[] = {
      {"bins", accepts_planar_max, region_block_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunMaxBins)},
      {"channels", accepts_interleaved_max, bin_row_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunMaxChannels)},
  };
  return kernels;
}

std::span<const KernelOf<RegionPooling>> region_max_backward_kernels() {
  static const KernelOf<RegionPooling> kernels[] = {
      {"bins", accepts_planar_max, plane_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunMaxBinsBackward)},
      {"channels", accepts_interleaved_max, image_block_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunMaxChannelsBackward)},
  };
  return kernels;
}

std::span<const KernelOf<RegionPooling>> region_sum_forward_kernels() {
  static const KernelOf<RegionPooling> kernels[] = {
      {"bins", accepts_planar, region_block_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunSumRows)},
      {"channels", accepts_interleaved, bin_row_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunSumChannels)},
  };
  return kernels;
}

std::span<const KernelOf<RegionPooling>> region_sum_backward_kernels() {
  static const KernelOf<RegionPooling> kernels[] = {
      {"bins", accepts_planar, plane_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunSumRowsBackward)},
      {"channels", accepts_interleaved, image_block_items,
       FEATUREPOOL_TIERED_UP_TO_AVX2(region_pooling::RunSumChannelsBackward)},
  };
  return kernels;
}

std::span<const KernelOf<RegionPooling>> region_route_backward_kernels() {
  static const KernelOf<RegionPooling> kernels[] = {
      {"planes", accepts_planar, plane_items, dispatch::in_every_tier(RoutePlanes)},
      {"channels", accepts_interleaved, routed_block_items, dispatch::in_every_tier(RouteBlocks)},
  };
  return kernels;
}

}  // namespace featurepool
#endif
