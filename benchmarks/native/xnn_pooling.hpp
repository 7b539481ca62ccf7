#pragma once

#include "cell.hpp"

struct xnn_operator;
struct pthreadpool;

namespace featurepool::bench {

/** A pooling by XNNPACK, which has the interleaved layout alone. */
class XnnPooling {
 public:
  /** Whether XNNPACK has such a pooling. */
  static bool has(const Call& call);

  /** @throws std::runtime_error if XNNPACK refuses */
  XnnPooling(const Call& call, int threads);
  ~XnnPooling();

  XnnPooling(const XnnPooling&) = delete;
  XnnPooling& operator=(const XnnPooling&) = delete;

  /** Pools `x`. */
  void run(const void* x);

  /** Pools what was last pooled. */
  void run_again();

  /** Whether the result is what `y` holds: maxima bit for bit, averages to rounding. */
  bool agrees(const void* y) const;

 private:
  void create();
  void set_up();

  Call call_;
  Buffer x_;
  Buffer y_;
  pthreadpool* threads_ = nullptr;
  xnn_operator* operator_ = nullptr;
};

}  // namespace featurepool::bench
