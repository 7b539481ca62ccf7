#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/pooling.hpp"
#include "kernels/scratch.hpp"

namespace featurepool {

/**
 * A geometry as the row kernels see it: planes of rows in which lanes run along contiguous memory.
 *
 * Planar tensors are that as they stand. An interleaved tensor is one plane per image whose rows
 * hold W*C elements: along W a window of stride 1 then is a window over those rows whose dilation,
 * padding and extents are C times larger, so one kernel serves both layouts.
 */
struct PlaneView {
  Axis d;
  Axis h;
  Axis w;
  std::int64_t planes = 0;
  std::int64_t interleave = 1;  ///< elements per position along W: 1, or C

  explicit PlaneView(const Pooling& p)
      : d(p.geometry.d()), h(p.geometry.h()), w(p.geometry.w()), planes(p.geometry.planes()) {
    if (p.layout == Layout::planar) return;
    interleave = p.geometry.channels;
    planes = p.geometry.batch;
    w.input *= interleave;
    w.output *= interleave;
    w.pad_begin *= interleave;
    w.pad_end *= interleave;
    w.dilation *= interleave;
  }

  static bool accepts(const Pooling& p) {
    if (p.geometry.binned()) return false;
    return p.layout == Layout::planar || p.geometry.w().stride == 1;
  }

  std::int64_t input_plane() const { return d.input * h.input * w.input; }
  std::int64_t output_plane() const { return d.output * h.output * w.output; }
};

/** Bytes of the tensors of a call, masks aside. */
inline std::int64_t tensor_bytes(const Pooling& p) {
  return (p.geometry.input_size() + p.geometry.output_size()) * dtype_size(p.dtype);
}

/** Whether the tensors of a call exceed the half of the last-level cache that it can count on:
 * other processors, and other virtual machines, use it too. */
inline bool beyond_cache(const Pooling& p) {
  return tensor_bytes(p) > last_level_cache_bytes() / 2;
}

/** Splits rows of planes into column tiles; items run plane by plane, tile by tile, row by row. */
struct RowTiles {
  std::int64_t depth;   ///< positions along D
  std::int64_t height;  ///< positions along H
  std::int64_t width;   ///< columns per row
  std::int64_t tile;    ///< columns per tile
  std::int64_t tiles;   ///< tiles per row

  RowTiles(std::int64_t depth, std::int64_t height, std::int64_t width, std::int64_t tile)
      : depth(depth),
        height(height),
        width(width),
        tile(std::clamp<std::int64_t>(tile, 1, width)),
        tiles((width + this->tile - 1) / this->tile) {}

  struct Item {
    std::int64_t plane;
    std::int64_t tile;
    std::int64_t d;
    std::int64_t h;
  };

  std::int64_t items_per_plane() const { return tiles * depth * height; }

  std::int64_t row(const Item& item) const { return item.d * height + item.h; }

  Span columns(const Item& item) const {
    return {item.tile * tile, std::min(width, (item.tile + 1) * tile)};
  }

  Item item(std::int64_t index) const {
    const std::int64_t row = index % (depth * height);
    return {index / items_per_plane(), index / (depth * height) % tiles, row / height,
            row % height};
  }

  /** The item behind `item`; cheaper than item(), which divides. */
  void advance(Item& item) const {
    if (++item.h < height) return;
    item.h = 0;
    if (++item.d < depth) return;
    item.d = 0;
    if (++item.tile < tiles) return;
    item.tile = 0;
    ++item.plane;
  }
};

/** At least `columns`, such that tiles of so many begin at a cache line where their row does. */
inline std::int64_t whole_cache_lines(std::int64_t columns) {
  constexpr std::int64_t kElements = 64;
  return std::max<std::int64_t>(1, (columns + kElements - 1) / kElements) * kElements;
}

/** Work items of a kernel whose items are the row tiles of planes. */
inline std::int64_t item_count(std::int64_t planes, const RowTiles& tiles) {
  return planes * tiles.items_per_plane();
}

/** Where the taps of a window along W lie in a line that was padded and split into phases. */
class LineOffsets {
 public:
  LineOffsets(const Axis& w, std::int64_t tile)
      : stride_(w.stride),
        length_((tile - 1) * w.stride + w.reach()),
        phase_pitch_((length_ + w.stride - 1) / w.stride + kSlack),
        pitch_(phase_pitch_ * w.stride) {
    for (std::int64_t t = 0; t < w.kernel; ++t) taps_.push_back(At(t * w.dilation));
  }

  /** Element `i` of the padded line. */
  std::int64_t At(std::int64_t i) const {
    return stride_ == 1 ? i : i % stride_ * phase_pitch_ + i / stride_;
  }
  std::int64_t operator[](std::int64_t tap) const { return taps_[static_cast<std::size_t>(tap)]; }
  std::int64_t length() const { return length_; }
  std::int64_t phase_pitch() const { return phase_pitch_; }
  std::int64_t pitch() const { return pitch_; }

 private:
  // Room for the overhang of a few whole vectors.
  static constexpr std::int64_t kSlack = 256;

  std::int64_t stride_;
  std::int64_t length_;
  std::int64_t phase_pitch_;
  std::int64_t pitch_;
  std::vector<std::int64_t> taps_;
};

/** Whether there is one window, which holds its whole plane. */
inline bool HoldsPlane(const Pooling& p) {
  const Geometry& g = p.geometry;
  return g.output_plane() == 1 && g.taps() == g.input_plane() && g.d().whole() && g.h().whole() &&
         g.w().whole();
}

inline bool PlaneAccept(const Pooling& p) { return p.layout == Layout::planar && HoldsPlane(p); }

inline std::int64_t PlaneItems(const Pooling& p) { return p.geometry.planes(); }

// Positions per work item of an interleaved tensor, whose positions hold all channels.
constexpr std::int64_t kInterleavedTile = 64;

inline RowTiles InterleavedOutputTiles(const Geometry& g) {
  return {g.d().output, g.h().output, g.w().output, kInterleavedTile};
}

inline RowTiles InterleavedInputTiles(const Geometry& g) {
  return {g.d().input, g.h().input, g.w().input, kInterleavedTile};
}

inline std::int64_t InterleavedOutputItems(const Pooling& p) {
  return item_count(p.geometry.batch, InterleavedOutputTiles(p.geometry));
}

inline std::int64_t InterleavedInputItems(const Pooling& p) {
  return item_count(p.geometry.batch, InterleavedInputTiles(p.geometry));
}

}  // namespace featurepool
