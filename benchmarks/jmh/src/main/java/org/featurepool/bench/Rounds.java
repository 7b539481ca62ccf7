package org.featurepool.bench;

import java.util.ArrayList;
import java.util.List;

/**
 * Times runs against each other: in every round each is timed once, over as many repetitions as
 * make a sample long enough, so that what the machine does meanwhile falls on all alike.
 *
 * @param rounds samples of each
 * @param sampleNanos least length of a sample
 * @param warmUpNanos how long each runs before it is timed
 * @param slowNanos what takes longer than this has one run as its only sample
 */
record Rounds(int rounds, long sampleNanos, long warmUpNanos, long slowNanos) {
  private static final long MILLISECOND = 1_000_000;

  /** Enough for figures to be quoted. */
  static Rounds thorough() {
    return new Rounds(9, 40 * MILLISECOND, 400 * MILLISECOND, 1000 * MILLISECOND);
  }

  /** Enough for a look at the whole matrix. */
  static Rounds quick() {
    return new Rounds(5, 20 * MILLISECOND, 200 * MILLISECOND, 300 * MILLISECOND);
  }

  /** Returns the median time of each run in nanoseconds. */
  List<Double> medians(List<Runnable> runs) {
    // In two turns, so that the compiler, which works in the background, is done with what the
    // first
    // turn made hot when the second tells how long a run takes.
    for (Runnable run : runs) {
      runFor(run, warmUpNanos / 2);
    }
    List<Series> all = new ArrayList<>(runs.size());
    for (Runnable run : runs) {
      all.add(new Series(run, runFor(run, warmUpNanos / 2)));
    }
    for (int round = 0; round < rounds; round++) {
      for (Series series : all) {
        series.sample(round);
      }
    }
    return all.stream().map(Series::median).toList();
  }

  /** Runs at least once and until a time has passed; returns the mean time of a run. */
  private static double runFor(Runnable run, long nanos) {
    long start = System.nanoTime();
    long runs = 0;
    long passed;
    do {
      run.run();
      runs++;
      passed = System.nanoTime() - start;
    } while (passed < nanos);
    return Math.max(1, (double) passed / runs);
  }

  /** The samples of one run. */
  private final class Series {
    private final Runnable run;
    private final long repetitions;
    private final double[] samples;

    private Series(Runnable run, double estimate) {
      this.run = run;
      repetitions = (long) Math.ceil(sampleNanos / estimate);
      samples = estimate > slowNanos ? new double[] {estimate} : new double[rounds];
    }

    private void sample(int round) {
      if (samples.length < rounds) {
        return; // slow: the estimate is its sample
      }
      long start = System.nanoTime();
      for (long i = 0; i < repetitions; i++) {
        run.run();
      }
      samples[round] = (double) (System.nanoTime() - start) / repetitions;
    }

    private double median() {
      return Statistics.median(samples);
    }
  }
}
