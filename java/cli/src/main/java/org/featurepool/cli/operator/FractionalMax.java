package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.FractionalMaxPool;
import org.featurepool.Npy;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** Maxima of windows that begin at random places, or where samples say. */
record FractionalMax(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return List.of(Options.KERNEL, Options.OUTPUT, Options.SEED, Options.SAMPLES, Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Values kernel = arguments.require(Options.KERNEL);
    Values output = arguments.require(Options.OUTPUT);
    FractionalMaxPool pool = FractionalMaxPool.of(kernel.toArray(), output.toArray());
    Axes axes = Axes.of(Options.KERNEL, kernel);
    if (arguments.oneOf(Options.SEED, Options.SAMPLES) == Options.SEED) {
      long seed = arguments.require(Options.SEED);
      return new Sampled(axes, pool, (x, out) -> pool.forward(x, seed, out));
    }
    Tensor samples = samples(arguments.require(Options.SAMPLES), arena);
    return new Sampled(axes, pool, (x, out) -> pool.forward(x, samples, out));
  }

  private static Tensor samples(Path file, Arena arena) {
    String name = Options.SAMPLES.name();
    Npy.Array array = Input.readArray(name, file, arena);
    Input.requireType(name, file, array, Types.F32_F64);
    long[] extents = array.extents();
    if (extents.length != 3) {
      throw new UsageException(
          "%s %s has %d axes (%s); it must have 3: N, C and one number per axis of the window"
              .formatted(name, file, extents.length, ArrayForm.text(extents)));
    }
    return array.toTensor(Shape.ncw(extents[0], extents[1], extents[2]));
  }

  @FunctionalInterface
  private interface Draw {
    FractionalMaxPool.Result of(Tensor x, Arena arena);
  }

  private record Sampled(Axes axes, FractionalMaxPool pool, Draw draw) implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32_F64;
    }

    @Override
    public Shape outputShape(Shape x) {
      return pool.outputShape(x);
    }

    @Override
    public Result forward(Input x, Arena arena) {
      FractionalMaxPool.Result drawn = draw.of(x.tensor(), arena);
      Tensor positions = Input.widened(drawn.mask().tensor(), arena);
      return new Result(drawn.output(), Map.of(Options.MASK_OUT.name(), x.like(positions)));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      return new Result(pool.backward(dy, draw.of(x.tensor(), arena).mask(), arena));
    }
  }
}
