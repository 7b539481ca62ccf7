#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace featurepool {

struct FreeDeleter {
  void operator()(void* memory) const noexcept { std::free(memory); }
};

/**
 * Uninitialised working memory of one kernel run, aligned to a cache line, with room behind its end
 * for the overhang of a last whole vector: kernels may read and write that far, in their own
 * memory.
 */
template <typename T>
class Line {
 public:
  static constexpr std::size_t kOverhangBytes = 512;

  explicit Line(std::int64_t size) : data_(static_cast<T*>(std::aligned_alloc(64, bytes(size)))) {
    if (!data_) throw std::bad_alloc();
  }

  T* get() const { return data_.get(); }
  T& operator[](std::int64_t i) const { return data_.get()[i]; }

 private:
  static std::size_t bytes(std::int64_t size) {
    const std::size_t wanted = static_cast<std::size_t>(size) * sizeof(T) + kOverhangBytes;
    return (wanted + 63) / 64 * 64;
  }

  std::unique_ptr<T, FreeDeleter> data_;
};

/** Size of the last-level cache, beyond which kernels stream. */
std::int64_t last_level_cache_bytes();

/** Acts as if the last-level cache had this size; negative: its own. For tests, on small tensors.
 */
void use_last_level_cache_bytes(std::int64_t bytes);

}  // namespace featurepool
