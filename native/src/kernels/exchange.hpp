#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

/**
 * Networks of exchanges that sort, or select by rank, values that are vectors of lanes: the same
 * comparisons whatever the values are.
 */
namespace featurepool {

/** Slots `low` and `high` become the lesser and the greater of their values, where kept. */
struct Exchange {
  enum : std::uint8_t { kLow = 1, kHigh = 2 };

  std::uint16_t low;
  std::uint16_t high;
  std::uint8_t keep;
};

/** Exchanges over slots 0 ... n-1 and the slots that hold the results afterwards. */
struct Network {
  std::vector<Exchange> exchanges;
  std::vector<std::uint16_t> results;
};

namespace exchange {

using Slots = std::vector<std::uint16_t>;

/** Merges two ascending lists of slots (Batcher's odd-even merge, of any lengths). */
constexpr Slots merge(const Slots& a, const Slots& b, std::vector<Exchange>& exchanges) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  if (a.size() == 1 && b.size() == 1) {
    exchanges.push_back({a[0], b[0], Exchange::kLow | Exchange::kHigh});
    return {a[0], b[0]};
  }
  const auto half = [](const Slots& list, std::size_t first) {
    Slots slots;
    for (std::size_t i = first; i < list.size(); i += 2) slots.push_back(list[i]);
    return slots;
  };
  const Slots even = merge(half(a, 0), half(b, 0), exchanges);
  const Slots odd = merge(half(a, 1), half(b, 1), exchanges);
  Slots merged{even[0]};
  std::size_t i = 0;
  for (; i < odd.size() && i + 1 < even.size(); ++i) {
    exchanges.push_back({odd[i], even[i + 1], Exchange::kLow | Exchange::kHigh});
    merged.push_back(odd[i]);
    merged.push_back(even[i + 1]);
  }
  if (i < odd.size()) merged.push_back(odd[i]);
  if (i + 1 < even.size()) merged.push_back(even[i + 1]);
  return merged;
}

/** Drops what no result depends on. */
constexpr void prune(Network& network, std::size_t slots) {
  std::vector<char> needed(slots, 0);
  for (const std::uint16_t slot : network.results) needed[slot] = true;
  std::vector<Exchange> kept;
  for (std::size_t i = network.exchanges.size(); i-- > 0;) {
    Exchange e = network.exchanges[i];
    if (!needed[e.low]) e.keep &= Exchange::kHigh;
    if (!needed[e.high]) e.keep &= Exchange::kLow;
    if (e.keep == 0) continue;
    needed[e.low] = needed[e.high] = true;
    kept.push_back(e);
  }
  std::reverse(kept.begin(), kept.end());
  network.exchanges.swap(kept);
}

/** Sorts `n` slots; results[i] holds the value of rank i. */
constexpr Network sorting(std::size_t n) {
  Network network;
  // Lists of lists are swapped, never copied: GCC 12 cannot do that at compile time.
  std::vector<Slots> lists(n);
  for (std::size_t i = 0; i < n; ++i) lists[i].push_back(static_cast<std::uint16_t>(i));
  for (std::size_t count = n; count > 1; count = (count + 1) / 2) {
    for (std::size_t i = 0; i < count; i += 2) {
      if (i + 1 < count) {
        Slots merged = merge(lists[i], lists[i + 1], network.exchanges);
        lists[i].swap(merged);
      }
      if (i > 0) lists[i / 2].swap(lists[i]);
    }
  }
  network.results.swap(lists[0]);
  return network;
}

/** Adds what leaves the value of rank `rank` of two ascending lists in one slot. */
constexpr std::uint16_t select(const Slots& a, const Slots& b, std::size_t rank,
                               std::vector<Exchange>& exchanges) {
  // It is the greatest of the minima of a[i] and b[rank - i], what is beyond a list being greater
  // than everything.
  Slots minima;
  if (rank >= b.size()) minima.push_back(a[rank - b.size()]);
  if (rank >= a.size()) minima.push_back(b[rank - a.size()]);
  for (std::size_t i = 0; i < a.size() && i <= rank; ++i) {
    if (rank - i >= b.size()) continue;
    exchanges.push_back({a[i], b[rank - i], Exchange::kLow});
    minima.push_back(a[i]);
  }
  // Two by two, so that no chain is long.
  for (std::size_t i = 0; i + 1 < minima.size(); i += 2) {
    exchanges.push_back({minima[i], minima[i + 1], Exchange::kHigh});
    minima.push_back(minima[i + 1]);
  }
  return minima.back();
}

/** Selects rank `rank` of ascending lists, merging the shortest, or the longest, two at a time. */
constexpr Network selection(std::vector<Slots>& lists, std::size_t rank, bool shortest) {
  std::size_t all = 0;
  for (const Slots& list : lists) all += list.size();
  const std::size_t slots = all;
  Network network;
  for (;;) {
    // What too many are less than, or greater than, is not the one.
    for (Slots& list : lists) {
      if (list.size() > rank + 1) {
        all -= list.size() - (rank + 1);
        list.resize(rank + 1);
      }
    }
    for (Slots& list : lists) {
      const std::size_t above = all - 1 - rank;
      if (list.size() > above + 1) {
        const std::size_t below = list.size() - (above + 1);
        list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(below));
        all -= below;
        rank -= below;
      }
    }
    if (lists.size() <= 2) break;
    for (const std::size_t last : {lists.size() - 1, lists.size() - 2}) {
      std::size_t best = 0;
      for (std::size_t i = 1; i <= last; ++i) {
        const bool shorter = lists[i].size() < lists[best].size();
        const bool longer = lists[i].size() > lists[best].size();
        if (shortest ? shorter : longer) best = i;
      }
      if (best != last) lists[best].swap(lists[last]);
    }
    Slots merged = merge(lists[lists.size() - 2], lists.back(), network.exchanges);
    lists.pop_back();
    lists.back().swap(merged);
  }
  network.results.push_back(
      lists.size() == 1 ? lists[0][rank] : select(lists[0], lists[1], rank, network.exchanges));
  prune(network, slots);
  return network;
}

/** Selects the lower median of `columns` ascending columns; column c has slots c * rows on. */
constexpr Network median(std::size_t rows, std::size_t columns) {
  const auto make = [&](bool shortest) {
    std::vector<Slots> lists(columns);
    for (std::size_t i = 0; i < rows * columns; ++i) {
      lists[i / rows].push_back(static_cast<std::uint16_t>(i));
    }
    return selection(lists, (rows * columns - 1) / 2, shortest);
  };
  Network shortest = make(true);
  Network longest = make(false);
  if (longest.exchanges.size() < shortest.exchanges.size()) {
    shortest.exchanges.swap(longest.exchanges);
    shortest.results.swap(longest.results);
  }
  return shortest;
}

}  // namespace exchange

/** A network known to the compiler: `kMake()` gives it. */
template <auto kMake>
struct StaticNetwork {
  static constexpr std::size_t kSize = [] {
    const Network network = kMake();
    return network.exchanges.size();
  }();
  static constexpr std::size_t kResults = [] {
    const Network network = kMake();
    return network.results.size();
  }();
  static constexpr std::array<Exchange, kSize> kExchanges = [] {
    std::array<Exchange, kSize> exchanges{};
    const Network network = kMake();
    std::copy(network.exchanges.begin(), network.exchanges.end(), exchanges.begin());
    return exchanges;
  }();
  static constexpr std::array<std::uint16_t, kResults> kResult = [] {
    std::array<std::uint16_t, kResults> results{};
    const Network network = kMake();
    std::copy(network.results.begin(), network.results.end(), results.begin());
    return results;
  }();
};

/** exchange::median(), made once per process. */
const Network& median_network(std::int64_t rows, std::int64_t columns);

/** exchange::sorting(), made once per process. */
const Network& sorting_network(std::int64_t n);

}  // namespace featurepool
