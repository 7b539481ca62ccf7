#pragma once

#include <cstdint>

#include "dispatch/pooling.hpp"

/**
 * The scalar form of every operator: the oracle of the tests and the kernel of last resort.
 *
 * Each walks one plane (one channel of one image) at a time, as the loops of the seed's MaxPool2D
 * do, with the first maximum under a strict `>`; unlike the seed's, gradients accumulate.
 */
namespace featurepool::reference {

/** Computes planes [planes.begin, planes.end) of a call. */
void run(const Pooling& pooling, Span planes);

/** Divisor of the window at output position (d, h, w). */
std::int64_t divisor_of(const Geometry& geometry, const Divisor& divisor, std::int64_t d,
                        std::int64_t h, std::int64_t w);

}  // namespace featurepool::reference
