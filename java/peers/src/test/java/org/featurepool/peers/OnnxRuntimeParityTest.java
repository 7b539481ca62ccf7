package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.LpPool;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Regions;
import org.featurepool.RoiAlign;
import org.featurepool.Shape;
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

  @Test
  void roiAlign() {
    for (int i = 0; i < 300; i++) {
      RandomGenerator random = new SplittableRandom(4_000_000L + i);
      DType dtype = random.nextInt(3) == 0 ? DType.F64 : DType.F32;
      Layout layout = random.nextBoolean() ? Layout.PLANAR : Layout.INTERLEAVED;
      long[] sizes = {
        random.nextInt(1, 4), random.nextInt(1, 9), random.nextInt(2, 30), random.nextInt(2, 30)
      };
      checkRoiAlign(i, dtype, Shape.of(layout, sizes), sizes, random);
      PARITY.compared("RoIAlign average and max (values)");
    }
  }

  private static void checkRoiAlign(
      int number, DType dtype, Shape shape, long[] sizes, RandomGenerator random) {
    boolean max = random.nextInt(3) == 0;
    boolean halfPixel = random.nextBoolean();
    int height = random.nextInt(1, 8);
    int width = random.nextInt(1, 8);
    int samplingRatio = random.nextInt(0, 4);
    float scale = new float[] {1, 0.5f, 0.0625f}[random.nextInt(3)];
    double[] x = Values.uniform(random, shape.elementCount());
    int count = random.nextInt(1, 6);
    double[][] boxes = new double[count][4];
    double[] flat = new double[4 * count];
    long[] images = new long[count];
    double[] indices = new double[count];
    for (int r = 0; r < count; r++) {
      indices[r] = images[r] = random.nextLong(sizes[0]);
      for (int j = 0; j < 2; j++) {
        long extent = sizes[3 - j];
        // Some reach over the border.
        double from = (float) (random.nextDouble(-2, extent) / scale);
        double to = (float) (from + random.nextDouble(0, extent) / scale);
        flat[4 * r + j] = boxes[r][j] = from;
        flat[4 * r + 2 + j] = boxes[r][2 + j] = to;
      }
    }
    try (Arena arena = Arena.ofConfined()) {
      RoiAlign align =
          max ? RoiAlign.max(height, width, scale) : RoiAlign.average(height, width, scale);
      Tensor y =
          align
              .withSamplingRatio(samplingRatio)
              .withHalfPixel(halfPixel)
              .forward(
                  Values.tensor(arena, dtype, shape, x), Regions.of(arena, boxes, images), arena);
      double[][] theirs =
          OnnxRuntime.run(
              new OnnxModel("RoiAlign", 16)
                  .with("mode", max ? "max" : "avg")
                  .with("output_height", height)
                  .with("output_width", width)
                  .with("sampling_ratio", samplingRatio)
                  .with("spatial_scale", scale)
                  .with(
                      "coordinate_transformation_mode",
                      halfPixel ? "half_pixel" : "output_half_pixel")
                  .input("x", dtype, sizes)
                  .input("rois", dtype, count, 4)
                  .input("images", DType.I64, count)
                  .output("y", dtype),
              new OnnxRuntime.Input("x", dtype, sizes, x),
              new OnnxRuntime.Input("rois", dtype, new long[] {count, 4}, flat),
              new OnnxRuntime.Input("images", DType.I64, new long[] {count}, indices));
      String what =
          "region case %d: %s %s, %s, sampling ratio %d"
              .formatted(number, dtype, shape, align, samplingRatio);
      // Positions of samples are rounded; a step of f32 there is one of 30 elements.
      double bound = dtype == DType.F64 ? 1e-10 : 1e-4;
      Parity.assertClose(what, theirs[0], Values.planar(y), bound);
    }
  }

  @Test
  void lp() {
    forEachCase(
        "Lp (values)",
        (c, random) -> {
          int p = random.nextInt(1, 5);
          double[] x = Values.uniform(random, c.shape().elementCount());
          try (Arena arena = Arena.ofConfined()) {
            Tensor y =
                LpPool.of(c.window(), p)
                    .forward(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
            double[][] theirs =
                OnnxRuntime.run(windowed("LpPool", 18, c).with("p", p), input(c, x));
            Parity.assertClose(
                c + ", p = " + p,
                theirs[0],
                Values.planar(y),
                Parity.sumBound(c.dtype(), 8 + c.taps(), c.taps()));
          }
        },
        Case.Feature.PADDING,
        Case.Feature.DILATION,
        Case.Feature.SMALL_INPUT);
  }
}
