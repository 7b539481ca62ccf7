// The layer classes: the port of the seed's MaxPool2D, where it differs from the seed, AvgPool2D.

#include "featurepool/layers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/random.hpp"
#include "support/seed_max_pool_2d.hpp"

namespace featurepool::testing {
namespace {

tensor image(int C, int H, int W, const std::vector<float>& values) {
  auto result = std::make_shared<Tensor>(C, H, W);
  EXPECT_EQ(values.size(), result->get_length());
  std::copy(values.begin(), values.end(), result->data);
  return result;
}

tensor random_image(int C, int H, int W, std::uint64_t seed) {
  auto result = std::make_shared<Tensor>(C, H, W);
  Random random(seed);
  for (std::size_t i = 0; i < result->get_length(); ++i) result->data[i] = random.fraction() - 0.5f;
  return result;
}

std::vector<float> values(const tensor& t) { return {t->data, t->data + t->get_length()}; }

/** Calls `call`, which must throw an E, and returns its message. */
template <typename E, typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

/** Forward by definition; the mask holds positions within the image. */
void expect_pooled(const tensor& x, int k, int s, const tensor& y, const std::vector<int>& mask) {
  ASSERT_EQ(y->C, x->C);
  ASSERT_EQ(y->H, (x->H - k) / s + 1);
  ASSERT_EQ(y->W, (x->W - k) / s + 1);
  ASSERT_EQ(mask.size(), y->get_length());
  std::size_t cnt = 0;
  for (int c = 0; c < y->C; ++c) {
    for (int h = 0; h < y->H; ++h) {
      for (int w = 0; w < y->W; ++w, ++cnt) {
        int best = (c * x->H + h * s) * x->W + w * s;
        for (int i = 0; i < k; ++i) {
          for (int j = 0; j < k; ++j) {
            const int position = (c * x->H + h * s + i) * x->W + w * s + j;
            if (x->data[position] > x->data[best]) best = position;
          }
        }
        ASSERT_EQ(mask[cnt], best) << "output " << cnt;
        ASSERT_EQ(y->data[cnt], x->data[best]) << "output " << cnt;
      }
    }
  }
}

const std::vector<float> kSeedInput{-0.170f, 0.137f,  -0.427f, 0.699f,  -0.469f, -0.523f,  //
                                    0.036f,  -0.434f, 0.423f,  1.875f,  0.413f,  -0.573f,  //
                                    0.067f,  -1.014f, 0.550f,  0.133f,  0.880f,  1.036f,   //
                                    1.330f,  -1.025f, -0.112f, -1.763f, 0.882f,  0.181f,   //
                                    -0.367f, 2.615f,  0.254f,  -1.258f, -0.470f, 0.542f,   //
                                    0.708f,  0.814f,  -0.118f, 0.020f,  0.535f,  -0.233f};
const std::vector<float> kSeedDelta{-0.259f, 1.209f,  2.082f,  0.959f, 0.855f,
                                    1.922f,  -0.099f, -1.074f, -0.616f};

TEST(MaxPool2D, SeedExample) {
  // The seed's figures are one channel of an image; here it is the third, as the seed says.
  std::vector<float> x(2 * 36, 7.0f);
  x.insert(x.end(), kSeedInput.begin(), kSeedInput.end());
  MaxPool2D pool(2, 2);
  const auto y = pool.forward({image(3, 6, 6, x)});
  ASSERT_EQ(y.size(), 1u);
  EXPECT_EQ(
      std::vector<float>(y[0]->data + 18, y[0]->data + 27),
      (std::vector<float>{0.137f, 1.875f, 0.413f, 1.330f, 0.550f, 1.036f, 2.615f, 0.254f, 0.542f}));
  const std::vector<int> mask(pool.mask()[0].begin() + 18, pool.mask()[0].end());
  EXPECT_EQ(mask, (std::vector<int>{73, 81, 82, 90, 86, 89, 97, 98, 101}));

  std::vector<float> dy(18, 0.0f);
  dy.insert(dy.end(), kSeedDelta.begin(), kSeedDelta.end());
  std::vector<tensor> delta{image(3, 3, 3, dy)};
  const auto dx = pool.backward(delta);
  ASSERT_EQ(dx.size(), 1u);
  std::vector<float> expected(3 * 36, 0.0f);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    expected[static_cast<std::size_t>(mask[i])] = kSeedDelta[i];
  }
  EXPECT_EQ(values(dx[0]), expected);
}

TEST(MaxPool2D, AgreesWithTheSeedWhereTheSeedIsRight) {
  SeedMaxPool2D seed(3, 3);
  MaxPool2D pool(3, 3);
  const std::vector<tensor> x{random_image(4, 20, 17, 1), random_image(4, 20, 17, 2)};
  const auto y = pool.forward(x);
  const auto seed_y = seed.forward(x);
  std::vector<tensor> delta{random_image(4, 6, 5, 3), random_image(4, 6, 5, 4)};
  const auto dx = pool.backward(delta);
  const auto seed_dx = seed.backward(delta);
  for (std::size_t b = 0; b < 2; ++b) {
    EXPECT_EQ(values(y[b]), values(seed_y[b]));
    EXPECT_EQ(pool.mask()[b], seed.mask[b]);
    EXPECT_EQ(values(dx[b]), values(seed_dx[b]));
  }
}

// --- where the seed's code is wrong or stale ---

TEST(MaxPool2DUnlikeTheSeed, AccumulatesWhereWindowsOverlap) {
  // 9 is the maximum of four windows and 8 of three.
  const std::vector<tensor> x{image(1, 7, 7, {0, 1, 2, 3, 1, 0, 2,  //
                                              1, 3, 0, 2, 4, 5, 1,  //
                                              2, 0, 9, 1, 3, 2, 0,  //
                                              3, 1, 4, 0, 2, 1, 3,  //
                                              0, 2, 1, 3, 8, 0, 2,  //
                                              1, 6, 0, 2, 1, 3, 4,  //
                                              2, 3, 1, 0, 4, 2, 1})};
  std::vector<tensor> delta{image(1, 3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9})};
  const std::vector<float> expected{0, 0, 0,  0, 0,  0, 0,  //
                                    0, 0, 0,  0, 0,  3, 0,  //
                                    0, 0, 12, 0, 0,  0, 0,  //
                                    0, 0, 0,  0, 0,  0, 0,  //
                                    0, 0, 0,  0, 23, 0, 0,  //
                                    0, 7, 0,  0, 0,  0, 0,  //
                                    0, 0, 0,  0, 0,  0, 0};
  MaxPool2D pool(3, 2);
  pool.forward(x);
  EXPECT_EQ(values(pool.backward(delta)[0]), expected);
  SeedMaxPool2D seed(3, 2);
  seed.forward(x);
  EXPECT_NE(values(seed.backward(delta)[0]), expected);
}

TEST(MaxPool2DUnlikeTheSeed, RebuildsTheOffsetTableWhenTheWidthChanges) {
  // Both widths give three outputs per row, so that only the offset table is stale.
  const std::vector<tensor> first{random_image(1, 6, 6, 1)};
  const std::vector<tensor> second{random_image(1, 6, 7, 2)};
  MaxPool2D pool(2, 2);
  auto y = pool.forward(first);
  expect_pooled(first[0], 2, 2, y[0], pool.mask()[0]);
  y = pool.forward(second);
  expect_pooled(second[0], 2, 2, y[0], pool.mask()[0]);
  SeedMaxPool2D seed(2, 2);
  seed.forward(first);
  EXPECT_NE(values(seed.forward(second)[0]), values(y[0]));
  EXPECT_NE(seed.mask[0], pool.mask()[0]);
}

TEST(MaxPool2DUnlikeTheSeed, BuffersGrowWithTheBatch) {
  const std::vector<tensor> one{random_image(2, 6, 6, 1)};
  const std::vector<tensor> three{random_image(2, 6, 6, 2), random_image(2, 6, 6, 3),
                                  random_image(2, 6, 6, 4)};
  MaxPool2D pool(2, 2);
  EXPECT_EQ(pool.forward(one).size(), 1u);
  const auto y = pool.forward(three);
  ASSERT_EQ(y.size(), 3u);
  std::vector<tensor> delta;
  for (std::size_t b = 0; b < 3; ++b) {
    expect_pooled(three[b], 2, 2, y[b], pool.mask()[b]);
    delta.push_back(random_image(2, 3, 3, b));
  }
  EXPECT_EQ(pool.backward(delta).size(), 3u);
  SeedMaxPool2D seed(2, 2);
  seed.forward(one);
  EXPECT_THROW(seed.forward(three), std::out_of_range);
}

TEST(MaxPool2DUnlikeTheSeed, ASmallerBatchGivesNoStaleImages) {
  MaxPool2D pool(2, 2);
  pool.forward({random_image(1, 4, 4, 1), random_image(1, 4, 4, 2)});
  const std::vector<tensor> one{random_image(1, 4, 4, 3)};
  EXPECT_EQ(pool.forward(one).size(), 1u);
  EXPECT_EQ(pool.mask().size(), 1u);
  SeedMaxPool2D seed(2, 2);
  seed.forward({random_image(1, 4, 4, 1), random_image(1, 4, 4, 2)});
  EXPECT_NE(seed.forward(one).size(), 1u);
}

TEST(MaxPool2DUnlikeTheSeed, AnEmptyBatchIsAnEmptyBatch) {
  MaxPool2D pool(2, 2);
  std::vector<tensor> none;
  EXPECT_TRUE(pool.forward(none).empty());
  EXPECT_TRUE(pool.mask().empty());
  EXPECT_TRUE(pool.backward(none).empty());
  pool.forward({random_image(1, 4, 4, 1)});
  EXPECT_TRUE(pool.forward(none).empty());
  EXPECT_TRUE(pool.backward(none).empty());
  SeedMaxPool2D seed(2, 2);
  EXPECT_THROW(seed.forward(none), std::out_of_range);
  EXPECT_THROW(seed.backward(none), std::out_of_range);
}

TEST(MaxPool2DUnlikeTheSeed, RefusesAWindowLargerThanTheImage) {
  const std::vector<tensor> x{random_image(1, 1, 4, 1)};
  MaxPool2D pool(2, 2);
  expect_contains(message_of<std::invalid_argument>([&] { pool.forward(x); }),
                  "kernel_size is 2 and the images are 1x4");
  // (1 - 2) / 2 truncates to 0, so the seed returns a row that it has never written.
  SeedMaxPool2D seed(2, 2);
  EXPECT_EQ(seed.forward(x)[0]->H, 1);
}

TEST(MaxPool2DUnlikeTheSeed, ANaNIsNotSkipped) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<tensor> x{image(1, 2, 2, {1, 2, nan, 3})};
  MaxPool2D pool(2, 2);
  EXPECT_TRUE(std::isnan(pool.forward(x)[0]->data[0]));
  EXPECT_EQ(pool.mask()[0], std::vector<int>{2});
  SeedMaxPool2D seed(2, 2);
  EXPECT_EQ(seed.forward(x)[0]->data[0], 3);
}

// --- buffers, shapes, modes ---

TEST(MaxPool2D, ReusesItsBuffers) {
  MaxPool2D pool(2, 2);
  const auto first = pool.forward({random_image(1, 4, 4, 1)});
  std::vector<tensor> delta{random_image(1, 2, 2, 2)};
  const auto first_dx = pool.backward(delta);
  EXPECT_EQ(pool.forward({random_image(1, 4, 4, 3)})[0], first[0]);
  EXPECT_EQ(pool.backward(delta)[0], first_dx[0]);
  // Growing keeps what is there.
  const auto grown = pool.forward({random_image(1, 4, 4, 4), random_image(1, 4, 4, 5)});
  EXPECT_EQ(grown[0], first[0]);
}

TEST(MaxPool2D, MakesNewBuffersForANewShape) {
  MaxPool2D pool(2, 2);
  const auto first = pool.forward({random_image(1, 4, 4, 1)});
  const auto before = values(first[0]);
  const tensor wide = random_image(3, 6, 8, 2);
  const auto second = pool.forward({wide});
  expect_pooled(wide, 2, 2, second[0], pool.mask()[0]);
  EXPECT_EQ(values(first[0]), before);  // what the caller still holds is left alone
  std::vector<tensor> delta{random_image(3, 3, 4, 3)};
  const auto dx = pool.backward(delta);
  EXPECT_EQ(dx[0]->C, 3);
  EXPECT_EQ(dx[0]->H, 6);
  EXPECT_EQ(dx[0]->W, 8);
}

TEST(MaxPool2D, EveryKernelSizeAndStep) {
  // 15 is the last whose positions fit a byte.
  for (const int k : {1, 2, 3, 5, 14, 15, 16, 17, 20}) {
    for (const int s : {1, 2, 3, 21}) {
      SCOPED_TRACE("kernel_size " + std::to_string(k) + " step " + std::to_string(s));
      MaxPool2D pool(k, s);
      for (const int W : {20, 23}) {
        const tensor x = random_image(2, 21, W, static_cast<std::uint64_t>(k * 31 + s));
        const auto y = pool.forward({x});
        expect_pooled(x, k, s, y[0], pool.mask()[0]);
        std::vector<tensor> delta{random_image(2, y[0]->H, y[0]->W, 9)};
        const auto dx = pool.backward(delta);
        std::vector<float> expected(x->get_length(), 0.0f);
        for (std::size_t i = 0; i < delta[0]->get_length(); ++i) {
          expected[static_cast<std::size_t>(pool.mask()[0][i])] += delta[0]->data[i];
        }
        ASSERT_EQ(values(dx[0]), expected);
      }
    }
  }
}

TEST(MaxPool2D, NoGradKeepsNothing) {
  MaxPool2D pool(2, 2);
  const tensor x = random_image(1, 4, 4, 1);
  const auto with_mask = values(pool.forward({x})[0]);
  pool.no_grad = true;
  EXPECT_EQ(values(pool.forward({x})[0]), with_mask);
  std::vector<tensor> delta{random_image(1, 2, 2, 2)};
  expect_contains(message_of<std::logic_error>([&] { pool.backward(delta); }), "no_grad");
  expect_contains(message_of<std::logic_error>([&] { pool.mask(); }), "no_grad");
  pool.no_grad = false;
  pool.forward({x});
  EXPECT_EQ(pool.backward(delta).size(), 1u);
}

TEST(MaxPool2D, RefusesBadParameters) {
  expect_contains(message_of<std::invalid_argument>([] { MaxPool2D(0, 1); }), "kernel_size is 0");
  expect_contains(message_of<std::invalid_argument>([] { MaxPool2D(-1, 1); }), "kernel_size is -1");
  expect_contains(message_of<std::invalid_argument>([] { MaxPool2D(2, 0); }), "step is 0");
  expect_contains(message_of<std::invalid_argument>([] { AvgPool2D(2, -2); }), "step is -2");
}

TEST(MaxPool2D, RefusesBadBatches) {
  MaxPool2D pool(2, 2);
  std::vector<tensor> delta{random_image(1, 2, 2, 1)};
  expect_contains(message_of<std::logic_error>([&] { pool.backward(delta); }), "forward pass");

  const tensor x = random_image(1, 4, 4, 1);
  pool.forward({x});
  expect_contains(message_of<std::invalid_argument>([&] {
                    pool.forward({x, random_image(1, 4, 5, 1)});
                  }),
                  "input[1] is 1x4x5; it must be 1x4x4");
  expect_contains(message_of<std::invalid_argument>([&] {
                    pool.forward({x, nullptr});
                  }),
                  "input[1] is null");
  expect_contains(message_of<std::invalid_argument>([&] { pool.forward({nullptr}); }),
                  "input[0] is null");
  // A refused batch does not disturb the last good one.
  EXPECT_EQ(pool.backward(delta).size(), 1u);

  std::vector<tensor> wrong{random_image(1, 2, 3, 1)};
  expect_contains(message_of<std::invalid_argument>([&] { pool.backward(wrong); }),
                  "delta[0] is 1x2x3; it must be 1x2x2");
  wrong = {delta[0], delta[0]};
  expect_contains(message_of<std::invalid_argument>([&] { pool.backward(wrong); }),
                  "delta has 2 images");
}

TEST(MaxPool2D, RefusesItsOwnOutputAsInput) {
  MaxPool2D pool(1, 1);
  const auto y = pool.forward({random_image(1, 4, 4, 1)});
  expect_contains(message_of<std::invalid_argument>([&] { pool.forward(y); }), "overlap");
}

TEST(LayerTensor, RefusesBadExtents) {
  expect_contains(message_of<std::invalid_argument>([] { Tensor(0, 1, 1); }), "0x1x1");
  expect_contains(message_of<std::invalid_argument>([] { Tensor(1, -2, 1); }), "1x-2x1");
  expect_contains(message_of<std::invalid_argument>([] { Tensor(65536, 65536, 2); }), "2^31");
  EXPECT_EQ(Tensor(2, 3, 4).get_length(), 24u);
}

TEST(AvgPool2D, SharesTheGradientOut) {
  AvgPool2D pool(2, 2);
  const auto y = pool.forward({image(1, 2, 4, {1, 4, 0, 2, 2, 3, 1, 5})});
  EXPECT_EQ(values(y[0]), (std::vector<float>{2.5f, 2}));
  std::vector<tensor> delta{image(1, 1, 2, {1, 8})};
  EXPECT_EQ(values(pool.backward(delta)[0]),
            (std::vector<float>{.25f, .25f, 2, 2, .25f, .25f, 2, 2}));
}

TEST(AvgPool2D, AccumulatesWhereWindowsOverlap) {
  AvgPool2D pool(2, 1);
  pool.forward({random_image(1, 3, 3, 1)});
  std::vector<tensor> delta{image(1, 2, 2, {4, 4, 4, 4})};
  EXPECT_EQ(values(pool.backward(delta)[0]), (std::vector<float>{1, 2, 1, 2, 4, 2, 1, 2, 1}));
}

TEST(AvgPool2D, FollowsShapeAndBatch) {
  AvgPool2D pool(3, 2);
  std::vector<tensor> none;
  EXPECT_TRUE(pool.forward(none).empty());
  EXPECT_TRUE(pool.backward(none).empty());
  for (const int W : {9, 12, 7}) {
    for (const std::size_t batch_size : {1u, 3u, 2u}) {
      std::vector<tensor> x;
      std::vector<tensor> delta;
      for (std::size_t b = 0; b < batch_size; ++b) {
        x.push_back(random_image(2, 8, W, b));
        delta.push_back(random_image(2, 3, (W - 3) / 2 + 1, b));
      }
      const auto y = pool.forward(x);
      const auto dx = pool.backward(delta);
      ASSERT_EQ(y.size(), batch_size);
      ASSERT_EQ(dx.size(), batch_size);
      for (std::size_t b = 0; b < batch_size; ++b) {
        double sum = 0;
        for (int i = 0; i < 3; ++i) {
          for (int j = 0; j < 3; ++j) sum += x[b]->data[i * W + j];
        }
        EXPECT_NEAR(y[b]->data[0], sum / 9, 1e-6);
        EXPECT_EQ(dx[b]->W, W);
      }
    }
  }
}

TEST(AvgPool2D, NoGradRefusesBackward) {
  AvgPool2D pool(2, 2);
  pool.no_grad = true;
  pool.forward({random_image(1, 4, 4, 1)});
  std::vector<tensor> delta{random_image(1, 2, 2, 2)};
  expect_contains(message_of<std::logic_error>([&] { pool.backward(delta); }), "no_grad");
}

TEST(Layer, IsAnInterface) {
  std::unique_ptr<Layer> layer = std::make_unique<AvgPool2D>();
  EXPECT_EQ(layer->forward({random_image(1, 4, 4, 1)})[0]->H, 2);
  layer = std::make_unique<MaxPool2D>();
  EXPECT_EQ(layer->forward({random_image(1, 4, 4, 1)})[0]->H, 2);
}

}  // namespace
}  // namespace featurepool::testing
