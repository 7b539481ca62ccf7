package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The edge cases of PyTorch's own pooling tests that concern max, average and adaptive pooling. */
class PyTorchEdgeCasesTest {
  private static final float NONE = Float.NEGATIVE_INFINITY;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  private Tensor line(float... values) {
    return Tensor.of(arena, Shape.ncw(1, 1, values.length), values);
  }

  private float[] max(Window window, Tensor x) {
    return MaxPool.of(window).forward(x, arena).toFloatArray();
  }

  private static long[] spatial(Tensor tensor) {
    long[] extents = tensor.shape().extents();
    return Arrays.copyOfRange(extents, 2, extents.length);
  }

  @Test
  void divisors() {
    int height = 5;
    int width = 6;
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 1; i <= height; i++) {
      for (int j = 1; j <= width; j++) {
        for (int divisor : new int[] {1, 7, i * j}) {
          PoolCase pool =
              new PoolCase(
                  2,
                  1,
                  2,
                  new int[] {1, height, width},
                  new int[] {1, i, j},
                  new int[] {1, i, j},
                  new int[3],
                  new int[3],
                  new int[] {1, 1, 1},
                  PoolCase.Padding.EXPLICIT,
                  false,
                  false,
                  divisor);
          for (Layout layout : Layout.values()) {
            new PoolChecks(pool, layout, arena, "divisor").all(DType.F32, random);
            new PoolChecks(pool, layout, arena, "divisor").all(DType.F64, random);
          }
        }
      }
    }
  }

  @Test
  void ceilModeGivesNoNan() {
    float[] values = new float[60];
    for (int i = 0; i < values.length; i++) {
      values[i] = i - 30;
    }
    Window[] windows = {
      Window.line(1).withStride(2).withCeilMode(),
      Window.of(1, 2).withPadding(0, 1).withStride(2).withCeilMode(),
      Window.of(1, 2, 3).withStride(2).withCeilMode()
    };
    Shape[] shapes = {Shape.ncw(1, 2, 30), Shape.nchw(1, 1, 6, 10), Shape.ncdhw(1, 1, 3, 4, 5)};
    for (int i = 0; i < windows.length; i++) {
      Tensor x = Tensor.of(arena, shapes[i], values);
      Tensor average = AvgPool.of(windows[i]).forward(x, arena);
      Tensor gradient = AvgPool.of(windows[i]).backward(average, shapes[i], arena);
      for (Tensor result :
          new Tensor[] {average, gradient, MaxPool.of(windows[i]).forward(x, arena)}) {
        for (float value : result.toFloatArray()) {
          assertTrue(Float.isFinite(value), windows[i].toString());
        }
      }
    }
  }

  @Test
  void outputExtents() {
    Tensor large = Tensor.allocate(arena, DType.F32, Shape.ncdhw(1, 1, 5, 6, 7));
    Window unit = Window.cube(1).withStride(2).withCeilMode();
    assertArrayEquals(new long[] {3, 3, 4}, spatial(MaxPool.of(unit).forward(large, arena)));
    assertArrayEquals(new long[] {3, 3, 4}, spatial(AvgPool.of(unit).forward(large, arena)));
    Tensor small = Tensor.allocate(arena, DType.F32, Shape.ncdhw(1, 1, 3, 4, 5));
    Window padded = Window.cube(2).withStride(2).withPadding(1);
    for (Window window : new Window[] {padded, padded.withCeilMode()}) {
      assertArrayEquals(new long[] {2, 3, 3}, spatial(MaxPool.of(window).forward(small, arena)));
      assertArrayEquals(new long[] {2, 3, 3}, spatial(AvgPool.of(window).forward(small, arena)));
    }
  }

  @Test
  void dilatedWindowsThatReachOverTheInput() {
    Window window = Window.line(2).withStride(1).withPadding(1).withDilation(2);
    assertArrayEquals(new float[] {NONE}, max(window, line(1)));
    assertArrayEquals(new float[] {2, 1}, max(window, line(1, 2)));
    assertArrayEquals(new float[] {2, 2}, max(window.withStride(2).withCeilMode(), line(1, 2)));
    Window square = Window.square(2).withStride(2).withPadding(1).withDilation(2).withCeilMode();
    Tensor negative = Tensor.of(arena, Shape.nchw(1, 1, 2, 2), new float[] {-1, -2, -3, -4});
    for (float value : max(square, negative)) {
      assertEquals(-4, value);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.NEGATIVE_INFINITY})
  void tensorsOfNothingButOneSpecialValue(float value) {
    float[] x = new float[2 * 7 * 7];
    Arrays.fill(x, value);
    Window[] windows = {
      Window.square(3).withStride(2).withPadding(1), Window.adaptive(3, 2), Window.global(2)
    };
    for (Window window : windows) {
      for (SelectingPool pool : new SelectingPool[] {MaxPool.of(window), MinPool.of(window)}) {
        SelectingPool.Result result =
            pool.forwardWithMask(Tensor.of(arena, Shape.nchw(1, 2, 7, 7), x), arena);
        for (float y : result.output().toFloatArray()) {
          assertEquals(value, y);
        }
        float[] ones = new float[(int) result.output().shape().elementCount()];
        Arrays.fill(ones, 1);
        Tensor dy = Tensor.of(arena, result.output().shape(), ones);
        double sum = 0;
        for (float dx : pool.backward(dy, result.mask(), arena).toFloatArray()) {
          sum += dx;
        }
        assertEquals(ones.length, sum, "every window routes its gradient somewhere");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {129, 79, 65})
  void interleavedTailsEqualPlanar(int channels) {
    SplittableRandom random = new SplittableRandom(channels);
    Window[] windows = {
      Window.square(3).withStride(2).withPadding(1), Window.square(2), Window.adaptive(3, 4)
    };
    float[] values = TestTensors.floats(random, channels * 8 * 9, true);
    for (Window window : windows) {
      MaxPool max = MaxPool.of(window);
      AvgPool average = AvgPool.of(window);
      Shape shape = Shape.nchw(1, channels, 8, 9);
      Tensor x = Tensor.of(arena, shape, values);
      Tensor other = x.toLayout(Layout.INTERLEAVED, arena);
      SelectingPool.Result planar = max.forwardWithMask(x, arena);
      SelectingPool.Result interleaved = max.forwardWithMask(other, arena);
      assertEqual(planar.output(), interleaved.output());
      assertEqual(planar.mask().tensor(), interleaved.mask().tensor());
      Tensor dy =
          Tensor.of(
              arena,
              planar.output().shape(),
              TestTensors.floats(random, (int) planar.output().shape().elementCount(), false));
      Tensor otherDy = dy.toLayout(Layout.INTERLEAVED, arena);
      assertEqual(
          max.backward(dy, planar.mask(), arena), max.backward(otherDy, interleaved.mask(), arena));
      float[] expected = TestTensors.planar(average.backward(dy, shape, arena));
      float[] actual = TestTensors.planar(average.backward(otherDy, other.shape(), arena));
      assertArrayEquals(expected, actual, 1e-5f);
    }
  }

  private void assertEqual(Tensor planar, Tensor interleaved) {
    assertEquals(
        -1, planar.segment().mismatch(interleaved.toLayout(Layout.PLANAR, arena).segment()));
  }

  /** Tensors are dense: a view with gaps can only be had by copying, and is never misread. */
  @Test
  void stridedViewsCannotBeMade() {
    // Every other column of a 4x8 plane, as an image processing library would hand it over.
    MemorySegment plane = arena.allocate(ValueLayout.JAVA_FLOAT, 32);
    for (int i = 0; i < 32; i++) {
      plane.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
    }
    Shape narrow = Shape.nchw(1, 1, 4, 4);
    Tensor dense = Tensor.wrap(plane, DType.F32, narrow);
    assertEquals(7, dense.getFloat(0, 0, 1, 3), "a segment's elements follow one another");
    // Too few elements for rows with gaps are refused, not read beyond.
    MemorySegment part = plane.asSlice(0, 15 * 4);
    assertThrows(IllegalArgumentException.class, () -> Tensor.wrap(part, DType.F32, narrow));
    Tensor copy = Tensor.allocate(arena, DType.F32, narrow);
    for (int row = 0; row < 4; row++) {
      for (int column = 0; column < 4; column++) {
        copy.set(
            plane.getAtIndex(ValueLayout.JAVA_FLOAT, row * 8L + column * 2L), 0, 0, row, column);
      }
    }
    assertArrayEquals(new float[] {10, 14, 26, 30}, max(Window.square(2), copy));
  }

  @Test
  void largeAdaptive() {
    Shape shape = Shape.nchw(1, 1, 5873, 3693);
    Tensor x = Tensor.allocate(arena, DType.U8, shape);
    for (long i = 0; i < x.segment().byteSize(); i++) {
      x.segment().set(ValueLayout.JAVA_BYTE, i, (byte) (i * 2654435761L >>> 24));
    }
    Tensor max = AdaptivePool.max(3527, 2219).forward(x, arena);
    Tensor average = AdaptivePool.average(3527, 2219).forward(x, arena);
    assertEquals(Shape.nchw(1, 1, 3527, 2219), max.shape());
    for (int i = 0; i < 3527; i += 41) {
      for (int j = 0; j < 2219; j += 37) {
        int most = 0;
        double sum = 0;
        int count = 0;
        for (long y = i * 5873L / 3527; y <= ((i + 1) * 5873L - 1) / 3527; y++) {
          for (long w = j * 3693L / 2219; w <= ((j + 1) * 3693L - 1) / 2219; w++) {
            int value = Byte.toUnsignedInt(x.segment().get(ValueLayout.JAVA_BYTE, y * 3693 + w));
            most = Math.max(most, value);
            sum += value;
            count++;
          }
        }
        assertEquals(most, max.get(0, 0, i, j));
        assertEquals(Math.rint(sum / count), average.get(0, 0, i, j));
      }
    }
  }

  /** One element more than f32 can count. */
  @Test
  void longLine() {
    long length = 16777217;
    Tensor x = Tensor.allocate(arena, DType.U8, Shape.ncw(1, 1, length));
    x.segment().set(ValueLayout.JAVA_BYTE, length - 1, (byte) 9);
    SelectingPool.Result result =
        MaxPool.of(Window.line(2).withCeilMode()).forwardWithMask(x, arena);
    assertEquals(8388609, result.output().shape().extents()[2]);
    assertEquals(9, result.output().get(0, 0, 8388608));
    assertEquals(0, result.mask().tensor().get(0, 0, 8388608));
    SelectingPool.Result adaptive = AdaptivePool.max(3).forwardWithMask(x, arena);
    assertEquals(length - 1, (long) adaptive.mask().tensor().get(0, 0, 2));
    assertEquals(9, GlobalPool.max(1).forward(x, arena).get(0, 0, 0));
  }

  @Test
  void noOutputs() {
    assertThrows(IllegalArgumentException.class, () -> AdaptivePool.max(0));
    assertThrows(IllegalArgumentException.class, () -> AdaptivePool.average(3, 0));
    assertThrows(IllegalArgumentException.class, () -> AdaptivePool.max());
    assertThrows(IllegalArgumentException.class, () -> AdaptivePool.max(1, 1, 1, 1));
    assertThrows(IllegalArgumentException.class, () -> GlobalPool.max(4));
    assertFalse(AdaptivePool.max(1).window().equals(AdaptivePool.max(2).window()));
  }
}
