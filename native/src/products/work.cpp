// How much work the steps of the products are, in the terms of dispatch: bytes moved.

#include "dispatch/products.hpp"

namespace featurepool {
namespace {

// A core multiplies and adds about as many pairs as it moves bytes, three times that in its caches.
constexpr double kBytesPerProduct = 0.5;

}  // namespace

double Bilinear::work() const {
  const auto images = static_cast<double>(batch);
  const double product = static_cast<double>(rows) * static_cast<double>(columns);
  const bool multiplies =
      operation == Operation::bilinear_product || operation == Operation::bilinear_inputs_backward;
  if (multiplies) return images * product * static_cast<double>(length) * kBytesPerProduct;
  return images * product * static_cast<double>(dtype_size(dtype)) * 3;
}

double NetVlad::work() const {
  const auto images = static_cast<double>(batch);
  const double residuals = static_cast<double>(terms) * static_cast<double>(channels);
  const bool normalizes = operation == Operation::netvlad_normalize ||
                          operation == Operation::netvlad_normalize_backward;
  if (normalizes) return images * residuals * static_cast<double>(dtype_size(dtype)) * 3;
  if (operation == Operation::netvlad_restore) {
    const double scores = static_cast<double>(terms) * static_cast<double>(length);
    return images * (scores + residuals) * static_cast<double>(dtype_size(dtype)) * 2;
  }
  return images * residuals * static_cast<double>(length) * kBytesPerProduct;
}

}  // namespace featurepool
