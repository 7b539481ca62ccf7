// Stochastic pooling: random numbers, draws, expectations and gradients.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "geometry/dtype.hpp"
#include "geometry/philox.hpp"
#include "support/guarded_memory.hpp"
#include "support/plain_windows.hpp"
#include "support/pooling_case.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

/** Restores the choices of the environment. */
struct Restore {
  ~Restore() {
    dispatch::use_kernel("");
    dispatch::use_tier("");
    dispatch::set_threads(0);
  }
};

/** Runs `visit` with every kernel of an operation, at every tier, with 1, 2 and 5 threads. */
template <class Visit>
void for_each_way(Operation operation, const Visit& visit) {
  const Restore restore;
  for (const std::string& kernel : dispatch::kernels(operation)) {
    dispatch::use_kernel(kernel);
    for (const std::string& tier : dispatch::tiers()) {
      dispatch::use_tier(tier);
      for (const int threads : {1, 2, 5}) {
        dispatch::set_threads(threads);
        if (!visit()) {
          ADD_FAILURE() << "kernel " << kernel << ", tier " << tier << ", threads " << threads;
          return;
        }
      }
    }
  }
}

// Philox4x32-10 once more, word by word as its paper has it.
std::uint32_t first_word(std::uint64_t seed, std::uint64_t position) {
  std::uint32_t c0 = static_cast<std::uint32_t>(position);
  std::uint32_t c1 = static_cast<std::uint32_t>(position >> 32);
  std::uint32_t c2 = 0, c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = 0xD2511F53ull * c0;
    const std::uint64_t right = 0xCD9E8D57ull * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(right >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(left >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(right);
    c3 = static_cast<std::uint32_t>(left);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

TEST(Philox, GivesThePublishedWords) {
  // The known answers of Random123's kat_vectors, philox4x32 with 10 rounds.
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  EXPECT_EQ(first_word(0, 0), 0x6627e8d5u);
}

template <typename T>
struct Drawn {
  std::vector<T> values;
  std::vector<std::int64_t> positions;
  std::vector<std::int64_t> ordinals;
  std::vector<double> expected;
};

template <typename T>
Drawn<T> oracle(const PlainWindows& windows, const std::vector<T>& x, std::uint64_t seed) {
  const std::int64_t outputs = windows.output_plane();
  const auto size = static_cast<std::size_t>(windows.planes() * outputs);
  Drawn<T> drawn{std::vector<T>(size), std::vector<std::int64_t>(size, -1),
                 std::vector<std::int64_t>(size, 255), std::vector<double>(size)};
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::vector<PlainTap> taps = windows.taps(o);
    if (taps.empty()) continue;
    for (std::int64_t plane = 0; plane < windows.planes(); ++plane) {
      const std::size_t to = windows.at(plane, o, outputs);
      double sum = 0;
      std::vector<double> values;
      for (const PlainTap& tap : taps) {
        values.push_back(x[windows.at(plane, tap.position, windows.input_plane())]);
        sum += values.back();
      }
      std::size_t chosen = 0;
      if (sum > 0) {
        const auto position = static_cast<std::uint64_t>(plane * outputs + o);
        const double u = std::ldexp(first_word(seed, position) >> 8, -24);
        double running = values[0];
        while (!(running > u * sum)) running += values[++chosen];
        for (const double a : values) drawn.expected[to] += a * (a / sum);
      }
      if (sum > 0) drawn.values[to] = static_cast<T>(values[chosen]);
      drawn.positions[to] = taps[chosen].position;
      drawn.ordinals[to] = taps[chosen].ordinal;
    }
  }
  return drawn;
}

template <typename T>
T activation(Random& random, bool sparse) {
  if (sparse && random.one_in(2)) return random.one_in(2) ? T{0} : T{-0.0};
  return static_cast<T>(random.fraction()) * (random.one_in(9) ? T{1000} : T{1});
}

template <typename T>
void check(const RandomWindows& c, Random& random) {
  const PlainWindows windows(c.x, c.window);
  std::vector<T> x(static_cast<std::size_t>(windows.planes() * windows.input_plane()));
  const bool sparse = random.one_in(2);
  for (T& value : x) value = random.one_in(20) ? T{0} : activation<T>(random, sparse);
  const std::uint64_t seed = random.next();
  const Drawn<T> expected = oracle(windows, x, seed);
  const std::size_t size = expected.values.size();
  static GuardedMemory memory[3] = {GuardedMemory(std::size_t{1} << 22),
                                    GuardedMemory(std::size_t{1} << 22),
                                    GuardedMemory(std::size_t{1} << 22)};
  const Edge edge = random.one_in(2) ? Edge::begin : Edge::end;
  auto* const x_data = memory[0].place(x.size() * sizeof(T), edge);
  std::copy_n(x.begin(), x.size(), static_cast<T*>(x_data));
  const fpool_tensor y = windows.output(c.x.dtype, sizeof(T));
  std::int64_t most = 0;
  for (const std::int64_t ordinal : expected.ordinals) most = std::max(most, ordinal);
  const bool compact = c.window.adaptive == 0 && most <= 255 && random.one_in(2) &&
                       c.window.kernel[0] * std::max<std::int64_t>(1, c.window.kernel[1]) *
                               std::max<std::int64_t>(1, c.window.kernel[2]) <=
                           255;
  const std::int64_t entry = compact ? 1 : 4;
  const fpool_tensor mask = windows.output(compact ? FPOOL_U8 : FPOOL_I32, entry);

  for_each_way(Operation::stochastic_forward, [&] {
    const fpool_stochastic training{seed, 1, 0};
    auto* y_data = static_cast<T*>(memory[1].place(size * sizeof(T), edge));
    auto* const mask_data = memory[2].place(size * static_cast<std::size_t>(entry), edge);
    if (fpool_stochastic_forward(&c.x, x_data, &c.window, &training, &y, y_data, &mask,
                                 mask_data) != FPOOL_OK) {
      ADD_FAILURE() << fpool_last_error() << c.describe();
      return false;
    }
    bool good = memory[1].margin_intact() && memory[2].margin_intact();
    for (std::size_t i = 0; i < size && good; ++i) {
      const std::int64_t at = compact ? static_cast<const std::uint8_t*>(mask_data)[i]
                                      : static_cast<const std::int32_t*>(mask_data)[i];
      const std::int64_t wanted = compact ? expected.ordinals[i] : expected.positions[i];
      good = std::memcmp(&y_data[i], &expected.values[i], sizeof(T)) == 0 && at == wanted;
      if (!good) {
        ADD_FAILURE() << "output " << i << " is " << y_data[i] << " at " << at << ", not "
                      << expected.values[i] << " at " << wanted << "; " << c.describe();
      }
    }
    const fpool_stochastic inference{seed, 0, 0};
    y_data = static_cast<T*>(memory[1].place(size * sizeof(T), edge));
    if (fpool_stochastic_forward(&c.x, x_data, &c.window, &inference, &y, y_data, nullptr,
                                 nullptr) != FPOOL_OK) {
      ADD_FAILURE() << fpool_last_error();
      return false;
    }
    good = good && memory[1].margin_intact();
    constexpr double kError = sizeof(T) == 4 ? 0x1p-23 : 0x1p-44;
    for (std::size_t i = 0; i < size && good; ++i) {
      const double error = std::fabs(y_data[i] - expected.expected[i]);
      good = error <= kError * expected.expected[i];
      if (!good) {
        ADD_FAILURE() << "expectation " << i << " is " << y_data[i] << ", not "
                      << expected.expected[i] << "; " << c.describe();
      }
    }
    return good;
  });
}

template <typename T>
class StochasticOf : public ::testing::Test {};

using Elements = ::testing::Types<float, double>;
TYPED_TEST_SUITE(StochasticOf, Elements);

TYPED_TEST(StochasticOf, RandomWindows) {
  using T = TypeParam;
  Random random(50 + sizeof(T));
  for (int i = case_count(300); i > 0 && !this->HasFailure();) {
    const RandomWindows c(random, dtype_of<T>, sizeof(T), random.one_in(10) ? 18 : 5);
    if (!c.valid()) continue;
    check<T>(c, random);
    --i;
  }
}

TYPED_TEST(StochasticOf, EveryTail) {
  using T = TypeParam;
  Random random(60 + sizeof(T));
  for (std::int64_t length = 1; length <= 70 && !this->HasFailure(); ++length) {
    for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
      RandomWindows c(random, dtype_of<T>, sizeof(T), 1);
      const bool planar = layout == FPOOL_PLANAR;
      c.x = {dtype_of<T>, layout, 2, 0, {2, planar ? 2 : length, 5, planar ? length : 6}, 0};
      c.x.byte_size = 10 * c.x.extents[1] * c.x.extents[3] * static_cast<std::int64_t>(sizeof(T));
      const std::int64_t stride = random.between(1, 3);
      c.window = {{3, 3}, {stride, stride}, {1, 1}, {1, 1}, {1, 1}, 2, 0, 0, 0};
      if (c.valid()) check<T>(c, random);
    }
  }
}

/** dy (2 a - y) / S, scattered in f64, and what its rounding is measured by. */
TYPED_TEST(StochasticOf, GradientOfTheExpectation) {
  using T = TypeParam;
  Random random(70 + sizeof(T));
  for (int i = case_count(200); i > 0 && !this->HasFailure();) {
    const RandomWindows c(random, dtype_of<T>, sizeof(T), random.one_in(10) ? 18 : 5);
    if (!c.valid()) continue;
    --i;
    const PlainWindows windows(c.x, c.window);
    const std::int64_t inputs = windows.input_plane();
    const std::int64_t outputs = windows.output_plane();
    std::vector<T> x(static_cast<std::size_t>(windows.planes() * inputs));
    for (T& value : x) value = random.one_in(3) ? T{0} : activation<T>(random, false);
    std::vector<T> dy(static_cast<std::size_t>(windows.planes() * outputs));
    for (T& value : dy) value = static_cast<T>(random.fraction()) - T{0.5};
    std::vector<double> expected(x.size());
    std::vector<double> magnitude(x.size());
    for (std::int64_t plane = 0; plane < windows.planes(); ++plane) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        const std::vector<PlainTap> taps = windows.taps(o);
        const auto a = [&](const PlainTap& tap) {
          return double{x[windows.at(plane, tap.position, inputs)]};
        };
        double sum = 0, squares = 0;
        for (const PlainTap& tap : taps) {
          sum += a(tap);
          squares += a(tap) * a(tap);
        }
        if (sum == 0) continue;
        const double g = dy[windows.at(plane, o, outputs)];
        for (const PlainTap& tap : taps) {
          const std::size_t at = windows.at(plane, tap.position, inputs);
          expected[at] += g * (2 * a(tap) - squares / sum) / sum;
          magnitude[at] += std::fabs(g) * (2 * a(tap) + squares / sum) / sum;
        }
      }
    }
    static GuardedMemory memory[3] = {GuardedMemory(std::size_t{1} << 22),
                                      GuardedMemory(std::size_t{1} << 22),
                                      GuardedMemory(std::size_t{1} << 22)};
    const Edge edge = random.one_in(2) ? Edge::begin : Edge::end;
    auto* const x_data = memory[0].place(x.size() * sizeof(T), edge);
    auto* const dy_data = memory[1].place(dy.size() * sizeof(T), edge);
    std::copy_n(x.begin(), x.size(), static_cast<T*>(x_data));
    std::copy_n(dy.begin(), dy.size(), static_cast<T*>(dy_data));
    const fpool_tensor gradient = windows.output(c.x.dtype, sizeof(T));
    std::vector<T> first;
    for_each_way(Operation::stochastic_backward, [&] {
      auto* const dx = static_cast<T*>(memory[2].place(x.size() * sizeof(T), edge));
      if (fpool_stochastic_backward(&gradient, dy_data, &c.x, x_data, &c.window, &c.x, dx) !=
          FPOOL_OK) {
        ADD_FAILURE() << fpool_last_error();
        return false;
      }
      constexpr double kError = sizeof(T) == 4 ? 0x1p-23 : 0x1p-44;
      for (std::size_t j = 0; j < x.size(); ++j) {
        if (std::fabs(dx[j] - expected[j]) <= kError * magnitude[j]) continue;
        ADD_FAILURE() << "dx[" << j << "] is " << dx[j] << ", not " << expected[j] << "; "
                      << c.describe();
        return false;
      }
      return memory[2].margin_intact();
    });
  }
}

/** 100,000 windows of the same four activations: each is drawn as often as it should be. */
TEST(Stochastic, FrequenciesAreTheProbabilities) {
  constexpr std::int64_t kDraws = 100000;
  const double weights[] = {1, 0, 2, 5};
  const fpool_window window{{2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 2, 0, 0, 0};
  for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
    const std::int64_t channels = layout == FPOOL_PLANAR ? 1 : 10;
    const std::int64_t columns = kDraws / 50 / channels;
    const fpool_tensor x{FPOOL_F32, layout, 2, 0, {1, channels, 100, 2 * columns}, 16 * kDraws};
    const fpool_tensor y{FPOOL_F32, layout, 2, 0, {1, channels, 50, columns}, 4 * kDraws};
    const fpool_tensor mask{FPOOL_U8, layout, 2, 0, {1, channels, 50, columns}, kDraws};
    const PlainWindows windows(x, window);
    std::vector<float> x_data(4 * kDraws);
    for (std::int64_t plane = 0; plane < channels; ++plane) {
      for (std::int64_t o = 0; o < windows.output_plane(); ++o) {
        for (const PlainTap& tap : windows.taps(o)) {
          x_data[windows.at(plane, tap.position, windows.input_plane())] =
              static_cast<float>(weights[tap.ordinal]);
        }
      }
    }
    std::vector<float> y_data(kDraws);
    std::vector<std::uint8_t> mask_data(kDraws);
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{0x123456789abcdef}}) {
      const fpool_stochastic training{seed, 1, 0};
      ASSERT_EQ(fpool_stochastic_forward(&x, x_data.data(), &window, &training, &y, y_data.data(),
                                         &mask, mask_data.data()),
                FPOOL_OK)
          << fpool_last_error();
      for (int i = 0; i < 4; ++i) {
        const double p = weights[i] / 8;
        const auto count = static_cast<double>(std::count(mask_data.begin(), mask_data.end(), i));
        EXPECT_LE(std::fabs(count - kDraws * p), 4 * std::sqrt(kDraws * p * (1 - p)))
            << "location " << i << " under seed " << seed;
      }
    }
  }
}

/** One small planar call whose every part a test may change. */
struct Call {
  fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, 2, 2}, 32};
  fpool_tensor y{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 2, 1, 1}, 8};
  fpool_tensor mask{FPOOL_U8, FPOOL_PLANAR, 2, 0, {1, 2, 1, 1}, 2};
  fpool_window window{{2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 2, 0, 0, 0};
  float x_data[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  float y_data[2] = {-5, -5};
  std::uint8_t mask_data[2] = {77, 77};

  fpool_status train(fpool_stochastic stochastic = {1, 1, 0}) {
    return fpool_stochastic_forward(&x, x_data, &window, &stochastic, &y, y_data, &mask, mask_data);
  }
  fpool_status infer() {
    const fpool_stochastic stochastic{1, 0, 0};
    return fpool_stochastic_forward(&x, x_data, &window, &stochastic, &y, y_data, nullptr, nullptr);
  }
  void expect_untouched() const {
    EXPECT_EQ(y_data[0], -5);
    EXPECT_EQ(y_data[1], -5);
    EXPECT_EQ(mask_data[0], 77);
    EXPECT_EQ(mask_data[1], 77);
  }
};

TEST(Stochastic, RefusesWhatIsNoActivation) {
  for (const float wrong :
       {-1.0f, -std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::quiet_NaN(),
        std::numeric_limits<float>::infinity()}) {
    Call call;
    call.x_data[6] = wrong;
    EXPECT_EQ(call.train(), FPOOL_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(fpool_last_error()).find("x[0, 1, 1, 0] is "), 0u) << fpool_last_error();
    EXPECT_EQ(call.infer(), FPOOL_ERROR_INVALID_ARGUMENT);
    call.expect_untouched();
    call.x.layout = call.y.layout = call.mask.layout = FPOOL_INTERLEAVED;
    EXPECT_EQ(call.infer(), FPOOL_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(std::string(fpool_last_error()).find("x[0, 0, 1, 1] is "), 0u) << fpool_last_error();
    call.expect_untouched();
    float dx[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    EXPECT_EQ(fpool_stochastic_backward(&call.y, call.y_data, &call.x, call.x_data, &call.window,
                                        &call.x, dx),
              FPOOL_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(dx[0], 9);
  }
}

TEST(Stochastic, NamesTheFirstOfManyWrongOnes) {
  std::vector<double> x_data(std::size_t{1} << 20, 1.0);
  const fpool_tensor x{FPOOL_F64, FPOOL_PLANAR, 1, 0, {1, 1, 1 << 20}, 8 << 20};
  const fpool_tensor y{FPOOL_F64, FPOOL_PLANAR, 1, 0, {1, 1, 1 << 19}, 8 << 19};
  const fpool_window window{{2}, {2}, {0}, {0}, {1}, 1, 0, 0, 0};
  const fpool_stochastic inference{0, 0, 0};
  std::vector<double> y_data(std::size_t{1} << 19);
  for (std::size_t i = 345678; i < x_data.size(); i += 1000) x_data[i] = -2.5;
  EXPECT_EQ(fpool_stochastic_forward(&x, x_data.data(), &window, &inference, &y, y_data.data(),
                                     nullptr, nullptr),
            FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(fpool_last_error(),
               "x[0, 0, 345678] is -2.5; stochastic pooling takes activations, which are finite "
               "and at least 0");
}

TEST(Stochastic, RefusesOtherParameters) {
  Call call;
  EXPECT_EQ(call.train({1, 1, 5}), FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(fpool_last_error(), "stochastic.reserved is 5; it must be 0");
  EXPECT_EQ(call.train({1, 0, 0}), FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(fpool_stochastic_forward(&call.x, call.x_data, &call.window, nullptr, &call.y,
                                     call.y_data, nullptr, nullptr),
            FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(fpool_last_error(), "stochastic is null");
  const fpool_stochastic training{1, 1, 0};
  EXPECT_EQ(fpool_stochastic_forward(&call.x, call.x_data, &call.window, &training, &call.y,
                                     call.y_data, nullptr, nullptr),
            FPOOL_ERROR_INVALID_ARGUMENT);
  call.x.dtype = FPOOL_U8;
  EXPECT_EQ(call.train(), FPOOL_ERROR_UNSUPPORTED_TYPE);
  call.expect_untouched();
}

TEST(Stochastic, WindowOfZerosGivesItsFirstTap) {
  Call call;
  std::fill_n(call.x_data, 4, 0.0f);
  ASSERT_EQ(call.train(), FPOOL_OK) << fpool_last_error();
  EXPECT_EQ(call.y_data[0], 0);
  EXPECT_EQ(call.mask_data[0], 0);
  ASSERT_EQ(call.infer(), FPOOL_OK) << fpool_last_error();
  EXPECT_EQ(call.y_data[0], 0);
  EXPECT_FLOAT_EQ(call.y_data[1], (16 + 25 + 36 + 49) / 22.0f);
}

}  // namespace
}  // namespace featurepool::testing
