package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** Values and indices against ONNX Runtime on seeded random configurations. */
class OnnxRuntimeParityTest {
  private static final int PER_RANK = 100;
  private static final Parity PARITY = new Parity("ONNX Runtime");

  @AfterAll
  static void report() {
    PARITY.report();
  }

  private interface Check {
    void accept(Case drawn, RandomGenerator random);
  }

  private static void forEachCase(String operator, Check check, Case.Feature... features) {
    for (int rank = 1; rank <= 3; rank++) {
      for (int i = 0; i < PER_RANK; i++) {
        long seed = 2_000_000L * rank + i;
        RandomGenerator random = new SplittableRandom(seed);
        check.accept(Case.draw(seed, random, rank, DType.F32, features), random);
        PARITY.compared(operator);
      }
    }
  }

  private static OnnxModel windowed(String operator, int opset, Case c) {
    long[] pads = new long[2 * c.rank()];
    System.arraycopy(c.padding(), 0, pads, 0, c.rank());
    System.arraycopy(c.padding(), 0, pads, c.rank(), c.rank());
    return new OnnxModel(operator, opset)
        .with("kernel_shape", c.kernel())
        .with("strides", c.stride())
        .with("dilations", c.dilation())
        .with("pads", pads)
        .with("ceil_mode", c.ceil() ? 1 : 0)
        .input("x", c.dtype(), c.sizes())
        .output("y", c.dtype());
  }

  private static OnnxRuntime.Input input(Case c, double[] x) {
    return new OnnxRuntime.Input("x", c.dtype(), c.sizes(), x);
  }

  @Test
  void max() {
    forEachCase(
        "max (values, indices)",
        OnnxRuntimeParityTest::checkMax,
        Case.Feature.PADDING,
        Case.Feature.DILATION,
        Case.Feature.CEIL,
        Case.Feature.SMALL_INPUT);
  }

  private static void checkMax(Case c, RandomGenerator random) {
    try (Arena arena = Arena.ofConfined()) {
      double[] x =
          random.nextBoolean()
              ? Values.uniform(random, c.shape().elementCount())
              : Values.ties(random, c.shape().elementCount());
      boolean columnMajor = random.nextInt(3) == 0;
      MaxPool.Result ours =
          MaxPool.of(c.window())
              .forwardWithMask(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
      double[] indices =
          Values.planar(
              ours.mask()
                  .indices(
                      columnMajor ? Mask.IndexBase.TENSOR_COLUMN_MAJOR : Mask.IndexBase.TENSOR,
                      arena));
      double[][] theirs =
          OnnxRuntime.run(
              windowed("MaxPool", 12, c)
                  .with("storage_order", columnMajor ? 1 : 0)
                  .output("indices", DType.I64),
              input(c, x));
      double[] values = Values.planar(ours.output());
      Parity.assertClose(
          c,
          theirs[0],
          values,
          0,
          i -> {
            if (indices[i] < 0) {
              PARITY.excused("the lowest finite number for windows that hold no element");
            }
            return indices[i] < 0;
          });
      Parity.assertClose(
          c,
          theirs[1],
          indices,
          0,
          i -> {
            if (indices[i] < 0) {
              PARITY.excused("an index for windows that hold no element");
            }
            return indices[i] < 0;
          });
    }
  }

  @Test
  void average() {
    forEachCase(
        "average (values)",
        OnnxRuntimeParityTest::checkAverage,
        Case.Feature.PADDING,
        Case.Feature.DILATION,
        Case.Feature.CEIL,
        Case.Feature.SMALL_INPUT);
  }

  private static void checkAverage(Case c, RandomGenerator random) {
    try (Arena arena = Arena.ofConfined()) {
      boolean includePadding = random.nextBoolean();
      double[] x = Values.uniform(random, c.shape().elementCount());
      AvgPool pool = AvgPool.of(c.window());
      pool = includePadding ? pool.withIncludePadding() : pool;
      Tensor y = pool.forward(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
      double[][] theirs =
          OnnxRuntime.run(
              windowed("AveragePool", 19, c).with("count_include_pad", includePadding ? 1 : 0),
              input(c, x));
      Parity.assertClose(c, theirs[0], Values.planar(y), Parity.sumBound(c.dtype(), c.taps(), 1));
    }
  }
}
