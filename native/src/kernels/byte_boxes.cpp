// Averages of bytes over large windows of stride 1, by running sums.

#include "kernels/byte_boxes.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/elements.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/byte_boxes.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace byte_boxes {

using Bytes = ElementTypes<std::uint8_t, std::int8_t>;

// Rows of a work item; every run of items sums the rows of its first window anew.
constexpr std::int64_t kItemRows = 64;

inline std::int64_t ItemsPerPlane(const Axis& h) { return (h.output + kItemRows - 1) / kItemRows; }

/** The windows of a plane, row by row. */
template <typename T>
class Boxes {
 public:
  using Short = std::conditional_t<std::is_signed_v<T>, std::int16_t, std::uint16_t>;
  using D = hn::CappedTag<std::int32_t, 8>;
  using V = hn::Vec<D>;
  using DF = hn::RebindToFloat<D>;
  using DS = hn::CappedTag<Short, 8>;

  explicit Boxes(const Pooling& p)
      : p_(p),
        h_(p.geometry.h()),
        w_(p.geometry.w()),
        uniform_(uniform_divisor(p.geometry, p.divisor)),
        columns_(w_.input),
        prefixes_(w_.pad_begin + w_.input + w_.pad_end + w_.kernel),
        counts_(w_.output),
        factors_(w_.output) {
    for (std::int64_t o = 0; o < w_.output; ++o) {
      counts_[o] = uniform_ != 0 ? 1.0f : static_cast<float>(counted_taps(w_, p.divisor, o));
    }
    std::fill_n(prefixes_.get(), w_.pad_begin + 1, 0);
  }

  void Run(Span items) {
    const std::int64_t per_plane = ItemsPerPlane(h_);
    for (std::int64_t i = items.begin; i < items.end; ++i) {
      const std::int64_t slice = i / per_plane;
      const std::int64_t begin = (i - slice * per_plane) * kItemRows;
      if (i == items.begin || begin == 0) StartRows(slice, begin);
      const std::int64_t end = std::min(h_.output, begin + kItemRows);
      for (std::int64_t o = begin; o < end; ++o) {
        NextRow(o);
        Divide(o);
        out_ += w_.output;
      }
    }
  }

 private:
  const T* row(std::int64_t at) const {
    return at >= 0 && at < h_.input ? plane_ + at * w_.input : nullptr;
  }

  /** Sums the rows of the window of row `o`, but its last one, and one before it. */
  void StartRows(std::int64_t slice, std::int64_t o) {
    const Geometry& g = p_.geometry;
    const std::int64_t plane = slice / g.d().output;
    const std::int64_t depth = plane * g.d().input + g.d().start(slice - plane * g.d().output);
    plane_ = static_cast<const T*>(p_.input) + depth * h_.input * w_.input;
    out_ = static_cast<T*>(p_.output) + (slice * h_.output + o) * w_.output;
    depth_ = slice - plane * g.d().output;
    std::fill_n(columns_.get(), w_.input, Short{0});
    const std::int64_t first = h_.start(o) - 1;
    const DS ds;
    for (std::int64_t r = std::max<std::int64_t>(0, first);
         r < std::min(h_.input, first + h_.kernel); ++r) {
      const T* x = row(r);
      for (std::int64_t i = 0; i < w_.input; i += LaneCount(ds)) {
        const auto sum = hn::LoadU(ds, columns_.get() + i);
        hn::StoreU(hn::Add(sum, LoadElements(ds, x + i, w_.input - i)), ds, columns_.get() + i);
      }
    }
  }

  /** Moves the sums of columns on by one row, and sums them along the row. */
  HWY_NOINLINE void NextRow(std::int64_t o) {
    const DS ds;
    const std::int64_t first = h_.start(o);
    const T* enter = row(first + h_.kernel - 1);
    const T* leave = row(first - 1);
    Short* HWY_RESTRICT columns = columns_.get();
    std::int32_t* HWY_RESTRICT to = prefixes_.get() + w_.pad_begin + 1;
    const std::int64_t lanes = LaneCount(ds);
    const std::int64_t size = w_.input;
    const D d;
    V carry = hn::Zero(d);
    std::int64_t i = 0;
    // Rows in the padding take the other way, one branch per vector.
    for (; i < size; i += lanes) {
      auto sum = hn::LoadU(ds, columns + i);
      const std::int64_t part = size - i;
      if (enter != nullptr) sum = hn::Add(sum, LoadElements(ds, enter + i, part));
      if (leave != nullptr) sum = hn::Sub(sum, LoadElements(ds, leave + i, part));
      hn::StoreU(sum, ds, columns + i);
      if constexpr (hn::MaxLanes(D()) == 8) {
        hn::StoreU(Prefix(hn::PromoteTo(d, sum), carry), d, to + i);
      } else {
        const hn::Half<decltype(ds)> half;
        hn::StoreU(Prefix(hn::PromoteTo(d, hn::LowerHalf(half, sum)), carry), d, to + i);
        hn::StoreU(Prefix(hn::PromoteTo(d, hn::UpperHalf(half, sum)), carry), d,
                   to + i + LaneCount(d));
      }
    }
    std::fill_n(to + size, w_.pad_end, to[size - 1]);
  }

  /** Sums of the lanes up to each, and of all before them. */
  static HWY_INLINE V Prefix(V v, V& carry) {
    const D d;
    v = hn::Add(v, hn::ShiftLeftLanes<1>(d, v));
    v = hn::Add(v, hn::ShiftLeftLanes<2>(d, v));
    if constexpr (hn::MaxLanes(D()) == 8) {
      v = hn::Add(v, hn::ConcatLowerLower(d, hn::Broadcast<3>(v), hn::Zero(d)));
      const V last = hn::Broadcast<3>(v);
      v = hn::Add(v, carry);
      carry = hn::Add(carry, hn::ConcatUpperUpper(d, last, last));
    } else {
      const V last = hn::Broadcast<3>(v);
      v = hn::Add(v, carry);
      carry = hn::Add(carry, last);
    }
    return v;
  }

  void StartRow(std::int64_t o) {
    const DF df;
    const std::int64_t rows = uniform_ != 0 ? uniform_
                                            : counted_taps(p_.geometry.d(), p_.divisor, depth_) *
                                                  counted_taps(h_, p_.divisor, o);
    if (rows == rows_) return;
    rows_ = rows;
    for (std::int64_t i = 0; i < w_.output; i += LaneCount(df)) {
      const auto count =
          hn::Mul(hn::Set(df, static_cast<float>(rows)), hn::LoadU(df, counts_.get() + i));
      hn::StoreU(hn::Div(hn::Set(df, 1.0f), count), df, factors_.get() + i);
    }
  }

  /** Quotients half to even: a product is off by less than 2^-14, so rounding it to multiples of
   * 2^-13 makes halves of those that are, and of no others. */
  HWY_INLINE hn::Vec<D> Quotient(std::int64_t o) const {
    const D d;
    const DF df;
    const auto origin = hn::Set(df, 1536.0f);
    const std::int32_t* at = prefixes_.get() + o;
    const auto sum = hn::Sub(hn::LoadU(d, at + w_.kernel), hn::LoadU(d, at));
    const auto snapped =
        hn::MulAdd(hn::ConvertTo(df, sum), hn::LoadU(df, factors_.get() + o), origin);
    return hn::NearestInt(hn::Sub(snapped, origin));
  }

  HWY_NOINLINE void Divide(std::int64_t o) {
    StartRow(o);
    const D d;
    const hn::Rebind<std::int16_t, D> half;
    const hn::Twice<decltype(half)> shorts;
    const std::int64_t lanes = LaneCount(shorts);
    const std::int64_t size = w_.output;
    T* HWY_RESTRICT to = out_;
    for (std::int64_t i = 0; i < size; i += lanes) {
      const auto low = hn::DemoteTo(half, Quotient(i));
      const auto high = hn::DemoteTo(half, Quotient(i + LaneCount(d)));
      StoreElements(hn::Combine(shorts, high, low), shorts, to + i, size - i);
    }
  }

  const Pooling& p_;
  const Axis& h_;
  const Axis& w_;
  const std::int64_t uniform_;
  const Line<Short> columns_;          ///< sums of the columns of a row of windows
  const Line<std::int32_t> prefixes_;  ///< of columns before each, padding included
  const Line<float> counts_;           ///< taps along W that each window counts
  const Line<float> factors_;          ///< reciprocals of divisors
  std::int64_t rows_ = 0;              ///< taps along D and H that these are made for
  std::int64_t depth_ = 0;
  const T* plane_ = nullptr;
  T* out_ = nullptr;
};

inline void Averages(const Pooling& p, Span items) {
  Bytes::with(p, [&]<typename T>() { Boxes<T>(p).Run(items); });
}

}  // namespace byte_boxes
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

// Fewer taps are left to bands, which take them one by one.
constexpr std::int64_t kLeastTaps = 25;
// Bytes of so many rows are summed in 16 bits, signed or not.
constexpr std::int64_t kMostRows = 255;
// Quotients by so much are told apart by multiples of 2^-13.
constexpr std::int64_t kMostDivisor = 4096;
// Widest rows: the lines of one stay in the second-level cache.
constexpr std::int64_t kMostColumns = 1 << 15;

bool accepts(const Pooling& p) {
  if (!HWY_NAMESPACE::byte_boxes::Bytes::has(p)) return false;
  const Geometry& g = p.geometry;
  const Axis& h = g.h();
  const Axis& w = g.w();
  if (p.layout != Layout::planar || g.binned() || g.d().kernel != 1) return false;
  for (const Axis* axis : {&h, &w}) {
    if (axis->stride != 1 || axis->dilation != 1) return false;
  }
  const std::int64_t divisor = p.divisor.override_by;
  return g.taps() >= kLeastTaps && g.taps() <= kMostDivisor && h.kernel <= kMostRows &&
         (divisor == 0 || (divisor >= g.taps() && divisor <= kMostDivisor)) &&
         std::max(w.input, w.output) <= kMostColumns;
}

std::int64_t items(const Pooling& p) {
  return p.geometry.planes() * p.geometry.d().output *
         HWY_NAMESPACE::byte_boxes::ItemsPerPlane(p.geometry.h());
}

}  // namespace

Kernel byte_boxes_kernel() {
  return {"byte_boxes", accepts, items, FEATUREPOOL_TIERED_UP_TO_AVX2(byte_boxes::Averages)};
}

}  // namespace featurepool
#endif
