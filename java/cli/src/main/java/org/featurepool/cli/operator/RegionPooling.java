package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.featurepool.DType;
import org.featurepool.Regions;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** A pooling of regions of interest: an output of R x C x rows x columns. */
record RegionPooling(
    Axes axes, Regions regions, OutputShape shape, Forward forward, Backward backward)
    implements Pooling {
  private static final int RANK = 2;
  private static final double DEFAULT_SCALE = 1;

  /** Says what pooling gives. */
  @FunctionalInterface
  interface OutputShape {
    Shape of(Shape x, Regions regions);
  }

  /** Pools regions. */
  @FunctionalInterface
  interface Forward {
    Result of(Tensor x, Regions regions, Arena arena);
  }

  /** Gives gradients of the input. */
  @FunctionalInterface
  interface Backward {
    Tensor of(Tensor dy, Tensor x, Regions regions, Arena arena);
  }

  /**
   * What every pooling of regions is told.
   *
   * @param rows bins per region, from top to bottom
   * @param columns bins per region, from left to right
   * @param scale from the regions' coordinates to the input's
   */
  record Grid(long rows, long columns, double scale) {
    static Grid of(Arguments arguments) {
      Values output = arguments.require(Options.OUTPUT);
      if (output.count() != RANK) {
        throw new UsageException(
            "--output %s has %s; with --op %s it takes 2 (rows,columns)"
                .formatted(output, output.countText(), arguments.operator().name()));
      }
      long[] extents = output.toArray();
      return new Grid(extents[0], extents[1], arguments.find(Options.SCALE).orElse(DEFAULT_SCALE));
    }
  }

  /** The options of every pooling of regions, then {@code more}. */
  static List<Option<?>> optionsAnd(Option<?>... more) {
    return Stream.<Option<?>>concat(
            Stream.of(Options.REGIONS, Options.OUTPUT, Options.SCALE), Stream.of(more))
        .toList();
  }

  @Override
  public Set<DType> types() {
    return Types.F32_F64;
  }

  @Override
  public Shape outputShape(Shape x) {
    return shape.of(x, regions);
  }

  @Override
  public int outputAxes(int axes) {
    // There is an axis of regions, whether or not there is one of images.
    return RANK + 2;
  }

  @Override
  public Result forward(Input x, Arena arena) {
    return forward.of(x.tensor(), regions, arena);
  }

  @Override
  public Result backward(Input x, Tensor dy, Arena arena) {
    return new Result(backward.of(dy, x.tensor(), regions, arena));
  }
}
