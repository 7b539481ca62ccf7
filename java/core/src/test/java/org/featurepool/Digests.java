package org.featurepool;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A program that prints the instruction set and, a line each, what every operator gives: {@code
 * exact}, a digest, of what selects; {@code close}, the largest magnitude and some elements, of
 * what sums; at last the number of worker threads and how long they ran. It ends with an error
 * where two numbers of threads, two repetitions or, of what selects, the layouts differ.
 *
 * <p>Arguments: the instruction set, and the number of repetitions. It prints nothing but the
 * instruction set where the library runs with another, as a processor without the one asked for
 * makes it do.
 */
final class Digests {
  private static final int THREADS = 8;
  private static final int SAMPLES = 16;
  private static final long SEED = 77;
  private static int mostWorkers;
  private static double workerSeconds;

  private Digests() {}

  public static void main(String[] arguments) {
    String isa;
    try {
      isa = Featurepool.activeIsa();
    } catch (IllegalStateException notOfThisArchitecture) {
      System.out.println("isa none");
      return;
    }
    System.out.println("isa " + isa);
    if (!isa.equals(arguments[0])) {
      return;
    }
    List<Subject> subjects = new ArrayList<>();
    for (PoolCase pool :
        new PoolCase[] {
          // Long enough for workers to wake before all is done.
          PoolCase.of2d(20, 120, 161, 3, 2).withPadding(1, 1),
          PoolCase.of2d(20, 120, 161, 2, 2),
          PoolCase.adaptive2d(24, 100, 140, 7, 9),
          PoolCase.of2d(12, 90, 91, 5, 1).withPadding(2, 2)
        }) {
      subjects.addAll(Subject.ofWindows(pool, SEED));
    }
    subjects.addAll(Subject.ofOwnGeometry(Shape.nchw(2, 16, 67, 71), SEED));
    for (Subject subject : subjects) {
      print(subject, Integer.parseInt(arguments[1]));
    }
    System.out.println("workers " + mostWorkers + " seconds " + workerSeconds);
  }

  private static void print(Subject subject, int repetitions) {
    SplittableRandom random = new SplittableRandom(SEED);
    double[] x =
        subject.traits().activations()
            ? random.doubles(subject.inputSize(), 0.125, 1).toArray()
            : random.doubles(subject.inputSize(), -1, 1).toArray();
    double[][] planar = null;
    for (Layout layout : Layout.values()) {
      double[][] results = results(subject, layout, x, repetitions);
      planar = planar == null ? results : planar;
      if (subject.traits().selects()) {
        int at = Arrays.mismatch(planar[0], results[0]);
        if (at >= 0) {
          throw new AssertionError(subject.name() + ": layouts differ at element " + at);
        }
      }
    }
    System.out.println(
        subject.traits().selects()
            ? "exact " + subject.name() + " " + Arrays.hashCode(planar[0])
            : "close " + sample(planar[0]));
    // Gradients are sums wherever windows overlap.
    System.out.println("close " + sample(planar[1]));
  }

  /** Output and gradient, of one thread and, to the bit, of all numbers of them. */
  private static double[][] results(Subject subject, Layout layout, double[] x, int repetitions) {
    try (Arena arena = Arena.ofConfined()) {
      Featurepool.setThreads(1);
      Tensor input = TestTensors.converted(arena, DType.F32, subject.input(layout), x);
      Tensor y = subject.forward().apply(input, arena);
      double[] weights = new double[(int) y.shape().elementCount()];
      Arrays.setAll(weights, i -> (i * 37 % 101 - 50) / 64.0);
      Tensor dy = TestTensors.converted(arena, DType.F32, y.shape(), weights);
      Tensor dx = subject.backward().of(dy, input, arena);
      for (int threads = 1; threads <= THREADS; threads++) {
        String what = subject.name() + ", " + layout + ", " + threads + " threads";
        Featurepool.setThreads(threads);
        for (int repetition = 0; repetition < repetitions; repetition++) {
          try (Arena call = Arena.ofConfined()) {
            requireSame(y, subject.forward().apply(input, call), what);
            requireSame(dx, subject.backward().of(dy, input, call), "gradient of " + what);
          }
        }
        mostWorkers = Math.max(mostWorkers, Workers.count());
        workerSeconds += Workers.seconds();
      }
      return new double[][] {TestTensors.doubles(y), TestTensors.doubles(dx)};
    }
  }

  private static void requireSame(Tensor expected, Tensor actual, String what) {
    long at = expected.segment().mismatch(actual.segment());
    if (at >= 0) {
      throw new AssertionError(what + ": byte " + at + " is another one");
    }
  }

  private static String sample(double[] values) {
    StringBuilder line = new StringBuilder();
    line.append(Arrays.stream(values).map(Math::abs).max().orElse(0));
    for (int i = 0; i < SAMPLES; i++) {
      line.append(' ').append(values[(int) ((long) i * values.length / SAMPLES)]);
    }
    return line.toString();
  }
}
