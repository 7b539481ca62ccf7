package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.SelectingPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/**
 * A pooling that selects an element of each window of a plane, so that a gradient goes to where a
 * mask says.
 *
 * @param wantsMask whether positions are a result of the forward pass
 */
record Selecting(Windows.Form form, Set<DType> types, boolean wantsMask, SelectingPool pool)
    implements Pooling {
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
    if (!wantsMask) {
      Parts.forEach("pool", part -> pool.forward(part[0], part[1]), x.tensor(), y);
      return new Result(y);
    }
    Tensor indices = Tensor.allocate(arena, DType.I64, y.shape());
    Parts.forEach("pool", part -> forward(part[0], part[1], part[2]), x.tensor(), y, indices);
    return new Result(y, Map.of(Options.MASK_OUT.name(), x.like(indices)));
  }

  private void forward(Tensor x, Tensor y, Tensor indices) {
    try (Arena arena = Arena.ofConfined()) {
      Mask mask = Mask.allocate(arena, form.window(), x.shape());
      pool.forwardWithMask(x, y, mask);
      indices.segment().copyFrom(mask.indices(Mask.IndexBase.PLANE, arena).segment());
    }
  }

  @Override
  public Result backward(Input x, Tensor dy, Arena arena) {
    Tensor dx = Tensor.allocate(arena, dy.dtype(), x.tensor().shape());
    Parts.forEach("backward", part -> backward(part[0], part[1], part[2]), x.tensor(), dy, dx);
    return new Result(dx);
  }

  private void backward(Tensor x, Tensor dy, Tensor dx) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor y = Tensor.allocate(arena, x.dtype(), dy.shape());
      Mask mask = Mask.allocate(arena, form.window(), x.shape());
      pool.forwardWithMask(x, y, mask);
      pool.backward(dy, mask, dx);
    }
  }
}
