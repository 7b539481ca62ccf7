// Output extents, padding modes, taps of a window, refusals: SEMANTICS 1.

#include "geometry/geometry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <ostream>
#include <string>

#include "geometry/error.hpp"
#include "support/random.hpp"

namespace featurepool {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

/** A one-dimensional pooling; the axes of a geometry are independent of each other. */
struct Line {
  std::int64_t input = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t pad_begin = 0;
  std::int64_t pad_end = 0;
  std::int64_t dilation = 1;
  std::int32_t padding = FPOOL_PAD_EXPLICIT;
  bool ceil = false;

  fpool_tensor tensor() const { return {FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, input, 1, 1}, 0}; }

  fpool_window window() const {
    return {{kernel}, {stride}, {pad_begin}, {pad_end}, {dilation}, 1, padding, ceil ? 1 : 0, 0};
  }

  Axis axis() const { return make_geometry(tensor(), window()).w(); }
  std::int64_t output() const { return axis().output; }
};

std::ostream& operator<<(std::ostream& out, const Line& line) {
  return out << "input " << line.input << " kernel " << line.kernel << " stride " << line.stride
             << " pad " << line.pad_begin << " to " << line.pad_end << " dilation " << line.dilation
             << " padding " << line.padding << (line.ceil ? " ceil" : "");
}

/** The Error of a call, or a failure. */
template <typename Call>
Error refusal(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "was not refused";
  return Error(FPOOL_OK, "");
}

void expect_refused(const Line& line, fpool_status status, const std::string& text) {
  SCOPED_TRACE(line);
  const Error error = refusal([&] { line.axis(); });
  EXPECT_EQ(error.status(), status);
  EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
}

TEST(OutputExtent, FollowsTheFormula) {
  EXPECT_EQ((Line{.input = 64, .kernel = 2, .stride = 2}.output()), 32);
  EXPECT_EQ((Line{.input = 111, .kernel = 3, .stride = 2}.output()), 55);
  EXPECT_EQ((Line{.input = 112, .kernel = 3, .stride = 2, .pad_begin = 1, .pad_end = 1}.output()),
            56);
  EXPECT_EQ((Line{.input = 7, .kernel = 3, .stride = 2}.output()), 3);
  EXPECT_EQ((Line{.input = 19, .kernel = 13, .pad_begin = 6, .pad_end = 6}.output()), 19);
  EXPECT_EQ((Line{.input = 7, .kernel = 3, .dilation = 2}.output()), 3);
  EXPECT_EQ((Line{.input = 5, .kernel = 3, .pad_begin = 0, .pad_end = 2}.output()), 5);
  EXPECT_EQ((Line{.input = 1}.output()), 1);
}

TEST(OutputExtent, CeilModeRoundsUp) {
  EXPECT_EQ((Line{.input = 5, .kernel = 2, .stride = 2, .ceil = true}.output()), 3);
  EXPECT_EQ((Line{.input = 6, .kernel = 2, .stride = 2, .ceil = true}.output()), 3);
  EXPECT_EQ((Line{.input = 6, .kernel = 3, .stride = 2, .ceil = true}.output()), 3);
}

TEST(OutputExtent, CeilModeStartsNoWindowBehindTheInput) {
  // Rounding up alone gives 2 windows; the second would start at position 2 of 2.
  EXPECT_EQ((Line{.input = 2, .kernel = 2, .stride = 2, .pad_end = 1, .ceil = true}.output()), 1);
  // Begin padding counts as a place to start: 3 windows, the third would start at 6 of 1 + 5.
  EXPECT_EQ((Line{.input = 5, .kernel = 2, .stride = 3, .pad_begin = 1, .pad_end = 1, .ceil = true}
                 .output()),
            2);
  EXPECT_EQ((Line{.input = 1, .kernel = 1, .stride = 2, .ceil = true}.output()), 1);
  EXPECT_EQ((Line{.input = 2, .kernel = 1, .stride = 3, .ceil = true}.output()), 1);
}

TEST(OutputExtent, IsExactBeyondWhatFloatCanCount) {
  EXPECT_EQ((Line{.input = 16'777'217}.output()), 16'777'217);
  EXPECT_EQ((Line{.input = 16'777'217, .kernel = 2, .stride = 2}.output()), 8'388'608);
  EXPECT_EQ((Line{.input = 16'777'217, .kernel = 2, .stride = 2, .ceil = true}.output()),
            8'388'609);
  const std::int64_t large = (std::int64_t{1} << 53) + 1;
  EXPECT_EQ((Line{.input = large}.output()), large);
}

TEST(OutputExtent, OfSamePaddingIsInputOverStride) {
  for (const std::int32_t mode : {FPOOL_PAD_SAME_UPPER, FPOOL_PAD_SAME_LOWER}) {
    for (std::int64_t input = 1; input < 20; ++input) {
      for (std::int64_t stride = 1; stride < 6; ++stride) {
        const Line line{.input = input, .kernel = 4, .stride = stride, .padding = mode};
        EXPECT_EQ(line.output(), (input + stride - 1) / stride) << line;
      }
    }
  }
}

TEST(Padding, SamePutsTheOddElementAtTheEndOrTheBegin) {
  Line line{.input = 5, .kernel = 4, .padding = FPOOL_PAD_SAME_UPPER};
  EXPECT_EQ(line.axis().pad_begin, 1);
  EXPECT_EQ(line.axis().pad_end, 2);
  line.padding = FPOOL_PAD_SAME_LOWER;
  EXPECT_EQ(line.axis().pad_begin, 2);
  EXPECT_EQ(line.axis().pad_end, 1);
  // With a stride that skips elements there is nothing to pad.
  line = {.input = 9, .kernel = 1, .stride = 2, .padding = FPOOL_PAD_SAME_LOWER};
  EXPECT_EQ(line.axis().pad_begin, 0);
  EXPECT_EQ(line.axis().pad_end, 0);
}

TEST(Padding, SameMayPadMoreThanTheInputHas) {
  const Axis axis = Line{.input = 2, .kernel = 9, .padding = FPOOL_PAD_SAME_UPPER}.axis();
  EXPECT_EQ(axis.output, 2);
  EXPECT_EQ(axis.pad_begin, 4);
  EXPECT_EQ(axis.taps(0).size(), 2);
}

TEST(Padding, ValidIgnoresThePads) {
  const Axis axis =
      Line{.input = 6, .kernel = 3, .pad_begin = 9, .pad_end = 9, .padding = FPOOL_PAD_VALID}
          .axis();
  EXPECT_EQ(axis.pad_begin, 0);
  EXPECT_EQ(axis.pad_end, 0);
  EXPECT_EQ(axis.output, 4);
}

/** The spans of an axis against a count of every tap of every window. */
TEST(Spans, AgreeWithCounting) {
  testing::Random random(1);
  int lines = 0;
  while (lines < 3000 && !HasFailure()) {
    Line line{.input = random.between(1, 30),
              .kernel = random.between(1, 7),
              .stride = random.between(1, 5),
              .dilation = random.between(1, 4),
              .ceil = random.one_in(2)};
    const std::int64_t reach = line.dilation * (line.kernel - 1) + 1;
    line.pad_begin = random.between(0, reach - 1);
    line.pad_end = random.between(0, reach - 1);
    Axis axis;
    try {
      axis = line.axis();
    } catch (const Error&) {
      continue;
    }
    ++lines;
    SCOPED_TRACE(line);
    ASSERT_EQ(axis.reach(), reach);
    for (std::int64_t o = 0; o < axis.output; ++o) {
      const Span taps = axis.taps(o);
      std::int64_t inside = 0;
      std::int64_t padded = 0;
      for (std::int64_t t = 0; t < line.kernel; ++t) {
        const std::int64_t i = o * line.stride - line.pad_begin + t * line.dilation;
        ASSERT_EQ(axis.position(o, t), i);
        const bool is_inside = i >= 0 && i < line.input;
        ASSERT_EQ(is_inside, t >= taps.begin && t < taps.end) << "output " << o << " tap " << t;
        inside += is_inside ? 1 : 0;
        padded += i < line.input + line.pad_end ? 1 : 0;
        if (is_inside) {
          const Span covering = axis.covering(i);
          ASSERT_TRUE(o >= covering.begin && o < covering.end) << "output " << o << " input " << i;
        }
      }
      ASSERT_EQ(taps.size(), inside) << "output " << o;
      ASSERT_EQ(axis.padded_taps(o), padded) << "output " << o;
      const bool wholly = axis.start(o) >= 0 && axis.start(o) + reach <= line.input;
      const Span interior = axis.interior();
      ASSERT_EQ(o >= interior.begin && o < interior.end, wholly) << "output " << o;
      ASSERT_TRUE(wholly || !axis.whole()) << "output " << o;
      // The last window starts inside the input or its begin padding.
      ASSERT_LT(axis.start(o), line.input) << "output " << o;
    }
    for (std::int64_t i = 0; i < line.input; ++i) {
      const Span covering = axis.covering(i);
      ASSERT_GE(covering.begin, 0);
      ASSERT_LE(covering.end, axis.output);
      if (line.dilation > 1) continue;
      for (std::int64_t o = covering.begin; o < covering.end; ++o) {
        ASSERT_TRUE(axis.start(o) <= i && i < axis.start(o) + reach)
            << "output " << o << " input " << i;
      }
    }
  }
}

TEST(Spans, AWindowMayHoldNoElement) {
  const Axis axis =
      Line{.input = 1, .kernel = 2, .pad_begin = 2, .pad_end = 2, .dilation = 3}.axis();
  ASSERT_EQ(axis.output, 2);
  EXPECT_TRUE(axis.taps(0).empty());
  EXPECT_EQ(axis.padded_taps(0), 2);
  EXPECT_TRUE(axis.taps(1).empty());
}

/** An axis of adaptive bins, by way of the C ABI's descriptors. */
Geometry adaptive(std::int64_t input, std::int64_t output) {
  const fpool_tensor tensor{FPOOL_U8, FPOOL_PLANAR, 1, 0, {1, 1, input}, input};
  fpool_window window{};
  window.spatial_rank = 1;
  window.adaptive = 1;
  window.kernel[0] = output;
  return make_geometry(tensor, window);
}

void expect_bins(std::int64_t input, std::int64_t output) {
  SCOPED_TRACE(std::to_string(input) + " to " + std::to_string(output));
  const Geometry geometry = adaptive(input, output);
  const Axis& axis = geometry.w();
  ASSERT_EQ(axis.output, output);
  // Bins of one size at even distances are windows, which have faster kernels.
  const bool even = input % output == 0 || output == 1;
  if (even) {
    EXPECT_EQ(axis.bins, nullptr);
    EXPECT_EQ(axis.stride, input / output);
    EXPECT_TRUE(axis.whole());
  }
  std::int64_t longest = 0;
  std::vector<Span> covering(static_cast<std::size_t>(input), Span{output, 0});
  for (std::int64_t o = 0; o < output; ++o) {
    const std::int64_t begin = o * input / output;
    const std::int64_t end = ((o + 1) * input - 1) / output + 1;
    ASSERT_EQ(axis.start(o), begin) << "bin " << o;
    ASSERT_EQ(axis.taps(o).begin, 0) << "bin " << o;
    ASSERT_EQ(axis.taps(o).end, end - begin) << "bin " << o;
    ASSERT_EQ(axis.padded_taps(o), end - begin) << "bin " << o;
    longest = std::max(longest, end - begin);
    for (std::int64_t i = begin; i < end; ++i) {
      Span& outputs = covering[static_cast<std::size_t>(i)];
      outputs.begin = std::min(outputs.begin, o);
      outputs.end = o + 1;
    }
  }
  EXPECT_EQ(axis.kernel, longest);
  for (std::int64_t i = 0; i < input; ++i) {
    const Span outputs = axis.covering(i);
    ASSERT_EQ(outputs.begin, covering[static_cast<std::size_t>(i)].begin) << "input " << i;
    ASSERT_EQ(outputs.end, covering[static_cast<std::size_t>(i)].end) << "input " << i;
  }
}

TEST(Bins, FollowTheFormula) {
  for (std::int64_t input = 1; input <= 40; ++input) {
    for (std::int64_t output = 1; output <= 90; ++output) expect_bins(input, output);
  }
  expect_bins(5873, 3527);
  expect_bins(3693, 2219);
  expect_bins(7, 7);
  expect_bins(1, 1000);
}

TEST(Bins, ProductsDoNotOverflow) {
  // i * I exceeds 64 bits for the last bins.
  const std::int64_t input = (std::int64_t{1} << 58) + 1;
  const Geometry geometry = adaptive(input, 1 << 10);
  EXPECT_EQ(geometry.w().start(0), 0);
  EXPECT_EQ(geometry.w().start(1023) + geometry.w().taps(1023).end, input);
}

TEST(Bins, NumberOfOutputs) {
  for (const std::int64_t output : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 40}) {
    const Error error = refusal([&] { adaptive(5, output); });
    EXPECT_EQ(error.status(), FPOOL_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(error.what()).find("output is " + std::to_string(output) + " in axis W"),
              std::string::npos)
        << error.what();
  }
}

TEST(Refusals, NameTheParameterItsValueAndTheLimit) {
  constexpr fpool_status kArgument = FPOOL_ERROR_INVALID_ARGUMENT;
  expect_refused({.kernel = 0}, kArgument, "kernel is 0");
  expect_refused({.kernel = -3}, kArgument, "kernel is -3");
  expect_refused({.stride = 0}, kArgument, "stride is 0");
  expect_refused({.stride = -1}, kArgument, "stride is -1");
  expect_refused({.dilation = 0}, kArgument, "dilation is 0");
  expect_refused({.dilation = -2}, kArgument, "dilation is -2");
  expect_refused({.input = 9, .kernel = 3, .pad_begin = 3}, kArgument, "pad_begin is 3");
  expect_refused({.input = 9, .kernel = 3, .pad_end = 3}, kArgument, "pad_end is 3");
  expect_refused({.input = 9, .kernel = 3, .pad_begin = -1}, kArgument, "pad_begin is -1");
  expect_refused({.input = 9, .kernel = 2, .pad_end = 3, .dilation = 2}, kArgument,
                 "less than the dilated kernel, 3");
  expect_refused({.input = 9, .kernel = 3, .padding = 4}, kArgument, "padding is 4");
  expect_refused({.input = 9, .kernel = 3, .padding = FPOOL_PAD_SAME_LOWER, .ceil = true},
                 kArgument, "ceil_mode is 1");
}

TEST(Refusals, AWindowLargerThanThePaddedInput) {
  constexpr fpool_status kShape = FPOOL_ERROR_SHAPE_MISMATCH;
  expect_refused({.input = 3, .kernel = 4}, kShape, "reaches over 4 elements");
  expect_refused({.input = 1, .kernel = 5, .pad_begin = 1, .pad_end = 2}, kShape, "1 + 1 + 2");
  expect_refused({.input = 4, .kernel = 3, .dilation = 2}, kShape, "reaches over 5 elements");
  // Truncating division made one output of this, as in the seed's formula.
  expect_refused({.input = 1, .kernel = 2, .stride = 2}, kShape, "reaches over 2 elements");
}

TEST(Refusals, WrongRank) {
  Line line{.input = 4};
  const auto with_rank = [&](std::int32_t rank) {
    fpool_window window = line.window();
    window.spatial_rank = rank;
    return refusal([&] { make_geometry(line.tensor(), window); });
  };
  EXPECT_EQ(with_rank(2).status(), FPOOL_ERROR_SHAPE_MISMATCH);
  EXPECT_EQ(with_rank(0).status(), FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(with_rank(4).status(), FPOOL_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(with_rank(2).what()).find("spatial_rank is 2"), std::string::npos);
}

TEST(Refusals, EmptyAxesButNotAnEmptyBatch) {
  fpool_tensor tensor = Line{.input = 4}.tensor();
  tensor.extents[0] = 0;
  check_tensor(&tensor, "x");
  for (const int axis : {1, 2}) {
    fpool_tensor empty = tensor;
    empty.extents[axis] = 0;
    const Error error = refusal([&] { check_tensor(&empty, "x"); });
    EXPECT_EQ(error.status(), FPOOL_ERROR_SHAPE_MISMATCH);
    EXPECT_NE(std::string(error.what()).find("x.extents[" + std::to_string(axis) + "] is 0"),
              std::string::npos)
        << error.what();
  }
}

TEST(Refusals, ExtentsWhoseProductOverflows) {
  fpool_tensor tensor{FPOOL_F32, FPOOL_PLANAR, 2, 0, {0, 1, kMost, kMost, 1}, 0};
  EXPECT_EQ(refusal([&] { check_tensor(&tensor, "x"); }).status(), FPOOL_ERROR_SHAPE_MISMATCH);
  tensor = {FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, kMost / 2, 1, 1}, 0};
  EXPECT_EQ(refusal([&] { check_tensor(&tensor, "x"); }).status(), FPOOL_ERROR_SHAPE_MISMATCH);
}

TEST(Refusals, WindowsWhosePositionsOverflow) {
  constexpr fpool_status kArgument = FPOOL_ERROR_INVALID_ARGUMENT;
  expect_refused({.input = 4, .kernel = kMost}, kArgument, "kernel is 9223372036854775807");
  expect_refused({.input = 4, .stride = kMost}, kArgument, "stride is 9223372036854775807");
  expect_refused({.input = 4, .kernel = 1 << 30, .dilation = std::int64_t{1} << 40}, kArgument,
                 "overflows");
  const Line line{.input = 4,
                  .kernel = std::int64_t{1} << 59,
                  .pad_begin = (std::int64_t{1} << 59) - 1,
                  .pad_end = (std::int64_t{1} << 59) - 1};
  EXPECT_EQ(line.output(), (std::int64_t{1} << 59) + 3);
}

TEST(Refusals, TooManyOutputs) {
  const fpool_tensor tensor{FPOOL_U8, FPOOL_PLANAR, 3, 0, {1, 1, 4, 4, 4}, 0};
  fpool_window window{};
  window.spatial_rank = 3;
  for (int i = 0; i < 3; ++i) {
    window.kernel[i] = std::int64_t{1} << 40;
    window.stride[i] = window.dilation[i] = 1;
    window.pad_begin[i] = window.pad_end[i] = window.kernel[i] - 1;
  }
  EXPECT_EQ(refusal([&] { make_geometry(tensor, window); }).status(), FPOOL_ERROR_SHAPE_MISMATCH);
}

}  // namespace
}  // namespace featurepool
