// Poolings over windows and bins, forward and backward.

#include <algorithm>

#include "source.hpp"

namespace featurepool::fuzz {
namespace {

/** What the calls over windows have in common. */
struct Windowed {
  int rank;
  fpool_tensor x;
  fpool_window window;
  fpool_tensor y;

  Windowed(Source& source, std::initializer_list<std::int32_t> dtypes)
      : rank(1 + source.choice(3)),
        x(source.input(source.dtype(dtypes), rank)),
        window(source.window(rank, x)),
        y(x) {
    std::int64_t extents[2 + FPOOL_MAX_SPATIAL_RANK];
    fpool_tensor sized = x;
    sized.byte_size = INT64_MAX;
    if (fpool_output_extents(&sized, &window, extents) == FPOOL_OK) {
      std::copy_n(extents, 2 + rank, y.extents);
    }
  }

  fpool_tensor mask_descriptor(Source& source) const {
    return Source::tensor(y, source.rarely(3) ? FPOOL_I32 : FPOOL_U8, {});
  }

  /** A mask of maxima. */
  Array mask(Source& source) const {
    return source.positions(
        mask_descriptor(source), Source::tensor(x, FPOOL_F32, {}), Source::tensor(y, FPOOL_F32, {}),
        [&](Array& input, Array& output, Array& positions) {
          fpool_max_forward(input.tensor(), input.data(), &window, output.tensor(), output.data(),
                            positions.tensor(), positions.data());
        });
  }
};

constexpr std::initializer_list<std::int32_t> kFloats = {FPOOL_F32, FPOOL_F64};
constexpr std::initializer_list<std::int32_t> kGradients = {FPOOL_F32, FPOOL_F64, FPOOL_F16,
                                                            FPOOL_BF16};

using Extremes = fpool_status (*)(const fpool_tensor*, const void*, const fpool_window*,
                                  const fpool_tensor*, void*, const fpool_tensor*, void*);

void select(Source& source, std::initializer_list<std::int32_t> dtypes, Extremes forward) {
  const Windowed w(source, dtypes);
  const Array x = source.array(w.x);
  Array y = source.array(w.y);
  Array mask = Source::absent();
  if (!source.rarely(3)) {
    mask = source.array(w.mask_descriptor(source));
  }
  source.check({&y, &mask}, Near::kSame, [&] {
    return forward(x.tensor(), x.data(), &w.window, y.tensor(), y.data(), mask.tensor(),
                   mask.data());
  });
}

void route(Source& source) {
  const Windowed w(source, kGradients);
  const Array dy = source.array(w.y);
  const Array mask = w.mask(source);
  Array dx = source.array(w.x);
  source.check({&dx}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
    return fpool_route_backward(dy.tensor(), dy.data(), mask.tensor(), mask.data(), &w.window,
                                dx.tensor(), dx.data());
  });
}

void expand(Source& source) {
  const Windowed w(source, {FPOOL_F32, FPOOL_U8});
  const Array mask = w.mask(source);
  const auto base = static_cast<std::int32_t>(source.integer(0, 4));
  Array indices = source.array(Source::tensor(w.y, source.rarely(3) ? FPOOL_I32 : FPOOL_I64, {}));
  source.check({&indices}, Near::kSame, [&] {
    return fpool_mask_expand(&w.x, &w.window, mask.tensor(), mask.data(), base, indices.tensor(),
                             indices.data());
  });
}

void average(Source& source) {
  const bool forward = source.choice(2) == 0;
  const Windowed w(source, {FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16, FPOOL_U8, FPOOL_I8});
  const fpool_average divisor{source.rarely(4) ? source.integer(0, 9) : 0, source.choice(2), 0};
  const fpool_average* parameters = source.rarely(64) ? nullptr : &divisor;
  const Array from = source.array(forward ? w.x : w.y);
  Array to = source.array(forward ? w.y : w.x);
  source.check({&to}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
    return (forward ? fpool_avg_forward : fpool_avg_backward)(from.tensor(), from.data(), &w.window,
                                                              parameters, to.tensor(), to.data());
  });
}

void stochastic(Source& source) {
  const Windowed w(source, kFloats);
  const Array x = source.array(w.x);
  if (source.choice(3) == 0) {
    const Array dy = source.array(w.y);
    Array dx = source.array(w.x);
    source.check({&dx}, Near::kAnywhere, [&] {
      return fpool_stochastic_backward(dy.tensor(), dy.data(), x.tensor(), x.data(), &w.window,
                                       dx.tensor(), dx.data());
    });
    return;
  }
  const fpool_stochastic parameters{source.seed(), source.choice(2), 0};
  Array y = source.array(w.y);
  Array mask = Source::absent();
  if (parameters.training != 0 && !source.rarely(4)) {
    mask = source.array(w.mask_descriptor(source));
  }
  source.check({&y, &mask}, parameters.training != 0 ? Near::kSame : Near::kAnywhere, [&] {
    return fpool_stochastic_forward(x.tensor(), x.data(), &w.window, &parameters, y.tensor(),
                                    y.data(), mask.tensor(), mask.data());
  });
}

void lp(Source& source) {
  const Windowed w(source, kFloats);
  const Array x = source.array(w.x);
  Array y = source.array(w.y);
  const double p = source.real(1, 5);
  if (source.choice(2) == 0) {
    source.check({&y}, Near::kAnywhere, [&] {
      return fpool_lp_forward(x.tensor(), x.data(), &w.window, p, y.tensor(), y.data());
    });
    return;
  }
  const Array dy = source.array(w.y);
  Array dx = source.array(w.x);
  source.check({&dx}, Near::kAnywhere, [&] {
    return fpool_lp_backward(x.tensor(), x.data(), y.tensor(), y.data(), dy.tensor(), dy.data(),
                             &w.window, p, dx.tensor(), dx.data());
  });
}

void gem(Source& source) {
  const Windowed w(source, kFloats);
  const Array x = source.array(w.x);
  Array y = source.array(w.y);
  const std::int64_t channels = std::clamp<std::int64_t>(w.x.extents[1], 1, 99);
  const std::vector<double> p = source.reals(source.choice(2) == 0 ? 1 : channels, 0.1, 5);
  const auto count = static_cast<std::int64_t>(p.size());
  const double epsilon = source.real(1e-9, 0.1);
  if (source.choice(2) == 0) {
    source.check({&y}, Near::kAnywhere, [&] {
      return fpool_gem_forward(x.tensor(), x.data(), &w.window, p.data(), count, epsilon,
                               y.tensor(), y.data());
    });
    return;
  }
  const Array dy = source.array(w.y);
  Array dx = source.array(w.x);
  Array dp = source.numbers(count);
  source.check({&dx, &dp}, Near::kAnywhere, [&] {
    return fpool_gem_backward(x.tensor(), x.data(), y.tensor(), y.data(), dy.tensor(), dy.data(),
                              &w.window, p.data(), count, epsilon, dx.tensor(), dx.data(),
                              static_cast<double*>(dp.data()));
  });
}

void mixed_add(Source& source) {
  const Windowed w(source, kFloats);
  const Array x = source.array(w.x);
  const std::int64_t channels = std::clamp<std::int64_t>(w.x.extents[1], 1, 99);
  const std::vector<double> alpha = source.reals(source.choice(2) == 0 ? 1 : channels, 0, 1);
  const auto count = static_cast<std::int64_t>(alpha.size());
  if (source.choice(2) == 0) {
    Array y = source.array(w.y);
    source.check({&y}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
      return fpool_mixed_add_forward(x.tensor(), x.data(), &w.window, alpha.data(), count,
                                     y.tensor(), y.data());
    });
    return;
  }
  const Array dy = source.array(w.y);
  Array dx = source.array(w.x);
  Array dalpha = source.numbers(count);
  source.check({&dx, &dalpha}, Near::kAnywhere, [&] {
    return fpool_mixed_add_backward(x.tensor(), x.data(), dy.tensor(), dy.data(), &w.window,
                                    alpha.data(), count, dx.tensor(), dx.data(),
                                    static_cast<double*>(dalpha.data()));
  });
}

void mixed_cat(Source& source) {
  const Windowed w(source, kFloats);
  const Array x = source.array(w.x);
  fpool_tensor both = w.y;
  if (both.extents[1] > 0 && both.extents[1] < 99) both.extents[1] *= 2;
  if (source.choice(2) == 0) {
    Array y = source.array(both);
    source.check({&y}, source.tame() ? Near::kRounded : Near::kAnywhere, [&] {
      return fpool_mixed_cat_forward(x.tensor(), x.data(), &w.window, y.tensor(), y.data());
    });
    return;
  }
  const Array dy = source.array(both);
  Array dx = source.array(w.x);
  source.check({&dx}, Near::kAnywhere, [&] {
    return fpool_mixed_cat_backward(x.tensor(), x.data(), dy.tensor(), dy.data(), &w.window,
                                    dx.tensor(), dx.data());
  });
}

}  // namespace
}  // namespace featurepool::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace featurepool::fuzz;
  static constexpr std::initializer_list<std::int32_t> kAll = {
      FPOOL_F32, FPOOL_F64, FPOOL_F16, FPOOL_BF16, FPOOL_U8, FPOOL_I8, FPOOL_I32};
  Source source(data, size);
  switch (source.choice(10)) {
    case 0:
      select(source, kAll, fpool_max_forward);
      break;
    case 1:
      select(source, kAll, fpool_min_forward);
      break;
    case 2:
      select(source, {FPOOL_F32, FPOOL_F64, FPOOL_U8}, fpool_median_forward);
      break;
    case 3:
      route(source);
      break;
    case 4:
      expand(source);
      break;
    case 5:
      average(source);
      break;
    case 6:
      stochastic(source);
      break;
    case 7:
      lp(source);
      break;
    case 8:
      gem(source);
      break;
    default:
      source.choice(2) == 0 ? mixed_add(source) : mixed_cat(source);
  }
  return 0;
}
