#include "dispatch/threads.hpp"

#include <hwy/cache_control.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "geometry/error.hpp"

namespace featurepool::dispatch {
namespace {

constexpr int kMostThreads = 1024;

// Ranges per thread: enough that one slow core does not hold up the call, few enough that taking
// one costs nothing.
constexpr std::int64_t kRangesPerThread = 4;

/** The work of one parallel_for; shared, because a late worker may look at it after the call. */
class Loop {
 public:
  Loop(std::int64_t items, std::int64_t ranges, const std::function<void(Span)>& body)
      : items_(items), ranges_(ranges), body_(body) {}

  /** Takes and runs ranges until none is left. */
  void work() noexcept {
    for (;;) {
      const std::int64_t range = next_.fetch_add(1, std::memory_order_relaxed);
      if (range >= ranges_) return;
      try {
        body_({range * items_ / ranges_, (range + 1) * items_ / ranges_});
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == ranges_) {
        const std::lock_guard lock(mutex_);
        finished_.notify_one();
      }
    }
  }

  /** Waits until every range has ended: awake while that may take less time than falling asleep. */
  void wait() {
    const auto patience = std::chrono::steady_clock::now() + kPatience;
    while (!finished() && std::chrono::steady_clock::now() < patience) hwy::Pause();
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return finished(); });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  // To be woken takes 5 us of the kernel, 100 us of a hypervisor.
  static constexpr std::chrono::microseconds kPatience{100};

  bool finished() const { return done_.load(std::memory_order_acquire) == ranges_; }

  const std::int64_t items_;
  const std::int64_t ranges_;
  const std::function<void(Span)>& body_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::int64_t> done_{0};
  std::mutex mutex_;
  std::condition_variable finished_;
  std::exception_ptr error_;
};

/**
 * Threads that help with loops. One of them looks for work for a while after it had some, for
 * programs that call again at once; then all sleep, and the process uses no processor time.
 *
 * Not Eigen's pool, which writes to null when its memory is refused and waits for ever when a
 * thread is.
 */
class Workers {
 public:
  /** Has fewer than `count` where the system has no more memory or allows no more threads. */
  explicit Workers(int count) {
    try {
      threads_.reserve(static_cast<std::size_t>(count));
      while (count-- > 0) threads_.emplace_back([this] { run(); });
    } catch (const std::bad_alloc&) {
      // No memory for more.
    } catch (const std::system_error&) {
      // No more threads for this process.
    }
  }

  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  int count() const { return static_cast<int>(threads_.size()); }

  /** Has `helpers` of them look at a loop, as soon as they have time for it. */
  void help(const std::shared_ptr<Loop>& loop, int helpers) {
    int wanted = 0;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back({loop, helpers});
      waiting_.fetch_add(helpers, std::memory_order_relaxed);
      wanted = std::min(helpers - (looking_ ? 1 : 0), sleeping_);
    }
    while (wanted-- > 0) wake_.notify_one();
  }

 private:
  struct Request {
    std::shared_ptr<Loop> loop;
    int helpers;
  };

  static constexpr std::chrono::microseconds kPatience{50};

  void run() {
    pthread_setname_np(pthread_self(), "featurepool");
    while (const std::shared_ptr<Loop> loop = next()) loop->work();
  }

  /** Waits for a loop that wants help; null at the end. */
  std::shared_ptr<Loop> next() {
    if (!looking_.exchange(true)) {
      const auto patience = std::chrono::steady_clock::now() + kPatience;
      while (waiting_.load(std::memory_order_relaxed) == 0 &&
             std::chrono::steady_clock::now() < patience) {
        hwy::Pause();
      }
      looking_ = false;
    }
    std::unique_lock lock(mutex_);
    ++sleeping_;
    wake_.wait(lock, [&] { return !requests_.empty() || ended_; });
    --sleeping_;
    if (requests_.empty()) return nullptr;
    Request& request = requests_.front();
    std::shared_ptr<Loop> loop = request.loop;
    if (--request.helpers == 0) requests_.pop_front();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return loop;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Request> requests_;
  int sleeping_ = 0;
  bool ended_ = false;
  std::atomic<int> waiting_{0};       // helpers that are wanted
  std::atomic<bool> looking_{false};  // one of them is awake and looks for work
  std::vector<std::thread> threads_;
};

/** The number of threads and the workers behind it, made at first need. */
class Pool {
 public:
  int threads() {
    const int known = threads_.load(std::memory_order_relaxed);
    if (known > 0) return known;
    const std::lock_guard lock(mutex_);
    return resolved();
  }

  void set_threads(int threads) {
    if (threads < 0 || threads > kMostThreads) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "threads is ", threads, "; it must be 1 to ", kMostThreads,
           ", or 0 for the default");
    }
    std::shared_ptr<Workers> retired;  // joined outside the lock, once its last call has ended
    const std::lock_guard lock(mutex_);
    threads_ = threads;
    retired.swap(workers_);
  }

  /** None where one thread does all, or no other can be had. */
  std::shared_ptr<Workers> workers() {
    const std::lock_guard lock(mutex_);
    const int threads = resolved();
    if (threads > 1 && !workers_) {
      auto workers = std::make_shared<Workers>(threads - 1);
      if (workers->count() > 0) workers_ = std::move(workers);
    }
    return workers_;
  }

 private:
  int resolved() {
    if (threads_ == 0) threads_ = default_threads();
    return threads_;
  }

  static int default_threads() {
    const char* text = std::getenv("FEATUREPOOL_THREADS");
    if (text == nullptr || *text == '\0') return available_processors();
    char* end = nullptr;
    const long threads = std::strtol(text, &end, 10);
    if (*end != '\0' || threads < 1 || threads > kMostThreads) {
      fail(FPOOL_ERROR_CONFIGURATION, "FEATUREPOOL_THREADS is '", text, "'; it must be 1 to ",
           kMostThreads);
    }
    return static_cast<int>(threads);
  }

  std::mutex mutex_;
  std::atomic<int> threads_{0};  // 0: the default, not yet asked for
  std::shared_ptr<Workers> workers_;
};

Pool& pool() {
  // Never destroyed: at process exit workers may still be asleep in it, and joining them from a
  // static destructor of a library inside a JVM is asking for a deadlock.
  static Pool* const instance = new Pool;
  return *instance;
}

/** Processors' worth of time that the control group grants; infinity where it sets no limit. */
double control_group_quota() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    if (quota != "max" && period > 0) return std::atof(quota.c_str()) / period;
    return std::numeric_limits<double>::infinity();
  }
  double microseconds = 0;
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 && period > 0) {
    return microseconds / period;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int processors = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) processors = CPU_COUNT(&set);
  const double quota = std::ceil(control_group_quota());
  if (quota < processors) processors = static_cast<int>(quota);
  return std::clamp(processors, 1, kMostThreads);
}

void set_threads(int threads) { pool().set_threads(threads); }

int get_threads() { return pool().threads(); }

void parallel_for(std::int64_t items, int threads, const std::function<void(Span)>& body) {
  if (items <= 0) return;
  const std::shared_ptr<Workers> workers = threads > 1 && items > 1 ? pool().workers() : nullptr;
  if (!workers) {
    body({0, items});
    return;
  }
  threads = std::min(threads, workers->count() + 1);
  const auto loop =
      std::make_shared<Loop>(items, std::min(items, threads * kRangesPerThread), body);
  const auto helpers = static_cast<int>(std::min<std::int64_t>(threads - 1, items - 1));
  try {
    workers->help(loop, helpers);
  } catch (const std::bad_alloc&) {
    // Nobody helps, then.
  }
  loop->work();
  loop->wait();
}

}  // namespace featurepool::dispatch
