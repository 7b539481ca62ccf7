// What gradients are made of: rows of the input gather from lines of the output.
#if defined(FEATUREPOOL_KERNELS_GRADIENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_GRADIENTS_INL_H_
#undef FEATUREPOOL_KERNELS_GRADIENTS_INL_H_
#else
#define FEATUREPOOL_KERNELS_GRADIENTS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/rows-inl.h"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Whether gradients, of which a call writes more than it reads, had better be streamed: from where
 * it shows that others use the last-level cache too (measured). */
inline bool stream_gradients(const Pooling& p) {
  constexpr std::int64_t kBytes = 8 << 20;
  return tensor_bytes(p) > std::min(kBytes, last_level_cache_bytes() / 2);
}

/** The inverse of SplitPhases() over `length` positions per phase; strides 1 to 4 write whole
 * vectors. */
template <typename T>
HWY_NOINLINE void JoinPhases(const T* HWY_RESTRICT phases, std::int64_t pitch, std::int64_t length,
                             std::int64_t stride, T* HWY_RESTRICT line) {
  const hn::ScalableTag<T> d;
  const std::int64_t lanes = LaneCount(d);
  const auto phase = [&](std::int64_t r, std::int64_t i)
                         HWY_ATTR { return hn::LoadU(d, phases + r * pitch + i); };
  switch (stride) {
    case 1:
      for (std::int64_t i = 0; i < length; i += lanes) hn::StoreU(phase(0, i), d, line + i);
      return;
    case 2:
      for (std::int64_t i = 0; i < length; i += lanes) {
        hn::StoreInterleaved2(phase(0, i), phase(1, i), d, line + 2 * i);
      }
      return;
    case 3:
      for (std::int64_t i = 0; i < length; i += lanes) {
        hn::StoreInterleaved3(phase(0, i), phase(1, i), phase(2, i), d, line + 3 * i);
      }
      return;
    case 4:
      for (std::int64_t i = 0; i < length; i += lanes) {
        hn::StoreInterleaved4(phase(0, i), phase(1, i), phase(2, i), phase(3, i), d, line + 4 * i);
      }
      return;
    default:
      for (std::int64_t r = 0; r < stride; ++r) {
        for (std::int64_t i = 0; i < length; ++i) line[i * stride + r] = phases[r * pitch + i];
      }
  }
}

inline RowTiles InputTiles(const PlaneView& view) {
  return {view.d.input, view.h.input, view.w.input, kTileElements};
}

inline std::int64_t InputRowItems(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, InputTiles(view));
}

/** Most windows that hold any one input element; where there are very many, some large number. */
inline std::int64_t most_windows(const Geometry& g) {
  constexpr std::int64_t kMany = std::int64_t{1} << 20;
  std::int64_t windows = 1;
  for (const Axis& axis : g.axes) windows = std::min(kMany, windows * most_covering(axis));
  return windows;
}

/** A tap that meets the input positions of one phase, and where its outputs lie in a line. */
struct PhaseTap {
  std::int32_t tap;
  std::int64_t offset;
};

/**
 * The transpose of Horizontal: input position i = q * stride + r - pad_begin (phase r) is held by
 * the windows at outputs q - a through tap t, where t * dilation = a * stride + r.
 */
class GradientLine {
 public:
  GradientLine(const PlaneView& view, std::int64_t tile)
      : stride_(view.w.stride),
        lead_((view.w.reach() - 1) / view.w.stride),
        phase_pitch_(tile / view.w.stride + kSlack),
        taps_(static_cast<std::size_t>(view.w.stride)) {
    // Descending taps are ascending outputs: the order in which the reference accumulates.
    for (std::int64_t t = view.w.kernel - 1; t >= 0; --t) {
      const std::int64_t reach = t * view.w.dilation;
      taps_[static_cast<std::size_t>(reach % stride_)].push_back(
          {static_cast<std::int32_t>(t), lead_ - reach / stride_});
    }
  }

  /** Elements of a line, overhang included. */
  std::int64_t pitch() const { return phase_pitch_ + lead_; }
  std::int64_t phase_pitch() const { return phase_pitch_; }
  const std::vector<PhaseTap>& taps(std::int64_t phase) const {
    return taps_[static_cast<std::size_t>(phase)];
  }

 private:
  static constexpr std::int64_t kSlack = 130;

  std::int64_t stride_;
  std::int64_t lead_;
  std::int64_t phase_pitch_;
  std::vector<std::vector<PhaseTap>> taps_;
};

/** Copies elements into lanes of a line, whole vectors (the overhang is ours). */
template <typename T, typename Lane>
HWY_INLINE void CopyToLanes(const T* HWY_RESTRICT elements, std::int64_t size,
                            Lane* HWY_RESTRICT line) {
  if constexpr (std::is_same_v<T, Lane>) {
    std::copy_n(elements, size, line);
  } else {
    const hn::ScalableTag<Lane> d;
    for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
      hn::StoreU(LoadElements(d, elements + i, size - i), d, line + i);
    }
  }
}

/** Copies lanes of a line to elements. */
template <typename T, typename Lane>
HWY_INLINE void CopyFromLanes(const Lane* HWY_RESTRICT line, std::int64_t size,
                              T* HWY_RESTRICT elements) {
  if constexpr (std::is_same_v<T, Lane>) {
    std::copy_n(line, size, elements);
  } else {
    const hn::ScalableTag<Lane> d;
    for (std::int64_t i = 0; i < size; i += LaneCount(d)) {
      StoreElements(hn::LoadU(d, line + i), d, elements + i, size - i);
    }
  }
}

template <typename T>
HWY_INLINE void FillZero(T* HWY_RESTRICT dx, std::int64_t size) {
  std::fill_n(reinterpret_cast<char*>(dx), size * static_cast<std::int64_t>(sizeof(T)), char{0});
}

/** Which outputs the windows over one tile of input columns have, and where they lie in a line. */
struct GradientColumns {
  Span inputs;
  Span outputs;               ///< output columns that exist
  std::int64_t before;        ///< line elements before the first of them
  std::int64_t after;         ///< line elements behind the last
  std::int64_t phase_length;  ///< positions per phase
  std::int64_t skip;          ///< joined elements before the tile's first column

  GradientColumns(const Axis& w, Span inputs) : inputs(inputs) {
    const std::int64_t lead = (w.reach() - 1) / w.stride;
    const std::int64_t first = (inputs.begin + w.pad_begin) / w.stride;
    const std::int64_t last = (inputs.end - 1 + w.pad_begin) / w.stride;
    outputs.begin = std::clamp<std::int64_t>(first - lead, 0, w.output);
    outputs.end = std::clamp<std::int64_t>(last + 1, outputs.begin, w.output);
    before = std::min(outputs.begin, last + 1) - (first - lead);
    after = last + 1 - (first - lead) - before - outputs.size();
    phase_length = last - first + 1;
    skip = inputs.begin + w.pad_begin - first * w.stride;
  }

  /** Copies a row of outputs, from its first existing column on, into a line between padding. */
  template <typename T, typename Lane>
  void Copy(const T* row, Lane* line, Lane padding) const {
    FillLine(line, before, padding);
    CopyToLanes(row, outputs.size(), line + before);
    FillLine(line + before + outputs.size(), after, padding);
  }

  /** Joins phases and writes the tile's columns of a row of dx; `joined` has room for all phases.
   */
  template <typename T, typename Lane>
  void Write(const Line<Lane>& phases, std::int64_t pitch, std::int64_t stride,
             const Line<Lane>& joined, T* row) const {
    const Lane* source = phases.get();
    if (stride > 1) {
      JoinPhases(phases.get(), pitch, phase_length, stride, joined.get());
      source = joined.get();
    }
    CopyFromLanes(source + skip, inputs.size(), row + inputs.begin);
  }
};

/** A window that holds a position of an interleaved tensor: the element of channel 0 of its output,
 * and what a term needs to know of it. */
template <typename Key>
struct GatherWindow {
  std::int64_t from;
  Key key;
};

/** Writes `sum(channel, part)` to the channels of one position. */
template <bool kStream, typename T, class Sum>
HWY_INLINE void WriteChannels(const Sum& sum, std::int64_t channels, T* HWY_RESTRICT dx) {
  const hn::ScalableTag<LaneOf<T>> d;
  const std::int64_t lanes = LaneCount(d);
  std::int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    if constexpr (kStream) {
      hn::Stream(sum(c, lanes), d, dx + c);
    } else {
      StoreElements(sum(c, lanes), d, dx + c, lanes);
    }
  }
  if (c == channels) return;
  // The last vector overlaps its neighbour, if there is one.
  c = std::max<std::int64_t>(0, channels - lanes);
  StoreElements(sum(c, channels - c), d, dx + c, channels - c);
}

/** Writes the sum of what the windows of some rows and columns give to the channels of one
 * position. */
template <int kRows, int kColumns, bool kStream, typename T, class Term>
HWY_INLINE void SumWindows(const GatherWindow<typename Term::Key>* rows,
                           const GatherWindow<typename Term::Key>* columns, std::int64_t channels,
                           const Term& term, T* HWY_RESTRICT dx) {
  const hn::ScalableTag<LaneOf<T>> d;
  // Locals, which stores to dx cannot change: they stay in registers.
  const Term local = term;
  GatherWindow<typename Term::Key> window[kRows * kColumns];
  for (int i = 0; i < kRows * kColumns; ++i) {
    const auto& row = rows[i / kColumns];
    const auto& column = columns[i % kColumns];
    window[i].from = row.from + column.from;
    window[i].key = Term::Join(row.key, column.key);
  }
  const auto sum = [&](std::int64_t c, std::int64_t part) HWY_ATTR {
    auto value = hn::Add(hn::Zero(d), local(window[0], c, part));
    for (int i = 1; i < kRows * kColumns; ++i) value = hn::Add(value, local(window[i], c, part));
    return value;
  };
  WriteChannels<kStream>(sum, channels, dx);
}

/** The same of any number of windows. */
template <typename T, class Term>
HWY_INLINE void SumWindows(const std::vector<GatherWindow<typename Term::Key>>& windows,
                           std::int64_t channels, const Term& term, T* HWY_RESTRICT dx) {
  const hn::ScalableTag<LaneOf<T>> d;
  const auto* const window = windows.data();
  const std::size_t count = windows.size();
  const auto sum = [&](std::int64_t c, std::int64_t part) HWY_ATTR {
    auto value = hn::Add(hn::Zero(d), term(window[0], c, part));
    for (std::size_t i = 1; i < count; ++i) value = hn::Add(value, term(window[i], c, part));
    return value;
  };
  WriteChannels<false>(sum, channels, dx);
}

/**
 * dx of the positions of an interleaved tensor, lanes along C: the sum of `term` over the windows
 * that hold a position, in row-major order of the outputs; each element is written once.
 *
 * @param term gives `part` channels from `c` on of what a window adds, and the keys of windows
 */
template <typename T, class Term>
HWY_INLINE void GatherInterleaved(const Pooling& p, Span items, const Term& term) {
  using Window = GatherWindow<typename Term::Key>;
  const Geometry& g = p.geometry;
  const RowTiles tiles = InterleavedInputTiles(g);
  std::vector<Window> windows;
  std::vector<Window> rows;
  std::vector<Window> columns;           // of all positions of a tile
  std::vector<std::int64_t> column_end;  // of each of them
  std::vector<Covering> depth;
  std::vector<Covering> height;
  std::vector<Covering> width;
  const bool stream = stream_gradients(p) && g.channels * dtype_size(p.dtype) % 64 == 0 &&
                      reinterpret_cast<std::uintptr_t>(p.output) % 64 == 0;
  std::int64_t started = -1;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span tile = tiles.columns(item);
    if (item.tile != started) {
      columns.clear();
      column_end.clear();
      for (std::int64_t i = tile.begin; i < tile.end; ++i) {
        list_covering(g.w(), i, width);
        for (const Covering& ow : width) {
          columns.push_back({ow.output * g.channels, term.ColumnKey(ow)});
        }
        column_end.push_back(static_cast<std::int64_t>(columns.size()));
      }
      started = item.tile;
    }
    rows.clear();
    list_covering(g.d(), item.d, depth);
    list_covering(g.h(), item.h, height);
    for (const Covering& od : depth) {
      for (const Covering& oh : height) {
        const std::int64_t row = (item.plane * g.d().output + od.output) * g.h().output + oh.output;
        rows.push_back({row * g.w().output * g.channels, term.RowKey(od, oh)});
      }
    }
    const std::int64_t position =
        item.plane * g.input_plane() + tiles.row(item) * g.w().input + tile.begin;
    T* dx = static_cast<T*>(p.output) + position * g.channels;
    std::int64_t column = 0;
    for (std::int64_t i = 0; i < tile.size(); ++i, dx += g.channels) {
      const Window* const of_position = columns.data() + column;
      const auto count = column_end[static_cast<std::size_t>(i)] - column;
      column += count;
      const auto number = static_cast<std::int64_t>(rows.size());
      if (number == 0 || count == 0) {
        FillZero(dx, g.channels);
      } else if (number == 1 && count == 1) {
        if constexpr (std::is_same_v<T, LaneOf<T>>) {
          if (stream) {
            SumWindows<1, 1, true>(rows.data(), of_position, g.channels, term, dx);
            continue;
          }
        }
        SumWindows<1, 1, false>(rows.data(), of_position, g.channels, term, dx);
      } else if (number == 1 && count == 2) {
        SumWindows<1, 2, false>(rows.data(), of_position, g.channels, term, dx);
      } else if (number == 2 && count == 1) {
        SumWindows<2, 1, false>(rows.data(), of_position, g.channels, term, dx);
      } else if (number == 2 && count == 2) {
        SumWindows<2, 2, false>(rows.data(), of_position, g.channels, term, dx);
      } else {
        windows.clear();
        for (const Window& row : rows) {
          for (const Window* of_column = of_position; of_column != of_position + count;
               ++of_column) {
            windows.push_back({row.from + of_column->from, Term::Join(row.key, of_column->key)});
          }
        }
        SumWindows(windows, g.channels, term, dx);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
