// Poolings that give vectors or concatenations: pyramids, SPP blocks, bilinear, NetVLAD.

#include <algorithm>

#include "source.hpp"

namespace featurepool::fuzz {
namespace {

constexpr std::initializer_list<std::int32_t> kFloats = {FPOOL_F32, FPOOL_F64};

std::int64_t small(std::int64_t extent) { return std::clamp<std::int64_t>(extent, 1, 99); }

void pyramid(Source& source) {
  const fpool_tensor x = source.input(source.dtype({FPOOL_F32}), 2);
  const std::vector<std::int64_t> levels = source.integers(1 + source.choice(4), 1, 6);
  const fpool_pyramid p{source.rarely(64) ? nullptr : levels.data(),
                        static_cast<std::int64_t>(levels.size()),
                        static_cast<std::int32_t>(source.integer(0, 1)),
                        static_cast<std::int32_t>(source.integer(0, 1))};
  std::int64_t length = 0;
  for (const std::int64_t n : levels) length += small(n) * small(n);
  const fpool_tensor y =
      Source::tensor(x, x.dtype, {x.extents[0], small(x.extents[1]) * length, 1, 1});
  if (source.choice(2) == 0) {
    const Array input = source.array(x);
    Array output = source.array(y);
    Array mask = Source::absent();
    if (source.choice(2) == 0) mask = source.array(Source::tensor(y, FPOOL_I32, {}));
    const Near near = p.reducer == FPOOL_REDUCE_MAX ? Near::kSame
                      : source.tame()               ? Near::kRounded
                                                    : Near::kAnywhere;
    source.check({&output, &mask}, near, [&] {
      return fpool_spp_forward(input.tensor(), input.data(), &p, output.tensor(), output.data(),
                               mask.tensor(), mask.data());
    });
    return;
  }
  const Array dy = source.array(y);
  Array mask = Source::absent();
  if (source.choice(2) == 0) {
    mask = source.positions(Source::tensor(y, FPOOL_I32, {}), x, y,
                            [&](Array& in, Array& out, Array& to) {
                              fpool_spp_forward(in.tensor(), in.data(), &p, out.tensor(),
                                                out.data(), to.tensor(), to.data());
                            });
  }
  Array dx = source.array(x);
  source.check({&dx}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
    return fpool_spp_backward(dy.tensor(), dy.data(), mask.tensor(), mask.data(), &p, dx.tensor(),
                              dx.data());
  });
}

void block(Source& source) {
  const bool forward = source.choice(2) == 0;
  const fpool_tensor x = source.input(forward ? source.dtype({FPOOL_F32, FPOOL_F16, FPOOL_U8})
                                              : source.dtype({FPOOL_F32, FPOOL_F16}),
                                      2);
  std::vector<std::int64_t> kernels = source.integers(1 + source.choice(3), 1, 9);
  for (std::int64_t& k : kernels) k = source.rarely() ? k : 2 * small(k) + 1;
  const auto count = static_cast<std::int64_t>(kernels.size());
  const fpool_spp_block b{kernels.data(), count};
  const fpool_tensor y =
      Source::tensor(x, x.dtype, {x.extents[0], small(x.extents[1]) * (count + 1)});
  const std::int32_t mask_type =
      *std::max_element(kernels.begin(), kernels.end()) > 15 ? FPOOL_I32 : FPOOL_U8;
  const fpool_tensor m = Source::tensor(x, mask_type, {x.extents[0], small(x.extents[1]) * count});
  if (forward) {
    const Array input = source.array(x);
    Array output = source.array(y);
    Array mask = Source::absent();
    if (source.choice(2) == 0) mask = source.array(m);
    source.check({&output, &mask}, Near::kSame, [&] {
      return fpool_spp_block_forward(input.tensor(), input.data(), &b, output.tensor(),
                                     output.data(), mask.tensor(), mask.data());
    });
    return;
  }
  const Array dy = source.array(y);
  const Array mask = source.positions(m, x, y, [&](Array& in, Array& out, Array& to) {
    fpool_spp_block_forward(in.tensor(), in.data(), &b, out.tensor(), out.data(), to.tensor(),
                            to.data());
  });
  Array dx = source.array(x);
  source.check({&dx}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
    return fpool_spp_block_backward(dy.tensor(), dy.data(), mask.tensor(), mask.data(), &b,
                                    dx.tensor(), dx.data());
  });
}

void bilinear(Source& source) {
  const fpool_tensor a = source.input(source.dtype(kFloats), 2);
  fpool_tensor b = a;
  const bool second = source.choice(2) == 0;
  if (second) b.extents[1] = source.integer(1, 19);
  const fpool_bilinear options{source.choice(2), source.choice(2), 0};
  const fpool_tensor y =
      Source::tensor(a, a.dtype, {a.extents[0], small(a.extents[1]) * small(b.extents[1]), 1, 1});
  const Array first = source.array(a);
  const Array other = second ? source.array(b) : Source::absent();
  Array output = source.array(y);
  if (source.choice(2) == 0) {
    source.check({&output}, Near::kAnywhere, [&] {
      return fpool_bilinear_forward(first.tensor(), first.data(), other.tensor(), other.data(),
                                    &options, output.tensor(), output.data());
    });
    return;
  }
  Array da = source.array(a);
  Array db = second ? source.array(b) : Source::absent();
  source.check({&da, &db}, Near::kAnywhere, [&] {
    return fpool_bilinear_backward(output.tensor(), output.data(), first.tensor(), first.data(),
                                   other.tensor(), other.data(), &options, da.tensor(), da.data(),
                                   db.tensor(), db.data());
  });
}

void netvlad(Source& source) {
  const fpool_tensor x = source.input(source.dtype(kFloats), 2);
  const fpool_netvlad v{source.integer(1, 9), source.rarely(3) ? source.integer(0, 3) : 0,
                        source.choice(2), source.choice(2)};
  const std::int64_t all = small(v.clusters) + std::clamp<std::int64_t>(v.ghosts, 0, 99);
  const std::int64_t channels = small(x.extents[1]);
  const Array input = source.array(x);
  fpool_tensor rows = Source::tensor(x, x.dtype, {all, channels, 1, 1});
  rows.layout = FPOOL_PLANAR;
  Array weights = source.array(rows);
  Array biases = source.array(Source::tensor(rows, x.dtype, {1, all}));
  Array centroids = source.array(Source::tensor(rows, x.dtype, {small(v.clusters), channels}));
  if (source.choice(3) == 0) {
    const auto seed = static_cast<std::int64_t>(source.seed());
    source.check({&weights, &biases, &centroids}, Near::kAnywhere, [&] {
      return fpool_netvlad_initialize(input.tensor(), input.data(), &v, seed, weights.tensor(),
                                      weights.data(), biases.tensor(), biases.data(),
                                      centroids.tensor(), centroids.data());
    });
    return;
  }
  Array output =
      source.array(Source::tensor(x, x.dtype, {x.extents[0], small(v.clusters) * channels, 1, 1}));
  const bool forward = source.choice(2) == 0;
  const bool kept = source.choice(2) == 0;
  fpool_tensor scores =
      Source::tensor(x, x.dtype, {x.extents[0], all, small(x.extents[2]), small(x.extents[3])});
  scores.layout = FPOOL_PLANAR;
  Array assignments = kept ? source.array(scores) : Source::absent();
  Array residuals = kept ? source.array(output.descriptor) : Source::absent();
  if (forward && kept) {
    source.check({&output, &assignments, &residuals}, Near::kAnywhere, [&] {
      return fpool_netvlad_forward_with_intermediates(
          input.tensor(), input.data(), weights.tensor(), weights.data(), biases.tensor(),
          biases.data(), centroids.tensor(), centroids.data(), &v, output.tensor(), output.data(),
          assignments.tensor(), assignments.data(), residuals.tensor(), residuals.data());
    });
    return;
  }
  if (forward) {
    source.check({&output}, Near::kAnywhere, [&] {
      return fpool_netvlad_forward(input.tensor(), input.data(), weights.tensor(), weights.data(),
                                   biases.tensor(), biases.data(), centroids.tensor(),
                                   centroids.data(), &v, output.tensor(), output.data());
    });
    return;
  }
  Array dx = source.array(x);
  Array dweights = source.array(weights.descriptor);
  Array dbiases = source.array(biases.descriptor);
  Array dcentroids = source.array(centroids.descriptor);
  source.check({&dx, &dweights, &dbiases, &dcentroids}, Near::kAnywhere, [&] {
    if (kept) {
      return fpool_netvlad_backward_with_intermediates(
          output.tensor(), output.data(), input.tensor(), input.data(), weights.tensor(),
          weights.data(), biases.tensor(), biases.data(), centroids.tensor(), centroids.data(), &v,
          assignments.tensor(), assignments.data(), residuals.tensor(), residuals.data(),
          dx.tensor(), dx.data(), dweights.tensor(), dweights.data(), dbiases.tensor(),
          dbiases.data(), dcentroids.tensor(), dcentroids.data());
    }
    return fpool_netvlad_backward(output.tensor(), output.data(), input.tensor(), input.data(),
                                  weights.tensor(), weights.data(), biases.tensor(), biases.data(),
                                  centroids.tensor(), centroids.data(), &v, dx.tensor(), dx.data(),
                                  dweights.tensor(), dweights.data(), dbiases.tensor(),
                                  dbiases.data(), dcentroids.tensor(), dcentroids.data());
  });
}

}  // namespace
}  // namespace featurepool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace featurepool::fuzz;
  Source source(data, size);
  switch (source.choice(4)) {
    case 0:
      pyramid(source);
      break;
    case 1:
      block(source);
      break;
    case 2:
      bilinear(source);
      break;
    default:
      netvlad(source);
  }
  return 0;
}
