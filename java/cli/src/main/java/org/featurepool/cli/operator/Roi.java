package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.featurepool.Regions;
import org.featurepool.RoiPool;
import org.featurepool.Tensor;

/** Maxima of the bins of regions of interest. */
record Roi(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return RegionPooling.optionsAnd(Options.MASK_OUT);
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
        (x, within, owner) -> forward(pool, x, within, owner),
        (dy, x, within, owner) ->
            pool.backward(dy, pool.forwardWithMask(x, within, owner).mask(), within, owner));
  }

  private static Pooling.Result forward(RoiPool pool, Tensor x, Regions regions, Arena arena) {
    RoiPool.Result pooled = pool.forwardWithMask(x, regions, arena);
    Tensor positions = Input.widened(pooled.mask().tensor(), arena);
    return new Pooling.Result(
        pooled.output(),
        Map.of(
            Options.MASK_OUT.name(),
            file ->
                ArrayForm.write(
                    file,
                    positions,
                    ArrayForm.extents(positions.shape(), positions.shape().spatialRank() + 2))));
  }
}
