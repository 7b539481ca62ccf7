// Medians that are computed one by one: what the kernels over rows leave open.
#if defined(FEATUREPOOL_KERNELS_MEDIAN_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_MEDIAN_ROWS_INL_H_
#undef FEATUREPOOL_KERNELS_MEDIAN_ROWS_INL_H_
#else
#define FEATUREPOOL_KERNELS_MEDIAN_ROWS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "hwy/highway.h"
#include "kernels/plane_view.hpp"
#include "kernels/rows-inl.h"
#include "reference/selection.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace median_pooling {

/** Medians of single windows as the reference has them, for what the lanes leave open. */
template <typename T>
class Exact {
 public:
  explicit Exact(const Pooling& p) : p_(p) {}

  /** The window of an output, given by its plane, position and entry in memory. */
  void Window(std::int64_t plane, std::int64_t d, std::int64_t h, std::int64_t w,
              std::int64_t entry) {
    const auto selected = median_.select(p_.geometry, Plane(plane), d, h, w);
    static_cast<T*>(p_.output)[entry] = selected.value;
    reference::write_mask(p_, entry, selected);
  }

  /** Where a window has its median, which is known. */
  void Position(std::int64_t plane, std::int64_t d, std::int64_t h, std::int64_t w,
                std::int64_t entry) {
    T* y = static_cast<T*>(p_.output) + entry;
    const auto selected =
        reference::WindowMedian<T>::first_equal(p_.geometry, Plane(plane), d, h, w, *y);
    *y = selected.value;
    reference::write_mask(p_, entry, selected);
  }

 private:
  reference::Plane<const T> Plane(std::int64_t plane) const {
    return reference::plane_of(static_cast<const T*>(p_.input), p_, p_.geometry.input_plane(),
                               plane);
  }

  const Pooling& p_;
  reference::WindowMedian<T> median_;
};

/** What kernels over planes of rows share: the outputs that are done one by one. */
template <typename T>
class RowMedians {
 public:
  RowMedians(const Pooling& p, const PlaneView& view) : p_(p), view_(view), exact_(p) {}

  void ExactAt(const RowTiles::Item& item, std::int64_t o) {
    const std::int64_t step = view_.interleave;
    exact_.Window(item.plane * step + o % step, item.d, item.h, o / step,
                  OutputOffset(view_, item, o));
  }

  /** Fills the mask of outputs whose medians are known. */
  void Positions(const RowTiles::Item& item, Span outputs) {
    if (p_.mask_type == MaskType::none) return;
    const std::int64_t step = view_.interleave;
    const std::int64_t first = OutputOffset(view_, item, 0);
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      exact_.Position(item.plane * step + o % step, item.d, item.h, o / step, first + o);
    }
  }

  /** Takes windows with a NaN, or with a median of zero and a -0, one by one. */
  void Redo(const RowTiles::Item& item, const TileColumns& columns, const T* const* rows,
            std::int64_t count) {
    const std::int64_t size = columns.inputs.size();
    // How many of the columns before each hold such elements; only those of one tap are met.
    found_.assign(static_cast<std::size_t>(columns.before + size + columns.after), 0);
    for (std::int64_t r = 0; r < count; ++r) {
      const T* row = rows[r];
      for (std::int64_t i = 0; i < size; ++i) {
        auto& found = found_[static_cast<std::size_t>(columns.before + i)];
        if (row[i] != row[i]) found |= kHoldsNan;
        if (row[i] == 0 && std::signbit(row[i])) found |= kHoldsNegativeZero;
      }
    }
    const T* y = static_cast<const T*>(p_.output) + OutputOffset(view_, item, 0);
    for (std::int64_t o = columns.outputs.begin; o < columns.outputs.end; ++o) {
      int found = 0;
      const std::int64_t start = (o - columns.outputs.begin) * view_.w.stride;
      for (std::int64_t t = 0; t < view_.w.kernel; ++t) {
        found |= found_[static_cast<std::size_t>(start + t * view_.w.dilation)];
      }
      if ((found & kHoldsNan) != 0 || (found != 0 && y[o] == 0)) ExactAt(item, o);
    }
  }

 private:
  const Pooling& p_;
  const PlaneView& view_;
  Exact<T> exact_;
  std::vector<std::uint8_t> found_;
};

}  // namespace median_pooling
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
