// The gradients of spatial pyramids: all levels of some planes at once.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/kernel.hpp"

namespace featurepool {
namespace {

// Elements of x that one item takes: with their gradients they fit the second-level cache.
constexpr std::int64_t kItemElements = 16384;

// Channels of an interleaved image whose gradients of means are spread side by side.
constexpr std::int64_t kLanes = 64;

/** The channels of planar images that one item takes; an interleaved image cannot be parted. */
std::int64_t channels_per_item(const Pyramid& p) {
  if (p.layout == Layout::interleaved) return p.channels();
  return std::clamp<std::int64_t>(kItemElements / p.plane(), 1, p.channels());
}

std::int64_t items_per_image(const Pyramid& p) {
  const std::int64_t channels = channels_per_item(p);
  return (p.channels() + channels - 1) / channels;
}

/** A bin of a level. */
struct Bin {
  std::int64_t index;  ///< in the level's part of a channel
  Span rows;
  Span columns;
  float elements;
};

/** What all planes of a pyramid have in common. */
struct Plan {
  std::vector<std::vector<Bin>> bins;  ///< of each level, row by row
  /** For every row of a plane, the rows of bins that hold it, counted through all levels. */
  std::vector<std::vector<std::int64_t>> holders;
  std::int64_t lines = 0;  ///< rows of bins of all levels

  explicit Plan(const Pyramid& p) : holders(static_cast<std::size_t>(p.levels[0].h().input)) {
    for (const Geometry& level : p.levels) {
      const Axis& h = level.h();
      const Axis& w = level.w();
      std::vector<Bin>& list = bins.emplace_back();
      for (std::int64_t i = 0; i < h.output; ++i) {
        const Span rows{h.start(i), h.start(i) + h.taps(i).size()};
        for (std::int64_t y = rows.begin; y < rows.end; ++y) {
          holders[static_cast<std::size_t>(y)].push_back(lines + i);
        }
        for (std::int64_t j = 0; j < w.output; ++j) {
          const Span columns{w.start(j), w.start(j) + w.taps(j).size()};
          list.push_back(
              {i * w.output + j, rows, columns, static_cast<float>(rows.size() * columns.size())});
        }
      }
      lines += h.output;
    }
  }
};

/** Some channels of one image, and what all items of a thread share: the working memory. */
class Item {
 public:
  explicit Item(const Pyramid& p) : p_(p), plan_(p), per_image_(items_per_image(p)) {}

  void move_to(std::int64_t index) {
    const std::int64_t channels = channels_per_item(p_);
    image_ = index / per_image_;
    first_ = index % per_image_ * channels;
    channels_ = std::min(channels, p_.channels() - first_);
  }

  /** Routes the gradients of all levels at once: their positions are those of the same planes. */
  void route() {
    float* dx = static_cast<float*>(p_.output) + planes();
    std::fill_n(dx, channels_ * p_.plane(), 0.0f);
    const bool planar = p_.layout == Layout::planar;
    const std::int64_t pitch = planar ? 1 : channels_;
    const std::int64_t channel = planar ? p_.plane() : 1;
    std::int64_t from = image_ * p_.length();
    for (const Geometry& level : p_.levels) {
      const std::int64_t count = level.output_plane();
      const float* dy = p_.input + from + first_ * count;
      const std::int32_t* mask = p_.mask + from + first_ * count;
      for (std::int64_t c = 0; c < channels_; ++c) {
        for (std::int64_t i = 0; i < count; ++i, ++dy, ++mask) {
          if (*mask >= 0) dx[*mask * pitch + c * channel] += *dy;
        }
      }
      from += p_.channels() * count;
    }
  }

  /**
   * Spreads the gradients of all levels at once: every row of bins gives a line of what each of its
   * columns gets, and every row of the planes is the sum of the lines of those that hold it.
   */
  void spread() {
    const std::int64_t block = p_.layout == Layout::planar ? 1 : std::min(kLanes, channels_);
    for (std::int64_t c = 0; c < channels_; c += block) {
      spread(first_ + c, std::min(block, channels_ - c));
    }
  }

 private:
  /** First element of the item's planes in tensors like x. */
  std::int64_t planes() const { return (image_ * p_.channels() + first_) * p_.plane(); }

  /** spread() of some channels, those of an interleaved position side by side. */
  void spread(std::int64_t first, std::int64_t channels) {
    const std::int64_t width = p_.levels[0].w().input;
    const std::int64_t size = width * channels;
    float* lines = room(values_, plan_.lines * size);
    std::fill_n(lines, plan_.lines * size, 0.0f);
    const float* dy = p_.input + image_ * p_.length();
    float* line = lines;
    for (std::size_t i = 0; i < p_.levels.size(); ++i) {
      const Geometry& level = p_.levels[i];
      const std::int64_t count = level.output_plane();
      for (const Bin& bin : plan_.bins[i]) {
        float* to = line + bin.index / level.w().output * size;
        for (std::int64_t c = 0; c < channels; ++c) {
          const float share = dy[(first + c) * count + bin.index] / bin.elements;
          for (std::int64_t x = bin.columns.begin; x < bin.columns.end; ++x) {
            to[x * channels + c] += share;
          }
        }
      }
      line += level.h().output * size;
      dy += p_.channels() * count;
    }
    const bool planar = p_.layout == Layout::planar;
    // Some channels of an interleaved image have those of others between them.
    const std::int64_t runs = planar || channels == p_.channels() ? 1 : width;
    const std::int64_t run = size / runs;
    float* dx = static_cast<float*>(p_.output) + image_ * p_.channels() * p_.plane() +
                (planar ? first * p_.plane() : first);
    const std::int64_t pitch = planar ? width : width * p_.channels();
    const std::vector<std::int64_t>* before = nullptr;
    for (const std::vector<std::int64_t>& holders : plan_.holders) {
      const bool same = before != nullptr && *before == holders;
      for (std::int64_t r = 0; r < runs; ++r) {
        float* to = dx + r * p_.channels();
        if (same) {
          std::copy_n(to - pitch, run, to);
        } else {
          add_lines(holders, lines + r * run, size, run, to);
        }
      }
      before = &holders;
      dx += pitch;
    }
  }

  /** The sum of some of the lines at `from`, `pitch` apart. */
  static void add_lines(const std::vector<std::int64_t>& some, const float* from,
                        std::int64_t pitch, std::int64_t size, float* to) {
    if (some.empty()) {
      std::fill_n(to, size, 0.0f);
      return;
    }
    std::copy_n(from + some[0] * pitch, size, to);
    for (std::size_t i = 1; i < some.size(); ++i) {
      const float* line = from + some[i] * pitch;
      for (std::int64_t x = 0; x < size; ++x) to[x] += line[x];
    }
  }

  template <typename T>
  static T* room(std::vector<T>& memory, std::int64_t size) {
    if (memory.size() < static_cast<std::size_t>(size)) {
      memory.resize(static_cast<std::size_t>(size));
    }
    return memory.data();
  }

  const Pyramid& p_;
  const Plan plan_;
  const std::int64_t per_image_;
  std::int64_t image_ = 0;
  std::int64_t first_ = 0;
  std::int64_t channels_ = 0;
  std::vector<float> values_;
};

void Backward(const Pyramid& p, Span items) {
  Item item(p);
  for (std::int64_t i = items.begin; i < items.end; ++i) {
    item.move_to(i);
    if (p.average) {
      item.spread();
    } else {
      item.route();
    }
  }
}

bool accepts_levels(const Pyramid&) { return true; }

std::int64_t levels_items(const Pyramid& p) { return p.batch() * items_per_image(p); }

}  // namespace

std::span<const KernelOf<Pyramid>> pyramid_backward_kernels() {
  static const KernelOf<Pyramid> kernels[] = {
      {"levels", accepts_levels, levels_items, dispatch::in_every_tier(Backward)}};
  return kernels;
}

}  // namespace featurepool
