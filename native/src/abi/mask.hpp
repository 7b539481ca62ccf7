#pragma once

#include <cstdint>

#include "dispatch/pooling.hpp"

namespace featurepool {

/**
 * Checks that every entry of a call's mask is a position inside its window's plane, or none; throws
 * an Error that names the first that is not.
 */
void check_mask_entries(const Pooling& pooling);

/** Writes the flat index of every entry of a checked mask, counted as `index_base` says. */
void expand_mask(const Pooling& pooling, std::int32_t index_base, std::int64_t* indices);

}  // namespace featurepool
