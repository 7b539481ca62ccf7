package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.function.Executable;

/** What the tests of bilinear pooling and NetVLAD share: tensors of planar values, slopes. */
final class ProductChecks {
  private static final double STEP = 1e-5;

  private ProductChecks() {}

  /** A tensor of values in the order N, C, H, W. */
  static Tensor tensor(Arena arena, DType dtype, Shape shape, double[] planar) {
    return fill(Tensor.allocate(arena, dtype, shape), planar);
  }

  /** The tensor, filled with values in the order N, C, H, W. */
  static Tensor fill(Tensor tensor, double[] planar) {
    Shape shape = tensor.shape();
    for (int i = 0; i < planar.length; i++) {
      tensor.set(planar[i], index(shape, i));
    }
    return tensor;
  }

  /** The values of a tensor in the order N, C, H, W. */
  static double[] planar(Tensor tensor) {
    double[] values = new double[(int) tensor.shape().elementCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.get(index(tensor.shape(), i));
    }
    return values;
  }

  private static long[] index(Shape shape, long planar) {
    long width = shape.spatial(1);
    long plane = shape.planeSize();
    long channels = shape.channels();
    return new long[] {
      planar / plane / channels, planar / plane % channels, planar % plane / width, planar % width
    };
  }

  /** Numbers from low to high that a {@code float} holds. */
  static double[] values(SplittableRandom random, long count, double low, double high) {
    double[] values = new double[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(low, high);
    }
    return values;
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  /** Divides by max(norm, 1e-12), in place. */
  static void normalize(double[] values) {
    double norm = Math.max(Math.sqrt(dot(values, values)), 1e-12);
    for (int i = 0; i < values.length; i++) {
      values[i] /= norm;
    }
  }

  /** Central differences, at every element of {@code at}, of the sum of weights times f. */
  static double[] slope(UnaryOperator<double[]> f, double[] at, double[] weights) {
    double[] slope = new double[at.length];
    double[] changed = at.clone();
    for (int i = 0; i < at.length; i++) {
      changed[i] = at[i] + STEP;
      double above = dot(f.apply(changed), weights);
      changed[i] = at[i] - STEP;
      double below = dot(f.apply(changed), weights);
      changed[i] = at[i];
      slope[i] = (above - below) / (2 * STEP);
    }
    return slope;
  }

  /** Every difference is at most {@code bound} times the largest magnitude. */
  static void assertClose(double[] expected, double[] actual, double bound, String what) {
    assertEquals(expected.length, actual.length, what);
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], bound * largest, what + ", element " + i);
    }
  }

  static void assertRefused(Executable call, String... inMessage) {
    RuntimeException refusal = assertThrows(IllegalArgumentException.class, call);
    for (String text : inMessage) {
      assertTrue(
          String.valueOf(refusal.getMessage()).contains(text),
          "\"" + refusal.getMessage() + "\" lacks \"" + text + "\"");
    }
  }
}
