// Maximum and average of a window, joined: both of a part while its elements are in the caches, so
// that the input is read from memory once.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "composed/parts.hpp"
#include "dispatch/dispatch.hpp"
#include "dispatch/kernel.hpp"
#include "reference/planes.hpp"

namespace featurepool {
namespace {

using dispatch::run_here;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
void pool(Operation operation, const Pooling& p, const Part& part, const void* input, T* output,
          void* mask = nullptr) {
  Pooling call = part.call(operation, p, p.dtype);
  call.input = input;
  call.output = output;
  if (mask != nullptr) {
    call.mask = mask;
    call.mask_type = Part::mask_type(call);
  }
  run_here(call);
}

/** Elements of one memory order of which a weight holds: [begin, end) of a row, with its alpha. */
template <class Visit>
void for_each_alpha(const Pooling& p, const Part& part, const Visit& visit) {
  const Geometry& g = part.geometry;
  if (p.mix.count == 1) {
    visit(Span{0, part.outputs()}, std::int64_t{1}, p.mix.alpha[0]);
  } else if (p.layout == Layout::planar) {
    const std::int64_t size = g.output_plane();
    for (std::int64_t c = 0; c < g.channels; ++c) {
      visit(Span{c * size, (c + 1) * size}, std::int64_t{1},
            p.mix.of((part.channel + c) % p.geometry.channels));
    }
  } else {
    for (std::int64_t c = 0; c < g.channels; ++c) {
      visit(Span{c, part.outputs()}, g.channels, p.mix.of(c));
    }
  }
}

/** Where the elements of a part lie in the joined channels [average, maximum]; `copy` is called
 * with an offset there, one in the part, the number of elements and whether they are maxima. */
template <class Copy>
void for_each_run(const Pooling& p, const Part& part, const Copy& copy) {
  const Geometry& g = part.geometry;
  const std::int64_t channels = p.geometry.channels;
  if (p.layout == Layout::planar) {
    // A slice of one plane, or whole planes: each is one run.
    const std::int64_t plane_size = p.geometry.output_plane();
    const std::int64_t size = g.output_plane();
    for (std::int64_t i = 0; i < g.channels; ++i) {
      const std::int64_t plane = part.plane + i;
      const std::int64_t first = (plane + plane / channels * channels) * plane_size + part.output -
                                 part.plane * plane_size;
      copy(first, i * size, size, false);
      copy(first + channels * plane_size, i * size, size, true);
    }
    return;
  }
  for (std::int64_t i = 0; i < g.batch * g.output_plane(); ++i) {
    const std::int64_t first = 2 * (part.output + i * channels);
    copy(first, i * channels, channels, false);
    copy(first + channels, i * channels, channels, true);
  }
}

template <typename T>
void mixed_forward(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::outputs);
  const Line<T> maxima(parts.most_outputs());
  const Line<T> averages(parts.most_outputs());
  auto* const y = static_cast<T*>(p.output);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const Part part = parts.at(index);
    const T* x = static_cast<const T*>(p.input) + part.input;
    pool(Operation::max_forward, p, part, x, maxima.get());
    pool(Operation::avg_forward, p, part, x, averages.get());
    if (p.mix.alpha == nullptr) {
      for_each_run(p, part, [&](std::int64_t to, std::int64_t from, std::int64_t size, bool max) {
        std::copy_n((max ? maxima : averages).get() + from, size, y + to);
      });
      continue;
    }
    for_each_alpha(p, part, [&](Span run, std::int64_t step, double alpha) {
      T* const out = y + part.output;
      for (std::int64_t i = run.begin; i < run.end; i += step) {
        out[i] = static_cast<T>(Mix::join(alpha, maxima[i], averages[i]));
      }
    });
  }
}

/** Whether a planar window holds its whole plane. */
bool whole_plane(const Pooling& p) {
  const Geometry& g = p.geometry;
  return p.layout == Layout::planar && g.output_plane() == 1 && g.taps() == g.input_plane() &&
         g.d().whole() && g.h().whole() && g.w().whole();
}

/** The position of a maximum in a plane that holds it: the first; of NaNs the last. */
template <typename T>
std::int64_t position_of(const T* x, std::int64_t size, T maximum) {
  if (maximum == maximum) return std::find(x, x + size, maximum) - x;
  std::int64_t i = size - 1;
  while (x[i] == x[i]) --i;
  return i;
}

/** mixed_backward() of windows that hold their plane: every element has the same share. */
template <typename T>
void spread_planes(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::outputs);
  const Line<T> maxima(parts.most_outputs());
  const std::int64_t channels = p.geometry.channels;
  const std::int64_t size = p.geometry.input_plane();
  const auto* const dy = static_cast<const T*>(p.input);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const Part part = parts.at(index);
    const T* x = static_cast<const T*>(p.x) + part.input;
    T* dx = static_cast<T*>(p.output) + part.input;
    pool(Operation::max_forward, p, part, x, maxima.get());
    for (std::int64_t i = 0; i < part.outputs(); ++i, x += size, dx += size) {
      const std::int64_t plane = part.plane + i;
      double average = 0;
      double maximum = 0;
      if (p.mix.alpha == nullptr) {
        const std::int64_t first = plane + plane / channels * channels;
        average = dy[first];
        maximum = dy[first + channels];
      } else {
        const double alpha = p.mix.of(plane % channels);
        average = (1 - alpha) * dy[plane];
        maximum = alpha * dy[plane];
      }
      const double share = average / static_cast<double>(size);
      std::fill_n(dx, size, static_cast<T>(share));
      dx[position_of(x, size, maxima[i])] = static_cast<T>(share + maximum);
    }
  }
}

// The steps of mixed_backward() have their lanes along interleaved channels. Of fewer than these,
// small windows are taken one by one (measured: 17 ms against 28 ms for 2x2 windows over three
// channels of 540x960).
constexpr std::int64_t kFewChannels = 8;
constexpr std::int64_t kFewTaps = 16;

bool few_channels(const Pooling& p) {
  const Geometry& g = p.geometry;
  return p.layout == Layout::interleaved && g.channels < kFewChannels && g.taps() <= kFewTaps;
}

/** One window of all channels: their maxima are found and their gradients added. */
template <typename T>
void spread_window(const std::int64_t* taps, std::int64_t count, std::int64_t channels, const T* x,
                   const T* averages, const T* maxima, T* dx) {
  for (std::int64_t c = 0; c < channels; ++c) {
    T maximum = x[taps[0] + c];
    std::int64_t position = taps[0] + c;
    const T share = averages[c] / static_cast<T>(count);
    for (std::int64_t t = 0; t < count; ++t) {
      const std::int64_t i = taps[t] + c;
      const T value = x[i];
      dx[i] += share;
      // Without branches: which tap is the maximum cannot be foreseen.
      const bool greater =
          static_cast<bool>(static_cast<int>(value > maximum) | static_cast<int>(value != value));
      maximum = greater ? value : maximum;
      position = greater ? i : position;
    }
    dx[position] += maxima[c];
  }
}

/** Gradients of a part from those of its averages and maxima, window by window. */
template <typename T>
void spread_windows(const Part& part, const T* x, const T* averages, const T* maxima, T* dx) {
  const Geometry& g = part.geometry;
  const std::int64_t channels = g.channels;
  std::array<std::int64_t, kFewTaps> taps{};
  std::fill_n(dx, part.inputs(), T(0));
  for (std::int64_t image = 0; image < g.batch; ++image) {
    const auto visit = [&](std::int64_t, std::int64_t d, std::int64_t h, std::int64_t w) {
      std::int64_t count = 0;
      reference::for_each_tap(g, d, h, w, [&](std::int64_t i, std::int64_t) {
        taps[static_cast<std::size_t>(count++)] = i * channels;
      });
      if (count > 0) spread_window(taps.data(), count, channels, x, averages, maxima, dx);
      averages += channels;
      maxima += channels;
    };
    reference::for_each_output(g, visit);
    x += channels * g.input_plane();
    dx += channels * g.input_plane();
  }
}

template <typename T>
void mixed_backward(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::gradients);
  const Line<T> maxima(parts.most_outputs());
  const Line<T> averages(parts.most_outputs());
  const Line<std::int32_t> mask(parts.most_outputs());
  const Line<T> routed(parts.most_inputs());
  const Line<T> spread(parts.most_inputs());
  const bool by_windows = few_channels(p);
  const auto* const dy = static_cast<const T*>(p.input);
  for (std::int64_t index = items.begin; index < items.end; ++index) {
    const Part part = parts.at(index);
    T* const dx = static_cast<T*>(p.output);
    const Span held = part.held_gradient();
    std::fill(dx + part.gradient.begin, dx + held.begin, T(0));
    std::fill(dx + held.end, dx + part.gradient.end, T(0));
    if (held.empty()) continue;
    const T* const x = static_cast<const T*>(p.x) + part.input;
    if (!by_windows) pool(Operation::max_forward, p, part, x, maxima.get(), mask.get());
    // The maxima have served; their memory now holds the gradients.
    if (p.mix.alpha == nullptr) {
      for_each_run(p, part, [&](std::int64_t from, std::int64_t to, std::int64_t size, bool max) {
        std::copy_n(dy + from, size, (max ? maxima : averages).get() + to);
      });
    } else {
      for_each_alpha(p, part, [&](Span run, std::int64_t step, double alpha) {
        const T* const in = dy + part.output;
        for (std::int64_t i = run.begin; i < run.end; i += step) {
          maxima[i] = static_cast<T>(alpha * in[i]);
          averages[i] = static_cast<T>((1 - alpha) * in[i]);
        }
      });
    }
    const std::int64_t skip = held.begin - part.input;
    if (by_windows) {
      spread_windows(part, x, averages.get(), maxima.get(), spread.get());
      std::copy_n(spread.get() + skip, held.size(), dx + held.begin);
      continue;
    }
    pool(Operation::route_backward, p, part, maxima.get(), routed.get(), mask.get());
    pool(Operation::avg_backward, p, part, averages.get(), spread.get());
    for (std::int64_t i = 0; i < held.size(); ++i) {
      dx[held.begin + i] = routed[skip + i] + spread[skip + i];
    }
  }
}

template <typename T>
void mixed_weights(const Pooling& p, Span items) {
  const Parts parts(p, Parts::Of::outputs);
  const Line<T> maxima(parts.most_outputs());
  const Line<T> averages(parts.most_outputs());
  auto* const slopes = static_cast<double*>(p.output);
  for (std::int64_t group = items.begin; group < items.end; ++group) {
    for (std::int64_t slice = 0; slice < parts.slices(); ++slice) {
      const Part part = parts.at(group * parts.slices() + slice);
      const T* x = static_cast<const T*>(p.x) + part.input;
      const T* dy = static_cast<const T*>(p.input) + part.output;
      pool(Operation::max_forward, p, part, x, maxima.get());
      pool(Operation::avg_forward, p, part, x, averages.get());
      if (slice == 0) std::fill_n(slopes + part.plane, part.geometry.planes(), 0.0);
      add_per_plane(p, part, slopes, [&](std::int64_t i, std::int64_t) {
        const double maximum = maxima[i];
        const double average = averages[i];
        // Only a window without a tap has no average below a maximum of -inf; it has no gradient.
        if (average != average && maximum == -kInfinity) return 0.0;
        return dy[i] * (maximum - average);
      });
    }
  }
}

// --- what the tables hold: plain functions, the same for every tier ---

void forward_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { mixed_forward<T>(p, items); });
}
void backward_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { mixed_backward<T>(p, items); });
}
void planes_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { spread_planes<T>(p, items); });
}
void weights_of(const Pooling& p, Span items) {
  with_dtype<float, double>(p.dtype, [&]<typename T>() { mixed_weights<T>(p, items); });
}

}  // namespace

std::span<const Kernel> mixed_forward_kernels() {
  static const Kernel kernels[] = {
      {"composed", any_pooling, output_parts, every_tier(forward_of)},
  };
  return kernels;
}

std::span<const Kernel> mixed_backward_kernels() {
  static const Kernel kernels[] = {
      {"plane", whole_plane, output_parts, every_tier(planes_of)},
      {"composed", any_pooling, gradient_parts, every_tier(backward_of)},
  };
  return kernels;
}

std::span<const Kernel> mixed_weights_kernels() {
  static const Kernel kernels[] = {
      {"composed", any_pooling, output_groups, every_tier(weights_of)},
  };
  return kernels;
}

}  // namespace featurepool
