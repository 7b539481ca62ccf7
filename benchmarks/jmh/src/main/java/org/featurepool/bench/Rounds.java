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
 * @param slowNanos what takes longer than this is run once more and that is its only sample
 */
record Rounds(int rounds, long sampleNanos, long warmUpNanos, long slowNanos) {
  private static final long MILLISECOND = 1_000_000;

  /** Enough for figures to be quoted. */
  static Rounds thorough() {
    return new Rounds(9, 40 * MILLISECOND, 400 * MILLISECOND, 1000 * MILLISECOND);
  }

  /** Enough for a look at the whole matrix. */
  static Rounds quick() {
    return new Rounds(5, 20 * MILLISECOND, 150 * MILLISECOND, 300 * MILLISECOND);
  }

  /** Returns the median time of each run in nanoseconds. */
  List<Double> medians(List<Runnable> runs) {
    List<Series> all = new ArrayList<>(runs.size());
    for (Runnable run : runs) {
      all.add(warmUp(run));
    }
    for (int round = 0; round < rounds; round++) {
      for (Series series : all) {
        if (round == 0 || !series.slow) {
          series.sample(round);
        }
      }
    }
    return all.stream().map(Series::median).toList();
  }

  private Series warmUp(Runnable run) {
    long start = System.nanoTime();
    run.run();
    long first = System.nanoTime() - start;
    if (first > slowNanos) {
      return new Series(run, 1, true);
    }
    // The last half of the warm-up tells how long a run takes once it is compiled.
    long half = start + warmUpNanos / 2;
    long end = start + warmUpNanos;
    long now = System.nanoTime();
    for (; now < half; now = System.nanoTime()) {
      run.run();
    }
    long measured = now;
    long count = 0;
    do {
      run.run();
      count++;
      now = System.nanoTime();
    } while (now < end);
    double each = Math.max(1, (double) (now - measured) / count);
    return new Series(run, Math.max(1, (long) Math.ceil(sampleNanos / each)), false);
  }

  /** The samples of one run. */
  private final class Series {
    private final Runnable run;
    private final long repetitions;
    private final boolean slow;
    private final double[] samples;

    private Series(Runnable run, long repetitions, boolean slow) {
      this.run = run;
      this.repetitions = repetitions;
      this.slow = slow;
      samples = new double[slow ? 1 : rounds];
    }

    private void sample(int round) {
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
