// Gradients of windows that overlap: every element of dx sums what the outputs
// whose windows hold it give to it, in row-major order of the outputs.
#if defined(FEATUREPOOL_KERNELS_GATHER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FEATUREPOOL_KERNELS_GATHER_INL_H_
#undef FEATUREPOOL_KERNELS_GATHER_INL_H_
#else
#define FEATUREPOOL_KERNELS_GATHER_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hwy/highway.h"
#include "kernels/gradients-inl.h"
#include "kernels/lanes-inl.h"
#include "kernels/plane_view.hpp"
#include "kernels/scratch.hpp"
#include "kernels/windows.hpp"

HWY_BEFORE_NAMESPACE();
namespace featurepool {
namespace HWY_NAMESPACE {

/**
 * Blocks of rows for gathering. Along an axis, input position i = q * stride + r - pad_begin is of
 * phase r, and the windows that hold it are those of outputs q - a, through the tap t where t *
 * dilation = a * stride + r. A block has some consecutive q along H.
 */
struct GatherPlan {
  const PlaneView& view;
  std::int64_t lead_h;  ///< most outputs along H before q
  std::int64_t lead_w;
  std::int64_t first_q;     ///< q of the first row
  std::int64_t quotients;   ///< number of q along H
  std::int64_t rows;        ///< of them in a block
  std::int64_t tile;        ///< columns of dx per tile
  std::int64_t most_pitch;  ///< most elements of a line of outputs

  explicit GatherPlan(const PlaneView& view)
      : view(view),
        lead_h((view.h.reach() - 1) / view.h.stride),
        lead_w((view.w.reach() - 1) / view.w.stride),
        first_q(view.h.pad_begin / view.h.stride),
        quotients((view.h.input - 1 + view.h.pad_begin) / view.h.stride - first_q + 1) {
    // Lines and sums of a block stay in the first-level cache.
    constexpr std::int64_t kTile = 256;
    constexpr std::int64_t kBlock = 2048;
    tile = std::min(view.w.input, std::max(kTile * std::min<std::int64_t>(view.w.stride, 4),
                                           whole_cache_lines(view.w.reach())));
    most_pitch = (tile - 1) / view.w.stride + 2 + lead_w;
    rows = std::clamp<std::int64_t>(kBlock / most_pitch, 1, quotients);
  }

  RowTiles tiles() const {
    return {view.d.input, (quotients + rows - 1) / rows, view.w.input, tile};
  }
};

// Interleaved tensors of this many channels or more have their lanes along C.
constexpr std::int64_t kLeastLaneChannels = 8;

inline bool GatherAccept(const Pooling& p) {
  // Blocks begin with the lines of this many rows of outputs before them.
  constexpr std::int64_t kMostLead = 16;
  if (!RowsAccept(p)) return false;
  if (p.layout == Layout::interleaved && p.geometry.channels >= kLeastLaneChannels) return false;
  const PlaneView view(p);
  return GatherPlan(view).lead_h <= kMostLead && view.h.stride <= kMostLead &&
         view.w.stride <= kMostLead;
}

inline std::int64_t GatherItems(const Pooling& p) {
  const PlaneView view(p);
  return item_count(view.planes, GatherPlan(view).tiles());
}

/**
 * sums[i] = what the taps of line[i] give, over [0, size), whole vectors and some more (the
 * overhang is ours).
 */
template <typename Lane>
HWY_NOINLINE void GatherFlat(const Lane* HWY_RESTRICT line, const std::vector<std::int64_t>& taps,
                             std::int64_t size, Lane* HWY_RESTRICT sums) {
  const hn::ScalableTag<Lane> d;
  const std::int64_t lanes = LaneCount(d);
  // Four vectors: their chains of additions overlap.
  for (std::int64_t i = 0; i < size; i += 4 * lanes) {
    auto s0 = hn::Zero(d);
    auto s1 = s0;
    auto s2 = s0;
    auto s3 = s0;
    for (const std::int64_t tap : taps) {
      const Lane* const from = line + i + tap;
      s0 = hn::Add(s0, hn::LoadU(d, from));
      s1 = hn::Add(s1, hn::LoadU(d, from + lanes));
      s2 = hn::Add(s2, hn::LoadU(d, from + 2 * lanes));
      s3 = hn::Add(s3, hn::LoadU(d, from + 3 * lanes));
    }
    hn::StoreU(s0, d, sums + i);
    hn::StoreU(s1, d, sums + i + lanes);
    hn::StoreU(s2, d, sums + i + 2 * lanes);
    hn::StoreU(s3, d, sums + i + 3 * lanes);
  }
}

/**
 * A row of dx under windows of three taps at stride 2 along W, from kLines (0: as many as there
 * are) lines, each from the first output that element 0 may take from on; `taps` are the first of
 * each line. Elements that two outputs hold take turns with those that one holds; kTwoFirst:
 * element 0 is one of the former.
 */
template <bool kTwoFirst, int kLines, typename T>
HWY_NOINLINE void GatherThrees(const LaneOf<T>* HWY_RESTRICT lines,
                               const std::vector<std::int64_t>& taps, std::int64_t size,
                               T* HWY_RESTRICT dx) {
  using Lane = LaneOf<T>;
  const hn::ScalableTag<Lane> d;
  const std::int64_t lanes = LaneCount(d);
  // Locals, which stores to dx cannot change: they stay in registers.
  std::int64_t local[kLines > 0 ? kLines : 1];
  if (kLines > 0) std::copy_n(taps.data(), kLines, local);
  const std::int64_t* const of_line = kLines > 0 ? local : taps.data();
  const auto count = kLines > 0 ? kLines : static_cast<std::int64_t>(taps.size());
  HWY_ALIGN Lane buffer[2 * hn::MaxLanes(d)];
  for (std::int64_t i = 0; 2 * i < size; i += lanes) {
    auto two = hn::Zero(d);
    auto one = two;
    for (std::int64_t l = 0; l < count; ++l) {
      const std::int64_t at = of_line[l] + i;
      const auto left = hn::LoadU(d, lines + at);
      const auto right = hn::LoadU(d, lines + at + 1);
      two = hn::Add(hn::Add(two, left), right);
      one = hn::Add(one, kTwoFirst ? right : left);
    }
    const auto even = kTwoFirst ? two : one;
    const auto odd = kTwoFirst ? one : two;
    const std::int64_t rest = size - 2 * i;
    if constexpr (std::is_same_v<T, Lane>) {
      if (HWY_LIKELY(rest >= 2 * lanes)) {
        hn::StoreInterleaved2(even, odd, d, dx + 2 * i);
        continue;
      }
    }
    hn::StoreInterleaved2(even, odd, d, buffer);
    StoreElements(hn::Load(d, buffer), d, dx + 2 * i, rest);
    if (rest > lanes) {
      StoreElements(hn::Load(d, buffer + lanes), d, dx + 2 * i + lanes, rest - lanes);
    }
  }
}

template <bool kTwoFirst, typename T>
HWY_INLINE void GatherThrees(const LaneOf<T>* lines, const std::vector<std::int64_t>& taps,
                             std::int64_t size, T* dx) {
  switch (taps.size()) {
    case 1:
      GatherThrees<kTwoFirst, 1>(lines, taps, size, dx);
      break;
    case 2:
      GatherThrees<kTwoFirst, 2>(lines, taps, size, dx);
      break;
    default:
      GatherThrees<kTwoFirst, 0>(lines, taps, size, dx);
  }
}

/** Stores lanes as elements; the last vector overlaps its neighbour, if there is one. */
template <typename T, typename Lane>
HWY_INLINE void StoreRow(const Lane* HWY_RESTRICT line, std::int64_t size, T* HWY_RESTRICT row) {
  const hn::ScalableTag<Lane> d;
  const std::int64_t lanes = LaneCount(d);
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) StoreElements(hn::LoadU(d, line + i), d, row + i, lanes);
  if (i == size) return;
  i = std::max<std::int64_t>(0, size - lanes);
  StoreElements(hn::LoadU(d, line + i), d, row + i, size - i);
}

/**
 * dx of rows whose windows overlap. Rows of dy are put into lines, between
 * padding, once per block of rows; then all rows of a block that are of one
 * phase are one run, in which a tap is an offset.
 *
 * @param term puts rows of outputs into lines
 */
template <class Term>
HWY_INLINE void GatherBlocks(const Pooling& p, Span items, Term term) {
  using T = typename Term::T;
  using Lane = LaneOf<T>;
  const PlaneView view(p);
  const GatherPlan plan(view);
  const RowTiles tiles = plan.tiles();
  const std::int64_t stride = view.w.stride;
  const std::int64_t most = plan.rows * plan.most_pitch;
  const std::int64_t lines_per_depth = plan.rows + plan.lead_h;
  const std::int64_t depths = most_covering(view.d);
  // Taps of the last row's first outputs lie that far behind its line.
  const Line<Lane> lines(depths * lines_per_depth * plan.most_pitch + plan.lead_w);
  const std::int64_t phase_pitch = most + 64;
  const Line<Lane> phases(stride * phase_pitch);
  const Line<Lane> joined(stride > 1 ? stride * phase_pitch : 0);
  std::vector<Covering> depth;
  std::vector<std::vector<std::int64_t>> taps(static_cast<std::size_t>(view.h.stride * stride));
  // By phases along H: the lines that a row takes from, and those of the row in
  // progress.
  std::vector<std::vector<std::int64_t>> row_taps(static_cast<std::size_t>(view.h.stride));
  const bool in_threes = stride == 2 && view.w.kernel == 3 && view.w.dilation == 1;
  std::int64_t started = -1;
  std::int64_t started_depth = -1;
  std::int64_t pitch = 0;
  RowTiles::Item item = tiles.item(items.begin);
  for (std::int64_t index = items.begin; index < items.end; ++index, tiles.advance(item)) {
    const Span columns = tiles.columns(item);
    const std::int64_t q = (columns.begin + view.w.pad_begin) / stride;
    const std::int64_t end_q = (columns.end - 1 + view.w.pad_begin) / stride + 1;
    const Span outputs{std::clamp<std::int64_t>(q - plan.lead_w, 0, view.w.output),
                       std::clamp<std::int64_t>(end_q, 0, view.w.output)};
    const std::int64_t before = outputs.begin - (q - plan.lead_w);
    if (item.tile != started || item.d != started_depth) {
      if (item.tile != started) term.StartTile(view, outputs);
      started = item.tile;
      started_depth = item.d;
      pitch = end_q - q + plan.lead_w;
      list_covering(view.d, item.d, depth);
      for (auto& list : taps) list.clear();
      for (auto& list : row_taps) list.clear();
      // Descending taps are ascending outputs: the order in which the reference
      // accumulates.
      for (std::size_t i = 0; i < depth.size(); ++i) {
        for (std::int64_t th = view.h.kernel - 1; th >= 0; --th) {
          const std::int64_t reach = th * view.h.dilation;
          const std::int64_t line = (static_cast<std::int64_t>(i) * lines_per_depth + plan.lead_h -
                                     reach / view.h.stride) *
                                    pitch;
          const std::int64_t phase = reach % view.h.stride;
          row_taps[static_cast<std::size_t>(phase)].push_back(line);
          for (std::int64_t tw = view.w.kernel - 1; tw >= 0; --tw) {
            const std::int64_t w = tw * view.w.dilation;
            taps[static_cast<std::size_t>(phase * stride + w % stride)].push_back(
                line + plan.lead_w - w / stride);
          }
        }
      }
    }

    const std::int64_t first = plan.first_q + item.h * plan.rows;
    const std::int64_t rows = std::min(plan.rows, plan.first_q + plan.quotients - first);
    for (std::size_t i = 0; i < depth.size(); ++i) {
      for (std::int64_t r = 0; r < rows + plan.lead_h; ++r) {
        const std::int64_t at = (static_cast<std::int64_t>(i) * lines_per_depth + r) * pitch;
        const std::int64_t oh = first - plan.lead_h + r;
        Lane* const line = lines.get() + at;
        if (oh < 0 || oh >= view.h.output || outputs.empty()) {
          term.Pad(line, 0, pitch);
          continue;
        }
        const std::int64_t from =
            ((item.plane * view.d.output + depth[i].output) * view.h.output + oh) * view.w.output +
            outputs.begin;
        term.Pad(line, 0, before);
        term.Put(depth[i].output, oh, from, outputs.size(), line + before);
        term.Pad(line, before + outputs.size(), pitch);
      }
    }

    const std::int64_t skip = columns.begin + view.w.pad_begin - q * stride;
    T* const dx = static_cast<T*>(p.output) +
                  (item.plane * view.d.input + item.d) * view.h.input * view.w.input +
                  columns.begin;
    if (in_threes) {
      for (std::int64_t r = 0; r < rows * view.h.stride; ++r) {
        const std::int64_t row = first * view.h.stride + r - view.h.pad_begin;
        if (row < 0 || row >= view.h.input) continue;
        const auto& list = row_taps[static_cast<std::size_t>(r % view.h.stride)];
        const std::int64_t at = r / view.h.stride * pitch + skip;
        T* const to = dx + row * view.w.input;
        if (skip == 0) {
          GatherThrees<true>(lines.get() + at, list, columns.size(), to);
        } else {
          GatherThrees<false>(lines.get() + at, list, columns.size(), to);
        }
      }
      continue;
    }
    for (std::int64_t rh = 0; rh < view.h.stride; ++rh) {
      for (std::int64_t rw = 0; rw < stride; ++rw) {
        GatherFlat(lines.get(), taps[static_cast<std::size_t>(rh * stride + rw)], rows * pitch,
                   phases.get() + rw * phase_pitch);
      }
      const Lane* sums = phases.get();
      if (stride > 1) {
        JoinPhases(phases.get(), phase_pitch, rows * pitch, stride, joined.get());
        sums = joined.get();
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t row = (first + r) * view.h.stride + rh - view.h.pad_begin;
        if (row < 0 || row >= view.h.input) continue;
        StoreRow(sums + r * pitch * stride + skip, columns.size(), dx + row * view.w.input);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace featurepool
HWY_AFTER_NAMESPACE();

#endif
