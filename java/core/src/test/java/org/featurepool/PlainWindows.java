package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Function;

/** Windows as lists of positions, and tests that need nothing but an operator's forward call. */
final class PlainWindows {
  private static final long GUARDED_BYTES = 1 << 16;

  private PlainWindows() {}

  /** Plane positions of the elements in the window of output {@code o} of a plane, row-major. */
  static List<Integer> taps(PoolCase pool, int o) {
    PoolCase.Axis d = pool.axis(0);
    PoolCase.Axis h = pool.axis(1);
    PoolCase.Axis w = pool.axis(2);
    List<Integer> taps = new ArrayList<>();
    for (int i = 0; i < d.kernel(); i++) {
      for (int j = 0; j < h.kernel(); j++) {
        for (int k = 0; k < w.kernel(); k++) {
          int z = d.position(o / w.output() / h.output(), i);
          int y = h.position(o / w.output() % h.output(), j);
          int x = w.position(o % w.output(), k);
          if (d.inside(z) && h.inside(y) && w.inside(x)) {
            taps.add((z * h.input() + y) * w.input() + x);
          }
        }
      }
    }
    return taps;
  }

  /** Windows side by side, overlapping, padded (clipped), dilated. */
  static List<PoolCase> gradientCases() {
    PoolCase dilated = PoolCase.of2d(2, 9, 8, 3, 2).withPadding(2, 1);
    return List.of(
        PoolCase.of2d(2, 6, 6, 2, 2),
        PoolCase.of2d(3, 7, 7, 3, 2),
        PoolCase.of2d(2, 6, 7, 3, 1).withPadding(1, 1),
        new PoolCase(
            dilated.rank(),
            2,
            dilated.channels(),
            dilated.input(),
            dilated.kernel(),
            dilated.stride(),
            dilated.padBegin(),
            dilated.padEnd(),
            new int[] {1, 2, 2},
            PoolCase.Padding.EXPLICIT,
            true,
            false,
            0));
  }

  /** An f64 tensor of a planar array. */
  static Tensor tensor(Arena arena, Shape shape, double[] planar) {
    Tensor tensor = TestTensors.blank(arena, DType.F64, shape);
    for (int i = 0; i < planar.length; i++) {
      tensor.segment().setAtIndex(ValueLayout.JAVA_DOUBLE, TestTensors.place(shape, i), planar[i]);
    }
    return tensor;
  }

  /** The values of an f64 tensor as a planar array. */
  static double[] planar(Tensor tensor) {
    double[] planar = new double[(int) tensor.shape().elementCount()];
    for (int i = 0; i < planar.length; i++) {
      planar[i] =
          tensor
              .segment()
              .getAtIndex(ValueLayout.JAVA_DOUBLE, TestTensors.place(tensor.shape(), i));
    }
    return planar;
  }

  /** A finite result must be within the tolerance; another one equal. */
  static void assertClose(double expected, float actual, double tolerance, String what) {
    if (Double.isFinite(expected)) {
      assertEquals(expected, actual, tolerance, what);
    } else {
      assertEquals((float) expected, actual, what);
    }
  }

  /** The gradients of parameters must be the slopes of the weighted sum of the outputs, to 1e-6. */
  static void assertParameterSlope(
      Function<double[], Tensor> forward,
      double[] parameters,
      double[] weights,
      double step,
      double[] gradient) {
    assertEquals(parameters.length, gradient.length);
    for (int i = 0; i < parameters.length; i++) {
      double[] above = parameters.clone();
      double[] below = parameters.clone();
      above[i] += step;
      below[i] -= step;
      double slope =
          (weigh(forward.apply(above), weights) - weigh(forward.apply(below), weights))
              / (2 * step);
      assertEquals(slope, gradient[i], 1e-6 * Math.max(1, Math.abs(slope)), "parameter " + i);
    }
  }

  private static double weigh(Tensor output, double[] weights) {
    double[] y = planar(output);
    double sum = 0;
    for (int i = 0; i < y.length; i++) {
      sum += y[i] * weights[i];
    }
    return sum;
  }

  /** The gradient must be the slope of the weighted sum of the outputs, to 1e-6. */
  static void assertSlope(
      BiFunction<Tensor, Arena, Tensor> forward,
      PoolCase pool,
      Layout layout,
      double[] x,
      double[] weights,
      double step,
      Tensor gradient) {
    assertSlope(forward, pool.inputShape(layout), x, weights, step, gradient, pool.toString());
  }

  /** The gradient must be the slope of the weighted sum of the outputs, to 1e-6. */
  static void assertSlope(
      BiFunction<Tensor, Arena, Tensor> forward,
      Shape shape,
      double[] x,
      double[] weights,
      double step,
      Tensor gradient,
      String what) {
    double[] actual = planar(gradient);
    for (int i = 0; i < x.length; i++) {
      double value = x[i];
      x[i] = value + step;
      double above = loss(forward, shape, x, weights);
      x[i] = value - step;
      double below = loss(forward, shape, x, weights);
      x[i] = value;
      double slope = (above - below) / (2 * step);
      assertEquals(
          slope, actual[i], 1e-6 * Math.max(1, Math.abs(slope)), "element " + i + " of " + what);
    }
  }

  private static double loss(
      BiFunction<Tensor, Arena, Tensor> forward, Shape shape, double[] x, double[] weights) {
    try (Arena arena = Arena.ofConfined()) {
      return weigh(forward.apply(tensor(arena, shape, x), arena), weights);
    }
  }

  /** Runs a pooling with input and output against guard pages, at either edge. */
  static void betweenGuardPages(
      DType dtype, Shape input, Shape output, float[] x, BiConsumer<Tensor, Tensor> pooling) {
    try (GuardedMemory first = new GuardedMemory(GUARDED_BYTES);
        GuardedMemory second = new GuardedMemory(GUARDED_BYTES);
        Arena arena = Arena.ofConfined()) {
      long inputBytes = input.elementCount() * dtype.size();
      long outputBytes = output.elementCount() * dtype.size();
      Tensor values = TestTensors.tensor(arena, dtype, input, x);
      for (boolean right : new boolean[] {false, true}) {
        MemorySegment in = right ? first.right(inputBytes) : first.left(inputBytes);
        MemorySegment out = right ? second.right(outputBytes) : second.left(outputBytes);
        in.copyFrom(values.segment());
        pooling.accept(Tensor.wrap(in, dtype, input), Tensor.wrap(out, dtype, output));
      }
    }
  }
}
