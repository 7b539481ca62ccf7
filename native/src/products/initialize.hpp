#pragma once

#include <cstdint>

#include "dispatch/products.hpp"

namespace featurepool {

/**
 * Fills the parameters of a NetVLAD from sample descriptors: clusters and ghosts by k-means++ and a
 * few of Lloyd's iterations, assignment weights from their distances.
 *
 * @param call its descriptors, extents and options; its parameters are written to `weights`,
 *             `biases` and `centroids`. Throws an Error if there are too few distinct descriptors.
 */
void initialize(const NetVlad& call, std::uint64_t seed, void* weights, void* biases,
                void* centroids);

}  // namespace featurepool
