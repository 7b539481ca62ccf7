#include "abi/mask.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <vector>

#include "abi/indices.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/threads.hpp"
#include "geometry/error.hpp"

namespace featurepool {
namespace {

struct Position {
  std::int64_t d;
  std::int64_t h;
  std::int64_t w;
};

/** Splits a flat position into its three coordinates under extents `h` and `w`. */
Position unflatten(std::int64_t flat, std::int64_t h, std::int64_t w) {
  return {flat / w / h, flat / w % h, flat % w};
}

/** Calls `visit(entry, image, channel, output)` in memory order. */
template <typename Visit>
void for_each_entry(const Pooling& p, Visit visit) {
  const Geometry& g = p.geometry;
  const std::int64_t size = g.output_plane();
  std::int64_t entry = 0;
  for (std::int64_t n = 0; n < g.batch; ++n) {
    if (p.layout == Layout::planar) {
      for (std::int64_t c = 0; c < g.channels; ++c) {
        for (std::int64_t o = 0; o < size; ++o) visit(entry++, n, c, o);
      }
    } else {
      for (std::int64_t o = 0; o < size; ++o) {
        for (std::int64_t c = 0; c < g.channels; ++c) visit(entry++, n, c, o);
      }
    }
  }
}

/** Input position of a tap, given by its ordinal, of the window at output `o`. */
Position tap_position(const Geometry& g, std::int64_t o, std::int64_t ordinal) {
  const Position output = unflatten(o, g.h().output, g.w().output);
  const Position tap = unflatten(ordinal, g.h().kernel, g.w().kernel);
  return {g.d().position(output.d, tap.d), g.h().position(output.h, tap.h),
          g.w().position(output.w, tap.w)};
}

[[noreturn]] void refuse_entry(std::int64_t entry, std::int64_t value, const char* limit,
                               std::int64_t most) {
  fail(FPOOL_ERROR_INDEX_OUT_OF_RANGE, "mask_data[", entry, "] is ", value, "; it must be ", limit,
       most, ", or the mark of no position");
}

/** The multiples of `scale`, modulo 2^16, at which an entry's own multiple lies if it names one of
 * some taps of an axis. */
struct TapRange {
  std::uint16_t first;
  std::uint16_t span;

  bool lacks(std::uint16_t entry, std::uint16_t scale) const {
    return static_cast<std::uint16_t>(entry * scale - first) > span;
  }
};

/**
 * Which taps of one axis an entry names, without divisions, in 16 bits, of which vectors have many:
 * the ordinal's remainder by the taps of this and the inner axes is its multiple by their
 * reciprocal, as a fraction. The error is less than the distance of neighbours for all bytes.
 */
class TapAxis {
 public:
  TapAxis(const Axis& axis, std::int64_t inner_taps)
      : axis_(axis),
        inner_(inner_taps),
        scale_(axis.kernel * inner_taps == 1
                   ? 0
                   : static_cast<std::uint16_t>(0xffff / (axis.kernel * inner_taps) + 1)) {}

  std::uint16_t scale() const { return scale_; }
  const Axis& axis() const { return axis_; }

  /** The range of the taps of output `o` that are inside the input. */
  TapRange range(std::int64_t o) const {
    const Span taps = axis_.taps(o);
    // No multiple comes so close to the end.
    if (taps.empty()) return {0xffff, 0};
    const std::int64_t unit = inner_ * scale_;
    const std::int64_t first = taps.begin * unit;
    // All taps together may reach a little beyond 2^16.
    const std::int64_t span = std::min(taps.size() * unit - 1, 0xffff - first);
    return {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(span)};
  }

 private:
  const Axis& axis_;
  std::int64_t inner_;
  std::uint16_t scale_;
};

constexpr std::uint16_t kNone = FPOOL_MASK_NONE_COMPACT;

/** The ranges of one axis at every place of a plane. */
struct TapRanges {
  std::uint16_t scale;
  std::vector<std::uint16_t> first;
  std::vector<std::uint16_t> span;
};

/** Whether an entry names a tap outside one of the ranges at its place; without branches, in types
 * that the compiler finds vectors for. */
bool any_outside(const std::uint8_t* mask, std::int64_t size, const TapRanges& a,
                 const TapRanges& b) {
  const std::uint16_t scale_a = a.scale;
  const std::uint16_t scale_b = b.scale;
  const std::uint16_t* const first_a = a.first.data();
  const std::uint16_t* const first_b = b.first.data();
  const std::uint16_t* const span_a = a.span.data();
  const std::uint16_t* const span_b = b.span.data();
  const auto beyond = [](std::uint16_t entry, std::uint16_t scale, std::uint16_t first,
                         std::uint16_t span) {
    const auto at = static_cast<std::uint16_t>(entry * scale - first);
    return static_cast<std::uint16_t>(std::max(at, span) - span);
  };
  std::uint16_t bad = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const std::uint16_t entry = mask[i];
    const auto by = static_cast<std::uint16_t>(beyond(entry, scale_a, first_a[i], span_a[i]) |
                                               beyond(entry, scale_b, first_b[i], span_b[i]));
    // No bit of the mark of no position differs from it.
    bad = static_cast<std::uint16_t>(bad | (by != 0 ? entry ^ kNone : 0));
  }
  return bad != 0;
}

/** The same of one range. */
bool any_outside(const std::uint8_t* mask, std::int64_t size, std::uint16_t scale, TapRange range) {
  std::uint16_t bad = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    const std::uint16_t entry = mask[i];
    bad = static_cast<std::uint16_t>(bad | (range.lacks(entry, scale) ? entry ^ kNone : 0));
  }
  return bad != 0;
}

/** Looks for entries of taps that lie outside the input. */
class TapCheck {
 public:
  explicit TapCheck(const Pooling& p)
      : g_(p.geometry),
        mask_(static_cast<const std::uint8_t*>(p.mask)),
        channels_(p.layout == Layout::planar ? 1 : g_.channels),
        blocks_(p.layout == Layout::planar ? g_.planes() : g_.batch),
        row_(g_.w().output * channels_),
        plane_(g_.output_plane() * channels_),
        axes_{TapAxis(g_.d(), g_.h().kernel * g_.w().kernel), TapAxis(g_.h(), g_.w().kernel),
              TapAxis(g_.w(), 1)} {}

  bool finds() const {
    const std::int64_t edges = g_.w().output - std::max<std::int64_t>(0, g_.w().interior().size());
    // Where a good part of a small plane has windows that reach over an edge, it is looked at
    // whole.
    constexpr std::int64_t kSmallPlane = 4096;
    if (plane_ <= kSmallPlane && 8 * edges >= g_.w().output) return in_planes();
    return in_rows() || in_columns();
  }

 private:
  /** Some planes at a time. */
  bool in_planes() const {
    constexpr std::int64_t kRun = 4096;
    const std::int64_t planes = std::clamp<std::int64_t>(kRun / plane_, 1, blocks_);
    const std::int64_t size = planes * plane_;
    std::vector<TapRanges> ranges;
    std::int64_t repeat = plane_;  // entries of one output of the axis
    for (const TapAxis& axis : axes_) {
      repeat /= axis.axis().output;
      if (axis.axis().whole()) continue;
      TapRanges& all = ranges.emplace_back();
      all.scale = axis.scale();
      all.first.resize(static_cast<std::size_t>(size));
      all.span.resize(static_cast<std::size_t>(size));
      for (std::int64_t i = 0; i < plane_; i += repeat) {
        const TapRange range = axis.range(i / repeat % axis.axis().output);
        std::fill_n(all.first.begin() + i, repeat, range.first);
        std::fill_n(all.span.begin() + i, repeat, range.span);
      }
      for (std::int64_t i = plane_; i < size; i += plane_) {
        std::copy_n(all.first.begin(), plane_, all.first.begin() + i);
        std::copy_n(all.span.begin(), plane_, all.span.begin() + i);
      }
    }
    const std::int64_t entries = blocks_ * plane_;
    for (std::int64_t i = 0; i < entries; i += size) {
      const std::int64_t part = std::min(size, entries - i);
      if (any_outside(mask_ + i, part, ranges.front(), ranges.back())) return true;
      if (ranges.size() == 3 && any_outside(mask_ + i, part, ranges[1], ranges[1])) return true;
    }
    return false;
  }

  /** Along D and H, of windows that reach over an edge. */
  bool in_rows() const {
    std::int64_t repeat = plane_;
    std::int64_t repeats = blocks_;
    for (int a = Geometry::D; a <= Geometry::H; ++a) {
      const TapAxis& axis = axes_[static_cast<std::size_t>(a)];
      const std::int64_t outputs = axis.axis().output;
      const Span interior = axis.axis().interior();
      repeat /= outputs;
      for (std::int64_t o = 0; o < outputs; ++o) {
        if (o >= interior.begin && o < interior.end) continue;
        const TapRange range = axis.range(o);
        for (std::int64_t i = 0; i < repeats; ++i) {
          const std::uint8_t* const run = mask_ + (i * outputs + o) * repeat;
          if (any_outside(run, repeat, axis.scale(), range)) return true;
        }
      }
      repeats *= outputs;
    }
    return false;
  }

  /** The same along W. */
  bool in_columns() const {
    const TapAxis& axis = axes_[Geometry::W];
    const Span interior = axis.axis().interior();
    const std::int64_t rows = g_.output_size() / row_;
    for (std::int64_t o = 0; o < axis.axis().output; ++o) {
      if (o >= interior.begin && o < interior.end) continue;
      const TapRange range = axis.range(o);
      const std::uint8_t* entries = mask_ + o * channels_;
      if (channels_ > 1) {
        for (std::int64_t r = 0; r < rows; ++r, entries += row_) {
          if (any_outside(entries, channels_, axis.scale(), range)) return true;
        }
        continue;
      }
      bool bad = false;
      for (std::int64_t r = 0; r < rows; ++r, entries += row_) {
        bad |= range.lacks(*entries, axis.scale()) & (*entries != kNone);
      }
      if (bad) return true;
    }
    return false;
  }

  const Geometry& g_;
  const std::uint8_t* mask_;
  std::int64_t channels_;  ///< neighbours in memory: 1, or those of an interleaved tensor
  std::int64_t blocks_;    ///< planes, or interleaved images
  std::int64_t row_;       ///< entries of a row
  std::int64_t plane_;     ///< entries of a plane
  std::array<TapAxis, 3> axes_;
};

/** Whether all entries name taps of their windows inside the input; branch-free passes, because the
 * common answer is that they do. */
bool all_inside(const Pooling& p) {
  const Geometry& g = p.geometry;
  const auto* mask = static_cast<const std::uint8_t*>(p.mask);
  const std::int64_t size = g.output_size();
  // One more than each, of which the mark of no position is the least.
  std::uint8_t most = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    most = std::max(most, static_cast<std::uint8_t>(mask[i] + 1));
  }
  if (most > g.taps()) return false;
  return (g.d().whole() && g.h().whole() && g.w().whole()) || !TapCheck(p).finds();
}

/** Some of the planes of a pooling and of its mask, or of its interleaved images. */
Pooling part_of(const Pooling& p, Span blocks) {
  Pooling part = p;
  Geometry& g = part.geometry;
  std::int64_t size = g.output_plane();
  if (p.layout == Layout::planar) {
    g.batch = 1;
    g.channels = blocks.size();
  } else {
    g.batch = blocks.size();
    size *= g.channels;
  }
  part.mask = static_cast<std::uint8_t*>(p.mask) + blocks.begin * size;
  return part;
}

void check_compact(const Pooling& p) {
  // Entries that one thread looks at in some 30 us.
  constexpr std::int64_t kLeastShared = 128 * 1024;
  const Geometry& g = p.geometry;
  const std::int64_t size = g.output_size();
  if (size == 0) return;
  std::atomic<bool> well{true};
  dispatch::parallel_for(p.layout == Layout::planar ? g.planes() : g.batch,
                         size < kLeastShared ? 1 : dispatch::get_threads(), [&](Span blocks) {
                           if (!all_inside(part_of(p, blocks))) well = false;
                         });
  if (well) return;
  const auto* mask = static_cast<const std::uint8_t*>(p.mask);
  const std::int64_t taps = g.taps();
  for (std::int64_t i = 0; i < size; ++i) {
    if (mask[i] >= taps && mask[i] != FPOOL_MASK_NONE_COMPACT) {
      refuse_entry(i, mask[i], "a position within the window, 0 to ", taps - 1);
    }
  }
  const auto has = [](const Axis& axis, std::int64_t o, std::int64_t tap) {
    const Span taps = axis.taps(o);
    return tap >= taps.begin && tap < taps.end;
  };
  for_each_entry(p, [&](std::int64_t entry, std::int64_t, std::int64_t, std::int64_t o) {
    if (mask[entry] == FPOOL_MASK_NONE_COMPACT) return;
    const Position output = unflatten(o, g.h().output, g.w().output);
    const Position tap = unflatten(mask[entry], g.h().kernel, g.w().kernel);
    if (has(g.d(), output.d, tap.d) && has(g.h(), output.h, tap.h) && has(g.w(), output.w, tap.w)) {
      return;
    }
    refuse_entry(entry, mask[entry], "the position of a tap inside the input, of the window's ",
                 taps);
  });
}

void check_indices(const std::int32_t* mask, std::int64_t size, std::int64_t plane) {
  check_all_inside(mask, size, FPOOL_MASK_NONE, plane, [&](std::int64_t i) {
    refuse_entry(i, mask[i], "a position within the plane, 0 to ", plane - 1);
  });
}

}  // namespace

void check_mask_entries(const Pooling& p) {
  if (p.mask_type == MaskType::position_u8) {
    check_compact(p);
  } else {
    check_indices(static_cast<const std::int32_t*>(p.mask), p.geometry.output_size(),
                  p.geometry.input_plane());
  }
}

void check_index_mask(const Buffer& mask, const fpool_tensor& like, const std::int64_t* extents,
                      std::int64_t plane) {
  check_buffer(mask);
  check_dtype(mask, {FPOOL_I32});
  check_shape(mask, like, extents, "one entry per output");
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (plane > kMost) {
    fail(FPOOL_ERROR_UNSUPPORTED_TYPE, mask.name, ".dtype is i32 and a plane has ", plane,
         " elements; i32 positions reach ", kMost);
  }
}

void check_index_entries(const Buffer& mask, std::int64_t plane) {
  check_indices(static_cast<const std::int32_t*>(mask.data),
                mask.byte_size() / dtype_size(FPOOL_I32), plane);
}

void expand_mask(const Pooling& p, std::int32_t index_base, std::int64_t* indices) {
  const Geometry& g = p.geometry;
  const auto* compact = static_cast<const std::uint8_t*>(p.mask);
  const auto* index = static_cast<const std::int32_t*>(p.mask);
  const std::int64_t plane = g.input_plane();
  for_each_entry(p, [&](std::int64_t entry, std::int64_t n, std::int64_t c, std::int64_t o) {
    const bool is_compact = p.mask_type == MaskType::position_u8;
    const bool none = is_compact ? compact[entry] == FPOOL_MASK_NONE_COMPACT : index[entry] < 0;
    if (none) {
      indices[entry] = FPOOL_MASK_NONE;
      return;
    }
    const Position at = is_compact ? tap_position(g, o, compact[entry])
                                   : unflatten(index[entry], g.h().input, g.w().input);
    const std::int64_t row_major = (at.d * g.h().input + at.h) * g.w().input + at.w;
    switch (index_base) {
      case FPOOL_INDEX_IMAGE:
        indices[entry] = c * plane + row_major;
        break;
      case FPOOL_INDEX_TENSOR:
        indices[entry] = (n * g.channels + c) * plane + row_major;
        break;
      case FPOOL_INDEX_TENSOR_COLUMN_MAJOR:
        indices[entry] =
            (n * g.channels + c) * plane + (at.w * g.h().input + at.h) * g.d().input + at.d;
        break;
      default:
        indices[entry] = row_major;
    }
  });
}

}  // namespace featurepool
