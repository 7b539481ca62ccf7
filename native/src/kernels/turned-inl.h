// Calls over blocks of planes that are turned into channels; see turned.hpp.
#if defined(FEATUREPOOL_KERNELS_TURNED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_TURNED_INL_H_
#undef FEATUREPOOL_KERNELS_TURNED_INL_H_
#else
#define FEATUREPOOL_KERNELS_TURNED_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/scratch.hpp"
#include "kernels/turned.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Elements of T in 16 bytes: the side of the squares that are transposed in registers. */
template <typename T>
constexpr std::int64_t kSquare = 16 / sizeof(T);

/** Transposes a square of rows `from_pitch` apart into rows `to_pitch` apart; f32 and f64. */
template <typename T>
HWY_INLINE void TurnSquare(const T* HWY_RESTRICT from, std::int64_t from_pitch, T* HWY_RESTRICT to,
                           std::int64_t to_pitch) {
  const hn::CappedTag<T, kSquare<T>> d;
  const auto a = hn::LoadU(d, from);
  const auto b = hn::LoadU(d, from + from_pitch);
  const auto low = hn::InterleaveLower(d, a, b);
  const auto high = hn::InterleaveUpper(d, a, b);
  if constexpr (kSquare<T> == 2) {
    hn::StoreU(low, d, to);
    hn::StoreU(high, d, to + to_pitch);
  } else {
    const auto e = hn::LoadU(d, from + 2 * from_pitch);
    const auto f = hn::LoadU(d, from + 3 * from_pitch);
    const auto low1 = hn::InterleaveLower(d, e, f);
    const auto high1 = hn::InterleaveUpper(d, e, f);
    hn::StoreU(hn::ConcatLowerLower(d, low1, low), d, to);
    hn::StoreU(hn::ConcatUpperUpper(d, low1, low), d, to + to_pitch);
    hn::StoreU(hn::ConcatLowerLower(d, high1, high), d, to + 2 * to_pitch);
    hn::StoreU(hn::ConcatUpperUpper(d, high1, high), d, to + 3 * to_pitch);
  }
}

/** Transposes `rows` rows of `columns` elements. */
template <typename T>
void Turn(const T* HWY_RESTRICT from, std::int64_t rows, std::int64_t columns, T* HWY_RESTRICT to) {
  std::int64_t squares = 0;  // columns that are done
  if constexpr (std::is_floating_point_v<T>) {
    constexpr std::int64_t kSide = kSquare<T>;
    const std::int64_t whole = rows / kSide * kSide;
    for (; squares + kSide <= columns; squares += kSide) {
      for (std::int64_t r = 0; r < whole; r += kSide) {
        TurnSquare(from + r * columns + squares, columns, to + squares * rows + r, rows);
      }
      for (std::int64_t r = whole; r < rows; ++r) {
        for (std::int64_t c = squares; c < squares + kSide; ++c) {
          to[c * rows + r] = from[r * columns + c];
        }
      }
    }
  }
  for (std::int64_t c = squares; c < columns; ++c) {
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
  void Read(std::int64_t first, std::int64_t count) const {
    if (planar_ != nullptr) Turn(planar_ + first * plane_, count, plane_, line_.get());
  }
  void Write(std::int64_t first, std::int64_t count) const {
    if (planar_ != nullptr) Turn(line_.get(), plane_, count, planar_ + first * plane_);
  }

 private:
  T* planar_;
  std::int64_t plane_;
  Line<T> line_;
};

/** `p` as a call over `count` planes from `first` on, interleaved; its data are the caller's. */
inline Pooling TurnedCall(const Pooling& p, std::int64_t first, std::int64_t count) {
  Pooling turned = p;
  turned.layout = Layout::interleaved;
  turned.geometry.batch = 1;
  turned.geometry.channels = count;
  turned.draw.first_plane = p.draw.first_plane + first;
  return turned;
}

/** Runs blocks of a forward call; `run(call)` computes all of an interleaved one. */
template <typename T, class Run>
void ForwardTurned(const Pooling& p, Span items, const Run& run) {
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
    Pooling turned = TurnedCall(p, first, count);
    x.Read(first, count);
    turned.input = x.get();
    turned.output = y.get();
    turned.mask = compact ? static_cast<void*>(ordinals.get()) : positions.get();
    run(turned);
    y.Write(first, count);
    ordinals.Write(first, count);
    positions.Write(first, count);
  }
}

/** Runs blocks of a gradient that is made from the values of x. */
template <typename T, class Run>
void BackwardTurned(const Pooling& p, Span items, const Run& run) {
  const std::int64_t block = turned_planes(p);
  const Turned<T> dy(p.input, p.geometry.output_plane(), block);
  const Turned<T> x(p.x, p.geometry.input_plane(), block);
  const Turned<T> dx(p.output, p.geometry.input_plane(), block);
  for (std::int64_t item = items.begin; item < items.end; ++item) {
    const std::int64_t first = item * block;
    const std::int64_t count = std::min(block, p.geometry.planes() - first);
    Pooling turned = TurnedCall(p, first, count);
    dy.Read(first, count);
    x.Read(first, count);
    turned.input = dy.get();
    turned.x = x.get();
    turned.output = dx.get();
    run(turned);
    dx.Write(first, count);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
