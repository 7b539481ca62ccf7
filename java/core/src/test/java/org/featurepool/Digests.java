package org.featurepool;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A program that prints the instruction set and, a line each, what every operator gives: {@code
 * exact}, a digest, of what selects; {@code close}, the largest magnitude and some elements, of
 * what sums. It ends with an error where two numbers of threads, two repetitions or, of what
 * selects, the layouts differ.
 *
 * <p>Argument: number of repetitions.
 */
final class Digests {
  private static final int THREADS = 8;
  private static final int SAMPLES = 16;
  private static final long SEED = 77;

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
    List<Subject> subjects = new ArrayList<>();
    for (PoolCase pool :
        new PoolCase[] {
          PoolCase.of2d(12, 60, 81, 3, 2).withPadding(1, 1),
          PoolCase.of2d(12, 60, 81, 2, 2),
          PoolCase.adaptive2d(16, 50, 70, 7, 9),
          PoolCase.of2d(6, 90, 91, 5, 1).withPadding(2, 2)
        }) {
      subjects.addAll(Subject.ofWindows(pool, SEED));
    }
    subjects.addAll(Subject.ofOwnGeometry(Shape.nchw(2, 12, 47, 51), SEED));
    for (Subject subject : subjects) {
      print(subject, Integer.parseInt(arguments[0]));
    }
  }

  private static void print(Subject subject, int repetitions) {
    SplittableRandom random = new SplittableRandom(SEED);
    double[] x =
        subject.traits().activations()
            ? random.doubles(subject.inputSize(), 0.125, 1).toArray()
            : random.doubles(subject.inputSize(), -1, 1).toArray();
    double[][] planar = null;
    for (Layout layout : Layout.values()) {
      double[][] first = null;
      for (int repetition = 0; repetition < repetitions; repetition++) {
        for (int threads = 1; threads <= THREADS; threads++) {
          Featurepool.setThreads(threads);
          double[][] results = results(subject, layout, x);
          first = first == null ? results : first;
          requireSame(first, results, subject.name() + ", " + layout + ", " + threads + " threads");
        }
      }
      planar = planar == null ? first : planar;
      if (subject.traits().selects()) {
        requireSame(
            Arrays.copyOf(planar, 1), Arrays.copyOf(first, 1), subject.name() + ", two layouts");
      }
    }
    System.out.println(
        subject.traits().selects()
            ? "exact " + subject.name() + " " + Arrays.hashCode(planar[0])
            : "close " + sample(planar[0]));
    // Gradients are sums wherever windows overlap.
    System.out.println("close " + sample(planar[1]));
  }

  private static double[][] results(Subject subject, Layout layout, double[] x) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.converted(arena, DType.F32, subject.input(layout), x);
      Tensor y = subject.forward().apply(input, arena);
      double[] weights = new double[(int) y.shape().elementCount()];
      Arrays.setAll(weights, i -> (i * 37 % 101 - 50) / 64.0);
      Tensor dy = TestTensors.converted(arena, DType.F32, y.shape(), weights);
      Tensor dx = subject.backward().of(dy, input, arena);
      return new double[][] {TestTensors.doubles(y), TestTensors.doubles(dx)};
    }
  }

  private static void requireSame(double[][] expected, double[][] actual, String what) {
    for (int i = 0; i < expected.length; i++) {
      int at = Arrays.mismatch(expected[i], actual[i]);
      if (at >= 0) {
        throw new AssertionError(
            (i == 0 ? "" : "gradient of ")
                + what
                + ": element "
                + at
                + " is "
                + actual[i][at]
                + ", not "
                + expected[i][at]);
      }
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
