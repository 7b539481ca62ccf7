#pragma once

#include <cstddef>

namespace featurepool::testing {

/** Which edge of a buffer lies against an unmapped page. */
enum class Edge { begin, end };

/**
 * Memory between two pages that may not be touched: a buffer placed at an edge turns the first
 * access beyond that edge into a fault, and writes beyond the other are seen in a margin.
 */
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t capacity);
  ~GuardedMemory();
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  /** A buffer at an edge; it and its margin are filled with a pattern that no result has. */
  void* place(std::size_t bytes, Edge edge);

  /** Whether the margin of the buffer last placed still holds its pattern. */
  bool margin_intact() const;

 private:
  std::size_t page_;
  std::size_t capacity_;
  unsigned char* begin_;
  unsigned char* margin_ = nullptr;
  std::size_t margin_size_ = 0;
};

}  // namespace featurepool::testing
