// Median pooling: every kernel, at every instruction-set tier, against sorted windows.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "abi/call.hpp"
#include "dispatch/dispatch.hpp"
#include "geometry/dtype.hpp"
#include "support/guarded_memory.hpp"
#include "support/plain_windows.hpp"
#include "support/pooling_case.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

template <typename T>
struct Medians {
  std::vector<T> values;
  std::vector<std::int64_t> positions;  ///< in the plane
  std::vector<std::int64_t> ordinals;
};

template <typename T>
T none() {
  return std::is_floating_point_v<T> ? std::numeric_limits<T>::quiet_NaN() : T{0};
}

/** Sorts every window. */
template <typename T>
Medians<T> oracle(const PlainWindows& windows, const std::vector<T>& x) {
  const std::int64_t outputs = windows.output_plane();
  const auto size = static_cast<std::size_t>(windows.planes() * outputs);
  Medians<T> medians{std::vector<T>(size, none<T>()), std::vector<std::int64_t>(size, -1),
                     std::vector<std::int64_t>(size, 255)};
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::vector<PlainTap> taps = windows.taps(o);
    for (std::int64_t plane = 0; plane < windows.planes(); ++plane) {
      const auto value = [&](const PlainTap& tap) {
        return x[windows.at(plane, tap.position, windows.input_plane())];
      };
      const auto store = [&](const PlainTap& tap) {
        const std::size_t to = windows.at(plane, o, outputs);
        medians.values[to] = value(tap);
        medians.positions[to] = tap.position;
        medians.ordinals[to] = tap.ordinal;
      };
      if (taps.empty()) continue;
      std::vector<T> sorted;
      bool nan = false;
      for (const PlainTap& tap : taps) {
        sorted.push_back(value(tap));
        if (value(tap) != value(tap)) {
          nan = true;
          store(tap);
        }
      }
      if (nan) continue;
      std::sort(sorted.begin(), sorted.end());
      const T median = sorted[(sorted.size() - 1) / 2];
      store(*std::find_if(taps.begin(), taps.end(),
                          [&](const PlainTap& tap) { return value(tap) == median; }));
    }
  }
  return medians;
}

enum class Fill { uniform, ties, special };

template <typename T>
T draw(Random& random, Fill fill) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(fill == Fill::ties ? random.between(0, 3) : random.between(0, 255));
  } else {
    if (fill == Fill::ties) return static_cast<T>(random.between(-2, 2));
    if (fill == Fill::special && random.one_in(12)) {
      switch (random.between(0, 5)) {
        case 0:
          return std::numeric_limits<T>::infinity();
        case 1:
          return -std::numeric_limits<T>::infinity();
        case 2:
          return random.one_in(4) ? std::numeric_limits<T>::quiet_NaN() : T{-0.0};
        case 3:
          return -std::numeric_limits<T>::denorm_min();
        case 4:
          return T{-0.0};
        default:
          return T{0};
      }
    }
    return static_cast<T>(random.fraction()) - T{0.5};
  }
}

/** Restores the choices of the environment. */
struct Restore {
  ~Restore() {
    dispatch::use_kernel("");
    dispatch::use_tier("");
    dispatch::set_threads(0);
  }
};

template <typename T>
bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 || (a != a && b != b);
}

/** Compares one call with the oracle; false at the first difference. */
template <typename T>
bool run(const RandomWindows& c, const PlainWindows& windows, const std::vector<T>& x,
         const Medians<T>& expected, MaskType mask_type, Edge edge) {
  static GuardedMemory input(std::size_t{1} << 22);
  static GuardedMemory output(std::size_t{1} << 22);
  static GuardedMemory positions(std::size_t{1} << 22);
  auto* const x_data = input.place(x.size() * sizeof(T), edge);
  std::copy_n(x.begin(), x.size(), static_cast<T*>(x_data));
  const std::size_t size = expected.values.size();
  auto* const y_data = static_cast<T*>(output.place(size * sizeof(T), edge));
  const fpool_tensor y = windows.output(c.x.dtype, sizeof(T));
  const bool compact = mask_type == MaskType::position_u8;
  const std::int64_t entry = compact ? 1 : 4;
  const fpool_tensor mask = windows.output(compact ? FPOOL_U8 : FPOOL_I32, entry);
  const bool with_mask = mask_type != MaskType::none;
  auto* const mask_data = positions.place(size * static_cast<std::size_t>(entry), edge);
  const fpool_status status =
      fpool_median_forward(&c.x, x_data, &c.window, &y, y_data, with_mask ? &mask : nullptr,
                           with_mask ? mask_data : nullptr);
  if (status != FPOOL_OK) {
    ADD_FAILURE() << fpool_last_error();
    return false;
  }
  EXPECT_TRUE(output.margin_intact());
  EXPECT_TRUE(positions.margin_intact());
  for (std::size_t i = 0; i < size; ++i) {
    if (!same(y_data[i], expected.values[i])) {
      ADD_FAILURE() << "output " << i << " is " << +y_data[i] << ", not " << +expected.values[i];
      return false;
    }
    if (!with_mask) continue;
    const std::int64_t at = compact ? static_cast<const std::uint8_t*>(mask_data)[i]
                                    : static_cast<const std::int32_t*>(mask_data)[i];
    const std::int64_t wanted = compact ? expected.ordinals[i] : expected.positions[i];
    if (at != wanted) {
      ADD_FAILURE() << "mask " << i << " is " << at << ", not " << wanted;
      return false;
    }
  }
  return true;
}

template <typename T>
std::int64_t most_taps(const PlainWindows& windows) {
  std::int64_t most = 0;
  for (std::int64_t o = 0; o < windows.output_plane(); ++o) {
    for (const PlainTap& tap : windows.taps(o)) most = std::max(most, tap.ordinal + 1);
  }
  return most;
}

template <typename T>
void check(const RandomWindows& c, Fill fill, Random& random) {
  const Restore restore;
  const PlainWindows windows(c.x, c.window);
  std::vector<T> x(static_cast<std::size_t>(windows.planes() * windows.input_plane()));
  for (T& value : x) value = draw<T>(random, fill);
  const Medians<T> expected = oracle(windows, x);
  const Edge edge = random.one_in(2) ? Edge::begin : Edge::end;
  const bool compact = c.window.adaptive == 0 && most_taps<T>(windows) <= 255;
  for (const std::string& kernel : dispatch::kernels(Operation::median_forward)) {
    dispatch::use_kernel(kernel);
    for (const std::string& tier : dispatch::tiers()) {
      // It has no tiers.
      if (kernel == "reference" && tier != dispatch::tiers().front()) continue;
      dispatch::use_tier(tier);
      for (const MaskType mask : {MaskType::none, MaskType::position_u8, MaskType::plane_i32}) {
        if (mask == MaskType::position_u8 && !compact) continue;
        Pooling pooling = make_pooling(Operation::median_forward, c.x, &c.window);
        pooling.mask_type = mask;
        // What a kernel does not take, the reference computes: once is enough.
        if (dispatch::kernel_for(pooling) != kernel) continue;
        for (const int threads : {1, 2, 5}) {
          dispatch::set_threads(threads);
          if (!run(c, windows, x, expected, mask, edge)) {
            ADD_FAILURE() << c.describe() << ", kernel " << kernel << ", tier " << tier
                          << ", threads " << threads << ", mask " << static_cast<int>(mask);
            return;
          }
        }
      }
    }
  }
}

template <typename T>
class MedianOf : public ::testing::Test {};

using Elements = ::testing::Types<float, double, std::uint8_t>;
TYPED_TEST_SUITE(MedianOf, Elements);

TYPED_TEST(MedianOf, RandomWindows) {
  using T = TypeParam;
  Random random(20 + sizeof(T));
  for (int i = case_count(150); i > 0 && !this->HasFailure();) {
    const std::int64_t most = random.one_in(12) ? 20 : random.one_in(3) ? 9 : 5;
    const RandomWindows c(random, dtype_of<T>, sizeof(T), most);
    if (!c.valid()) continue;
    const Fill fill = random.one_in(3)   ? Fill::ties
                      : random.one_in(2) ? Fill::special
                                         : Fill::uniform;
    check<T>(c, fill, random);
    --i;
  }
}

/** Rows of every length, so that every tail of every vector occurs; both layouts, square windows.
 */
TYPED_TEST(MedianOf, EveryTail) {
  using T = TypeParam;
  Random random(30 + sizeof(T));
  Thinned thinned;
  for (std::int64_t length = 1; length <= 140 && !this->HasFailure();
       length += length < 70 ? 1 : 7) {
    for (const std::int64_t k : {2, 3, 5}) {
      for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
        RandomWindows c(random, dtype_of<T>, sizeof(T), 1);
        const bool planar = layout == FPOOL_PLANAR;
        c.x = {dtype_of<T>, layout, 2, 0, {1, planar ? 1 : length, 4, planar ? length : 5}, 0};
        c.x.byte_size = c.x.extents[1] * 4 * c.x.extents[3] * static_cast<std::int64_t>(sizeof(T));
        const std::int64_t stride = random.between(1, 3);
        c.window = {{k, k}, {stride, stride}, {k / 2, k / 2}, {k / 2, k / 2}, {1, 1}, 2, 0, 0, 0};
        if (c.valid() && !thinned.skips()) check<T>(c, Fill::special, random);
      }
    }
  }
}

TEST(Median, WideRowsAreTiled) {
  Random random(40);
  Thinned thinned;
  for (const std::int64_t k : {3, 5, 7, 15}) {
    RandomWindows c(random, FPOOL_F32, 4, 1);
    c.x = {FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 9, 5000}, 9 * 5000 * 4};
    c.window = {{k, k}, {1, 1}, {k / 2, k / 2}, {k / 2, k / 2}, {1, 1}, 2, 0, 0, 0};
    if (!thinned.skips()) check<float>(c, Fill::uniform, random);
    c.x.dtype = FPOOL_U8;
    c.x.byte_size /= 4;
    if (!thinned.skips()) check<std::uint8_t>(c, Fill::uniform, random);
  }
}

/** 3x3 windows of stride 1, whose rows are taken in pairs: rows that are staged whole, in part and
 * in several tiles, any number of them, paddings clipped at either end, dilated taps. */
TYPED_TEST(MedianOf, PairsOfRows) {
  using T = TypeParam;
  Random random(60 + sizeof(T));
  for (int i = case_count(20); i > 0 && !this->HasFailure();) {
    RandomWindows c(random, dtype_of<T>, sizeof(T), 1);
    const bool planar = random.one_in(2);
    const std::int64_t planes = random.between(1, 3);
    const std::int64_t channels = planar ? 1 : random.one_in(3) ? 70 : random.between(1, 5);
    const std::int64_t height = random.between(2, 12);
    const std::int64_t most = random.one_in(8) ? 2500 : random.one_in(2) ? 800 : 40;
    const std::int64_t width = std::max<std::int64_t>(1, random.between(1, most) / channels);
    const std::int64_t extent = planar ? planes : channels;
    c.x = {dtype_of<T>,
           planar ? FPOOL_PLANAR : FPOOL_INTERLEAVED,
           2,
           0,
           {1, extent, height, width},
           extent * height * width * std::int64_t{sizeof(T)}};
    c.window = {{3, 3},
                {1, 1},
                {random.between(0, 2), random.between(0, 2)},
                {random.between(0, 2), random.between(0, 2)},
                {1, random.one_in(3) ? random.between(2, 9) : 1},
                2,
                0,
                0,
                0};
    if (!c.valid()) continue;
    const Fill fill = random.one_in(3)   ? Fill::ties
                      : random.one_in(3) ? Fill::special
                                         : Fill::uniform;
    check<T>(c, fill, random);
    --i;
  }
}

/** Windows of stride 1 that are taken tile by tile: kernels and paddings of every parity, extents
 * that tiles do not divide, rows clipped at either end. */
TYPED_TEST(MedianOf, LargeWindowsInTiles) {
  using T = TypeParam;
  Random random(50 + sizeof(T));
  for (int i = case_count(12); i > 0 && !this->HasFailure();) {
    RandomWindows c(random, dtype_of<T>, sizeof(T), 1);
    const bool planar = random.one_in(2);
    const std::int64_t rows = random.between(2, 18), columns = random.between(4, 12);
    const std::int64_t channels = planar ? 1 : random.between(1, 5);
    const std::int64_t height = rows + random.between(0, 20);
    const std::int64_t width =
        columns + (sizeof(T) == 1 ? 90 : 8) + random.between(0, random.one_in(4) ? 600 : 60);
    c.x = {dtype_of<T>,
           planar ? FPOOL_PLANAR : FPOOL_INTERLEAVED,
           2,
           0,
           {1, channels, height, width},
           channels * height * width * std::int64_t{sizeof(T)}};
    c.window = {{rows, columns},
                {1, 1},
                {random.between(0, rows / 2), random.between(0, columns / 2)},
                {random.between(0, rows / 2), random.between(0, columns / 2)},
                {1, 1},
                2,
                0,
                0,
                0};
    if (!c.valid()) continue;
    const Fill fill = random.one_in(3)   ? Fill::ties
                      : random.one_in(4) ? Fill::special
                                         : Fill::uniform;
    check<T>(c, fill, random);
    --i;
  }
}

TEST(Median, LargeWindowsOfBytes) {
  Random random(41);
  Thinned thinned;
  for (const std::int64_t k : {9, 15, 17, 31}) {
    for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
      RandomWindows c(random, FPOOL_U8, 1, 1);
      c.x = {FPOOL_U8, layout, 2, 0, {1, 3, 40, 70}, 3 * 40 * 70};
      c.window = {{k, k}, {1, 1}, {k / 2, k / 2}, {k / 2, k / 2}, {1, 1}, 2, 0, 0, 0};
      if (!thinned.skips()) check<std::uint8_t>(c, Fill::uniform, random);
      if (!thinned.skips()) check<std::uint8_t>(c, Fill::ties, random);
    }
  }
}

TEST(Median, OfAnEvenCountIsTheLower) {
  const float x[] = {4, 1, 3, 2};
  float y = 0;
  std::uint8_t at = 0;
  const fpool_tensor input{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 2, 2}, 16};
  const fpool_tensor output{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 1, 1, 1}, 4};
  const fpool_tensor mask{FPOOL_U8, FPOOL_PLANAR, 2, 0, {1, 1, 1, 1}, 1};
  const fpool_window window{{2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 2, 0, 0, 0};
  ASSERT_EQ(fpool_median_forward(&input, x, &window, &output, &y, &mask, &at), FPOOL_OK)
      << fpool_last_error();
  EXPECT_EQ(y, 2);
  EXPECT_EQ(at, 3);
}

TEST(Median, RefusesOtherTypesAndWritesNothing) {
  const std::int32_t x[] = {4, 1, 3, 2};
  std::int32_t y = 77;
  const fpool_tensor input{FPOOL_I32, FPOOL_PLANAR, 2, 0, {1, 1, 2, 2}, 16};
  const fpool_tensor output{FPOOL_I32, FPOOL_PLANAR, 2, 0, {1, 1, 1, 1}, 4};
  const fpool_window window{{2, 2}, {2, 2}, {0, 0}, {0, 0}, {1, 1}, 2, 0, 0, 0};
  EXPECT_EQ(fpool_median_forward(&input, x, &window, &output, &y, nullptr, nullptr),
            FPOOL_ERROR_UNSUPPORTED_TYPE);
  EXPECT_STREQ(fpool_last_error(), "x.dtype is i32; it must be f32 or f64 or u8");
  EXPECT_EQ(y, 77);
}

}  // namespace
}  // namespace featurepool::testing
