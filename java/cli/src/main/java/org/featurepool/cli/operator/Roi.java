package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.Regions;
import org.featurepool.RoiPool;

/** Maxima of the bins of regions of interest. */
record Roi(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return RegionPooling.optionsAnd();
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    RegionPooling.Grid grid = RegionPooling.Grid.of(arguments);
    RoiPool pool = RoiPool.of(grid.rows(), grid.columns(), grid.scale());
    Regions regions = RegionsFile.read(arguments.require(Options.REGIONS), arena);
    return new RegionPooling(
        Axes.ofPictures(arguments),
        regions,
        pool::outputShape,
        pool::forward,
        (dy, x, within, owner) ->
            pool.backward(dy, pool.forwardWithMask(x, within, owner).mask(), within, owner));
  }
}
