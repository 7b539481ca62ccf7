package org.featurepool.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** The threads that a contender in Java may use, its caller included. */
public final class Workers implements AutoCloseable {
  /** Work on items {@code from} to {@code to}, exclusive. */
  interface Range {
    void run(int from, int to);
  }

  private final int threads;
  private final ExecutorService helpers;

  /** Starts {@code threads - 1} threads. */
  public Workers(int threads) {
    this.threads = threads;
    helpers =
        Executors.newFixedThreadPool(
            Math.max(1, threads - 1), Thread.ofPlatform().daemon().name("bench-", 1).factory());
  }

  /** How many there are. */
  public int threads() {
    return threads;
  }

  /** Splits items evenly over the threads and waits for all. */
  void run(int items, Range work) {
    if (threads == 1 || items == 1) {
      work.run(0, items);
      return;
    }
    List<Future<?>> helping = new ArrayList<>(threads - 1);
    for (int i = 1; i < threads; i++) {
      int from = cut(items, i);
      int to = cut(items, i + 1);
      helping.add(helpers.submit(() -> work.run(from, to)));
    }
    work.run(0, cut(items, 1));
    try {
      for (Future<?> help : helping) {
        help.get();
      }
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  private int cut(int items, int at) {
    return (int) ((long) items * at / threads);
  }

  @Override
  public void close() {
    helpers.shutdownNow();
  }
}
