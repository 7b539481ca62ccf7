package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.Regions;
import org.featurepool.RoiAlign;
import org.featurepool.cli.UsageException;

/** Averages or maxima of samples in the bins of regions of interest. */
record Aligned(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return RegionPooling.optionsAnd(Options.MODE, Options.SAMPLING_RATIO, Options.HALF_PIXEL);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    RegionPooling.Grid grid = RegionPooling.Grid.of(arguments);
    String mode = arguments.find(Options.MODE).orElse("average");
    RoiAlign plain =
        switch (mode) {
          case "average" -> RoiAlign.average(grid.rows(), grid.columns(), grid.scale());
          case "max" -> RoiAlign.max(grid.rows(), grid.columns(), grid.scale());
          default ->
              throw new UsageException(
                  "--mode is %s; with --op roi-align it is average or max".formatted(mode));
        };
    RoiAlign sampled =
        arguments.find(Options.SAMPLING_RATIO).map(plain::withSamplingRatio).orElse(plain);
    RoiAlign pool = sampled.withHalfPixel(arguments.has(Options.HALF_PIXEL));
    Regions regions = RegionsFile.read(arguments.require(Options.REGIONS), arena);
    return new RegionPooling(
        Axes.ofPictures(arguments),
        regions,
        pool::outputShape,
        (x, within, owner) -> new Pooling.Result(pool.forward(x, within, owner)),
        pool::backward);
  }
}
