// Every kernel, at every instruction-set tier of the machine, against the oracle.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "kernels/scratch.hpp"
#include "support/pooling_case.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

using Extents = std::vector<std::int64_t>;

/** Windows of the kind that a kernel may be made for; the last is anything at all. */
enum Family {
  k2_s2,
  k3_s2,
  stride_1,
  wide_stride_1,
  large_stride_1,
  small_planes,
  whole_plane,
  bins,
  any,
  kFamilies
};

/** Rough work of a case, kept small enough for thousands of them. */
std::int64_t work(const PoolingCase& c) {
  const Geometry g = c.pooling(Operation::max_forward).geometry;
  return g.input_size() + g.output_size() * std::min<std::int64_t>(g.taps(), 4000);
}

bool is_backward(Operation operation) {
  return operation == Operation::route_backward || operation == Operation::avg_backward;
}

bool is_extreme(Operation operation) {
  return operation == Operation::max_forward || operation == Operation::min_forward;
}

/** A type that an operation takes; the common ones more often. */
std::int32_t draw_dtype(Random& random, Operation operation) {
  constexpr std::int32_t kTypes[] = {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16,
                                     FPOOL_U8,  FPOOL_I8,  FPOOL_I32};
  if (random.one_in(3)) return FPOOL_F32;
  if (!is_backward(operation) && random.one_in(4)) return FPOOL_U8;
  return kTypes[random.between(0, is_backward(operation) ? 3 : is_extreme(operation) ? 6 : 5)];
}

/** Most columns of a planar case: where rows are cut into pieces, several of them. */
std::int64_t widest(Family family, bool pairs, Random& random) {
  if (family == wide_stride_1) return 400;
  if (pairs) return 150;
  return family == large_stride_1 && random.one_in(3) ? 300 : 70;
}

/** A case that the library may refuse; the caller draws again. */
PoolingCase draw(Random& random, Operation operation) {
  PoolingCase c;
  const auto rank = static_cast<int>(random.one_in(5) ? 3 : random.one_in(4) ? 1 : 2);
  const auto family = static_cast<Family>(random.between(0, kFamilies - 1));
  // Halves, and masks of f32, have kernels for pairs of rows and columns without padding.
  const bool pairs = family == k2_s2 && is_extreme(operation) && random.one_in(2);
  const bool interleaved = random.one_in(pairs ? 8 : 2);
  if (interleaved) c.interleaved();
  c.batch(random.one_in(40) ? 0 : random.between(1, 2));
  c.channels(interleaved              ? random.between(1, random.one_in(2) ? 70 : 9)
             : family == small_planes ? random.between(4, 20)
                                      : random.between(1, 4));

  Extents input(rank), kernel(rank), stride(rank), dilation(rank, 1), begin(rank), end(rank);
  for (int i = 0; i < rank; ++i) {
    const bool innermost = i == rank - 1;
    const std::int64_t most = family == small_planes      ? 12
                              : innermost && !interleaved ? widest(family, pairs, random)
                              : family == large_stride_1  ? 30
                              : rank == 3                 ? 7
                                                          : 14;
    input[i] = random.between(1, most);
    switch (family) {
      case k2_s2:
        kernel[i] = stride[i] = 2;
        break;
      case k3_s2:
        kernel[i] = 3;
        stride[i] = 2;
        break;
      case stride_1:
        kernel[i] = random.between(1, random.one_in(3) ? 13 : 5);
        stride[i] = 1;
        if (random.one_in(6)) dilation[i] = random.between(2, 3);
        break;
      case wide_stride_1:
        kernel[i] = random.between(innermost ? 1 : 2, 7);
        stride[i] = 1;
        break;
      case small_planes:
        kernel[i] = random.between(4, 9);
        stride[i] = 1;
        break;
      case bins:
        kernel[i] = random.between(1, random.one_in(4) ? 2 * input[i] : input[i]);
        stride[i] = 1;
        break;
      case whole_plane:
        kernel[i] = input[i];
        stride[i] = random.between(1, 3);
        break;
      case large_stride_1:
        kernel[i] = random.between(5, random.one_in(3) ? 30 : 13);
        stride[i] = 1;
        if (random.one_in(6)) dilation[i] = random.between(2, 3);
        break;
      default:
        kernel[i] = random.between(1, 6);
        stride[i] = random.between(1, 5);
        dilation[i] = random.between(1, 3);
        break;
    }
    const std::int64_t reach = dilation[i] * (kernel[i] - 1) + 1;
    begin[i] = random.one_in(2) ? 0 : random.between(0, reach - 1);
    end[i] = random.one_in(3) ? random.between(0, reach - 1) : begin[i];
    if (family == whole_plane || family == bins || pairs) begin[i] = end[i] = 0;
  }
  if (rank > 1 && family != any && family != whole_plane && family != bins && random.one_in(4)) {
    // The kernel's window in the plane, one that is nearly it in depth or height.
    kernel[0] = random.between(1, 3);
    stride[0] = random.between(1, 3);
    begin[0] = end[0] = 0;
  } else if (rank == 3 &&
             (family == large_stride_1 || family == wide_stride_1 || family == small_planes)) {
    kernel[0] = 1;
    begin[0] = end[0] = 0;
  } else if (rank == 3 && pairs) {
    kernel[0] = stride[0] = 1;
  }
  c.input(input).kernel(kernel).stride(stride).dilation(dilation).pad(begin, end);
  if (family == bins) {
    c.adaptive();
  } else if (random.one_in(6)) {
    c.padding(static_cast<std::int32_t>(random.between(FPOOL_PAD_SAME_UPPER, FPOOL_PAD_VALID)));
  } else if (random.one_in(3)) {
    c.ceil();
  }

  constexpr std::int32_t kPairTypes[] = {FPOOL_F16, FPOOL_BF16, FPOOL_F32, FPOOL_F32};
  const std::int32_t dtype =
      pairs ? kPairTypes[random.between(0, 3)] : draw_dtype(random, operation);
  c.dtype(dtype);
  if (!c.valid()) return c;
  const std::int64_t taps = c.pooling(operation).geometry.taps();
  const MaskType compact =
      taps <= FPOOL_MASK_NONE_COMPACT ? MaskType::position_u8 : MaskType::plane_i32;
  switch (operation) {
    case Operation::max_forward:
    case Operation::min_forward:
      // The kernels of these families have no masks.
      if (family == small_planes || family == wide_stride_1 || (pairs && dtype != FPOOL_F32)
              ? random.one_in(4)
              : !random.one_in(3))
        c.mask(random.one_in(3) ? MaskType::plane_i32 : compact);
      break;
    case Operation::route_backward:
      c.mask(random.one_in(3) ? MaskType::plane_i32 : compact);
      break;
    default:
      if (random.one_in(3)) c.include_padding();
      if (random.one_in(5)) c.divisor(random.between(1, 30));
      break;
  }
  constexpr Values kValues[] = {Values::uniform,  Values::ties,     Values::ties,
                                Values::specials, Values::specials, Values::lowest};
  c.values(random.one_in(12) ? Values::lowest : kValues[random.between(0, 4)]);
  c.edge(random.one_in(3) ? Edge::begin : Edge::end);
  return c;
}

struct KernelOf {
  Operation operation;
  std::string kernel;

  std::string name() const {
    return std::string(dispatch::operation_name(operation)) + "_" + kernel;
  }
};

void PrintTo(const KernelOf& kernel, std::ostream* out) { *out << kernel.name(); }

std::vector<KernelOf> every_kernel() {
  std::vector<KernelOf> all;
  for (const Operation operation :
       {Operation::max_forward, Operation::min_forward, Operation::route_backward,
        Operation::avg_forward, Operation::avg_backward}) {
    for (const std::string& kernel : dispatch::kernels(operation)) {
      all.push_back({operation, kernel});
    }
  }
  return all;
}

/** Draws the `number`th generated case; the same for every kernel of an operation. */
PoolingCase generated(Operation operation, int number) {
  const std::uint64_t seed =
      static_cast<std::uint64_t>(operation) * 100'000'000 + static_cast<std::uint64_t>(number);
  Random random(seed);
  PoolingCase c = draw(random, operation);
  while (!c.valid() || work(c) > 200'000) c = draw(random, operation);
  return c.seed(seed);
}

/** The case made large enough to be shared out over threads; half of them have few planes, some
 * many small ones. */
PoolingCase enlarged(PoolingCase c, Random& random) {
  if (random.one_in(4)) return c.batch(random.between(1, 3)).channels(random.between(60, 100));
  const bool split = random.one_in(2);
  c.batch(split ? 1 : random.between(1, 3)).channels(split ? random.between(1, 2) : 9);
  const std::int64_t side = split ? random.between(500, 700) : random.between(120, 200);
  const int rank = c.tensor().spatial_rank;
  const Extents extents = rank == 1   ? Extents{side * side}
                          : rank == 2 ? Extents{side, side + random.between(-8, 8)}
                                      : Extents{side / 10, side / 2, side / 4};
  const Geometry g = c.pooling(Operation::max_forward).geometry;
  if (g.output_plane() == 1 && g.taps() == g.input_plane()) {
    // A window of the whole plane stays one; many planes are what threads share out.
    return c.batch(64).channels(64);
  }
  c.resize(extents);
  // The bins of a larger input are larger.
  if (c.valid() && c.pooling(Operation::max_forward).mask_type == MaskType::position_u8 &&
      c.pooling(Operation::max_forward).geometry.taps() > FPOOL_MASK_NONE_COMPACT) {
    c.mask(MaskType::plane_i32);
  }
  return c;
}

/** While it lives, kernels take every tensor (or, if negative, none but the large) for one beyond
 * the caches: they read rows in turn and stream their outputs. */
class PretendedCache {
 public:
  explicit PretendedCache(std::int64_t bytes) { use_last_level_cache_bytes(bytes); }
  ~PretendedCache() { use_last_level_cache_bytes(-1); }
  PretendedCache(const PretendedCache&) = delete;
  PretendedCache& operator=(const PretendedCache&) = delete;
};

class EachKernel : public ::testing::TestWithParam<KernelOf> {};

TEST_P(EachKernel, EqualsTheOracleAtEveryTier) {
  const auto& [operation, kernel] = GetParam();
  const int wanted = case_count(350);
  int accepted = 0;
  for (int i = 0; accepted < wanted && !HasFailure(); ++i) {
    const PoolingCase c = generated(operation, i);
    const PretendedCache cache(i % 2 == 0 ? 0 : -1);
    if (c.accepted_by(operation, kernel)) {
      c.check(operation, kernel);
      ++accepted;
    }
    ASSERT_LT(i, 200 * wanted + 20'000) << "only " << accepted << " cases that this kernel takes";
  }
}

TEST_P(EachKernel, GivesTheSameBitsForEveryThreadCount) {
  const auto& [operation, kernel] = GetParam();
  const int wanted = std::max(1, case_count(350) / 60);
  int accepted = 0;
  for (int i = 0; accepted < wanted && !HasFailure(); ++i) {
    Random random(static_cast<std::uint64_t>(i));
    const PoolingCase c = enlarged(generated(operation, 1'000'000 + i), random).threads({1, 2, 5});
    if (c.valid() && work(c) <= 8'000'000 && c.accepted_by(operation, kernel)) {
      c.check(operation, kernel);
      ++accepted;
    }
    ASSERT_LT(i, 1000 * wanted + 20'000) << "only " << accepted << " cases that this kernel takes";
  }
}

INSTANTIATE_TEST_SUITE_P(, EachKernel, ::testing::ValuesIn(every_kernel()),
                         [](const auto& info) { return info.param.name(); });

/** Checks every operation; bytes where the operation has them. */
void check_all(PoolingCase c) {
  c.check(Operation::max_forward);
  c.check(Operation::avg_forward);
  c.check(Operation::avg_backward);
  c.mask(MaskType::position_u8);
  c.check(Operation::max_forward);
  c.check(Operation::min_forward);
  c.check(Operation::route_backward);
  c.bytes();
  c.check(Operation::max_forward);
  c.check(Operation::avg_forward);
  c.mask(MaskType::none).check(Operation::max_forward);
}

struct Window2D {
  std::int64_t kernel;
  std::int64_t stride;
  std::int64_t pad;
};

constexpr Window2D kWindows[] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {5, 3, 2}, {13, 1, 6}};

/** Every width and every number of channels, so that every tail of every vector length occurs. */
TEST(Tails, EveryWidth) {
  Thinned thinned;
  for (const Window2D& window : kWindows) {
    for (std::int64_t width = window.pad == 0 ? 2 : 1;
         width <= 70 && !::testing::Test::HasFailure(); ++width) {
      for (const Edge edge : {Edge::begin, Edge::end}) {
        if (thinned.skips()) continue;
        check_all(PoolingCase()
                      .input({5, width})
                      .kernel({window.kernel, window.kernel})
                      .stride({window.stride, window.stride})
                      .pad({window.pad, window.pad})
                      .values(Values::specials)
                      .seed(static_cast<std::uint64_t>(width))
                      .edge(edge));
      }
    }
  }
}

TEST(Tails, EveryNumberOfChannels) {
  Thinned thinned;
  for (const Window2D& window : kWindows) {
    for (std::int64_t channels = 1; channels <= 70 && !::testing::Test::HasFailure(); ++channels) {
      for (const Edge edge : {Edge::begin, Edge::end}) {
        if (thinned.skips()) continue;
        check_all(PoolingCase()
                      .interleaved()
                      .channels(channels)
                      .input({5, 6})
                      .kernel({window.kernel, window.kernel})
                      .stride({window.stride, window.stride})
                      .pad({window.pad, window.pad})
                      .values(Values::specials)
                      .seed(static_cast<std::uint64_t>(channels))
                      .edge(edge));
      }
    }
  }
}

/** Pairs of rows of outputs, tiles of their columns and blocks of their channels, of every type. */
TEST(Tails, ChannelsOfEveryType) {
  constexpr std::int32_t kTypes[] = {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16,
                                     FPOOL_U8,  FPOOL_I8,  FPOOL_I32};
  struct Image {
    std::int64_t channels;
    Extents extents;
  };
  const Image images[] = {{3, {10, 9}},   {67, {10, 11}}, {128, {9, 8}},    {64, {4, 300}},
                          {1030, {7, 8}}, {3, {3, 2000}}, {130, {2, 7, 5}}, {66, {299}}};
  Thinned thinned;
  for (const Image& image : images) {
    for (const Window2D& window : {Window2D{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {3, 1, 2}, {4, 4, 1}}) {
      for (const std::int32_t dtype : kTypes) {
        const PretendedCache cache(dtype % 2 == 0 ? 0 : -1);
        const std::size_t rank = image.extents.size();
        PoolingCase c;
        c.interleaved().channels(image.channels).input(image.extents).dtype(dtype);
        c.kernel(Extents(rank, window.kernel)).stride(Extents(rank, window.stride));
        c.pad(Extents(rank, window.pad)).values(Values::specials).threads({1, 2});
        if (!c.valid() || thinned.skips()) continue;
        c.check(Operation::max_forward);
        c.check(Operation::min_forward);
        if (dtype == FPOOL_I32) continue;
        c.check(Operation::avg_forward);
        c.include_padding().check(Operation::avg_forward);
      }
    }
  }
}

/** The taps of a dilated window can lie on both sides of a short axis: it holds padding alone. */
TEST(Tails, WindowsThatMissTheInput) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const std::int64_t length : {1, 2}) {
      for (const std::int64_t side : {2, 4}) {
        for (const std::int64_t channels : {3, 20}) {
          for (const bool interleaved : {false, true}) {
            Extents input(3, 5);
            Extents kernel(3, 5);
            Extents dilation(3, 1);
            Extents pad(3, 2);
            input[axis] = length;
            kernel[axis] = side;
            dilation[axis] = length + 1;
            pad[axis] = (side / 2 - 1) * (length + 1) + 1;
            PoolingCase c;
            if (interleaved) c.interleaved();
            c.channels(channels).input(input).kernel(kernel).dilation(dilation).pad(pad);
            c.values(Values::specials);
            check_all(c);
            c.include_padding().check(Operation::avg_forward);
          }
        }
      }
    }
  }
}

/** A window whose next one would start far outside the input is the only one. */
TEST(Tails, StridesBeyondTheInput) {
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 8;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const std::int64_t far : {std::int64_t{40}, kFar}) {
      for (const std::int64_t side : {3, 5}) {
        for (const bool interleaved : {false, true}) {
          Extents stride(3, 1);
          stride[axis] = far;
          PoolingCase c;
          if (interleaved) c.interleaved();
          c.channels(5).input({6, 7, 9}).kernel(Extents(3, side)).stride(stride).pad(Extents(3, 1));
          c.values(Values::specials);
          check_all(c);
        }
      }
    }
  }
}

/** Larger than what a kernel may work on at a time. */
TEST(LargeCases, LongRows) {
  for (const std::int64_t width : {3001, 4096, 5003}) {
    for (const Window2D& window : kWindows) {
      check_all(PoolingCase()
                    .input({6, width})
                    .kernel({window.kernel, window.kernel})
                    .stride({window.stride, window.stride})
                    .pad({window.pad, window.pad})
                    .values(Values::specials));
    }
  }
}

/** Rows of several tiles, which begin at cache lines, as streaming stores need them. */
TEST(LargeCases, BeyondTheCaches) {
  const PretendedCache cache(0);
  for (const Window2D& window :
       {Window2D{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {13, 1, 6}, {63, 1, 31}}) {
    for (const bool interleaved : {false, true}) {
      PoolingCase c;
      if (interleaved) c.interleaved().channels(64);
      c.input({6, interleaved ? 144 : 9216})
          .kernel({window.kernel, window.kernel})
          .stride({window.stride, window.stride})
          .pad({window.pad, window.pad})
          .values(Values::specials)
          .edge(Edge::begin)
          .threads({1, 2});
      c.check(Operation::max_forward);
      c.check(Operation::avg_forward);
      c.bytes().check(Operation::max_forward);
    }
  }
}

/** Interleaved windows whose channels fill some vectors, and not the last, in the order of memory.
 */
TEST(LargeCases, ChannelsBeyondTheCaches) {
  const PretendedCache cache(0);
  for (const std::int64_t channels : {16, 37, 83, 200}) {
    for (const Window2D& window : {Window2D{3, 1, 1}, {3, 1, 0}, {3, 2, 1}, {3, 2, 0}, {2, 2, 0}}) {
      PoolingCase c;
      c.interleaved().channels(channels).input({9, 11}).values(Values::specials);
      c.kernel({window.kernel, window.kernel}).stride({window.stride, window.stride});
      c.pad({window.pad, window.pad}).threads({1, 2});
      c.check(Operation::max_forward);
      c.check(Operation::avg_forward);
      c.bytes().check(Operation::max_forward);
    }
  }
}

/** Masks of planes whose outputs are streamed some rows at a time, in pieces of cache lines. */
TEST(LargeCases, MasksBeyondTheCaches) {
  const PretendedCache cache(0);
  for (const Window2D& window : {Window2D{2, 2, 0}, {3, 3, 0}, {3, 2, 1}, {3, 1, 1}, {5, 1, 4}}) {
    for (const bool interleaved : {false, true}) {
      for (const Values values : {Values::uniform, Values::specials}) {
        PoolingCase c;
        if (interleaved) c.interleaved();
        c.channels(3)
            .input({70, interleaved ? 37 : 211})
            .kernel({window.kernel, window.kernel})
            .stride({window.stride, window.stride})
            .pad({window.pad, window.pad})
            .values(values)
            .threads({1, 2});
        c.mask(MaskType::position_u8).check(Operation::max_forward);
        c.mask(MaskType::plane_i32).check(Operation::min_forward);
        c.bytes().mask(MaskType::position_u8).check(Operation::max_forward);
      }
    }
  }
}

TEST(LargeCases, ManyChannels) {
  for (const Window2D& window : kWindows) {
    check_all(PoolingCase()
                  .interleaved()
                  .channels(4099)
                  .input({5, 5})
                  .kernel({window.kernel, window.kernel})
                  .stride({window.stride, window.stride})
                  .pad({window.pad, window.pad})
                  .values(Values::specials));
  }
}

TEST(LargeCases, LongOneDimensionalInput) {
  for (const Window2D& window : kWindows) {
    check_all(PoolingCase()
                  .input({100'003})
                  .kernel({window.kernel})
                  .stride({window.stride})
                  .pad({window.pad})
                  .values(Values::specials)
                  .threads({1, 2}));
  }
}

TEST(LargeCases, LargeWindows) {
  for (const std::int64_t side : {13, 31}) {
    for (const bool interleaved : {false, true}) {
      PoolingCase c;
      if (interleaved) c.interleaved();
      c.channels(3).input({40, 37}).kernel({side, side}).pad({side / 2, side / 2});
      for (const Values values : {Values::uniform, Values::ties, Values::specials}) {
        c.values(values);
        c.mask(MaskType::plane_i32).check(Operation::max_forward);
        c.check(Operation::route_backward);
        c.check(Operation::avg_forward);
        c.check(Operation::avg_backward);
      }
    }
  }
}

/** Windows of which neighbours in memory could pass for neighbours in the plane, or not: all
 * paddings, rows around whole vectors, planes of even and odd height, and so many threads that
 * each begins and ends within a plane. */
TEST(LargeCases, SmallWindowsThatOverlap) {
  struct Window {
    std::int64_t kernel;
    std::int64_t stride;
  };
  for (const auto& [kernel, stride] : {Window{3, 2}, Window{3, 1}, Window{2, 1}}) {
    for (std::int64_t begin = 0; begin < kernel; ++begin) {
      for (std::int64_t end = 0; end < kernel; ++end) {
        for (const std::int64_t width : {6, 7, 12, 16, 17, 31, 32, 35}) {
          for (const std::int64_t height : {3, 8, 33}) {
            PoolingCase c;
            c.batch(2).channels(3).input({height, width}).kernel({kernel, kernel});
            c.stride({stride, stride}).pad({begin, begin}, {end, end});
            c.values(Values::ties).mask(MaskType::position_u8).threads({1, 5});
            c.check(Operation::route_backward, "small_windows");
          }
        }
      }
    }
  }
}

/** One element more than f32 can count. */
TEST(LargeCases, MoreElementsThanFloatCanCount) {
  PoolingCase c;
  c.input({16'777'217}).kernel({2}).stride({2}).ceil().mask(MaskType::plane_i32);
  ASSERT_EQ(c.pooling(Operation::max_forward).geometry.w().output, 8'388'609);
  c.check(Operation::max_forward);
}

/** u8 sums that 16 bits do not hold, and whose rounding shows every bit. */
TEST(Averages, BytesOfLargeWindowsAreExact) {
  for (const std::int64_t side : {16, 17, 33, 90}) {
    for (const bool interleaved : {false, true}) {
      PoolingCase c;
      if (interleaved) c.interleaved();
      c.bytes().channels(2).input({95, 97}).kernel({side, side}).stride({3, 3});
      c.check(Operation::avg_forward);
      c.include_padding().pad({side / 2, side / 2}).check(Operation::avg_forward);
    }
  }
}

TEST(Averages, BytesSaturateAndRoundHalfToEven) {
  for (const std::int64_t divisor : {1, 2, 4, 1'000'000'007}) {
    PoolingCase().bytes().input({9, 75}).kernel({2, 2}).stride({2, 2}).divisor(divisor).check(
        Operation::avg_forward);
  }
}

/** Windows that slide down columns and along rows: rows of several pieces that are turned together,
 * sums that are carried from one to the next, and threads that begin within a plane. */
TEST(Averages, LargeWindowsThatSlide) {
  for (const std::int64_t side : {9, 16, 63}) {
    for (const bool whole_divisor : {false, true}) {
      PoolingCase c;
      c.input({45, 200}).kernel({side, side}).pad({side / 2, side / 2}).threads({1, 3});
      if (whole_divisor) c.include_padding();
      c.check(Operation::avg_forward);
      c.bytes().check(Operation::avg_forward);
    }
  }
}

/** Windows much wider than high, most of which have to be summed in parts. */
TEST(Averages, LongWindowsOfFewRows) {
  for (const std::int64_t rows : {1, 2, 5}) {
    PoolingCase().input({7, 1200}).kernel({rows, 512}).check(Operation::avg_forward);
    PoolingCase().input({7, 1200}).kernel({rows, 101}).check(Operation::avg_forward);
  }
}

/** A sum of running differences would carry the first NaN or infinity through the rest of a row. */
TEST(Averages, NonFiniteValuesStayInTheirWindows) {
  for (const std::int64_t side : {3, 9, 25}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      PoolingCase()
          .input({30, 300})
          .kernel({side, side})
          .values(Values::specials)
          .seed(seed)
          .check(Operation::avg_forward);
    }
  }
}

}  // namespace
}  // namespace featurepool::testing
