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
#include <exception>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <unsupported/Eigen/CXX11/ThreadPool>
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

/** A thread that is there before it is told what to run. */
class Worker {
 public:
  Worker()
      : thread_([this] {
          pthread_setname_np(pthread_self(), "featurepool");
          told_.wait(false, std::memory_order_acquire);
          if (body_) body_();
        }) {}

  ~Worker() {
    if (!told_) run({});
    thread_.join();
  }

  void run(std::function<void()> body) noexcept {
    body_ = std::move(body);
    told_.store(true, std::memory_order_release);
    told_.notify_one();
  }

 private:
  std::function<void()> body_;
  std::atomic<bool> told_{false};
  std::thread thread_;
};

/**
 * Where the pool has its threads from: they exist before it does, because a pool that one of its
 * threads is refused waits for ever for the others.
 */
struct WorkersMade : Eigen::StlThreadEnvironment {
  using EnvThread = Worker;

  /** Fewer than `count` where the system has no more memory or allows no more threads. */
  explicit WorkersMade(int count) {
    try {
      made->reserve(static_cast<std::size_t>(count));
      while (count-- > 0) made->push_back(std::make_unique<Worker>());
    } catch (const std::bad_alloc&) {
      // No memory for more.
    } catch (const std::system_error&) {
      // No more threads for this process.
    }
  }

  Worker* CreateThread(std::function<void()> body) noexcept {
    Worker* const worker = made->back().release();
    made->pop_back();
    worker->run(std::move(body));
    return worker;
  }

  std::shared_ptr<std::vector<std::unique_ptr<Worker>>> made =
      std::make_shared<std::vector<std::unique_ptr<Worker>>>();
};

/**
 * Workers that look for work for some 50 us after they had some, for programs that call again at
 * once; then they sleep, and the pool uses no processor time.
 */
using Workers = Eigen::ThreadPoolTempl<WorkersMade>;

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
      const WorkersMade workers(threads - 1);
      const auto count = static_cast<int>(workers.made->size());
      if (count > 0) {
        workers_ = std::make_shared<Workers>(count, /*allow_spinning=*/true, workers);
      }
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
  threads = std::min(threads, workers->NumThreads() + 1);
  const auto loop =
      std::make_shared<Loop>(items, std::min(items, threads * kRangesPerThread), body);
  const auto helpers = static_cast<int>(std::min<std::int64_t>(threads - 1, items - 1));
  try {
    for (int i = 0; i < helpers; ++i) workers->Schedule([loop] { loop->work(); });
  } catch (const std::bad_alloc&) {
    // Fewer helpers, then. To leave would take the body away from those that have begun.
  }
  loop->work();
  loop->wait();
}

}  // namespace featurepool::dispatch
