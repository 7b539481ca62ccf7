package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.AvgUnpool;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Spreads elements evenly over their windows. */
record AverageUnpooling(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return Windows.FIXED.optionsAnd(Options.OUTPUT_SIZE);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = Windows.FIXED.read(arguments);
    AvgUnpool pool = AvgUnpool.of(form.window());
    return new Unpooling(arguments, form) {
      @Override
      Shape leastShape(Shape x) {
        return pool.outputShape(x);
      }

      @Override
      public Result forward(Input x, Arena owner) {
        return new Result(pool.forward(x.tensor(), outputShape(x.tensor().shape()), owner));
      }

      @Override
      public Result backward(Input x, Tensor dy, Arena owner) {
        Tensor dx = Tensor.allocate(owner, dy.dtype(), x.tensor().shape());
        pool.backward(dy, dx);
        return new Result(dx);
      }
    };
  }
}
