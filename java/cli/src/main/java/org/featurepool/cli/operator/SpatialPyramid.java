package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.Bins;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.SpatialPyramidPool;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** Maxima or averages of pyramids of bins. */
record SpatialPyramid(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return List.of(Options.LEVELS, Options.BINS, Options.REDUCER, Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Values levels = arguments.require(Options.LEVELS);
    String reducer = arguments.find(Options.REDUCER).orElse("max");
    SpatialPyramidPool plain =
        switch (reducer) {
          case "max" -> SpatialPyramidPool.max(levels.toArray());
          case "avg" -> SpatialPyramidPool.average(levels.toArray());
          default ->
              throw new UsageException("--reducer is %s; it is max or avg".formatted(reducer));
        };
    String bins = arguments.find(Options.BINS).orElse("adaptive");
    SpatialPyramidPool pool =
        switch (bins) {
          case "adaptive" -> plain.withBins(Bins.ADAPTIVE);
          case "sppnet" -> plain.withBins(Bins.SPPNET);
          default ->
              throw new UsageException("--bins is %s; it is adaptive or sppnet".formatted(bins));
        };
    boolean max = reducer.equals("max");
    boolean wantsMask = arguments.has(Options.MASK_OUT);
    if (wantsMask && !max) {
      throw new UsageException(
          "%s is for maxima; with %s avg there are no positions"
              .formatted(Options.MASK_OUT, Options.REDUCER));
    }
    return new Pyramid(Axes.ofPictures(arguments), pool, max, wantsMask);
  }

  private record Pyramid(Axes axes, SpatialPyramidPool pool, boolean max, boolean wantsMask)
      implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32;
    }

    @Override
    public Shape outputShape(Shape x) {
      return pool.outputShape(x);
    }

    @Override
    public boolean givesVectors() {
      return true;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      if (!wantsMask) {
        return new Result(pool.forward(x.tensor(), arena));
      }
      SpatialPyramidPool.Result pooled = pool.forwardWithMask(x.tensor(), arena);
      Tensor positions = Input.widened(pooled.mask(), arena);
      return new Result(
          pooled.output(),
          Map.of(
              Options.MASK_OUT.name(), file -> ArrayForm.write(file, positions, outputExtents(x))));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      if (!max) {
        return new Result(pool.backward(dy, x.tensor().shape(), arena));
      }
      Tensor mask = pool.forwardWithMask(x.tensor(), arena).mask();
      return new Result(pool.backward(dy, mask, x.tensor().shape(), arena));
    }
  }
}
