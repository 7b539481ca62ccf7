#pragma once

#include "dispatch/spp_block.hpp"

namespace featurepool {

/**
 * An SPP block with positions, made of the max pools that it stands for: their masks are its masks.
 */
bool accepts_separate(const SppBlock& block);
std::int64_t separate_items(const SppBlock& block);
void SeparatePools(const SppBlock& block, Span items);

}  // namespace featurepool
