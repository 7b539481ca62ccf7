package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class GemPoolTest {
  private static double mean(float[] x, int base, List<Integer> taps, double p, double epsilon) {
    double sum = 0;
    for (int i : taps) {
      sum += Math.pow(Float.isNaN(x[base + i]) ? Double.NaN : Math.max(x[base + i], epsilon), p);
    }
    return Math.pow(sum / taps.size(), 1 / p);
  }

  private static double[] exponents(SplittableRandom random, int channels) {
    int kind = random.nextInt(3);
    return kind == 0
        ? new double[] {3}
        : random.doubles(kind == 1 ? 1 : channels, 0.5, 6).toArray();
  }

  static void agreesWithPlainJava(PoolCase pool, Layout layout, SplittableRandom random) {
    float[] x = TestTensors.floats(random, pool.inputSize(), true);
    double[] p = exponents(random, pool.channels());
    double epsilon = random.nextBoolean() ? 1e-6 : 0.1;
    GemPool gem = GemPool.of(pool.window(), p).withEpsilon(epsilon);
    for (DType dtype : new DType[] {DType.F32, DType.F64}) {
      try (Arena arena = Arena.ofConfined()) {
        float[] y =
            TestTensors.planar(
                gem.forward(TestTensors.tensor(arena, dtype, pool.inputShape(layout), x), arena));
        for (int o = 0; o < y.length; o++) {
          int plane = o / pool.outputPlane();
          float expected =
              (float)
                  mean(
                      x,
                      plane * pool.inputPlane(),
                      PlainWindows.taps(pool, o % pool.outputPlane()),
                      p[p.length == 1 ? 0 : plane % pool.channels()],
                      epsilon);
          PlainWindows.assertClose(
              expected, y[o], Math.ulp(expected), gem + " of " + dtype + " " + pool);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsAreSlopes(Layout layout) {
    SplittableRandom random = new SplittableRandom(52);
    for (PoolCase pool : PlainWindows.gradientCases()) {
      for (int i = 0; i < 6; i++) {
        double[] p = exponents(random, pool.channels());
        GemPool gem = GemPool.of(pool.window(), p).withEpsilon(0.3);
        double[] x = random.doubles(pool.inputSize(), 0.4, 2).toArray();
        for (int j = 0; j < x.length; j += 3) {
          x[j] -= 1.8;
        }
        double[] weights = random.doubles(pool.outputSize(), -1, 1).toArray();
        try (Arena arena = Arena.ofConfined()) {
          Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
          Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), weights);
          GemPool.Gradients gradients = gem.backward(dy, input, gem.forward(input, arena), arena);
          PlainWindows.assertSlope(gem::forward, pool, layout, x, weights, 1e-5, gradients.input());
          PlainWindows.assertParameterSlope(
              changed -> GemPool.of(pool.window(), changed).withEpsilon(0.3).forward(input, arena),
              p,
              weights,
              1e-5,
              gradients.p());
        }
      }
    }
  }

  @Test
  void exponentGradientsHaveTheSameBitsForEveryNumberOfThreads() {
    SplittableRandom random = new SplittableRandom(53);
    PoolCase pool = PoolCase.of2d(3, 401, 299, 3, 2).withPadding(1, 1);
    float[] x = TestTensors.floats(random, pool.inputSize(), false);
    float[] weights = TestTensors.floats(random, pool.outputSize(), false);
    GemPool gem = GemPool.of(pool.window(), 2.5, 3, 4);
    try (Arena arena = Arena.ofConfined()) {
      for (Layout layout : Layout.values()) {
        Tensor input = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), x);
        Tensor dy = TestTensors.tensor(arena, DType.F32, pool.outputShape(layout), weights);
        Tensor y = gem.forward(input, arena);
        double[] first = null;
        for (int threads : new int[] {1, 2, 5}) {
          Featurepool.setThreads(threads);
          double[] p = gem.backward(dy, input, y, arena).p();
          first = first == null ? p : first;
          assertArrayEquals(first, p);
        }
      }
    } finally {
      Featurepool.setThreads(0);
    }
  }

  @Test
  void globalMeanOfOneIsTheAverage() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 1, 4), new float[] {1, 2, 3, 6, 1, 2, 2, 3});
      assertArrayEquals(
          new float[] {3, 2}, GemPool.of(Window.global(2), 1).forward(x, arena).toFloatArray());
      float[] perChannel = GemPool.of(Window.global(2), 1, 2).forward(x, arena).toFloatArray();
      assertArrayEquals(new float[] {3, (float) Math.sqrt(4.5)}, perChannel);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(54);
    for (int length = 1; length <= 70; length++) {
      boolean planar = layout == Layout.PLANAR;
      PoolCase pool =
          PoolCase.of2d(planar ? 1 : length, 4, planar ? length : 4, 3, 1 + length % 3)
              .withPadding(1, 1);
      float[] x = TestTensors.floats(random, pool.inputSize(), false);
      GemPool gem = GemPool.of(pool.window(), exponents(random, pool.channels()));
      for (DType dtype : new DType[] {DType.F32, DType.F64}) {
        PlainWindows.betweenGuardPages(
            dtype, pool.inputShape(layout), pool.outputShape(layout), x, gem::forward);
      }
    }
  }

  @Test
  void refusesBadInput() {
    Window window = Window.square(2);
    for (double p : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> GemPool.of(window, p));
      assertTrue(refused.getMessage().startsWith("p is " + p), refused.getMessage());
      refused = assertThrows(IllegalArgumentException.class, () -> GemPool.of(window, 3, p));
      assertTrue(refused.getMessage().startsWith("p[1] is " + p), refused.getMessage());
      refused =
          assertThrows(IllegalArgumentException.class, () -> GemPool.of(window, 3).withEpsilon(p));
      assertTrue(refused.getMessage().startsWith("epsilon is " + p), refused.getMessage());
    }
    assertThrows(IllegalArgumentException.class, () -> GemPool.of(window));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 3, 4, 4), new float[48]);
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class, () -> GemPool.of(window, 1, 2).forward(x, arena));
      assertTrue(refused.getMessage().startsWith("p has 2 values"), refused.getMessage());
    }
  }
}
