#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/pooling.hpp"
#include "kernels/plane_view.hpp"

namespace featurepool {

/**
 * Planar windows of 2 by 2, 2 apart, that all lie inside the input: rows of outputs, of all planes
 * one after another, each of two rows of the input that no other needs.
 */
class PairRows {
 public:
  static bool accepts(const Pooling& p) {
    const Geometry& g = p.geometry;
    if (p.layout != Layout::planar || g.binned()) return false;
    const auto pairs = [](const Axis& axis) {
      return axis.kernel == 2 && axis.stride == 2 && axis.dilation == 1 && axis.whole();
    };
    return pairs(g.h()) && pairs(g.w()) && g.d().kernel == 1 && g.d().output == g.d().input &&
           g.d().whole();
  }

  /** In blocks whose input, and so their outputs, stay in the first-level cache. */
  PairRows(const PlaneView& view, std::int64_t element_bytes)
      : all_(view.planes * view.d.output * view.h.output), block_(1) {
    const std::int64_t rows = kInputBytes / (2 * view.w.input * element_bytes);
    // A multiple of what makes whole cache lines, if it is many.
    block_ = rows < 8 ? std::max<std::int64_t>(1, rows) : rows / 8 * 8;
  }

  std::int64_t block() const { return block_; }
  std::int64_t items() const { return (all_ + block_ - 1) / block_; }
  Span rows(std::int64_t item) const {
    return {item * block_, std::min(all_, (item + 1) * block_)};
  }

  static RowTiles::Item item(const PlaneView& view, std::int64_t row) {
    const std::int64_t slice = row / view.h.output;
    return {slice / view.d.output, 0, slice % view.d.output, row % view.h.output};
  }

 private:
  static constexpr std::int64_t kInputBytes = 16 << 10;

  std::int64_t all_;
  std::int64_t block_;
};

/** Walks down the upper of each two input rows. */
template <typename T>
class PairWalk {
 public:
  PairWalk(const T* x, const PlaneView& view, std::int64_t row)
      : x_(x),
        width_(view.w.input),
        plane_(view.h.input * view.w.input),
        height_(view.h.output),
        row_(row),
        upper_(at(row)),
        left_(height_ - row % height_) {}

  const T* upper() const { return upper_; }
  const T* lower() const { return upper_ + width_; }

  void advance() {
    ++row_;
    upper_ += 2 * width_;
    if (--left_ == 0) {
      left_ = height_;
      upper_ = at(row_);
    }
  }

 private:
  const T* at(std::int64_t row) const {
    return x_ + row / height_ * plane_ + row % height_ * 2 * width_;
  }

  const T* x_;
  std::int64_t width_;
  std::int64_t plane_;
  std::int64_t height_;
  std::int64_t row_;
  const T* upper_;
  std::int64_t left_;  ///< rows of the plane
};

}  // namespace featurepool
