// NetVLAD and its gradients, step by step.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "geometry/dtype.hpp"
#include "products/matrix.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

using Values = std::vector<double>;

/** What the steps see of one image. */
template <typename T>
struct Image {
  Image(const NetVlad& call, std::int64_t index)
      : x(image_at<const T>(call.x, index, call.channels, call.length, call.layout)),
        weights(matrix_at<const T>(call.weights, 0, call.terms, call.channels)),
        centroids(matrix_at<const T>(call.centroids, 0, call.clusters, call.channels)),
        assignments(matrix_at<T>(call.assignments, index, call.terms, call.length)),
        sums(matrix_at<T>(call.sums, index, call.blocks(), call.terms)),
        residuals(matrix_at<T>(call.residuals, index, call.clusters, call.channels)),
        scales(call.scales == nullptr ? nullptr
                                      : static_cast<T*>(call.scales) + index * call.length) {}

  /** What makes descriptor `l` one of length 1. */
  double scale(std::int64_t l) const { return scales == nullptr ? 1 : scales[l]; }

  Matrix<const T> x;
  Matrix<const T> weights;
  Matrix<const T> centroids;
  Matrix<T> assignments;
  Matrix<T> sums;
  Matrix<T> residuals;
  T* scales;
};

/** Sum over the channels of row `i` of `rows` times column `l` of `x`. */
template <typename A, typename B>
double product(const Matrix<A>& rows, std::int64_t i, const Matrix<B>& x, std::int64_t l) {
  double sum = 0;
  for (std::int64_t d = 0; d < x.rows; ++d) sum += static_cast<double>(rows(i, d)) * x(d, l);
  return sum;
}

/** In place of scores: assignments. */
void assign_scores(bool hard, Values& scores) {
  const auto most = std::max_element(scores.begin(), scores.end());
  if (hard) {
    const auto best = most - scores.begin();
    std::fill(scores.begin(), scores.end(), 0.0);
    scores[static_cast<std::size_t>(best)] = 1;
    return;
  }
  const double largest = *most;
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
}

/** Keeps what makes descriptor `l` one of length 1, where that is asked for. */
template <typename T>
void find_scale(const NetVlad& call, const Image<T>& image, std::int64_t l) {
  if (image.scales == nullptr) return;
  double squares = 0;
  for (std::int64_t d = 0; d < call.channels; ++d) {
    squares += static_cast<double>(image.x(d, l)) * image.x(d, l);
  }
  const double norm = std::sqrt(squares);
  image.scales[l] = static_cast<T>(1 / (norm < kLeastNorm ? kLeastNorm : norm));
}

template <typename T>
void assign(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  const T* const biases = static_cast<const T*>(call.biases);
  std::fill_n(image.sums.data, call.blocks() * call.terms, T(0));
  Values scores(static_cast<std::size_t>(call.terms));
  for (std::int64_t l = 0; l < call.length; ++l) {
    find_scale(call, image, l);
    for (std::int64_t t = 0; t < call.terms; ++t) {
      scores[static_cast<std::size_t>(t)] =
          product(image.weights, t, image.x, l) * image.scale(l) + biases[t];
    }
    assign_scores(call.hard, scores);
    for (std::int64_t t = 0; t < call.terms; ++t) {
      const double a = scores[static_cast<std::size_t>(t)];
      image.assignments(t, l) = static_cast<T>(a * image.scale(l));
      image.sums(l / NetVlad::kBlock, t) += static_cast<T>(a);
    }
  }
}

template <typename T>
void restore(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  const auto kept = matrix_at<const T>(call.kept_assignments, index, call.terms, call.length);
  std::fill_n(image.sums.data, call.blocks() * call.terms, T(0));
  for (std::int64_t l = 0; l < call.length; ++l) {
    find_scale(call, image, l);
    for (std::int64_t t = 0; t < call.terms; ++t) {
      image.assignments(t, l) = kept(t, l);
      image.sums(l / NetVlad::kBlock, t) += static_cast<T>(kept(t, l) / image.scale(l));
    }
  }
  const std::int64_t size = call.clusters * call.channels;
  std::copy_n(static_cast<const T*>(call.kept_residuals) + index * size, size,
              image.residuals.data);
}

/** Sum over the blocks of what is kept per block and term. */
template <typename T>
double total(const Matrix<T>& sums, std::int64_t term) {
  double sum = 0;
  for (std::int64_t block = 0; block < sums.rows; ++block) sum += sums(block, term);
  return sum;
}

template <typename T>
void aggregate(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    for (std::int64_t d = 0; d < call.channels; ++d) {
      double sum = 0;
      for (std::int64_t l = 0; l < call.length; ++l) {
        // a (x s - c), with the scales s of descriptors that are normalised.
        sum += image.assignments(k, l) * (image.x(d, l) - image.centroids(k, d) / image.scale(l));
      }
      image.residuals(k, d) = static_cast<T>(sum);
    }
  }
}

double norm_of(const double* values, std::int64_t n) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += values[i] * values[i];
  return std::sqrt(squares);
}

/** values / max(norm, least). */
void normalize(double* values, std::int64_t n) {
  const double norm = norm_of(values, n);
  const double divisor = norm < kLeastNorm ? kLeastNorm : norm;
  for (std::int64_t i = 0; i < n; ++i) values[i] /= divisor;
}

/** In place of the gradient of a normalised vector: that of `values`, before. */
void normalize_backward(const double* values, std::int64_t n, double* gradient) {
  const double norm = norm_of(values, n);
  double projection = 0;
  for (std::int64_t i = 0; i < n; ++i) projection += gradient[i] * values[i];
  for (std::int64_t i = 0; i < n; ++i) {
    gradient[i] =
        norm < kLeastNorm ? 0 : (gradient[i] - values[i] / norm * (projection / norm)) / norm;
  }
}

/** The residuals in f64, each normalised. */
template <typename T>
Values intra_normalized(const NetVlad& call, const Image<T>& image) {
  Values values(image.residuals.data, image.residuals.data + call.clusters * call.channels);
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    normalize(&values[static_cast<std::size_t>(k * call.channels)], call.channels);
  }
  return values;
}

template <typename T>
void normalize_residuals(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  Values values = intra_normalized(call, image);
  normalize(values.data(), call.clusters * call.channels);
  const auto y = matrix_at<T>(call.y, index, call.clusters, call.channels);
  for (std::size_t i = 0; i < values.size(); ++i) y.data[i] = static_cast<T>(values[i]);
}

template <typename T>
void normalize_residuals_backward(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  const std::int64_t size = call.clusters * call.channels;
  const T* const dy = static_cast<const T*>(call.dy) + index * size;
  const Values values = intra_normalized(call, image);
  const Values residuals(image.residuals.data, image.residuals.data + size);
  Values gradient(dy, dy + size);
  normalize_backward(values.data(), size, gradient.data());
  T* const offsets = static_cast<T*>(call.offsets) + index * call.clusters;
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    double* const own = &gradient[static_cast<std::size_t>(k * call.channels)];
    normalize_backward(&residuals[static_cast<std::size_t>(k * call.channels)], call.channels, own);
    double offset = 0;
    for (std::int64_t d = 0; d < call.channels; ++d) {
      image.residuals(k, d) = static_cast<T>(own[d]);
      offset += own[d] * image.centroids(k, d);
    }
    offsets[k] = static_cast<T>(offset);
  }
}

template <typename T>
void inputs_backward(const NetVlad& call, std::int64_t index) {
  const Image<T> image(call, index);
  const auto dx = image_at<T>(call.dx, index, call.channels, call.length, call.layout);
  const T* const offsets = static_cast<const T*>(call.offsets) + index * call.clusters;
  const auto sums = matrix_at<T>(call.gradient_sums, index, call.blocks(), call.terms);
  std::fill_n(sums.data, call.blocks() * call.terms, T(0));
  Values a(static_cast<std::size_t>(call.terms));
  Values ds(a.size());
  Values gradient(static_cast<std::size_t>(call.channels));
  for (std::int64_t l = 0; l < call.length; ++l) {
    double inner = 0;
    for (std::int64_t t = 0; t < call.terms; ++t) {
      const auto i = static_cast<std::size_t>(t);
      a[i] = image.assignments(t, l) / image.scale(l);
      ds[i] = t < call.clusters
                  ? product(image.residuals, t, image.x, l) * image.scale(l) - offsets[t]
                  : 0;
      inner += a[i] * ds[i];
    }
    for (std::int64_t t = 0; t < call.terms; ++t) {
      const auto i = static_cast<std::size_t>(t);
      ds[i] = call.hard ? 0 : a[i] * (ds[i] - inner);
      sums(l / NetVlad::kBlock, t) += static_cast<T>(ds[i]);
      image.assignments(t, l) = static_cast<T>(ds[i] * image.scale(l));
    }
    double projection = 0;
    for (std::int64_t d = 0; d < call.channels; ++d) {
      double sum = 0;
      for (std::int64_t t = 0; t < call.terms; ++t) {
        const auto i = static_cast<std::size_t>(t);
        if (t < call.clusters) sum += a[i] * image.residuals(t, d);
        sum += ds[i] * image.weights(t, d);
      }
      gradient[static_cast<std::size_t>(d)] = sum;
      projection += sum * image.x(d, l);
    }
    const double scale = image.scale(l);
    for (std::int64_t d = 0; d < call.channels; ++d) {
      double value = gradient[static_cast<std::size_t>(d)];
      if (image.scales != nullptr) {
        // Below the least norm, descriptors are not normalised but scaled; their gradient is 0.
        value = scale < static_cast<T>(1 / kLeastNorm)
                    ? scale * (value - scale * scale * projection * image.x(d, l))
                    : 0;
      }
      dx(d, l) = static_cast<T>(value);
    }
  }
}

template <typename T>
void parameters_backward(const NetVlad& call) {
  const auto dweights = matrix_at<T>(call.dweights, 0, call.terms, call.channels);
  const auto dcentroids = matrix_at<T>(call.dcentroids, 0, call.clusters, call.channels);
  T* const dbiases = static_cast<T*>(call.dbiases);
  if (!call.accumulate) {
    std::fill_n(dweights.data, call.terms * call.channels, T(0));
    std::fill_n(dcentroids.data, call.clusters * call.channels, T(0));
    std::fill_n(dbiases, call.terms, T(0));
  }
  for (std::int64_t index = 0; index < call.batch; ++index) {
    const Image<T> image(call, index);
    const auto sums = matrix_at<T>(call.gradient_sums, index, call.blocks(), call.terms);
    for (std::int64_t t = 0; t < call.terms; ++t) {
      dbiases[t] += static_cast<T>(total(sums, t));
      for (std::int64_t d = 0; d < call.channels; ++d) {
        double sum = 0;
        for (std::int64_t l = 0; l < call.length; ++l) {
          sum += static_cast<double>(image.assignments(t, l)) * image.x(d, l);
        }
        dweights(t, d) += static_cast<T>(sum);
        if (t < call.clusters) {
          dcentroids(t, d) -= static_cast<T>(total(image.sums, t) * image.residuals(t, d));
        }
      }
    }
  }
}

template <class F>
void for_each_image(const NetVlad& call, Span images, const F& f) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    for (std::int64_t i = images.begin; i < images.end; ++i) f.template operator()<T>(i);
  });
}

}  // namespace

void netvlad_assign(const NetVlad& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { assign<T>(call, i); });
}

void netvlad_aggregate(const NetVlad& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { aggregate<T>(call, i); });
}

void netvlad_restore(const NetVlad& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { restore<T>(call, i); });
}

void netvlad_normalize(const NetVlad& call, Span images) {
  for_each_image(call, images,
                 [&]<typename T>(std::int64_t i) { normalize_residuals<T>(call, i); });
}

void netvlad_normalize_backward(const NetVlad& call, Span images) {
  for_each_image(call, images,
                 [&]<typename T>(std::int64_t i) { normalize_residuals_backward<T>(call, i); });
}

void netvlad_inputs_backward(const NetVlad& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { inputs_backward<T>(call, i); });
}

void netvlad_parameters_backward(const NetVlad& call, Span) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() { parameters_backward<T>(call); });
}

}  // namespace featurepool::reference
