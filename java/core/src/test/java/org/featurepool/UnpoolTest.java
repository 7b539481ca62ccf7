package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Max and average unpooling against plain loops. */
class UnpoolTest {
  private static Tensor indices(Arena arena, DType dtype, Shape shape, long[] planar) {
    float[] values = new float[planar.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = planar[i];
    }
    return TestTensors.tensor(arena, dtype, shape, values);
  }

  static void lastOfEqualIndicesWins(Layout layout, SplittableRandom random) {
    int rank = random.nextInt(1, 4);
    long[] small = new long[2 + rank];
    long[] large = new long[2 + rank];
    small[0] = large[0] = random.nextInt(1, 3);
    small[1] = large[1] = random.nextInt(1, 20);
    for (int axis = 2; axis < small.length; axis++) {
      small[axis] = random.nextInt(1, 5);
      large[axis] = random.nextInt(1, 9);
    }
    Shape input = Shape.of(layout, small);
    Shape output = Shape.of(layout, large);
    int plane = (int) output.planeSize();
    float[] x = TestTensors.floats(random, (int) input.elementCount(), true);
    float[] dy = TestTensors.floats(random, (int) output.elementCount(), false);
    long[] index = new long[x.length];
    float[] y = new float[dy.length];
    float[] dx = new float[x.length];
    for (int j = 0; j < x.length; j++) {
      index[j] = random.nextInt(plane);
      int to = j / (int) input.planeSize() * plane + (int) index[j];
      y[to] = x[j];
      dx[j] = dy[to];
    }
    MaxUnpool unpool = MaxUnpool.of(Window.line(1));
    try (Arena arena = Arena.ofConfined()) {
      DType type = random.nextBoolean() ? DType.I32 : DType.I64;
      Tensor places = indices(arena, type, input, index);
      Tensor out = TestTensors.blank(arena, DType.F32, output);
      unpool.forward(TestTensors.tensor(arena, DType.F32, input, x), places, out);
      TestTensors.assertSameBits(y, TestTensors.planar(out), "unpooled");
      Tensor gradient = TestTensors.tensor(arena, DType.F32, output, dy);
      Tensor inputGradient = TestTensors.blank(arena, DType.F32, input);
      unpool.backward(gradient, places, inputGradient);
      TestTensors.assertSameBits(dx, TestTensors.planar(inputGradient), "gradient");
    }
  }

  static void averagesAreSpreadAsTheirGradientIs(
      PoolCase pool, Layout layout, SplittableRandom random) {
    float[] x = TestTensors.floats(random, pool.outputSize(), false);
    float[] dy = TestTensors.floats(random, pool.inputSize(), false);
    AvgUnpool unpool = AvgUnpool.of(pool.window());
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = TestTensors.tensor(arena, DType.F32, pool.outputShape(layout), x);
      Tensor out = unpool.forward(tensor, pool.inputShape(layout), arena);
      String what = unpool + " of " + pool;
      TestTensors.assertWithin(
          Oracle.averageBackward(pool, x), DType.F32, TestTensors.planar(out), what);
      Tensor gradient = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), dy);
      TestTensors.assertWithin(
          Oracle.average(pool, dy),
          DType.F32,
          TestTensors.planar(unpool.backward(gradient, arena)),
          what);
    }
  }

  /** As PyTorch's output_size: less than a stride away from the least, in both directions. */
  @Test
  void gradientsOfShapesThatNoWindowPoolsAreRefused() {
    MaxUnpool unpool = MaxUnpool.of(Window.square(2).withStride(2));
    try (Arena arena = Arena.ofConfined()) {
      Tensor places = Tensor.allocate(arena, DType.I64, Shape.nchw(1, 2, 3, 4));
      for (long extra : new long[] {-1, 1}) {
        Tensor near = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 6 + extra, 8));
        assertEquals(places.shape(), unpool.backward(near, places, arena).shape());
        Tensor far = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 6 + 2 * extra, 8));
        assertThrows(IllegalArgumentException.class, () -> unpool.backward(far, places, arena));
      }
      Tensor other = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 6, 8));
      String message =
          assertThrows(IllegalArgumentException.class, () -> unpool.backward(other, places, arena))
              .getMessage();
      assertTrue(message.startsWith("gradient is "), message);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void undoesMaxPooling(Layout layout) {
    SplittableRandom random = new SplittableRandom(42);
    Shape shape = Shape.of(layout, 2, 5, 8, 6);
    Window window = Window.square(2).withStride(2);
    MaxUnpool unpool = MaxUnpool.of(window);
    float[] x = TestTensors.floats(random, (int) shape.elementCount(), false);
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = TestTensors.tensor(arena, DType.F32, shape, x);
      MaxPool.Result pooled = MaxPool.of(window).forwardWithMask(tensor, arena);
      Tensor back = unpool.forward(pooled.output(), pooled.mask(), arena);
      assertEquals(shape, back.shape());
      float[] unpooled = TestTensors.planar(back);
      for (int i = 0; i < x.length; i++) {
        boolean maximum = unpooled[i] != 0;
        assertEquals(maximum ? x[i] : 0, unpooled[i]);
      }
      assertArrayEquals(
          pooled.output().toFloatArray(),
          unpool.backward(tensor, pooled.mask(), arena).toFloatArray());
      Tensor indices = pooled.mask().indices(Mask.IndexBase.TENSOR, arena);
      assertArrayEquals(
          back.toFloatArray(),
          unpool.forwardOverTensor(pooled.output(), indices, arena).toFloatArray());
      assertArrayEquals(
          pooled.output().toFloatArray(),
          unpool.backwardOverTensor(tensor, indices, arena).toFloatArray());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(43);
    Shape input = Shape.of(layout, 1, 3, 3, 4);
    MaxUnpool unpool = MaxUnpool.of(Window.square(3).withStride(2).withPadding(1));
    Shape output = unpool.outputShape(input);
    double[] x = random.doubles(input.elementCount(), -1, 1).toArray();
    double[] weights = random.doubles(output.elementCount(), -1, 1).toArray();
    long[] index = new long[x.length];
    for (int i = 0; i < index.length; i++) {
      // All different in a plane: an overwritten element has no slope.
      index[i] = 2L * (i % 12) + 1;
    }
    try (Arena arena = Arena.ofConfined()) {
      Tensor places = indices(arena, DType.I64, input, index);
      Tensor dy = PlainWindows.tensor(arena, output, weights);
      PlainWindows.assertSlope(
          (t, a) -> unpool.forward(t, places, a),
          input,
          x,
          weights,
          0.25,
          unpool.backward(dy, places, arena),
          unpool.toString());
    }
  }

  @Test
  void resultLiesInTheCornerOfALargerOutput() {
    MaxUnpool unpool = MaxUnpool.of(Window.square(2).withStride(2));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[] {1, 2, 3, 4});
      Tensor indices = indices(arena, DType.I64, x.shape(), new long[] {5, 7, 13, 15});
      Tensor y = unpool.forwardOverTensor(x, indices, Shape.nchw(1, 1, 5, 5), arena);
      assertArrayEquals(
          new float[] {
            0, 0, 0, 0, 0, //
            0, 1, 0, 2, 0, //
            0, 0, 0, 0, 0, //
            0, 3, 0, 4, 0, //
            0, 0, 0, 0, 0
          },
          y.toFloatArray());
      assertArrayEquals(
          new float[] {1, 2, 3, 4}, unpool.backwardOverTensor(y, indices, arena).toFloatArray());
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class,
              () -> unpool.forwardOverTensor(x, indices, Shape.nchw(1, 1, 3, 5), arena));
      assertTrue(refusal.getMessage().contains("is 4 in axis H"), refusal.getMessage());
    }
  }

  @Test
  void sizesWithinAStrideOfTheDefault() {
    MaxUnpool unpool = MaxUnpool.of(Window.square(3).withStride(2).withPadding(1));
    Shape input = Shape.nchw(1, 1, 4, 4);
    assertEquals(Shape.nchw(1, 1, 7, 7), unpool.outputShape(input));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, input);
      Tensor indices = Tensor.allocate(arena, DType.I64, input);
      for (long h = 5; h <= 9; h++) {
        Shape output = Shape.nchw(1, 1, h, 7);
        if (h > 5 && h < 9) {
          assertEquals(output, unpool.forward(x, indices, output, arena).shape());
        } else {
          IllegalArgumentException refusal =
              assertThrows(
                  IllegalArgumentException.class, () -> unpool.forward(x, indices, output, arena));
          assertEquals(
              "output size is " + h + " in axis H; it must be at least 6 and at most 8",
              refusal.getMessage());
        }
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> unpool.forward(x, indices, Shape.nchw(1, 2, 7, 7), arena));
      // An output of no elements is no shape at all.
      assertThrows(IllegalArgumentException.class, () -> Shape.nchw(1, 1, 0, 7));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, 16, Long.MAX_VALUE, Long.MIN_VALUE})
  void refusesIndicesOutOfRange(long index) {
    MaxUnpool unpool = MaxUnpool.of(Window.square(2));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 1, 2, 2));
      Tensor indices = Tensor.allocate(arena, DType.I64, x.shape());
      indices.segment().setAtIndex(ValueLayout.JAVA_LONG, 2, index);
      Tensor out = TestTensors.blank(arena, DType.F32, Shape.nchw(1, 1, 4, 4));
      byte[] before = out.segment().toArray(ValueLayout.JAVA_BYTE);
      String message =
          assertThrows(IndexOutOfBoundsException.class, () -> unpool.forward(x, indices, out))
              .getMessage();
      assertEquals(
          "indices[2] is " + index + "; it must be a position within the plane, 0 to 15", message);
      assertArrayEquals(
          before, out.segment().toArray(ValueLayout.JAVA_BYTE), "a refused call wrote");
    }
  }

  @Test
  void lastIndexIsInRange() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.ncw(1, 1, 1), new float[] {7});
      Tensor indices = indices(arena, DType.I64, x.shape(), new long[] {3});
      Tensor y = MaxUnpool.of(Window.line(4)).forward(x, indices, arena);
      assertArrayEquals(new float[] {0, 0, 0, 7}, y.toFloatArray());
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    MaxUnpool unpool = MaxUnpool.of(Window.square(2));
    for (int tail = 1; tail <= 40; tail++) {
      Shape input = Shape.of(layout, 1, tail, 2, 3);
      try (Arena arena = Arena.ofConfined()) {
        long[] index = new long[(int) input.elementCount()];
        for (int i = 0; i < index.length; i++) {
          index[i] = i % 2 == 0 ? 0 : 23;
        }
        Tensor places = indices(arena, DType.I64, input, index);
        PlainWindows.betweenGuardPages(
            DType.F32,
            input,
            unpool.outputShape(input),
            new float[index.length],
            (in, out) -> unpool.forward(in, places, out));
        PlainWindows.betweenGuardPages(
            DType.F32,
            unpool.outputShape(input),
            input,
            new float[(int) unpool.outputShape(input).elementCount()],
            (in, out) -> unpool.backward(in, places, out));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void averageUnpoolingSpreadsEvenly(Layout layout) {
    AvgUnpool unpool = AvgUnpool.of(Window.square(2).withStride(2));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x =
          TestTensors.tensor(
              arena, DType.F32, Shape.of(layout, 1, 1, 2, 2), new float[] {4, 8, 12, 16});
      Tensor y = unpool.forward(x, arena);
      assertArrayEquals(
          new float[] {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, TestTensors.planar(y));
      assertArrayEquals(new float[] {1, 2, 3, 4}, TestTensors.planar(unpool.backward(y, arena)));
      Tensor larger = unpool.forward(x, Shape.of(layout, 1, 1, 5, 5), arena);
      assertEquals(0, larger.get(0, 0, 4, 4));
      assertThrows(
          IllegalArgumentException.class,
          () -> unpool.forward(x, Shape.of(layout, 1, 1, 6, 5), arena));
    }
  }
}
