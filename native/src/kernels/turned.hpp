#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/pooling.hpp"
#include "geometry/dtype.hpp"
#include "kernels/scratch.hpp"

/**
 * Planar calls whose rows are too short to fill lanes, or that have bins: blocks of planes are
 * turned into the channels of an interleaved tensor, whose kernels fill lanes whatever the window.
 */
namespace featurepool {

/** Planes that are turned at a time: as many elements as a cache line has. */
inline std::int64_t turned_planes(const Pooling& p) { return 64 / dtype_size(p.dtype); }

inline std::int64_t turned_items(const Pooling& p) {
  return (p.geometry.planes() + turned_planes(p) - 1) / turned_planes(p);
}

/** Whether there are planes enough, and they are small enough for copies in the cache. */
inline bool can_turn(const Pooling& p) {
  constexpr std::int64_t kLeastPlanes = 4;
  constexpr std::int64_t kMostElements = 1 << 14;
  return p.layout == Layout::planar && p.geometry.planes() >= kLeastPlanes &&
         p.geometry.input_plane() <= kMostElements && p.geometry.output_plane() <= kMostElements;
}

/** Transposes `rows` rows of `columns` elements. */
template <typename T>
void turn(const T* from, std::int64_t rows, std::int64_t columns, T* to) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) to[c * rows + r] = from[r * columns + c];
  }
}

/** A tensor of a block of planes, turned: its memory, and the way there and back. */
template <typename T>
class Turned {
 public:
  Turned(const void* planar, std::int64_t plane, std::int64_t planes)
      : planar_(static_cast<T*>(const_cast<void*>(planar))),
        plane_(plane),
        line_(planar == nullptr ? 0 : plane * planes) {}

  T* get() const { return planar_ == nullptr ? nullptr : line_.get(); }
  void read(std::int64_t first, std::int64_t count) const {
    if (planar_ != nullptr) turn(planar_ + first * plane_, count, plane_, line_.get());
  }
  void write(std::int64_t first, std::int64_t count) const {
    if (planar_ != nullptr) turn(line_.get(), plane_, count, planar_ + first * plane_);
  }

 private:
  T* planar_;
  std::int64_t plane_;
  Line<T> line_;
};

/** `p` as a call over `count` planes from `first` on, interleaved; its data are the caller's. */
inline Pooling turned_call(const Pooling& p, std::int64_t first, std::int64_t count) {
  Pooling turned = p;
  turned.layout = Layout::interleaved;
  turned.geometry.batch = 1;
  turned.geometry.channels = count;
  turned.draw.first_plane = p.draw.first_plane + first;
  return turned;
}

/** Runs blocks of a forward call; `run(call)` computes all of an interleaved one. */
template <typename T, class Run>
void forward_turned(const Pooling& p, Span items, const Run& run) {
  const std::int64_t block = turned_planes(p);
  const std::int64_t outputs = p.geometry.output_plane();
  const bool compact = p.mask_type == MaskType::position_u8;
  const bool flat = p.mask_type == MaskType::plane_i32;
  const Turned<T> x(p.input, p.geometry.input_plane(), block);
  const Turned<T> y(p.output, outputs, block);
  const Turned<std::uint8_t> ordinals(compact ? p.mask : nullptr, outputs, block);
  const Turned<std::int32_t> positions(flat ? p.mask : nullptr, outputs, block);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t first = item * block;
    const std::int64_t count = std::min(block, p.geometry.planes() - first);
    Pooling turned = turned_call(p, first, count);
    x.read(first, count);
    turned.input = x.get();
    turned.output = y.get();
    turned.mask = compact ? static_cast<void*>(ordinals.get()) : positions.get();
    run(turned);
    y.write(first, count);
    ordinals.write(first, count);
    positions.write(first, count);
  }
}

/** Runs blocks of a gradient that is made from the values of x. */
template <typename T, class Run>
void backward_turned(const Pooling& p, Span items, const Run& run) {
  const std::int64_t block = turned_planes(p);
  const Turned<T> dy(p.input, p.geometry.output_plane(), block);
  const Turned<T> x(p.x, p.geometry.input_plane(), block);
  const Turned<T> dx(p.output, p.geometry.input_plane(), block);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t first = item * block;
    const std::int64_t count = std::min(block, p.geometry.planes() - first);
    Pooling turned = turned_call(p, first, count);
    dy.read(first, count);
    x.read(first, count);
    turned.input = dy.get();
    turned.x = x.get();
    turned.output = dx.get();
    run(turned);
    dx.write(first, count);
  }
}

}  // namespace featurepool
