package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Fractional max pooling against plain loops. */
class FractionalMaxPoolTest {
  /** Windows, maxima and positions of a planar array, written out from the rule. */
  private record Expected(float[] values, int[] positions) {
    static Expected of(
        float[] x, int planes, int[] input, int[] kernel, int[] output, float[] samples) {
      int rank = input.length;
      int size = product(input);
      int outputs = product(output);
      float[] values = new float[planes * outputs];
      int[] positions = new int[planes * outputs];
      for (int plane = 0; plane < planes; plane++) {
        for (int o = 0; o < outputs; o++) {
          int[] start = new int[rank];
          int rest = o;
          for (int axis = rank - 1; axis >= 0; axis--) {
            start[axis] =
                start(
                    rest % output[axis],
                    samples[plane * rank + axis],
                    input[axis],
                    kernel[axis],
                    output[axis]);
            rest /= output[axis];
          }
          int best = -1;
          for (int tap = 0; tap < product(kernel); tap++) {
            int position = 0;
            int scale = 1;
            int ordinal = tap;
            for (int axis = rank - 1; axis >= 0; axis--) {
              position += (start[axis] + ordinal % kernel[axis]) * scale;
              ordinal /= kernel[axis];
              scale *= input[axis];
            }
            float value = x[plane * size + position];
            if (best < 0 || value > x[plane * size + best] || Float.isNaN(value)) {
              best = position;
            }
          }
          values[plane * outputs + o] = x[plane * size + best];
          positions[plane * outputs + o] = best;
        }
      }
      return new Expected(values, positions);
    }

    private static int start(int o, float u, int input, int kernel, int output) {
      if (o == output - 1) {
        return input - kernel;
      }
      float alpha = (float) (input - kernel) / (output - 1);
      return (int) ((o + u) * alpha) - (int) (u * alpha);
    }
  }

  private static int product(int[] extents) {
    int product = 1;
    for (int extent : extents) {
      product *= extent;
    }
    return product;
  }

  private static long[] longs(int[] values) {
    long[] longs = new long[values.length];
    for (int i = 0; i < values.length; i++) {
      longs[i] = values[i];
    }
    return longs;
  }

  private static Shape shape(Layout layout, int n, int c, int[] spatial) {
    long[] extents = new long[2 + spatial.length];
    extents[0] = n;
    extents[1] = c;
    System.arraycopy(longs(spatial), 0, extents, 2, spatial.length);
    return Shape.of(layout, extents);
  }

  static void agreesWithPlainJava(Layout layout, SplittableRandom random) {
    int rank = random.nextInt(2, 4);
    int n = random.nextInt(1, 3);
    int c = random.nextInt(1, 12);
    int[] input = new int[rank];
    int[] kernel = new int[rank];
    int[] output = new int[rank];
    for (int axis = 0; axis < rank; axis++) {
      input[axis] = random.nextInt(1, rank == 3 ? 8 : 20);
      kernel[axis] = random.nextInt(1, Math.min(4, input[axis]) + 1);
      output[axis] = random.nextInt(1, input[axis] - kernel[axis] + 2);
    }
    float[] x = TestTensors.floats(random, n * c * product(input), true);
    float[] samples = new float[n * c * rank];
    for (int s = 0; s < samples.length; s++) {
      samples[s] = random.nextInt(1 << 24) * 0x1p-24f;
    }
    Expected expected = Expected.of(x, n * c, input, kernel, output, samples);
    FractionalMaxPool pool = FractionalMaxPool.of(longs(kernel), longs(output));
    String what = pool + " of " + Arrays.toString(input) + " " + layout;
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = TestTensors.tensor(arena, DType.F32, shape(layout, n, c, input), x);
      DType type = random.nextBoolean() ? DType.F32 : DType.F64;
      Tensor numbers = TestTensors.tensor(arena, type, pool.samplesShape(tensor.shape()), samples);
      FractionalMaxPool.Result result = pool.forward(tensor, numbers, arena);
      TestTensors.assertSameBits(expected.values, TestTensors.planar(result.output()), what);
      float[] mask = TestTensors.planar(result.mask().tensor());
      float[] dy = TestTensors.floats(random, mask.length, false);
      float[] dx = new float[x.length];
      int outputs = product(output);
      for (int o = 0; o < mask.length; o++) {
        assertEquals(expected.positions[o], (int) mask[o], what);
        dx[o / outputs * product(input) + expected.positions[o]] += dy[o];
      }
      Tensor gradient = TestTensors.tensor(arena, DType.F32, result.output().shape(), dy);
      TestTensors.assertSameBits(
          dx, TestTensors.planar(pool.backward(gradient, result.mask(), arena)), what);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(32);
    Shape input = Shape.of(layout, 2, 3, 7, 8);
    FractionalMaxPool pool = FractionalMaxPool.of(new long[] {3, 2}, new long[] {4, 5});
    double[] x = new double[(int) input.elementCount()];
    for (int i = 0; i < x.length; i++) {
      int other = random.nextInt(i + 1);
      x[i] = x[other];
      x[other] = i;
    }
    double[] weights = random.doubles(2 * 3 * 4 * 5, -1, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      FractionalMaxPool.Result result =
          pool.forward(PlainWindows.tensor(arena, input, x), 99, arena);
      Tensor dy = PlainWindows.tensor(arena, result.output().shape(), weights);
      PlainWindows.assertSlope(
          (t, a) -> pool.forward(t, 99, a).output(),
          input,
          x,
          weights,
          0.25,
          pool.backward(dy, result.mask(), arena),
          pool.toString());
    }
  }

  @Test
  void seedDecidesForBothLayoutsAndTypes() {
    FractionalMaxPool pool = FractionalMaxPool.of(new long[] {2, 2}, new long[] {9, 11});
    Shape input = Shape.nchw(3, 4, 20, 21);
    float[] x = TestTensors.floats(new SplittableRandom(33), (int) input.elementCount(), false);
    try (Arena arena = Arena.ofConfined()) {
      Tensor planar = TestTensors.tensor(arena, DType.F32, input, x);
      Tensor interleaved = planar.toLayout(Layout.INTERLEAVED, arena);
      Tensor doubles = TestTensors.tensor(arena, DType.F64, input, x);
      float[] expected = TestTensors.planar(pool.forward(planar, 5, arena).output());
      assertArrayEquals(expected, TestTensors.planar(pool.forward(interleaved, 5, arena).output()));
      assertArrayEquals(expected, TestTensors.planar(pool.forward(doubles, 5, arena).output()));
      Tensor out = Tensor.allocate(arena, DType.F32, pool.outputShape(input));
      pool.forward(planar, 5, out);
      assertArrayEquals(expected, out.toFloatArray());
      pool.forward(planar, 6, out);
      assertTrue(!Arrays.equals(expected, out.toFloatArray()), "seeds 5 and 6");
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    SplittableRandom random = new SplittableRandom(34);
    for (int tail = 1; tail <= 40; tail++) {
      Shape input =
          layout == Layout.PLANAR
              ? Shape.of(layout, 1, 2, 5, tail + 2)
              : Shape.of(layout, 1, tail, 5, 4);
      FractionalMaxPool pool =
          FractionalMaxPool.of(
              new long[] {2, 2}, new long[] {3, layout == Layout.PLANAR ? tail : 2});
      float[] x = TestTensors.floats(random, (int) input.elementCount(), true);
      for (DType dtype : new DType[] {DType.F32, DType.F64}) {
        PlainWindows.betweenGuardPages(
            dtype, input, pool.outputShape(input), x, (in, out) -> pool.forward(in, 3, out));
      }
    }
  }

  private static void assertRefused(Executable call, String inMessage) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.contains(inMessage), message);
  }

  @Test
  void refusesBadInput() {
    assertRefused(
        () -> FractionalMaxPool.of(new long[] {2}, new long[] {2}), "kernel has 1 extents");
    assertRefused(
        () -> FractionalMaxPool.of(new long[] {2, 2}, new long[] {2}), "output has 1 extents");
    assertRefused(
        () -> FractionalMaxPool.of(new long[] {2, 0}, new long[] {2, 2}), "kernel is 0 in axis 1");
    assertRefused(
        () -> FractionalMaxPool.of(new long[] {2, 2}, new long[] {-1, 2}),
        "output is -1 in axis 0");
    FractionalMaxPool pool = FractionalMaxPool.of(new long[] {2, 3}, new long[] {3, 4});
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 6, 7));
      Tensor narrow = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 6, 5));
      assertRefused(
          () -> pool.forward(narrow, 1, arena),
          "output is 4 in axis W; it must be at least 1 and at most input - kernel + 1, 3");
      Tensor line = Tensor.allocate(arena, DType.F32, Shape.ncw(1, 2, 6));
      assertRefused(() -> pool.forward(line, 1, arena), "needs 2 spatial axes");
      Tensor bytes = Tensor.allocate(arena, DType.U8, x.shape());
      assertRefused(() -> pool.forward(bytes, 1, arena), "x.dtype is u8");
      Tensor samples = Tensor.allocate(arena, DType.F64, pool.samplesShape(x.shape()));
      for (double bad : new double[] {1, -0.5, Double.NaN}) {
        samples.set(bad, 0, 1, 1);
        String value = Double.isNaN(bad) ? "nan" : bad == 1 ? "1" : "-0.5";
        assertRefused(() -> pool.forward(x, samples, arena), "samples[3] is " + value);
      }
      PositionMask mask = pool.forward(x, 1, arena).mask();
      Tensor gradient = Tensor.allocate(arena, DType.F32, pool.outputShape(x.shape()));
      mask.tensor().set(42, 0, 1, 2, 3);
      assertThrows(IndexOutOfBoundsException.class, () -> pool.backward(gradient, mask, arena));
      Tensor other = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 7, 7));
      assertRefused(() -> pool.backward(gradient, mask, other), "mask is of an input of");
    }
  }
}
