#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/pooling.hpp"

namespace featurepool {

/**
 * A geometry as the row kernels see it: planes of rows in which lanes run along contiguous memory.
 *
 * Planar tensors are that as they stand. An interleaved tensor is one plane per image whose rows hold
 * W*C elements: along W a window of stride 1 then is a window over those rows whose dilation, padding
 * and extents are C times larger, so one kernel serves both layouts.
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
    return p.layout == Layout::planar || p.geometry.w().stride == 1;
  }

  std::int64_t input_plane() const { return d.input * h.input * w.input; }
  std::int64_t output_plane() const { return d.output * h.output * w.output; }
  std::int64_t output_rows() const { return d.output * h.output; }
  std::int64_t input_rows() const { return d.input * h.input; }
};

/** Splits rows of planes into column tiles; items run plane by plane, tile by tile, row by row. */
struct RowTiles {
  std::int64_t rows;   ///< rows per plane
  std::int64_t width;  ///< columns per row
  std::int64_t tile;   ///< columns per tile
  std::int64_t tiles;  ///< tiles per row

  RowTiles(std::int64_t rows, std::int64_t width, std::int64_t tile)
      : rows(rows), width(width), tile(std::clamp<std::int64_t>(tile, 1, width)) {
    tiles = (width + this->tile - 1) / this->tile;
  }

  struct Item {
    std::int64_t plane;
    std::int64_t tile;
    std::int64_t row;
  };

  Item item(std::int64_t index) const {
    return {index / (tiles * rows), index / rows % tiles, index % rows};
  }

  Span columns(std::int64_t index) const {
    return {index * tile, std::min(width, (index + 1) * tile)};
  }
};

/** Work items of a kernel whose items are the row tiles of planes. */
inline std::int64_t item_count(std::int64_t planes, const RowTiles& tiles) {
  return planes * tiles.tiles * tiles.rows;
}

/** Tiles of an interleaved tensor, whose positions hold all channels. */
inline RowTiles InterleavedTiles(std::int64_t rows, std::int64_t width) {
  constexpr std::int64_t kPositions = 64;
  return {rows, width, kPositions};
}

inline std::int64_t InterleavedOutputItems(const Pooling& p) {
  const Geometry& g = p.geometry;
  return item_count(g.batch, InterleavedTiles(g.d().output * g.h().output, g.w().output));
}

inline std::int64_t InterleavedInputItems(const Pooling& p) {
  const Geometry& g = p.geometry;
  return item_count(g.batch, InterleavedTiles(g.d().input * g.h().input, g.w().input));
}

// Up to this many taps per output of an interleaved tensor, taking them one by one beats two
// separable passes (measured).
constexpr std::int64_t kMostInterleavedTaps = 12;

inline bool few_taps_interleaved(const Pooling& p) {
  return p.layout == Layout::interleaved && p.geometry.taps() <= kMostInterleavedTaps;
}

}  // namespace featurepool
