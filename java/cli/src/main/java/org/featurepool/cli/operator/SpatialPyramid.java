package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
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
    return List.of(Options.LEVELS, Options.BINS, Options.REDUCER);
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
    return new Pyramid(Axes.ofPictures(arguments), pool, reducer.equals("max"));
  }

  private record Pyramid(Axes axes, SpatialPyramidPool pool, boolean max) implements Pooling {
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
      return new Result(pool.forward(x.tensor(), arena));
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
