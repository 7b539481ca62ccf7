#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace featurepool {

/** Elements of an array of indices that are looked at together: the common answer is that all is
 * well, and only a block in which it is not is searched. */
inline constexpr std::int64_t kIndexBlock = 4096;

/** Whether some of `count` indices are not in [begin, end), begin < end; a branch-free pass. */
template <typename Index>
bool any_outside(const Index* indices, std::int64_t count, std::int64_t begin, std::int64_t end) {
  using Unsigned = std::make_unsigned_t<Index>;
  // A range wider than the type cannot be left at its end.
  const auto most = static_cast<Unsigned>(std::min<std::uint64_t>(
      static_cast<std::uint64_t>(end - begin) - 1, std::numeric_limits<Unsigned>::max()));
  const auto first = static_cast<Unsigned>(begin);
  Unsigned outside = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    outside |= static_cast<Unsigned>(static_cast<Unsigned>(indices[i]) - first > most);
  }
  return outside != 0;
}

/** Calls `refuse(i)` with the first of `size` indices that is not in [begin, end). */
template <typename Index, typename Refuse>
void check_all_inside(const Index* indices, std::int64_t size, std::int64_t begin, std::int64_t end,
                      const Refuse& refuse) {
  for (std::int64_t block = 0; block < size; block += kIndexBlock) {
    const std::int64_t count = std::min(kIndexBlock, size - block);
    if (!any_outside(indices + block, count, begin, end)) continue;
    for (std::int64_t i = block; i < block + count; ++i) {
      if (indices[i] < begin || indices[i] >= end) refuse(i);
    }
  }
}

}  // namespace featurepool
