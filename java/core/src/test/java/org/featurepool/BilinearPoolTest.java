package org.featurepool;

import static org.featurepool.ProductChecks.assertClose;
import static org.featurepool.ProductChecks.assertRefused;
import static org.featurepool.ProductChecks.normalize;
import static org.featurepool.ProductChecks.planar;
import static org.featurepool.ProductChecks.slope;
import static org.featurepool.ProductChecks.tensor;
import static org.featurepool.ProductChecks.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BilinearPoolTest {
  private static final int BATCH = 2;
  private static final int HEIGHT = 3;
  private static final int WIDTH = 4;
  private static final int LENGTH = HEIGHT * WIDTH;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    Featurepool.setThreads(0);
    arena.close();
  }

  /** The seed's listing, line by line; {@code b} may be {@code a}. */
  private static double[] listing(
      double[] a, double[] b, int length, boolean root, boolean normalization) {
    int rows = a.length / BATCH / length;
    int columns = b.length / BATCH / length;
    double[] result = new double[BATCH * rows * columns];
    for (int n = 0; n < BATCH; n++) {
      double[] x = new double[rows * columns];
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
          double sum = 0;
          for (int l = 0; l < length; l++) {
            sum += a[(n * rows + i) * length + l] * b[(n * columns + j) * length + l];
          }
          x[i * columns + j] = sum / length;
        }
      }
      if (root) {
        for (int i = 0; i < x.length; i++) {
          x[i] = Math.signum(x[i]) * Math.sqrt(Math.abs(x[i]) + 1e-5);
        }
      }
      if (normalization) {
        normalize(x);
      }
      System.arraycopy(x, 0, result, n * x.length, x.length);
    }
    return result;
  }

  private static Shape shape(Layout layout, long channels) {
    return Shape.of(layout, BATCH, channels, HEIGHT, WIDTH);
  }

  private static BilinearPool pool(boolean homogeneous, boolean root, boolean normalization) {
    BilinearPool pool = homogeneous ? BilinearPool.homogeneous() : BilinearPool.of();
    pool = root ? pool : pool.withoutSignedRoot();
    return normalization ? pool : pool.withoutNormalization();
  }

  /** Products of both signs that stay away from 0, where the signed root has its jump. */
  private static double[] features(SplittableRandom random, int channels) {
    double[] values = values(random, (long) BATCH * channels * LENGTH, 0.25, 1);
    for (int i = 0; i < values.length; i++) {
      values[i] *= i / LENGTH % 3 == 1 ? -1 : 1;
    }
    return values;
  }

  static void outputsAndGradientsAreThoseOfTheListing(Layout layout, SplittableRandom random) {
    int options = random.nextInt(16);
    // Not 1: a single output is normalised to 1, and its gradient is nothing but rounding.
    int channels = random.nextInt(2, 7);
    int others = random.nextInt(2, 7);
    try (Arena arena = Arena.ofConfined()) {
      boolean homogeneous = (options & 1) != 0;
      boolean root = (options & 2) != 0;
      boolean normalization = (options & 4) != 0;
      DType dtype = (options & 8) != 0 ? DType.F32 : DType.F64;
      BilinearPool pool = pool(homogeneous, root, normalization);
      String what = pool + " of " + dtype + " " + layout;
      double[] a = features(random, channels);
      double[] b = homogeneous ? a : features(random, others);
      double[] expected = listing(a, b, LENGTH, root, normalization);
      double[] dy = values(random, expected.length, -1, 1);

      Tensor first = tensor(arena, dtype, shape(layout, channels), a);
      Tensor second = homogeneous ? first : tensor(arena, dtype, shape(layout, others), b);
      Tensor out = homogeneous ? pool.forward(first, arena) : pool.forward(first, second, arena);
      assertEquals(
          Shape.of(layout, BATCH, channels * (homogeneous ? channels : others), 1, 1), out.shape());
      boolean exact = dtype == DType.F64;
      assertClose(expected, planar(out), exact ? 1e-13 : 1e-6, what);

      Tensor gradient = tensor(arena, dtype, out.shape(), dy);
      double bound = exact ? 1e-6 : 1e-4;
      if (homogeneous) {
        double[] slope = slope(v -> listing(v, v, LENGTH, root, normalization), a, dy);
        assertClose(slope, planar(pool.backward(gradient, first, arena)), bound, what);
      } else {
        BilinearPool.Gradients gradients = pool.backward(gradient, first, second, arena);
        double[] slopeA = slope(v -> listing(v, b, LENGTH, root, normalization), a, dy);
        double[] slopeB = slope(v -> listing(a, v, LENGTH, root, normalization), b, dy);
        assertClose(slopeA, planar(gradients.a()), bound, what + ", gradient of a");
        assertClose(slopeB, planar(gradients.b()), bound, what + ", gradient of b");
      }
    }
  }

  /** Seed 004: {@code bmm(X, X^T) / (H * W)}, reshape, signed root, normalize. */
  @Test
  void worksThroughTheSeedsListing() {
    // Two images of three channels of 2 x 1, small enough to be worked out by hand.
    double[] x = {1, 2, 3, 4, -1, 0, 0, 0, 2, 2, 0, 0};
    Tensor features = tensor(arena, DType.F32, Shape.nchw(2, 3, 2, 1), x);
    double[] products = {
      2.5, 5.5, -0.5, 5.5, 12.5, -1.5, -0.5, -1.5, 0.5, //
      0, 0, 0, 0, 4, 0, 0, 0, 0
    };
    BilinearPool plain = BilinearPool.homogeneous().withoutSignedRoot().withoutNormalization();
    assertArrayEquals(products, planar(plain.forward(features, arena)));

    double[] roots = new double[products.length];
    for (int i = 0; i < roots.length; i++) {
      roots[i] = Math.signum(products[i]) * Math.sqrt(Math.abs(products[i]) + 1e-5);
    }
    BilinearPool rooted = BilinearPool.homogeneous().withoutNormalization();
    assertClose(roots, planar(rooted.forward(features, arena)), 1e-7, "signed root");

    double[] first = java.util.Arrays.copyOf(roots, 9);
    double[] second = java.util.Arrays.copyOfRange(roots, 9, 18);
    normalize(first);
    normalize(second);
    System.arraycopy(first, 0, roots, 0, 9);
    System.arraycopy(second, 0, roots, 9, 9);
    assertClose(roots, planar(BilinearPool.homogeneous().forward(features, arena)), 1e-7, "L2");
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void largeProductsAreThoseOfPlainLoopsForEveryNumberOfThreads(Layout layout) {
    SplittableRandom random = new SplittableRandom(2);
    double[] a = features(random, 150);
    double[] b = features(random, 70);
    Tensor first = tensor(arena, DType.F32, shape(layout, 150), a);
    Tensor second = tensor(arena, DType.F32, shape(layout, 70), b);
    Featurepool.setThreads(1);
    float[] one = BilinearPool.homogeneous().forward(first, arena).toFloatArray();
    Tensor two = BilinearPool.of().forward(first, second, arena);
    assertClose(listing(a, b, LENGTH, true, true), planar(two), 1e-6, "two inputs");
    Tensor gradient =
        tensor(arena, DType.F32, two.shape(), values(random, two.shape().elementCount(), -1, 1));
    BilinearPool.Gradients expected = BilinearPool.of().backward(gradient, first, second, arena);
    for (int threads : new int[] {2, 5}) {
      Featurepool.setThreads(threads);
      assertArrayEquals(one, BilinearPool.homogeneous().forward(first, arena).toFloatArray());
      assertArrayEquals(
          two.toFloatArray(), BilinearPool.of().forward(first, second, arena).toFloatArray());
      BilinearPool.Gradients actual = BilinearPool.of().backward(gradient, first, second, arena);
      assertArrayEquals(expected.a().toFloatArray(), actual.a().toFloatArray());
      assertArrayEquals(expected.b().toFloatArray(), actual.b().toFloatArray());
    }
  }

  @Test
  void nothingBesideTheBuffersIsTouched() {
    for (int channels = 1; channels <= 19; channels++) {
      for (Layout layout : Layout.values()) {
        Shape input = shape(layout, channels);
        Shape output = BilinearPool.homogeneous().outputShape(input);
        long bytes = input.elementCount() * 4;
        try (GuardedMemory x = new GuardedMemory(bytes);
            GuardedMemory y = new GuardedMemory(output.elementCount() * 4);
            GuardedMemory dx = new GuardedMemory(bytes)) {
          for (boolean left : new boolean[] {true, false}) {
            Tensor tensor = Tensor.wrap(left ? x.left(bytes) : x.right(bytes), DType.F32, input);
            long outputBytes = output.elementCount() * 4;
            Tensor out =
                Tensor.wrap(left ? y.left(outputBytes) : y.right(outputBytes), DType.F32, output);
            Tensor gradient =
                Tensor.wrap(left ? dx.left(bytes) : dx.right(bytes), DType.F32, input);
            tensor.segment().fill((byte) 0x3d);
            BilinearPool.homogeneous().forward(tensor, out);
            BilinearPool.homogeneous().backward(out, tensor, gradient);
            assertEquals(1.0 / channels, out.get(0, 0, 0, 0), 1e-6);
          }
        }
      }
    }
  }

  @Test
  void anEmptyBatchIsEmpty() {
    Tensor a = Tensor.allocate(arena, DType.F32, Shape.nchw(0, 3, 2, 2));
    Tensor out = BilinearPool.homogeneous().forward(a, arena);
    assertEquals(Shape.nchw(0, 9, 1, 1), out.shape());
    assertEquals(0, BilinearPool.homogeneous().backward(out, a, arena).shape().batch());
  }

  @Test
  void badInputIsRefusedByName() {
    Tensor a = Tensor.allocate(arena, DType.F32, Shape.nchw(2, 3, 2, 2));
    Tensor out = TestTensors.blank(arena, DType.F32, Shape.nchw(2, 9, 1, 1));
    BilinearPool two = BilinearPool.of();
    BilinearPool one = BilinearPool.homogeneous();
    Tensor otherBatch = Tensor.allocate(arena, DType.F32, Shape.nchw(3, 3, 2, 2));
    assertRefused(() -> two.forward(a, otherBatch, out), "b.extents[0]", "batch", "3", "2");
    Tensor otherLength = Tensor.allocate(arena, DType.F32, Shape.nchw(2, 3, 2, 3));
    assertRefused(() -> two.forward(a, otherLength, out), "b has 2x3 = 6 positions", "4");
    Tensor otherType = Tensor.allocate(arena, DType.F64, Shape.nchw(2, 3, 2, 2));
    assertRefused(() -> two.forward(a, otherType, out), "b.dtype is f64", "f32");
    Tensor otherLayout = Tensor.allocate(arena, DType.F32, Shape.nhwc(2, 2, 2, 3));
    assertRefused(() -> two.forward(a, otherLayout, out), "b.layout", "planar");
    Tensor bytes = Tensor.allocate(arena, DType.U8, Shape.nchw(2, 3, 2, 2));
    assertRefused(() -> one.forward(bytes, arena), "a.dtype is u8", "f32 or f64");
    Tensor line = Tensor.allocate(arena, DType.F32, Shape.ncw(2, 3, 4));
    assertRefused(() -> one.forward(line, arena), "a.spatial_rank is 1", "2");
    assertRefused(() -> one.forward(a, a, out), "b is given");
    assertRefused(() -> two.forward(a, out), "b is missing");
    assertRefused(() -> one.backward(out, a, a, arena), "b is given");
    Tensor otherOut = Tensor.allocate(arena, DType.F32, Shape.nchw(2, 8, 1, 1));
    assertRefused(() -> one.forward(a, otherOut), "out.extents are 2x8x1x1", "2x9x1x1");
    assertRefused(() -> one.forward(a, out.asReadOnly()), "out is read-only");
    assertRefused(() -> one.backward(out, a, a), "aGradient and a", "overlap");
    assertRefused(() -> one.backward(otherOut, a, arena), "gradient.extents are 2x8x1x1");
    assertRefused(
        () -> two.backward(out, a, a, new BilinearPool.Gradients(otherBatch, otherLength)),
        "aGradient.extents are 3x3x2x2",
        "2x3x2x2");
    for (long i = 0; i < out.segment().byteSize(); i++) {
      assertEquals((byte) 0xa5, out.segment().get(ValueLayout.JAVA_BYTE, i), "it wrote");
    }
  }
}
