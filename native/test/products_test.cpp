// Bilinear pooling and NetVLAD: every kernel at every tier against formulas in f64, and gradients
// against differences of those formulas.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "featurepool/featurepool.h"
#include "geometry/dtype.hpp"
#include "support/guarded_memory.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

using Values = std::vector<double>;

fpool_tensor tensor_of(std::int32_t dtype, std::int32_t layout, std::int64_t n, std::int64_t c,
                       std::int64_t h, std::int64_t w) {
  const std::int64_t size = dtype == FPOOL_F32 ? 4 : 8;
  return {dtype, layout, 2, 0, {n, c, h, w, 1}, n * c * h * w * size};
}

/** A tensor at an edge of guarded memory, filled and read in logical order. */
class Operand {
 public:
  Operand(std::int32_t dtype, std::int32_t layout, std::int64_t n, std::int64_t c, std::int64_t h,
          std::int64_t w, Edge edge)
      : tensor(tensor_of(dtype, layout, n, c, h, w)),
        memory_(static_cast<std::size_t>(std::max<std::int64_t>(tensor.byte_size, 1))),
        data(memory_.place(static_cast<std::size_t>(tensor.byte_size), edge)) {}

  std::int64_t size() const {
    return tensor.extents[0] * tensor.extents[1] * tensor.extents[2] * tensor.extents[3];
  }

  void fill(const Values& values) const {
    for (std::int64_t i = 0; i < size(); ++i) {
      const double value = values[static_cast<std::size_t>(i)];
      if (tensor.dtype == FPOOL_F32) {
        static_cast<float*>(data)[place(i)] = static_cast<float>(value);
      } else {
        static_cast<double*>(data)[place(i)] = value;
      }
    }
  }

  Values values() const {
    Values result;
    for (std::int64_t i = 0; i < size(); ++i) {
      result.push_back(tensor.dtype == FPOOL_F32 ? static_cast<const float*>(data)[place(i)]
                                                 : static_cast<const double*>(data)[place(i)]);
    }
    return result;
  }

  bool intact() const { return memory_.margin_intact(); }

 private:
  std::int64_t place(std::int64_t logical) const {
    if (tensor.layout == FPOOL_PLANAR) return logical;
    const std::int64_t plane = tensor.extents[2] * tensor.extents[3];
    const std::int64_t channels = tensor.extents[1];
    const std::int64_t image = logical / (plane * channels);
    return (image * plane + logical % plane) * channels + logical / plane % channels;
  }

 public:
  fpool_tensor tensor;

 private:
  GuardedMemory memory_;

 public:
  void* data;
};

/** Values of the precision that they will have. */
Values random_values(Random& random, std::int64_t size, double scale = 1) {
  Values values;
  for (std::int64_t i = 0; i < size; ++i) {
    values.push_back(static_cast<float>((random.fraction() * 2 - 1) * scale));
  }
  return values;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/** Central differences of the sum of weights times f, at every element of `at`. */
Values differences(const std::function<Values(const Values&)>& f, Values at,
                   const Values& weights) {
  constexpr double kStep = 1e-5;
  Values result;
  for (double& value : at) {
    const double before = value;
    value = before + kStep;
    const double above = dot(f(at), weights);
    value = before - kStep;
    const double below = dot(f(at), weights);
    value = before;
    result.push_back((above - below) / (2 * kStep));
  }
  return result;
}

/**
 * Largest difference over the largest magnitude, which is at least 1/100: gradients may cancel to
 * nothing but rounding.
 */
double deviation(const Values& expected, const Values& actual) {
  constexpr double kLeast = 1e-2;
  double difference = 0;
  double magnitude = kLeast;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) != std::isnan(actual[i])) {
      return std::numeric_limits<double>::infinity();
    }
    difference = std::max(difference, std::abs(expected[i] - actual[i]));
    magnitude = std::max(magnitude, std::abs(expected[i]));
  }
  return difference / magnitude;
}

/** Runs a check with every kernel at every tier, and afterwards with what the environment says. */
void with_every_kernel(const std::function<void(const std::string&)>& check) {
  for (const std::string kernel : {"eigen", "reference"}) {
    for (const std::string& tier : dispatch::tiers()) {
      dispatch::use_kernel(kernel);
      dispatch::use_tier(tier);
      std::ostringstream where;
      where << "kernel " << kernel << " at " << tier;
      check(where.str());
      if (kernel == "reference") break;
    }
  }
  dispatch::use_kernel("");
  dispatch::use_tier("");
  dispatch::set_threads(0);
}

// --- bilinear -----------------------------------------------------------------------------------

struct BilinearCase {
  std::int64_t n = 2, rows = 3, columns = 0, h = 2, w = 3;  // no columns: homogeneous
  bool signed_root = true;
  bool l2 = true;
  std::int32_t dtype = FPOOL_F64;
  std::int32_t layout = FPOOL_PLANAR;
  Edge edge = Edge::end;

  bool homogeneous() const { return columns == 0; }
  std::int64_t length() const { return h * w; }
  std::int64_t size_a() const { return n * rows * length(); }
  std::int64_t size_b() const { return n * columns * length(); }
  std::int64_t outputs() const { return rows * (homogeneous() ? rows : columns); }
  fpool_bilinear parameters() const { return {signed_root, l2, 0}; }

  std::string describe() const {
    std::ostringstream text;
    text << (dtype == FPOOL_F32 ? "f32 " : "f64 ")
         << (layout == FPOOL_PLANAR ? "planar" : "interleaved") << " n " << n << " rows " << rows
         << " columns " << columns << " " << h << "x" << w << " root " << signed_root << " l2 "
         << l2;
    return text.str();
  }
};

/** The seed's listing, line by line. */
Values bilinear(const BilinearCase& c, const Values& a, const Values& b) {
  const Values& second = c.homogeneous() ? a : b;
  const std::int64_t columns = c.homogeneous() ? c.rows : c.columns;
  Values result;
  for (std::int64_t image = 0; image < c.n; ++image) {
    Values x;
    for (std::int64_t i = 0; i < c.rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (std::int64_t l = 0; l < c.length(); ++l) {
          sum += a[static_cast<std::size_t>((image * c.rows + i) * c.length() + l)] *
                 second[static_cast<std::size_t>((image * columns + j) * c.length() + l)];
        }
        x.push_back(sum / static_cast<double>(c.length()));
      }
    }
    if (c.signed_root) {
      for (double& p : x) {
        p = (p > 0 ? 1.0 : p < 0 ? -1.0 : p) * std::sqrt(std::abs(p) + 1e-5);
      }
    }
    if (c.l2) {
      const double norm = std::sqrt(dot(x, x));
      for (double& p : x) p /= norm < 1e-12 ? 1e-12 : norm;
    }
    result.insert(result.end(), x.begin(), x.end());
  }
  return result;
}

struct BilinearRun {
  Values y, da, db;
};

BilinearRun run(const BilinearCase& c, const Values& a, const Values& b, const Values& dy) {
  const Operand first(c.dtype, c.layout, c.n, c.rows, c.h, c.w, c.edge);
  const Operand da(c.dtype, c.layout, c.n, c.rows, c.h, c.w, c.edge);
  const std::int64_t columns = std::max<std::int64_t>(1, c.columns);
  const Operand second(c.dtype, c.layout, c.n, columns, c.h, c.w, c.edge);
  const Operand db(c.dtype, c.layout, c.n, columns, c.h, c.w, c.edge);
  const Operand y(c.dtype, c.layout, c.n, c.outputs(), 1, 1, c.edge);
  const Operand gradient(c.dtype, c.layout, c.n, c.outputs(), 1, 1, c.edge);
  first.fill(a);
  gradient.fill(dy);
  const fpool_bilinear parameters = c.parameters();
  const fpool_tensor* b_tensor = nullptr;
  const fpool_tensor* db_tensor = nullptr;
  if (!c.homogeneous()) {
    second.fill(b);
    b_tensor = &second.tensor;
    db_tensor = &db.tensor;
  }
  void* const b_data = c.homogeneous() ? nullptr : second.data;
  void* const db_data = c.homogeneous() ? nullptr : db.data;
  EXPECT_EQ(FPOOL_OK, fpool_bilinear_forward(&first.tensor, first.data, b_tensor, b_data,
                                             &parameters, &y.tensor, y.data))
      << fpool_last_error();
  EXPECT_EQ(FPOOL_OK, fpool_bilinear_backward(&gradient.tensor, gradient.data, &first.tensor,
                                              first.data, b_tensor, b_data, &parameters, &da.tensor,
                                              da.data, db_tensor, db_data))
      << fpool_last_error();
  EXPECT_TRUE(y.intact() && da.intact() && db.intact());
  return {y.values(), da.values(), c.homogeneous() ? Values() : db.values()};
}

/** Features whose products keep away from 0, where the signed root jumps. */
Values features(Random& random, std::int64_t size) {
  Values values;
  for (std::int64_t i = 0; i < size; ++i) values.push_back(random.fraction() + 0.25f);
  return values;
}

TEST(Bilinear, EveryKernelComputesTheFormulaAndItsSlope) {
  with_every_kernel([](const std::string& where) {
    Random random(1);
    for (int number = 0; number < 60; ++number) {
      BilinearCase c;
      c.n = random.between(1, 3);
      c.rows = random.between(1, 9);
      c.columns = random.one_in(2) ? 0 : random.between(1, 9);
      c.h = random.between(1, 4);
      c.w = random.between(1, 4);
      c.signed_root = !random.one_in(3);
      c.l2 = !random.one_in(3);
      c.dtype = random.one_in(2) ? FPOOL_F32 : FPOOL_F64;
      c.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
      c.edge = random.one_in(2) ? Edge::begin : Edge::end;
      SCOPED_TRACE(where + ": " + c.describe());
      const Values a = features(random, c.size_a());
      const Values b = features(random, c.size_b());
      const Values dy = random_values(random, c.n * c.outputs());
      const double bound = c.dtype == FPOOL_F32 ? 2e-5 : 1e-7;
      const BilinearRun actual = run(c, a, b, dy);
      EXPECT_LT(deviation(bilinear(c, a, b), actual.y), c.dtype == FPOOL_F32 ? 1e-6 : 1e-14);
      EXPECT_LT(deviation(differences([&](const Values& v) { return bilinear(c, v, b); }, a, dy),
                          actual.da),
                bound);
      if (!c.homogeneous()) {
        EXPECT_LT(deviation(differences([&](const Values& v) { return bilinear(c, a, v); }, b, dy),
                            actual.db),
                  bound);
      }
    }
  });
}

TEST(Bilinear, ManyBlocksGiveTheSameBitsForEveryNumberOfThreads) {
  for (const std::int32_t dtype : {FPOOL_F32, FPOOL_F64}) {
    for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
      for (const std::int64_t columns : {0, 131}) {
        BilinearCase c;
        c.rows = 261;
        c.columns = columns;
        c.h = 17;
        c.w = 16;
        c.dtype = dtype;
        c.layout = layout;
        Random random(2);
        const Values a = features(random, c.size_a());
        const Values b = features(random, c.size_b());
        const Values dy = random_values(random, c.n * c.outputs());
        dispatch::use_kernel("reference");
        const BilinearRun expected = run(c, a, b, dy);
        dispatch::use_kernel("");
        const double bound = dtype == FPOOL_F32 ? 2e-5 : 1e-12;
        for (const std::string& tier : dispatch::tiers()) {
          SCOPED_TRACE(tier + ": " + c.describe());
          dispatch::use_tier(tier);
          dispatch::set_threads(1);
          const BilinearRun alone = run(c, a, b, dy);
          EXPECT_LT(deviation(expected.y, alone.y), bound);
          EXPECT_LT(deviation(expected.da, alone.da), bound);
          if (columns > 0) {
            EXPECT_LT(deviation(expected.db, alone.db), bound);
          }
          for (const int threads : {2, 5}) {
            dispatch::set_threads(threads);
            const BilinearRun together = run(c, a, b, dy);
            EXPECT_EQ(alone.y, together.y);
            EXPECT_EQ(alone.da, together.da);
            EXPECT_EQ(alone.db, together.db);
          }
        }
        dispatch::use_tier("");
        dispatch::set_threads(0);
      }
    }
  }
}

TEST(Bilinear, AHomogeneousProductIsSymmetric) {
  BilinearCase c;
  c.rows = 150;
  c.h = c.w = 9;
  c.dtype = FPOOL_F32;
  Random random(3);
  const Values a = random_values(random, c.size_a());
  const Values y = run(c, a, {}, random_values(random, c.n * c.outputs())).y;
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      ASSERT_EQ(y[static_cast<std::size_t>(i * c.rows + j)],
                y[static_cast<std::size_t>(j * c.rows + i)]);
    }
  }
}

TEST(Bilinear, ZerosStayZerosAndNanSpreads) {
  with_every_kernel([](const std::string& where) {
    for (const bool root : {true, false}) {
      for (const std::int64_t columns : {0, 4}) {
        SCOPED_TRACE(where);
        BilinearCase c;
        c.columns = columns;
        c.signed_root = root;
        Values a(static_cast<std::size_t>(c.size_a()));
        const Values b(static_cast<std::size_t>(c.size_b()), 1.0);
        const Values dy(static_cast<std::size_t>(c.n * c.outputs()), 1.0);
        const BilinearRun zeros = run(c, a, b, dy);
        for (const Values& values : {zeros.y, zeros.da, zeros.db}) {
          for (const double value : values) EXPECT_EQ(0, value);
        }
        a[0] = std::numeric_limits<double>::quiet_NaN();
        const Values y = run(c, a, b, dy).y;
        const auto half = static_cast<std::size_t>(c.outputs());
        for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(i < half, std::isnan(y[i]));
      }
    }
  });
}

// --- NetVLAD ------------------------------------------------------------------------------------

struct NetVladCase {
  std::int64_t n = 2, d = 4, h = 2, w = 3, clusters = 3, ghosts = 0;
  bool hard = false;
  bool normalize = false;
  std::int32_t dtype = FPOOL_F64;
  std::int32_t layout = FPOOL_PLANAR;
  Edge edge = Edge::end;

  std::int64_t length() const { return h * w; }
  std::int64_t terms() const { return clusters + ghosts; }
  std::int64_t size_x() const { return n * d * length(); }
  std::int64_t outputs() const { return clusters * d; }
  fpool_netvlad parameters() const { return {clusters, ghosts, hard, normalize}; }

  std::string describe() const {
    std::ostringstream text;
    text << (dtype == FPOOL_F32 ? "f32 " : "f64 ")
         << (layout == FPOOL_PLANAR ? "planar" : "interleaved") << " n " << n << " d " << d << " "
         << h << "x" << w << " clusters " << clusters << " ghosts " << ghosts << " hard " << hard
         << " normalize " << normalize;
    return text.str();
  }
};

struct NetVladValues {
  Values x, weights, biases, centroids;
};

void normalize(Values& values) {
  const double norm = std::sqrt(dot(values, values));
  for (double& value : values) value /= norm < 1e-12 ? 1e-12 : norm;
}

Values row(const Values& matrix, std::int64_t index, std::int64_t columns) {
  const auto begin = matrix.begin() + index * columns;
  return {begin, begin + columns};
}

struct NetVladResult {
  Values y;
  Values assignments;
  Values residuals;
};

/** The paper's formulas, descriptor by descriptor. */
NetVladResult steps_of_netvlad(const NetVladCase& c, const NetVladValues& v) {
  NetVladResult result;
  result.assignments.resize(static_cast<std::size_t>(c.n * c.terms() * c.length()));
  for (std::int64_t image = 0; image < c.n; ++image) {
    std::vector<Values> residuals(static_cast<std::size_t>(c.clusters),
                                  Values(static_cast<std::size_t>(c.d)));
    for (std::int64_t l = 0; l < c.length(); ++l) {
      Values x;
      for (std::int64_t d = 0; d < c.d; ++d) {
        x.push_back(v.x[static_cast<std::size_t>((image * c.d + d) * c.length() + l)]);
      }
      const double norm = std::sqrt(dot(x, x));
      if (c.normalize) normalize(x);
      Values a;
      for (std::int64_t t = 0; t < c.terms(); ++t) {
        a.push_back(dot(row(v.weights, t, c.d), x) + v.biases[static_cast<std::size_t>(t)]);
      }
      const auto most = std::max_element(a.begin(), a.end());
      if (c.hard) {
        const auto best = most - a.begin();
        std::fill(a.begin(), a.end(), 0.0);
        a[static_cast<std::size_t>(best)] = 1;
      } else {
        const double largest = *most;
        double sum = 0;
        for (double& value : a) sum += value = std::exp(value - largest);
        for (double& value : a) value /= sum;
      }
      for (std::int64_t t = 0; t < c.terms(); ++t) {
        result.assignments[static_cast<std::size_t>((image * c.terms() + t) * c.length() + l)] =
            a[static_cast<std::size_t>(t)] / (c.normalize ? norm : 1);
      }
      for (std::int64_t k = 0; k < c.clusters; ++k) {
        const Values centroid = row(v.centroids, k, c.d);
        for (std::size_t d = 0; d < x.size(); ++d) {
          residuals[static_cast<std::size_t>(k)][d] +=
              a[static_cast<std::size_t>(k)] * (x[d] - centroid[d]);
        }
      }
    }
    Values flat;
    for (Values& residual : residuals) {
      result.residuals.insert(result.residuals.end(), residual.begin(), residual.end());
      normalize(residual);
      flat.insert(flat.end(), residual.begin(), residual.end());
    }
    normalize(flat);
    result.y.insert(result.y.end(), flat.begin(), flat.end());
  }
  return result;
}

Values netvlad(const NetVladCase& c, const NetVladValues& v) { return steps_of_netvlad(c, v).y; }

struct NetVladRun {
  Values y;
  Values assignments;
  Values residuals;
  NetVladValues gradients;
};

/** Both directions, with and without intermediates, which must agree. */
NetVladRun run(const NetVladCase& c, const NetVladValues& v, const Values& dy) {
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    return Operand(c.dtype, FPOOL_PLANAR, rows, columns, 1, 1, c.edge);
  };
  const Operand x(c.dtype, c.layout, c.n, c.d, c.h, c.w, c.edge);
  const Operand dx(c.dtype, c.layout, c.n, c.d, c.h, c.w, c.edge);
  const Operand weights = matrix(c.terms(), c.d), dweights = matrix(c.terms(), c.d);
  const Operand biases = matrix(1, c.terms()), dbiases = matrix(1, c.terms());
  const Operand centroids = matrix(c.clusters, c.d), dcentroids = matrix(c.clusters, c.d);
  const Operand y = matrix(c.n, c.outputs()), gradient = matrix(c.n, c.outputs());
  x.fill(v.x);
  weights.fill(v.weights);
  biases.fill(v.biases);
  centroids.fill(v.centroids);
  gradient.fill(dy);
  const fpool_netvlad parameters = c.parameters();
  EXPECT_EQ(FPOOL_OK, fpool_netvlad_forward(&x.tensor, x.data, &weights.tensor, weights.data,
                                            &biases.tensor, biases.data, &centroids.tensor,
                                            centroids.data, &parameters, &y.tensor, y.data))
      << fpool_last_error();
  EXPECT_EQ(FPOOL_OK,
            fpool_netvlad_backward(&gradient.tensor, gradient.data, &x.tensor, x.data,
                                   &weights.tensor, weights.data, &biases.tensor, biases.data,
                                   &centroids.tensor, centroids.data, &parameters, &dx.tensor,
                                   dx.data, &dweights.tensor, dweights.data, &dbiases.tensor,
                                   dbiases.data, &dcentroids.tensor, dcentroids.data))
      << fpool_last_error();
  const NetVladValues gradients{dx.values(), dweights.values(), dbiases.values(),
                                dcentroids.values()};
  const Values alone = y.values();
  const Operand assignments(c.dtype, FPOOL_PLANAR, c.n, c.terms(), c.h, c.w, c.edge);
  const Operand residuals = matrix(c.n, c.outputs());
  EXPECT_EQ(FPOOL_OK,
            fpool_netvlad_forward_with_intermediates(
                &x.tensor, x.data, &weights.tensor, weights.data, &biases.tensor, biases.data,
                &centroids.tensor, centroids.data, &parameters, &y.tensor, y.data,
                &assignments.tensor, assignments.data, &residuals.tensor, residuals.data))
      << fpool_last_error();
  EXPECT_EQ(alone, y.values());
  const Values kept_assignments = assignments.values();
  const Values kept_residuals = residuals.values();
  EXPECT_EQ(FPOOL_OK,
            fpool_netvlad_backward_with_intermediates(
                &gradient.tensor, gradient.data, &x.tensor, x.data, &weights.tensor, weights.data,
                &biases.tensor, biases.data, &centroids.tensor, centroids.data, &parameters,
                &assignments.tensor, assignments.data, &residuals.tensor, residuals.data,
                &dx.tensor, dx.data, &dweights.tensor, dweights.data, &dbiases.tensor, dbiases.data,
                &dcentroids.tensor, dcentroids.data))
      << fpool_last_error();
  EXPECT_EQ(gradients.x, dx.values());
  EXPECT_EQ(gradients.weights, dweights.values());
  EXPECT_EQ(gradients.biases, dbiases.values());
  if (c.normalize) {  // the sums of assignments are taken after the scales, not before
    EXPECT_LT(deviation(gradients.centroids, dcentroids.values()),
              c.dtype == FPOOL_F32 ? 1e-5 : 1e-13);
  } else {
    EXPECT_EQ(gradients.centroids, dcentroids.values());
  }
  EXPECT_EQ(kept_assignments, assignments.values());
  EXPECT_EQ(kept_residuals, residuals.values());
  for (const Operand* output :
       {&y, &dx, &dweights, &dbiases, &dcentroids, &assignments, &residuals}) {
    EXPECT_TRUE(output->intact());
  }
  return {alone, kept_assignments, kept_residuals, gradients};
}

NetVladValues values_of(const NetVladCase& c, Random& random) {
  return {random_values(random, c.size_x()), random_values(random, c.terms() * c.d, 2),
          random_values(random, c.terms()), random_values(random, c.clusters * c.d)};
}

TEST(NetVlad, EveryKernelComputesTheFormulaAndItsSlope) {
  with_every_kernel([](const std::string& where) {
    Random random(4);
    for (int number = 0; number < 40; ++number) {
      NetVladCase c;
      c.n = random.between(1, 3);
      c.d = random.between(2, 9);
      c.h = random.between(1, 4);
      c.w = random.between(2, 5);
      c.clusters = random.between(1, 5);
      c.ghosts = random.one_in(2) ? 0 : random.between(1, 3);
      c.hard = random.one_in(4);
      c.normalize = random.one_in(2);
      c.dtype = random.one_in(2) ? FPOOL_F32 : FPOOL_F64;
      c.layout = random.one_in(2) ? FPOOL_PLANAR : FPOOL_INTERLEAVED;
      c.edge = random.one_in(2) ? Edge::begin : Edge::end;
      SCOPED_TRACE(where + ": " + c.describe());
      const NetVladValues v = values_of(c, random);
      const Values dy = random_values(random, c.n * c.outputs());
      const NetVladRun actual = run(c, v, dy);
      const NetVladResult expected = steps_of_netvlad(c, v);
      const double rounding = c.dtype == FPOOL_F32 ? 2e-4 : 1e-12;
      EXPECT_LT(deviation(expected.y, actual.y), rounding);
      EXPECT_LT(deviation(expected.assignments, actual.assignments), rounding);
      EXPECT_LT(deviation(expected.residuals, actual.residuals), rounding);
      const double bound = c.dtype == FPOOL_F32 ? 2e-3 : 1e-6;
      const auto slope = [&](Values NetVladValues::*member) {
        return differences(
            [&](const Values& changed) {
              NetVladValues other = v;
              other.*member = changed;
              return netvlad(c, other);
            },
            v.*member, dy);
      };
      for (const auto member : {&NetVladValues::x, &NetVladValues::weights, &NetVladValues::biases,
                                &NetVladValues::centroids}) {
        EXPECT_LT(deviation(slope(member), actual.gradients.*member), bound);
      }
      if (c.hard) {
        for (const double value : actual.gradients.weights) EXPECT_EQ(0, value);
        for (const double value : actual.gradients.biases) EXPECT_EQ(0, value);
      }
    }
  });
}

TEST(NetVlad, ManyBlocksGiveTheSameBitsForEveryNumberOfThreads) {
  for (const std::int32_t dtype : {FPOOL_F32, FPOOL_F64}) {
    for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
      for (const bool option : {false, true}) {
        NetVladCase c;
        c.d = 133;
        c.h = 27;
        c.w = 21;
        c.clusters = 17;
        c.ghosts = option ? 3 : 0;
        c.normalize = option;
        c.dtype = dtype;
        c.layout = layout;
        Random random(5);
        const NetVladValues v = values_of(c, random);
        const Values dy = random_values(random, c.n * c.outputs());
        dispatch::use_kernel("reference");
        const NetVladRun expected = run(c, v, dy);
        dispatch::use_kernel("");
        const double bound = dtype == FPOOL_F32 ? 1e-4 : 1e-12;
        for (const std::string& tier : dispatch::tiers()) {
          SCOPED_TRACE(tier + ": " + c.describe());
          dispatch::use_tier(tier);
          dispatch::set_threads(1);
          const NetVladRun alone = run(c, v, dy);
          EXPECT_LT(deviation(expected.y, alone.y), bound);
          EXPECT_LT(deviation(expected.gradients.x, alone.gradients.x), bound);
          EXPECT_LT(deviation(expected.gradients.weights, alone.gradients.weights), bound);
          EXPECT_LT(deviation(expected.gradients.biases, alone.gradients.biases), bound);
          EXPECT_LT(deviation(expected.gradients.centroids, alone.gradients.centroids), bound);
          for (const int threads : {2, 5}) {
            dispatch::set_threads(threads);
            const NetVladRun together = run(c, v, dy);
            EXPECT_EQ(alone.y, together.y);
            EXPECT_EQ(alone.gradients.x, together.gradients.x);
            EXPECT_EQ(alone.gradients.weights, together.gradients.weights);
            EXPECT_EQ(alone.gradients.biases, together.gradients.biases);
            EXPECT_EQ(alone.gradients.centroids, together.gradients.centroids);
          }
        }
        dispatch::use_tier("");
        dispatch::set_threads(0);
      }
    }
  }
}

TEST(NetVlad, AnImageGivesTheSameBitsWhereverItLies) {
  for (const std::int32_t dtype : {FPOOL_F32, FPOOL_F64}) {
    for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
      NetVladCase batch;
      batch.n = 5;
      batch.h = 3;
      batch.w = 5;  // images of an odd number of elements: their rows are aligned in every way
      batch.d = 3;
      batch.ghosts = 1;
      batch.normalize = true;
      batch.dtype = dtype;
      batch.layout = layout;
      NetVladCase single = batch;
      single.n = 1;
      SCOPED_TRACE(batch.describe());
      Random random(11);
      const NetVladValues values = values_of(batch, random);
      const Values dy = random_values(random, batch.n * batch.outputs());
      const NetVladRun all = run(batch, values, dy);
      for (std::int64_t image = 0; image < batch.n; ++image) {
        NetVladValues own = values;
        own.x = row(values.x, image, single.size_x());
        const NetVladRun alone = run(single, own, row(dy, image, batch.outputs()));
        EXPECT_EQ(alone.y, row(all.y, image, batch.outputs())) << "image " << image;
        EXPECT_EQ(alone.gradients.x, row(all.gradients.x, image, single.size_x()))
            << "image " << image;
      }
    }
  }
}

TEST(NetVlad, LargeScoresDoNotOverflow) {
  with_every_kernel([](const std::string& where) {
    SCOPED_TRACE(where);
    NetVladCase c;
    Random random(6);
    NetVladValues v = values_of(c, random);
    for (double& weight : v.weights) weight *= 1e6;
    const NetVladRun actual = run(c, v, Values(static_cast<std::size_t>(c.n * c.outputs()), 1.0));
    EXPECT_LT(deviation(netvlad(c, v), actual.y), 1e-12);
    for (const double value : actual.gradients.x) EXPECT_TRUE(std::isfinite(value));
  });
}

TEST(NetVlad, AResidualOfZeroStaysZero) {
  with_every_kernel([](const std::string& where) {
    for (const std::int32_t dtype : {FPOOL_F32, FPOOL_F64}) {
      for (const std::int32_t layout : {FPOOL_PLANAR, FPOOL_INTERLEAVED}) {
        NetVladCase c;
        c.d = 7;
        c.h = 19;
        c.w = 23;
        c.dtype = dtype;
        c.layout = layout;
        SCOPED_TRACE(where + ": " + c.describe());
        Random random(8);
        NetVladValues v = values_of(c, random);
        // Every descriptor is the first cluster's centroid.
        for (std::size_t i = 0; i < v.x.size(); ++i) {
          v.x[i] = v.centroids[i / static_cast<std::size_t>(c.length()) % 7];
        }
        const NetVladRun actual = run(c, v, random_values(random, c.n * c.outputs()));
        for (std::size_t i = 0; i < actual.y.size(); ++i) {
          const bool first = i % static_cast<std::size_t>(c.outputs()) < 7;
          EXPECT_EQ(first, actual.y[i] == 0) << i;
        }
        for (const double value : actual.gradients.x) EXPECT_TRUE(std::isfinite(value));
        for (std::size_t d = 0; d < 7; ++d) EXPECT_EQ(0, actual.gradients.centroids[d]);
      }
    }
  });
}

TEST(NetVlad, AnEmptyBatchHasParameterGradientsOfZero) {
  with_every_kernel([](const std::string& where) {
    SCOPED_TRACE(where);
    NetVladCase c;
    c.n = 0;
    Random random(7);
    const NetVladRun actual = run(c, values_of(c, random), {});
    for (const Values& values :
         {actual.gradients.weights, actual.gradients.biases, actual.gradients.centroids}) {
      for (const double value : values) EXPECT_EQ(0, value);
    }
  });
}

}  // namespace
}  // namespace featurepool::testing
