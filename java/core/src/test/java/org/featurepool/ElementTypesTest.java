package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every element type, and min beside max. */
class ElementTypesTest {
  private static final PoolCase POOL = PoolCase.of2d(5, 9, 11, 3, 2).withPadding(1, 1);

  /** Small whole numbers, which every type holds exactly; of u8 none is negative. */
  private static float[] wholeNumbers(SplittableRandom random, int count, DType dtype) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextInt(dtype == DType.U8 ? 0 : -100, 101);
    }
    return values;
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"I64"},
      mode = EnumSource.Mode.EXCLUDE)
  void minIsMaxOfTheNegated(DType dtype) {
    SplittableRandom random = new SplittableRandom(3);
    float[] x = wholeNumbers(random, POOL.inputSize(), dtype);
    float[] reversed = new float[x.length];
    int mirror = dtype == DType.U8 ? 100 : 0;
    for (int i = 0; i < x.length; i++) {
      reversed[i] = mirror - x[i];
    }
    for (Layout layout : Layout.values()) {
      try (Arena arena = Arena.ofConfined()) {
        Shape shape = POOL.inputShape(layout);
        Oracle.Maxima expected = Oracle.max(POOL, x, 0);
        SelectingPool.Result max =
            MaxPool.of(POOL.window())
                .forwardWithMask(TestTensors.tensor(arena, dtype, shape, x), arena);
        SelectingPool.Result min =
            MinPool.of(POOL.window())
                .forwardWithMask(TestTensors.tensor(arena, dtype, shape, reversed), arena);
        float[] maxima = TestTensors.planar(max.output());
        assertSameBits(expected.values(), maxima, dtype + " " + layout);
        float[] minima = TestTensors.planar(min.output());
        for (int i = 0; i < minima.length; i++) {
          assertEquals(maxima[i], mirror - minima[i], dtype + " " + layout + " element " + i);
        }
        assertArrayEquals(
            max.mask().tensor().toByteArray(), min.mask().tensor().toByteArray(), "positions");
      }
    }
  }

  /** All different by at least 1, so that a step never changes which wins. */
  private static double[] distinct(SplittableRandom random, int count) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      int other = random.nextInt(i + 1);
      values[i] = values[other];
      values[other] = i;
    }
    return values;
  }

  private static List<PoolCase> gradientCases() {
    List<PoolCase> cases = new ArrayList<>(PlainWindows.gradientCases());
    cases.add(PoolCase.adaptive2d(2, 7, 9, 3, 4));
    cases.add(PoolCase.adaptive2d(2, 3, 4, 5, 7));
    cases.add(PoolCase.adaptive2d(2, 5, 6, 1, 1));
    return cases;
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsAreSlopes(Layout layout) {
    SplittableRandom random = new SplittableRandom(17);
    for (PoolCase pool : gradientCases()) {
      double[] weights = random.doubles(pool.outputSize(), -1, 1).toArray();
      try (Arena arena = Arena.ofConfined()) {
        Tensor dy = PlainWindows.tensor(arena, pool.outputShape(layout), weights);
        double[] x = distinct(random, pool.inputSize());
        Tensor input = PlainWindows.tensor(arena, pool.inputShape(layout), x);
        for (SelectingPool operator :
            List.of(MaxPool.of(pool.window()), MinPool.of(pool.window()))) {
          Mask mask = operator.forwardWithMask(input, arena).mask();
          PlainWindows.assertSlope(
              operator::forward,
              pool,
              layout,
              x,
              weights,
              0.25,
              operator.backward(dy, mask, arena));
        }
        AvgPool average = AvgPool.of(pool.window());
        List<AvgPool> averages =
            pool.window().isAdaptive()
                ? List.of(average, average.withDivisor(3))
                : List.of(average, average.withIncludePadding(), average.withDivisor(3));
        for (AvgPool operator : averages) {
          PlainWindows.assertSlope(
              operator::forward,
              pool,
              layout,
              x,
              weights,
              0.25,
              operator.backward(dy, pool.inputShape(layout), arena));
        }
      }
    }
  }

  @Test
  void factoriesAreTheOperatorsOverTheirWindows() {
    assertEquals(MaxPool.of(Window.adaptive(7, 5)), AdaptivePool.max(7, 5));
    assertEquals(AvgPool.of(Window.adaptive(3)), AdaptivePool.average(3));
    assertEquals(MaxPool.of(Window.global(3)), GlobalPool.max(3));
    assertEquals(AvgPool.of(Window.global(2)), GlobalPool.average(2));
  }
}
