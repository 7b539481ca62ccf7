package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.SppBlock;
import org.featurepool.Tensor;

/** The block of YOLOv3-SPP: maxima of windows of several sizes, concatenated with the input. */
record SpatialPyramidBlock(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return List.of(Options.KERNELS, Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Values kernels = arguments.require(Options.KERNELS);
    return new Block(
        Axes.ofPictures(arguments),
        SppBlock.of(kernels.toArray()),
        arguments.has(Options.MASK_OUT));
  }

  private record Block(Axes axes, SppBlock pool, boolean wantsMask) implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32_F16_U8;
    }

    @Override
    public Shape outputShape(Shape x) {
      return pool.outputShape(x);
    }

    @Override
    public int outputAxes(int axes) {
      // An array without channels gives one with several.
      return Math.max(axes, axes().rank() + 1);
    }

    @Override
    public Result forward(Input x, Arena arena) {
      if (!wantsMask) {
        return new Result(pool.forward(x.tensor(), arena));
      }
      SppBlock.Result pooled = pool.forwardWithMask(x.tensor(), arena);
      Tensor indices = pool.indices(pooled.mask(), arena);
      return new Result(
          pooled.output(),
          Map.of(
              Options.MASK_OUT.name(),
              file ->
                  ArrayForm.write(
                      file, indices, ArrayForm.extents(indices.shape(), outputAxes(x.axes())))));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      return new Result(pool.backward(dy, pool.forwardWithMask(x.tensor(), arena).mask(), arena));
    }
  }
}
