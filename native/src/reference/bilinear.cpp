// Bilinear pooling and its gradients, step by step as seed 004 lists it.

#include <cmath>
#include <cstdint>
#include <vector>

#include "geometry/dtype.hpp"
#include "products/matrix.hpp"
#include "reference/reference.hpp"

namespace featurepool::reference {
namespace {

template <typename T>
Matrix<const T> features_a(const Bilinear& call, std::int64_t image) {
  return image_at<const T>(call.a, image, call.rows, call.length, call.layout);
}

template <typename T>
Matrix<const T> features_b(const Bilinear& call, std::int64_t image) {
  if (call.homogeneous()) return features_a<T>(call, image);
  return image_at<const T>(call.b, image, call.columns, call.length, call.layout);
}

template <typename T>
Matrix<T> product_of(const Bilinear& call, std::int64_t image) {
  return matrix_at<T>(call.product, image, call.rows, call.columns);
}

template <typename T>
void multiply(const Bilinear& call, std::int64_t image) {
  const auto a = features_a<T>(call, image);
  const auto b = features_b<T>(call, image);
  const auto product = product_of<T>(call, image);
  for (std::int64_t i = 0; i < call.rows; ++i) {
    for (std::int64_t j = 0; j < call.columns; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < call.length; ++l) sum += static_cast<double>(a(i, l)) * b(j, l);
      product(i, j) = static_cast<T>(sum / static_cast<double>(call.length));
    }
  }
}

double signed_root(double p) {
  if (p == 0) return p;
  return std::copysign(std::sqrt(std::abs(p) + kRootOffset), p);
}

/** The product, rooted if so, in f64. */
template <typename T>
std::vector<double> rooted(const Bilinear& call, std::int64_t image) {
  const T* const product = product_of<T>(call, image).data;
  std::vector<double> values(product, product + call.rows * call.columns);
  if (call.signed_root) {
    for (double& value : values) value = signed_root(value);
  }
  return values;
}

double norm_of(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

template <typename T>
void normalize(const Bilinear& call, std::int64_t image) {
  const std::vector<double> values = rooted<T>(call, image);
  const double norm = norm_of(values);
  const double divisor = !call.l2 ? 1 : norm < kLeastNorm ? kLeastNorm : norm;
  T* const out = product_of<T>(call, image).data;
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = static_cast<T>(values[i] / divisor);
}

template <typename T>
void normalize_backward(const Bilinear& call, std::int64_t image) {
  const std::vector<double> values = rooted<T>(call, image);
  const auto product = product_of<T>(call, image);
  const T* const dy = matrix_at<const T>(call.dy, image, call.rows, call.columns).data;
  std::vector<double> gradient(dy, dy + values.size());
  if (call.l2) {
    const double norm = norm_of(values);
    double projection = 0;
    for (std::size_t i = 0; i < values.size(); ++i) projection += gradient[i] * values[i] / norm;
    for (std::size_t i = 0; i < values.size(); ++i) {
      gradient[i] = norm < kLeastNorm ? 0 : (gradient[i] - values[i] / norm * projection) / norm;
    }
  }
  if (call.signed_root) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double p = product.data[i];
      gradient[i] = p == 0 ? 0 : gradient[i] / (2 * std::sqrt(std::abs(p) + kRootOffset));
    }
  }
  const auto at = [&](std::int64_t i, std::int64_t j) {
    return gradient[static_cast<std::size_t>(i * call.columns + j)];
  };
  for (std::int64_t i = 0; i < call.rows; ++i) {
    for (std::int64_t j = 0; j < call.columns; ++j) {
      product(i, j) = static_cast<T>(call.homogeneous() ? at(i, j) + at(j, i) : at(i, j));
    }
  }
}

/** out = product other / L. */
template <typename T>
void input_gradient(const Bilinear& call, const Matrix<T>& product, const Matrix<const T>& other,
                    const Matrix<T>& out) {
  for (std::int64_t i = 0; i < out.rows; ++i) {
    for (std::int64_t l = 0; l < call.length; ++l) {
      double sum = 0;
      for (std::int64_t j = 0; j < other.rows; ++j) {
        sum += static_cast<double>(product(i, j)) * other(j, l);
      }
      out(i, l) = static_cast<T>(sum / static_cast<double>(call.length));
    }
  }
}

template <typename T>
void inputs_backward(const Bilinear& call, std::int64_t image) {
  const auto product = product_of<T>(call, image);
  input_gradient(call, product, features_b<T>(call, image),
                 image_at<T>(call.da, image, call.rows, call.length, call.layout));
  if (call.homogeneous()) return;
  input_gradient(call, product.transposed(), features_a<T>(call, image),
                 image_at<T>(call.db, image, call.columns, call.length, call.layout));
}

template <class F>
void for_each_image(const Bilinear& call, Span images, const F& f) {
  with_dtype<float, double>(call.dtype, [&]<typename T>() {
    for (std::int64_t i = images.begin; i < images.end; ++i) f.template operator()<T>(i);
  });
}

}  // namespace

void bilinear_product(const Bilinear& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { multiply<T>(call, i); });
}

void bilinear_normalize(const Bilinear& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { normalize<T>(call, i); });
}

void bilinear_normalize_backward(const Bilinear& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { normalize_backward<T>(call, i); });
}

void bilinear_inputs_backward(const Bilinear& call, Span images) {
  for_each_image(call, images, [&]<typename T>(std::int64_t i) { inputs_backward<T>(call, i); });
}

}  // namespace featurepool::reference
