#include "support/guarded_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

namespace featurepool::testing {
namespace {

constexpr unsigned char kPattern = 0xA5;
constexpr std::size_t kMargin = 256;

}  // namespace

GuardedMemory::GuardedMemory(std::size_t capacity)
    : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
      capacity_((capacity + page_ - 1) / page_ * page_) {
  void* const mapping = mmap(nullptr, capacity_ + 2 * page_, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  begin_ = static_cast<unsigned char*>(mapping) + page_;
  if (mprotect(begin_, capacity_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
}

GuardedMemory::~GuardedMemory() { munmap(begin_ - page_, capacity_ + 2 * page_); }

void* GuardedMemory::place(std::size_t bytes, Edge edge) {
  if (bytes > capacity_) {
    throw std::length_error("a buffer of " + std::to_string(bytes) + " bytes; at most " +
                            std::to_string(capacity_) + " fit");
  }
  unsigned char* const buffer = edge == Edge::begin ? begin_ : begin_ + capacity_ - bytes;
  margin_size_ = std::min(kMargin, capacity_ - bytes);
  margin_ = edge == Edge::begin ? buffer + bytes : buffer - margin_size_;
  std::memset(buffer, kPattern, bytes);
  std::memset(margin_, kPattern, margin_size_);
  return buffer;
}

bool GuardedMemory::margin_intact() const {
  return std::all_of(margin_, margin_ + margin_size_,
                     [](unsigned char byte) { return byte == kPattern; });
}

}  // namespace featurepool::testing
