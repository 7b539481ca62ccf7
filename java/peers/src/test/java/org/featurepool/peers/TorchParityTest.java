package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.LPPool1dOptions;
import org.bytedeco.pytorch.LPPool2dOptions;
import org.bytedeco.pytorch.LPPool3dOptions;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.featurepool.AdaptivePool;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.FractionalMaxPool;
import org.featurepool.LpPool;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.MaxUnpool;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;

/** Values, indices and gradients against libtorch on seeded random configurations. */
class TorchParityTest {
  private static final int PER_RANK = 200;
  private static final Parity PARITY = new Parity("libtorch");

  @AfterAll
  static void report() {
    PARITY.report();
  }

  private interface Check {
    void accept(Case drawn, RandomGenerator random);
  }

  /** Runs {@code check} on configurations of ranks {@code least} to 3. */
  private static void forEachCase(
      String operator, int least, int perRank, Check check, Case.Feature... features) {
    for (int rank = least; rank <= 3; rank++) {
      for (int i = 0; i < perRank; i++) {
        long seed = 1_000_000L * rank + i;
        RandomGenerator random = new SplittableRandom(seed);
        DType dtype = random.nextInt(3) == 0 ? DType.F64 : DType.F32;
        check.accept(Case.draw(seed, random, rank, dtype, features), random);
        PARITY.compared(operator);
      }
    }
  }

  /** Values for maxima: with ties, and with infinities and NaN now and then. */
  private static double[] maxima(RandomGenerator random, long size) {
    return switch (random.nextInt(3)) {
      case 0 -> Values.uniform(random, size);
      case 1 -> Values.ties(random, size);
      default -> Values.specials(random, size);
    };
  }

  @Test
  void max() {
    forEachCase(
        "max (values, indices, gradients)",
        1,
        PER_RANK,
        TorchParityTest::checkMax,
        Case.Feature.PADDING,
        Case.Feature.DILATION,
        Case.Feature.CEIL,
        Case.Feature.SMALL_INPUT);
  }

  private static void checkMax(Case c, RandomGenerator random) {
    try (Arena arena = Arena.ofConfined()) {
      double[] x = maxima(random, c.shape().elementCount());
      MaxPool pool = MaxPool.of(c.window());
      MaxPool.Result ours =
          pool.forwardWithMask(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
      double[] dy = Values.uniform(random, ours.output().shape().elementCount());
      double[] indices = Values.planar(ours.mask().indices(Mask.IndexBase.PLANE, arena));
      double[] gradient =
          Values.planar(
              pool.backward(
                  Values.tensor(arena, c.dtype(), ours.output().shape(), dy), ours.mask(), arena));
      // libtorch gives a window without a valid tap the index of its first tap in range, and routes
      // gradient there; such windows get none here.
      double[] theirs = dy.clone();
      for (int i = 0; i < theirs.length; i++) {
        if (indices[i] < 0) {
          theirs[i] = 0;
        }
      }
      Torch.Result peer =
          Torch.runWithIndices(c.dtype(), c.sizes(), x, theirs, input -> maxPool(c, input));
      Parity.assertSame(c, peer.values(), Values.planar(ours.output()));
      Parity.assertClose(
          c,
          peer.indices(),
          indices,
          0,
          i -> {
            if (indices[i] < 0) {
              PARITY.excused("an index for windows that hold no element");
            }
            return indices[i] < 0;
          });
      Parity.assertSame(c, peer.gradient(), gradient);
    }
  }

  private static T_TensorTensor_T maxPool(Case c, Tensor x) {
    return switch (c.rank()) {
      case 1 ->
          torch.max_pool1d_with_indices(
              x, c.kernel(), c.stride(), c.padding(), c.dilation(), c.ceil());
      case 2 ->
          torch.max_pool2d_with_indices(
              x, c.kernel(), c.stride(), c.padding(), c.dilation(), c.ceil());
      default ->
          torch.max_pool3d_with_indices(
              x, c.kernel(), c.stride(), c.padding(), c.dilation(), c.ceil());
    };
  }

  @Test
  void average() {
    forEachCase(
        "average (values, gradients)",
        1,
        PER_RANK,
        TorchParityTest::checkAverage,
        Case.Feature.PADDING,
        Case.Feature.CEIL);
  }

  private static void checkAverage(Case c, RandomGenerator random) {
    try (Arena arena = Arena.ofConfined()) {
      boolean includePadding = random.nextBoolean();
      long divisor = c.rank() > 1 && random.nextInt(4) == 0 ? random.nextInt(1, 20) : 0;
      AvgPool pool = AvgPool.of(c.window());
      pool = includePadding ? pool.withIncludePadding() : pool;
      pool = divisor > 0 ? pool.withDivisor(divisor) : pool;
      double[] x = Values.uniform(random, c.shape().elementCount());
      org.featurepool.Tensor y = pool.forward(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
      double[] dy = Values.uniform(random, y.shape().elementCount());
      org.featurepool.Tensor dx =
          pool.backward(Values.tensor(arena, c.dtype(), y.shape(), dy), c.shape(), arena);
      Torch.Result peer =
          Torch.run(
              c.dtype(),
              c.sizes(),
              x,
              dy,
              input -> {
                LongOptional by = divisor > 0 ? new LongOptional(divisor) : new LongOptional();
                return switch (c.rank()) {
                  case 1 ->
                      torch.avg_pool1d(
                          input, c.kernel(), c.stride(), c.padding(), c.ceil(), includePadding);
                  case 2 ->
                      torch.avg_pool2d(
                          input, c.kernel(), c.stride(), c.padding(), c.ceil(), includePadding, by);
                  default ->
                      torch.avg_pool3d(
                          input, c.kernel(), c.stride(), c.padding(), c.ceil(), includePadding, by);
                };
              });
      // A sum over a divisor of ours may be as large as all taps.
      double magnitude = divisor > 0 ? (double) c.taps() / divisor : 1;
      double bound = Parity.sumBound(c.dtype(), c.taps(), Math.max(1, magnitude));
      Parity.assertClose(c, peer.values(), Values.planar(y), bound);
      Parity.assertClose(c, peer.gradient(), Values.planar(dx), bound * c.taps());
    }
  }

  @Test
  void adaptiveMax() {
    forEachCase(
        "adaptive max (values, indices, gradients)",
        1,
        100,
        (c, random) -> {
          long[] output = outputs(c, random);
          try (Arena arena = Arena.ofConfined()) {
            double[] x = maxima(random, c.shape().elementCount());
            MaxPool pool = AdaptivePool.max(output);
            MaxPool.Result ours =
                pool.forwardWithMask(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
            double[] dy = Values.uniform(random, ours.output().shape().elementCount());
            org.featurepool.Tensor gradient =
                pool.backward(
                    Values.tensor(arena, c.dtype(), ours.output().shape(), dy), ours.mask(), arena);
            Torch.Result peer =
                Torch.runWithIndices(
                    c.dtype(),
                    c.sizes(),
                    x,
                    dy,
                    input ->
                        switch (c.rank()) {
                          case 1 -> torch.adaptive_max_pool1d(input, output);
                          case 2 -> torch.adaptive_max_pool2d(input, output);
                          default -> torch.adaptive_max_pool3d(input, output);
                        });
            String what = c + " to " + Arrays.toString(output);
            Parity.assertSame(what, peer.values(), Values.planar(ours.output()));
            Parity.assertSame(
                what,
                peer.indices(),
                Values.planar(ours.mask().indices(Mask.IndexBase.PLANE, arena)));
            Parity.assertSame(what, peer.gradient(), Values.planar(gradient));
          }
        });
  }

  @Test
  void adaptiveAverage() {
    forEachCase(
        "adaptive average (values, gradients)",
        1,
        100,
        (c, random) -> {
          long[] output = outputs(c, random);
          try (Arena arena = Arena.ofConfined()) {
            double[] x = Values.uniform(random, c.shape().elementCount());
            AvgPool pool = AdaptivePool.average(output);
            org.featurepool.Tensor y =
                pool.forward(Values.tensor(arena, c.dtype(), c.shape(), x), arena);
            double[] dy = Values.uniform(random, y.shape().elementCount());
            org.featurepool.Tensor gradient =
                pool.backward(Values.tensor(arena, c.dtype(), y.shape(), dy), c.shape(), arena);
            Torch.Result peer =
                Torch.run(
                    c.dtype(),
                    c.sizes(),
                    x,
                    dy,
                    input ->
                        switch (c.rank()) {
                          case 1 -> torch.adaptive_avg_pool1d(input, output);
                          case 2 -> torch.adaptive_avg_pool2d(input, output);
                          default -> torch.adaptive_avg_pool3d(input, output);
                        });
            String what = c + " to " + Arrays.toString(output);
            Parity.assertClose(
                what,
                peer.values(),
                Values.planar(y),
                Parity.sumBound(c.dtype(), c.planeSize(), 1));
            // An element lies in at most as many bins as there are.
            long bins = Arrays.stream(output).reduce(1, (a, b) -> a * b);
            Parity.assertClose(
                what,
                peer.gradient(),
                Values.planar(gradient),
                Parity.sumBound(c.dtype(), bins, bins));
          }
        });
  }

  /** Extents of up to a third more than the input's. */
  private static long[] outputs(Case c, RandomGenerator random) {
    return Arrays.stream(c.extents())
        .map(extent -> random.nextLong(1, extent * 4 / 3 + 2))
        .toArray();
  }

  @Test
  void fractional() {
    forEachCase(
        "fractional max of given samples (values, indices, gradients)",
        2,
        150,
        (c, random) -> {
          long[] kernel = c.kernel();
          long[] output = new long[c.rank()];
          for (int i = 0; i < output.length; i++) {
            // libtorch refuses to let windows of three axes step by single elements.
            output[i] = random.nextLong(1, c.extents()[i] - kernel[i] + (c.rank() == 3 ? 1 : 2));
          }
          double[] x = maxima(random, c.shape().elementCount());
          double[] samples = Values.activations(random, c.batch() * c.channels() * c.rank());
          try (Arena arena = Arena.ofConfined()) {
            FractionalMaxPool pool = FractionalMaxPool.of(kernel, output);
            FractionalMaxPool.Result ours =
                pool.forward(
                    Values.tensor(arena, c.dtype(), c.shape(), x),
                    Values.tensor(arena, c.dtype(), pool.samplesShape(c.shape()), samples),
                    arena);
            double[] dy = Values.uniform(random, ours.output().shape().elementCount());
            org.featurepool.Tensor gradient =
                pool.backward(
                    Values.tensor(arena, c.dtype(), ours.output().shape(), dy), ours.mask(), arena);
            // libtorch takes the samples of two axes in the order W, H, of three as D, H, W.
            double[] theirs = c.rank() == 2 ? swapPairs(samples) : samples;
            long[] sizes = {c.batch(), c.channels(), c.rank()};
            Torch.Result peer =
                Torch.runWithIndices(
                    c.dtype(),
                    c.sizes(),
                    x,
                    dy,
                    input -> {
                      Tensor numbers = Torch.tensor(c.dtype(), sizes, theirs);
                      return c.rank() == 2
                          ? torch.fractional_max_pool2d(input, kernel, output, numbers)
                          : torch.fractional_max_pool3d(input, kernel, output, numbers);
                    });
            String what = c + " to " + Arrays.toString(output);
            Parity.assertSame(what, peer.values(), Values.planar(ours.output()));
            Parity.assertSame(what, peer.indices(), Values.planar(ours.mask().tensor()));
            Parity.assertSame(what, peer.gradient(), Values.planar(gradient));
          }
        },
        Case.Feature.LARGER_INPUT);
  }

  private static double[] swapPairs(double[] values) {
    double[] swapped = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      swapped[i] = values[i ^ 1];
    }
    return swapped;
  }

  @Test
  void maxUnpool() {
    forEachCase(
        "max unpooling (values, gradients)",
        1,
        100,
        (c, random) -> {
          try (Arena arena = Arena.ofConfined()) {
            double[] pooled = Values.uniform(random, c.shape().elementCount());
            MaxPool.Result max =
                MaxPool.of(c.window())
                    .forwardWithMask(Values.tensor(arena, c.dtype(), c.shape(), pooled), arena);
            double[] indices = Values.planar(max.mask().indices(Mask.IndexBase.PLANE, arena));
            double[] x = Values.uniform(random, indices.length);
            MaxUnpool unpool = MaxUnpool.of(c.window());
            org.featurepool.Tensor y =
                unpool.forward(
                    Values.tensor(arena, c.dtype(), max.output().shape(), x), max.mask(), arena);
            double[] dy = Values.uniform(random, y.shape().elementCount());
            org.featurepool.Tensor gradient =
                unpool.backward(Values.tensor(arena, c.dtype(), c.shape(), dy), max.mask(), arena);
            long[] sizes = atLeastTwoAxes(max.output().shape().extents());
            long[] output = Arrays.copyOfRange(atLeastTwoAxes(c.sizes()), 2, sizes.length);
            Torch.Result peer =
                Torch.run(
                    c.dtype(),
                    sizes,
                    x,
                    dy,
                    input -> {
                      Tensor places = Torch.tensor(DType.I64, sizes, indices);
                      return c.rank() == 3
                          ? torch.max_unpool3d(input, places, output, c.stride(), c.padding())
                          : torch.max_unpool2d(input, places, output);
                    });
            Parity.assertSame(c, peer.values(), Values.planar(y));
            Parity.assertSame(c, peer.gradient(), Values.planar(gradient));
          }
        },
        Case.Feature.PADDING);
  }

  /** N x C x W as N x C x 1 x W: libtorch unpools one axis as two. */
  private static long[] atLeastTwoAxes(long[] sizes) {
    return sizes.length == 3 ? new long[] {sizes[0], sizes[1], 1, sizes[2]} : sizes;
  }

  @Test
  void lp() {
    // libtorch has no padding here, and in ceil mode it scales sums of clipped windows up to whole
    // ones; neither is compared.
    forEachCase(
        "Lp (values, gradients)",
        1,
        100,
        (c, random) -> {
          double p = new double[] {1, 2, 3, 4, 1.5, 2.5}[random.nextInt(6)];
          try (Arena arena = Arena.ofConfined()) {
            // libtorch raises x itself, not |x|, to p.
            double[] x = Values.activations(random, c.shape().elementCount());
            LpPool pool = LpPool.of(c.window(), p);
            org.featurepool.Tensor input = Values.tensor(arena, c.dtype(), c.shape(), x);
            org.featurepool.Tensor y = pool.forward(input, arena);
            double[] dy = Values.uniform(random, y.shape().elementCount());
            org.featurepool.Tensor gradient =
                pool.backward(Values.tensor(arena, c.dtype(), y.shape(), dy), input, y, arena);
            Torch.Result peer =
                Torch.run(c.dtype(), c.sizes(), x, dy, tensor -> lpPool(c, p, tensor));
            String what = c + ", p = " + p;
            double bound = Parity.sumBound(c.dtype(), 8 + c.taps(), c.taps());
            Parity.assertClose(what, peer.values(), Values.planar(y), bound);
            Parity.assertClose(what, peer.gradient(), Values.planar(gradient), bound * c.taps());
          }
        });
  }

  private static Tensor lpPool(Case c, double p, Tensor x) {
    LongPointer kernel = new LongPointer(c.kernel());
    switch (c.rank()) {
      case 1 -> {
        LPPool1dOptions options = new LPPool1dOptions(p, kernel);
        options.stride().put(c.stride());
        return torch.lp_pool1d(x, options);
      }
      case 2 -> {
        LPPool2dOptions options = new LPPool2dOptions(p, kernel);
        options.stride().put(c.stride());
        return torch.lp_pool2d(x, options);
      }
      default -> {
        LPPool3dOptions options = new LPPool3dOptions(p, kernel);
        options.stride().put(c.stride());
        return torch.lp_pool3d(x, options);
      }
    }
  }
}
