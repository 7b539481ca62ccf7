package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** RoI pooling and RoIAlign in f64 against plain loops, bin by bin and sample by sample. */
class RegionsTest {
  /** A random batch with random regions in it. */
  private static final class Case {
    final int n;
    final int c;
    final int h;
    final int w;
    final int rows;
    final int columns;
    final double scale;
    final int samplingRatio;
    final boolean halfPixel;
    final boolean max;
    final double[][] boxes;
    final long[] images;
    final double[] x;

    Case(SplittableRandom random) {
      n = random.nextInt(1, 4);
      c = random.nextInt(1, 12);
      h = random.nextInt(1, 14);
      w = random.nextInt(1, 20);
      rows = random.nextInt(1, 5);
      columns = random.nextInt(1, 12);
      scale = new double[] {1, 0.5, 0.0625, 0.3}[random.nextInt(4)];
      samplingRatio = random.nextInt(4);
      halfPixel = random.nextBoolean();
      max = random.nextBoolean();
      boxes = new double[random.nextInt(0, 5)][];
      images = new long[boxes.length];
      for (int r = 0; r < boxes.length; r++) {
        images[r] = random.nextInt(n);
        double x1 = random.nextDouble(-0.2, 1.2) * w / scale;
        double y1 = random.nextDouble(-0.2, 1.2) * h / scale;
        boolean inverted = random.nextInt(6) == 0;
        double x2 = inverted ? x1 - 2 : x1 + random.nextDouble() * w / scale;
        double y2 = y1 + random.nextDouble() * h / scale;
        boxes[r] = new double[] {x1, y1, x2, y2};
        if (random.nextBoolean()) {
          for (int i = 0; i < 4; i++) {
            boxes[r][i] = Math.rint(boxes[r][i] * 2) / 2;
          }
        }
      }
      x = random.doubles((long) n * c * h * w, -1, 1).toArray();
    }

    Shape input(Layout layout) {
      return Shape.of(layout, n, c, h, w);
    }

    int outputs() {
      return boxes.length * c * rows * columns;
    }

    double at(int region, int channel, int position) {
      return x[((int) images[region] * c + channel) * h * w + position];
    }

    /** Half away from zero, which Math.round is not. */
    private int rounded(int region, int i) {
      double value = boxes[region][i] * scale;
      return (int) (Math.signum(value) * Math.floor(Math.abs(value) + 0.5));
    }

    /** Position of the maximum of a bin of RoI pooling; -1: empty. */
    int greatest(int region, int channel, int bin) {
      int x1 = rounded(region, 0);
      int y1 = rounded(region, 1);
      double height = (double) Math.max(rounded(region, 3) - y1 + 1, 1) / rows;
      double width = (double) Math.max(rounded(region, 2) - x1 + 1, 1) / columns;
      int row = bin / columns;
      int column = bin % columns;
      int best = -1;
      for (int i = 0; i < h * w; i++) {
        boolean inside =
            i / w >= y1 + Math.floor(row * height)
                && i / w < y1 + Math.ceil((row + 1) * height)
                && i % w >= x1 + Math.floor(column * width)
                && i % w < x1 + Math.ceil((column + 1) * width);
        if (inside && (best < 0 || at(region, channel, i) > at(region, channel, best))) {
          best = i;
        }
      }
      return best;
    }

    RoiAlign align() {
      RoiAlign align =
          max ? RoiAlign.max(rows, columns, scale) : RoiAlign.average(rows, columns, scale);
      return align.withSamplingRatio(samplingRatio).withHalfPixel(halfPixel);
    }

    /** A bin of RoIAlign, as the sum over all elements of what every sample gives them. */
    double aligned(int region, int channel, int bin) {
      double offset = halfPixel ? 0.5 : 0;
      double x1 = boxes[region][0] * scale - offset;
      double y1 = boxes[region][1] * scale - offset;
      double width = boxes[region][2] * scale - offset - x1;
      double height = boxes[region][3] * scale - offset - y1;
      if (!halfPixel) {
        width = Math.max(width, 1);
        height = Math.max(height, 1);
      }
      double binHeight = height / rows;
      double binWidth = width / columns;
      int down = samplingRatio > 0 ? samplingRatio : (int) Math.ceil(binHeight);
      int across = samplingRatio > 0 ? samplingRatio : (int) Math.ceil(binWidth);
      double sum = 0;
      double greatest = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < down; i++) {
        for (int j = 0; j < across; j++) {
          double y = y1 + bin / columns * binHeight + (i + 0.5) * binHeight / down;
          double xx = x1 + bin % columns * binWidth + (j + 0.5) * binWidth / across;
          if (y < -1 || y > h || xx < -1 || xx > w) {
            greatest = Math.max(greatest, 0);
            continue;
          }
          y = Math.min(Math.max(y, 0), h - 1);
          xx = Math.min(Math.max(xx, 0), w - 1);
          int top = (int) y;
          int left = (int) xx;
          for (int corner = 0; corner < 4; corner++) {
            int row = top + corner / 2;
            int column = left + corner % 2;
            double weight =
                (corner / 2 == 0 ? 1 - (y - top) : y - top)
                    * (corner % 2 == 0 ? 1 - (xx - left) : xx - left);
            double value = at(region, channel, Math.min(row, h - 1) * w + Math.min(column, w - 1));
            sum += weight * value;
            greatest = Math.max(greatest, weight * value);
          }
        }
      }
      if (down <= 0 || across <= 0) {
        return 0;
      }
      return max ? greatest : sum / (down * across);
    }
  }

  static void roiPoolAgreesWithPlainJava(Layout layout, SplittableRandom random) {
    Case test = new Case(random);
    int bins = test.rows * test.columns;
    double[] weights = random.doubles(test.outputs(), -1, 1).toArray();
    double[] dx = new double[test.x.length];
    try (Arena arena = Arena.ofConfined()) {
      Regions regions = Regions.of(arena, test.boxes, test.images);
      RoiPool pool = RoiPool.of(test.rows, test.columns, test.scale);
      RoiPool.Result result =
          pool.forwardWithMask(
              PlainWindows.tensor(arena, test.input(layout), test.x), regions, arena);
      double[] y = PlainWindows.planar(result.output());
      float[] mask = TestTensors.planar(result.mask().tensor());
      for (int o = 0; o < y.length; o++) {
        int region = o / bins / test.c;
        int channel = o / bins % test.c;
        int position = test.greatest(region, channel, o % bins);
        assertEquals(position, (int) mask[o], "mask");
        assertEquals(position < 0 ? 0 : test.at(region, channel, position), y[o], "maximum");
        if (position >= 0) {
          int plane = (int) test.images[region] * test.c + channel;
          dx[plane * test.h * test.w + position] += weights[o];
        }
      }
      Tensor dy = PlainWindows.tensor(arena, result.output().shape(), weights);
      double[] gradient = PlainWindows.planar(pool.backward(dy, result.mask(), regions, arena));
      for (int j = 0; j < dx.length; j++) {
        assertEquals(dx[j], gradient[j], "gradient");
      }
    }
  }

  static void roiAlignAgreesWithPlainJava(Layout layout, SplittableRandom random) {
    Case test = new Case(random);
    int bins = test.rows * test.columns;
    try (Arena arena = Arena.ofConfined()) {
      Regions regions = Regions.of(arena, test.boxes, test.images);
      double[] y =
          PlainWindows.planar(
              test.align()
                  .forward(PlainWindows.tensor(arena, test.input(layout), test.x), regions, arena));
      for (int o = 0; o < y.length; o++) {
        double expected = test.aligned(o / bins / test.c, o / bins % test.c, o % bins);
        assertEquals(expected, y[o], 1e-13, test.align().toString());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsAreSlopes(Layout layout) {
    SplittableRandom random = new SplittableRandom(53);
    Shape input = Shape.of(layout, 2, 3, 7, 6);
    // Overlapping, beyond the plane, and smaller than a bin.
    double[][] boxes = {
      {0.3, 0.4, 5.2, 6.1}, {-2, 1, 4, 3.5}, {2, 2, 2.6, 2.2}, {1.1, 3.3, 9.5, 10.25}
    };
    long[] images = {0, 0, 1, 1};
    double[] x = new double[(int) input.elementCount()];
    for (int i = 0; i < x.length; i++) {
      int other = random.nextInt(i + 1);
      x[i] = x[other];
      x[other] = i + 1;
    }
    double[] weights = random.doubles(4 * 3 * 2 * 3, -1, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Regions regions = Regions.of(arena, boxes, images);
      Tensor tensor = PlainWindows.tensor(arena, input, x);
      RoiPool pool = RoiPool.of(2, 3, 1);
      RoiPool.Result result = pool.forwardWithMask(tensor, regions, arena);
      Tensor dy = PlainWindows.tensor(arena, result.output().shape(), weights);
      PlainWindows.assertSlope(
          (t, a) -> pool.forward(t, regions, a),
          input,
          x,
          weights,
          0x1p-6,
          pool.backward(dy, result.mask(), regions, arena),
          pool.toString());
      for (RoiAlign mode : new RoiAlign[] {RoiAlign.average(2, 3, 1), RoiAlign.max(2, 3, 1)}) {
        for (int ratio = 0; ratio < 3; ratio++) {
          for (boolean halfPixel : new boolean[] {false, true}) {
            RoiAlign align = mode.withSamplingRatio(ratio).withHalfPixel(halfPixel);
            PlainWindows.assertSlope(
                (t, a) -> align.forward(t, regions, a),
                input,
                x,
                weights,
                0x1p-10,
                align.backward(dy, tensor, regions, arena),
                align.toString());
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void staysBetweenGuardPages(Layout layout) {
    for (int tail = 1; tail <= 36; tail++) {
      Shape input =
          layout == Layout.PLANAR
              ? Shape.of(layout, 1, 2, 4, tail)
              : Shape.of(layout, 1, tail, 4, 3);
      float[] x = new float[(int) input.elementCount()];
      try (Arena arena = Arena.ofConfined()) {
        double[] whole = {0, 0, input.spatial(1), 4};
        Regions regions = Regions.of(arena, new double[][] {whole, {-1, -1, 1, 1}}, new long[2]);
        long columns = layout == Layout.PLANAR ? tail % 9 + 1 : 2;
        RoiPool pool = RoiPool.of(2, columns, 1);
        RoiAlign average = RoiAlign.average(2, columns, 1);
        RoiAlign max = RoiAlign.max(2, columns, 1).withHalfPixel(true);
        Shape output = pool.outputShape(input, regions);
        float[] dy = new float[(int) output.elementCount()];
        for (DType dtype : new DType[] {DType.F32, DType.F64}) {
          PlainWindows.betweenGuardPages(
              dtype, input, output, x, (in, out) -> pool.forward(in, regions, out));
          Tensor tensor = TestTensors.tensor(arena, dtype, input, x);
          for (RoiAlign align : new RoiAlign[] {average, max}) {
            PlainWindows.betweenGuardPages(
                dtype, input, output, x, (in, out) -> align.forward(in, regions, out));
            PlainWindows.betweenGuardPages(
                dtype, output, input, dy, (in, out) -> align.backward(in, tensor, regions, out));
          }
          PositionMask mask = pool.forwardWithMask(tensor, regions, arena).mask();
          PlainWindows.betweenGuardPages(
              dtype, output, input, dy, (in, out) -> pool.backward(in, mask, regions, out));
        }
      }
    }
  }

  private static void assertRefused(Executable call, String inMessage) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.contains(inMessage), message);
  }

  @Test
  void refusesBadInput() {
    assertRefused(() -> RoiPool.of(0, 7, 1), "output is 0x7");
    assertRefused(() -> RoiAlign.max(7, -1, 1), "output is 7x-1");
    assertRefused(() -> RoiAlign.average(7, 7, Double.NaN), "scale is NaN");
    assertRefused(() -> RoiAlign.average(7, 7, 1).withSamplingRatio(-1), "samplingRatio is -1");
    try (Arena arena = Arena.ofConfined()) {
      assertRefused(
          () -> Regions.of(arena, new double[][] {{1, 2, 3}}, new long[1]),
          "boxes[0] has length 3");
      assertRefused(
          () -> Regions.of(arena, new double[][] {{1, 2, 3, 4}}, new long[2]),
          "batchIndices has length 2");
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(2, 3, 8, 8));
      RoiPool pool = RoiPool.of(2, 2, 1);
      RoiAlign align = RoiAlign.average(2, 2, 1);
      for (double bad : new double[] {Double.NaN, Double.NEGATIVE_INFINITY}) {
        Regions regions = Regions.of(arena, new double[][] {{0, 0, 1, bad}}, new long[1]);
        assertRefused(() -> pool.forward(x, regions, arena), "boxes[0].y2 is");
        assertRefused(() -> align.forward(x, regions, arena), "coordinates must be finite");
      }
      for (long bad : new long[] {-1, 2}) {
        Regions regions = Regions.of(arena, new double[][] {{0, 0, 1, 1}}, new long[] {bad});
        String message =
            assertThrows(IndexOutOfBoundsException.class, () -> pool.forward(x, regions, arena))
                .getMessage();
        assertTrue(message.startsWith("batchIndices[0] is " + bad), message);
        assertThrows(IndexOutOfBoundsException.class, () -> align.forward(x, regions, arena));
      }
      Regions regions = Regions.of(arena, new double[][] {{0, 0, 1, 1}}, new long[1]);
      Tensor cube = Tensor.allocate(arena, DType.F32, Shape.ncdhw(2, 3, 4, 8, 8));
      Tensor out = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 2, 2));
      assertRefused(() -> pool.forward(cube, regions, out), "x.spatial_rank is 3");
      Tensor bytes = Tensor.allocate(arena, DType.U8, x.shape());
      assertRefused(() -> align.forward(bytes, regions, out), "x.dtype is u8");
    }
  }

  @Test
  void regionsTellWhatTheyHold() {
    try (Arena arena = Arena.ofConfined()) {
      Regions regions = Regions.of(arena, new double[][] {{1, 2, 3, 4}}, new long[] {5});
      assertEquals(1, regions.count());
      assertEquals(5, regions.batchIndex(0));
      assertEquals(3, regions.box(0)[2]);
      assertThrows(IndexOutOfBoundsException.class, () -> regions.box(1));
    }
  }

  @Test
  void noRegionsGiveNoOutput() {
    try (Arena arena = Arena.ofConfined()) {
      Regions none = Regions.of(arena, new double[0][], new long[0]);
      Tensor x = Tensor.allocate(arena, DType.F64, Shape.nchw(1, 2, 3, 3));
      Tensor y = RoiAlign.average(2, 2, 1).forward(x, none, arena);
      assertEquals(0, y.shape().batch());
      Tensor dx = RoiAlign.average(2, 2, 1).backward(y, x, none, arena);
      assertEquals(0, dx.get(0, 0, 0, 0));
    }
  }
}
