package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/**
 * A pooling that combines all elements of each window of a plane, so that they share a gradient.
 */
record Weighting(Windows.Form form, Set<DType> types, Forward combine, Backward share)
    implements Pooling {
  /** Combines elements. */
  @FunctionalInterface
  interface Forward {
    void run(Tensor x, Tensor y);
  }

  /** Shares gradients. */
  @FunctionalInterface
  interface Backward {
    void run(Tensor x, Tensor dy, Tensor dx);
  }

  @Override
  public Axes axes() {
    return form.axes();
  }

  @Override
  public Shape outputShape(Shape x) {
    return form.window().outputShape(x);
  }

  @Override
  public Result forward(Input x, Arena arena) {
    Tensor y = Tensor.allocate(arena, x.tensor().dtype(), outputShape(x.tensor().shape()));
    Parts.forEach("pool", part -> combine.run(part[0], part[1]), x.tensor(), y);
    return new Result(y);
  }

  @Override
  public Result backward(Input x, Tensor dy, Arena arena) {
    Tensor dx = Tensor.allocate(arena, dy.dtype(), x.tensor().shape());
    Parts.forEach("backward", part -> share.run(part[0], part[1], part[2]), x.tensor(), dy, dx);
    return new Result(dx);
  }
}
