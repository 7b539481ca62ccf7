#pragma once

#include <cstdint>
#include <vector>

#include "featurepool/featurepool.h"
#include "geometry/dtype.hpp"
#include "support/guarded_memory.hpp"

namespace featurepool::testing {

/** A tensor whose buffer lies against an unmapped page; elements are named logically. */
template <typename T>
class GuardedTensor {
 public:
  /** `extents`: N, C, then the spatial ones. */
  GuardedTensor(std::int32_t layout, const std::vector<std::int64_t>& extents, Edge edge)
      : descriptor_{dtype_of<T>, layout, static_cast<std::int32_t>(extents.size()) - 2, 0, {}, 0},
        memory_(bytes(extents) + 1) {
    for (std::size_t i = 0; i < extents.size(); ++i) descriptor_.extents[i] = extents[i];
    descriptor_.byte_size = static_cast<std::int64_t>(bytes(extents));
    data_ = static_cast<T*>(memory_.place(bytes(extents), edge));
  }

  const fpool_tensor* descriptor() const { return &descriptor_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return descriptor_.byte_size / static_cast<std::int64_t>(sizeof(T)); }
  std::int64_t batch() const { return descriptor_.extents[0]; }
  std::int64_t channels() const { return descriptor_.extents[1]; }
  std::int64_t plane() const {
    std::int64_t product = 1;
    for (int i = 0; i < descriptor_.spatial_rank; ++i) product *= descriptor_.extents[2 + i];
    return product;
  }
  /** The element at a position of a plane. */
  T& at(std::int64_t n, std::int64_t c, std::int64_t position) {
    return data_[place(n, c, position)];
  }
  T at(std::int64_t n, std::int64_t c, std::int64_t position) const {
    return data_[place(n, c, position)];
  }
  bool margin_intact() const { return memory_.margin_intact(); }

 private:
  static std::size_t bytes(const std::vector<std::int64_t>& extents) {
    std::size_t product = sizeof(T);
    for (const std::int64_t extent : extents) product *= static_cast<std::size_t>(extent);
    return product;
  }

  std::int64_t place(std::int64_t n, std::int64_t c, std::int64_t position) const {
    return descriptor_.layout == FPOOL_PLANAR ? (n * channels() + c) * plane() + position
                                              : (n * plane() + position) * channels() + c;
  }

  fpool_tensor descriptor_;
  GuardedMemory memory_;
  T* data_;
};

}  // namespace featurepool::testing
