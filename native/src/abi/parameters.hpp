#pragma once

#include <cstdint>
#include <ostream>
#include <vector>

#include "abi/call.hpp"

/** Checks and gradients of parameters that come as one value, or as one per channel. */
namespace featurepool {

/** Checks that there are 1 or C values. */
void check_parameters(const char* name, const double* values, std::int64_t count,
                      const Geometry& geometry);

/** "[2]" behind the name of an array; nothing where there is one value. */
struct Entry {
  std::int64_t index;
  std::int64_t count;
};
std::ostream& operator<<(std::ostream& out, const Entry& entry);

/** The gradient of such a parameter: a sum per plane, and these added up in order. */
class ParameterGradient {
 public:
  /** `gradient`: 1 value or C; null if it is not asked for. Makes its memory at once, so that
   * nothing has been written should there be none. */
  ParameterGradient(const Pooling& backward, Operation operation, double* gradient,
                    std::int64_t count);

  /** Writes the gradient. */
  void run(const void* dy);

 private:
  Pooling call_;
  double* gradient_;
  std::int64_t count_;
  std::vector<double> planes_;
};

}  // namespace featurepool
