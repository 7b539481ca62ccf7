package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LpPoolTest {
  private static final double[] EXPONENTS = {1, 2, 3, 2.5, 7, 40, Double.POSITIVE_INFINITY};

  private static double norm(float[] x, int base, List<Integer> taps, double p) {
    double largest = 0;
    for (int i : taps) {
      largest = Math.max(largest, Math.abs(x[base + i]));
    }
    if (Double.isInfinite(p) || largest == 0 || !Double.isFinite(largest)) {
      return largest;
    }
    double sum = 0;
    for (int i : taps) {
      sum += Math.pow(Math.abs(x[base + i]) / largest, p);
    }
    return largest * Math.pow(sum, 1 / p);
  }

  static void agreesWithPlainJava(PoolCase pool, Layout layout, SplittableRandom random) {
    float[] x = TestTensors.floats(random, pool.inputSize(), true);
    double p = EXPONENTS[random.nextInt(EXPONENTS.length)];
    LpPool lp = LpPool.of(pool.window(), p);
    for (DType dtype : new DType[] {DType.F32, DType.F64}) {
      try (Arena arena = Arena.ofConfined()) {
        float[] y =
            TestTensors.planar(
                lp.forward(TestTensors.tensor(arena, dtype, pool.inputShape(layout), x), arena));
        for (int o = 0; o < y.length; o++) {
          int base = o / pool.outputPlane() * pool.inputPlane();
          float expected =
              (float) norm(x, base, PlainWindows.taps(pool, o % pool.outputPlane()), p);
          PlainWindows.assertClose(
              expected, y[o], Math.ulp(expected), lp + " of " + dtype + " " + pool);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(42);
    for (PoolCase pool : PlainWindows.gradientCases()) {
      for (double p : EXPONENTS) {
        LpPool lp = LpPool.of(pool.window(), p);
        // Of both signs, away from 0, and all different by more than a step.
        double[] x = new double[pool.inputSize()];
        for (int i = 0; i < x.length; i++) {
          int other = random.nextInt(i + 1);
          x[i] = x[other];
          x[other] = (1 + i / (double) x.length) * (random.nextBoolean() ? 1 : -1);
        }
        double[] weights = random.doubles(pool.outputSize(), -1, 1).toArray();
        try (Arena arena = Arena.ofConfined()) {
          Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
          Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), weights);
          PlainWindows.assertSlope(
              lp::forward,
              pool,
              layout,
              x,
              weights,
              2e-5,
              lp.backward(dy, input, lp.forward(input, arena), arena));
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(43);
    for (int length = 1; length <= 70; length++) {
      boolean planar = layout == Layout.PLANAR;
      PoolCase pool =
          PoolCase.of2d(planar ? 1 : length, 4, planar ? length : 4, 3, 1 + length % 3)
              .withPadding(1, 1);
      float[] x = TestTensors.floats(random, pool.inputSize(), false);
      LpPool lp = LpPool.of(pool.window(), EXPONENTS[length % EXPONENTS.length]);
      for (DType dtype : new DType[] {DType.F32, DType.F64}) {
        PlainWindows.betweenGuardPages(
            dtype, pool.inputShape(layout), pool.outputShape(layout), x, lp::forward);
        PlainWindows.betweenGuardPages(
            dtype,
            pool.outputShape(layout),
            pool.inputShape(layout),
            TestTensors.floats(random, pool.outputSize(), false),
            (dy, dx) -> {
              try (Arena arena = Arena.ofConfined()) {
                Tensor input = TestTensors.tensor(arena, dtype, pool.inputShape(layout), x);
                lp.backward(dy, input, lp.forward(input, arena), dx);
              }
            });
      }
    }
  }

  @Test
  void powersThatNoDoubleHoldsOverflowNothing() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 1, 2), new float[] {3e38f, 0, 3e-40f, 4e-40f});
      float[] y = GlobalPool.lp(2, 50).forward(x, arena).toFloatArray();
      assertEquals(3e38f, y[0]);
      assertEquals(4e-40f, y[1], 2 * Float.MIN_VALUE);
      Tensor dy = Tensor.of(arena, Shape.nchw(1, 2, 1, 1), new float[] {1, 1});
      float[] dx =
          LpPool.of(Window.global(2), 50)
              .backward(dy, x, Tensor.of(arena, dy.shape(), y), arena)
              .toFloatArray();
      assertArrayEquals(new float[] {1, 0}, new float[] {dx[0], dx[1]});
      assertEquals(1, dx[3], 1e-3f);
    }
  }

  @Test
  void infinitePRoutesToTheFirstLargestMagnitude() {
    try (Arena arena = Arena.ofConfined()) {
      LpPool lp = LpPool.of(Window.square(2), Double.POSITIVE_INFINITY);
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[] {1, -3, 3, 2});
      Tensor y = lp.forward(x, arena);
      assertArrayEquals(new float[] {3}, y.toFloatArray());
      Tensor dy = Tensor.of(arena, Shape.nchw(1, 1, 1, 1), new float[] {5});
      assertArrayEquals(new float[] {0, -5, 0, 0}, lp.backward(dy, x, y, arena).toFloatArray());
    }
  }

  @Test
  void bins() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 1, 5), new float[] {3, 0, -4, 0, 12});
      LpPool lp = LpPool.of(Window.adaptive(1, 2), 2);
      Tensor y = lp.forward(x, arena);
      assertEquals(5, y.toFloatArray()[0]);
      assertEquals((float) Math.sqrt(160), y.toFloatArray()[1]);
      assertEquals(13, GlobalPool.lp(2, 2).forward(x, arena).toFloatArray()[0]);
      Tensor dy = Tensor.of(arena, y.shape(), new float[] {1, 0});
      float[] dx = lp.backward(dy, x, y, arena).toFloatArray();
      assertArrayEquals(new float[] {0.6f, 0, -0.8f, 0, 0}, dx, 1e-7f);
    }
  }

  @Test
  void refusesBadInput() {
    for (double p : new double[] {0.5, Double.NaN, -1, 0}) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> LpPool.of(Window.square(2), p));
      assertTrue(refused.getMessage().startsWith("p is " + p), refused.getMessage());
    }
    try (Arena arena = Arena.ofConfined()) {
      LpPool lp = LpPool.of(Window.square(2), 2);
      Tensor bytes = TestTensors.blank(arena, DType.U8, Shape.nchw(1, 1, 4, 4));
      assertThrows(IllegalArgumentException.class, () -> lp.forward(bytes, arena));
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 4, 4), new float[16]);
      Tensor y = lp.forward(x, arena);
      Tensor wrong = Tensor.of(arena, Shape.nchw(1, 1, 3, 2), new float[6]);
      assertThrows(IllegalArgumentException.class, () -> lp.forward(x, wrong));
      assertThrows(IllegalArgumentException.class, () -> lp.backward(wrong, x, y, arena));
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> lp.backward(y, x, wrong, arena));
      assertTrue(refused.getMessage().startsWith("output.extents"), refused.getMessage());
      assertThrows(IllegalArgumentException.class, () -> lp.backward(y, x, y, y));
    }
  }
}
