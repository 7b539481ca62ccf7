package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Spatial pyramids against plain loops over their definition. */
class SpatialPyramidPoolTest {
  private static final long[][] LEVELS = {{1, 2, 4}, {1, 2, 3, 6}, {1}, {5, 3}, {7, 7}};

  @AfterEach
  void restore() {
    Featurepool.setThreads(0);
  }

  /** First and last element but one of a bin. */
  private static int[] bin(Bins bins, int extent, int level, int i) {
    if (bins == Bins.SPPNET) {
      int begin = i * Math.floorDiv(extent, level);
      return new int[] {begin, begin + Math.ceilDiv(extent, level)};
    }
    return new int[] {i * extent / level, ((i + 1) * extent - 1) / level + 1};
  }

  private interface Visit {
    void bin(int output, int plane, int[] rows, int[] columns);
  }

  private static void forEachBin(Shape shape, Bins bins, long[] levels, Visit visit) {
    int output = 0;
    for (int n = 0; n < shape.batch(); n++) {
      for (long level : levels) {
        for (int c = 0; c < shape.channels(); c++) {
          for (int i = 0; i < level * level; i++) {
            visit.bin(
                output++,
                n * (int) shape.channels() + c,
                bin(bins, (int) shape.spatial(0), (int) level, i / (int) level),
                bin(bins, (int) shape.spatial(1), (int) level, i % (int) level));
          }
        }
      }
    }
  }

  static void equalsThePlainLoop(Layout layout, SplittableRandom random) {
    Shape shape =
        Shape.of(
            layout,
            random.nextInt(1, 4),
            random.nextInt(1, random.nextInt(8) == 0 ? 40 : 5),
            random.nextInt(1, 20),
            random.nextInt(1, random.nextInt(4) == 0 ? 40 : 12));
    long[] levels = LEVELS[random.nextInt(LEVELS.length)];
    maximaEqualThePlainLoop(shape, Bins.ADAPTIVE, levels, random.nextInt());
    meansEqualThePlainLoop(shape, Bins.ADAPTIVE, levels, random.nextInt());
  }

  static Stream<Arguments> pyramidsOfSppNet() {
    Stream.Builder<Arguments> all = Stream.builder();
    for (Layout layout : Layout.values()) {
      all.add(Arguments.of(Shape.of(layout, 2, 6, 13, 13), Bins.SPPNET, new long[] {1, 2, 3}, 40));
      all.add(
          Arguments.of(Shape.of(layout, 1, 6, 12, 24), Bins.SPPNET, new long[] {1, 2, 3, 6}, 41));
    }
    return all.build();
  }

  @ParameterizedTest
  @MethodSource("pyramidsOfSppNet")
  void sppNetsBinsEqualThePlainLoop(Shape shape, Bins bins, long[] levels, int seed) {
    maximaEqualThePlainLoop(shape, bins, levels, seed);
    meansEqualThePlainLoop(shape, bins, levels, seed);
  }

  private static void maximaEqualThePlainLoop(Shape shape, Bins bins, long[] levels, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    SpatialPyramidPool pool = SpatialPyramidPool.max(levels).withBins(bins);
    float[] values = TestTensors.floats(random, (int) shape.elementCount(), true);
    int width = (int) shape.spatial(1);
    int plane = (int) shape.planeSize();
    float[] maxima = new float[(int) pool.outputShape(shape).elementCount()];
    int[] positions = new int[maxima.length];
    float[] gradients = TestTensors.floats(random, maxima.length, false);
    float[] routed = new float[values.length];
    forEachBin(
        shape,
        bins,
        levels,
        (output, p, rows, columns) -> {
          int best = -1;
          for (int h = rows[0]; h < rows[1]; h++) {
            for (int w = columns[0]; w < columns[1]; w++) {
              float value = values[p * plane + h * width + w];
              if (best < 0 || value > values[p * plane + best] || Float.isNaN(value)) {
                best = h * width + w;
              }
            }
          }
          maxima[output] = values[p * plane + best];
          positions[output] = best;
          routed[p * plane + best] += gradients[output];
        });
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      Tensor out = TestTensors.blank(arena, DType.F32, pool.outputShape(shape));
      pool.forward(x, out);
      assertSameBits(maxima, out.toFloatArray(), "maxima");
      SpatialPyramidPool.Result result = pool.forwardWithMask(x, arena);
      assertSameBits(maxima, result.output().toFloatArray(), "maxima with mask");
      assertArrayEquals(positions, result.mask().toIntArray());
      Tensor dy = Tensor.of(arena, out.shape(), gradients);
      assertSameBits(
          routed, TestTensors.planar(pool.backward(dy, result.mask(), shape, arena)), "gradient");
    }
  }

  private static void meansEqualThePlainLoop(Shape shape, Bins bins, long[] levels, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    SpatialPyramidPool pool = SpatialPyramidPool.average(levels).withBins(bins);
    float[] values = TestTensors.floats(random, (int) shape.elementCount(), true);
    int width = (int) shape.spatial(1);
    int plane = (int) shape.planeSize();
    int length = (int) pool.outputShape(shape).elementCount();
    float[] gradients = TestTensors.floats(random, length, false);
    Oracle.Bounded means = new Oracle.Bounded(new double[length], new double[length]);
    Oracle.Bounded spread =
        new Oracle.Bounded(new double[values.length], new double[values.length]);
    forEachBin(
        shape,
        bins,
        levels,
        (output, p, rows, columns) -> {
          double sum = 0;
          double magnitude = 0;
          double count = (rows[1] - rows[0]) * (columns[1] - columns[0]);
          for (int h = rows[0]; h < rows[1]; h++) {
            for (int w = columns[0]; w < columns[1]; w++) {
              int at = p * plane + h * width + w;
              sum += values[at];
              magnitude += Math.abs(values[at]);
              spread.values()[at] += gradients[output] / count;
              spread.tolerance()[at] += 4 * 0x1p-23 * Math.abs(gradients[output]) / count;
            }
          }
          means.values()[output] = sum / count;
          // 2 ulp * sqrt(k) of the largest that the mean can be.
          means.tolerance()[output] = 2 * 0x1p-23 * magnitude / Math.sqrt(count) + 0x1p-149;
        });
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      Tensor out = pool.forward(x, arena);
      TestTensors.assertWithin(means, DType.F32, out.toFloatArray(), "means");
      Tensor dy = Tensor.of(arena, out.shape(), gradients);
      TestTensors.assertWithin(
          spread, DType.F32, TestTensors.planar(pool.backward(dy, shape, arena)), "gradient");
    }
  }

  /** Seed 000: 256 channels give 1, 4 and 16 vectors of 256. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void seedExample(Layout layout) {
    Shape shape = Shape.of(layout, 1, 256, 13, 13);
    float[] values = TestTensors.floats(new SplittableRandom(2), 256 * 169, false);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      Tensor out = SpatialPyramidPool.max(1, 2, 4).forward(x, arena);
      assertEquals(Shape.of(layout, 1, 256 * (1 + 4 + 16), 1, 1), out.shape());
      float[] vector = out.toFloatArray();
      int first = 0;
      for (int level : new int[] {1, 2, 4}) {
        float[] alone = TestTensors.planar(AdaptivePool.max(level, level).forward(x, arena));
        assertSameBits(
            alone,
            java.util.Arrays.copyOfRange(vector, first, first + 256 * level * level),
            "level " + level);
        first += 256 * level * level;
      }
    }
  }

  /** The seed's formula at a = 13: n = 3 is k 5 s 4, n = 2 is k 7 s 6, n = 1 is k 13 s 13. */
  @Test
  void sppNetWindows() {
    try (Arena arena = Arena.ofConfined()) {
      float[] values = TestTensors.floats(new SplittableRandom(3), 2 * 169, false);
      Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 13, 13), values);
      int[][] windows = {{3, 5, 4}, {2, 7, 6}, {1, 13, 13}};
      for (int[] window : windows) {
        Tensor expected =
            MaxPool.of(Window.square(window[1]).withStride(window[2])).forward(x, arena);
        SpatialPyramidPool pool = SpatialPyramidPool.max(window[0]).withBins(Bins.SPPNET);
        assertSameBits(
            expected.toFloatArray(), pool.forward(x, arena).toFloatArray(), "n=" + window[0]);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void resultsDoNotDependOnThreads(Layout layout) {
    Shape shape = Shape.of(layout, 5, 64, 33, 31);
    SplittableRandom random = new SplittableRandom(4);
    float[] values = TestTensors.floats(random, (int) shape.elementCount(), false);
    SpatialPyramidPool maxima = SpatialPyramidPool.max(1, 2, 4);
    SpatialPyramidPool means = SpatialPyramidPool.average(1, 2, 4);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      Tensor dy =
          Tensor.of(
              arena, maxima.outputShape(shape), TestTensors.floats(random, 5 * 64 * 21, false));
      Featurepool.setThreads(1);
      SpatialPyramidPool.Result first = maxima.forwardWithMask(x, arena);
      float[] routed = maxima.backward(dy, first.mask(), shape, arena).toFloatArray();
      float[] mean = means.forward(x, arena).toFloatArray();
      float[] spread = means.backward(dy, shape, arena).toFloatArray();
      for (int threads : new int[] {2, 5}) {
        Featurepool.setThreads(threads);
        SpatialPyramidPool.Result again = maxima.forwardWithMask(x, arena);
        assertSameBits(first.output().toFloatArray(), again.output().toFloatArray(), "maxima");
        assertArrayEquals(first.mask().toIntArray(), again.mask().toIntArray());
        assertSameBits(
            routed, maxima.backward(dy, again.mask(), shape, arena).toFloatArray(), "routed");
        assertSameBits(mean, means.forward(x, arena).toFloatArray(), "means");
        assertSameBits(spread, means.backward(dy, shape, arena).toFloatArray(), "spread");
      }
    }
  }

  /** Bins of 1, 4 and 16 elements, inputs and steps in powers of two: the differences are exact. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientsAreSlopes(Layout layout) {
    Shape shape = Shape.of(layout, 2, 2, 4, 4);
    int size = (int) shape.elementCount();
    SplittableRandom random = new SplittableRandom(5);
    float[] x = new float[size];
    for (int i = 0; i < size; i++) {
      int other = random.nextInt(i + 1);
      x[i] = x[other];
      x[other] = i;
    }
    float[] weights = new float[2 * 2 * 21];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = random.nextInt(-8, 9);
    }
    SpatialPyramidPool maxima = SpatialPyramidPool.max(1, 2, 4);
    SpatialPyramidPool means = SpatialPyramidPool.average(1, 2, 4);
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.tensor(arena, DType.F32, shape, x);
      Tensor dy = Tensor.of(arena, maxima.outputShape(shape), weights);
      Tensor mask = maxima.forwardWithMask(input, arena).mask();
      float[] routed = TestTensors.planar(maxima.backward(dy, mask, shape, arena));
      float[] spread = TestTensors.planar(means.backward(dy, shape, arena));
      for (int i = 0; i < size; i++) {
        assertEquals(slope(maxima, shape, x, weights, i), routed[i], "maxima, element " + i);
        assertEquals(slope(means, shape, x, weights, i), spread[i], "means, element " + i);
      }
    }
  }

  private static double slope(
      SpatialPyramidPool pool, Shape shape, float[] x, float[] weights, int at) {
    double sum = 0;
    for (float step : new float[] {0.25f, -0.25f}) {
      float[] moved = x.clone();
      moved[at] += step;
      try (Arena arena = Arena.ofConfined()) {
        float[] out =
            pool.forward(TestTensors.tensor(arena, DType.F32, shape, moved), arena).toFloatArray();
        for (int i = 0; i < out.length; i++) {
          sum += Math.signum(step) * out[i] * weights[i];
        }
      }
    }
    return sum / 0.5;
  }

  @Test
  void touchesNothingOutsideItsTensors() {
    SplittableRandom random = new SplittableRandom(6);
    try (GuardedMemory in = new GuardedMemory(1 << 16);
        GuardedMemory vectors = new GuardedMemory(1 << 16);
        GuardedMemory mask = new GuardedMemory(1 << 16)) {
      for (Layout layout : Layout.values()) {
        for (int tail = 1; tail <= 70; tail++) {
          Shape shape =
              layout == Layout.PLANAR ? Shape.nchw(1, 2, 5, tail) : Shape.nhwc(1, 5, 4, tail);
          for (boolean right : new boolean[] {false, true}) {
            SpatialPyramidPool pool = SpatialPyramidPool.max(1, 2, 3);
            Tensor x = guarded(in, right, DType.F32, shape);
            float[] values = TestTensors.floats(random, (int) shape.elementCount(), false);
            x.segment().copyFrom(MemorySegment.ofArray(values));
            Tensor out = guarded(vectors, right, DType.F32, pool.outputShape(shape));
            Tensor positions = guarded(mask, right, DType.I32, pool.outputShape(shape));
            pool.forward(x, out);
            pool.forwardWithMask(x, out, positions);
            pool.backward(out, positions, x);
            SpatialPyramidPool means = SpatialPyramidPool.average(1, 2, 3);
            means.forward(x, out);
            means.backward(out, x);
          }
        }
      }
    }
  }

  private static Tensor guarded(GuardedMemory memory, boolean right, DType dtype, Shape shape) {
    long bytes = shape.elementCount() * dtype.size();
    return Tensor.wrap(right ? memory.right(bytes) : memory.left(bytes), dtype, shape);
  }

  @Test
  void emptyBatch() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(0, 2, 4, 4));
      SpatialPyramidPool pool = SpatialPyramidPool.max(1, 2);
      SpatialPyramidPool.Result result = pool.forwardWithMask(x, arena);
      assertEquals(Shape.nchw(0, 10, 1, 1), result.output().shape());
      pool.backward(result.output(), result.mask(), x.shape(), arena);
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    assertRefused("levels are none", () -> SpatialPyramidPool.max());
    assertRefused("levels are 1, 0, with 0", () -> SpatialPyramidPool.average(1, 0));
    assertRefused("at most 32768", () -> SpatialPyramidPool.max(32769));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 5, 9));
      SpatialPyramidPool sppNet = SpatialPyramidPool.max(1, 3).withBins(Bins.SPPNET);
      assertRefused(
          "do not give 3 bins along an input of 5 but 4; use adaptive",
          () -> sppNet.forward(x, arena));
      SpatialPyramidPool pool = SpatialPyramidPool.max(1, 2);
      assertRefused(
          "out.extents are 1x2x5x9; they must be 1x10x1x1", () -> pool.forward(x, copy(x)));
      assertRefused(
          "x is of rank 3",
          () -> pool.forward(Tensor.allocate(arena, DType.F32, Shape.ncdhw(1, 2, 3, 3, 3)), arena));
      assertRefused(
          "x.dtype is f64; it must be f32",
          () -> pool.forward(Tensor.allocate(arena, DType.F64, x.shape()), arena));
      SpatialPyramidPool means = SpatialPyramidPool.average(1, 2);
      assertRefused("mask must be null", () -> means.forwardWithMask(x, arena));
      Tensor dy = Tensor.allocate(arena, DType.F32, pool.outputShape(x.shape()));
      assertRefused("mask is null", () -> pool.backward(dy, x.shape(), arena));
      Tensor mask = Tensor.allocate(arena, DType.I32, dy.shape());
      mask.segment().fill((byte) 1);
      IndexOutOfBoundsException bad =
          assertThrows(
              IndexOutOfBoundsException.class, () -> pool.backward(dy, mask, x.shape(), arena));
      assertTrue(bad.getMessage().contains("[0] is 16843009"), bad.getMessage());
    }
  }

  private static Tensor copy(Tensor x) {
    return Tensor.allocate(Arena.ofAuto(), x.dtype(), x.shape());
  }

  private static void assertRefused(String message, Runnable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void describesItself() {
    SpatialPyramidPool pool = SpatialPyramidPool.max(1, 2, 4);
    assertEquals("spatial pyramid of maxima, levels 1, 2, 4, adaptive bins", pool.toString());
    assertEquals(
        "spatial pyramid of means, levels 3, SPPNet bins",
        SpatialPyramidPool.average(3).withBins(Bins.SPPNET).toString());
    assertEquals(pool, SpatialPyramidPool.max(1, 2, 4));
    assertEquals(pool.hashCode(), SpatialPyramidPool.max(1, 2, 4).hashCode());
    assertNotEquals(pool, SpatialPyramidPool.average(1, 2, 4));
    assertNotEquals(pool, pool.withBins(Bins.SPPNET));
    assertArrayEquals(new long[] {1, 2, 4}, pool.levels());
    assertEquals(Bins.ADAPTIVE, pool.bins());
  }
}
