// Max unpooling with every kernel, against loops of its own.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "featurepool/featurepool.h"
#include "support/guarded_tensor.hpp"
#include "support/random.hpp"
#include "support/ways.hpp"

namespace featurepool::testing {
namespace {

using Extents = std::vector<std::int64_t>;

struct Case {
  std::int32_t layout;
  std::int64_t batch;
  std::int64_t channels;
  Extents small;
  Extents indexed;
  Extents large;
  bool over_tensor;
  bool crossing;
  Edge edge;
};

Extents with(const Case& c, const Extents& spatial) {
  Extents all{c.batch, c.channels};
  all.insert(all.end(), spatial.begin(), spatial.end());
  return all;
}

/** The position over `to` of a position over `from`, coordinate by coordinate. */
std::int64_t moved(std::int64_t position, const Extents& from, const Extents& to) {
  std::int64_t result = 0;
  std::int64_t scale = 1;
  for (std::size_t i = from.size(); i-- > 0;) {
    result += position % from[i] * scale;
    position /= from[i];
    scale *= to[i];
  }
  return result;
}

template <typename T, typename Index>
void check(const Case& c, Random& random) {
  GuardedTensor<T> x(c.layout, with(c, c.small), c.edge);
  GuardedTensor<Index> indices(c.layout, with(c, c.small), c.edge);
  GuardedTensor<T> expected(c.layout, with(c, c.large), c.edge);
  GuardedTensor<T> dy(c.layout, with(c, c.large), c.edge);
  GuardedTensor<T> gradient(c.layout, with(c, c.small), c.edge);
  std::int64_t indexed = 1;
  for (const std::int64_t extent : c.indexed) indexed *= extent;
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(random.fraction());
  for (std::int64_t i = 0; i < dy.size(); ++i) dy.data()[i] = static_cast<T>(random.fraction());
  for (std::int64_t i = 0; i < expected.size(); ++i) expected.data()[i] = 0;
  for (std::int64_t n = 0; n < c.batch; ++n) {
    for (std::int64_t ch = 0; ch < c.channels; ++ch) {
      const std::int64_t own = n * c.channels + ch;
      for (std::int64_t i = 0; i < x.plane(); ++i) {
        const std::int64_t plane =
            c.crossing && random.one_in(3) ? random.between(0, c.batch * c.channels - 1) : own;
        // Few different ones, so that many are equal.
        const std::int64_t position = random.between(
            0, random.one_in(2) ? indexed - 1 : std::min<std::int64_t>(2, indexed - 1));
        indices.at(n, ch, i) =
            static_cast<Index>(c.over_tensor ? plane * indexed + position : position);
        const std::int64_t target = c.over_tensor ? plane : own;
        const std::int64_t at = moved(position, c.indexed, c.large);
        expected.at(target / c.channels, target % c.channels, at) = x.at(n, ch, i);
        gradient.at(n, ch, i) = dy.at(target / c.channels, target % c.channels, at);
      }
    }
  }
  const std::int32_t base = c.over_tensor ? FPOOL_INDEX_TENSOR : FPOOL_INDEX_PLANE;
  const std::int64_t* extents = c.indexed == c.large ? nullptr : c.indexed.data();
  for_every_way(Operation::max_unpool_forward, [&] {
    GuardedTensor<T> y(c.layout, with(c, c.large), c.edge);
    ASSERT_EQ(FPOOL_OK,
              fpool_max_unpool_forward(x.descriptor(), x.data(), indices.descriptor(),
                                       indices.data(), base, extents, y.descriptor(), y.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(expected.data()[i], y.data()[i]) << "output " << i;
    }
    EXPECT_TRUE(y.margin_intact());
  });
  for_every_way(Operation::max_unpool_backward, [&] {
    GuardedTensor<T> dx(c.layout, with(c, c.small), c.edge);
    ASSERT_EQ(FPOOL_OK,
              fpool_max_unpool_backward(dy.descriptor(), dy.data(), indices.descriptor(),
                                        indices.data(), base, extents, dx.descriptor(), dx.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      ASSERT_EQ(gradient.data()[i], dx.data()[i]) << "gradient " << i;
    }
    EXPECT_TRUE(dx.margin_intact());
  });
}

template <typename T>
void check(const Case& c, Random& random) {
  random.one_in(2) ? check<T, std::int32_t>(c, random) : check<T, std::int64_t>(c, random);
}

TEST(MaxUnpool, EveryWayPlacesAndFetches) {
  Random random(8);
  for (int i = 0; i < 200 && !::testing::Test::HasFailure(); ++i) {
    Case c;
    c.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
    c.batch = random.between(0, 3);
    c.channels = random.between(1, 37);
    for (std::int64_t axis = random.between(1, 3); axis > 0; --axis) {
      c.small.push_back(random.between(1, 5));
      c.indexed.push_back(random.between(1, 9));
      c.large.push_back(c.indexed.back());
    }
    if (random.one_in(3)) {
      for (std::int64_t& extent : c.large) extent += random.between(0, 3);
    }
    c.over_tensor = random.one_in(2);
    c.crossing = c.over_tensor && random.one_in(2);
    c.edge = random.one_in(2) ? Edge::begin : Edge::end;
    SCOPED_TRACE("case " + std::to_string(i));
    random.one_in(2) ? check<float>(c, random) : check<double>(c, random);
  }
}

TEST(MaxUnpool, LargeEnoughForThreads) {
  Random random(9);
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    for (const bool crossing : {false, true}) {
      check<float>({layout, 2, 20, {40, 41}, {80, 82}, {80, 82}, crossing, crossing, Edge::end},
                   random);
    }
  }
}

/** An index beyond what its type tells apart from a negative one is still refused. */
TEST(MaxUnpool, IndicesAtTheEndsOfTheRange) {
  GuardedTensor<float> x(FPOOL_PLANAR, {1, 1, 2}, Edge::end);
  GuardedTensor<std::int64_t> indices(FPOOL_PLANAR, {1, 1, 2}, Edge::end);
  GuardedTensor<float> y(FPOOL_PLANAR, {1, 1, 4}, Edge::end);
  x.data()[0] = 5;
  x.data()[1] = 6;
  const auto run = [&](std::int64_t index) {
    indices.data()[0] = 0;
    indices.data()[1] = index;
    return fpool_max_unpool_forward(x.descriptor(), x.data(), indices.descriptor(), indices.data(),
                                    FPOOL_INDEX_PLANE, nullptr, y.descriptor(), y.data());
  };
  for (const std::int64_t bad :
       {std::int64_t{-1}, std::int64_t{4}, INT64_MIN, INT64_MAX, std::int64_t{1} << 32}) {
    EXPECT_EQ(FPOOL_ERROR_INDEX_OUT_OF_RANGE, run(bad));
    EXPECT_NE(std::string(fpool_last_error())
                  .find("indices_data[1] is " + std::to_string(bad) +
                        "; it must be a position within the plane, 0 to 3"),
              std::string::npos)
        << fpool_last_error();
    const auto* bytes = reinterpret_cast<const unsigned char*>(y.data());
    for (std::size_t i = 0; i < 4 * sizeof(float); ++i) ASSERT_EQ(bytes[i], 0xA5);
  }
  EXPECT_EQ(FPOOL_OK, run(3));
  EXPECT_EQ(y.data()[0], 5);
  EXPECT_EQ(y.data()[1], 0);
  EXPECT_EQ(y.data()[3], 6);
}

TEST(MaxUnpool, Refusals) {
  GuardedTensor<float> x(FPOOL_PLANAR, {1, 2, 2, 2}, Edge::end);
  GuardedTensor<std::int32_t> indices(FPOOL_PLANAR, {1, 2, 2, 2}, Edge::end);
  GuardedTensor<float> y(FPOOL_PLANAR, {1, 2, 4, 4}, Edge::end);
  GuardedTensor<float> narrow(FPOOL_PLANAR, {1, 1, 4, 4}, Edge::end);
  for (int i = 0; i < 8; ++i) indices.data()[i] = 0;
  const auto expect = [&](fpool_status status, fpool_status expected, const std::string& text) {
    EXPECT_EQ(expected, status);
    EXPECT_NE(std::string(fpool_last_error()).find(text), std::string::npos) << fpool_last_error();
  };
  const std::int64_t large[] = {5, 4};
  expect(fpool_max_unpool_forward(x.descriptor(), x.data(), indices.descriptor(), indices.data(),
                                  FPOOL_INDEX_IMAGE, nullptr, y.descriptor(), y.data()),
         FPOOL_ERROR_INVALID_ARGUMENT, "index_base is 1");
  expect(fpool_max_unpool_forward(x.descriptor(), x.data(), indices.descriptor(), indices.data(),
                                  FPOOL_INDEX_PLANE, large, y.descriptor(), y.data()),
         FPOOL_ERROR_SHAPE_MISMATCH, "index_extents[0] is 5 in axis H");
  expect(fpool_max_unpool_forward(x.descriptor(), x.data(), indices.descriptor(), indices.data(),
                                  FPOOL_INDEX_PLANE, nullptr, narrow.descriptor(), narrow.data()),
         FPOOL_ERROR_SHAPE_MISMATCH, "y.extents are 1x1x4x4");
  expect(fpool_max_unpool_forward(x.descriptor(), x.data(), x.descriptor(), x.data(),
                                  FPOOL_INDEX_PLANE, nullptr, y.descriptor(), y.data()),
         FPOOL_ERROR_UNSUPPORTED_TYPE, "indices.dtype is f32; it must be i64 or i32");
}

TEST(UnpoolExtents, DefaultAndRequested) {
  GuardedTensor<float> x(FPOOL_PLANAR, {1, 1, 5, 5}, Edge::end);
  fpool_window window{{3, 2, 0}, {2, 2, 0}, {1, 0, 0}, {0, 0, 0}, {1, 2, 0}, 2, 0, 0, 0};
  std::int64_t extents[5];
  ASSERT_EQ(FPOOL_OK, fpool_unpool_extents(x.descriptor(), &window, nullptr, extents));
  EXPECT_EQ(extents[2], 4 * 2 - 1 + 3);
  EXPECT_EQ(extents[3], 4 * 2 + 2 * 1 + 1);
  EXPECT_EQ(extents[4], 1);
  for (std::int64_t h = 8; h <= 12; ++h) {
    const std::int64_t requested[] = {h, 11};
    const bool within = h >= 9 && h <= 11;
    EXPECT_EQ(within ? FPOOL_OK : FPOOL_ERROR_SHAPE_MISMATCH,
              fpool_unpool_extents(x.descriptor(), &window, requested, extents))
        << h;
    if (within) {
      EXPECT_EQ(extents[2], h);
      continue;
    }
    EXPECT_EQ(
        std::string(fpool_last_error()),
        "output size is " + std::to_string(h) + " in axis H; it must be at least 9 and at most 11");
  }
  const std::int64_t none[] = {0, 11};
  EXPECT_EQ(FPOOL_ERROR_SHAPE_MISMATCH,
            fpool_unpool_extents(x.descriptor(), &window, none, extents));
  window.padding = FPOOL_PAD_SAME_UPPER;
  EXPECT_EQ(FPOOL_ERROR_INVALID_ARGUMENT,
            fpool_unpool_extents(x.descriptor(), &window, nullptr, extents));
}

}  // namespace
}  // namespace featurepool::testing
