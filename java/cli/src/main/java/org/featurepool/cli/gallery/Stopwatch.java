package org.featurepool.cli.gallery;

import java.util.Arrays;

/** Times short operations: the median of several runs after one that is not counted. */
final class Stopwatch {
  private static final int MIN_RUNS = 3;
  private static final int MAX_RUNS = 31;
  private static final long ENOUGH_NANOS = 60_000_000;

  private Stopwatch() {}

  /** Median nanoseconds of one run. */
  static double medianNanos(Runnable run) {
    run.run();
    double[] nanos = new double[MAX_RUNS];
    int runs = 0;
    long spent = 0;
    while (runs < MIN_RUNS || (runs < MAX_RUNS && spent < ENOUGH_NANOS)) {
      long start = System.nanoTime();
      run.run();
      long taken = System.nanoTime() - start;
      nanos[runs++] = taken;
      spent += taken;
    }
    Arrays.sort(nanos, 0, runs);
    return nanos[runs / 2];
  }
}
