// RoI pooling and RoIAlign with every kernel, against loops of their own.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "featurepool/featurepool.h"
#include "support/guarded_tensor.hpp"
#include "support/random.hpp"
#include "support/ways.hpp"

namespace featurepool::testing {
namespace {

struct Case {
  std::int32_t layout = FPOOL_PLANAR;
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  fpool_roi roi{{1, 1}, 1, 0, 0, FPOOL_ROI_AVERAGE};
  std::vector<double> boxes;
  std::vector<std::int64_t> images;
  Edge edge = Edge::end;

  std::int64_t regions() const { return static_cast<std::int64_t>(images.size()); }
  std::vector<std::int64_t> input() const { return {batch, channels, height, width}; }
  std::vector<std::int64_t> output() const {
    return {regions(), channels, roi.output[0], roi.output[1]};
  }
};

Case draw(Random& random) {
  Case c;
  c.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
  c.edge = random.one_in(2) ? Edge::begin : Edge::end;
  c.batch = random.between(1, 3);
  c.channels = random.between(1, random.one_in(3) ? 35 : 5);
  c.height = random.between(1, 16);
  c.width = random.between(1, 24);
  c.roi.output[0] = random.between(1, 5);
  c.roi.output[1] = random.between(1, random.one_in(3) ? 19 : 7);
  const double scales[] = {1, 0.5, 0.0625, 0.1, 1.25};
  c.roi.scale = scales[random.between(0, 4)];
  c.roi.sampling_ratio = random.one_in(2) ? 0 : random.between(1, 4);
  c.roi.half_pixel = random.one_in(2) ? 1 : 0;
  for (std::int64_t r = random.between(0, 5); r > 0; --r) {
    const auto point = [&](std::int64_t extent) {
      const double reach = static_cast<double>(extent) / c.roi.scale;
      double value = (random.fraction() * 1.4 - 0.2) * reach;
      // Whole numbers and halves are where rounding decides.
      if (random.one_in(2)) value = std::round(value * 2) / 2;
      return value;
    };
    double x1 = point(c.width), x2 = point(c.width), y1 = point(c.height), y2 = point(c.height);
    if (!random.one_in(6)) {
      if (x2 < x1) std::swap(x1, x2);
      if (y2 < y1) std::swap(y1, y2);
    }
    c.boxes.insert(c.boxes.end(), {x1, y1, x2, y2});
    c.images.push_back(random.between(0, c.batch - 1));
  }
  return c;
}

template <typename T>
void fill(GuardedTensor<T>& tensor, Random& random, bool specials) {
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    T value = static_cast<T>(random.fraction() * 2 - 1);
    if (specials) value = static_cast<T>(random.between(-2, 2));
    if (specials && random.one_in(20)) value = std::numeric_limits<T>::quiet_NaN();
    if (specials && random.one_in(10)) value = -std::numeric_limits<T>::infinity();
    tensor.data()[i] = value;
  }
}

template <typename T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 || (std::isnan(a) && std::isnan(b));
}

/** Result of a bin: a maximum and where it was, or a sum with the sum of its absolute terms. */
struct Bin {
  double value = 0;
  double magnitude = 0;
  std::int64_t position = -1;
  /** Of a gradient: positions and weights. */
  std::vector<std::pair<std::int64_t, double>> shares;
};

/** RoI pooling of one bin, as torchvision has it, but for NaN and -inf. */
template <typename T>
Bin roi_pool(const Case& c, const GuardedTensor<T>& x, std::int64_t region, std::int64_t channel,
             std::int64_t ph, std::int64_t pw) {
  const double* box = c.boxes.data() + region * 4;
  const auto scaled = [&](int i) {
    return static_cast<std::int64_t>(
        std::round(static_cast<T>(box[i]) * static_cast<T>(c.roi.scale)));
  };
  const auto span = [&](std::int64_t from, std::int64_t to, std::int64_t bin, std::int64_t bins,
                        std::int64_t extent) {
    const T size = static_cast<T>(std::max<std::int64_t>(to - from + 1, 1)) / static_cast<T>(bins);
    const std::int64_t begin =
        from + static_cast<std::int64_t>(std::floor(static_cast<T>(bin) * size));
    const std::int64_t end =
        from + static_cast<std::int64_t>(std::ceil(static_cast<T>(bin + 1) * size));
    return std::pair{std::clamp<std::int64_t>(begin, 0, extent),
                     std::clamp<std::int64_t>(end, 0, extent)};
  };
  const auto [top, bottom] = span(scaled(1), scaled(3), ph, c.roi.output[0], c.height);
  const auto [left, right] = span(scaled(0), scaled(2), pw, c.roi.output[1], c.width);
  Bin bin;
  for (std::int64_t row = top; row < bottom; ++row) {
    for (std::int64_t column = left; column < right; ++column) {
      const double value =
          x.at(c.images[static_cast<std::size_t>(region)], channel, row * c.width + column);
      if (bin.position < 0 || value > bin.value || std::isnan(value)) {
        bin.value = value;
        bin.position = row * c.width + column;
      }
    }
  }
  return bin;
}

/** RoIAlign of one bin, sample by sample and corner by corner, as ONNX's reference has it. */
template <typename T>
Bin roi_align(const Case& c, const GuardedTensor<T>& x, std::int64_t region, std::int64_t channel,
              std::int64_t ph, std::int64_t pw) {
  const double* box = c.boxes.data() + region * 4;
  const T offset = c.roi.half_pixel != 0 ? T{0.5} : T{0};
  const auto scaled = [&](int i) {
    return static_cast<T>(box[i]) * static_cast<T>(c.roi.scale) - offset;
  };
  T height = scaled(3) - scaled(1);
  T width = scaled(2) - scaled(0);
  if (c.roi.half_pixel == 0) {
    height = std::max(height, T{1});
    width = std::max(width, T{1});
  }
  const T bin_height = height / static_cast<T>(c.roi.output[0]);
  const T bin_width = width / static_cast<T>(c.roi.output[1]);
  const auto samples = [&](T size) {
    return c.roi.sampling_ratio > 0 ? c.roi.sampling_ratio
                                    : static_cast<std::int64_t>(std::ceil(size));
  };
  const std::int64_t down = samples(bin_height);
  const std::int64_t across = samples(bin_width);
  Bin bin;
  bool found = false;
  double greatest_weight = 0;
  const std::int64_t count = std::max<std::int64_t>(
      std::max<std::int64_t>(down, 0) * std::max<std::int64_t>(across, 0), 1);
  const bool maximum = c.roi.mode == FPOOL_ROI_MAX;
  for (std::int64_t iy = 0; iy < down; ++iy) {
    for (std::int64_t ix = 0; ix < across; ++ix) {
      T yy = scaled(1) + static_cast<T>(ph) * bin_height +
             (static_cast<T>(iy) + T{0.5}) * bin_height / static_cast<T>(down);
      T xx = scaled(0) + static_cast<T>(pw) * bin_width +
             (static_cast<T>(ix) + T{0.5}) * bin_width / static_cast<T>(across);
      if (yy < -1 || yy > static_cast<T>(c.height) || xx < -1 || xx > static_cast<T>(c.width)) {
        if (maximum && (!found || 0 > bin.value)) {
          bin.value = 0;
          bin.position = -1;
          greatest_weight = 0;
          found = true;
        }
        continue;
      }
      yy = std::max(yy, T{0});
      xx = std::max(xx, T{0});
      const auto y_low = std::min(static_cast<std::int64_t>(yy), c.height - 1);
      const auto x_low = std::min(static_cast<std::int64_t>(xx), c.width - 1);
      const auto y_high = std::min(y_low + 1, c.height - 1);
      const auto x_high = std::min(x_low + 1, c.width - 1);
      if (y_low == c.height - 1) yy = static_cast<T>(y_low);
      if (x_low == c.width - 1) xx = static_cast<T>(x_low);
      const T ly = yy - static_cast<T>(y_low);
      const T lx = xx - static_cast<T>(x_low);
      const std::pair<std::int64_t, T> corners[] = {
          {y_low * c.width + x_low, (T{1} - ly) * (T{1} - lx)},
          {y_low * c.width + x_high, (T{1} - ly) * lx},
          {y_high * c.width + x_low, ly * (T{1} - lx)},
          {y_high * c.width + x_high, ly * lx}};
      for (const auto& [position, weight] : corners) {
        const T value = x.at(c.images[static_cast<std::size_t>(region)], channel, position);
        const T term = weight * value;
        if (!maximum) {
          if (weight == 0) continue;
          bin.value += static_cast<double>(weight) * static_cast<double>(value);
          bin.magnitude += std::abs(static_cast<double>(weight) * static_cast<double>(value));
          bin.shares.emplace_back(position,
                                  static_cast<double>(weight) / static_cast<double>(count));
        } else if (!found || term > bin.value || std::isnan(term)) {
          bin.value = term;
          bin.position = position;
          greatest_weight = weight;
          found = true;
        }
      }
    }
  }
  if (!maximum) {
    bin.value /= static_cast<double>(count);
    bin.magnitude /= static_cast<double>(count);
  } else if (bin.position >= 0) {
    bin.shares.emplace_back(bin.position, greatest_weight);
  }
  return bin;
}

/** Calls `visit(region, channel, bin, row, column)` for all bins. */
template <typename Visit>
void for_each_bin(const Case& c, const Visit& visit) {
  for (std::int64_t r = 0; r < c.regions(); ++r) {
    for (std::int64_t channel = 0; channel < c.channels; ++channel) {
      for (std::int64_t ph = 0; ph < c.roi.output[0]; ++ph) {
        for (std::int64_t pw = 0; pw < c.roi.output[1]; ++pw) {
          visit(r, channel, ph * c.roi.output[1] + pw, ph, pw);
        }
      }
    }
  }
}

template <typename T>
void check_roi_pool(const Case& c, Random& random) {
  GuardedTensor<T> x(c.layout, c.input(), c.edge);
  fill(x, random, random.one_in(2));
  GuardedTensor<T> dy(c.layout, c.output(), c.edge);
  fill(dy, random, false);
  GuardedTensor<T> gradient(c.layout, c.input(), c.edge);
  std::fill_n(gradient.data(), gradient.size(), T{0});
  GuardedTensor<T> expected(c.layout, c.output(), c.edge);
  GuardedTensor<std::int32_t> positions(c.layout, c.output(), c.edge);
  for_each_bin(c, [&](std::int64_t r, std::int64_t channel, std::int64_t bin, std::int64_t ph,
                      std::int64_t pw) {
    const Bin result = roi_pool(c, x, r, channel, ph, pw);
    expected.at(r, channel, bin) = static_cast<T>(result.value);
    positions.at(r, channel, bin) = static_cast<std::int32_t>(result.position);
    if (result.position >= 0) {
      gradient.at(c.images[static_cast<std::size_t>(r)], channel, result.position) +=
          dy.at(r, channel, bin);
    }
  });
  for_every_way(Operation::region_max_forward, [&] {
    GuardedTensor<T> y(c.layout, c.output(), c.edge);
    GuardedTensor<std::int32_t> mask(c.layout, c.output(), c.edge);
    ASSERT_EQ(FPOOL_OK, fpool_roi_pool_forward(x.descriptor(), x.data(), &c.roi, c.regions(),
                                               c.boxes.data(), c.images.data(), y.descriptor(),
                                               y.data(), mask.descriptor(), mask.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(same_bits(expected.data()[i], y.data()[i]))
          << "output " << i << " is " << y.data()[i] << ", expected " << expected.data()[i];
      ASSERT_EQ(positions.data()[i], mask.data()[i]) << "mask entry " << i;
    }
    EXPECT_TRUE(y.margin_intact() && mask.margin_intact());
  });
  for_every_way(Operation::region_route_backward, [&] {
    GuardedTensor<T> dx(c.layout, c.input(), c.edge);
    ASSERT_EQ(FPOOL_OK, fpool_roi_pool_backward(dy.descriptor(), dy.data(), positions.descriptor(),
                                                positions.data(), c.regions(), c.images.data(),
                                                dx.descriptor(), dx.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      ASSERT_TRUE(same_bits(gradient.data()[i], dx.data()[i])) << "dx " << i;
    }
    EXPECT_TRUE(dx.margin_intact());
  });
}

template <typename T>
void check_roi_align(const Case& c, Random& random) {
  const bool maximum = c.roi.mode == FPOOL_ROI_MAX;
  const double ulp = std::numeric_limits<T>::epsilon();
  GuardedTensor<T> x(c.layout, c.input(), c.edge);
  // Ties would leave open which of equal terms the gradient goes to.
  fill(x, random, false);
  GuardedTensor<T> dy(c.layout, c.output(), c.edge);
  fill(dy, random, false);
  GuardedTensor<double> gradient(c.layout, c.input(), c.edge);
  GuardedTensor<double> magnitude(c.layout, c.input(), c.edge);
  std::fill_n(gradient.data(), gradient.size(), 0);
  std::fill_n(magnitude.data(), magnitude.size(), 0);
  GuardedTensor<double> expected(c.layout, c.output(), c.edge);
  GuardedTensor<double> bound(c.layout, c.output(), c.edge);
  for_each_bin(c, [&](std::int64_t r, std::int64_t channel, std::int64_t bin, std::int64_t ph,
                      std::int64_t pw) {
    const Bin result = roi_align(c, x, r, channel, ph, pw);
    expected.at(r, channel, bin) = result.value;
    bound.at(r, channel, bin) =
        maximum
            ? 0
            : result.magnitude * ulp * (4 + std::sqrt(static_cast<double>(result.shares.size())));
    for (const auto& [position, weight] : result.shares) {
      const double share = weight * static_cast<double>(dy.at(r, channel, bin));
      gradient.at(c.images[static_cast<std::size_t>(r)], channel, position) += share;
      magnitude.at(c.images[static_cast<std::size_t>(r)], channel, position) += std::abs(share);
    }
  });
  std::vector<T> first;
  for_every_way(maximum ? Operation::region_max_forward : Operation::region_sum_forward, [&] {
    GuardedTensor<T> y(c.layout, c.output(), c.edge);
    ASSERT_EQ(FPOOL_OK,
              fpool_roi_align_forward(x.descriptor(), x.data(), &c.roi, c.regions(), c.boxes.data(),
                                      c.images.data(), y.descriptor(), y.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_LE(std::abs(static_cast<double>(y.data()[i]) - expected.data()[i]), bound.data()[i])
          << "output " << i << " is " << y.data()[i] << ", expected " << expected.data()[i];
    }
    EXPECT_TRUE(y.margin_intact());
    if (dispatch::get_threads() == 1) first.assign(y.data(), y.data() + y.size());
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_TRUE(same_bits(first[static_cast<std::size_t>(i)], y.data()[i]));
    }
  });
  for_every_way(maximum ? Operation::region_max_backward : Operation::region_sum_backward, [&] {
    GuardedTensor<T> dx(c.layout, c.input(), c.edge);
    ASSERT_EQ(FPOOL_OK, fpool_roi_align_backward(dy.descriptor(), dy.data(), x.descriptor(),
                                                 x.data(), &c.roi, c.regions(), c.boxes.data(),
                                                 c.images.data(), dx.descriptor(), dx.data()))
        << fpool_last_error();
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      ASSERT_LE(std::abs(static_cast<double>(dx.data()[i]) - gradient.data()[i]),
                magnitude.data()[i] * ulp * 16)
          << "dx " << i << " is " << dx.data()[i] << ", expected " << gradient.data()[i];
    }
    EXPECT_TRUE(dx.margin_intact());
    if (dispatch::get_threads() == 1) first.assign(dx.data(), dx.data() + dx.size());
    for (std::int64_t i = 0; i < dx.size(); ++i) {
      ASSERT_TRUE(same_bits(first[static_cast<std::size_t>(i)], dx.data()[i]));
    }
  });
}

TEST(RoiPool, EveryWayIsTheRule) {
  Random random(21);
  for (int i = 0; i < 150 && !::testing::Test::HasFailure(); ++i) {
    const Case c = draw(random);
    SCOPED_TRACE("case " + std::to_string(i));
    random.one_in(2) ? check_roi_pool<float>(c, random) : check_roi_pool<double>(c, random);
  }
}

TEST(RoiAlign, EveryWayIsTheRule) {
  Random random(22);
  for (int i = 0; i < 200 && !::testing::Test::HasFailure(); ++i) {
    Case c = draw(random);
    c.roi.mode = random.one_in(2) ? FPOOL_ROI_MAX : FPOOL_ROI_AVERAGE;
    SCOPED_TRACE("case " + std::to_string(i));
    random.one_in(2) ? check_roi_align<float>(c, random) : check_roi_align<double>(c, random);
  }
}

TEST(Regions, LargeEnoughForThreads) {
  Random random(23);
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    Case c;
    c.layout = layout;
    c.batch = 2;
    c.channels = 37;
    c.height = 40;
    c.width = 41;
    c.roi.output[0] = c.roi.output[1] = 7;
    for (std::int64_t r = 0; r < 40; ++r) {
      const double x = random.fraction() * 30, y = random.fraction() * 30;
      c.boxes.insert(c.boxes.end(), {x, y, x + random.fraction() * 20, y + random.fraction() * 20});
      c.images.push_back(r % 2);
    }
    check_roi_pool<float>(c, random);
    for (const std::int32_t mode : {FPOOL_ROI_AVERAGE, FPOOL_ROI_MAX}) {
      c.roi.mode = mode;
      check_roi_align<float>(c, random);
    }
  }
}

/** A NaN in a bin is its result; no other bin sees it. */
TEST(RoiAlign, NanStaysInItsBins) {
  Case c;
  c.height = c.width = 12;
  c.roi.output[0] = c.roi.output[1] = 3;
  c.boxes = {0, 0, 12, 12};
  c.images = {0};
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    for (const std::int32_t mode : {FPOOL_ROI_AVERAGE, FPOOL_ROI_MAX}) {
      c.layout = layout;
      c.roi.mode = mode;
      GuardedTensor<float> x(layout, c.input(), Edge::end);
      std::fill_n(x.data(), x.size(), 1.0f);
      x.at(0, 0, 1 * 12 + 1) = std::numeric_limits<float>::quiet_NaN();
      for_every_way(
          mode == FPOOL_ROI_MAX ? Operation::region_max_forward : Operation::region_sum_forward,
          [&] {
            GuardedTensor<float> y(layout, c.output(), Edge::end);
            ASSERT_EQ(FPOOL_OK,
                      fpool_roi_align_forward(x.descriptor(), x.data(), &c.roi, 1, c.boxes.data(),
                                              c.images.data(), y.descriptor(), y.data()));
            for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(std::isnan(y.data()[i]), i == 0);
          });
    }
  }
}

class RegionRefusals : public ::testing::Test {
 protected:
  RegionRefusals()
      : x(FPOOL_PLANAR, {2, 2, 6, 7}, Edge::end), y(FPOOL_PLANAR, {2, 2, 2, 2}, Edge::end) {}

  void expect(fpool_status expected, const std::string& text) {
    for (int align = 0; align < 2; ++align) {
      const fpool_status status =
          align != 0
              ? fpool_roi_align_forward(x.descriptor(), x.data(), &roi, 2, boxes.data(),
                                        images.data(), y.descriptor(), y.data())
              : fpool_roi_pool_forward(x.descriptor(), x.data(), &roi, 2, boxes.data(),
                                       images.data(), y.descriptor(), y.data(), nullptr, nullptr);
      EXPECT_EQ(expected, status);
      EXPECT_NE(std::string(fpool_last_error()).find(text), std::string::npos)
          << fpool_last_error();
      const auto* bytes = reinterpret_cast<const unsigned char*>(y.data());
      for (std::size_t i = 0; i < 16 * sizeof(float); ++i) ASSERT_EQ(bytes[i], 0xA5);
    }
  }

  GuardedTensor<float> x;
  GuardedTensor<float> y;
  fpool_roi roi{{2, 2}, 1, 0, 0, 0};
  std::vector<double> boxes{0, 0, 3, 3, 1, 1, 4, 4};
  std::vector<std::int64_t> images{0, 1};
};

TEST_F(RegionRefusals, Boxes) {
  boxes[6] = std::numeric_limits<double>::quiet_NaN();
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "boxes[1].x2 is nan; coordinates must be finite");
  boxes[6] = -std::numeric_limits<double>::infinity();
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "boxes[1].x2 is -inf; coordinates must be finite");
  boxes[6] = 1e30;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "boxes[1].x2 is 1e+30; times the scale");
}

TEST_F(RegionRefusals, Images) {
  for (const std::int64_t bad : {-1, 2}) {
    images[1] = bad;
    expect(FPOOL_ERROR_INDEX_OUT_OF_RANGE, "images[1] is " + std::to_string(bad) +
                                               "; it must be at least 0 and less than the number");
  }
}

TEST_F(RegionRefusals, Grid) {
  roi.output[1] = 0;
  expect(FPOOL_ERROR_INVALID_ARGUMENT, "output is 0 in axis W");
  roi.output[1] = 3;
  expect(FPOOL_ERROR_SHAPE_MISMATCH, "y.extents are 2x2x2x2; they must be 2x2x2x3");
  roi.output[1] = 2;
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    roi.scale = bad;
    expect(FPOOL_ERROR_INVALID_ARGUMENT, "scale is ");
  }
}

TEST_F(RegionRefusals, Sampling) {
  const auto expect_align = [&](const std::string& text) {
    EXPECT_EQ(FPOOL_ERROR_INVALID_ARGUMENT,
              fpool_roi_align_forward(x.descriptor(), x.data(), &roi, 2, boxes.data(),
                                      images.data(), y.descriptor(), y.data()));
    EXPECT_NE(std::string(fpool_last_error()).find(text), std::string::npos) << fpool_last_error();
  };
  roi.sampling_ratio = -1;
  expect_align("sampling_ratio is -1");
  roi.sampling_ratio = 0;
  roi.mode = 2;
  expect_align("mode is 2");
  roi.mode = 0;
  boxes[4] = -4e6;
  boxes[6] = 4e6;
  expect_align("boxes[1] gives bins of 4e+06 elements");
}

}  // namespace
}  // namespace featurepool::testing
