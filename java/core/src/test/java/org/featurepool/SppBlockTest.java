package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The SPP block against plain loops, and against the max pools that it stands for. */
class SppBlockTest {
  private static final long[][] KERNELS = {{13, 9, 5}, {3}, {17, 3}, {7, 5, 3}, {101, 9}, {5}};

  @AfterEach
  void restore() {
    Featurepool.setThreads(0);
  }

  /** Joined maxima and the position of each within its plane, in planar order. */
  private record Expected(float[] values, int[] positions) {}

  /** What the block computes, from its definition; `kernels` descending. */
  private static Expected expected(Shape shape, long[] kernels, float[] x) {
    int images = (int) shape.batch();
    int channels = (int) shape.channels();
    int height = (int) shape.spatial(0);
    int width = (int) shape.spatial(1);
    int plane = height * width;
    int pools = kernels.length;
    float[] values = new float[images * channels * (pools + 1) * plane];
    int[] positions = new int[images * channels * pools * plane];
    for (int n = 0; n < images; n++) {
      for (int c = 0; c < channels; c++) {
        int from = (n * channels + c) * plane;
        for (int group = 0; group < pools; group++) {
          int to = ((n * (pools + 1) + group) * channels + c) * plane;
          int entries = ((n * pools + group) * channels + c) * plane;
          int reach = (int) Math.min(kernels[group] / 2, Math.max(height, width));
          for (int i = 0; i < plane; i++) {
            int best = -1;
            for (int h = i / width - reach; h <= i / width + reach; h++) {
              for (int w = i % width - reach; w <= i % width + reach; w++) {
                if (h < 0 || h >= height || w < 0 || w >= width) {
                  continue;
                }
                float value = x[from + h * width + w];
                if (best < 0 || value > x[from + best] || Float.isNaN(value)) {
                  best = h * width + w;
                }
              }
            }
            values[to + i] = x[from + best];
            positions[entries + i] = best;
          }
        }
        int to = ((n * (pools + 1) + pools) * channels + c) * plane;
        System.arraycopy(x, from, values, to, plane);
      }
    }
    return new Expected(values, positions);
  }

  private static float[] gradient(
      Shape shape, int pools, Expected forward, float[] joinedGradient) {
    int channels = (int) shape.channels();
    int plane = (int) shape.planeSize();
    float[] gradient = new float[(int) shape.elementCount()];
    for (int p = 0; p < gradient.length / plane; p++) {
      int n = p / channels;
      int c = p % channels;
      int straight = ((n * (pools + 1) + pools) * channels + c) * plane;
      System.arraycopy(joinedGradient, straight, gradient, p * plane, plane);
      for (int group = 0; group < pools; group++) {
        int from = ((n * (pools + 1) + group) * channels + c) * plane;
        int entries = ((n * pools + group) * channels + c) * plane;
        for (int i = 0; i < plane; i++) {
          gradient[p * plane + forward.positions[entries + i]] += joinedGradient[from + i];
        }
      }
    }
    return gradient;
  }

  static void equalsThePlainLoop(Layout layout, SplittableRandom random) {
    long[] kernels = KERNELS[random.nextInt(KERNELS.length)];
    Shape shape =
        Shape.of(
            layout,
            random.nextInt(1, 3),
            random.nextInt(1, random.nextInt(8) == 0 ? 40 : 5),
            random.nextInt(1, 12),
            random.nextInt(1, random.nextInt(4) == 0 ? 40 : 12));
    SppBlock block = SppBlock.of(kernels);
    int size = (int) shape.elementCount();
    float[] floats = TestTensors.floats(random, size, true);
    float[] bytes = TestTensors.integers(random, DType.U8, size);
    try (Arena arena = Arena.ofConfined()) {
      for (DType dtype : new DType[] {DType.F32, DType.F16, DType.U8}) {
        float[] values = dtype == DType.U8 ? bytes : floats.clone();
        if (dtype == DType.F16) {
          for (int i = 0; i < size; i++) {
            values[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
          }
        }
        Expected expected = expected(shape, kernels, values);
        Tensor x = TestTensors.tensor(arena, dtype, shape, values);
        Tensor out = TestTensors.blank(arena, dtype, block.outputShape(shape));
        block.forward(x, out);
        assertSameBits(expected.values, TestTensors.planar(out), dtype + " values");
        SppBlock.Result result = block.forwardWithMask(x, arena);
        assertSameBits(expected.values, TestTensors.planar(result.output()), dtype + " with mask");
        assertEquals(block.maskType(), result.mask().dtype());
        assertMask(expected, kernels, shape, result.mask());

        if (dtype == DType.U8) {
          continue;
        }
        float[] joined = new float[expected.values.length];
        for (int i = 0; i < joined.length; i++) {
          joined[i] = random.nextInt(-4, 5) * 0.25f;
        }
        Tensor gradient = TestTensors.tensor(arena, dtype, out.shape(), joined);
        assertSameBits(
            gradient(shape, kernels.length, expected, joined),
            TestTensors.planar(block.backward(gradient, result.mask(), arena)),
            dtype + " gradient");
      }
    }
  }

  private static void assertMask(Expected expected, long[] kernels, Shape shape, Tensor mask) {
    float[] entries = TestTensors.planar(mask);
    int width = (int) shape.spatial(1);
    int plane = (int) shape.planeSize();
    int[] positions = new int[entries.length];
    for (int i = 0; i < entries.length; i++) {
      positions[i] = (int) entries[i];
      if (mask.dtype() == DType.U8) {
        int kernel = (int) kernels[i / plane / (int) shape.channels() % kernels.length];
        int at = i % plane;
        positions[i] =
            (at / width + positions[i] / kernel - kernel / 2) * width
                + at % width
                + positions[i] % kernel
                - kernel / 2;
      }
    }
    assertArrayEquals(expected.positions, positions);
  }

  /** The section of yolov3-spp.cfg: max pools of 5, 9 and 13, `[route] layers=-1,-3,-5,-6`. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void joinsWhatTheCfgRoutes(Layout layout) {
    Shape shape = Shape.of(layout, 1, 32, 19, 19);
    float[] values = TestTensors.floats(new SplittableRandom(4), 32 * 19 * 19, false);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      SppBlock.Result joined = SppBlock.of(5, 9, 13).forwardWithMask(x, arena);
      assertEquals(Shape.of(layout, 1, 128, 19, 19), joined.output().shape());
      float[] groups = TestTensors.planar(joined.output());
      float[] masks = TestTensors.planar(joined.mask());
      float[] places = TestTensors.planar(SppBlock.of(5, 9, 13).indices(joined.mask(), arena));
      int group = 32 * 19 * 19;
      long[] order = {13, 9, 5};
      for (int i = 0; i < order.length; i++) {
        Window same = Window.square(order[i]).withStride(1).withPadding(order[i] / 2);
        MaxPool.Result pool = MaxPool.of(same).forwardWithMask(x, arena);
        assertSameBits(
            TestTensors.planar(pool.output()),
            Arrays.copyOfRange(groups, i * group, (i + 1) * group),
            "k=" + order[i]);
        assertSameBits(
            TestTensors.planar(pool.mask().tensor()),
            Arrays.copyOfRange(masks, i * group, (i + 1) * group),
            "mask of k=" + order[i]);
        assertSameBits(
            TestTensors.planar(pool.mask().indices(Mask.IndexBase.PLANE, arena)),
            Arrays.copyOfRange(places, i * group, (i + 1) * group),
            "indices of k=" + order[i]);
      }
      assertSameBits(values, Arrays.copyOfRange(groups, 3 * group, 4 * group), "input");
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void resultsDoNotDependOnThreads(Layout layout) {
    Shape shape = Shape.of(layout, 2, 48, 40, 41);
    int size = (int) shape.elementCount();
    SplittableRandom random = new SplittableRandom(5);
    SppBlock block = SppBlock.of(3, 7);
    float[] values = TestTensors.floats(random, size, false);
    float[] gradients = TestTensors.floats(random, 3 * size, false);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, shape, values);
      Tensor dy = TestTensors.tensor(arena, DType.F32, block.outputShape(shape), gradients);
      Featurepool.setThreads(1);
      SppBlock.Result first = block.forwardWithMask(x, arena);
      float[] gradient = block.backward(dy, first.mask(), arena).toFloatArray();
      for (int threads : new int[] {2, 5}) {
        Featurepool.setThreads(threads);
        assertSameBits(
            first.output().toFloatArray(), block.forward(x, arena).toFloatArray(), "values");
        SppBlock.Result again = block.forwardWithMask(x, arena);
        assertSameBits(first.mask().toFloatArray(), again.mask().toFloatArray(), "mask");
        assertSameBits(
            gradient, block.backward(dy, again.mask(), arena).toFloatArray(), "gradient");
      }
    }
  }

  /** Inputs, steps and weights are multiples of powers of two: the differences are exact. */
  @ParameterizedTest
  @EnumSource(Layout.class)
  void gradientIsSlope(Layout layout) {
    Shape shape = Shape.of(layout, 2, 3, 5, 6);
    int size = (int) shape.elementCount();
    SppBlock block = SppBlock.of(5, 3);
    SplittableRandom random = new SplittableRandom(6);
    float[] x = new float[size];
    for (int i = 0; i < size; i++) {
      int other = random.nextInt(i + 1);
      x[i] = x[other];
      x[other] = i;
    }
    float[] weights = new float[3 * size];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = random.nextInt(-8, 9);
    }
    try (Arena arena = Arena.ofConfined()) {
      Tensor mask =
          block.forwardWithMask(TestTensors.tensor(arena, DType.F32, shape, x), arena).mask();
      Tensor dy = TestTensors.tensor(arena, DType.F32, block.outputShape(shape), weights);
      float[] gradient = TestTensors.planar(block.backward(dy, mask, arena));
      for (int i = 0; i < size; i++) {
        double slope =
            loss(block, shape, x, weights, i, 0.25f) - loss(block, shape, x, weights, i, -0.25f);
        assertEquals(slope / 0.5, gradient[i], "element " + i);
      }
    }
  }

  private static double loss(
      SppBlock block, Shape shape, float[] x, float[] weights, int at, float step) {
    float[] moved = x.clone();
    moved[at] += step;
    try (Arena arena = Arena.ofConfined()) {
      float[] out =
          TestTensors.planar(
              block.forward(TestTensors.tensor(arena, DType.F32, shape, moved), arena));
      double sum = 0;
      for (int i = 0; i < out.length; i++) {
        sum += (double) out[i] * weights[i];
      }
      return sum;
    }
  }

  @Test
  void touchesNothingOutsideItsTensors() {
    SplittableRandom random = new SplittableRandom(7);
    try (GuardedMemory in = new GuardedMemory(1 << 18);
        GuardedMemory joined = new GuardedMemory(1 << 18);
        GuardedMemory mask = new GuardedMemory(1 << 18);
        Arena arena = Arena.ofConfined()) {
      for (Layout layout : Layout.values()) {
        for (int tail = 1; tail <= 70; tail++) {
          Shape shape =
              layout == Layout.PLANAR ? Shape.nchw(1, 2, 4, tail) : Shape.nhwc(1, 4, 3, tail);
          for (boolean right : new boolean[] {false, true}) {
            SppBlock block = SppBlock.of(3, 5, 9);
            Tensor x = guarded(in, right, DType.F32, shape);
            float[] values = TestTensors.floats(random, (int) shape.elementCount(), true);
            MemorySegment.copy(
                TestTensors.tensor(arena, DType.F32, shape, values).segment(),
                0,
                x.segment(),
                0,
                x.segment().byteSize());
            Tensor out = guarded(joined, right, DType.F32, block.outputShape(shape));
            Tensor positions = guarded(mask, right, DType.U8, block.maskShape(shape));
            float[] expected = expected(shape, new long[] {9, 5, 3}, values).values;
            block.forward(x, out);
            assertSameBits(expected, TestTensors.planar(out), shape + "");
            block.forwardWithMask(x, out, positions);
            assertSameBits(expected, TestTensors.planar(out), shape + " with mask");
            block.backward(out, positions, x);
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
      SppBlock block = SppBlock.of(5);
      SppBlock.Result result = block.forwardWithMask(x, arena);
      assertEquals(Shape.nchw(0, 4, 4, 4), result.output().shape());
      assertEquals(x.shape(), block.backward(result.output(), result.mask(), arena).shape());
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    assertRefused("kernels are none", () -> SppBlock.of());
    assertRefused("kernels are 5, 8, with 8; each must be odd", () -> SppBlock.of(5, 8));
    assertRefused("with 1; each must be odd, at least 3", () -> SppBlock.of(1));
    assertRefused("with 5 repeated", () -> SppBlock.of(5, 9, 5));
    SppBlock block = SppBlock.of(5, 9);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 2, 4, 4));
      assertRefused(
          "x is of rank 1",
          () -> block.forward(Tensor.allocate(arena, DType.F32, Shape.ncw(1, 2, 4)), arena));
      assertRefused(
          "x.dtype is f64; it must be f32 or f16 or u8",
          () -> block.forward(Tensor.allocate(arena, DType.F64, x.shape()), arena));
      assertRefused(
          "out.extents are 1x2x4x4; they must be 1x6x4x4", () -> block.forward(x, other(x)));
      assertRefused("a multiple of 3 channels", () -> block.backward(x, other(x), arena));
      SppBlock.Result result = block.forwardWithMask(x, arena);
      assertRefused(
          "out is read-only",
          () ->
              block.forward(
                  x,
                  Tensor.wrap(
                      result.output().segment().asReadOnly(), DType.F32, result.output().shape())));
      assertRefused("mask is F32 of ", () -> block.indices(x, arena));
      assertRefused(
          "with a multiple of 3 channels",
          () -> SppBlock.of(3, 5, 7).indices(result.mask(), arena));
      result.mask().segment().fill((byte) 200);
      IndexOutOfBoundsException bad =
          assertThrows(
              IndexOutOfBoundsException.class,
              () -> block.backward(result.output(), result.mask(), arena));
      assertTrue(
          bad.getMessage().startsWith("mask_data[0] is 200")
              || bad.getMessage().startsWith("mask[0] is 200"),
          bad.getMessage());
    }
  }

  private static Tensor other(Tensor x) {
    SegmentAllocator auto = Arena.ofAuto();
    return Tensor.wrap(auto.allocate(x.segment().byteSize(), 64), x.dtype(), x.shape());
  }

  private static void assertRefused(String message, Runnable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void describesItself() {
    assertEquals("SPP block of kernels 5, 9, 13", SppBlock.of(13, 5, 9).toString());
    assertEquals(SppBlock.of(13, 5, 9), SppBlock.of(5, 9, 13));
    assertEquals(SppBlock.of(13, 5, 9).hashCode(), SppBlock.of(5, 9, 13).hashCode());
    assertNotEquals(SppBlock.of(13, 5, 9), SppBlock.of(5, 9));
    assertArrayEquals(new long[] {5, 9, 13}, SppBlock.of(13, 5, 9).kernels());
    assertEquals(DType.U8, SppBlock.of(15).maskType());
    assertEquals(DType.I32, SppBlock.of(17).maskType());
  }
}
