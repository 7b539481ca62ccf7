#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/products.hpp"

/**
 * The blocks of the outputs of matrix products, which are what threads share out. They follow from
 * the extents alone: the order of the additions inside a product depends on its extents, and no
 * result may depend on the number of threads.
 */
namespace featurepool::products {

/** Edge of the square blocks of a bilinear product: enough that packing its operands is cheap. */
inline constexpr std::int64_t kProductBlock = 128;

/** Positions of an image per block of a bilinear pooling's input gradients. */
inline constexpr std::int64_t kInputBlock = 256;

/** Channels per block of the residuals. */
inline constexpr std::int64_t kChannelBlock = 128;

/** Channels per block of the gradients of parameters, of which there are few in all. */
inline constexpr std::int64_t kParameterBlock = 64;

inline std::int64_t blocks_of(std::int64_t extent, std::int64_t block) {
  return (extent + block - 1) / block;
}

/** The `index`th block of an extent. */
inline Span block_of(std::int64_t index, std::int64_t extent, std::int64_t block) {
  return {index * block, std::min((index + 1) * block, extent)};
}

/**
 * Blocks of one image's product. A symmetric one is taken in panels of rows up to the diagonal, two
 * at a time, one from either end, so that all have about the same work.
 */
inline std::int64_t blocks_per_product(const Bilinear& call) {
  const std::int64_t down = blocks_of(call.rows, kProductBlock);
  return call.homogeneous() ? (down + 1) / 2 : down * blocks_of(call.columns, kProductBlock);
}

inline std::int64_t product_blocks(const Bilinear& call) {
  return call.batch * blocks_per_product(call);
}

inline std::int64_t input_blocks(const Bilinear& call) {
  return call.batch * (call.homogeneous() ? 1 : 2) * blocks_of(call.length, kInputBlock);
}

inline std::int64_t descriptor_blocks(const NetVlad& call) { return call.batch * call.blocks(); }

inline std::int64_t channel_blocks(const NetVlad& call) {
  return call.batch * blocks_of(call.channels, kChannelBlock);
}

inline std::int64_t parameter_blocks(const NetVlad& call) {
  return blocks_of(call.channels, kParameterBlock);
}

template <class Call>
std::int64_t images(const Call& call) {
  return call.batch;
}

}  // namespace featurepool::products
