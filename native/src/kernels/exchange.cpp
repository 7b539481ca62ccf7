#include "kernels/exchange.hpp"

#include <map>
#include <mutex>

namespace featurepool {
namespace {

/** Networks that stay where they are once made. */
class Networks {
 public:
  template <class Make>
  const Network& get(std::int64_t rows, std::int64_t columns, const Make& make) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [entry, added] = networks_.try_emplace({rows, columns});
    if (added) {
      try {
        entry->second = make();
      } catch (...) {
        networks_.erase(entry);
        throw;
      }
    }
    return entry->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<std::int64_t, std::int64_t>, Network> networks_;
};

}  // namespace

const Network& median_network(std::int64_t rows, std::int64_t columns) {
  static Networks networks;
  return networks.get(rows, columns, [&] {
    return exchange::median(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
  });
}

const Network& sorting_network(std::int64_t n) {
  static Networks networks;
  return networks.get(n, 1, [&] { return exchange::sorting(static_cast<std::size_t>(n)); });
}

}  // namespace featurepool
