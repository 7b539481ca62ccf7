#include "limit.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

#include "limit_pass.hpp"
#include "sgemm.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fplimit {
namespace {

/** Share `index` of `shares` of a pass; cut at whole lines, what is left over goes to the last. */
Pass share_of(const Pass& pass, int index, int shares) {
  const auto cut = [&](std::int64_t bytes, int at) {
    const std::int64_t lines = bytes / FPLIMIT_ALIGNMENT;
    return at == shares ? bytes : lines * at / shares * FPLIMIT_ALIGNMENT;
  };
  const std::int64_t in = cut(pass.read_bytes, index);
  const std::int64_t out = cut(pass.write_bytes, index);
  return {pass.in + in, cut(pass.read_bytes, index + 1) - in,  //
          pass.out + out, cut(pass.write_bytes, index + 1) - out};
}

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

/** Threads that stay for the life of the process, each of which takes its share of every pass. */
class Workers {
 public:
  void run(const Pass& pass, bool streaming, int threads) {
    const std::lock_guard<std::mutex> one_pass_at_a_time(mutex_);
    while (static_cast<int>(workers_.size()) < threads - 1) {
      Worker& worker = workers_.emplace_back();
      std::thread([this, &worker] { serve(worker); }).detach();
    }
    streaming_ = streaming;
    busy_.store(threads - 1, std::memory_order_relaxed);
    for (int i = 1; i < threads; ++i) {
      Worker& worker = workers_[static_cast<std::size_t>(i - 1)];
      worker.share = share_of(pass, i, threads);
      worker.passes.fetch_add(1, std::memory_order_release);
      worker.passes.notify_one();
    }
    fplimit::run(share_of(pass, 0, threads), streaming);
    for (int i = 0; i < kSpins && busy_.load(std::memory_order_acquire) != 0; ++i) relax();
    for (int busy; (busy = busy_.load(std::memory_order_acquire)) != 0;) busy_.wait(busy);
  }

 private:
  struct Worker {
    std::atomic<std::uint32_t> passes{0};
    Pass share{};
  };

  // About 20 us: within a series of passes a worker is awake when its next share comes, so that the
  // limit of a small tensor is not that of a wake-up.
  static constexpr int kSpins = 500;

  void serve(Worker& worker) {
    for (std::uint32_t done = 0;; ++done) {
      for (int i = 0; i < kSpins && worker.passes.load(std::memory_order_acquire) == done; ++i) {
        relax();
      }
      worker.passes.wait(done, std::memory_order_acquire);
      fplimit::run(worker.share, streaming_);
      if (busy_.fetch_sub(1, std::memory_order_release) == 1) busy_.notify_one();
    }
  }

  std::mutex mutex_;
  std::deque<Worker> workers_;  // a deque: workers keep their address
  bool streaming_ = false;
  std::atomic<int> busy_{0};
};

Workers& workers() {
  // Never destroyed: its threads outlive main().
  static Workers& instance = *new Workers;
  return instance;
}

template <typename Call>
std::int64_t nanoseconds(std::int64_t count, Call call) {
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) {
    if (!call()) return -1;
  }
  return std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
}

}  // namespace
}  // namespace fplimit

void fplimit_pass(const void* in, int64_t read_bytes, void* out, int64_t write_bytes,
                  int32_t streaming, int32_t threads) {
  const fplimit::Pass pass{static_cast<const std::uint8_t*>(in), read_bytes,
                           static_cast<std::uint8_t*>(out), write_bytes};
  if (threads == 1) {
    fplimit::run(pass, streaming != 0);
  } else {
    fplimit::workers().run(pass, streaming != 0, threads);
  }
}

double fplimit_sgemm(int32_t threads) { return fplimit::sgemm_flops(threads); }

int64_t fplimit_time_abi_version(fplimit_abi_version function, int64_t count) {
  return fplimit::nanoseconds(count, [&] { return function() >= 0; });
}

int64_t fplimit_time_max_forward(fplimit_max_forward function, int64_t count,  //
                                 const fpool_tensor* x, const void* x_data,
                                 const fpool_window* window,  //
                                 const fpool_tensor* y, void* y_data) {
  return fplimit::nanoseconds(
      count, [&] { return function(x, x_data, window, y, y_data, nullptr, nullptr) == FPOOL_OK; });
}
