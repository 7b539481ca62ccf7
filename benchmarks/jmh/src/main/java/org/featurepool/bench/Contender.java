package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * A way to compute poolings that is timed against others.
 *
 * <p>A new one is a class that implements this interface and a line in {@link Contenders}, or, for
 * another engine, in the services of its module.
 */
public interface Contender {
  /** The name in tables and in {@code --json}. */
  String name();

  /** The version of what is called, where that is not this project or the JDK. */
  default Optional<String> version() {
    return Optional.empty();
  }

  /** Whether this is not Featurepool itself. */
  default boolean isPeer() {
    return true;
  }

  /** Why this contender cannot compute a pooling, to be read after "has no"; empty if it can. */
  Optional<String> lack(Task task);

  /**
   * Makes ready all that a call needs, output buffers included.
   *
   * @param workload a pooling that there is no {@link #lack} for, and its data
   * @param workers the threads that a call may use
   * @param arena owner of off-heap memory, confined to this thread, open until the call is closed
   * @throws UnsupportedOperationException if it turns out only now that this contender cannot
   *     compute the pooling; the message tells why, as {@link #lack} does
   */
  Call prepare(Workload workload, Workers workers, Arena arena);

  /** A call with all its arguments. */
  interface Call extends AutoCloseable {
    /** Computes the pooling. */
    void run();

    /** What the last run computed. */
    Result result();

    /** Frees what the call holds outside its arena. */
    @Override
    default void close() {}
  }
}
