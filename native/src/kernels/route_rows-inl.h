// Gradients of selected taps under small windows that overlap: rows of dx take from rows of outputs
// and of the mask as they lie in memory.
#if defined(FEATUREPOOL_KERNELS_ROUTE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_ROUTE_ROWS_INL_H_
#undef FEATUREPOOL_KERNELS_ROUTE_ROWS_INL_H_
#else
#define FEATUREPOOL_KERNELS_ROUTE_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "hwy/highway.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/** Entries of compact masks in lanes as wide as the gradient's. */
template <class DI>
HWY_INLINE hn::Vec<DI> Ordinals(DI di, hn::Vec<hn::Rebind<std::uint8_t, DI>> mask) {
  if constexpr (sizeof(hn::TFromD<DI>) == 8) {
    return hn::PromoteTo(di, hn::PromoteTo(hn::Rebind<std::int32_t, DI>(), mask));
  } else {
    return hn::PromoteTo(di, mask);
  }
}

/** Keeps a vector in a register and where it is computed: GCC would load it once per use, and put
 * off all additions of a chain until its end. */
template <class V>
HWY_INLINE void Pin(V& v) {
#if HWY_COMPILER_GCC_ACTUAL && HWY_ARCH_X86
  asm("" : "+x"(v.raw));
#else
  (void)v;
#endif
}

/** Stores a whole vector as elements of type T. */
template <typename T, class D>
HWY_INLINE void StoreWhole(hn::Vec<D> v, D d, T* HWY_RESTRICT p) {
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    hn::StoreU(v, d, p);
  } else {
    const hn::Rebind<std::uint16_t, D> du;
    hn::StoreU(Narrow(d, T(), v), du, reinterpret_cast<std::uint16_t*>(p));
  }
}

/** A row of outputs that rows of dx take from. */
template <typename T>
struct RoutedLine {
  const T* dy;
  const std::uint8_t* mask;
};

/** Which taps meet along H, where windows do not skip elements. */
template <int kKernelRows, int kStrideRows, int kQuotients>
struct RowPattern {
  static constexpr int kKernel = kKernelRows;
  static constexpr int kStride = kStrideRows;
  /** Rows of dx at a time, which share lines: those of kQuotients strides. */
  static constexpr int kRows = kQuotients * kStride;
  static constexpr int kLead = (kKernel - 1) / kStride;
  static constexpr int kLines = kLead + kQuotients;

  /** The tap of line `line` that row `row` takes, or -1. */
  static constexpr int Tap(int line, int row) {
    const int tap = (row / kStride + kLead - line) * kStride + row % kStride;
    return tap < kKernel ? tap : -1;
  }
};

/** The same along W: kFirst is the phase of a row's first element. */
template <int kKernelColumns, int kStrideColumns, int kFirstPhase>
struct ColumnPattern {
  static constexpr int kKernel = kKernelColumns;
  static constexpr int kStride = kStrideColumns;
  static constexpr int kFirst = kFirstPhase;
  static constexpr int kLead = (kKernel - 1) / kStride;
  /** Outputs, from the first that the first of kStride elements takes from on, that these have. */
  static constexpr int kShifts = kLead + 1 + (kFirst > 0 ? 1 : 0);

  /** The tap of the output `shift` behind that first one that element `element` of kStride takes,
   * or -1. */
  static constexpr int Tap(int shift, int element) {
    const int phase = (element + kFirst) % kStride;
    const int tap = ((element + kFirst) / kStride + kLead - shift) * kStride + phase;
    return tap >= 0 && tap < kKernel ? tap : -1;
  }
};

/** Calls `f` with integral constants 0 to kCount - 1. */
template <int kCount, class F, int kFrom = 0>
HWY_INLINE void Unrolled(const F& f) {
  if constexpr (kFrom < kCount) {
    f(std::integral_constant<int, kFrom>());
    Unrolled<kCount, F, kFrom + 1>(f);
  }
}

/** Where a vector of a group of rows lies: in lines, in rows of dx and along W. */
struct RoutedStep {
  std::int32_t line;
  std::int32_t dx;
  std::int32_t column;
};

/** Vectors of rows of dx, and the lines and rows of which these are some. */
template <typename T>
struct RoutedRun {
  const RoutedLine<T>* lines;
  T* const* dx;
  const RoutedStep* steps;
  std::int64_t size;  ///< steps
  /** -1 for elements of lines that are no outputs of their row, 0 for others. */
  const hwy::MakeSigned<LaneOf<T>>* outside;
  const hwy::MakeSigned<LaneOf<T>>* ordinals;  ///< a vector of each
};

// Lambdas whose vectors must stay in registers.
#define FEATUREPOOL_INLINED HWY_ATTR __attribute__((always_inline))

/** Vectors of rows of dx from lines of outputs that begin with the first output that element 0 may
 * take from; whole ones, which may hang over. */
template <typename T, class Rows, class Columns, bool kEdges>
HWY_NOINLINE void RouteRows(const RoutedRun<T>& run) {
  using D = hn::ScalableTag<LaneOf<T>>;
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<std::uint8_t, D> narrow;
  constexpr int kStride = Columns::kStride;
  const std::int64_t lanes = LaneCount(d);
  // Locals, which stores to dx cannot change: they stay in registers.
  RoutedLine<T> local[Rows::kLines];
  T* dx[Rows::kRows];
  for (int r = 0; r < Rows::kRows; ++r) dx[r] = run.dx[r];
  for (int l = 0; l < Rows::kLines; ++l) {
    // Not as a whole: a load as wide as stores that have just been made waits for them.
    local[l].dy = run.lines[l].dy;
    local[l].mask = run.lines[l].mask;
  }
  hn::Vec<decltype(di)> ordinals[Rows::kKernel * Columns::kKernel];
  // Not by loops, here and below: arrays that these index would stay in memory.
  Unrolled<Rows::kKernel * Columns::kKernel>(
      [&](auto t) FEATUREPOOL_INLINED { ordinals[t] = hn::Load(di, run.ordinals + t * lanes); });
  const auto* const outside = run.outside;
  const RoutedStep* const end = run.steps + run.size;
  for (const RoutedStep* step = run.steps; step != end; ++step) {
    const std::int64_t first = step->line;
    const std::int64_t column = step->column;
    hn::Vec<D> sum[Rows::kRows][kStride];
    Unrolled<Rows::kRows * kStride>(
        [&](auto k) FEATUREPOOL_INLINED { sum[k / kStride][k % kStride] = hn::Zero(d); });
    Unrolled<Rows::kLines>([&](auto of_line) FEATUREPOOL_INLINED {
      constexpr int kLine = decltype(of_line)::value;
      const RoutedLine<T>& line = local[kLine];
      Unrolled<Columns::kShifts>([&](auto of_shift) FEATUREPOOL_INLINED {
        constexpr int kShift = decltype(of_shift)::value;
        auto gradient = LoadElements(d, line.dy + first + kShift);
        Pin(gradient);
        auto entry = Ordinals(di, hn::LoadU(narrow, line.mask + first + kShift));
        if constexpr (kEdges) {
          entry = hn::Or(entry, hn::LoadU(di, outside + column + kShift));
        }
        Unrolled<Rows::kRows * kStride>([&](auto k) FEATUREPOOL_INLINED {
          constexpr int kRow = k / kStride;
          constexpr int kElement = k % kStride;
          constexpr int kTap = Columns::Tap(kShift, kElement);
          constexpr int kRowTap = Rows::Tap(kLine, kRow);
          if constexpr (kTap >= 0 && kRowTap >= 0) {
            const auto ordinal = ordinals[kRowTap * Columns::kKernel + kTap];
            auto& s = sum[kRow][kElement];
            s = hn::Add(s, hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(entry, ordinal)), gradient));
            Pin(s);
          }
        });
      });
    });
    Unrolled<Rows::kRows>([&](auto r) FEATUREPOOL_INLINED {
      T* const out = dx[r] + step->dx;
      if constexpr (kStride == 1) {
        StoreWhole(sum[r][0], d, out);
      } else {
        static_assert(kStride == 2);
        if constexpr (std::is_same_v<T, LaneOf<T>>) {
          hn::StoreInterleaved2(sum[r][0], sum[r][1], d, out);
        } else {
          HWY_ALIGN LaneOf<T> joined[2 * hn::MaxLanes(d)];
          hn::StoreInterleaved2(sum[r][0], sum[r][1], d, joined);
          StoreWhole(hn::Load(d, joined), d, out);
          StoreWhole(hn::Load(d, joined + lanes), d, out + lanes);
        }
      }
    });
  }
}

/** Whether an output before the first of an axis, or behind its last, would take part in gradients
 * if it were one of the axis: what lies there in memory is an output of the neighbouring row or
 * plane, whose mask may name the very tap. */
inline bool Misleads(const Axis& axis, std::int64_t o) {
  const std::int64_t actual = (o % axis.output + axis.output) % axis.output;
  const auto inside = [&](std::int64_t at) { return at >= 0 && at < axis.input; };
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    if (inside(axis.position(o, t)) && inside(axis.position(actual, t))) return true;
  }
  return false;
}

inline bool BeginMisleads(const Axis& axis) {
  for (std::int64_t o = 1; o < axis.kernel; ++o) {
    if (Misleads(axis, -o)) return true;
  }
  return false;
}

inline bool EndMisleads(const Axis& axis) {
  for (std::int64_t o = 0; o < axis.kernel; ++o) {
    if (Misleads(axis, axis.output + o)) return true;
  }
  return false;
}

/** The planes of a call; those that may pass for one high plane are one. */
inline PlaneView RoutedPlanes(const Pooling& p) {
  PlaneView view(p);
  view.planes *= view.d.input;
  view.d = Axis();
  Axis& h = view.h;
  if (h.input == h.output * h.stride && !BeginMisleads(h) && !EndMisleads(h)) {
    h.input *= view.planes;
    h.output *= view.planes;
    view.planes = 1;
  }
  return view;
}

/** Groups of rows of dx under windows of one pattern. */
template <typename T, class Rows, class Columns>
class RoutedRows {
 public:
  explicit RoutedRows(const Pooling& p)
      : view_(RoutedPlanes(p)),
        dy_(static_cast<const T*>(p.input)),
        mask_(static_cast<const std::uint8_t*>(p.mask)),
        dx_(static_cast<T*>(p.output)),
        outputs_(p.geometry.output_size()),
        first_q_(view_.h.pad_begin / Rows::kStride),
        base_(view_.w.pad_begin / Columns::kStride - Columns::kLead),
        vectors_((view_.w.input + kWidth - 1) / kWidth),
        read_(vectors_ * kLanes + Columns::kShifts - 1),
        exact_((kWidth - 1) / view_.w.input + 1),
        bulk_(std::clamp<std::int64_t>(kSteps / vectors_, 1, groups(view_.h))),
        outside_(read_),
        ordinals_(Rows::kKernel * Columns::kKernel * kLanes),
        no_gradients_(read_ * (Rows::kLines + 1)),
        no_entries_(read_ * (Rows::kLines + 1)),
        trash_(vectors_ * kWidth) {
    for (std::int64_t i = 0; i < read_; ++i) {
      outside_[i] = base_ + i < 0 || base_ + i >= view_.w.output ? -1 : 0;
    }
    for (std::int64_t i = 0; i < Rows::kKernel * Columns::kKernel * kLanes; ++i) {
      ordinals_[i] = static_cast<Entry>(i / kLanes);
    }
    std::fill_n(no_gradients_.get(), read_, T{});
    std::fill_n(no_entries_.get(), read_ * (Rows::kLines + 1), kNone);
    ListSteps();
  }

  static std::int64_t groups(const Axis& h) {
    const std::int64_t first = h.pad_begin / Rows::kStride;
    const std::int64_t quotients = (h.input - 1 + h.pad_begin) / Rows::kStride - first + 1;
    return (quotients + kQuotients - 1) / kQuotients;
  }

  /** Items are the groups of all planes. */
  void Run(Span items) {
    const std::int64_t per_plane = groups(view_.h);
    for (std::int64_t item = items.begin; item < items.end;) {
      const std::int64_t plane = item / per_plane;
      const std::int64_t group = item % per_plane;
      // The last groups have nothing behind them that their vectors might hang over into.
      const std::int64_t behind = items.end - exact_ - item;
      const std::int64_t count = behind <= 0 ? 0 : Plain(plane, group, behind);
      if (count > 0) {
        Bulk(plane, group, count);
        item += count;
      } else {
        Single(plane, group, behind <= 0);
        ++item;
      }
    }
  }

 private:
  using D = hn::ScalableTag<LaneOf<T>>;
  using Entry = hwy::MakeSigned<LaneOf<T>>;
  static constexpr std::int64_t kQuotients = Rows::kRows / Rows::kStride;
  static constexpr std::uint8_t kNone = FPOOL_MASK_NONE_COMPACT;
  // So many that beginning a run costs little.
  static constexpr std::int64_t kSteps = 128;
  const std::int64_t kLanes = LaneCount(D());
  const std::int64_t kWidth = kLanes * Columns::kStride;

  std::int64_t Row(std::int64_t group) const {
    return (first_q_ + group * kQuotients) * Rows::kStride - view_.h.pad_begin;
  }
  std::int64_t FirstLine(std::int64_t group) const {
    return first_q_ + group * kQuotients - Rows::kLead;
  }
  /** The first element that is read of a line. */
  std::int64_t LineAt(std::int64_t plane, std::int64_t oh) const {
    return (plane * view_.h.output + oh) * view_.w.output + base_;
  }

  /** Vectors in the order in which they are written: a row's last one first, since what hangs over
   * is the begin of a row that is yet to come. */
  void ListSteps() {
    const bool begin = BeginMisleads(view_.w);
    const bool end = EndMisleads(view_.w);
    for (std::int64_t g = 0; g < bulk_; ++g) {
      for (std::int64_t v = 0; v < vectors_; ++v) {
        const std::int64_t i = (v == 0 ? vectors_ - 1 : v - 1) * kLanes;
        const RoutedStep step{
            static_cast<std::int32_t>(g * kQuotients * view_.w.output + i),
            static_cast<std::int32_t>(g * Rows::kRows * view_.w.input + Columns::kStride * i),
            static_cast<std::int32_t>(i)};
        const bool edge = (begin && base_ + i < 0) ||
                          (end && base_ + i + kLanes + Columns::kShifts - 1 > view_.w.output) ||
                          ((begin || end) && v == 0);
        (edge ? edge_steps_ : inner_steps_).push_back(step);
        if (g == 0) group_steps_.push_back(step);
      }
    }
  }

  /** How many groups from `group` on, `most` at the most, have all their rows and lines, and lines
   * that can be read whole. */
  std::int64_t Plain(std::int64_t plane, std::int64_t group, std::int64_t most) const {
    const std::int64_t first = FirstLine(group);
    if (Row(group) < 0 || first < 0 || LineAt(plane, first) < 0) return 0;
    const std::int64_t by_rows = (view_.h.input - Row(group)) / Rows::kRows;
    const std::int64_t lines = view_.h.output - first - Rows::kLines;
    const std::int64_t by_lines = lines < 0 ? 0 : lines / kQuotients + 1;
    std::int64_t count = std::min({by_rows, by_lines, most, bulk_});
    while (count > 0 &&
           LineAt(plane, FirstLine(group + count - 1) + Rows::kLines - 1) + read_ > outputs_) {
      --count;
    }
    return count;
  }

  void Bulk(std::int64_t plane, std::int64_t group, std::int64_t count) {
    RoutedLine<T> lines[Rows::kLines];
    T* rows[Rows::kRows];
    const std::int64_t first = LineAt(plane, FirstLine(group));
    for (int l = 0; l < Rows::kLines; ++l) {
      lines[l] = {dy_ + first + l * view_.w.output, mask_ + first + l * view_.w.output};
    }
    for (int r = 0; r < Rows::kRows; ++r) {
      rows[r] = dx_ + (plane * view_.h.input + Row(group) + r) * view_.w.input;
    }
    const auto of_group = [&](const std::vector<RoutedStep>& steps) {
      return static_cast<std::int64_t>(steps.size()) / bulk_;
    };
    RouteRows<T, Rows, Columns, true>({lines, rows, edge_steps_.data(),
                                       of_group(edge_steps_) * count, outside_.get(),
                                       ordinals_.get()});
    RouteRows<T, Rows, Columns, false>({lines, rows, inner_steps_.data(),
                                        of_group(inner_steps_) * count, outside_.get(),
                                        ordinals_.get()});
  }

  /** A group some of whose rows or lines may not exist; exact: nothing may hang over. */
  void Single(std::int64_t plane, std::int64_t group, bool exact) {
    RoutedLine<T> lines[Rows::kLines];
    T* rows[Rows::kRows];
    for (int l = 0; l < Rows::kLines; ++l) {
      const std::int64_t oh = FirstLine(group) + l;
      const std::int64_t at = LineAt(plane, oh);
      if (oh < 0 || oh >= view_.h.output) {
        lines[l] = {no_gradients_.get(), no_entries_.get()};
      } else if (at >= 0 && at + read_ <= outputs_) {
        lines[l] = {dy_ + at, mask_ + at};
      } else {
        T* const gradients = no_gradients_.get() + (l + 1) * read_;
        std::uint8_t* const entries = no_entries_.get() + (l + 1) * read_;
        const std::int64_t begin = std::max<std::int64_t>(0, base_);
        const std::int64_t end = std::min(view_.w.output, base_ + read_);
        std::fill_n(gradients, read_, T{});
        std::fill_n(entries, read_, kNone);
        if (begin < end) {
          std::copy_n(dy_ + at + begin - base_, end - begin, gradients + begin - base_);
          std::copy_n(mask_ + at + begin - base_, end - begin, entries + begin - base_);
        }
        lines[l] = {gradients, entries};
      }
    }
    for (int r = 0; r < Rows::kRows; ++r) {
      const std::int64_t row = Row(group) + r;
      rows[r] = row < 0 || row >= view_.h.input
                    ? trash_.get()
                    : dx_ + (plane * view_.h.input + row) * view_.w.input;
    }
    if (!exact) {
      RouteRows<T, Rows, Columns, true>(
          {lines, rows, group_steps_.data(), vectors_, outside_.get(), ordinals_.get()});
      return;
    }
    HWY_ALIGN T buffer[Rows::kRows][Columns::kStride * hn::MaxLanes(D())];
    T* buffers[Rows::kRows];
    for (int r = 0; r < Rows::kRows; ++r) buffers[r] = buffer[r];
    RoutedStep last = group_steps_.front();
    const std::int64_t at = last.dx;
    last.dx = 0;
    RouteRows<T, Rows, Columns, true>({lines, buffers, &last, 1, outside_.get(), ordinals_.get()});
    for (int r = 0; r < Rows::kRows; ++r) {
      std::copy_n(buffers[r], view_.w.input - at, rows[r] + at);
    }
    RouteRows<T, Rows, Columns, true>(
        {lines, rows, group_steps_.data() + 1, vectors_ - 1, outside_.get(), ordinals_.get()});
  }

  const PlaneView view_;
  const T* dy_;
  const std::uint8_t* mask_;
  T* dx_;
  std::int64_t outputs_;
  std::int64_t first_q_;  ///< quotient along H of the first group
  std::int64_t base_;     ///< output along W of the first element that is read of a line
  std::int64_t vectors_;  ///< of a row, each of all elements of a stride
  std::int64_t read_;     ///< elements of a line that are read
  std::int64_t exact_;    ///< groups that what hangs over a group may reach into
  std::int64_t bulk_;     ///< groups of a run
  std::vector<RoutedStep> edge_steps_;   ///< of those groups
  std::vector<RoutedStep> inner_steps_;  ///< the others of them
  std::vector<RoutedStep> group_steps_;  ///< all of one group
  Line<Entry> outside_;
  Line<Entry> ordinals_;
  Line<T> no_gradients_;  ///< a line that gives nothing, and copies of lines that end too early
  Line<std::uint8_t> no_entries_;
  Line<T> trash_;  ///< rows that do not exist
};

/** Calls `f.template operator()<Rows, Columns>()` for the pattern of a call, if it has one. */
template <class F>
HWY_INLINE bool WithPattern(const Axis& h, const Axis& w, const F& f) {
  const auto is = [](const Axis& axis, std::int64_t kernel, std::int64_t stride) {
    return axis.kernel == kernel && axis.stride == stride;
  };
  if (is(h, 3, 2) && is(w, 3, 2)) {
    if (w.pad_begin % 2 == 0) {
      f.template operator()<RowPattern<3, 2, 1>, ColumnPattern<3, 2, 0>>();
    } else {
      f.template operator()<RowPattern<3, 2, 1>, ColumnPattern<3, 2, 1>>();
    }
  } else if (is(h, 3, 1) && is(w, 3, 1)) {
    f.template operator()<RowPattern<3, 1, 4>, ColumnPattern<3, 1, 0>>();
  } else if (is(h, 2, 1) && is(w, 2, 1)) {
    f.template operator()<RowPattern<2, 1, 4>, ColumnPattern<2, 1, 0>>();
  } else {
    return false;
  }
  return true;
}

inline bool RouteRowsAccept(const Pooling& p) {
  const Geometry& g = p.geometry;
  if (p.layout != Layout::planar || g.binned() || g.d().kernel != 1 || g.d().stride != 1 ||
      g.d().pad_begin != 0 || g.d().pad_end != 0 || g.h().dilation != 1 || g.w().dilation != 1 ||
      !WithPattern(g.h(), g.w(), []<class Rows, class Columns>() {})) {
    return false;
  }
  // Vectors of shorter rows would be half empty; small planes do not repay their first and last
  // rows, unless all are one.
  constexpr std::int64_t kLeastStrides = 6;
  constexpr std::int64_t kLeastPlane = 1024;
  // Of rows, up to nine are kept beside the tensors.
  constexpr std::int64_t kMostColumns = 4096;
  return g.w().input >= kLeastStrides * g.w().stride && g.w().input <= kMostColumns &&
         (g.input_plane() >= kLeastPlane || RoutedPlanes(p).planes == 1);
}

inline std::int64_t RouteRowsItems(const Pooling& p) {
  const PlaneView view = RoutedPlanes(p);
  std::int64_t groups = 0;
  WithPattern(view.h, view.w, [&]<class Rows, class Columns>() {
    groups = RoutedRows<float, Rows, Columns>::groups(view.h);
  });
  return view.planes * groups;
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
