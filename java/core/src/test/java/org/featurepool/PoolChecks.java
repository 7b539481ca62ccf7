package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.featurepool.TestTensors.assertWithin;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.Arrays;

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

  /** Values with and without mask, both formats of the mask, and the gradient. */
  void max(DType dtype, float[] x, float[] gradient) {
    Oracle.Maxima expected = Oracle.max(pool, x, dtype == DType.U8 ? 0 : Float.NEGATIVE_INFINITY);
    MaxPool max = MaxPool.of(pool.window());
    Tensor input = input(dtype, x);
    Tensor output = output(dtype);
    max.forward(input, output);
    assertSameBits(expected.values(), TestTensors.planar(output), "max " + dtype + " " + what);
    for (Mask.Format format : Mask.Format.values()) {
      if (format == Mask.Format.COMPACT && pool.taps() > 255) {
        continue;
      }
      String name = "max with mask " + format + " " + dtype + " " + what;
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
      Tensor inputGradient = TestTensors.blank(arena, DType.F32, pool.inputShape(layout));
      max.backward(
          TestTensors.tensor(arena, DType.F32, pool.outputShape(layout), gradient),
          mask,
          inputGradient);
      assertWithin(
          Oracle.maxBackward(pool, expected, gradient),
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

  void average(float[] x, float[] gradient) {
    AvgPool average = pool.average();
    Tensor output = output(DType.F32);
    average.forward(input(DType.F32, x), output);
    assertWithin(Oracle.average(pool, x), TestTensors.planar(output), "average " + what);

    Tensor inputGradient = TestTensors.blank(arena, DType.F32, pool.inputShape(layout));
    average.backward(
        TestTensors.tensor(arena, DType.F32, pool.outputShape(layout), gradient), inputGradient);
    assertWithin(
        Oracle.averageBackward(pool, gradient),
        TestTensors.planar(inputGradient),
        "backward of average " + what);
  }

  void averageOfBytes(float[] x) {
    Tensor output = output(DType.U8);
    pool.average().forward(input(DType.U8, x), output);
    assertSameBits(
        Oracle.averageOfBytes(pool, x), TestTensors.planar(output), "average U8 " + what);
  }
}
