#pragma once

#include <cstdint>

#include "abi/call.hpp"
#include "dispatch/pooling.hpp"

namespace featurepool {

/**
 * Checks that every entry of a call's mask is a position inside its window's plane, or none; throws
 * an Error that names the first that is not.
 */
void check_mask_entries(const Pooling& pooling);

/** Checks a mask of FPOOL_I32 positions in planes of `plane` elements, its entries aside. */
void check_index_mask(const Buffer& mask, const fpool_tensor& like, const std::int64_t* extents,
                      std::int64_t plane);

/** Checks that every entry of such a mask is a position in the plane, or none. */
void check_index_entries(const Buffer& mask, std::int64_t plane);

/** Writes the flat index of every entry of a checked mask, counted as `index_base` says. */
void expand_mask(const Pooling& pooling, std::int32_t index_base, std::int64_t* indices);

}  // namespace featurepool
