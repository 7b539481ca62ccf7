package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * A way to compute poolings that is timed against others.
 *
 * <p>A new one is a class that implements this interface and a line in {@link Contenders#ALL}.
 */
interface Contender {
  /** The name in tables and in {@code --json}. */
  String name();

  /** Why this contender cannot compute a pooling; empty if it can. */
  Optional<String> lack(Task task);

  /**
   * Makes ready all that a call needs, output buffers included.
   *
   * @param workload a pooling that there is no {@link #lack} for, and its data
   * @param workers the threads that a call may use
   * @param arena owner of off-heap memory, confined to this thread, open as long as the call is
   *     used
   */
  Call prepare(Workload workload, Workers workers, Arena arena);

  /** A call with all its arguments. */
  interface Call {
    /** Computes the pooling. */
    void run();

    /** What the last run computed. */
    Result result();
  }
}
