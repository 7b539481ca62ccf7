package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MixedPoolTest {
  private static double[] weights(SplittableRandom random, int channels) {
    return random.doubles(random.nextBoolean() ? 1 : channels, 0, 1).toArray();
  }

  static void agreesWithPlainJava(PoolCase any, Layout layout, SplittableRandom random) {
    PoolCase pool = any.withoutDivisor();
    float[] x = TestTensors.floats(random, pool.inputSize(), true);
    Oracle.Maxima maxima = Oracle.max(pool, x, Float.NEGATIVE_INFINITY);
    Oracle.Bounded averages = Oracle.average(pool, x);
    double[] alpha = weights(random, pool.channels());
    MixedPool add = MixedPool.add(pool.window(), alpha);
    MixedPool cat = MixedPool.cat(pool.window());
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), x);
      float[] sums = TestTensors.planar(add.forward(input, arena));
      float[] joined = TestTensors.planar(cat.forward(input, arena));
      for (int o = 0; o < sums.length; o++) {
        int plane = o / pool.outputPlane();
        int c = plane % pool.channels();
        double a = alpha[alpha.length == 1 ? 0 : c];
        double maximum = maxima.values()[o];
        double average = averages.values()[o];
        double expected = a * maximum + (1 - a) * average;
        double tolerance = averages.tolerance()[o] + Math.ulp((float) maximum);
        String what = "output " + o + " of " + pool;
        PlainWindows.assertClose(expected, sums[o], tolerance, what);
        int at = ((plane - c) * 2 + c) * pool.outputPlane() + o % pool.outputPlane();
        PlainWindows.assertClose(average, joined[at], averages.tolerance()[o], what);
        assertEquals(
            Float.floatToRawIntBits(maxima.values()[o]),
            Float.floatToRawIntBits(joined[at + pool.channels() * pool.outputPlane()]),
            what);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsAreSlopes(Layout layout) {
    SplittableRandom random = new SplittableRandom(62);
    for (PoolCase pool : PlainWindows.gradientCases()) {
      // All different by more than a step, so that a step never changes which is the maximum.
      double[] x = new double[pool.inputSize()];
      for (int i = 0; i < x.length; i++) {
        int other = random.nextInt(i + 1);
        x[i] = x[other];
        x[other] = i / 16.0 - 3;
      }
      double[] slopes = random.doubles(2 * pool.outputSize(), -1, 1).toArray();
      double[] alpha = weights(random, pool.channels());
      MixedPool add = MixedPool.add(pool.window(), alpha);
      MixedPool cat = MixedPool.cat(pool.window());
      try (Arena arena = Arena.ofConfined()) {
        Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
        double[] half = Arrays.copyOf(slopes, pool.outputSize());
        Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), half);
        MixedPool.Gradients gradients = add.backward(dy, input, arena);
        PlainWindows.assertSlope(add::forward, pool, layout, x, half, 1e-3, gradients.input());
        PlainWindows.assertParameterSlope(
            changed -> MixedPool.add(pool.window(), changed).forward(input, arena),
            alpha,
            half,
            1e-7,
            gradients.alpha());
        Tensor joined = PlainWindows.tensor(arena, cat.outputShape(input.shape()), slopes);
        gradients = cat.backward(joined, input, arena);
        PlainWindows.assertSlope(cat::forward, pool, layout, x, slopes, 1e-3, gradients.input());
        assertEquals(0, gradients.alpha().length);
      }
    }
  }

  @Test
  void bins() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 1, 5), new float[] {1, 2, 6, 0, 3});
      assertArrayEquals(
          new float[] {4.5f, 4.5f},
          MixedPool.add(Window.adaptive(1, 2)).forward(x, arena).toFloatArray());
      Tensor y = MixedPool.cat(Window.global(2)).forward(x, arena);
      assertArrayEquals(new float[] {2.4f, 6}, y.toFloatArray());
      assertArrayEquals(
          new float[] {1, 1, 3, 1, 1},
          MixedPool.cat(Window.global(2))
              .backward(Tensor.of(arena, y.shape(), new float[] {5, 2}), x, arena)
              .input()
              .toFloatArray());
      MixedPool.Gradients gradients =
          MixedPool.add(Window.global(2), 0.25)
              .backward(Tensor.of(arena, Shape.nchw(1, 1, 1, 1), new float[] {2}), x, arena);
      assertEquals(2 * (6 - 2.4), gradients.alpha()[0], 1e-6);
    }
  }

  @Test
  void weightsOfZeroAndOneLeaveTheOtherOut() {
    try (Arena arena = Arena.ofConfined()) {
      float[] values = {1, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 2};
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), values);
      Window window = Window.square(2);
      assertEquals(
          Float.POSITIVE_INFINITY, MixedPool.add(window, 1).forward(x, arena).toFloatArray()[0]);
      assertTrue(Float.isNaN(MixedPool.add(window, 0).forward(x, arena).toFloatArray()[0]));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(63);
    for (int length = 1; length <= 70; length++) {
      boolean planar = layout == Layout.PLANAR;
      PoolCase pool =
          PoolCase.of2d(planar ? 1 : length, 4, planar ? length : 4, 3, 1 + length % 3)
              .withPadding(1, 1);
      float[] x = TestTensors.floats(random, pool.inputSize(), false);
      MixedPool add = MixedPool.add(pool.window(), weights(random, pool.channels()));
      MixedPool cat = MixedPool.cat(pool.window());
      for (DType dtype : new DType[] {DType.F32, DType.F64}) {
        Shape input = pool.inputShape(layout);
        PlainWindows.betweenGuardPages(dtype, input, add.outputShape(input), x, add::forward);
        PlainWindows.betweenGuardPages(dtype, input, cat.outputShape(input), x, cat::forward);
      }
    }
  }

  @Test
  void refusesBadInput() {
    Window window = Window.square(2);
    for (double alpha : new double[] {-0.1, 1.5, Double.NaN}) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> MixedPool.add(window, alpha));
      assertTrue(refused.getMessage().startsWith("alpha is " + alpha), refused.getMessage());
      refused =
          assertThrows(IllegalArgumentException.class, () -> MixedPool.add(window, 0.5, alpha));
      assertTrue(refused.getMessage().startsWith("alpha[1] is " + alpha), refused.getMessage());
    }
    assertThrows(IllegalArgumentException.class, () -> MixedPool.add(window, new double[0]));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 3, 4, 4), new float[48]);
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> MixedPool.add(window, 0.1, 0.2).forward(x, arena));
      assertTrue(refused.getMessage().startsWith("alpha has 2 values"), refused.getMessage());
      Tensor single = Tensor.of(arena, Shape.nchw(1, 3, 2, 2), new float[12]);
      assertThrows(IllegalArgumentException.class, () -> MixedPool.cat(window).forward(x, single));
      assertThrows(
          IllegalArgumentException.class, () -> MixedPool.cat(window).backward(single, x, arena));
    }
  }
}
