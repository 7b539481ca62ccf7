// Fractional max pooling with every kernel, against loops of its own.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "featurepool/featurepool.h"
#include "geometry/philox.hpp"
#include "support/guarded_tensor.hpp"
#include "support/random.hpp"
#include "support/ways.hpp"

namespace featurepool::testing {
namespace {

using Extents = std::vector<std::int64_t>;

/** Starts of windows, written out from the rule. */
template <typename T>
std::vector<std::int64_t> starts(T u, std::int64_t input, std::int64_t kernel,
                                 std::int64_t output) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i + 1 < output; ++i) {
    const T alpha = static_cast<T>(input - kernel) / static_cast<T>(output - 1);
    result.push_back(static_cast<std::int64_t>((static_cast<T>(i) + u) * alpha) -
                     static_cast<std::int64_t>(u * alpha));
  }
  result.push_back(input - kernel);
  return result;
}

struct Case {
  std::int32_t layout;
  Extents input;  ///< N, C, spatial
  Extents kernel;
  Extents output;
  Edge edge;
};

fpool_fractional parameters(const Case& c) {
  fpool_fractional p{};
  p.spatial_rank = static_cast<std::int32_t>(c.kernel.size());
  std::copy(c.kernel.begin(), c.kernel.end(), p.kernel);
  std::copy(c.output.begin(), c.output.end(), p.output);
  return p;
}

template <typename T>
void fill(GuardedTensor<T>& tensor, Random& random, bool specials) {
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    T value = static_cast<T>(random.fraction());
    if (specials) value = static_cast<T>(random.between(-2, 2));
    if (specials && random.one_in(20)) value = std::numeric_limits<T>::quiet_NaN();
    if (specials && random.one_in(10)) value = -std::numeric_limits<T>::infinity();
    if (specials && random.one_in(10)) value = static_cast<T>(-0.0);
    tensor.data()[i] = value;
  }
}

template <typename T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

Extents with(std::int64_t n, std::int64_t c, const Extents& spatial) {
  Extents all{n, c};
  all.insert(all.end(), spatial.begin(), spatial.end());
  return all;
}

template <typename T>
void check(const Case& c, Random& random) {
  const std::int64_t n = c.input[0];
  const std::int64_t channels = c.input[1];
  const auto rank = static_cast<std::int64_t>(c.kernel.size());
  GuardedTensor<T> x(c.layout, c.input, c.edge);
  fill(x, random, random.one_in(2));
  GuardedTensor<T> samples(FPOOL_PLANAR, {n, channels, rank}, c.edge);
  for (std::int64_t i = 0; i < samples.size(); ++i) {
    samples.data()[i] = static_cast<T>(random.fraction());
  }

  // Windows of every plane and their maxima, as D, H, W with unit axes.
  Extents input(3, 1), kernel(3, 1), output(3, 1);
  for (std::int64_t i = 0; i < rank; ++i) {
    const auto from = static_cast<std::size_t>(i);
    const auto to = static_cast<std::size_t>(3 - rank + i);
    input[to] = c.input[2 + from];
    kernel[to] = c.kernel[from];
    output[to] = c.output[from];
  }
  GuardedTensor<T> expected(c.layout, with(n, channels, c.output), c.edge);
  GuardedTensor<std::int32_t> positions(c.layout, with(n, channels, c.output), c.edge);
  for (std::int64_t plane = 0; plane < n * channels; ++plane) {
    std::vector<std::vector<std::int64_t>> at;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      const std::int64_t sample = plane * rank + axis - (3 - rank);
      at.push_back(starts<T>(axis < 3 - rank ? T{0} : samples.data()[sample], input[a], kernel[a],
                             output[a]));
    }
    std::int64_t o = 0;
    for (const auto d : at[0]) {
      for (const auto h : at[1]) {
        for (const auto w : at[2]) {
          T best = -std::numeric_limits<T>::infinity();
          std::int64_t found = (d * input[1] + h) * input[2] + w;
          best = x.at(plane / channels, plane % channels, found);
          for (std::int64_t t = 0; t < kernel[0] * kernel[1] * kernel[2]; ++t) {
            const std::int64_t i =
                ((d + t / kernel[2] / kernel[1]) * input[1] + h + t / kernel[2] % kernel[1]) *
                    input[2] +
                w + t % kernel[2];
            const T value = x.at(plane / channels, plane % channels, i);
            if (value > best || std::isnan(value)) {
              best = value;
              found = i;
            }
          }
          expected.at(plane / channels, plane % channels, o) = best;
          positions.at(plane / channels, plane % channels, o) = static_cast<std::int32_t>(found);
          ++o;
        }
      }
    }
  }

  const fpool_fractional p = parameters(c);
  for_every_way(Operation::fractional_forward, [&] {
    GuardedTensor<T> y(c.layout, with(n, channels, c.output), c.edge);
    GuardedTensor<std::int32_t> mask(c.layout, with(n, channels, c.output), c.edge);
    ASSERT_EQ(FPOOL_OK, fpool_fractional_forward(x.descriptor(), x.data(), &p, samples.descriptor(),
                                                 samples.data(), 0, y.descriptor(), y.data(),
                                                 mask.descriptor(), mask.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(same_bits(expected.data()[i], y.data()[i]))
          << "output " << i << " is " << y.data()[i] << ", expected " << expected.data()[i];
      ASSERT_EQ(positions.data()[i], mask.data()[i]) << "mask entry " << i;
    }
    EXPECT_TRUE(y.margin_intact() && mask.margin_intact());
    ASSERT_EQ(FPOOL_OK, fpool_fractional_forward(x.descriptor(), x.data(), &p, samples.descriptor(),
                                                 samples.data(), 0, y.descriptor(), y.data(),
                                                 nullptr, nullptr));
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(same_bits(expected.data()[i], y.data()[i])) << "output " << i;
    }
  });

  GuardedTensor<T> dy(c.layout, with(n, channels, c.output), c.edge);
  fill(dy, random, false);
  GuardedTensor<T> gradient(c.layout, c.input, c.edge);
  for (std::int64_t i = 0; i < gradient.size(); ++i) gradient.data()[i] = 0;
  for (std::int64_t plane = 0; plane < n * channels; ++plane) {
    for (std::int64_t o = 0; o < dy.plane(); ++o) {
      const std::int64_t i = positions.at(plane / channels, plane % channels, o);
      gradient.at(plane / channels, plane % channels, i) +=
          dy.at(plane / channels, plane % channels, o);
    }
  }
  for_every_way(Operation::region_route_backward, [&] {
    GuardedTensor<T> dx(c.layout, c.input, c.edge);
    ASSERT_EQ(FPOOL_OK,
              fpool_fractional_backward(dy.descriptor(), dy.data(), positions.descriptor(),
                                        positions.data(), dx.descriptor(), dx.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      ASSERT_TRUE(same_bits(gradient.data()[i], dx.data()[i])) << "dx " << i;
    }
    EXPECT_TRUE(dx.margin_intact());
  });
}

TEST(Fractional, EveryWayIsTheRule) {
  Random random(3);
  for (int i = 0; i < 60 && !::testing::Test::HasFailure(); ++i) {
    Case c;
    const auto rank = static_cast<std::size_t>(random.between(2, 3));
    c.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
    c.input = {random.between(1, 3), random.between(1, 19)};
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::int64_t extent = random.between(1, rank == 3 ? 7 : axis == 1 ? 40 : 12);
      c.kernel.push_back(random.between(1, std::min<std::int64_t>(extent, 4)));
      c.output.push_back(random.between(1, extent - c.kernel.back() + 1));
      c.input.push_back(extent);
    }
    c.edge = random.one_in(2) ? Edge::begin : Edge::end;
    SCOPED_TRACE("case " + std::to_string(i));
    random.one_in(2) ? check<float>(c, random) : check<double>(c, random);
  }
}

TEST(Fractional, EveryTail) {
  Random random(4);
  for (std::int64_t tail = 1; tail <= 35; ++tail) {
    for (const Edge edge : {Edge::begin, Edge::end}) {
      check<float>({FPOOL_PLANAR, {1, 1, 4, tail + 3}, {2, 2}, {3, tail}, edge}, random);
      check<float>({FPOOL_INTERLEAVED, {1, tail, 4, 5}, {2, 3}, {3, 2}, edge}, random);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(Fractional, LargeEnoughForThreads) {
  Random random(5);
  check<float>({FPOOL_PLANAR, {2, 7, 130, 111}, {2, 2}, {90, 77}, Edge::end}, random);
  check<double>({FPOOL_INTERLEAVED, {2, 7, 130, 111}, {2, 2}, {90, 77}, Edge::end}, random);
}

/** The seed alone decides, for both layouts and types and every number of threads. */
TEST(Fractional, SeedsDecide) {
  constexpr std::uint64_t kSeed = 0x123456789abcdef;
  const Extents input{3, 5, 30, 31};
  const Extents output{3, 5, 17, 19};
  const fpool_fractional p = parameters({FPOOL_PLANAR, input, {2, 2}, {17, 19}, Edge::end});
  GuardedTensor<float> x(FPOOL_PLANAR, input, Edge::end);
  GuardedTensor<double> other(FPOOL_INTERLEAVED, input, Edge::end);
  Random random(6);
  fill(x, random, false);
  for (std::int64_t n = 0; n < 3; ++n) {
    for (std::int64_t c = 0; c < 5; ++c) {
      for (std::int64_t i = 0; i < x.plane(); ++i) other.at(n, c, i) = x.at(n, c, i);
    }
  }
  GuardedTensor<float> samples(FPOOL_PLANAR, {3, 5, 2}, Edge::end);
  for (std::int64_t i = 0; i < samples.size(); ++i) {
    samples.data()[i] = static_cast<float>(unit_interval(
        philox(kSeed, static_cast<std::uint64_t>(i / 2), static_cast<std::uint64_t>(i % 2))[0]));
  }
  GuardedTensor<float> expected(FPOOL_PLANAR, output, Edge::end);
  ASSERT_EQ(FPOOL_OK, fpool_fractional_forward(x.descriptor(), x.data(), &p, samples.descriptor(),
                                               samples.data(), 0, expected.descriptor(),
                                               expected.data(), nullptr, nullptr));
  for_every_way(Operation::fractional_forward, [&] {
    GuardedTensor<float> y(FPOOL_PLANAR, output, Edge::end);
    GuardedTensor<double> z(FPOOL_INTERLEAVED, output, Edge::end);
    ASSERT_EQ(FPOOL_OK,
              fpool_fractional_forward(x.descriptor(), x.data(), &p, nullptr, nullptr, kSeed,
                                       y.descriptor(), y.data(), nullptr, nullptr));
    ASSERT_EQ(FPOOL_OK,
              fpool_fractional_forward(other.descriptor(), other.data(), &p, nullptr, nullptr,
                                       kSeed, z.descriptor(), z.data(), nullptr, nullptr));
    for (std::int64_t n = 0; n < 3; ++n) {
      for (std::int64_t c = 0; c < 5; ++c) {
        for (std::int64_t i = 0; i < y.plane(); ++i) {
          ASSERT_EQ(expected.at(n, c, i), y.at(n, c, i));
          ASSERT_EQ(expected.at(n, c, i), z.at(n, c, i));
        }
      }
    }
  });
}

/** Extents that f32 does not hold exactly must not lead out of the input. */
TEST(Fractional, BeyondTheIntegersOfFloat) {
  const std::int64_t width = 16777219 + 2;
  GuardedTensor<float> x(FPOOL_PLANAR, {1, 1, 1, width}, Edge::end);
  for (std::int64_t i = 0; i < width; ++i) x.data()[i] = static_cast<float>(i);
  fpool_fractional p{};
  p.spatial_rank = 2;
  p.kernel[0] = p.output[0] = 1;
  p.kernel[1] = 2;
  p.output[1] = 3;
  GuardedTensor<float> samples(FPOOL_PLANAR, {1, 1, 2}, Edge::end);
  samples.data()[0] = 0;
  samples.data()[1] = 1 - 0x1p-24f;
  GuardedTensor<float> y(FPOOL_PLANAR, {1, 1, 1, 3}, Edge::end);
  ASSERT_EQ(FPOOL_OK, fpool_fractional_forward(x.descriptor(), x.data(), &p, samples.descriptor(),
                                               samples.data(), 0, y.descriptor(), y.data(), nullptr,
                                               nullptr));
  EXPECT_EQ(y.data()[2], static_cast<float>(width - 1));
}

class FractionalRefusals : public ::testing::Test {
 protected:
  FractionalRefusals()
      : x(FPOOL_PLANAR, {1, 2, 6, 7}, Edge::end),
        y(FPOOL_PLANAR, {1, 2, 3, 4}, Edge::end),
        samples(FPOOL_PLANAR, {1, 2, 2}, Edge::end) {
    for (int i = 0; i < 4; ++i) samples.data()[i] = 0.5;
  }

  void expect(fpool_status status, const std::string& text) {
    EXPECT_EQ(status, fpool_fractional_forward(x.descriptor(), x.data(), &p, samples.descriptor(),
                                               samples.data(), 0, y.descriptor(), y.data(), nullptr,
                                               nullptr));
    EXPECT_NE(std::string(fpool_last_error()).find(text), std::string::npos) << fpool_last_error();
    const auto* bytes = reinterpret_cast<const unsigned char*>(y.data());
    for (std::size_t i = 0; i < 24 * sizeof(float); ++i) ASSERT_EQ(bytes[i], 0xA5);
  }

  GuardedTensor<float> x;
  GuardedTensor<float> y;
  GuardedTensor<double> samples;
  fpool_fractional p{{2, 2, 0}, {3, 4, 0}, 2, 0};
};

TEST_F(FractionalRefusals, Samples) {
  for (const double bad : {1.0, -0.25, 2.0}) {
    samples.data()[3] = bad;
    std::ostringstream text;
    text << "samples_data[3] is " << bad;
    expect(FPOOL_ERROR_INVALID_ARGUMENT, text.str());
  }
  samples.data()[3] = std::numeric_limits<double>::quiet_NaN();
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "samples_data[3] is nan");
}

TEST_F(FractionalRefusals, Parameters) {
  p.output[0] = 6;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "output is 6 in axis H; it must be at least 1 and at most");
  p.output[0] = 0;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "output is 0 in axis H");
  p.output[0] = 3;
  p.kernel[1] = 8;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "kernel is 8 in axis W");
  p.kernel[1] = 0;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "kernel is 0 in axis W");
  p.kernel[1] = 2;
  p.spatial_rank = 3;
  expect(FPOOL_ERROR_SHAPE_MISMATCH, "fractional.spatial_rank is 3");
  p.spatial_rank = 2;
  p.output[1] = 3;
  expect(FPOOL_ERROR_SHAPE_MISMATCH, "y.extents are 1x2x3x4; they must be 1x2x3x3");
}

TEST_F(FractionalRefusals, MaskEntries) {
  GuardedTensor<std::int32_t> mask(FPOOL_PLANAR, {1, 2, 3, 4}, Edge::end);
  GuardedTensor<float> dx(FPOOL_PLANAR, {1, 2, 6, 7}, Edge::end);
  for (int i = 0; i < 24; ++i) mask.data()[i] = 0;
  mask.data()[5] = 42;
  EXPECT_EQ(FPOOL_ERROR_INDEX_OUT_OF_RANGE,
            fpool_fractional_backward(y.descriptor(), y.data(), mask.descriptor(), mask.data(),
                                      dx.descriptor(), dx.data()));
  EXPECT_NE(std::string(fpool_last_error()).find("mask_data[5] is 42"), std::string::npos);
}

}  // namespace
}  // namespace featurepool::testing
