// Spatial pyramids, made of the poolings of their levels: all levels of some planes one after the
// other, while the planes are in the caches. Gradients take all levels at once.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dispatch/dispatch.hpp"
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

/** Some channels of one image, and what all items of a thread share: the working memory. */
class Item {
 public:
  explicit Item(const Pyramid& p) : p_(p), per_image_(items_per_image(p)) {}

  void move_to(std::int64_t index) {
    const std::int64_t channels = channels_per_item(p_);
    image_ = index / per_image_;
    first_ = index % per_image_ * channels;
    channels_ = std::min(channels, p_.channels() - first_);
  }

  void forward() {
    std::int64_t from = image_ * p_.length();
    for (const Geometry& level : p_.levels) {
      Pooling call = pooling(level, p_.average ? Operation::avg_forward : Operation::max_forward);
      call.input = p_.input + planes();
      const std::int64_t size = level.output_plane();
      float* y = static_cast<float*>(p_.output) + from + first_ * size;
      std::int32_t* mask = p_.mask == nullptr ? nullptr : p_.mask + from + first_ * size;
      if (mask != nullptr) call.mask_type = MaskType::plane_i32;
      if (p_.layout == Layout::planar) {
        call.output = y;
        call.mask = mask;
        dispatch::run_here(call);
      } else {
        call.output = room(values_, channels_ * size);
        if (mask != nullptr) call.mask = room(positions_, channels_ * size);
        dispatch::run_here(call);
        turn(values_.data(), size, channels_, y);
        if (mask != nullptr) turn(positions_.data(), size, channels_, mask);
      }
      from += p_.channels() * size;
    }
  }

  /**
   * Routes the gradients of all levels at once: to whom positions in the plane are given, a pyramid
   * is a pooling whose every window is the whole plane.
   */
  void route() {
    const std::int64_t bins = p_.bins();
    const std::int64_t size = channels_ * bins;
    const bool planar = p_.layout == Layout::planar;
    float* dy = room(values_, size);
    std::int32_t* mask = room(positions_, size);
    std::int64_t from = image_ * p_.length();
    std::int64_t before = 0;
    for (const Geometry& level : p_.levels) {
      const std::int64_t count = level.output_plane();
      for (std::int64_t c = 0; c < channels_; ++c) {
        const std::int64_t at = from + (first_ + c) * count;
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t to = planar ? c * bins + before + i : (before + i) * channels_ + c;
          dy[to] = p_.input[at + i];
          mask[to] = p_.mask[at + i];
        }
      }
      from += p_.channels() * count;
      before += count;
    }
    Geometry windows;
    windows.set_bins(Geometry::H, p_.levels[0].h().input, {{0, p_.levels[0].h().input}});
    const Span row{0, p_.levels[0].w().input};
    windows.set_bins(Geometry::W, row.end, std::vector<Span>(static_cast<std::size_t>(bins), row));
    Pooling call = pooling(windows, Operation::route_backward);
    call.input = dy;
    call.mask = mask;
    call.mask_type = MaskType::plane_i32;
    call.output = static_cast<float*>(p_.output) + planes();
    dispatch::run_here(call);
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
  /** A pooling of the item's planes. */
  Pooling pooling(const Geometry& windows, Operation operation) const {
    Pooling call;
    call.operation = operation;
    call.geometry = windows;
    call.geometry.batch = 1;
    call.geometry.channels = channels_;
    call.layout = p_.layout;
    return call;
  }

  /** First element of the item's planes in tensors like x. */
  std::int64_t planes() const { return (image_ * p_.channels() + first_) * p_.plane(); }

  /** spread() of some channels, those of an interleaved position side by side. */
  void spread(std::int64_t first, std::int64_t channels) {
    const std::int64_t height = p_.levels[0].h().input;
    const std::int64_t width = p_.levels[0].w().input;
    const std::int64_t size = width * channels;
    std::int64_t count = 0;
    for (const Geometry& level : p_.levels) count += level.h().output;
    float* lines = room(values_, count * size);
    std::fill_n(lines, count * size, 0.0f);
    const float* dy = p_.input + image_ * p_.length();
    float* line = lines;
    for (const Geometry& level : p_.levels) {
      const Axis& h = level.h();
      const Axis& w = level.w();
      for (std::int64_t i = 0; i < h.output; ++i, line += size) {
        for (std::int64_t j = 0; j < w.output; ++j) {
          const auto elements = static_cast<float>(h.taps(i).size() * w.taps(j).size());
          const float* bin = dy + first * level.output_plane() + i * w.output + j;
          float* to = line + w.start(j) * channels;
          for (std::int64_t c = 0; c < channels; ++c) {
            const float share = bin[c * level.output_plane()] / elements;
            for (std::int64_t x = 0; x < w.taps(j).size(); ++x) to[x * channels + c] += share;
          }
        }
      }
      dy += p_.channels() * level.output_plane();
    }
    const bool planar = p_.layout == Layout::planar;
    // An image's channels that do not fill its positions leave gaps between its runs.
    const std::int64_t runs = planar || channels == p_.channels() ? 1 : width;
    const std::int64_t run = size / runs;
    float* dx = static_cast<float*>(p_.output) + image_ * p_.channels() * p_.plane() +
                (planar ? first * p_.plane() : first);
    const std::int64_t pitch = planar ? width : width * p_.channels();
    for (std::int64_t y = 0; y < height; ++y, dx += pitch) {
      held_.clear();
      line = lines;
      for (const Geometry& level : p_.levels) {
        const Span rows = level.h().covering(y);
        for (std::int64_t i = rows.begin; i < rows.end; ++i) held_.push_back(line + i * size);
        line += level.h().output * size;
      }
      for (std::int64_t r = 0; r < runs; ++r) add_lines(r * run, run, dx + r * p_.channels());
    }
  }

  /** Sums the lines held of a row, over elements [from, from + size). */
  void add_lines(std::int64_t from, std::int64_t size, float* to) const {
    if (held_.empty()) {
      std::fill_n(to, size, 0.0f);
      return;
    }
    std::copy_n(held_[0] + from, size, to);
    for (std::size_t i = 1; i < held_.size(); ++i) {
      const float* line = held_[i] + from;
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

  /** Rows become columns. */
  template <typename T>
  static void turn(const T* from, std::int64_t rows, std::int64_t columns, T* to) {
    for (std::int64_t c = 0; c < columns; ++c) {
      for (std::int64_t r = 0; r < rows; ++r) to[c * rows + r] = from[r * columns + c];
    }
  }

  const Pyramid& p_;
  const std::int64_t per_image_;
  std::int64_t image_ = 0;
  std::int64_t first_ = 0;
  std::int64_t channels_ = 0;
  std::vector<float> values_;
  std::vector<std::int32_t> positions_;
  std::vector<const float*> held_;
};

void Forward(const Pyramid& p, Span items) {
  Item item(p);
  for (std::int64_t i = items.begin; i < items.end; ++i) {
    item.move_to(i);
    item.forward();
  }
}

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

std::span<const KernelOf<Pyramid>> pyramid_forward_kernels() {
  static const KernelOf<Pyramid> kernels[] = {
      {"levels", accepts_levels, levels_items, {Forward, Forward, Forward, Forward, Forward}}};
  return kernels;
}

std::span<const KernelOf<Pyramid>> pyramid_backward_kernels() {
  static const KernelOf<Pyramid> kernels[] = {
      {"levels", accepts_levels, levels_items, {Backward, Backward, Backward, Backward, Backward}}};
  return kernels;
}

}  // namespace featurepool
