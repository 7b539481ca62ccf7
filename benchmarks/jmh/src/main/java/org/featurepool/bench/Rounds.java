package org.featurepool.bench;

import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * Times runs against each other: in every round each is timed once, over as many repetitions as
 * make a sample long enough, so that what the machine does meanwhile falls on all alike.
 *
 * @param rounds samples of each
 * @param sampleNanos least length of a sample
 * @param turnNanos how long each runs in a turn of the warm-up
 * @param slowNanos what takes longer than this has one run as its only sample
 */
record Rounds(int rounds, long sampleNanos, long turnNanos, long slowNanos) {
  private static final long MILLISECOND = 1_000_000;

  /** For that long threads of whoever ran before may spin, waiting for more to do. */
  private static final long SETTLING = 3 * MILLISECOND;

  private static final int LEAST_TURNS = 2;
  private static final int MOST_TURNS = 10;

  /** A run that a turn has made faster than this part of what it took is not warm yet. */
  private static final double STEADY = 0.8;

  /** A compiler that took more than this part of a turn is not done yet. */
  private static final double BUSY = 0.05;

  /** Enough for figures to be quoted. */
  static Rounds thorough() {
    return new Rounds(9, 40 * MILLISECOND, 200 * MILLISECOND, 1000 * MILLISECOND);
  }

  /** Enough for a look at the whole matrix. */
  static Rounds quick() {
    return new Rounds(5, 10 * MILLISECOND, 50 * MILLISECOND, 100 * MILLISECOND);
  }

  /**
   * What is timed, and what is done before and after it is repeated: a setting that calls for new
   * threads, say, is not to be paid for by every call.
   */
  record Run(Runnable enter, Runnable call, Runnable leave) {
    private static final Runnable NOTHING = () -> {};

    static Run of(Runnable call) {
      return new Run(NOTHING, call, NOTHING);
    }
  }

  /** Returns the median time of each run's call in nanoseconds. */
  List<Double> medians(List<Run> runs) {
    double[] estimates = warmUp(runs);
    List<Series> all = new ArrayList<>(runs.size());
    for (int i = 0; i < estimates.length; i++) {
      all.add(new Series(runs.get(i), estimates[i]));
    }
    for (int round = 0; round < rounds; round++) {
      for (Series series : all) {
        series.sample(round);
      }
    }
    return all.stream().map(Series::median).toList();
  }

  /**
   * Runs all in turns until they have stopped getting faster and the compiler, which works in the
   * background, has nothing left to do for them; returns what a run took in the last turn.
   */
  private double[] warmUp(List<Run> runs) {
    double[] estimates = new double[runs.size()];
    Arrays.fill(estimates, Double.POSITIVE_INFINITY);
    boolean warm = false;
    for (int turn = 0; turn < MOST_TURNS && !warm; turn++) {
      warm = turn >= LEAST_TURNS - 1;
      long start = System.nanoTime();
      long compiling = compilationMillis();
      for (int i = 0; i < estimates.length; i++) {
        if (turn > 0 && estimates[i] > slowNanos) {
          continue; // nothing that slow gets much faster
        }
        double estimate = runFor(runs.get(i), turnNanos);
        warm &= estimate > STEADY * estimates[i];
        estimates[i] = estimate;
      }
      double compiled = (double) (compilationMillis() - compiling) * MILLISECOND;
      warm &= compiled < BUSY * (System.nanoTime() - start);
    }
    return estimates;
  }

  private static long compilationMillis() {
    CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
    return compiler == null ? 0 : compiler.getTotalCompilationTime();
  }

  /** Runs at least once and until a time has passed; returns the mean time of a call. */
  private static double runFor(Run run, long nanos) {
    run.enter().run();
    long start = System.nanoTime();
    long runs = 0;
    long passed;
    do {
      run.call().run();
      runs++;
      passed = System.nanoTime() - start;
    } while (passed < nanos);
    run.leave().run();
    return Math.max(1, (double) passed / runs);
  }

  /** The samples of one run. */
  private final class Series {
    private final Run run;
    private final long repetitions;
    private final double[] samples;

    private Series(Run run, double estimate) {
      this.run = run;
      repetitions = (long) Math.ceil(sampleNanos / estimate);
      samples = estimate > slowNanos ? new double[] {estimate} : new double[rounds];
    }

    private void sample(int round) {
      if (samples.length < rounds) {
        return; // slow: the estimate is its sample
      }
      run.enter().run();
      LockSupport.parkNanos(SETTLING);
      run.call().run();
      long start = System.nanoTime();
      for (long i = 0; i < repetitions; i++) {
        run.call().run();
      }
      samples[round] = (double) (System.nanoTime() - start) / repetitions;
      run.leave().run();
    }

    private double median() {
      return Statistics.median(samples);
    }
  }
}
