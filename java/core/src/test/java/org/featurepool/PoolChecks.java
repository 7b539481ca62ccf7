package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.featurepool.TestTensors.assertWithin;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Compares every operator on one case with the oracle, in one layout. */
final class PoolChecks {
  private final PoolCase pool;
  private final Layout layout;
  private final Arena arena;
  private final String what;

  PoolChecks(PoolCase pool, Layout layout, Arena arena, String what) {
    this.pool = pool;
    this.layout = layout;
    this.arena = arena;
    this.what = what + " " + layout + " " + pool;
  }

  private Tensor input(DType dtype, float[] x) {
    return TestTensors.tensor(arena, dtype, pool.inputShape(layout), x);
  }

  private Tensor output(DType dtype) {
    return TestTensors.blank(arena, dtype, pool.outputShape(layout));
  }

  void outputShape() {
    assertEquals(
        pool.outputShape(layout), pool.window().outputShape(pool.inputShape(layout)), what);
  }

  /** Max and min, with and without mask, both formats of the mask, and the gradient. */
  void extremes(DType dtype, float[] x, float[] gradient) {
    select(dtype, x, gradient, MaxPool.of(pool.window()), false);
    select(dtype, x, gradient, MinPool.of(pool.window()), true);
  }

  private void select(DType dtype, float[] x, float[] gradient, SelectingPool max, boolean isMin) {
    float none = TestTensors.none(dtype, isMin);
    Oracle.Maxima expected = isMin ? Oracle.min(pool, x, none) : Oracle.max(pool, x, none);
    String operator = isMin ? "min " : "max ";
    Tensor input = input(dtype, x);
    Tensor output = output(dtype);
    max.forward(input, output);
    assertSameBits(expected.values(), TestTensors.planar(output), operator + dtype + " " + what);
    for (Mask.Format format : Mask.Format.values()) {
      if (format == Mask.Format.COMPACT && pool.taps() > 255) {
        continue;
      }
      String name = operator + "with mask " + format + " " + dtype + " " + what;
      Mask mask = Mask.allocate(arena, format, pool.window(), pool.inputShape(layout));
      output.segment().fill((byte) 0x5a);
      max.forwardWithMask(input, output, mask);
      assertSameBits(expected.values(), TestTensors.planar(output), name);
      int[] positions = format == Mask.Format.COMPACT ? expected.inWindow() : expected.inPlane();
      assertArrayEquals(unsigned(positions, format), integers(mask.tensor()), name);
      assertArrayEquals(
          expected.inPlane(),
          integers(mask.indices(Mask.IndexBase.PLANE, arena)),
          name + " as plane indices");
      DType type = dtype.isFloatingPoint() ? dtype : DType.F32;
      float[] rounded = TestTensors.rounded(type, gradient);
      Tensor inputGradient = TestTensors.blank(arena, type, pool.inputShape(layout));
      max.backward(
          TestTensors.tensor(arena, type, pool.outputShape(layout), rounded), mask, inputGradient);
      assertWithin(
          Oracle.maxBackward(pool, expected, rounded),
          type,
          TestTensors.planar(inputGradient),
          "backward of " + name);
    }
  }

  private static int[] unsigned(int[] positions, Mask.Format format) {
    int none = format == Mask.Format.COMPACT ? 255 : -1;
    return Arrays.stream(positions).map(i -> i < 0 ? none : i).toArray();
  }

  /** The small integers of a mask or of indices, in planar order. */
  private static int[] integers(Tensor tensor) {
    float[] planar = TestTensors.planar(tensor);
    int[] integers = new int[planar.length];
    for (int i = 0; i < planar.length; i++) {
      integers[i] = (int) planar[i];
    }
    return integers;
  }

  void average(DType dtype, float[] x, float[] gradient) {
    AvgPool average = pool.average();
    Tensor output = output(dtype);
    average.forward(input(dtype, x), output);
    String name = "average " + dtype + " " + what;
    assertWithin(Oracle.average(pool, x), dtype, TestTensors.planar(output), name);

    float[] rounded = TestTensors.rounded(dtype, gradient);
    Tensor inputGradient = TestTensors.blank(arena, dtype, pool.inputShape(layout));
    average.backward(
        TestTensors.tensor(arena, dtype, pool.outputShape(layout), rounded), inputGradient);
    assertWithin(
        Oracle.averageBackward(pool, rounded),
        dtype,
        TestTensors.planar(inputGradient),
        "backward of " + name);
  }

  void averageOfBytes(DType dtype, float[] x) {
    Tensor output = output(dtype);
    pool.average().forward(input(dtype, x), output);
    int least = dtype == DType.U8 ? 0 : Byte.MIN_VALUE;
    assertSameBits(
        Oracle.averageOfBytes(pool, x, least, least + 255),
        TestTensors.planar(output),
        "average " + dtype + " " + what);
  }

  /** Every operator on one type of elements. */
  void all(DType dtype, SplittableRandom random) {
    float[] gradient = TestTensors.floats(random, pool.outputSize(), false);
    if (dtype.isFloatingPoint()) {
      float[] x = TestTensors.rounded(dtype, TestTensors.floats(random, pool.inputSize(), true));
      extremes(dtype, x, gradient);
      average(dtype, x, gradient);
    } else {
      float[] x = TestTensors.integers(random, dtype, pool.inputSize());
      extremes(dtype, x, gradient);
      if (dtype != DType.I32) {
        averageOfBytes(dtype, x);
      }
    }
  }
}
