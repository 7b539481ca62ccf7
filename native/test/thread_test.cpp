// Many callers at once, on one set of workers. Most telling under the thread sanitizer.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "featurepool/featurepool.h"

namespace {

/** One max pooling forward and backward with its own buffers, and the result it has alone. */
class Job {
 public:
  /** `side` 8 is too small to be shared out; 160 is large enough. */
  Job(std::int64_t channels, std::int64_t side)
      : x_{FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, channels, side, side}, 4 * channels * side * side},
        y_{x_},
        mask_{x_},
        x_data_(static_cast<std::size_t>(channels * side * side)),
        dx_data_(x_data_.size()) {
    EXPECT_EQ(fpool_output_extents(&x_, &window_, y_.extents), FPOOL_OK);
    const std::int64_t outputs = channels * y_.extents[2] * y_.extents[3];
    y_.byte_size = 4 * outputs;
    mask_ = y_;
    mask_.dtype = FPOOL_U8;
    mask_.byte_size = outputs;
    y_data_.resize(static_cast<std::size_t>(outputs));
    mask_data_.resize(y_data_.size());
    for (std::size_t i = 0; i < x_data_.size(); ++i) {
      x_data_[i] = static_cast<float>(i * 2654435761u % 1000);
    }
    EXPECT_EQ(run(), FPOOL_OK) << fpool_last_error();
    expected_y_ = y_data_;
    expected_dx_ = dx_data_;
  }

  bool run_and_compare() {
    std::fill(y_data_.begin(), y_data_.end(), -1.0f);
    std::fill(dx_data_.begin(), dx_data_.end(), -1.0f);
    return run() == FPOOL_OK && y_data_ == expected_y_ && dx_data_ == expected_dx_;
  }

 private:
  fpool_status run() {
    const fpool_status status = fpool_max_forward(&x_, x_data_.data(), &window_, &y_,
                                                  y_data_.data(), &mask_, mask_data_.data());
    if (status != FPOOL_OK) return status;
    return fpool_route_backward(&y_, y_data_.data(), &mask_, mask_data_.data(), &window_, &x_,
                                dx_data_.data());
  }

  const fpool_window window_{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 2, FPOOL_PAD_EXPLICIT, 0, 0};
  fpool_tensor x_;
  fpool_tensor y_;
  fpool_tensor mask_;
  std::vector<float> x_data_;
  std::vector<float> y_data_;
  std::vector<std::uint8_t> mask_data_;
  std::vector<float> dx_data_;
  std::vector<float> expected_y_;
  std::vector<float> expected_dx_;
};

/** Runs `count` callers at once, `rounds` times each; counts the wrong results. */
int run_callers(int count, int rounds) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < count; ++caller) {
    callers.emplace_back([&wrong, caller, rounds] {
      // Calls that are shared out, by planes and within one, and calls that are too small for it.
      Job job(caller % 3 == 0 ? 1 : 7, caller % 3 == 0 ? 401 : caller % 3 == 1 ? 160 : 8);
      for (int round = 0; round < rounds; ++round) wrong += job.run_and_compare() ? 0 : 1;
    });
  }
  for (std::thread& caller : callers) caller.join();
  return wrong;
}

class Threads : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(fpool_set_threads(0), FPOOL_OK); }
};

TEST_F(Threads, ConcurrentCallersShareTheWorkers) {
  for (const int threads : {1, 2, 5}) {
    ASSERT_EQ(fpool_set_threads(threads), FPOOL_OK);
    EXPECT_EQ(run_callers(8, 10), 0) << threads << " threads";
  }
}

TEST_F(Threads, SixtyFourCallers) {
  ASSERT_EQ(fpool_set_threads(3), FPOOL_OK);
  EXPECT_EQ(run_callers(64, 3), 0);
}

TEST_F(Threads, TheNumberMayChangeWhileCallsRun) {
  std::atomic<bool> done{false};
  std::thread changer([&done] {
    for (int i = 0; !done; ++i) {
      EXPECT_EQ(fpool_set_threads(1 + i % 6), FPOOL_OK);
      EXPECT_GE(fpool_get_threads(), 1);
    }
  });
  EXPECT_EQ(run_callers(6, 20), 0);
  done = true;
  changer.join();
}

TEST_F(Threads, MoreThreadsThanWork) {
  ASSERT_EQ(fpool_set_threads(64), FPOOL_OK);
  Job job(1, 401);
  for (int round = 0; round < 20; ++round) EXPECT_TRUE(job.run_and_compare());
}

TEST_F(Threads, MessagesAreEachThreadsOwn) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 16; ++caller) {
    callers.emplace_back([&wrong, caller] {
      const fpool_tensor x{FPOOL_F32, FPOOL_PLANAR, 1, 0, {1, 1, 9}, 36};
      const fpool_window window{{-caller}, {1}, {0}, {0}, {1}, 1, FPOOL_PAD_EXPLICIT, 0, 0};
      const std::string expected = "kernel is " + std::to_string(-caller) + " in axis W";
      std::int64_t extents[5];
      for (int round = 0; round < 200; ++round) {
        const bool refused = fpool_output_extents(&x, &window, extents) != FPOOL_OK;
        const bool named = std::string(fpool_last_error()).rfind(expected, 0) == 0;
        wrong += refused && named ? 0 : 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
