#pragma once

#include "dispatch/pooling.hpp"

namespace featurepool {

/**
 * Gradient of max pooling by scattering: each output adds its gradient at its position, in
 * row-major order of the outputs. For large windows, where gathering would look at too many of
 * them.
 */
bool accepts_scatter(const Pooling& p);
std::int64_t scatter_items(const Pooling& p);
void ScatterMax(const Pooling& p, Span items);

}  // namespace featurepool
