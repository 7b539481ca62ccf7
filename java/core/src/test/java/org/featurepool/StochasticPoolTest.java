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

class StochasticPoolTest {
  private static final int DRAWS = 100_000;

  /** Philox4x32-10: the first word for a counter of 64 bits, in longs that hold unsigned words. */
  private static long firstWord(long seed, long position) {
    long word = 0xffffffffL;
    long[] c = {position & word, position >>> 32, 0, 0};
    long k0 = seed & word;
    long k1 = seed >>> 32;
    for (int round = 0; round < 10; round++) {
      long a = 0xD2511F53L * c[0];
      long b = 0xCD9E8D57L * c[2];
      c = new long[] {b >>> 32 ^ c[1] ^ k0, b & word, a >>> 32 ^ c[3] ^ k1, a & word};
      k0 = k0 + 0x9E3779B9L & word;
      k1 = k1 + 0xBB67AE85L & word;
    }
    return c[0];
  }

  private static float[] activations(SplittableRandom random, int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = random.nextInt(3) == 0 ? 0 : (float) random.nextDouble();
    }
    return x;
  }

  private static void check(PoolCase pool, Layout layout, DType dtype, float[] x, long seed) {
    String what = dtype + " " + layout + " " + pool;
    float[] values = new float[pool.outputSize()];
    float[] positions = new float[values.length];
    double[] expectations = new double[values.length];
    for (int o = 0; o < values.length; o++) {
      int base = o / pool.outputPlane() * pool.inputPlane();
      List<Integer> taps = PlainWindows.taps(pool, o % pool.outputPlane());
      double sum = 0;
      for (int i : taps) {
        sum += x[base + i];
      }
      positions[o] = taps.isEmpty() ? -1 : taps.getFirst();
      if (sum > 0) {
        double threshold = (firstWord(seed, o) >>> 8) * 0x1p-24 * sum;
        double running = 0;
        for (int i : taps) {
          double before = running;
          running += x[base + i];
          if (before <= threshold && running > threshold) {
            positions[o] = i;
          }
          expectations[o] += (double) x[base + i] * x[base + i] / sum;
        }
        values[o] = x[base + (int) positions[o]];
      }
    }
    StochasticPool stochastic = StochasticPool.of(pool.window());
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.tensor(arena, dtype, pool.inputShape(layout), x);
      StochasticPool.Result drawn = stochastic.forwardTraining(input, seed, arena);
      assertSameBits(values, TestTensors.planar(drawn.output()), what);
      assertArrayEquals(
          positions, TestTensors.planar(drawn.mask().indices(Mask.IndexBase.PLANE, arena)), what);
      float[] expected = TestTensors.planar(stochastic.forward(input, arena));
      for (int o = 0; o < expected.length; o++) {
        assertEquals(expectations[o], expected[o], 1e-6 * expectations[o], what);
      }
      float[] dy = new float[values.length];
      Arrays.fill(dy, 0.5f);
      double[] slope = new double[x.length];
      for (int o = 0; o < dy.length; o++) {
        if (positions[o] >= 0) {
          slope[o / pool.outputPlane() * pool.inputPlane() + (int) positions[o]] += dy[o];
        }
      }
      float[] dx =
          TestTensors.planar(
              stochastic.backward(
                  TestTensors.tensor(arena, dtype, pool.outputShape(layout), dy),
                  drawn.mask(),
                  arena));
      for (int i = 0; i < dx.length; i++) {
        assertEquals(slope[i], dx[i], 0, what);
      }
    }
  }

  static void agreesWithPlainJava(PoolCase pool, Layout layout, SplittableRandom random) {
    float[] x = activations(random, pool.inputSize());
    long seed = random.nextLong();
    check(pool, layout, DType.F32, x, seed);
    check(pool, layout, DType.F64, x, seed);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void frequenciesAreTheProbabilities(Layout layout) {
    float[] weights = {1, 0, 2, 5};
    int channels = 20;
    int rows = 50;
    int columns = DRAWS / channels / rows;
    PoolCase pool = PoolCase.of2d(channels, 2 * rows, 2 * columns, 2, 2);
    float[] x = new float[pool.inputSize()];
    for (int i = 0; i < x.length; i++) {
      x[i] = weights[i / (2 * columns) % 2 * 2 + i % 2];
    }
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), x);
      float[] drawn =
          TestTensors.planar(
              StochasticPool.of(pool.window()).forwardTraining(input, 2013, arena).mask().tensor());
      int[] counts = new int[4];
      for (float location : drawn) {
        counts[(int) location]++;
      }
      for (int i = 0; i < 4; i++) {
        double p = weights[i] / 8;
        assertEquals(DRAWS * p, counts[i], 4 * Math.sqrt(DRAWS * p * (1 - p)), "location " + i);
      }
    }
  }

  @Test
  void sameSeedDrawsTheSameForEveryNumberOfThreads() {
    PoolCase pool = PoolCase.of2d(8, 301, 299, 3, 2).withPadding(1, 1);
    float[] x = activations(new SplittableRandom(32), pool.inputSize());
    StochasticPool stochastic = StochasticPool.of(pool.window());
    float[] first = null;
    try {
      for (Layout layout : Layout.values()) {
        for (int threads : new int[] {1, 2, 5}) {
          Featurepool.setThreads(threads);
          try (Arena arena = Arena.ofConfined()) {
            Tensor input = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), x);
            StochasticPool.Result drawn = stochastic.forwardTraining(input, 99, arena);
            float[] mask = TestTensors.planar(drawn.mask().tensor());
            first = first == null ? mask : first;
            assertSameBits(first, mask, layout + " with " + threads + " threads");
          }
        }
      }
    } finally {
      Featurepool.setThreads(0);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientOfTheExpectationIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(33);
    for (PoolCase pool : PlainWindows.gradientCases()) {
      StochasticPool stochastic = StochasticPool.of(pool.window());
      double[] x = random.doubles(pool.inputSize(), 0.5, 2).toArray();
      double[] weights = random.doubles(pool.outputSize(), -1, 1).toArray();
      try (Arena arena = Arena.ofConfined()) {
        Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
        Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), weights);
        PlainWindows.assertSlope(
            (t, a) -> stochastic.forward(t, a),
            pool,
            layout,
            x,
            weights,
            1e-4,
            stochastic.backwardInference(dy, input, arena));
      }
    }
  }

  @Test
  void windowOfZerosDrawsItsFirstElement() {
    try (Arena arena = Arena.ofConfined()) {
      StochasticPool stochastic = StochasticPool.of(Window.square(2));
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[4]);
      StochasticPool.Result drawn = stochastic.forwardTraining(x, 1, arena);
      assertArrayEquals(new float[] {0}, drawn.output().toFloatArray());
      Tensor dy = Tensor.of(arena, Shape.nchw(1, 1, 1, 1), new float[] {3});
      assertArrayEquals(
          new float[] {3, 0, 0, 0}, stochastic.backward(dy, drawn.mask(), arena).toFloatArray());
      assertArrayEquals(new float[] {0}, stochastic.forward(x, arena).toFloatArray());
      assertArrayEquals(
          new float[] {0, 0, 0, 0}, stochastic.backwardInference(dy, x, arena).toFloatArray());
    }
  }

  @Test
  void adaptiveAndGlobalWindowsAreBins() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 1, 5), new float[] {1, 2, 0, 0, 3});
      assertArrayEquals(
          new float[] {5 / 3f, 3},
          StochasticPool.of(Window.adaptive(1, 2)).forward(x, arena).toFloatArray());
      assertArrayEquals(
          new float[] {14 / 6f},
          StochasticPool.of(Window.global(2)).forward(x, arena).toFloatArray());
      StochasticPool.Result drawn =
          StochasticPool.of(Window.adaptive(1, 2)).forwardTraining(x, 5, arena);
      assertEquals(3, drawn.output().toFloatArray()[1]);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(34);
    for (int length = 1; length <= 70; length++) {
      for (DType dtype : new DType[] {DType.F32, DType.F64}) {
        boolean planar = layout == Layout.PLANAR;
        PoolCase pool =
            PoolCase.of2d(planar ? 1 : length, 4, planar ? length : 4, 3, 1 + length % 3)
                .withPadding(1, 1);
        float[] x = activations(random, pool.inputSize());
        StochasticPool stochastic = StochasticPool.of(pool.window());
        PlainWindows.betweenGuardPages(
            dtype,
            pool.inputShape(layout),
            pool.outputShape(layout),
            x,
            (in, out) -> {
              stochastic.forward(in, out);
              try (Arena arena = Arena.ofConfined()) {
                Mask mask = Mask.allocate(arena, pool.window(), pool.inputShape(layout));
                stochastic.forwardTraining(in, 7, out, mask);
              }
            });
        PlainWindows.betweenGuardPages(
            dtype,
            pool.outputShape(layout),
            pool.inputShape(layout),
            activations(random, pool.outputSize()),
            (dy, dx) -> {
              try (Arena arena = Arena.ofConfined()) {
                stochastic.backwardInference(
                    dy, TestTensors.tensor(arena, dtype, pool.inputShape(layout), x), dx);
              }
            });
      }
    }
  }

  @Test
  void refusesBadInput() {
    try (Arena arena = Arena.ofConfined()) {
      StochasticPool stochastic = StochasticPool.of(Window.square(2));
      for (float wrong : new float[] {-1.5f, Float.NaN, Float.POSITIVE_INFINITY}) {
        float[] values = new float[16];
        values[13] = wrong;
        Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 4, 4), values);
        for (Runnable call :
            List.<Runnable>of(
                () -> stochastic.forward(x, arena),
                () -> stochastic.forwardTraining(x, 1, arena),
                () ->
                    stochastic.backwardInference(
                        Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[4]), x, arena))) {
          IllegalArgumentException refused =
              assertThrows(IllegalArgumentException.class, call::run);
          assertTrue(refused.getMessage().startsWith("x[0, 0, 3, 1] is "), refused.getMessage());
        }
      }
      Tensor bytes = TestTensors.blank(arena, DType.U8, Shape.nchw(1, 1, 4, 4));
      assertThrows(IllegalArgumentException.class, () -> stochastic.forward(bytes, arena));
      assertThrows(
          IllegalArgumentException.class, () -> stochastic.forwardTraining(bytes, 1, arena));
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 4, 4), new float[16]);
      Tensor wrong = Tensor.of(arena, Shape.nchw(1, 1, 3, 2), new float[6]);
      assertThrows(IllegalArgumentException.class, () -> stochastic.forward(x, wrong));
      assertThrows(
          IllegalArgumentException.class, () -> stochastic.backwardInference(wrong, x, arena));
      Mask other = Mask.allocate(arena, Window.square(4), x.shape());
      Tensor y = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[4]);
      assertThrows(
          IllegalArgumentException.class, () -> stochastic.forwardTraining(x, 1, y, other));
    }
  }
}
