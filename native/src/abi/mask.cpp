#include "abi/mask.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "abi/indices.hpp"
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

/** Taps of one axis, as bytes: how many, from the first on. */
struct TapRange {
  std::uint8_t first;
  std::uint8_t count;

  explicit TapRange(const Span& taps)
      : first(static_cast<std::uint8_t>(taps.begin)),
        count(static_cast<std::uint8_t>(taps.size())) {}
};

/** The taps of every entry of a run of a mask. */
class TapRanges {
 public:
  void add(const Span& taps, std::int64_t entries) {
    const TapRange range(taps);
    first_.insert(first_.end(), static_cast<std::size_t>(entries), range.first);
    count_.insert(count_.end(), static_cast<std::size_t>(entries), range.count);
  }

  /** What a loop over entries reads. */
  struct View {
    const std::uint8_t* first;
    const std::uint8_t* count;
    bool lacks(std::int64_t i, int tap) const {
      return static_cast<std::uint8_t>(tap - first[i]) >= count[i];
    }
  };
  View view() const { return {first_.data(), count_.data()}; }

 private:
  std::vector<std::uint8_t> first_;
  std::vector<std::uint8_t> count_;
};

/** One range for all entries. */
struct SameTaps {
  TapRange range;
  bool lacks(std::int64_t, int tap) const {
    return static_cast<std::uint8_t>(tap - range.first) >= range.count;
  }
};

/** Finds ordinals of taps outside the input in runs of a mask. */
class TapCheck {
 public:
  explicit TapCheck(const Geometry& g)
      : width_(static_cast<std::uint16_t>(g.w().kernel)),
        height_(static_cast<std::uint16_t>(g.h().kernel)) {}

  /** Whether entries name taps of their windows that are inside; without branches, in types that
   * the compiler finds vectors for. */
  template <class Depth, class Height>
  bool all_inside(const std::uint8_t* mask, Span entries, Depth depth, Height height,
                  TapRanges::View width) const {
    const Division by_width(width_);
    const Division by_height(height_);
    const std::uint16_t taps_w = width_;
    const std::uint16_t taps_h = height_;
    std::uint8_t bad = 0;
    for (std::int64_t i = entries.begin; i < entries.end; ++i) {
      const std::uint16_t tap = mask[i];
      const std::uint16_t row = by_width(tap);
      const std::uint16_t td = by_height(row);
      const auto outside =
          static_cast<std::uint8_t>(width.lacks(i, tap - row * taps_w) |
                                    height.lacks(i, row - td * taps_h) | depth.lacks(i, td));
      bad = static_cast<std::uint8_t>(
          bad | (outside & static_cast<std::uint8_t>(mask[i] != FPOOL_MASK_NONE_COMPACT)));
    }
    return bad == 0;
  }

 private:
  /** Division of bytes in 16 bits, for which vectors have the upper half of a product. */
  struct Division {
    std::uint16_t reciprocal;
    std::uint16_t by_one;  ///< all bits: the quotient is the dividend

    explicit Division(std::uint16_t divisor)
        : reciprocal(divisor == 1 ? 0 : static_cast<std::uint16_t>(0xffff / divisor + 1)),
          by_one(divisor == 1 ? 0xffff : 0) {}

    std::uint16_t operator()(std::uint16_t tap) const {
      const auto upper =
          static_cast<std::uint16_t>(static_cast<std::uint32_t>(tap) * reciprocal >> 16);
      return static_cast<std::uint16_t>(upper | (tap & by_one));
    }
  };

  std::uint16_t width_;
  std::uint16_t height_;
};

void check_compact(const Pooling& p) {
  const Geometry& g = p.geometry;
  const auto* mask = static_cast<const std::uint8_t*>(p.mask);
  const std::int64_t taps = g.taps();
  // A branch-free pass over each block: the common answer is that all is well.
  constexpr std::int64_t kBlock = 4096;
  const std::int64_t size = g.output_size();
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const std::int64_t end = std::min(size, begin + kBlock);
    const auto most = static_cast<std::uint8_t>(taps - 1);
    std::uint8_t bad = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      bad |= static_cast<std::uint8_t>(mask[i] > most) &
             static_cast<std::uint8_t>(mask[i] != FPOOL_MASK_NONE_COMPACT);
    }
    if (bad == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (mask[i] > most && mask[i] != FPOOL_MASK_NONE_COMPACT) {
        refuse_entry(i, mask[i], "a position within the window, 0 to ", taps - 1);
      }
    }
  }
  if (g.d().whole() && g.h().whole() && g.w().whole()) return;
  const TapCheck check(g);
  const std::int64_t channels = p.layout == Layout::planar ? 1 : g.channels;
  const std::int64_t blocks = p.layout == Layout::planar ? g.planes() : g.batch;
  const std::int64_t row = g.w().output * channels;
  // Checks entries [begin, end) of the run that begins at entry `run`.
  const auto check_run = [&](std::int64_t run, Span entries, auto... ranges) {
    if (check.all_inside(mask + run, entries, ranges...)) return;
    std::int64_t i = entries.begin;
    while (check.all_inside(mask + run, {i, i + 1}, ranges...)) ++i;
    refuse_entry(run + i, mask[run + i], "the position of a tap inside the input, of the window's ",
                 taps);
  };

  TapRanges width;
  const std::int64_t plane = g.output_plane() * channels;
  constexpr std::int64_t kSmallPlane = 1024;
  if (plane <= kSmallPlane) {
    // Short rows: planes are runs.
    TapRanges depth;
    TapRanges height;
    for (std::int64_t od = 0; od < g.d().output; ++od) {
      for (std::int64_t oh = 0; oh < g.h().output; ++oh) {
        depth.add(g.d().taps(od), row);
        height.add(g.h().taps(oh), row);
        for (std::int64_t ow = 0; ow < g.w().output; ++ow) width.add(g.w().taps(ow), channels);
      }
    }
    for (std::int64_t block = 0; block < blocks; ++block) {
      check_run(block * plane, {0, plane}, depth.view(), height.view(), width.view());
    }
    return;
  }

  // Only windows that reach over an edge can name a tap outside the input.
  const Span d = g.d().interior();
  const Span h = g.h().interior();
  const Span w = g.w().interior();
  const auto within = [](const Span& span, std::int64_t i) {
    return i >= span.begin && i < span.end;
  };
  for (std::int64_t ow = 0; ow < g.w().output; ++ow) width.add(g.w().taps(ow), channels);
  std::int64_t run = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::int64_t od = 0; od < g.d().output; ++od) {
      const SameTaps depth{TapRange(g.d().taps(od))};
      for (std::int64_t oh = 0; oh < g.h().output; ++oh, run += row) {
        const SameTaps height{TapRange(g.h().taps(oh))};
        if (within(d, od) && within(h, oh) && !w.empty()) {
          check_run(run, {0, w.begin * channels}, depth, height, width.view());
          check_run(run, {w.end * channels, row}, depth, height, width.view());
        } else {
          check_run(run, {0, row}, depth, height, width.view());
        }
      }
    }
  }
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
