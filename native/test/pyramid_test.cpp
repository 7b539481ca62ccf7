// Spatial pyramids and the SPP block, every kernel at every tier, against loops of their own.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "support/guarded_memory.hpp"
#include "support/pooling_case.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

// --- elements ---

double from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  double size =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) {
    size = fraction == 0 ? std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

/** A finite number as the nearest f16, half to even. */
std::uint16_t to_half(float value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double size = std::fabs(static_cast<double>(value));
  if (size == 0) return sign;
  const int exponent = std::max(std::ilogb(size), -14);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  const int bits = ((exponent + 14) << 10) + steps;
  return static_cast<std::uint16_t>(sign | std::min(bits, 0x7c00));
}

double number(float value) { return value; }
double number(std::uint16_t half) { return from_half(half); }
double number(std::uint8_t byte) { return byte; }
double number(std::int32_t position) { return position; }

/** Ties, signed zeros, infinities and quiet NaNs of several payloads, or ordinary numbers. */
void fill(std::vector<float>& values, Random& random, bool special) {
  constexpr std::array<std::uint32_t, 8> kSpecial = {0x00000000, 0x80000000, 0x7f800000,
                                                     0xff800000, 0x7fc00001, 0xffc00002,
                                                     0x7fc00777, 0x80000000};
  for (float& value : values) {
    value = static_cast<float>(random.between(-3, 3)) * (special ? 1.0f : 0.37f);
    if (!special || !random.one_in(3)) continue;
    const std::uint32_t bits = kSpecial[static_cast<std::size_t>(random.between(0, 7))];
    std::memcpy(&value, &bits, sizeof(bits));
  }
}
void fill(std::vector<std::uint16_t>& values, Random& random, bool special) {
  constexpr std::array<std::uint16_t, 8> kSpecial = {0x0000, 0x8000, 0x7c00, 0xfc00,
                                                     0x7e01, 0xfe02, 0x7e07, 0xffff};
  for (std::uint16_t& value : values) {
    value = to_half(static_cast<float>(random.between(-3, 3)));
    if (!special)
      value = static_cast<std::uint16_t>(random.between(0, 0x7bff) | (random.next() & 0x8000));
    if (special && random.one_in(3))
      value = kSpecial[static_cast<std::size_t>(random.between(0, 7))];
  }
}
void fill(std::vector<std::uint8_t>& values, Random& random, bool special) {
  for (std::uint8_t& value : values) {
    value = static_cast<std::uint8_t>(random.between(0, special ? 3 : 255));
  }
}

// --- what is common to the checks ---

/** A tensor of planes in one of the layouts, by logical position. */
struct Order {
  Layout layout;
  std::int64_t channels;
  std::int64_t plane;

  std::size_t at(std::int64_t image, std::int64_t channel, std::int64_t position) const {
    return static_cast<std::size_t>(layout == Layout::planar
                                        ? (image * channels + channel) * plane + position
                                        : (image * plane + position) * channels + channel);
  }
};

/** Runs a call with every kernel that takes it, at every tier, with several numbers of threads. */
template <class Call, class Check>
void with_every_kernel(const Call& call, const std::vector<int>& threads, const Check& check) {
  for (const std::string& kernel : dispatch::kernels(call.operation)) {
    dispatch::use_kernel(kernel);
    if (dispatch::kernel_for(call) != kernel) continue;
    for (const std::string& tier : dispatch::tiers()) {
      if (kernel == "reference" && tier != dispatch::tiers().front()) continue;
      dispatch::use_tier(tier);
      for (const int count : threads) {
        dispatch::set_threads(count);
        std::ostringstream where;
        where << kernel << " at " << tier << " with " << count << " threads";
        check(where.str());
        if (::testing::Test::HasFailure()) break;
      }
    }
  }
  dispatch::use_kernel("");
  dispatch::use_tier("");
  dispatch::set_threads(0);
}

/** A buffer against an unmapped page. */
template <typename T>
class Guarded {
 public:
  Guarded(std::size_t size, Edge edge)
      : memory_(size * sizeof(T) + 1),
        data_(static_cast<T*>(memory_.place(size * sizeof(T), edge))),
        size_(size) {}
  Guarded(const std::vector<T>& values, Edge edge) : Guarded(values.size(), edge) {
    std::copy(values.begin(), values.end(), data_);
  }

  T* data() const { return data_; }

  void expect(const std::vector<T>& expected, const std::string& where) const {
    ASSERT_EQ(expected.size(), size_);
    if (size_ == 0) return;
    if (std::memcmp(data_, expected.data(), size_ * sizeof(T)) != 0) {
      for (std::size_t i = 0; i < size_; ++i) {
        if (std::memcmp(data_ + i, expected.data() + i, sizeof(T)) == 0) continue;
        FAIL() << where << ": element " << i << " of " << size_ << " is " << number(data_[i])
               << ", not " << number(expected[i]) << " (or other bits of it)";
      }
    }
    EXPECT_TRUE(memory_.margin_intact()) << where;
  }

 private:
  GuardedMemory memory_;
  T* data_;
  std::size_t size_;
};

// --- the SPP block ---

struct BlockCase {
  Layout layout;
  std::int64_t batch, channels, height, width;
  std::vector<std::int64_t> kernels;  // descending
  bool special;
  std::uint64_t seed;
  Edge edge = Edge::end;
  std::vector<int> threads = {1};

  std::string describe() const {
    std::ostringstream text;
    text << (layout == Layout::planar ? "planar " : "interleaved ") << batch << "x" << channels
         << "x" << height << "x" << width << ", kernels";
    for (const std::int64_t kernel : kernels) text << " " << kernel;
    text << (special ? ", special values" : "") << ", seed " << seed;
    return text.str();
  }
};

template <typename T>
struct BlockResult {
  std::vector<T> values;
  std::vector<std::uint8_t> ordinals;
  std::vector<std::int32_t> positions;
};

template <typename T>
BlockResult<T> block_oracle(const BlockCase& c, const std::vector<T>& x) {
  const std::int64_t plane = c.height * c.width;
  const auto pools = static_cast<std::int64_t>(c.kernels.size());
  const Order from{c.layout, c.channels, plane};
  const Order to{c.layout, c.channels * (pools + 1), plane};
  const Order masks{c.layout, c.channels * pools, plane};
  BlockResult<T> result;
  const auto elements = static_cast<std::size_t>(c.batch * c.channels * plane);
  result.values.resize(elements * static_cast<std::size_t>(pools + 1));
  result.ordinals.resize(elements * static_cast<std::size_t>(pools));
  result.positions.resize(elements * static_cast<std::size_t>(pools));
  for (std::int64_t n = 0; n < c.batch; ++n) {
    for (std::int64_t ch = 0; ch < c.channels; ++ch) {
      for (std::int64_t h = 0; h < c.height; ++h) {
        for (std::int64_t w = 0; w < c.width; ++w) {
          const std::int64_t out = h * c.width + w;
          result.values[to.at(n, pools * c.channels + ch, out)] = x[from.at(n, ch, out)];
          for (std::int64_t group = 0; group < pools; ++group) {
            const std::int64_t kernel = c.kernels[static_cast<std::size_t>(group)];
            T best{};
            std::int64_t position = -1;
            std::int64_t ordinal = 255;
            for (std::int64_t y = std::max<std::int64_t>(0, h - kernel / 2);
                 y <= std::min(c.height - 1, h + kernel / 2); ++y) {
              for (std::int64_t z = std::max<std::int64_t>(0, w - kernel / 2);
                   z <= std::min(c.width - 1, w + kernel / 2); ++z) {
                const T value = x[from.at(n, ch, y * c.width + z)];
                if (position >= 0 && !(number(value) > number(best)) &&
                    !std::isnan(number(value))) {
                  continue;
                }
                best = value;
                position = y * c.width + z;
                ordinal = (y - h + kernel / 2) * kernel + z - w + kernel / 2;
              }
            }
            result.values[to.at(n, group * c.channels + ch, out)] = best;
            const std::size_t entry = masks.at(n, group * c.channels + ch, out);
            result.ordinals[entry] = static_cast<std::uint8_t>(ordinal);
            result.positions[entry] = static_cast<std::int32_t>(position);
          }
        }
      }
    }
  }
  return result;
}

SppBlock block_call(const BlockCase& c, Operation operation, std::int32_t dtype) {
  SppBlock call;
  call.operation = operation;
  call.layout = c.layout;
  call.dtype = dtype;
  call.batch = c.batch;
  call.channels = c.channels;
  call.height = c.height;
  call.width = c.width;
  call.kernels = c.kernels;
  return call;
}

bool compact(const BlockCase& c) { return c.kernels.front() <= 15; }

template <typename T>
void check_block_forward(const BlockCase& c, std::int32_t dtype, bool with_masks) {
  SCOPED_TRACE(c.describe());
  Random random(c.seed);
  std::vector<T> x(static_cast<std::size_t>(c.batch * c.channels * c.height * c.width));
  fill(x, random, c.special);
  const BlockResult<T> expected = block_oracle(c, x);
  const Guarded<T> input(x, c.edge);
  SppBlock call = block_call(c, Operation::spp_block_forward, dtype);
  call.input = input.data();
  with_every_kernel(call, c.threads, [&](const std::string& where) {
    const Guarded<T> output(expected.values.size(), c.edge);
    call.output = output.data();
    dispatch::run(call);
    output.expect(expected.values, where);
  });
  if (!with_masks) return;
  const auto check_mask = [&](MaskType type, const auto& entries) {
    using Entry = typename std::decay_t<decltype(entries)>::value_type;
    call.mask_type = type;
    with_every_kernel(call, c.threads, [&](const std::string& where) {
      const Guarded<T> output(expected.values.size(), c.edge);
      const Guarded<Entry> mask(entries.size(), c.edge);
      call.output = output.data();
      call.mask = mask.data();
      dispatch::run(call);
      output.expect(expected.values, where);
      mask.expect(entries, where);
    });
  };
  check_mask(MaskType::plane_i32, expected.positions);
  if (compact(c)) check_mask(MaskType::position_u8, expected.ordinals);
}

float sum_of(float value) { return value; }
float sum_of(std::uint16_t half) { return static_cast<float>(from_half(half)); }
void round_to(float sum, float& value) { value = sum; }
void round_to(float sum, std::uint16_t& half) { half = to_half(sum); }

template <typename T>
void check_block_backward(const BlockCase& c, std::int32_t dtype) {
  SCOPED_TRACE(c.describe());
  Random random(c.seed);
  const std::int64_t plane = c.height * c.width;
  const auto pools = static_cast<std::int64_t>(c.kernels.size());
  std::vector<float> x(static_cast<std::size_t>(c.batch * c.channels * plane));
  fill(x, random, true);
  const BlockResult<float> forward = block_oracle(c, x);
  std::vector<T> dy(forward.values.size());
  for (T& value : dy) round_to(random.fraction() - 0.5f, value);
  const Order to{c.layout, c.channels, plane};
  const Order from{c.layout, c.channels * (pools + 1), plane};
  const Order masks{c.layout, c.channels * pools, plane};
  std::vector<float> sums(x.size());
  std::vector<T> dx(x.size());
  for (std::int64_t n = 0; n < c.batch; ++n) {
    for (std::int64_t ch = 0; ch < c.channels; ++ch) {
      for (std::int64_t i = 0; i < plane; ++i) {
        sums[to.at(n, ch, i)] = sum_of(dy[from.at(n, pools * c.channels + ch, i)]);
      }
      for (std::int64_t group = 0; group < pools; ++group) {
        for (std::int64_t i = 0; i < plane; ++i) {
          const std::int32_t at = forward.positions[masks.at(n, group * c.channels + ch, i)];
          sums[to.at(n, ch, at)] += sum_of(dy[from.at(n, group * c.channels + ch, i)]);
        }
      }
    }
  }
  for (std::size_t i = 0; i < dx.size(); ++i) round_to(sums[i], dx[i]);

  const Guarded<T> gradient(dy, c.edge);
  SppBlock call = block_call(c, Operation::spp_block_backward, dtype);
  call.input = gradient.data();
  const auto check_mask = [&](MaskType type, const auto& entries) {
    const Guarded mask(entries, c.edge);
    call.mask_type = type;
    call.mask = mask.data();
    with_every_kernel(call, c.threads, [&](const std::string& where) {
      const Guarded<T> output(dx.size(), c.edge);
      call.output = output.data();
      dispatch::run(call);
      output.expect(dx, where);
    });
  };
  check_mask(MaskType::plane_i32, forward.positions);
  if (compact(c)) check_mask(MaskType::position_u8, forward.ordinals);
}

void check_block(const BlockCase& c, bool with_masks = true) {
  check_block_forward<float>(c, FPOOL_F32, with_masks);
  check_block_forward<std::uint16_t>(c, FPOOL_F16, with_masks);
  check_block_forward<std::uint8_t>(c, FPOOL_U8, with_masks);
  if (!with_masks) return;
  check_block_backward<float>(c, FPOOL_F32);
  check_block_backward<std::uint16_t>(c, FPOOL_F16);
}

BlockCase drawn_block(std::uint64_t seed) {
  Random random(seed);
  BlockCase c{random.one_in(2) ? Layout::planar : Layout::interleaved,
              1,
              1,
              1,
              1,
              {},
              random.one_in(2),
              seed};
  c.batch = random.one_in(30) ? 0 : random.between(1, 2);
  c.channels = random.between(1, c.layout == Layout::planar ? 3 : random.one_in(2) ? 70 : 5);
  c.height = random.between(1, 14);
  c.width = random.between(1, c.layout == Layout::planar ? 40 : 9);
  for (std::int64_t kernel = random.one_in(6)   ? 61
                             : random.one_in(2) ? 17
                                                : 13;
       kernel >= 3; kernel -= 2) {
    if (random.one_in(4)) c.kernels.push_back(kernel);
  }
  if (c.kernels.empty()) c.kernels = {13, 9, 5};
  if (c.kernels.size() > 4) c.kernels.resize(4);
  c.edge = random.one_in(2) ? Edge::begin : Edge::end;
  return c;
}

TEST(SppBlock, EqualsSeparatePools) {
  const int cases = case_count(150);
  for (int seed = 1; seed <= cases && !HasFailure(); ++seed) {
    check_block(drawn_block(static_cast<std::uint64_t>(seed)));
  }
}

TEST(SppBlock, EveryWidth) {
  for (std::int64_t width = 1; width <= 70 && !HasFailure(); ++width) {
    for (const Edge edge : {Edge::begin, Edge::end}) {
      check_block({Layout::planar, 1, 2, 4, width, {9, 5, 3}, width % 2 == 0, 7, edge}, false);
    }
  }
}

TEST(SppBlock, EveryNumberOfChannels) {
  Thinned thinned;
  for (std::int64_t channels = 1; channels <= 133 && !HasFailure(); ++channels) {
    for (const Edge edge : {Edge::begin, Edge::end}) {
      if (thinned.skips()) continue;
      check_block({Layout::interleaved, 1, channels, 3, 5, {5, 3}, channels % 2 == 0, 7, edge},
                  false);
    }
  }
}

/** Planes of several bands, and enough of them for several threads. */
TEST(SppBlock, SharesOutItsBands) {
  for (const Layout layout : {Layout::planar, Layout::interleaved}) {
    for (const bool special : {false, true}) {
      const bool planar = layout == Layout::planar;
      check_block({layout,
                   1,
                   planar ? 1 : 20,
                   planar ? 60 : 70,
                   planar ? 1000 : 40,
                   {13, 9, 5},
                   special,
                   3,
                   Edge::end,
                   {1, 2, 5}},
                  false);
      check_block({layout, 2, 40, 23, 21, {27, 3}, special, 4, Edge::end, {1, 2, 5}}, !special);
    }
  }
}

TEST(SppBlock, OfYoloV3) {
  for (const Layout layout : {Layout::planar, Layout::interleaved}) {
    check_block({layout, 1, 17, 19, 19, {13, 9, 5}, false, 5});
  }
}

TEST(SppBlock, KernelsLargerThanThePlane) {
  for (const Layout layout : {Layout::planar, Layout::interleaved}) {
    check_block({layout, 2, 3, 2, 5, {2147483647, 101, 3}, true, 6});
    check_block({layout, 1, 2, 1, 1, {5, 3}, true, 6});
  }
}

// --- pyramids ---

struct PyramidCase {
  Layout layout;
  std::int64_t batch, channels, height, width;
  std::vector<std::int64_t> levels;
  bool sppnet;
  bool special;
  std::uint64_t seed;
  Edge edge = Edge::end;
  std::vector<int> threads = {1};

  std::string describe() const {
    std::ostringstream text;
    text << (layout == Layout::planar ? "planar " : "interleaved ") << batch << "x" << channels
         << "x" << height << "x" << width << (sppnet ? ", SPPNet levels" : ", adaptive levels");
    for (const std::int64_t level : levels) text << " " << level;
    text << (special ? ", special values" : "") << ", seed " << seed;
    return text.str();
  }

  Span bin(std::int64_t extent, std::int64_t level, std::int64_t i) const {
    if (!sppnet) return {i * extent / level, ((i + 1) * extent + level - 1) / level};
    const std::int64_t begin = i * (extent / level);
    return {begin, begin + (extent + level - 1) / level};
  }

  Pyramid call(Operation operation, bool average) const {
    Pyramid p;
    p.operation = operation;
    p.layout = layout;
    p.average = average;
    for (const std::int64_t level : levels) {
      Geometry g;
      g.batch = batch;
      g.channels = channels;
      for (const int axis : {Geometry::H, Geometry::W}) {
        const std::int64_t extent = axis == Geometry::H ? height : width;
        std::vector<Span> bins;
        for (std::int64_t i = 0; i < level; ++i) bins.push_back(bin(extent, level, i));
        g.set_bins(axis, extent, std::move(bins));
      }
      p.levels.push_back(g);
    }
    return p;
  }
};

/** Calls `visit(output, rows, columns, image, channel)` in the order of the vectors. */
template <class Visit>
void for_each_bin(const PyramidCase& c, const Visit& visit) {
  std::size_t output = 0;
  for (std::int64_t n = 0; n < c.batch; ++n) {
    for (const std::int64_t level : c.levels) {
      for (std::int64_t ch = 0; ch < c.channels; ++ch) {
        for (std::int64_t i = 0; i < level; ++i) {
          for (std::int64_t j = 0; j < level; ++j) {
            visit(output++, c.bin(c.height, level, i), c.bin(c.width, level, j), n, ch);
          }
        }
      }
    }
  }
}

void check_pyramid(const PyramidCase& c) {
  SCOPED_TRACE(c.describe());
  Random random(c.seed);
  const Order order{c.layout, c.channels, c.height * c.width};
  std::vector<float> x(static_cast<std::size_t>(c.batch * c.channels * c.height * c.width));
  fill(x, random, c.special);
  std::vector<float> maxima;
  std::vector<double> means;
  std::vector<double> magnitudes;
  std::vector<std::int32_t> positions;
  for_each_bin(c, [&](std::size_t, Span rows, Span columns, std::int64_t n, std::int64_t ch) {
    float best = 0;
    std::int64_t position = -1;
    double sum = 0;
    double magnitude = 0;
    for (std::int64_t h = rows.begin; h < rows.end; ++h) {
      for (std::int64_t w = columns.begin; w < columns.end; ++w) {
        const float value = x[order.at(n, ch, h * c.width + w)];
        sum += value;
        magnitude += std::fabs(value);
        if (position >= 0 && !(value > best) && !std::isnan(value)) continue;
        best = value;
        position = h * c.width + w;
      }
    }
    const auto count = static_cast<double>(rows.size() * columns.size());
    maxima.push_back(best);
    positions.push_back(static_cast<std::int32_t>(position));
    means.push_back(sum / count);
    magnitudes.push_back(magnitude / std::sqrt(count));
  });
  const Guarded<float> input(x, c.edge);
  for (const bool with_mask : {false, true}) {
    Pyramid call = c.call(Operation::pyramid_forward, false);
    call.input = input.data();
    with_every_kernel(call, c.threads, [&](const std::string& where) {
      const Guarded<float> output(maxima.size(), c.edge);
      const Guarded<std::int32_t> mask(positions.size(), c.edge);
      call.output = output.data();
      call.mask = with_mask ? mask.data() : nullptr;
      dispatch::run(call);
      output.expect(maxima, where);
      if (with_mask) mask.expect(positions, where);
    });
  }
  constexpr double kUlp = 0x1p-23;
  const auto expect_near = [](const float* actual, const std::vector<double>& expected,
                              const std::vector<double>& bounds, const std::string& where) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::isnan(expected[i]) && std::isnan(actual[i])) continue;
      if (static_cast<double>(actual[i]) == expected[i]) continue;  // infinities
      ASSERT_NEAR(actual[i], expected[i], 2 * kUlp * bounds[i] + 1e-37)
          << where << ": element " << i;
    }
  };
  {
    Pyramid call = c.call(Operation::pyramid_forward, true);
    call.input = input.data();
    with_every_kernel(call, c.threads, [&](const std::string& where) {
      const Guarded<float> output(means.size(), c.edge);
      call.output = output.data();
      dispatch::run(call);
      expect_near(output.data(), means, magnitudes, where);
    });
  }

  std::vector<float> dy(maxima.size());
  for (float& value : dy) value = random.fraction() - 0.5f;
  std::vector<float> routed(x.size(), 0.0f);
  std::vector<double> spread(x.size(), 0.0);
  std::vector<double> bounds(x.size(), 0.0);
  for_each_bin(c,
               [&](std::size_t output, Span rows, Span columns, std::int64_t n, std::int64_t ch) {
                 routed[order.at(n, ch, positions[output])] += dy[output];
                 const auto count = static_cast<double>(rows.size() * columns.size());
                 for (std::int64_t h = rows.begin; h < rows.end; ++h) {
                   for (std::int64_t w = columns.begin; w < columns.end; ++w) {
                     const std::size_t at = order.at(n, ch, h * c.width + w);
                     spread[at] += dy[output] / count;
                     bounds[at] += 2 * std::fabs(dy[output]) / count;
                   }
                 }
               });
  const Guarded<float> gradient(dy, c.edge);
  const Guarded<std::int32_t> mask(positions, c.edge);
  {
    Pyramid call = c.call(Operation::pyramid_backward, false);
    call.input = gradient.data();
    call.mask = mask.data();
    with_every_kernel(call, c.threads, [&](const std::string& where) {
      const Guarded<float> output(x.size(), c.edge);
      call.output = output.data();
      dispatch::run(call);
      output.expect(routed, where);
    });
  }
  Pyramid call = c.call(Operation::pyramid_backward, true);
  call.input = gradient.data();
  with_every_kernel(call, c.threads, [&](const std::string& where) {
    const Guarded<float> output(x.size(), c.edge);
    call.output = output.data();
    dispatch::run(call);
    expect_near(output.data(), spread, bounds, where);
  });
}

TEST(Pyramid, EqualsTheOracle) {
  for (std::uint64_t seed = 1; seed <= 200 && !HasFailure(); ++seed) {
    Random random(seed);
    PyramidCase c{random.one_in(2) ? Layout::planar : Layout::interleaved,
                  random.one_in(30) ? 0 : random.between(1, 3),
                  random.between(1, random.one_in(2) ? 40 : 4),
                  random.between(1, 20),
                  random.between(1, 40),
                  {},
                  false,
                  random.one_in(2),
                  seed};
    for (std::int64_t i = random.between(1, 4); i > 0; --i)
      c.levels.push_back(random.between(1, 7));
    c.edge = random.one_in(2) ? Edge::begin : Edge::end;
    check_pyramid(c);
  }
}

TEST(Pyramid, BinsOfSppNet) {
  for (const Layout layout : {Layout::planar, Layout::interleaved}) {
    check_pyramid({layout, 2, 5, 13, 13, {1, 2, 3}, true, true, 1});
    check_pyramid({layout, 1, 3, 24, 12, {1, 2, 3, 6}, true, false, 2});
  }
}

TEST(Pyramid, SharesOutItsImages) {
  for (const Layout layout : {Layout::planar, Layout::interleaved}) {
    check_pyramid({layout, 7, 100, 31, 29, {1, 2, 4}, false, true, 1, Edge::end, {1, 2, 5}});
    check_pyramid({layout, 1, 9, 200, 210, {4, 1, 4}, false, false, 1, Edge::end, {1, 2, 5}});
  }
}

// --- the C ABI ---

class Refusals : public ::testing::Test {
 protected:
  std::string message(fpool_status expected, fpool_status actual) {
    EXPECT_EQ(actual, expected) << fpool_last_error();
    for (const float value : y_) EXPECT_EQ(value, 77.0f) << "written on refusal";
    return fpool_last_error();
  }

  std::string pyramid(const std::vector<std::int64_t>& levels, std::int32_t bins,
                      std::int64_t height, std::int64_t length, fpool_status status,
                      bool average = false, bool mask = false) {
    const fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, height, 12}, 8 * 12 * height};
    const fpool_tensor y{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, length, 1, 1}, 4 * length};
    const fpool_tensor m{FPOOL_I32, FPOOL_PLANAR, 2, 0, {1, length, 1, 1}, 4 * length};
    const fpool_pyramid p{levels.data(), static_cast<std::int64_t>(levels.size()), bins,
                          average ? FPOOL_REDUCE_AVERAGE : FPOOL_REDUCE_MAX};
    return message(status, fpool_spp_forward(&x, x_.data(), &p, &y, y_.data(), mask ? &m : nullptr,
                                             mask ? mask_.data() : nullptr));
  }

  std::string block(const std::vector<std::int64_t>& kernels, std::int64_t channels,
                    fpool_status status) {
    const fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, 4, 4}, 128};
    const fpool_tensor y{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, channels, 4, 4}, 64 * channels};
    const fpool_spp_block b{kernels.data(), static_cast<std::int64_t>(kernels.size())};
    return message(status,
                   fpool_spp_block_forward(&x, x_.data(), &b, &y, y_.data(), nullptr, nullptr));
  }

  std::vector<float> x_ = std::vector<float>(4000, 1.0f);
  std::vector<float> y_ = std::vector<float>(4000, 77.0f);
  std::vector<std::int32_t> mask_ = std::vector<std::int32_t>(4000);
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\ndoes not contain\n" << part;
}

TEST_F(Refusals, OfPyramids) {
  const auto invalid = FPOOL_ERROR_INVALID_ARGUMENT;
  expect_contains(pyramid({}, 0, 13, 42, invalid), "levels are 0 numbers");
  expect_contains(pyramid({1, 0}, 0, 13, 42, invalid), "levels[1] is 0; it must be at least 1");
  expect_contains(pyramid({1, 2, 4}, 2, 13, 42, invalid), "bins is 2");
  expect_contains(pyramid({1, 2, 4}, 0, 13, 41, FPOOL_ERROR_SHAPE_MISMATCH),
                  "y.extents are 1x41x1x1; they must be 1x42x1x1");
  expect_contains(pyramid({1, 2, 4}, 0, 13, 42, invalid, true, true), "mask must be null");
  const std::string sppnet = pyramid({1, 3}, FPOOL_BINS_SPPNET, 5, 20, FPOOL_ERROR_SHAPE_MISMATCH);
  expect_contains(sppnet, "do not give 3 bins along an input of 5 but 4");
  expect_contains(sppnet, "adaptive");
  expect_contains(pyramid({6}, FPOOL_BINS_SPPNET, 3, 72, FPOOL_ERROR_SHAPE_MISMATCH),
                  "along an input of 3");
}

TEST_F(Refusals, OfPyramidGradients) {
  const std::vector<std::int64_t> levels = {1};
  const fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, 3, 3}, 72};
  const fpool_tensor dy{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, 1, 1}, 8};
  const fpool_tensor m{FPOOL_I32, FPOOL_PLANAR, 2, 0, {1, 2, 1, 1}, 8};
  const fpool_pyramid maxima{levels.data(), 1, 0, FPOOL_REDUCE_MAX};
  const fpool_pyramid means{levels.data(), 1, 0, FPOOL_REDUCE_AVERAGE};
  expect_contains(
      message(FPOOL_ERROR_INVALID_ARGUMENT,
              fpool_spp_backward(&dy, x_.data(), nullptr, nullptr, &maxima, &x, y_.data())),
      "mask is null");
  expect_contains(
      message(FPOOL_ERROR_INVALID_ARGUMENT,
              fpool_spp_backward(&dy, x_.data(), &m, mask_.data(), &means, &x, y_.data())),
      "mask is given");
  mask_[1] = 9;
  expect_contains(
      message(FPOOL_ERROR_INDEX_OUT_OF_RANGE,
              fpool_spp_backward(&dy, x_.data(), &m, mask_.data(), &maxima, &x, y_.data())),
      "mask_data[1] is 9; it must be a position within the plane, 0 to 8");
}

TEST_F(Refusals, OfBlocks) {
  const auto invalid = FPOOL_ERROR_INVALID_ARGUMENT;
  expect_contains(block({}, 8, invalid), "kernels are 0 numbers");
  expect_contains(block({5, 8}, 6, invalid), "kernels are 5, 8, with 8; each must be odd");
  expect_contains(block({1}, 4, invalid), "with 1");
  expect_contains(block({-3}, 4, invalid), "with -3");
  expect_contains(block({5, 9, 5}, 8, invalid), "with 5 repeated");
  expect_contains(block({5, 9, 13}, 6, FPOOL_ERROR_SHAPE_MISMATCH),
                  "y.extents are 1x6x4x4; they must be 1x8x4x4");
}

TEST_F(Refusals, OfBlockMasks) {
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    const std::int64_t kernel = 3;
    const fpool_spp_block b{&kernel, 1};
    const fpool_tensor dx{FPOOL_F32, layout, 2, 0, {1, 2, 2, 2}, 32};
    const fpool_tensor dy{FPOOL_F32, layout, 2, 0, {1, 4, 2, 2}, 64};
    const fpool_tensor m{FPOOL_U8, layout, 2, 0, {1, 2, 2, 2}, 8};
    const fpool_tensor wide{FPOOL_I32, layout, 2, 0, {1, 2, 2, 2}, 32};
    std::vector<std::uint8_t> mask(8, 4);
    const auto backward = [&] {
      return fpool_spp_block_backward(&dy, x_.data(), &m, mask.data(), &b, &dx, y_.data());
    };
    mask[3] = 9;
    expect_contains(message(FPOOL_ERROR_INDEX_OUT_OF_RANGE, backward()), "mask_data[3] is 9");
    mask[3] = 4;
    mask[0] = 1;  // above the first row
    expect_contains(message(FPOOL_ERROR_INDEX_OUT_OF_RANGE, backward()), "mask_data[0] is 1");
    mask_.assign(8, 0);
    mask_[5] = 4;
    expect_contains(
        message(FPOOL_ERROR_INDEX_OUT_OF_RANGE,
                fpool_spp_block_backward(&dy, x_.data(), &wide, mask_.data(), &b, &dx, y_.data())),
        "mask_data[5] is 4; it must be a position within the plane, 0 to 3");
    const std::int64_t large = 17;
    const fpool_spp_block too_large{&large, 1};
    expect_contains(message(FPOOL_ERROR_UNSUPPORTED_TYPE,
                            fpool_spp_block_backward(&dy, x_.data(), &m, mask.data(), &too_large,
                                                     &dx, y_.data())),
                    "mask.dtype is u8 and the largest kernel is 17");
  }
}

}  // namespace
}  // namespace featurepool::testing
