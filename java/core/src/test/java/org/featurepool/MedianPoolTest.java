package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MedianPoolTest {
  /** Medians and their plane positions of a planar array, each window sorted. */
  private record Medians(float[] values, int[] positions) {
    static Medians of(PoolCase pool, float[] x, float none) {
      float[] values = new float[pool.outputSize()];
      int[] positions = new int[values.length];
      for (int o = 0; o < values.length; o++) {
        int base = o / pool.outputPlane() * pool.inputPlane();
        List<Integer> taps = PlainWindows.taps(pool, o % pool.outputPlane());
        values[o] = none;
        positions[o] = -1;
        List<Integer> nans = taps.stream().filter(i -> Float.isNaN(x[base + i])).toList();
        if (!nans.isEmpty()) {
          positions[o] = nans.getLast();
        } else if (!taps.isEmpty()) {
          // -0 equals +0, which Float.compare would not have it.
          float[] sorted = new float[taps.size()];
          for (int i = 0; i < sorted.length; i++) {
            sorted[i] = x[base + taps.get(i)] + 0f;
          }
          Arrays.sort(sorted);
          float median = sorted[(sorted.length - 1) / 2];
          positions[o] = taps.stream().filter(i -> x[base + i] == median).findFirst().orElseThrow();
        }
        if (positions[o] >= 0) {
          values[o] = x[base + positions[o]];
        }
      }
      return new Medians(values, positions);
    }
  }

  private static void check(PoolCase pool, Layout layout, DType dtype, float[] x, float[] dy) {
    String what = dtype + " " + layout + " " + pool;
    Medians expected = Medians.of(pool, x, dtype == DType.U8 ? 0 : Float.NaN);
    MedianPool median = MedianPool.of(pool.window());
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.tensor(arena, dtype, pool.inputShape(layout), x);
      assertSameBits(expected.values, TestTensors.planar(median.forward(input, arena)), what);
      MedianPool.Result result = median.forwardWithMask(input, arena);
      assertSameBits(expected.values, TestTensors.planar(result.output()), what);
      long[] indices = new long[expected.positions.length];
      float[] planar = TestTensors.planar(result.mask().indices(Mask.IndexBase.PLANE, arena));
      Arrays.setAll(indices, i -> (long) planar[i]);
      assertArrayEquals(Arrays.stream(expected.positions).asLongStream().toArray(), indices, what);
      if (dtype == DType.U8) {
        return;
      }
      double[] slope = new double[pool.inputSize()];
      for (int o = 0; o < dy.length; o++) {
        if (expected.positions[o] >= 0) {
          slope[o / pool.outputPlane() * pool.inputPlane() + expected.positions[o]] += dy[o];
        }
      }
      Tensor gradient = TestTensors.tensor(arena, dtype, pool.outputShape(layout), dy);
      float[] dx = TestTensors.planar(median.backward(gradient, result.mask(), arena));
      for (int i = 0; i < dx.length; i++) {
        assertEquals(slope[i], dx[i], 1e-4, what);
      }
    }
  }

  static void agreesWithSortedWindows(PoolCase pool, Layout layout, SplittableRandom random) {
    float[] dy = TestTensors.floats(random, pool.outputSize(), false);
    float[] x = TestTensors.floats(random, pool.inputSize(), true);
    check(pool, layout, DType.F32, x, dy);
    check(pool, layout, DType.F64, x, dy);
    check(pool, layout, DType.U8, TestTensors.integers(random, DType.U8, pool.inputSize()), dy);
  }

  @Test
  void adaptiveAndGlobalWindowsAreBins() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 1, 5), new float[] {5, 1, 4, 2, 3});
      // Bins of 5 in 2: [0, 3) and [2, 5).
      Tensor y = MedianPool.of(Window.adaptive(1, 2)).forward(x, arena);
      assertArrayEquals(new float[] {4, 3}, y.toFloatArray());
      MedianPool.Result all = MedianPool.of(Window.global(2)).forwardWithMask(x, arena);
      assertArrayEquals(new float[] {3}, all.output().toFloatArray());
      Tensor dy = Tensor.of(arena, Shape.nchw(1, 1, 1, 1), new float[] {7});
      Tensor dx = MedianPool.of(Window.global(2)).backward(dy, all.mask(), arena);
      assertArrayEquals(new float[] {0, 0, 0, 0, 7}, dx.toFloatArray());
    }
  }

  /** Slopes by central differences in f64, where no step changes which element is the median. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(22);
    for (PoolCase pool : PlainWindows.gradientCases()) {
      MedianPool median = MedianPool.of(pool.window());
      double[] x =
          random.ints(0, 1 << 20).distinct().limit(pool.inputSize()).asDoubleStream().toArray();
      double[] weights = random.doubles(pool.outputSize(), -1, 1).toArray();
      try (Arena arena = Arena.ofConfined()) {
        Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
        Mask mask = median.forwardWithMask(input, arena).mask();
        Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), weights);
        PlainWindows.assertSlope(
            (t, a) -> median.forward(t, a),
            pool,
            layout,
            x,
            weights,
            0.25,
            median.backward(dy, mask, arena));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(23);
    for (int length = 1; length <= 70; length++) {
      for (DType dtype : new DType[] {DType.F32, DType.F64, DType.U8}) {
        boolean planar = layout == Layout.PLANAR;
        PoolCase pool =
            PoolCase.of2d(planar ? 1 : length, 4, planar ? length : 4, 3, 1 + length % 3)
                .withPadding(1, 1);
        float[] x = TestTensors.integers(random, DType.U8, pool.inputSize());
        Medians expected = Medians.of(pool, x, 0);
        PlainWindows.betweenGuardPages(
            dtype,
            pool.inputShape(layout),
            pool.outputShape(layout),
            x,
            (in, out) -> {
              MedianPool.of(pool.window()).forward(in, out);
              assertSameBits(expected.values, TestTensors.planar(out), dtype + " " + pool);
            });
      }
    }
  }

  @Test
  void refusesBadInput() {
    try (Arena arena = Arena.ofConfined()) {
      MedianPool median = MedianPool.of(Window.square(2));
      Tensor integers = TestTensors.blank(arena, DType.I32, Shape.nchw(1, 1, 4, 4));
      IllegalArgumentException wrongType =
          assertThrows(IllegalArgumentException.class, () -> median.forward(integers, arena));
      assertTrue(wrongType.getMessage().contains("f32 or f64 or u8"), wrongType.getMessage());
      Tensor x = TestTensors.blank(arena, DType.F32, Shape.nchw(1, 1, 4, 4));
      Tensor tooSmall = TestTensors.blank(arena, DType.F32, Shape.nchw(1, 1, 2, 1));
      assertThrows(IllegalArgumentException.class, () -> median.forward(x, tooSmall));
      assertThrows(IllegalArgumentException.class, () -> median.forward(x, x));
      assertThrows(NullPointerException.class, () -> MedianPool.of(null));
      Tensor gone;
      try (Arena closed = Arena.ofConfined()) {
        gone = TestTensors.blank(closed, DType.F32, Shape.nchw(1, 1, 4, 4));
      }
      Tensor y = TestTensors.blank(arena, DType.F32, Shape.nchw(1, 1, 2, 2));
      assertThrows(IllegalStateException.class, () -> median.forward(gone, y));
    }
  }
}
