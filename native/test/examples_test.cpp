// The seeds' worked examples (SEMANTICS 13), through the C ABI, with every kernel at every tier.

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "featurepool/featurepool.h"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

/** A planar f32 tensor with its data; -77 where nothing has been written. */
struct Tensor {
  Tensor(std::vector<std::int64_t> extents, std::vector<float> values = {})
      : data(std::move(values)) {
    descriptor.dtype = FPOOL_F32;
    descriptor.layout = FPOOL_PLANAR;
    descriptor.spatial_rank = static_cast<std::int32_t>(extents.size()) - 2;
    std::copy(extents.begin(), extents.end(), descriptor.extents);
    std::size_t size = 1;
    for (const std::int64_t extent : extents) size *= static_cast<std::size_t>(extent);
    if (data.empty()) data.assign(size, -77.0f);
    EXPECT_EQ(data.size(), size);
    descriptor.byte_size = static_cast<std::int64_t>(size * sizeof(float));
  }

  double sum() const { return std::accumulate(data.begin(), data.end(), 0.0); }

  std::vector<float> data;
  fpool_tensor descriptor{};
};

fpool_window square(std::int64_t kernel, std::int64_t stride) {
  return {{kernel, kernel}, {stride, stride}, {0, 0}, {0, 0}, {1, 1}, 2, FPOOL_PAD_EXPLICIT, 0, 0};
}

/** Results of both directions of a pooling. */
struct Pooled {
  std::vector<float> y;
  std::vector<std::int32_t> mask;  ///< plane positions
  std::vector<std::uint8_t> compact;
  std::vector<float> dx;
};

/** Output of the right extents for `x`. */
Tensor output_for(const Tensor& x, const fpool_window& window) {
  std::int64_t extents[5];
  EXPECT_EQ(fpool_output_extents(&x.descriptor, &window, extents), FPOOL_OK) << fpool_last_error();
  return Tensor({extents, extents + 2 + x.descriptor.spatial_rank});
}

/** Forward with either mask, and backward through either; `dy` empty: all ones. */
Pooled max_pool(const Tensor& x, const fpool_window& window, std::vector<float> dy_values = {}) {
  Tensor y = output_for(x, window);
  if (dy_values.empty()) dy_values.assign(y.data.size(), 1.0f);
  Pooled result;
  result.mask.resize(y.data.size());
  result.compact.resize(y.data.size());
  fpool_tensor mask = y.descriptor;
  mask.dtype = FPOOL_I32;
  EXPECT_EQ(fpool_max_forward(&x.descriptor, x.data.data(), &window, &y.descriptor, y.data.data(),
                              &mask, result.mask.data()),
            FPOOL_OK)
      << fpool_last_error();
  result.y = y.data;
  Tensor dx = x;
  EXPECT_EQ(fpool_route_backward(&y.descriptor, dy_values.data(), &mask, result.mask.data(),
                                 &window, &dx.descriptor, dx.data.data()),
            FPOOL_OK)
      << fpool_last_error();
  result.dx = dx.data;

  mask.dtype = FPOOL_U8;
  EXPECT_EQ(fpool_max_forward(&x.descriptor, x.data.data(), &window, &y.descriptor, y.data.data(),
                              &mask, result.compact.data()),
            FPOOL_OK)
      << fpool_last_error();
  EXPECT_EQ(y.data, result.y);
  EXPECT_EQ(fpool_route_backward(&y.descriptor, dy_values.data(), &mask, result.compact.data(),
                                 &window, &dx.descriptor, dx.data.data()),
            FPOOL_OK)
      << fpool_last_error();
  EXPECT_EQ(dx.data, result.dx);
  return result;
}

Pooled avg_pool(const Tensor& x, const fpool_window& window, std::vector<float> dy_values = {}) {
  const fpool_average average{};
  Tensor y = output_for(x, window);
  if (dy_values.empty()) dy_values.assign(y.data.size(), 1.0f);
  EXPECT_EQ(fpool_avg_forward(&x.descriptor, x.data.data(), &window, &average, &y.descriptor,
                              y.data.data()),
            FPOOL_OK)
      << fpool_last_error();
  Tensor dx = x;
  EXPECT_EQ(fpool_avg_backward(&y.descriptor, dy_values.data(), &window, &average, &dx.descriptor,
                               dx.data.data()),
            FPOOL_OK)
      << fpool_last_error();
  return {y.data, {}, {}, dx.data};
}

std::vector<std::string> all_kernels() {
  std::vector<std::string> names;
  for (const Operation operation : {Operation::max_forward, Operation::route_backward,
                                    Operation::avg_forward, Operation::avg_backward}) {
    for (const std::string& name : dispatch::kernels(operation)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  return names;
}

/** Tests that run once per kernel and tier; "" is what a user gets. */
class Examples : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { dispatch::use_kernel(GetParam()); }
  void TearDown() override {
    dispatch::use_kernel("");
    dispatch::use_tier("");
  }

  template <typename Body>
  void at_every_tier(Body body) {
    for (const std::string& tier : dispatch::tiers()) {
      SCOPED_TRACE(tier);
      dispatch::use_tier(tier);
      body();
    }
  }
};

const Tensor kSeed002({1, 1, 6, 6}, {-0.170f, 0.137f,  -0.427f, 0.699f,  -0.469f, -0.523f,  //
                                     0.036f,  -0.434f, 0.423f,  1.875f,  0.413f,  -0.573f,  //
                                     0.067f,  -1.014f, 0.550f,  0.133f,  0.880f,  1.036f,   //
                                     1.330f,  -1.025f, -0.112f, -1.763f, 0.882f,  0.181f,   //
                                     -0.367f, 2.615f,  0.254f,  -1.258f, -0.470f, 0.542f,   //
                                     0.708f,  0.814f,  -0.118f, 0.020f,  0.535f,  -0.233f});

TEST_P(Examples, Seed002MaxPoolOfSixBySix) {
  at_every_tier([] {
    const Pooled pooled =
        max_pool(kSeed002, square(2, 2),
                 {-0.259f, 1.209f, 2.082f, 0.959f, 0.855f, 1.922f, -0.099f, -1.074f, -0.616f});
    EXPECT_EQ(pooled.y, (std::vector<float>{0.137f, 1.875f, 0.413f,  //
                                            1.330f, 0.550f, 1.036f,  //
                                            2.615f, 0.254f, 0.542f}));
    EXPECT_EQ(pooled.mask, (std::vector<std::int32_t>{1, 9, 10, 18, 14, 17, 25, 26, 29}));
    EXPECT_EQ(pooled.compact, (std::vector<std::uint8_t>{1, 3, 2, 2, 0, 1, 1, 0, 1}));
    EXPECT_EQ(pooled.dx, (std::vector<float>{0,      -0.259f, 0,       0,      0,      0,        //
                                             0,      0,       0,       1.209f, 2.082f, 0,        //
                                             0,      0,       0.855f,  0,      0,      1.922f,   //
                                             0.959f, 0,       0,       0,      0,      0,        //
                                             0,      -0.099f, -1.074f, 0,      0,      -0.616f,  //
                                             0,      0,       0,       0,      0,      0}));
  });
}

TEST_P(Examples, Seed002SevenBySevenWithOverlapAccumulates) {
  // 9 is the maximum of four windows and 8 of three.
  const Tensor x({1, 1, 7, 7}, {0, 1, 2, 3, 1, 0, 2,  //
                                1, 3, 0, 2, 4, 5, 1,  //
                                2, 0, 9, 1, 3, 2, 0,  //
                                3, 1, 4, 0, 2, 1, 3,  //
                                0, 2, 1, 3, 8, 0, 2,  //
                                1, 6, 0, 2, 1, 3, 4,  //
                                2, 3, 1, 0, 4, 2, 1});
  at_every_tier([&] {
    const Pooled pooled = max_pool(x, square(3, 2), {1, 2, 3, 4, 5, 6, 7, 8, 9});
    EXPECT_EQ(pooled.y, (std::vector<float>{9, 9, 5, 9, 9, 8, 6, 8, 8}));
    EXPECT_EQ(pooled.mask, (std::vector<std::int32_t>{16, 16, 12, 16, 16, 32, 36, 32, 32}));
    EXPECT_EQ(pooled.dx, (std::vector<float>{0, 0, 0,  0, 0,  0, 0,  //
                                             0, 0, 0,  0, 0,  3, 0,  //
                                             0, 0, 12, 0, 0,  0, 0,  //
                                             0, 0, 0,  0, 0,  0, 0,  //
                                             0, 0, 0,  0, 23, 0, 0,  //
                                             0, 7, 0,  0, 0,  0, 0,  //
                                             0, 0, 0,  0, 0,  0, 0}));
  });
}

const Tensor kSeed003({1, 1, 6, 6}, {1, 3,  4, 2, 5, 2,  //
                                     4, 2,  5, 6, 8, 3,  //
                                     5, 3,  7, 8, 9, 3,  //
                                     8, 4,  3, 6, 0, 2,  //
                                     7, 10, 3, 6, 3, 5,  //
                                     4, 7,  2, 4, 7, 8});

/** `counts` times the gradient of a mean over `windows` windows. */
void expect_shares(const std::vector<float>& dx, const std::vector<float>& counts, float windows) {
  ASSERT_EQ(dx.size(), counts.size());
  for (std::size_t i = 0; i < dx.size(); ++i) {
    EXPECT_FLOAT_EQ(dx[i], counts[i] / windows) << "element " << i;
  }
}

TEST_P(Examples, Seed003MaxGradients) {
  const std::vector<float> positions_apart{0, 0, 0, 0, 0, 0,  //
                                           1, 0, 0, 1, 1, 0,  //
                                           0, 0, 0, 1, 1, 0,  //
                                           1, 0, 0, 0, 0, 0,  //
                                           0, 1, 0, 1, 0, 0,  //
                                           0, 0, 0, 0, 0, 1};
  const std::vector<float> positions_overlapping{0, 0, 0, 0, 0, 0,  //
                                                 1, 0, 1, 1, 2, 0,  //
                                                 1, 0, 2, 2, 4, 0,  //
                                                 1, 0, 0, 2, 0, 0,  //
                                                 0, 4, 0, 1, 0, 1,  //
                                                 0, 0, 0, 0, 1, 1};
  at_every_tier([&] {
    EXPECT_EQ(max_pool(kSeed003, square(2, 2)).dx, positions_apart);
    EXPECT_EQ(max_pool(kSeed003, square(2, 1)).dx, positions_overlapping);
    expect_shares(max_pool(kSeed003, square(2, 2), std::vector<float>(9, 1.0f / 9)).dx,
                  positions_apart, 9);
    expect_shares(max_pool(kSeed003, square(2, 1), std::vector<float>(25, 1.0f / 25)).dx,
                  positions_overlapping, 25);
  });
}

TEST_P(Examples, Seed003AverageGradients) {
  const std::vector<float> counts_overlapping{1, 2, 2, 2, 2, 1,  //
                                              2, 4, 4, 4, 4, 2,  //
                                              2, 4, 4, 4, 4, 2,  //
                                              2, 4, 4, 4, 4, 2,  //
                                              2, 4, 4, 4, 4, 2,  //
                                              1, 2, 2, 2, 2, 1};
  at_every_tier([&] {
    expect_shares(avg_pool(kSeed003, square(2, 2), std::vector<float>(9, 1.0f / 9)).dx,
                  std::vector<float>(36, 1), 9 * 4);
    expect_shares(avg_pool(kSeed003, square(2, 1), std::vector<float>(25, 1.0f / 25)).dx,
                  counts_overlapping, 25 * 4);
  });
}

TEST_P(Examples, Seed001GradientsOfOneWindow) {
  const Tensor x({1, 1, 2, 2}, {1, 4, 2, 3});  // a, b, c, d; b is the largest
  at_every_tier([&] {
    EXPECT_EQ(avg_pool(x, square(2, 2)).y, (std::vector<float>{2.5f}));
    EXPECT_EQ(avg_pool(x, square(2, 2)).dx, (std::vector<float>{0.25f, 0.25f, 0.25f, 0.25f}));
    EXPECT_EQ(max_pool(x, square(2, 2)).y, (std::vector<float>{4}));
    EXPECT_EQ(max_pool(x, square(2, 2)).dx, (std::vector<float>{0, 1, 0, 0}));
  });
}

TEST_P(Examples, Seed001ResidualsGoBackToFourByFour) {
  const Tensor x({1, 1, 4, 4}, {5, 1, 0, 2,  //
                                3, 2, 4, 1,  //
                                0, 1, 2, 3,  //
                                7, 2, 1, 9});
  at_every_tier([&] {
    EXPECT_EQ(max_pool(x, square(2, 2), {1, 2, 3, 4}).dx,
              (std::vector<float>{1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 4}));
    EXPECT_EQ(avg_pool(x, square(2, 2), {1, 2, 3, 4}).dx,
              (std::vector<float>{.25f, .25f, .5f, .5f, .25f, .25f, .5f, .5f,  //
                                  .75f, .75f, 1, 1, .75f, .75f, 1, 1}));
  });
}

TEST_P(Examples, Seed000HalvesSixtyFourAndConservesTheGradient) {
  Random random(64);
  Tensor x({1, 1, 64, 64});
  for (float& value : x.data) value = random.fraction();
  std::vector<float> dy(32 * 32);
  // Multiples of 1/1024, so that sums are exact in any order.
  for (float& value : dy) value = static_cast<float>(random.between(-4096, 4096)) / 1024;
  const double sum = std::accumulate(dy.begin(), dy.end(), 0.0);
  at_every_tier([&] {
    const Pooled maximum = max_pool(x, square(2, 2), dy);
    const Pooled average = avg_pool(x, square(2, 2), dy);
    EXPECT_EQ(maximum.y.size(), 32u * 32u);
    EXPECT_EQ(average.y.size(), 32u * 32u);
    EXPECT_EQ(std::accumulate(maximum.dx.begin(), maximum.dx.end(), 0.0), sum);
    EXPECT_EQ(std::accumulate(average.dx.begin(), average.dx.end(), 0.0), sum);
  });
}

TEST_P(Examples, Seed004Shapes) {
  Random random(4);
  Tensor x({4, 3, 16, 16});
  for (float& value : x.data) value = random.fraction();
  EXPECT_EQ(output_for(x, square(2, 2)).data.size(), 4u * 3 * 8 * 8);
  Tensor features({4, 12, 18, 18});
  for (float& value : features.data) value = random.fraction();
  at_every_tier([&] {
    // Global average pooling is the window of the whole plane.
    const Pooled pooled = avg_pool(features, square(18, 18));
    ASSERT_EQ(pooled.y.size(), 4u * 12);
    for (std::size_t plane = 0; plane < pooled.y.size(); ++plane) {
      const auto begin = features.data.begin() + static_cast<std::ptrdiff_t>(plane * 18 * 18);
      EXPECT_FLOAT_EQ(pooled.y[plane],
                      static_cast<float>(std::accumulate(begin, begin + 18 * 18, 0.0) / (18 * 18)));
    }
  });
}

TEST_P(Examples, Seed004PyramidOfStrideOneWindows) {
  // The sizes of yolov3-spp.cfg; a 9x9 maximum is a 5x5 of a 5x5, a 13x13 a 5x5 of a 9x9.
  Random random(5);
  Tensor x({1, 2, 19, 19});
  for (float& value : x.data) value = random.fraction();
  const auto same = [](std::int64_t kernel) {
    fpool_window window = square(kernel, 1);
    window.padding = FPOOL_PAD_SAME_UPPER;
    return window;
  };
  at_every_tier([&] {
    const auto extents = std::vector<std::int64_t>{1, 2, 19, 19};
    const Tensor five(extents, max_pool(x, same(5)).y);
    const Tensor nine(extents, max_pool(five, same(5)).y);
    EXPECT_EQ(max_pool(x, same(9)).y, nine.data);
    EXPECT_EQ(max_pool(x, same(13)).y, max_pool(nine, same(5)).y);
  });
}

INSTANTIATE_TEST_SUITE_P(, Examples, ::testing::ValuesIn(all_kernels()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace featurepool::testing
