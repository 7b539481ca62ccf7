package org.featurepool;

import static org.featurepool.ProductChecks.assertClose;
import static org.featurepool.ProductChecks.assertRefused;
import static org.featurepool.ProductChecks.dot;
import static org.featurepool.ProductChecks.normalize;
import static org.featurepool.ProductChecks.planar;
import static org.featurepool.ProductChecks.slope;
import static org.featurepool.ProductChecks.tensor;
import static org.featurepool.ProductChecks.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class NetVladTest {
  private static final int BATCH = 2;
  private static final int CHANNELS = 5;
  private static final int HEIGHT = 2;
  private static final int WIDTH = 4;
  private static final int CLUSTERS = 3;
  private static final double LEAST_LEAD = 1e-3;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    Featurepool.setThreads(0);
    arena.close();
  }

  /** Values of x, W, b and c, and the options that go with them. */
  private record Values(
      double[] x, double[] w, double[] b, double[] c, boolean hard, boolean normalized) {

    static Values random(SplittableRandom random, int ghosts, boolean hard, boolean normalized) {
      return new Values(
          values(random, (long) BATCH * CHANNELS * HEIGHT * WIDTH, -1, 1),
          values(random, (long) (CLUSTERS + ghosts) * CHANNELS, -2, 2),
          values(random, CLUSTERS + ghosts, -1, 1),
          values(random, CLUSTERS * CHANNELS, -1, 1),
          hard,
          normalized);
    }

    /** Random values that have slopes: those of a hard assignment have none where two are equal. */
    static Values smooth(SplittableRandom random, int ghosts, boolean hard, boolean normalized) {
      Values values = random(random, ghosts, hard, normalized);
      while (hard && values.leastLead() < LEAST_LEAD) {
        values = random(random, ghosts, true, normalized);
      }
      return values;
    }

    Values withX(double[] changed) {
      return new Values(changed, w, b, c, hard, normalized);
    }

    Values withW(double[] changed) {
      return new Values(x, changed, b, c, hard, normalized);
    }

    Values withB(double[] changed) {
      return new Values(x, w, changed, c, hard, normalized);
    }

    Values withC(double[] changed) {
      return new Values(x, w, b, changed, hard, normalized);
    }

    /** The paper's formulas, descriptor by descriptor. */
    double[] pooled() {
      int terms = b.length;
      int clusters = c.length / CHANNELS;
      int length = x.length / BATCH / CHANNELS;
      double[] result = new double[BATCH * clusters * CHANNELS];
      for (int n = 0; n < BATCH; n++) {
        double[][] residuals = new double[clusters][CHANNELS];
        for (int l = 0; l < length; l++) {
          double[] descriptor = new double[CHANNELS];
          for (int d = 0; d < CHANNELS; d++) {
            descriptor[d] = x[(n * CHANNELS + d) * length + l];
          }
          if (normalized) {
            normalize(descriptor);
          }
          double[] scores = new double[terms];
          for (int t = 0; t < terms; t++) {
            scores[t] = b[t] + dot(row(w, t), descriptor);
          }
          double[] a = hard ? first(scores) : softmax(scores);
          for (int k = 0; k < clusters; k++) {
            for (int d = 0; d < CHANNELS; d++) {
              residuals[k][d] += a[k] * (descriptor[d] - c[k * CHANNELS + d]);
            }
          }
        }
        double[] flat = new double[clusters * CHANNELS];
        for (int k = 0; k < clusters; k++) {
          normalize(residuals[k]);
          System.arraycopy(residuals[k], 0, flat, k * CHANNELS, CHANNELS);
        }
        normalize(flat);
        System.arraycopy(flat, 0, result, n * flat.length, flat.length);
      }
      return result;
    }

    /** By how much the best score of a descriptor is ahead of the next, where that is least. */
    double leastLead() {
      int length = x.length / BATCH / CHANNELS;
      double least = Double.POSITIVE_INFINITY;
      for (int i = 0; i < BATCH * length; i++) {
        double[] descriptor = new double[CHANNELS];
        for (int d = 0; d < CHANNELS; d++) {
          descriptor[d] = x[(i / length * CHANNELS + d) * length + i % length];
        }
        if (normalized) {
          normalize(descriptor);
        }
        double[] scores = new double[b.length];
        for (int t = 0; t < scores.length; t++) {
          scores[t] = b[t] + dot(row(w, t), descriptor);
        }
        Arrays.sort(scores);
        least = Math.min(least, scores[scores.length - 1] - scores[scores.length - 2]);
      }
      return least;
    }

    private static double[] row(double[] matrix, int row) {
      return Arrays.copyOfRange(matrix, row * CHANNELS, (row + 1) * CHANNELS);
    }

    private static double[] softmax(double[] scores) {
      double most = Arrays.stream(scores).max().orElseThrow();
      double[] result = Arrays.stream(scores).map(s -> Math.exp(s - most)).toArray();
      double sum = Arrays.stream(result).sum();
      return Arrays.stream(result).map(e -> e / sum).toArray();
    }

    private static double[] first(double[] scores) {
      int best = 0;
      for (int t = 1; t < scores.length; t++) {
        best = scores[t] > scores[best] ? t : best;
      }
      double[] result = new double[scores.length];
      result[best] = 1;
      return result;
    }

    NetVlad operator(Arena arena, DType dtype) {
      int terms = b.length;
      int clusters = c.length / CHANNELS;
      NetVlad made =
          NetVlad.of(
              new NetVlad.Parameters(
                  tensor(arena, dtype, Shape.nchw(terms, CHANNELS, 1, 1), w),
                  tensor(arena, dtype, Shape.nchw(1, terms, 1, 1), b),
                  tensor(arena, dtype, Shape.nchw(clusters, CHANNELS, 1, 1), c)));
      made = hard ? made.withHardAssignment() : made;
      return normalized ? made.withNormalizedDescriptors() : made;
    }
  }

  private static Shape input(Layout layout) {
    return Shape.of(layout, BATCH, CHANNELS, HEIGHT, WIDTH);
  }

  static void outputsAndGradientsAreThoseOfThePaper(Layout layout, SplittableRandom random) {
    int options = random.nextInt(16);
    try (Arena arena = Arena.ofConfined()) {
      int ghosts = (options & 1) != 0 ? 2 : 0;
      DType dtype = (options & 8) != 0 ? DType.F32 : DType.F64;
      Values values = Values.smooth(random, ghosts, (options & 2) != 0, (options & 4) != 0);
      NetVlad operator = values.operator(arena, dtype);
      String what = operator + " of " + dtype + " " + layout;
      Tensor x = tensor(arena, dtype, input(layout), values.x);
      double[] expected = values.pooled();
      Tensor out = operator.forward(x, arena);
      assertEquals(Shape.of(layout, BATCH, CLUSTERS * CHANNELS, 1, 1), out.shape());
      boolean exact = dtype == DType.F64;
      assertClose(expected, planar(out), exact ? 1e-12 : 1e-5, what);

      double[] dy = values(random, expected.length, -1, 1);
      NetVlad.Gradients gradients =
          operator.backward(tensor(arena, dtype, out.shape(), dy), x, arena);
      double bound = exact ? 1e-6 : 1e-4;
      assertClose(
          slope(v -> values.withX(v).pooled(), values.x, dy),
          planar(gradients.input()),
          bound,
          what + ", gradient of x");
      assertClose(
          slope(v -> values.withW(v).pooled(), values.w, dy),
          planar(gradients.weights()),
          bound,
          what + ", gradient of W");
      assertClose(
          slope(v -> values.withB(v).pooled(), values.b, dy),
          planar(gradients.biases()),
          bound,
          what + ", gradient of b");
      assertClose(
          slope(v -> values.withC(v).pooled(), values.c, dy),
          planar(gradients.centroids()),
          bound,
          what + ", gradient of c");

      NetVlad.Result result = operator.forwardWithIntermediates(x, arena);
      assertArrayEquals(planar(out), planar(result.output()), what);
      NetVlad.Gradients same =
          operator.backward(
              tensor(arena, dtype, out.shape(), dy), x, result.intermediates(), arena);
      assertArrayEquals(planar(gradients.input()), planar(same.input()), what);
      assertArrayEquals(planar(gradients.weights()), planar(same.weights()), what);
      assertArrayEquals(planar(gradients.biases()), planar(same.biases()), what);
      assertClose(
          planar(gradients.centroids()),
          planar(same.centroids()),
          exact ? 1e-14 : 1e-6,
          what + ", gradient of c with intermediates");
    }
  }

  @Test
  void intermediatesAreAssignmentsAndResiduals() {
    Values values = Values.random(new SplittableRandom(8), 2, false, true);
    NetVlad operator = values.operator(arena, DType.F64);
    Tensor x = tensor(arena, DType.F64, input(Layout.INTERLEAVED), values.x);
    NetVlad.Result result = operator.forwardWithIntermediates(x, arena);
    Tensor assignments = result.intermediates().assignments();
    Tensor residuals = result.intermediates().residuals();
    assertEquals(Shape.nchw(BATCH, CLUSTERS + 2, HEIGHT, WIDTH), assignments.shape());
    for (int n = 0; n < BATCH; n++) {
      for (int h = 0; h < HEIGHT; h++) {
        for (int w = 0; w < WIDTH; w++) {
          double norm = 0;
          for (int d = 0; d < CHANNELS; d++) {
            norm += x.get(n, d, h, w) * x.get(n, d, h, w);
          }
          double sum = 0;
          for (int t = 0; t < CLUSTERS + 2; t++) {
            sum += assignments.get(n, t, h, w);
          }
          assertEquals(1 / Math.sqrt(norm), sum, 1e-12);
        }
      }
      for (int k = 0; k < CLUSTERS; k++) {
        // All residuals have the same length in the output.
        double squares = 0;
        for (int d = 0; d < CHANNELS; d++) {
          squares += Math.pow(residuals.get(n, k * CHANNELS + d, 0, 0), 2);
        }
        for (int d = 0; d < CHANNELS; d++) {
          assertEquals(
              residuals.get(n, k * CHANNELS + d, 0, 0) / Math.sqrt(squares * CLUSTERS),
              result.output().get(n, k * CHANNELS + d, 0, 0),
              1e-12);
        }
      }
    }
  }

  @Test
  void otherIntermediatesAreRefusedByName() {
    Values values = Values.random(new SplittableRandom(9), 1, false, false);
    NetVlad operator = values.operator(arena, DType.F32);
    Tensor x = tensor(arena, DType.F32, input(Layout.PLANAR), values.x);
    Tensor out = Tensor.allocate(arena, DType.F32, operator.outputShape(x.shape()));
    NetVlad.Intermediates made = NetVlad.Intermediates.allocate(arena, operator, x.shape());
    Tensor a = made.assignments();
    Tensor v = made.residuals();
    Shape scores = a.shape();
    Tensor withoutGhost =
        Tensor.allocate(arena, DType.F32, Shape.nchw(BATCH, CLUSTERS, HEIGHT, WIDTH));
    assertRefusedIntermediates(
        operator, x, out, withoutGhost, v, "assignments.extents are 2x3x2x4", "2x4x2x4");
    Tensor interleaved =
        Tensor.allocate(
            arena,
            DType.F32,
            Shape.nhwc(BATCH, scores.spatial(0), scores.spatial(1), scores.channels()));
    assertRefusedIntermediates(operator, x, out, interleaved, v, "assignments.layout");
    assertRefusedIntermediates(
        operator, x, out, Tensor.allocate(arena, DType.F64, scores), v, "assignments.dtype is f64");
    assertRefusedIntermediates(operator, x, out, a, x, "residuals.extents are 2x5x2x4");
    assertRefused(
        () -> operator.forwardWithIntermediates(x, out, new NetVlad.Intermediates(a, out)),
        "residuals and out",
        "overlap");
    assertRefused(
        () ->
            operator.forwardWithIntermediates(x, out, new NetVlad.Intermediates(a.asReadOnly(), v)),
        "assignments is read-only");
    assertRefused(
        () -> NetVlad.Intermediates.allocate(arena, operator, Shape.ncw(1, CHANNELS, 4)),
        "input is 1x5x4",
        "rank must be 2");
    NetVlad.Parameters p = NetVlad.Parameters.allocate(arena, DType.F32, CLUSTERS, 1, CHANNELS);
    Tensor dx = Tensor.allocate(arena, DType.F32, x.shape());
    NetVlad.Gradients overlapping =
        new NetVlad.Gradients(
            dx,
            p.weights(),
            p.biases(),
            Tensor.wrap(
                v.segment().asSlice(0, CLUSTERS * CHANNELS * 4), DType.F32, p.centroids().shape()));
    assertRefused(
        () -> operator.backward(out, x, made, overlapping),
        "centroidsGradient and residuals",
        "overlap");
    // Read-only ones are enough for the gradient, and nothing was written by what was refused.
    operator.backward(out, x, new NetVlad.Intermediates(a.asReadOnly(), v.asReadOnly()), arena);
    for (Tensor tensor : new Tensor[] {a, v, out}) {
      for (double value : planar(tensor)) {
        assertEquals(0, value);
      }
    }
  }

  /** In both directions. */
  private void assertRefusedIntermediates(
      NetVlad operator, Tensor x, Tensor out, Tensor a, Tensor v, String... inMessage) {
    NetVlad.Intermediates kept = new NetVlad.Intermediates(a, v);
    assertRefused(() -> operator.forwardWithIntermediates(x, out, kept), inMessage);
    assertRefused(() -> operator.backward(out, x, kept, arena), inMessage);
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void resultsDoNotDependOnThreads(Layout layout) {
    SplittableRandom random = new SplittableRandom(4);
    NetVlad.Parameters parameters = NetVlad.Parameters.allocate(arena, DType.F32, 9, 2, 140);
    Shape shape = Shape.of(layout, 3, 140, 20, 30);
    Tensor x = tensor(arena, DType.F32, shape, values(random, shape.elementCount(), -1, 1));
    for (Tensor t :
        new Tensor[] {parameters.weights(), parameters.biases(), parameters.centroids()}) {
      ProductChecks.fill(t, values(random, t.shape().elementCount(), -1, 1));
    }
    NetVlad operator = NetVlad.of(parameters).withNormalizedDescriptors();
    Featurepool.setThreads(1);
    Tensor out = operator.forward(x, arena);
    NetVlad.Gradients expected = operator.backward(out, x, arena);
    for (int threads : new int[] {2, 5}) {
      Featurepool.setThreads(threads);
      assertArrayEquals(out.toFloatArray(), operator.forward(x, arena).toFloatArray());
      NetVlad.Gradients actual = operator.backward(out, x, arena);
      assertArrayEquals(expected.input().toFloatArray(), actual.input().toFloatArray());
      assertArrayEquals(expected.weights().toFloatArray(), actual.weights().toFloatArray());
      assertArrayEquals(expected.biases().toFloatArray(), actual.biases().toFloatArray());
      assertArrayEquals(expected.centroids().toFloatArray(), actual.centroids().toFloatArray());
    }
  }

  @ParameterizedTest
  @EnumSource(DType.class)
  void aClusterWithoutResidualStaysZero(DType dtype) {
    if (dtype != DType.F32 && dtype != DType.F64) {
      Tensor other = Tensor.allocate(arena, dtype, input(Layout.PLANAR));
      assertRefused(() -> NetVlad.initialize(other, 2, 0, arena), "descriptors.dtype is");
      return;
    }
    SplittableRandom random = new SplittableRandom(5);
    Values values = Values.random(random, 0, true, false);
    // No descriptor has its largest score at the last cluster.
    values.b[CLUSTERS - 1] = -100;
    NetVlad operator = values.operator(arena, dtype);
    Tensor x = tensor(arena, dtype, input(Layout.PLANAR), values.x);
    Tensor out = operator.forward(x, arena);
    Tensor ones = tensor(arena, dtype, out.shape(), new double[BATCH * CLUSTERS * CHANNELS]);
    for (int i = 0; i < BATCH * CLUSTERS * CHANNELS; i++) {
      ones.set(1, i / (CLUSTERS * CHANNELS), i % (CLUSTERS * CHANNELS), 0, 0);
    }
    NetVlad.Gradients gradients = operator.backward(ones, x, arena);
    for (int d = 0; d < CHANNELS; d++) {
      assertEquals(0, out.get(0, (CLUSTERS - 1) * CHANNELS + d, 0, 0));
      assertEquals(0, gradients.centroids().get(CLUSTERS - 1, d, 0, 0));
    }
    for (double value : planar(gradients.input())) {
      assertTrue(Double.isFinite(value));
    }
  }

  @Test
  void nothingBesideTheBuffersIsTouched() {
    for (int width = 1; width <= 19; width++) {
      for (Layout layout : Layout.values()) {
        Shape shape = Shape.of(layout, 1, width, 1, 20 - width);
        long bytes = shape.elementCount() * 4;
        NetVlad operator =
            NetVlad.of(NetVlad.Parameters.allocate(arena, DType.F32, 2, 1, width))
                .withNormalizedDescriptors();
        Shape output = operator.outputShape(shape);
        long outputBytes = output.elementCount() * 4;
        Shape scores = Shape.nchw(1, 3, 1, 20 - width);
        long scoreBytes = scores.elementCount() * 4;
        try (GuardedMemory x = new GuardedMemory(bytes);
            GuardedMemory dx = new GuardedMemory(bytes);
            GuardedMemory y = new GuardedMemory(outputBytes);
            GuardedMemory v = new GuardedMemory(outputBytes);
            GuardedMemory a = new GuardedMemory(scoreBytes)) {
          for (boolean left : new boolean[] {true, false}) {
            Tensor in = Tensor.wrap(left ? x.left(bytes) : x.right(bytes), DType.F32, shape);
            Tensor out =
                Tensor.wrap(left ? y.left(outputBytes) : y.right(outputBytes), DType.F32, output);
            Tensor gradient =
                Tensor.wrap(left ? dx.left(bytes) : dx.right(bytes), DType.F32, shape);
            in.segment().fill((byte) 0x3d);
            operator.forward(in, out);
            NetVlad.Parameters p = NetVlad.Parameters.allocate(arena, DType.F32, 2, 1, width);
            NetVlad.Gradients gradients =
                new NetVlad.Gradients(gradient, p.weights(), p.biases(), p.centroids());
            operator.backward(out, in, gradients);
            NetVlad.Intermediates kept =
                new NetVlad.Intermediates(
                    Tensor.wrap(left ? a.left(scoreBytes) : a.right(scoreBytes), DType.F32, scores),
                    Tensor.wrap(
                        left ? v.left(outputBytes) : v.right(outputBytes), DType.F32, output));
            operator.forwardWithIntermediates(in, out, kept);
            operator.backward(out, in, kept, gradients);
            assertEquals(Math.sqrt(0.5 / width), out.get(0, 0, 0, 0), 1e-6);
          }
        }
      }
    }
  }

  /** Descriptors around {@code centers} points far from each other, in turn. */
  private Tensor sample(DType dtype, int count, int centers) {
    SplittableRandom random = new SplittableRandom(6);
    Tensor sample = Tensor.allocate(arena, dtype, Shape.nchw(count, CHANNELS, 1, 1));
    for (int i = 0; i < count; i++) {
      for (int d = 0; d < CHANNELS; d++) {
        double center = d == i % centers ? 10 : 0;
        sample.set(center + (float) random.nextDouble(-0.5, 0.5), i, d, 0, 0);
      }
    }
    return sample;
  }

  @Test
  void initializationFindsTheClusters() {
    Tensor sample = sample(DType.F64, 400, 4);
    NetVlad.Parameters parameters = NetVlad.initialize(sample, 4, 7, arena);
    // Every centre is the mean of one cluster.
    TreeSet<Integer> found = new TreeSet<>();
    double[][] means = new double[4][CHANNELS];
    for (int i = 0; i < 400; i++) {
      for (int d = 0; d < CHANNELS; d++) {
        means[i % 4][d] += sample.get(i, d, 0, 0) / 100;
      }
    }
    for (int k = 0; k < 4; k++) {
      int nearest = 0;
      for (int d = 1; d < 4; d++) {
        boolean larger =
            parameters.centroids().get(k, d, 0, 0) > parameters.centroids().get(k, nearest, 0, 0);
        nearest = larger ? d : nearest;
      }
      found.add(nearest);
      for (int d = 0; d < CHANNELS; d++) {
        assertEquals(means[nearest][d], parameters.centroids().get(k, d, 0, 0), 1e-9);
      }
    }
    assertEquals(4, found.size());

    // W = 2 alpha c, b = -alpha |c|^2, with alpha from the mean gap.
    double gap = 0;
    for (int i = 0; i < 400; i++) {
      double[] distances = new double[4];
      for (int k = 0; k < 4; k++) {
        for (int d = 0; d < CHANNELS; d++) {
          double difference = sample.get(i, d, 0, 0) - parameters.centroids().get(k, d, 0, 0);
          distances[k] += difference * difference;
        }
      }
      Arrays.sort(distances);
      gap += (distances[1] - distances[0]) / 400;
    }
    double alpha = -Math.log(0.01) / gap;
    for (int k = 0; k < 4; k++) {
      double squares = 0;
      for (int d = 0; d < CHANNELS; d++) {
        double c = parameters.centroids().get(k, d, 0, 0);
        squares += c * c;
        assertEquals(2 * alpha * c, parameters.weights().get(k, d, 0, 0), 1e-9);
      }
      assertEquals(-alpha * squares, parameters.biases().get(0, k, 0, 0), 1e-9);
    }
  }

  @Test
  void initializationIsOneOfItsSeed() {
    Tensor sample = sample(DType.F32, 100, 5);
    Featurepool.setThreads(1);
    NetVlad.Parameters first = NetVlad.initialize(sample, 6, 3, false, 11, arena);
    assertEquals(3, first.ghosts());
    Featurepool.setThreads(5);
    NetVlad.Parameters again = NetVlad.initialize(sample, 6, 3, false, 11, arena);
    assertArrayEquals(first.weights().toFloatArray(), again.weights().toFloatArray());
    assertArrayEquals(first.biases().toFloatArray(), again.biases().toFloatArray());
    assertArrayEquals(first.centroids().toFloatArray(), again.centroids().toFloatArray());
    // Images of several positions give the same descriptors in another order of memory.
    Tensor asImage = Tensor.wrap(sample.segment(), DType.F32, Shape.nhwc(1, 10, 10, CHANNELS));
    NetVlad.Parameters ofImage = NetVlad.initialize(asImage, 6, 3, false, 11, arena);
    assertArrayEquals(first.weights().toFloatArray(), ofImage.weights().toFloatArray());
    Tensor planar = asImage.toLayout(Layout.PLANAR, arena);
    NetVlad.Parameters ofPlanar = NetVlad.initialize(planar, 6, 3, false, 11, arena);
    assertArrayEquals(first.weights().toFloatArray(), ofPlanar.weights().toFloatArray());
  }

  @Test
  void initializationOfNormalizedDescriptorsHasCentersInsideTheUnitBall() {
    NetVlad.Parameters parameters =
        NetVlad.initialize(sample(DType.F64, 100, 4), 4, 0, true, 1, arena);
    for (int k = 0; k < 4; k++) {
      double squares = 0;
      for (int d = 0; d < CHANNELS; d++) {
        squares += Math.pow(parameters.centroids().get(k, d, 0, 0), 2);
      }
      assertTrue(squares < 1 + 1e-12 && squares > 0.9, "squared length " + squares);
    }
  }

  @Test
  void badInputIsRefusedByName() {
    Tensor few = sample(DType.F32, 3, 3);
    assertRefused(() -> NetVlad.initialize(few, 0, 1, arena), "clusters is 0", "at least 1");
    assertRefused(() -> NetVlad.initialize(few, -2, 1, arena), "clusters is -2", "at least 1");
    assertRefused(() -> NetVlad.initialize(few, 2, -1, false, 1, arena), "ghosts is -1");
    assertRefused(() -> NetVlad.initialize(few, 4, 1, arena), "descriptors has 3", "4");
    assertRefused(() -> NetVlad.initialize(few, 2, 2, false, 1, arena), "descriptors has 3", "4");
    Tensor alike = Tensor.allocate(arena, DType.F32, Shape.nchw(9, 2, 1, 1));
    assertRefused(() -> NetVlad.initialize(alike, 2, 1, arena), "1 different", "at least 2");
    few.set(Double.NaN, 1, 2, 0, 0);
    assertRefused(() -> NetVlad.initialize(few, 2, 1, arena), "nan", "channel 2", "image 1");

    NetVlad.Parameters p = NetVlad.Parameters.allocate(arena, DType.F32, 2, 0, CHANNELS);
    Tensor otherWeights = Tensor.allocate(arena, DType.F32, Shape.nchw(2, 4, 1, 1));
    assertRefused(
        () -> new NetVlad.Parameters(otherWeights, p.biases(), p.centroids()),
        "weights is 2x4x1x1",
        "2x5x1x1");
    Tensor oneRow = Tensor.allocate(arena, DType.F32, Shape.nchw(1, CHANNELS, 1, 1));
    assertRefused(
        () -> new NetVlad.Parameters(oneRow, p.biases(), p.centroids()), "weights has 1 rows", "2");
    Tensor otherBiases = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 1, 1));
    assertRefused(
        () -> new NetVlad.Parameters(p.weights(), otherBiases, p.centroids()),
        "biases is 1x3x1x1",
        "1x2x1x1");
    Tensor doubles = Tensor.allocate(arena, DType.F64, Shape.nchw(2, CHANNELS, 1, 1));
    assertRefused(
        () -> new NetVlad.Parameters(p.weights(), p.biases(), doubles), "weights is of F32");
    Tensor none = Tensor.allocate(arena, DType.F32, Shape.nchw(0, CHANNELS, 1, 1));
    assertRefused(
        () -> new NetVlad.Parameters(p.weights(), p.biases(), none), "centroids has 0 rows");

    NetVlad operator = NetVlad.of(p);
    Tensor x = Tensor.allocate(arena, DType.F32, input(Layout.PLANAR));
    Tensor otherChannels = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 4, 2, 2));
    assertRefused(
        () -> operator.forward(otherChannels, arena), "weights.extents are 2x5x1x1", "2x4x1x1");
    Tensor otherType = Tensor.allocate(arena, DType.F64, input(Layout.PLANAR));
    assertRefused(() -> operator.forward(otherType, arena), "weights.dtype is f32", "f64");
    Tensor line = Tensor.allocate(arena, DType.F32, Shape.ncw(1, CHANNELS, 4));
    assertRefused(() -> operator.forward(line, arena), "x.spatial_rank is 1");
    Tensor out = Tensor.allocate(arena, DType.F32, operator.outputShape(x.shape()));
    assertRefused(() -> operator.forward(x, x), "out.extents");
    assertRefused(() -> operator.forward(x, out.asReadOnly()), "out is read-only");
    assertRefused(
        () ->
            operator.backward(
                out, x, new NetVlad.Gradients(x, p.weights(), p.biases(), p.centroids())),
        "inputGradient and x",
        "overlap");
    Tensor dx = Tensor.allocate(arena, DType.F32, x.shape());
    assertRefused(
        () ->
            operator.backward(
                out, x, new NetVlad.Gradients(dx, p.weights(), p.biases(), p.centroids())),
        "weightsGradient and weights",
        "overlap");
  }
}
