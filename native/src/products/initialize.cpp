// Initial parameters of a NetVLAD: k-means++ (Arthur and Vassilvitskii 2007), Lloyd's iterations,
// and assignment weights as the paper has them.

#include "products/initialize.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "dispatch/threads.hpp"
#include "geometry/dtype.hpp"
#include "geometry/error.hpp"
#include "products/matrix.hpp"

namespace featurepool {
namespace {

// Enough for centres that good seeding put where they belong; the network trains them on.
constexpr int kLloydIterations = 10;

/** SplitMix64 (Steele, Lea and Flood 2014). */
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  /** Uniform in [0, 1). */
  double fraction() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return static_cast<double>(z >> 11) * 0x1p-53;
  }

 private:
  std::uint64_t state_;
};

template <typename T>
double squared_distance(const T* a, const T* b, std::int64_t n) {
  // Independent sums, in an order that does not depend on what the compiler makes of it.
  constexpr std::int64_t kSums = 8;
  std::array<double, kSums> sums{};
  std::int64_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::int64_t j = 0; j < kSums; ++j) {
      const double difference = static_cast<double>(a[i + j]) - b[i + j];
      sums[static_cast<std::size_t>(j)] += difference * difference;
    }
  }
  double sum = 0;
  for (; i < n; ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  for (const double part : sums) sum += part;
  return sum;
}

/** The sample: descriptors one after the other, normalised if the operator does that. */
template <typename T>
class Sample {
 public:
  explicit Sample(const NetVlad& call)
      : channels_(call.channels),
        values_(static_cast<std::size_t>(call.batch * call.length * call.channels)) {
    T* descriptor = values_.data();
    for (std::int64_t image = 0; image < call.batch; ++image) {
      const auto x = image_at<const T>(call.x, image, call.channels, call.length, call.layout);
      for (std::int64_t l = 0; l < call.length; ++l, descriptor += channels_) {
        double squares = 0;
        for (std::int64_t d = 0; d < channels_; ++d) {
          descriptor[d] = x(d, l);
          squares += static_cast<double>(descriptor[d]) * descriptor[d];
          if (!std::isfinite(descriptor[d])) {
            fail(FPOOL_ERROR_INVALID_ARGUMENT, "descriptors holds ", descriptor[d], " in channel ",
                 d, " at position ", l, " of image ", image, "; sample descriptors must be finite");
          }
        }
        if (!call.normalize_descriptors) continue;
        const double norm = std::max(std::sqrt(squares), kLeastNorm);
        for (std::int64_t d = 0; d < channels_; ++d) {
          descriptor[d] = static_cast<T>(descriptor[d] / norm);
        }
      }
    }
  }

  std::int64_t size() const { return static_cast<std::int64_t>(values_.size()) / channels_; }
  const T* operator[](std::int64_t i) const {
    return &values_[static_cast<std::size_t>(i * channels_)];
  }

  /** Calls f(i) for every descriptor, on all threads. */
  template <class F>
  void for_each(const F& f) const {
    dispatch::parallel_for(size(), dispatch::get_threads(), [&](Span span) {
      for (std::int64_t i = span.begin; i < span.end; ++i) f(i);
    });
  }

 private:
  std::int64_t channels_;
  std::vector<T> values_;
};

template <typename T>
using Centers = std::vector<T>;

/** k-means++: each centre is a descriptor drawn by its squared distance to those before. */
template <typename T>
Centers<T> seed_centers(const NetVlad& call, const Sample<T>& sample, Random random) {
  const auto size = static_cast<std::size_t>(sample.size());
  std::vector<double> nearest(size, std::numeric_limits<double>::infinity());
  Centers<T> centers;
  auto drawn = static_cast<std::int64_t>(random.fraction() * static_cast<double>(size));
  for (std::int64_t t = 0; t < call.terms; ++t) {
    if (t > 0) {
      double total = 0;
      for (const double distance : nearest) total += distance;
      if (total == 0) {
        fail(FPOOL_ERROR_INVALID_ARGUMENT, "descriptors has ", t, " different ones; ", call.terms,
             " clusters and ghosts need at least ", call.terms);
      }
      // The last that can be drawn stands in for a sum that rounding keeps below the draw.
      double left = random.fraction() * total;
      for (std::size_t i = 0; i < size; ++i) {
        if (nearest[i] == 0) continue;
        drawn = static_cast<std::int64_t>(i);
        left -= nearest[i];
        if (left < 0) break;
      }
    }
    centers.insert(centers.end(), sample[drawn], sample[drawn] + call.channels);
    const T* const center = &centers[static_cast<std::size_t>(t * call.channels)];
    sample.for_each([&](std::int64_t i) {
      double& distance = nearest[static_cast<std::size_t>(i)];
      distance = std::min(distance, squared_distance(sample[i], center, call.channels));
    });
  }
  return centers;
}

/**
 * Lloyd's iterations: the nearest centre is the hard assignment by weights 2c and biases -|c|^2,
 * and a cluster's residual over its number is how far its mean is from its centre.
 */
template <typename T>
void move_centers(const NetVlad& call, const Sample<T>& sample, Centers<T>& centers) {
  const auto terms = static_cast<std::size_t>(call.terms);
  Centers<T> weights(centers.size());
  Centers<T> residuals(centers.size());
  std::vector<T> biases(terms);
  std::vector<T> assignments(terms * static_cast<std::size_t>(sample.size()));

  NetVlad step;
  step.batch = 1;
  step.channels = call.channels;
  step.length = sample.size();
  step.clusters = step.terms = call.terms;
  step.layout = Layout::interleaved;
  step.dtype = call.dtype;
  step.hard = true;
  std::vector<T> sums(terms * static_cast<std::size_t>(step.blocks()));
  step.x = sample[0];
  step.weights = weights.data();
  step.biases = biases.data();
  step.centroids = centers.data();
  step.assignments = assignments.data();
  step.sums = sums.data();
  step.residuals = residuals.data();
  const std::vector<T> zero(static_cast<std::size_t>(call.channels));

  for (int iteration = 0; iteration < kLloydIterations; ++iteration) {
    for (std::size_t i = 0; i < centers.size(); ++i) weights[i] = 2 * centers[i];
    for (std::size_t t = 0; t < terms; ++t) {
      const T* const center = &centers[t * static_cast<std::size_t>(call.channels)];
      biases[t] = static_cast<T>(-squared_distance(center, zero.data(), call.channels));
    }
    for (const Operation operation : {Operation::netvlad_assign, Operation::netvlad_aggregate}) {
      step.operation = operation;
      dispatch::run(step);
    }
    for (std::size_t t = 0; t < terms; ++t) {
      T number = 0;
      for (std::size_t i = t; i < sums.size(); i += terms) number += sums[i];
      if (number == 0) continue;
      for (std::int64_t d = 0; d < call.channels; ++d) {
        const std::size_t i =
            t * static_cast<std::size_t>(call.channels) + static_cast<std::size_t>(d);
        centers[i] += residuals[i] / number;
      }
    }
  }
}

/** Mean over the sample of what the second nearest centre is further away, in squared distance. */
template <typename T>
double mean_gap(const NetVlad& call, const Sample<T>& sample, const Centers<T>& centers) {
  std::vector<double> gaps(static_cast<std::size_t>(sample.size()));
  sample.for_each([&](std::int64_t i) {
    double first = std::numeric_limits<double>::infinity();
    double second = first;
    for (std::int64_t t = 0; t < call.terms; ++t) {
      const double distance = squared_distance(
          sample[i], &centers[static_cast<std::size_t>(t * call.channels)], call.channels);
      second = std::min(second, std::max(first, distance));
      first = std::min(first, distance);
    }
    gaps[static_cast<std::size_t>(i)] = second - first;
  });
  double sum = 0;
  for (const double gap : gaps) sum += gap;
  return sum / static_cast<double>(gaps.size());
}

template <typename T>
void initialize(const NetVlad& call, std::uint64_t seed, T* weights, T* biases, T* centroids) {
  const Sample<T> sample(call);
  Centers<T> centers = seed_centers(call, sample, Random(seed));
  move_centers(call, sample, centers);
  // Without a second centre, or a gap to it, any alpha is as good.
  const double gap = call.terms == 1 ? 0 : mean_gap(call, sample, centers);
  const double alpha = gap > 0 ? -std::log(0.01) / gap : 1;
  for (std::int64_t t = 0; t < call.terms; ++t) {
    double squares = 0;
    for (std::int64_t d = 0; d < call.channels; ++d) {
      const std::int64_t i = t * call.channels + d;
      const double value = centers[static_cast<std::size_t>(i)];
      squares += value * value;
      weights[i] = static_cast<T>(2 * alpha * value);
      if (t < call.clusters) centroids[i] = static_cast<T>(value);
    }
    biases[t] = static_cast<T>(-alpha * squares);
  }
}

}  // namespace

void initialize(const NetVlad& call, std::uint64_t seed, void* weights, void* biases,
                void* centroids) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    initialize(call, seed, static_cast<T*>(weights), static_cast<T*>(biases),
               static_cast<T*>(centroids));
  });
}

}  // namespace featurepool
