package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The examples that the seed documents work out by hand or print. */
class WorkedExamplesTest {
  private static final Window K2_S2 = Window.square(2).withStride(2);

  private static final float[] SEED_002 = {
    -0.170f, 0.137f, -0.427f, 0.699f, -0.469f, -0.523f, //
    0.036f, -0.434f, 0.423f, 1.875f, 0.413f, -0.573f, //
    0.067f, -1.014f, 0.550f, 0.133f, 0.880f, 1.036f, //
    1.330f, -1.025f, -0.112f, -1.763f, 0.882f, 0.181f, //
    -0.367f, 2.615f, 0.254f, -1.258f, -0.470f, 0.542f, //
    0.708f, 0.814f, -0.118f, 0.020f, 0.535f, -0.233f
  };

  private static final float[] SEED_003 = {
    1, 3, 4, 2, 5, 2, //
    4, 2, 5, 6, 8, 3, //
    5, 3, 7, 8, 9, 3, //
    8, 4, 3, 6, 0, 2, //
    7, 10, 3, 6, 3, 5, //
    4, 7, 2, 4, 7, 8
  };

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  private Tensor square(int extent, float... values) {
    return Tensor.of(arena, Shape.nchw(1, 1, extent, extent), values);
  }

  @Test
  void seed002PoolsSixBySix() {
    Tensor x = square(6, SEED_002);
    MaxPool pool = MaxPool.of(K2_S2);
    MaxPool.Result result = pool.forwardWithMask(x, arena);
    assertArrayEquals(
        new float[] {
          0.137f, 1.875f, 0.413f, //
          1.330f, 0.550f, 1.036f, //
          2.615f, 0.254f, 0.542f
        },
        result.output().toFloatArray());
    assertArrayEquals(
        new long[] {1, 9, 10, 18, 14, 17, 25, 26, 29},
        result.mask().indices(Mask.IndexBase.IMAGE, arena).toLongArray());

    Tensor gradient =
        square(
            3, //
            -0.259f, 1.209f, 2.082f, //
            0.959f, 0.855f, 1.922f, //
            -0.099f, -1.074f, -0.616f);
    assertArrayEquals(
        new float[] {
          0, -0.259f, 0, 0, 0, 0, //
          0, 0, 0, 1.209f, 2.082f, 0, //
          0, 0, 0.855f, 0, 0, 1.922f, //
          0.959f, 0, 0, 0, 0, 0, //
          0, -0.099f, -1.074f, 0, 0, -0.616f, //
          0, 0, 0, 0, 0, 0
        },
        pool.backward(gradient, result.mask(), arena).toFloatArray());
  }

  @Test
  void seed002AccumulatesWhereWindowsOverlap() {
    // The 9 at (2,2) is in four windows, the 7 at (4,6) in two.
    Tensor x =
        square(
            7, //
            0, 1, 0, 0, 0, 1, 0, //
            0, 0, 0, 0, 0, 0, 0, //
            0, 0, 9, 0, 5, 0, 0, //
            0, 0, 0, 0, 0, 0, 0, //
            0, 3, 0, 0, 0, 0, 7, //
            0, 0, 0, 0, 2, 0, 0, //
            8, 0, 0, 0, 0, 0, 0);
    MaxPool pool = MaxPool.of(Window.square(3).withStride(2));
    MaxPool.Result result = pool.forwardWithMask(x, arena);
    assertArrayEquals(new float[] {9, 9, 5, 9, 9, 7, 8, 2, 7}, result.output().toFloatArray());
    assertArrayEquals(
        new float[] {
          0, 0, 0, 0, 0, 0, 0, //
          0, 0, 0, 0, 0, 0, 0, //
          0, 0, 1 + 2 + 8 + 16, 0, 4, 0, 0, //
          0, 0, 0, 0, 0, 0, 0, //
          0, 0, 0, 0, 0, 0, 32 + 256, //
          0, 0, 0, 0, 128, 0, 0, //
          64, 0, 0, 0, 0, 0, 0
        },
        pool.backward(square(3, 1, 2, 4, 8, 16, 32, 64, 128, 256), result.mask(), arena)
            .toFloatArray());
  }

  /** Gradient of the mean of the pooled map, times the number of its elements. */
  private float[] seed003Max(Window window, int outputs) {
    MaxPool pool = MaxPool.of(window);
    MaxPool.Result result = pool.forwardWithMask(square(6, SEED_003), arena);
    Tensor ones = Tensor.allocate(arena, DType.F32, result.output().shape());
    assertEquals(outputs, ones.shape().elementCount());
    ones.segment().copyFrom(MemorySegment.ofArray(filled(outputs, 1)));
    return pool.backward(ones, result.mask(), arena).toFloatArray();
  }

  private static float[] filled(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return values;
  }

  @Test
  void seed003RoutesTheGradientOfTheMaximum() {
    assertArrayEquals(
        new float[] {
          0, 0, 0, 0, 0, 0, //
          1, 0, 0, 1, 1, 0, //
          0, 0, 0, 1, 1, 0, //
          1, 0, 0, 0, 0, 0, //
          0, 1, 0, 1, 0, 0, //
          0, 0, 0, 0, 0, 1
        },
        seed003Max(K2_S2, 9));
  }

  @Test
  void seed003CountsOverlappingMaxima() {
    assertArrayEquals(
        new float[] {
          0, 0, 0, 0, 0, 0, //
          1, 0, 1, 1, 2, 0, //
          1, 0, 2, 2, 4, 0, //
          1, 0, 0, 2, 0, 0, //
          0, 4, 0, 1, 0, 1, //
          0, 0, 0, 0, 1, 1
        },
        seed003Max(Window.square(2).withStride(1), 25));
  }

  @Test
  void seed003PrintsTheseGradients() {
    float[] printed =
        MaxPool.of(Window.square(2).withStride(1))
            .backward(
                Tensor.of(arena, Shape.nchw(1, 1, 5, 5), filled(25, 1f / 25)),
                MaxPool.of(Window.square(2).withStride(1))
                    .forwardWithMask(square(6, SEED_003), arena)
                    .mask(),
                arena)
            .toFloatArray();
    assertArrayEquals(
        new float[] {
          0.00f, 0.00f, 0.00f, 0.00f, 0.00f, 0.00f, //
          0.04f, 0.00f, 0.04f, 0.04f, 0.08f, 0.00f, //
          0.04f, 0.00f, 0.08f, 0.08f, 0.16f, 0.00f, //
          0.04f, 0.00f, 0.00f, 0.08f, 0.00f, 0.00f, //
          0.00f, 0.16f, 0.00f, 0.04f, 0.00f, 0.04f, //
          0.00f, 0.00f, 0.00f, 0.00f, 0.04f, 0.04f
        },
        printed,
        1e-6f);
  }

  @Test
  void seed003SpreadsTheGradientOfTheAverage() {
    Shape input = Shape.nchw(1, 1, 6, 6);
    assertArrayEquals(
        filled(36, 1f / 36),
        AvgPool.of(K2_S2).backward(square(3, filled(9, 1f / 9)), input, arena).toFloatArray(),
        1e-8f);
    assertArrayEquals(
        new float[] {
          0.01f, 0.02f, 0.02f, 0.02f, 0.02f, 0.01f, //
          0.02f, 0.04f, 0.04f, 0.04f, 0.04f, 0.02f, //
          0.02f, 0.04f, 0.04f, 0.04f, 0.04f, 0.02f, //
          0.02f, 0.04f, 0.04f, 0.04f, 0.04f, 0.02f, //
          0.02f, 0.04f, 0.04f, 0.04f, 0.04f, 0.02f, //
          0.01f, 0.02f, 0.02f, 0.02f, 0.02f, 0.01f
        },
        AvgPool.of(Window.square(2).withStride(1))
            .backward(square(5, filled(25, 1f / 25)), input, arena)
            .toFloatArray(),
        1e-8f);
  }

  @Test
  void seed001MeanGivesAQuarterToEachAndMaxAllToB() {
    Tensor abcd = square(2, 1, 4, 2, 3);
    Tensor one = square(1, 1);
    assertArrayEquals(
        new float[] {0.25f, 0.25f, 0.25f, 0.25f},
        AvgPool.of(K2_S2).backward(one, abcd.shape(), arena).toFloatArray());
    MaxPool max = MaxPool.of(K2_S2);
    assertArrayEquals(
        new float[] {0, 1, 0, 0},
        max.backward(one, max.forwardWithMask(abcd, arena).mask(), arena).toFloatArray());
    assertEquals(2.5f, AvgPool.of(K2_S2).forward(abcd, arena).getFloat(0, 0, 0, 0));
  }

  @Test
  void seed000HalvesTheMapAndConservesTheGradient() {
    float[] values = new float[64 * 64];
    float[] gradients = new float[32 * 32];
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      values[i] = (i * 37 % 101) / 8f;
    }
    for (int i = 0; i < gradients.length; i++) {
      gradients[i] = (i * 29 % 53) / 4f;
      sum += gradients[i];
    }
    Tensor x = square(64, values);
    Tensor gradient = square(32, gradients);
    MaxPool max = MaxPool.of(K2_S2);
    MaxPool.Result result = max.forwardWithMask(x, arena);
    assertEquals(Shape.nchw(1, 1, 32, 32), result.output().shape());
    assertEquals(sum, sum(max.backward(gradient, result.mask(), arena)));
    assertEquals(sum, sum(AvgPool.of(K2_S2).backward(gradient, x.shape(), arena)));
  }

  /** Exact: the values are small multiples of 1/16. */
  private static double sum(Tensor tensor) {
    double sum = 0;
    for (float value : tensor.toFloatArray()) {
      sum += value;
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void seed004Shapes(Layout layout) {
    Tensor x = Tensor.allocate(arena, DType.F32, Shape.of(layout, 4, 3, 16, 16));
    Shape halved = Shape.of(layout, 4, 3, 8, 8);
    assertEquals(halved, MaxPool.of(K2_S2).forward(x, arena).shape());
    assertEquals(halved, AvgPool.of(K2_S2).forward(x, arena).shape());

    Shape plane = Shape.of(layout, 4, 12, 18, 18);
    Tensor pooled =
        AvgPool.of(Window.square(18)).forward(Tensor.allocate(arena, DType.F32, plane), arena);
    assertEquals(Shape.of(layout, 4, 12, 1, 1), pooled.shape());
  }

  @ParameterizedTest
  @ValueSource(ints = {5, 9, 13})
  void seed004SppPoolsKeepTheSize(int kernel) {
    float[] values = new float[2 * 19 * 19];
    for (int i = 0; i < values.length; i++) {
      values[i] = i * 7919 % 1009;
    }
    Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 19, 19), values);
    Tensor direct = same(kernel).forward(x, arena);
    assertEquals(x.shape(), direct.shape());

    // Stride-1 maxima compose: 5 after 5 reaches as far as 9, and once more as far as 13.
    Tensor composed = x;
    for (int reach = 1; reach < kernel; reach += 4) {
      composed = same(5).forward(composed, arena);
    }
    assertArrayEquals(direct.toFloatArray(), composed.toFloatArray());
  }

  private static MaxPool same(int kernel) {
    return MaxPool.of(
        Window.square(kernel).withStride(1).withSamePadding(Window.SamePadding.UPPER));
  }
}
