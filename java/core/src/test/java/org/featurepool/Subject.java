package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * An operator with its parameters, seen as a function of one tensor: what the properties that many
 * operators have in common are stated of.
 *
 * @param name what failures name it by
 * @param traits which properties it has
 * @param widest type of elements in which it rounds least
 * @param planar shape of its input, planar
 * @param forward the pooling
 * @param backward the gradient of the input, from that of the output and the input
 * @param image the same operator on one image of the batch; null where images are not independent
 */
record Subject(
    String name,
    Traits traits,
    DType widest,
    Shape planar,
    BiFunction<Tensor, Arena, Tensor> forward,
    Backward backward,
    Function<Integer, Subject> image) {

  Subject(
      String name,
      Traits traits,
      Shape planar,
      BiFunction<Tensor, Arena, Tensor> forward,
      Backward backward,
      Function<Integer, Subject> image) {
    this(name, traits, DType.F64, planar, forward, backward, image);
  }

  /** From the gradient of the output and the input to the gradient of the input. */
  interface Backward {
    Tensor of(Tensor dy, Tensor x, Arena arena);
  }

  /**
   * What an operator promises.
   *
   * @param selects outputs are elements of the input, so the same bits in every layout
   * @param increasing commutes with increasing maps that keep 0 and -inf
   * @param homogeneous of degree 1: the output and the gradient are those of a linear map
   * @param conserving the sum of the gradient of the input is that of the output
   * @param activations inputs are positive
   */
  record Traits(
      boolean selects,
      boolean increasing,
      boolean homogeneous,
      boolean conserving,
      boolean activations) {

    static final Traits SELECTING = new Traits(true, true, true, true, false);
    static final Traits AVERAGING = new Traits(false, false, true, true, false);
    static final Traits LINEAR = new Traits(false, false, true, false, false);
    static final Traits OTHER = new Traits(false, false, false, false, false);

    Traits ofActivations() {
      return new Traits(selects, increasing, homogeneous, conserving, true);
    }

    Traits notConserving() {
      return new Traits(selects, increasing, homogeneous, false, activations);
    }

    Traits notIncreasing() {
      return new Traits(selects, false, homogeneous, conserving, activations);
    }
  }

  Shape input(Layout layout) {
    return planar.withLayout(layout);
  }

  /** How close results of the widest type are, in units of the largest: some hundred roundings. */
  double closeness() {
    return widest == DType.F64 ? 1e-12 : 1e-5;
  }

  int inputSize() {
    return (int) planar.elementCount();
  }

  int images() {
    return (int) planar.batch();
  }

  /** Operators with fixed windows and bins on a generated geometry. */
  static List<Subject> ofWindows(PoolCase pool, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Window window = pool.window();
    List<Subject> all = new ArrayList<>();
    for (SelectingPool selecting :
        new SelectingPool[] {MaxPool.of(window), MinPool.of(window), MedianPool.of(window)}) {
      // The median of -inf and finite elements is increasing too; of nothing it is NaN.
      all.add(
          windowed(
              selecting.toString(),
              Traits.SELECTING,
              pool,
              selecting::forward,
              (dy, x, arena) ->
                  selecting.backward(dy, selecting.forwardWithMask(x, arena).mask(), arena)));
    }
    AvgPool plain = AvgPool.of(window);
    all.add(
        windowed(
            plain.toString(),
            Traits.AVERAGING,
            pool,
            plain::forward,
            (dy, x, arena) -> plain.backward(dy, x.shape(), arena)));
    AvgPool average = pool.average();
    all.add(
        windowed(
            average.toString(),
            Traits.LINEAR,
            pool,
            average::forward,
            (dy, x, arena) -> average.backward(dy, x.shape(), arena)));
    double p = new double[] {1, 2, 3, 2.5, Double.POSITIVE_INFINITY}[random.nextInt(5)];
    LpPool lp = LpPool.of(window, p);
    all.add(
        windowed(
            lp.toString(),
            Traits.LINEAR,
            pool,
            lp::forward,
            (dy, x, arena) -> lp.backward(dy, x, lp.forward(x, arena), arena)));
    GemPool gem = GemPool.of(window, random.nextDouble(1, 5));
    all.add(
        windowed(
            gem.toString(),
            Traits.LINEAR.ofActivations(),
            pool,
            gem::forward,
            (dy, x, arena) -> gem.backward(dy, x, gem.forward(x, arena), arena).input()));
    StochasticPool stochastic = StochasticPool.of(window);
    all.add(
        windowed(
            stochastic + ", inference",
            Traits.LINEAR.ofActivations(),
            pool,
            stochastic::forward,
            stochastic::backwardInference));
    // Draws depend on the position in the whole batch, so no image is one of its own.
    all.add(
        new Subject(
            stochastic + ", training",
            Traits.SELECTING.ofActivations().notIncreasing(),
            pool.inputShape(Layout.PLANAR),
            (x, arena) -> stochastic.forwardTraining(x, seed, arena).output(),
            (dy, x, arena) ->
                stochastic.backward(dy, stochastic.forwardTraining(x, seed, arena).mask(), arena),
            null));
    for (MixedPool mixed :
        new MixedPool[] {MixedPool.add(window, random.nextDouble()), MixedPool.cat(window)}) {
      all.add(
          windowed(
              mixed.toString(),
              Traits.AVERAGING,
              pool,
              mixed::forward,
              (dy, x, arena) -> mixed.backward(dy, x, arena).input()));
    }
    return all;
  }

  private static Subject windowed(
      String name,
      Traits traits,
      PoolCase pool,
      BiFunction<Tensor, Arena, Tensor> forward,
      Backward backward) {
    return new Subject(
        name + " of " + pool,
        traits,
        pool.inputShape(Layout.PLANAR),
        forward,
        backward,
        i -> windowed(name, traits, pool.withBatch(1), forward, backward));
  }

  /** Operators whose geometry is their own, on small inputs of rank 2. */
  static List<Subject> ofOwnGeometry(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int images = random.nextInt(1, 4);
    int channels = random.nextInt(1, random.nextInt(8) == 0 ? 40 : 5);
    Shape shape =
        Shape.nchw(
            images,
            channels,
            random.nextInt(1, 9),
            random.nextInt(1, random.nextInt(4) == 0 ? 30 : 9));
    return ofOwnGeometry(shape, random.nextLong());
  }

  /** Operators whose geometry is their own, on an input of rank 2. */
  static List<Subject> ofOwnGeometry(Shape shape, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int channels = (int) shape.channels();
    List<Subject> all = new ArrayList<>();
    all.add(fractional(shape, random));
    for (SpatialPyramidPool pyramid :
        new SpatialPyramidPool[] {
          SpatialPyramidPool.max(1, 2, 3), SpatialPyramidPool.average(4, 1)
        }) {
      all.add(pyramid(pyramid, shape));
    }
    all.add(block(SppBlock.of(5, 3), shape));
    all.addAll(regions(shape, random));
    all.add(maxUnpool(shape, random));
    all.add(avgUnpool(AvgUnpool.of(Window.square(2).withStride(1)), shape));
    double[] others = random.doubles(2 * shape.elementCount(), -1, 1).toArray();
    all.add(bilinear(BilinearPool.of(), Traits.OTHER, shape, others));
    all.add(
        bilinear(
            BilinearPool.of().withoutSignedRoot().withoutNormalization(),
            Traits.LINEAR,
            shape,
            others));
    all.add(homogeneousBilinear(shape));
    all.add(netVlad(shape, random.doubles(3 * channels + 3 + 2 * channels, -1, 1).toArray()));
    return all;
  }

  private static Subject fractional(Shape shape, SplittableRandom random) {
    int height = (int) shape.spatial(0);
    int width = (int) shape.spatial(1);
    long[] kernel = {
      random.nextInt(1, 1 + Math.min(3, height)), 1 + random.nextInt(Math.min(3, width))
    };
    long[] output = {
      random.nextInt(1, height - (int) kernel[0] + 2),
      random.nextInt(1, width - (int) kernel[1] + 2)
    };
    double[] samples = random.doubles(shape.batch() * shape.channels() * 2).toArray();
    return fractional(FractionalMaxPool.of(kernel, output), shape, samples);
  }

  private static Subject fractional(FractionalMaxPool pool, Shape shape, double[] samples) {
    BiFunction<Tensor, Arena, FractionalMaxPool.Result> run =
        (x, arena) -> {
          Shape numbers = pool.samplesShape(x.shape());
          return pool.forward(x, PlainWindows.tensor(arena, numbers, samples), arena);
        };
    int perImage = 2 * (int) shape.channels();
    return new Subject(
        pool + " of " + shape,
        Traits.SELECTING,
        shape,
        (x, arena) -> run.apply(x, arena).output(),
        (dy, x, arena) -> pool.backward(dy, run.apply(x, arena).mask(), arena),
        i ->
            fractional(
                pool,
                shape.withBatch(1),
                Arrays.copyOfRange(samples, i * perImage, (i + 1) * perImage)));
  }

  private static Subject pyramid(SpatialPyramidPool pool, Shape shape) {
    boolean max = pool.toString().contains("maxima");
    return new Subject(
        pool + " of " + shape,
        max ? Traits.SELECTING : Traits.AVERAGING,
        DType.F32,
        shape,
        pool::forward,
        (dy, x, arena) ->
            max
                ? pool.backward(dy, pool.forwardWithMask(x, arena).mask(), x.shape(), arena)
                : pool.backward(dy, x.shape(), arena),
        i -> pyramid(pool, shape.withBatch(1)));
  }

  private static Subject block(SppBlock block, Shape shape) {
    return new Subject(
        block + " of " + shape,
        Traits.SELECTING,
        DType.F32,
        shape,
        block::forward,
        (dy, x, arena) -> block.backward(dy, block.forwardWithMask(x, arena).mask(), arena),
        i -> block(block, shape.withBatch(1)));
  }

  /** Region pooling, its regions inside the plane and in the order of their images. */
  private static List<Subject> regions(Shape shape, SplittableRandom random) {
    double bottom = shape.spatial(0) - 1;
    double right = shape.spatial(1) - 1;
    int count = random.nextInt(4);
    double[][] boxes = new double[count][];
    for (int i = 0; i < count; i++) {
      double x1 = random.nextDouble() * right;
      double y1 = random.nextDouble() * bottom;
      boxes[i] =
          new double[] {
            x1,
            y1,
            x1 + random.nextDouble() * (right - x1),
            y1 + random.nextDouble() * (bottom - y1)
          };
    }
    long[] images = random.longs(count, 0, shape.batch()).sorted().toArray();
    long rows = random.nextInt(1, 4);
    long columns = random.nextInt(1, 6);
    // Between its corners a region has samples even where it is a point.
    long ratio = random.nextInt(1, 4);
    boolean halfPixel = random.nextBoolean();
    return List.of(
        roiPool(RoiPool.of(rows, columns, 1), shape, boxes, images),
        roiAlign(
            RoiAlign.average(rows, columns, 1).withSamplingRatio(ratio).withHalfPixel(halfPixel),
            Traits.AVERAGING,
            shape,
            boxes,
            images),
        roiAlign(
            RoiAlign.max(rows, columns, 1).withSamplingRatio(ratio).withHalfPixel(halfPixel),
            Traits.LINEAR,
            shape,
            boxes,
            images));
  }

  private static double[][] boxesOf(int image, double[][] boxes, long[] images) {
    return IntStream.range(0, boxes.length)
        .filter(i -> images[i] == image)
        .mapToObj(i -> boxes[i])
        .toArray(double[][]::new);
  }

  private static Subject roiPool(RoiPool pool, Shape shape, double[][] boxes, long[] images) {
    return new Subject(
        pool + " of " + shape + " " + Arrays.deepToString(boxes),
        Traits.SELECTING,
        shape,
        (x, arena) -> pool.forward(x, Regions.of(arena, boxes, images), arena),
        (dy, x, arena) -> {
          Regions regions = Regions.of(arena, boxes, images);
          return pool.backward(dy, pool.forwardWithMask(x, regions, arena).mask(), regions, arena);
        },
        i -> {
          double[][] own = boxesOf(i, boxes, images);
          return roiPool(pool, shape.withBatch(1), own, new long[own.length]);
        });
  }

  private static Subject roiAlign(
      RoiAlign align, Traits traits, Shape shape, double[][] boxes, long[] images) {
    return new Subject(
        align + " of " + shape + " " + Arrays.deepToString(boxes),
        traits,
        shape,
        (x, arena) -> align.forward(x, Regions.of(arena, boxes, images), arena),
        (dy, x, arena) -> align.backward(dy, x, Regions.of(arena, boxes, images), arena),
        i -> {
          double[][] own = boxesOf(i, boxes, images);
          return roiAlign(align, traits, shape.withBatch(1), own, new long[own.length]);
        });
  }

  private static Subject maxUnpool(Shape shape, SplittableRandom random) {
    int plane = (int) shape.planeSize();
    int[] places = new int[(int) shape.elementCount()];
    for (int i = 0; i < places.length; i++) {
      // All different in a plane: a permutation, made as it goes.
      int first = i / plane * plane;
      int other = random.nextInt(first, i + 1);
      places[i] = places[other];
      places[other] = i - first;
    }
    return maxUnpool(shape, places);
  }

  private static Subject maxUnpool(Shape shape, int[] places) {
    MaxUnpool unpool = MaxUnpool.of(Window.square(2));
    BiFunction<Tensor, Arena, Tensor> indices =
        (x, arena) -> {
          Tensor tensor = Tensor.allocate(arena, DType.I32, x.shape());
          for (int i = 0; i < places.length; i++) {
            tensor
                .segment()
                .setAtIndex(ValueLayout.JAVA_INT, TestTensors.place(x.shape(), i), places[i]);
          }
          return tensor;
        };
    int perImage = places.length / (int) Math.max(1, shape.batch());
    return new Subject(
        unpool + " of " + shape,
        Traits.SELECTING.notConserving().notIncreasing(),
        shape,
        (x, arena) -> {
          Tensor out = Tensor.allocate(arena, x.dtype(), unpool.outputShape(x.shape()));
          unpool.forward(x, indices.apply(x, arena), out);
          return out;
        },
        (dy, x, arena) -> unpool.backward(dy, indices.apply(x, arena), arena),
        i ->
            maxUnpool(
                shape.withBatch(1), Arrays.copyOfRange(places, i * perImage, (i + 1) * perImage)));
  }

  private static Subject avgUnpool(AvgUnpool unpool, Shape shape) {
    return new Subject(
        unpool + " of " + shape,
        Traits.LINEAR,
        shape,
        unpool::forward,
        (dy, x, arena) -> unpool.backward(dy, arena),
        i -> avgUnpool(unpool, shape.withBatch(1)));
  }

  private static Subject bilinear(
      BilinearPool pool, Traits traits, Shape shape, double[] secondInput) {
    BiFunction<Tensor, Arena, Tensor> second =
        (x, arena) -> {
          Shape wide = x.shape().withChannels(2 * x.shape().channels());
          return TestTensors.converted(arena, x.dtype(), wide, secondInput);
        };
    int perImage = secondInput.length / (int) Math.max(1, shape.batch());
    return new Subject(
        pool + " of " + shape,
        traits,
        shape,
        (x, arena) -> pool.forward(x, second.apply(x, arena), arena),
        (dy, x, arena) -> pool.backward(dy, x, second.apply(x, arena), arena).a(),
        i ->
            bilinear(
                pool,
                traits,
                shape.withBatch(1),
                Arrays.copyOfRange(secondInput, i * perImage, (i + 1) * perImage)));
  }

  private static Subject homogeneousBilinear(Shape shape) {
    BilinearPool pool = BilinearPool.homogeneous();
    return new Subject(
        pool + " of " + shape,
        Traits.OTHER,
        shape,
        pool::forward,
        pool::backward,
        i -> homogeneousBilinear(shape.withBatch(1)));
  }

  /** Two clusters and a ghost. */
  private static Subject netVlad(Shape shape, double[] parameters) {
    long channels = shape.channels();
    int weights = 3 * (int) channels;
    BiFunction<Tensor, Arena, NetVlad> made =
        (x, arena) ->
            NetVlad.of(
                new NetVlad.Parameters(
                    TestTensors.converted(
                        arena,
                        x.dtype(),
                        Shape.nchw(3, channels, 1, 1),
                        Arrays.copyOf(parameters, weights)),
                    TestTensors.converted(
                        arena,
                        x.dtype(),
                        Shape.nchw(1, 3, 1, 1),
                        Arrays.copyOfRange(parameters, weights, weights + 3)),
                    TestTensors.converted(
                        arena,
                        x.dtype(),
                        Shape.nchw(2, channels, 1, 1),
                        Arrays.copyOfRange(parameters, weights + 3, parameters.length))));
    return new Subject(
        "NetVLAD of " + shape,
        Traits.OTHER,
        shape,
        (x, arena) -> made.apply(x, arena).forward(x, arena),
        (dy, x, arena) -> made.apply(x, arena).backward(dy, x, arena).input(),
        i -> netVlad(shape.withBatch(1), parameters));
  }
}
