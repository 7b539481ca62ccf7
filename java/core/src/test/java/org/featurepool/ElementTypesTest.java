package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
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

  @Test
  void factoriesAreTheOperatorsOverTheirWindows() {
    assertEquals(MaxPool.of(Window.adaptive(7, 5)), AdaptivePool.max(7, 5));
    assertEquals(AvgPool.of(Window.adaptive(3)), AdaptivePool.average(3));
    assertEquals(MaxPool.of(Window.global(3)), GlobalPool.max(3));
    assertEquals(AvgPool.of(Window.global(2)), GlobalPool.average(2));
  }
}
