// Small windows of stride 1 over wide planar rows: maxima, minima and averages.

#include "kernels/bands.hpp"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "dispatch/kernel.hpp"
#include "kernels/elements.hpp"
#include "kernels/extremes.hpp"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bands.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/bands-inl.h"
#include "kernels/extremes-inl.h"
#include "kernels/short_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {
namespace bands {

/** What becomes of maxima: they are turned back and stored. */
template <class R>
struct StoreExtremes {
  static constexpr bool kHasEdges = false;
  using Element = typename R::Element;
  using V = hn::Vec<typename R::D>;
  struct Writer {
    bool stream;
    HWY_INLINE void Write(int, V v, Element* HWY_RESTRICT to) const {
      const typename R::D d;
      v = Turn<R::kSelects>(d, v);
      if (stream) {
        hn::Stream(v, d, to);
      } else {
        StoreElements(v, d, to, LaneCount(d));
      }
    }
  };
  const bool stream;

  explicit StoreExtremes(const Pooling& p) : stream(CanStream(p, p.geometry.w().output)) {}

  void Start(int, std::int64_t, std::int64_t) {}
  Writer writer() const { return {stream}; }
  HWY_INLINE void WriteEdge(int row, V v, std::int64_t, Element* to) const {
    Writer{false}.Write(row, v, to);
  }
};

/** What becomes of sums of bands: they are multiplied by the divisors' reciprocals. */
template <typename T>
class StoreQuotients {
 public:
  static constexpr bool kHasEdges = true;
  using Element = T;
  using R = ShortSumOf<T>;
  using D = typename R::D;
  using V = hn::Vec<D>;
  using DF = hn::ScalableTag<float>;

  struct FloatWriter {
    hn::Vec<DF> factors[2];
    bool stream;

    // Written out, because one that the compiler makes is not of the tier.
    HWY_INLINE HWY_ATTR FloatWriter() {}

    HWY_INLINE void Write(int row, V sum, T* HWY_RESTRICT to) const {
      const D d;
      const auto quotient = hn::Mul(sum, factors[row]);
      if (stream) {
        hn::Stream(quotient, d, to);
      } else {
        hn::StoreU(quotient, d, to);
      }
    }
  };

  /** Quotients half to even: floor((sum + divisor / 2) / divisor), less one where that is odd and
   * leaves no rest. */
  struct ByteWriter {
    using DU = hn::RebindToUnsigned<D>;
    hn::Vec<DU> raise[2];
    hn::Vec<DU> factor[2];
    hn::Vec<DU> divisor[2];
    int shift[2];
    bool ties[2];

    HWY_INLINE HWY_ATTR ByteWriter() {}

    HWY_INLINE void Write(int row, V sum, T* HWY_RESTRICT to) const {
      const DU du;
      const hn::RebindToSigned<D> di;
      const auto raised = hn::Add(hn::BitCast(du, sum), raise[row]);
      auto quotient = hn::ShiftRightSame(hn::MulHigh(raised, factor[row]), shift[row]);
      if (ties[row]) {
        const auto even = hn::Mul(quotient, divisor[row]);
        const auto tie = hn::VecFromMask(du, hn::Eq(even, raised));
        const auto odd = hn::And(quotient, hn::Set(du, std::uint16_t{1}));
        quotient = hn::Sub(quotient, hn::And(tie, odd));
      }
      auto value = hn::BitCast(di, quotient);
      if constexpr (std::is_signed_v<T>) value = hn::Sub(value, hn::Set(di, kOffset));
      StoreElements(value, di, to, LaneCount(di));
    }
  };
  using Writer = std::conditional_t<std::is_integral_v<T>, ByteWriter, FloatWriter>;

  explicit StoreQuotients(const Pooling& p)
      : p_(p),
        columns_(p.geometry.w().output),
        factors_{Line<float>(p.geometry.w().output), Line<float>(p.geometry.w().output)} {
    const Axis& w = p.geometry.w();
    const bool given = p.divisor.override_by > 0;
    for (std::int64_t o = 0; o < w.output; ++o) {
      columns_[o] = given ? 1.0f : static_cast<float>(counted_taps(w, p.divisor, o));
    }
    for (const int row : {0, 1}) Divide(row, p.geometry.taps());
    if constexpr (std::is_floating_point_v<T>) writer_.stream = CanStream(p, w.output);
  }

  void Start(int row, std::int64_t d, std::int64_t h) {
    const Geometry& g = p_.geometry;
    const bool given = p_.divisor.override_by > 0;
    const std::int64_t rows =
        given ? p_.divisor.override_by
              : counted_taps(g.d(), p_.divisor, d) * counted_taps(g.h(), p_.divisor, h);
    if (rows == rows_[row]) return;
    rows_[row] = rows;
    const DF df;
    for (std::int64_t o = 0; o < g.w().output; o += LaneCount(df)) {
      const auto divisor =
          hn::Mul(hn::Set(df, static_cast<float>(rows)), hn::LoadU(df, columns_.get() + o));
      hn::StoreU(hn::Div(hn::Set(df, 1.0f), divisor), df, factors_[row].get() + o);
    }
    Divide(row, given ? rows : rows * g.w().kernel);
  }

  const Writer& writer() const { return writer_; }

  HWY_INLINE void WriteEdge(int row, V sum, std::int64_t o, T* to) const {
    const D d;
    const DF df;
    const float* factors = factors_[row].get() + o;
    if constexpr (std::is_integral_v<T>) {
      // A product is off by less than 2^-14: rounding it to multiples of 2^-12 makes halves of
      // those that are, and of no others.
      const hn::RebindToSigned<DF> di;
      const hn::Half<D> half;
      const hn::RebindToSigned<decltype(half)> short_half;
      const hn::RebindToSigned<D> shorts;
      const auto origin = hn::Set(df, static_cast<float>(3 << 10));
      const auto rounded = [&](auto part, const float* factor) HWY_ATTR {
        const auto total = hn::ConvertTo(df, hn::PromoteTo(di, part));
        const auto snapped = hn::Add(hn::Mul(total, hn::LoadU(df, factor)), origin);
        return hn::DemoteTo(short_half, hn::NearestInt(hn::Sub(snapped, origin)));
      };
      const auto both =
          hn::Combine(shorts, rounded(hn::UpperHalf(half, sum), factors + LaneCount(df)),
                      rounded(hn::LowerHalf(half, sum), factors));
      StoreElements(both, shorts, to, LaneCount(d));
    } else {
      hn::StoreU(hn::Mul(sum, hn::LoadU(df, factors)), d, to);
    }
  }

 private:
  static constexpr std::int16_t kOffset = 128;  ///< makes a signed byte an unsigned one

  void Divide(int row, std::int64_t divisor) {
    if constexpr (std::is_integral_v<T>) {
      const typename Writer::DU du;
      int shift = 0;  // 2^shift < divisor <= 2^(shift + 1)
      while ((std::int64_t{2} << shift) < divisor) ++shift;
      const std::int64_t factor = ((std::int64_t{1} << (16 + shift)) + divisor - 1) / divisor;
      const std::int64_t offset = std::is_signed_v<T> ? kOffset * divisor : 0;
      writer_.raise[row] = hn::Set(du, static_cast<std::uint16_t>(divisor / 2 + offset));
      writer_.factor[row] = hn::Set(du, static_cast<std::uint16_t>(factor));
      writer_.divisor[row] = hn::Set(du, static_cast<std::uint16_t>(divisor));
      writer_.shift[row] = shift;
      writer_.ties[row] = divisor % 2 == 0;
    } else {
      writer_.factors[row] = hn::Set(DF(), 1.0f / static_cast<float>(divisor));
    }
  }

  const Pooling& p_;
  const Line<float> columns_;      ///< taps along W that each window counts
  const Line<float> factors_[2];   ///< reciprocals of the divisors of a row
  std::int64_t rows_[2] = {0, 0};  ///< taps along D and H that the windows of a row count
  Writer writer_;
};

template <Order kOrder>
void Extremes(const Pooling& p, Span items) {
  CommonExtremes<kOrder>::with(p, [&]<typename T>() {
    using R = MaxOf<T, kOrder>;
    StoreExtremes<R> finish(p);
    ForwardBands<R>(p, items, finish, extremes::Redo<T, kOrder>(p));
  });
}

inline void Maxima(const Pooling& p, Span items) { Extremes<Order::greater>(p, items); }
inline void Minima(const Pooling& p, Span items) { Extremes<Order::less>(p, items); }

using Bytes = ElementTypes<std::uint8_t, std::int8_t>;

template <typename T>
void AveragesOf(const Pooling& p, Span items) {
  StoreQuotients<T> finish(p);
  ForwardBands<ShortSumOf<T>>(p, items, finish, NothingToRedo());
}

inline void Averages(const Pooling& p, Span items) { AveragesOf<float>(p, items); }
inline void ByteAverages(const Pooling& p, Span items) {
  Bytes::with(p, [&]<typename T>() { AveragesOf<T>(p, items); });
}

}  // namespace bands
}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace featurepool {
namespace {

// Bytes of so many taps are divided by a product with 16 bits: exact for sums up to 255.5 times the
// divisor.
constexpr std::int64_t kMostByteDivisor = 128;

// Rows of so many bytes of lanes make up for what a band costs before its first vector, compared
// with blocks (measured); those take sums of bytes in lanes of four.
constexpr std::int64_t kLeastThree = 320;
constexpr std::int64_t kLeastThreeByteSums = 192;

bool accepts_extremes(const Pooling& p) {
  return CommonExtremes<Order::greater>::has(p) && p.mask_type == MaskType::none &&
         HWY_NAMESPACE::BandsAccept(p, dtype_size(p.dtype), kLeastThree);
}

bool accepts_averages(const Pooling& p) {
  return p.dtype == FPOOL_F32 && HWY_NAMESPACE::BandsAccept(p, dtype_size(p.dtype), kLeastThree);
}

bool accepts_byte_averages(const Pooling& p) {
  const std::int64_t divisor = p.divisor.override_by;
  const bool exact = divisor <= 0 || (divisor >= p.geometry.taps() && divisor <= kMostByteDivisor);
  return HWY_NAMESPACE::bands::Bytes::has(p) && exact &&
         HWY_NAMESPACE::BandsAccept(p, 2, kLeastThreeByteSums);
}

}  // namespace

Kernel bands_kernel(Operation operation) {
  using HWY_NAMESPACE::BandItems;
  switch (operation) {
    case Operation::max_forward:
      return {"bands", accepts_extremes, BandItems, FEATUREPOOL_TIERED_ABOVE_SSE4(bands::Maxima)};
    case Operation::min_forward:
      return {"bands", accepts_extremes, BandItems, FEATUREPOOL_TIERED_AVX2(bands::Minima)};
    default:
      return {"bands", accepts_averages, BandItems, FEATUREPOOL_TIERED_AVX2(bands::Averages)};
  }
}

Kernel byte_bands_kernel() {
  return {"bands", accepts_byte_averages, HWY_NAMESPACE::BandItems,
          FEATUREPOOL_TIERED_ABOVE_SSE4(bands::ByteAverages)};
}

}  // namespace featurepool
#endif
