// Poolings whose windows lie where numbers say: fractional, regions of interest, unpooling.

#include <algorithm>

#include "source.hpp"

namespace featurepool::fuzz {
namespace {

constexpr std::initializer_list<std::int32_t> kFloats = {FPOOL_F32, FPOOL_F64};

std::int64_t plane(const fpool_tensor& t) {
  std::int64_t size = 1;
  for (int i = 0; i < std::clamp(t.spatial_rank, 1, 3); ++i) {
    size *= std::clamp<std::int64_t>(t.extents[2 + i], 1, 99);
  }
  return size;
}

void fractional(Source& source) {
  const int rank = 2 + source.choice(2);
  const fpool_tensor x = source.input(source.dtype(kFloats), rank);
  fpool_fractional f{};
  f.spatial_rank = rank;
  fpool_tensor y = x;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t extent = std::clamp<std::int64_t>(x.extents[2 + i], 1, 70);
    f.kernel[i] = source.integer(1, std::min<std::int64_t>(extent, 6));
    f.output[i] = source.integer(
        1, std::max<std::int64_t>(1, extent - std::clamp<std::int64_t>(f.kernel[i], 1, 6) + 1));
    y.extents[2 + i] = f.output[i];
  }
  if (source.choice(3) == 0) {
    const Array dy = source.array(y);
    const std::uint64_t seed = source.seed();
    const Array mask = source.positions(
        Source::tensor(y, FPOOL_I32, {}), x, y, [&](Array& in, Array& out, Array& to) {
          fpool_fractional_forward(in.tensor(), in.data(), &f, nullptr, nullptr, seed, out.tensor(),
                                   out.data(), to.tensor(), to.data());
        });
    Array dx = source.array(x);
    source.check({&dx}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
      return fpool_fractional_backward(dy.tensor(), dy.data(), mask.tensor(), mask.data(),
                                       dx.tensor(), dx.data());
    });
    return;
  }
  Array samples = Source::absent();
  if (source.choice(2) == 0) {
    fpool_tensor s = Source::tensor(x, source.dtype(kFloats), {x.extents[0], x.extents[1], rank});
    s.spatial_rank = 1;
    s.layout = FPOOL_PLANAR;
    samples = source.array(s);
  }
  const std::uint64_t seed = source.seed();
  const Array input = source.array(x);
  Array output = source.array(y);
  Array mask = Source::absent();
  if (source.choice(2) == 0) mask = source.array(Source::tensor(y, FPOOL_I32, {}));
  source.check({&output, &mask}, Near::kSame, [&] {
    return fpool_fractional_forward(input.tensor(), input.data(), &f, samples.tensor(),
                                    samples.data(), seed, output.tensor(), output.data(),
                                    mask.tensor(), mask.data());
  });
}

void regions(Source& source) {
  const fpool_tensor x = source.input(source.dtype(kFloats), 2);
  const std::int64_t count = source.choice(5);
  const fpool_roi roi{{source.integer(1, 7), source.integer(1, 7)},
                      source.real(0.05, 2),
                      source.integer(0, 4),
                      source.choice(2),
                      static_cast<std::int32_t>(source.integer(0, 1))};
  const std::vector<double> boxes = source.reals(4 * count, -5, 40);
  const std::vector<std::int64_t> images =
      source.integers(count, 0, std::clamp<std::int64_t>(x.extents[0], 1, 4) - 1);
  const fpool_tensor y =
      Source::tensor(x, x.dtype, {count, x.extents[1], roi.output[0], roi.output[1]});
  const Array input = source.array(x);
  Array output = source.array(y);
  Array dx = source.array(x);
  switch (source.choice(4)) {
    case 0: {
      Array mask = Source::absent();
      if (source.choice(2) == 0) mask = source.array(Source::tensor(y, FPOOL_I32, {}));
      source.check({&output, &mask}, Near::kSame, [&] {
        return fpool_roi_pool_forward(input.tensor(), input.data(), &roi, count, boxes.data(),
                                      images.data(), output.tensor(), output.data(), mask.tensor(),
                                      mask.data());
      });
      break;
    }
    case 1: {
      const Array mask = source.positions(
          Source::tensor(y, FPOOL_I32, {}), x, y, [&](Array& in, Array& out, Array& to) {
            fpool_roi_pool_forward(in.tensor(), in.data(), &roi, count, boxes.data(), images.data(),
                                   out.tensor(), out.data(), to.tensor(), to.data());
          });
      source.check({&dx}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
        return fpool_roi_pool_backward(output.tensor(), output.data(), mask.tensor(), mask.data(),
                                       count, images.data(), dx.tensor(), dx.data());
      });
      break;
    }
    case 2:
      source.check({&output}, Near::kAnywhere, [&] {
        return fpool_roi_align_forward(input.tensor(), input.data(), &roi, count, boxes.data(),
                                       images.data(), output.tensor(), output.data());
      });
      break;
    default:
      source.check({&dx}, Near::kAnywhere, [&] {
        return fpool_roi_align_backward(output.tensor(), output.data(), input.tensor(),
                                        input.data(), &roi, count, boxes.data(), images.data(),
                                        dx.tensor(), dx.data());
      });
  }
}

void unpooling(Source& source) {
  const int rank = 1 + source.choice(3);
  const fpool_tensor small = source.input(source.dtype(kFloats), rank);
  const fpool_window window = source.window(rank, small);
  fpool_tensor large = small;
  std::int64_t extents[2 + FPOOL_MAX_SPATIAL_RANK] = {};
  const std::vector<std::int64_t> requested = source.integers(rank, 1, 40);
  fpool_tensor sized = small;
  sized.byte_size = INT64_MAX;
  const bool asked = source.rarely(4);
  if (fpool_unpool_extents(&sized, &window, asked ? requested.data() : nullptr, extents) ==
      FPOOL_OK) {
    std::copy_n(extents, 2 + rank, large.extents);
  }
  const std::int32_t base = source.choice(2) == 0 ? FPOOL_INDEX_PLANE : FPOOL_INDEX_TENSOR;
  const std::int64_t planes = base == FPOOL_INDEX_PLANE
                                  ? 1
                                  : std::clamp<std::int64_t>(small.extents[0], 1, 9) *
                                        std::clamp<std::int64_t>(small.extents[1], 1, 99);
  const Array indices =
      source.indices(Source::tensor(small, source.choice(2) == 0 ? FPOOL_I64 : FPOOL_I32, {}), 0,
                     planes * plane(large) - 1);
  std::vector<std::int64_t> indexed(large.extents + 2, large.extents + 2 + rank);
  if (source.rarely(4)) indexed = source.integers(rank, 1, 20);
  const std::int64_t* index_extents = source.choice(2) == 0 ? nullptr : indexed.data();
  if (source.choice(2) == 0) {
    const Array x = source.array(small);
    Array y = source.array(large);
    source.check({&y}, Near::kSame, [&] {
      return fpool_max_unpool_forward(x.tensor(), x.data(), indices.tensor(), indices.data(), base,
                                      index_extents, y.tensor(), y.data());
    });
  } else {
    const Array dy = source.array(large);
    Array dx = source.array(small);
    source.check({&dx}, Near::kSame, [&] {
      return fpool_max_unpool_backward(dy.tensor(), dy.data(), indices.tensor(), indices.data(),
                                       base, index_extents, dx.tensor(), dx.data());
    });
  }
}

}  // namespace
}  // namespace featurepool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace featurepool::fuzz;
  Source source(data, size);
  switch (source.choice(3)) {
    case 0:
      fractional(source);
      break;
    case 1:
      regions(source);
      break;
    default:
      unpooling(source);
  }
  return 0;
}
