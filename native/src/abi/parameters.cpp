#include "abi/parameters.hpp"

#include <algorithm>

#include "dispatch/dispatch.hpp"

namespace featurepool {

void check_parameters(const char* name, const double* values, std::int64_t count,
                      const Geometry& geometry) {
  if (values == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, name, " is null");
  if (count != 1 && count != geometry.channels) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, name, " has ", count, " values; it must have 1, or ",
         geometry.channels, ", one per channel");
  }
}

std::ostream& operator<<(std::ostream& out, const Entry& entry) {
  if (entry.count != 1) out << '[' << entry.index << ']';
  return out;
}

ParameterGradient::ParameterGradient(const Pooling& backward, Operation operation, double* gradient,
                                     std::int64_t count)
    : call_(backward), gradient_(gradient), count_(count) {
  call_.operation = operation;
  if (gradient != nullptr) planes_.resize(static_cast<std::size_t>(call_.geometry.planes()));
}

void ParameterGradient::run(const void* dy) {
  if (gradient_ == nullptr) return;
  call_.input = dy;
  call_.output = planes_.data();
  dispatch::run(call_);
  std::fill_n(gradient_, count_, 0.0);
  for (std::size_t i = 0; i < planes_.size(); ++i) {
    const auto channel = static_cast<std::int64_t>(i) % call_.geometry.channels;
    gradient_[count_ == 1 ? 0 : channel] += planes_[i];
  }
}

}  // namespace featurepool
