// Medians of large windows of stride 1, tile by tile: see tile_network.hpp. A lane is a tile.
#if defined(FEATUREPOOL_KERNELS_MEDIAN_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_MEDIAN_TILES_INL_H_
#undef FEATUREPOOL_KERNELS_MEDIAN_TILES_INL_H_
#else
#define FEATUREPOOL_KERNELS_MEDIAN_TILES_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/median_rows-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/rows-inl.h"
#include "kernels/scratch.hpp"
#include "kernels/tile_network.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace median_pooling {

// Windows of a tile along W: as many as one instruction splits and joins.
constexpr std::int64_t kTileWidth = 4;

/** Windows of a tile along H. */
inline std::int64_t TileHeight(const PlaneView& view) {
  const std::int64_t most = view.h.kernel >= 17 ? 8 : view.h.kernel >= 7 ? 4 : 2;
  std::int64_t height = 1;
  while (2 * height <= std::min({most, view.h.kernel, view.h.output})) height *= 2;
  return height;
}

/** Whether strips hold no window that is clipped at both ends, or empty, nor some at either end. */
inline bool TilesAccept(const Pooling& p) {
  if (!PlaneView::accepts(p)) return false;
  const Axis& d = p.geometry.d();
  const Axis& h = p.geometry.h();
  const Axis& w = p.geometry.w();
  const auto fits = [](const Axis& axis, std::int64_t tile) {
    return axis.stride == 1 && axis.dilation == 1 && axis.pad_begin < axis.kernel &&
           axis.start(axis.output - 1) < axis.input && axis.input >= axis.kernel + tile - 1;
  };
  return d.kernel == 1 && d.stride == 1 && d.whole() && w.kernel >= kTileWidth && fits(w, 1) &&
         fits(h, TileHeight(PlaneView(p)));
}

/** Strips of tiles, as many as a row of so many outputs has. */
template <typename T>
RowTiles TileStrips(const PlaneView& view) {
  constexpr std::int64_t kRowBytes = 1024;
  const std::int64_t height = TileHeight(view);
  const std::int64_t positions = kRowBytes / static_cast<std::int64_t>(sizeof(T));
  // Interleaved tiles begin at a position whose number is a multiple of their width, too.
  const std::int64_t group = view.interleave * kTileWidth;
  return {view.d.output, (view.h.output + height - 1) / height, view.w.output,
          (positions + group - 1) / group * group};
}

template <typename T>
class TileMedians {
 public:
  // Vectors of at most 64 bytes, so that operands have 16 bits.
  using D = hn::CappedTag<T, 64 / sizeof(T)>;

  explicit TileMedians(const Pooling& p)
      : p_(p),
        view_(p),
        h_(p.geometry.h()),
        w_(p.geometry.w()),
        medians_(p, view_),
        strips_(TileStrips<T>(view_)),
        rows_(view_),
        height_(TileHeight(view_)),
        lines_count_(h_.kernel + height_ - 1),
        groups_((strips_.tile / view_.interleave + kTileWidth - 1) / kTileWidth),
        phase_((groups_ + (w_.kernel + kTileWidth - 2) / kTileWidth) * view_.interleave),
        pitch_(Pitch(phase_ + 2 * kVectors * LaneCount(D()))),
        unit_(kVectors * LaneCount(D()) * static_cast<std::int64_t>(sizeof(T)) / kOperandBytes),
        network_(tile_network(h_.kernel, w_.kernel, height_, kTileWidth, unit_)),
        sorting_(line_sorting_network(h_.kernel - height_ + 1, unit_)),
        lines_(lines_count_ * line_pitch()),
        outputs_(height_ * line_pitch()),
        row_(line_pitch()),
        slots_(std::max(network_.slots, sorting_.slots) * unit_ * kOperandBytes) {
    for (const TileNetwork::Input& input : network_.inputs) {
      sources_.push_back(input.line * line_pitch() + input.column % kTileWidth * pitch_ +
                         input.column / kTileWidth * view_.interleave);
    }
    MakePadding();
  }

  void Run(Span items) {
    RowTiles::Item strip = strips_.item(items.begin);
    for (std::int64_t index = items.begin; index < items.end; ++index, strips_.advance(strip)) {
      const Span columns = strips_.columns(strip);
      // The last strip overlaps the one before, whose rows it leaves alone.
      const std::int64_t begin = strip.h * height_;
      const std::int64_t first = std::min(begin, h_.output - height_);
      const int findings = Stage(strip, first, columns);
      Sort();
      Select(columns.size());
      for (std::int64_t row = begin; row < first + height_; ++row) {
        const RowTiles::Item item{strip.plane, strip.tile, strip.d, row};
        Write(outputs_.get() + (row - first) * line_pitch(), columns.size(),
              static_cast<T*>(p_.output) + OutputOffset(view_, item, columns.begin));
        medians_.Positions(item, columns);
        if (findings != 0) Redo(item, columns);
      }
    }
  }

 private:
  static constexpr int kVectors = 2;
  static constexpr std::int64_t kOperandBytes = 8;
  static constexpr T kLowest = MaxOf<T>::Identity();
  static constexpr T kHighest = std::numeric_limits<T>::has_infinity
                                    ? std::numeric_limits<T>::infinity()
                                    : std::numeric_limits<T>::max();

  static constexpr std::int64_t kCacheLine = 64 / static_cast<std::int64_t>(sizeof(T));

  /** An odd number of cache lines: what is loaded together does not compete for a cache set. */
  static std::int64_t Pitch(std::int64_t elements) {
    return ((elements + kCacheLine - 1) / kCacheLine | 1) * kCacheLine;
  }

  std::int64_t line_pitch() const { return kTileWidth * pitch_ + kCacheLine; }

  /**
   * What stands for taps outside the input must leave every window's rank the same: of the taps
   * that are clipped off, about half are less and half greater than everything. A line beyond the
   * input has so many low ones among the columns of any window; a column beyond it has so many
   * among the first rows, whatever their number, that windows of so many rows hold.
   */
  void MakePadding() {
    const auto rank = [](std::int64_t taps) { return (taps - 1) / 2; };
    for (std::int64_t t = 0; t + 1 < h_.kernel; ++t) {
      const std::int64_t taps = (h_.kernel - t) * w_.kernel;
      low_in_line_.push_back(rank(taps) - rank(taps - w_.kernel));
    }
    for (std::int64_t t = 0; t + 1 < w_.kernel; ++t) {
      std::int64_t low = 0;
      for (std::int64_t rows = 1; rows <= h_.kernel; ++rows) {
        const std::int64_t taps = rows * (w_.kernel - t);
        const std::int64_t now = rank(taps) - rank(taps - rows);
        low_in_column_.push_back(now > low);
        low = now;
      }
    }
  }

  /** Brings the lines of a strip, split into phases, into the cache; what they may hold. */
  int Stage(const RowTiles::Item& strip, std::int64_t first, Span columns) {
    const std::int64_t start = h_.start(first);
    const std::int64_t at = columns.begin / view_.interleave - w_.pad_begin;
    const bool end = start + lines_count_ > h_.input;
    const T* x = static_cast<const T*>(p_.input) +
                 (strip.plane * view_.d.input + strip.d) * h_.input * view_.w.input;
    int findings = 0;
    for (std::int64_t l = 0; l < lines_count_; ++l) {
      const std::int64_t row = start + l;
      T* line = lines_.get() + l * line_pitch();
      if (row < 0 || row >= h_.input) {
        PadLine(at, row < 0 ? -1 - row : row - h_.input);
      } else {
        findings |= CopyLine(x + row * view_.w.input, at, end ? h_.input - 1 - row : row);
      }
      Split(row_.get(), line);
    }
    return findings;
  }

  /** Positions of a line. */
  std::int64_t length() const { return phase_ / view_.interleave * kTileWidth; }

  void PadLine(std::int64_t at, std::int64_t distance) {
    const std::int64_t low =
        distance < h_.kernel - 1 ? low_in_line_[static_cast<std::size_t>(distance)] : 0;
    std::int64_t phase = (at % w_.kernel + w_.kernel) % w_.kernel;
    T* to = row_.get();
    for (std::int64_t i = 0; i < length(); ++i, to += view_.interleave) {
      FillLine(to, view_.interleave, phase < low ? kLowest : kHighest);
      if (++phase == w_.kernel) phase = 0;
    }
  }

  /** Copies an input row from position `at` on, with what stands for its neighbours outside. */
  int CopyLine(const T* row, std::int64_t at, std::int64_t distance) {
    const std::int64_t begin = std::max<std::int64_t>(at, 0);
    const std::int64_t end = std::min(w_.input, at + length());
    const auto pad = [&](std::int64_t position, std::int64_t beyond) {
      const bool low =
          beyond < w_.kernel - 1 &&
          low_in_column_[static_cast<std::size_t>(beyond * h_.kernel + distance % h_.kernel)];
      FillLine(row_.get() + (position - at) * view_.interleave, view_.interleave,
               low ? kLowest : kHighest);
    };
    for (std::int64_t position = at; position < 0; ++position) pad(position, -1 - position);
    for (std::int64_t position = end; position < std::min(end + w_.kernel - 1, at + length());
         ++position) {
      pad(position, position - end);
    }
    return CopyWatched(row + begin * view_.interleave, (end - begin) * view_.interleave,
                       row_.get() + (begin - at) * view_.interleave);
  }

  static HWY_NOINLINE int CopyWatched(const T* HWY_RESTRICT from, std::int64_t size,
                                      T* HWY_RESTRICT to) {
    const D d;
    const hn::RebindToSigned<D> di;
    const std::int64_t lanes = LaneCount(d);
    auto sum = hn::Zero(d);
    auto least = hn::Zero(di);
    const auto watch = [&](hn::Vec<D> v) HWY_ATTR {
      if constexpr (std::is_floating_point_v<T>) {
        sum = hn::Add(sum, v);
        least = hn::Min(least, hn::BitCast(di, v));
      }
      return v;
    };
    std::int64_t i = 0;
    for (; i + lanes <= size; i += lanes) hn::StoreU(watch(hn::LoadU(d, from + i)), d, to + i);
    if (i < size) {
      if (size >= lanes) i = size - lanes;
      StorePart(watch(LoadPart(d, from + i, size - i)), d, to + i, size - i);
    }
    if constexpr (std::is_floating_point_v<T>) return Findings(d, sum, least);
    return 0;
  }

  /** Splits positions into those of the first columns of tiles, those of the second ones ... */
  HWY_NOINLINE void Split(const T* HWY_RESTRICT from, T* HWY_RESTRICT to) const {
    const std::int64_t step = view_.interleave;
    if (step == 1) {
      const D d;
      const std::int64_t lanes = LaneCount(d);
      for (std::int64_t i = 0; i < phase_; i += lanes) {
        hn::Vec<D> v0, v1, v2, v3;
        hn::LoadInterleaved4(d, from + kTileWidth * i, v0, v1, v2, v3);
        hn::StoreU(v0, d, to + i);
        hn::StoreU(v1, d, to + pitch_ + i);
        hn::StoreU(v2, d, to + 2 * pitch_ + i);
        hn::StoreU(v3, d, to + 3 * pitch_ + i);
      }
      return;
    }
    for (std::int64_t i = 0; i < phase_; i += step) {
      for (std::int64_t phase = 0; phase < kTileWidth; ++phase, from += step) {
        for (std::int64_t c = 0; c < step; ++c) to[phase * pitch_ + i + c] = from[c];
      }
    }
  }

  /** Sorts the columns of the lines that all windows of a tile share. */
  HWY_NOINLINE void Sort() const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const auto count = static_cast<std::int64_t>(sorting_.inputs.size());
    if (count == 1) return;
    for (std::int64_t phase = 0; phase < kTileWidth; ++phase) {
      T* line = lines_.get() + (height_ - 1) * line_pitch() + phase * pitch_;
      for (std::int64_t i = 0; i < phase_; i += kVectors * lanes, line += kVectors * lanes) {
        T* HWY_RESTRICT slot = reinterpret_cast<T*>(slots_.get());
        for (std::int64_t l = 0; l < count; ++l, slot += kVectors * lanes) {
          hn::Store(hn::LoadU(d, line + l * line_pitch()), d, slot);
          hn::Store(hn::LoadU(d, line + l * line_pitch() + lanes), d, slot + lanes);
        }
        Execute<true>(sorting_);
        for (std::int64_t l = 0; l < count; ++l) {
          const T* from = Slot(sorting_.results[static_cast<std::size_t>(l)]);
          hn::StoreU(hn::Load(d, from), d, line + l * line_pitch());
          hn::StoreU(hn::Load(d, from + lanes), d, line + l * line_pitch() + lanes);
        }
      }
    }
  }

  void Select(std::int64_t size) const {
    const std::int64_t lanes = LaneCount(D());
    const std::int64_t group = kTileWidth * view_.interleave;
    const std::int64_t tiles = (size + group - 1) / group * view_.interleave;
    std::int64_t i = 0;
    for (; i + lanes < tiles; i += kVectors * lanes) SelectTiles<true>(i);
    if (i < tiles) SelectTiles<false>(i);
  }

  /** Tiles from `i` on: kTwo vectors of them. */
  template <bool kTwo>
  HWY_NOINLINE void SelectTiles(std::int64_t i) const {
    const D d;
    const std::int64_t lanes = LaneCount(d);
    const T* HWY_RESTRICT lines = lines_.get() + i;
    T* HWY_RESTRICT slot = reinterpret_cast<T*>(slots_.get());
    for (const std::int64_t source : sources_) {
      hn::Store(hn::LoadU(d, lines + source), d, slot);
      if constexpr (kTwo) hn::Store(hn::LoadU(d, lines + source + lanes), d, slot + lanes);
      slot += kVectors * lanes;
    }
    Execute<kTwo>(network_);
    for (std::size_t r = 0; r < network_.results.size(); ++r) {
      const T* from = Slot(network_.results[r]);
      T* to = outputs_.get() + static_cast<std::int64_t>(r / kTileWidth) * line_pitch() +
              static_cast<std::int64_t>(r % kTileWidth) * pitch_ + i;
      hn::StoreU(hn::Load(d, from), d, to);
      if constexpr (kTwo) hn::StoreU(hn::Load(d, from + lanes), d, to + lanes);
    }
  }

  T* Slot(std::uint16_t operand) const {
    return reinterpret_cast<T*>(slots_.get() + operand * kOperandBytes);
  }

  template <bool kTwo>
  HWY_NOINLINE void Execute(const TileNetwork& network) const {
    const D d;
    const std::int64_t end = (kTwo ? kVectors : 1) * LaneCount(d);
    const std::int64_t lanes = LaneCount(d);
    const std::uint16_t* HWY_RESTRICT code = network.code.data();
    std::byte* const slots = slots_.get();
    const auto slot = [slots](std::uint16_t operand) HWY_ATTR {
      return reinterpret_cast<T*>(slots + operand * kOperandBytes);
    };
    for (;;) {
      const auto step = static_cast<TileStep>(code[0]);
      if (step == TileStep::end) return;
      int count = code[1];
      code += 2;
      switch (step) {
        case TileStep::exchange:
          for (; count > 0; --count, code += 4) {
            const T *a = slot(code[0]), *b = slot(code[1]);
            T *w = slot(code[2]), *x = slot(code[3]);
            for (std::int64_t i = 0; i < end; i += lanes) {
              const auto va = hn::Load(d, a + i), vb = hn::Load(d, b + i);
              hn::Store(hn::Min(va, vb), d, w + i);
              hn::Store(hn::Max(va, vb), d, x + i);
            }
          }
          break;
        case TileStep::merge:
          for (; count > 0; --count, code += 8) {
            const T *a = slot(code[0]), *b = slot(code[1]), *c = slot(code[2]), *e = slot(code[3]);
            T *w = slot(code[4]), *x = slot(code[5]), *y = slot(code[6]), *z = slot(code[7]);
            for (std::int64_t i = 0; i < end; i += lanes) {
              const auto va = hn::Load(d, a + i), vb = hn::Load(d, b + i);
              const auto vc = hn::Load(d, c + i), ve = hn::Load(d, e + i);
              const auto q = hn::Max(va, vb), r = hn::Min(vc, ve);
              hn::Store(hn::Min(va, vb), d, w + i);
              hn::Store(hn::Min(r, q), d, x + i);
              hn::Store(hn::Max(r, q), d, y + i);
              hn::Store(hn::Max(vc, ve), d, z + i);
            }
          }
          break;
        case TileStep::ladder:
          for (; count > 0; --count, code += 10) {
            const T *a = slot(code[0]), *b = slot(code[1]), *c = slot(code[2]), *e = slot(code[3]);
            const T* f = slot(code[4]);
            T *w = slot(code[5]), *x = slot(code[6]), *y = slot(code[7]), *z = slot(code[8]);
            T* last = slot(code[9]);
            for (std::int64_t i = 0; i < end; i += lanes) {
              const auto va = hn::Load(d, a + i), vb = hn::Load(d, b + i);
              const auto vc = hn::Load(d, c + i), ve = hn::Load(d, e + i);
              const auto vf = hn::Load(d, f + i);
              const auto p = hn::Min(va, vb), q = hn::Max(va, vb), r = hn::Min(vc, ve);
              hn::Store(hn::Min(vf, p), d, w + i);
              hn::Store(hn::Max(vf, p), d, x + i);
              hn::Store(hn::Min(r, q), d, y + i);
              hn::Store(hn::Max(r, q), d, z + i);
              hn::Store(hn::Max(vc, ve), d, last + i);
            }
          }
          break;
        default: {
          const std::uint16_t* pairs = code;
          code += 2 * count;
          for (std::int64_t i = 0; i < end; i += lanes) {
            auto greatest =
                hn::Min(hn::Load(d, slot(pairs[0]) + i), hn::Load(d, slot(pairs[1]) + i));
            for (int pair = 2; pair < 2 * count; pair += 2) {
              greatest = hn::Max(greatest, hn::Min(hn::Load(d, slot(pairs[pair]) + i),
                                                   hn::Load(d, slot(pairs[pair + 1]) + i)));
            }
            hn::Store(greatest, d, slot(*code) + i);
          }
          ++code;
        }
      }
    }
  }

  /** Joins the phases of a row of outputs. */
  HWY_NOINLINE void Write(const T* HWY_RESTRICT from, std::int64_t size, T* HWY_RESTRICT y) const {
    const std::int64_t step = view_.interleave;
    if (step == 1) {
      const D d;
      const std::int64_t lanes = LaneCount(d);
      for (std::int64_t i = 0; kTileWidth * i < size; i += lanes) {
        const bool whole = kTileWidth * (i + lanes) <= size;
        T* HWY_RESTRICT to = whole ? y + kTileWidth * i : row_.get();
        hn::StoreInterleaved4(hn::LoadU(d, from + i), hn::LoadU(d, from + pitch_ + i),
                              hn::LoadU(d, from + 2 * pitch_ + i),
                              hn::LoadU(d, from + 3 * pitch_ + i), d, to);
        if (!whole) std::copy_n(to, size - kTileWidth * i, y + kTileWidth * i);
      }
      return;
    }
    for (std::int64_t o = 0; o < size;) {
      for (std::int64_t phase = 0; phase < kTileWidth && o < size; ++phase, o += step) {
        for (std::int64_t c = 0; c < step; ++c) y[o + c] = from[phase * pitch_ + c];
      }
      from += step;
    }
  }

  void Redo(const RowTiles::Item& item, Span outputs) {
    const TileColumns columns(view_.w, outputs);
    const std::int64_t count =
        rows_.List(static_cast<const T*>(p_.input) + item.plane * view_.input_plane(), item.d,
                   item.h, columns.inputs.begin);
    medians_.Redo(item, columns, rows_.data(), count);
  }

  const Pooling& p_;
  const PlaneView view_;
  const Axis& h_;
  const Axis& w_;  ///< in positions; that of the view is in elements
  RowMedians<T> medians_;
  const RowTiles strips_;
  WindowRows<T> rows_;
  const std::int64_t height_;       ///< windows of a tile along H
  const std::int64_t lines_count_;  ///< lines of a strip
  const std::int64_t groups_;       ///< tiles along W, of one channel
  const std::int64_t phase_;        ///< elements of a phase of a line
  const std::int64_t pitch_;        ///< elements from a phase to the next
  const std::int64_t unit_;
  const TileNetwork& network_;
  const TileNetwork& sorting_;
  const Line<T> lines_;    ///< the phases of every line of a strip
  const Line<T> outputs_;  ///< the phases of its rows of outputs
  const Line<T> row_;
  const Line<std::byte> slots_;
  std::vector<std::int64_t> sources_;  ///< where the lines hold the network's inputs
  std::vector<std::int64_t> low_in_line_;
  std::vector<bool> low_in_column_;
};

}  // namespace median_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
