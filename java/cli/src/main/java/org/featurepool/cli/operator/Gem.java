package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.featurepool.GemPool;
import org.featurepool.Tensor;

/** Generalised means of windows, bins or whole planes, with trainable exponents. */
record Gem(String name, String summary) implements Operator {
  private static final String GRADIENT = "p";
  private static final double DEFAULT_P = 3;

  @Override
  public List<Option<?>> options() {
    return Windows.ANY.optionsAnd(Options.P, Options.EPSILON);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = Windows.ANY.read(arguments);
    double[] p = arguments.find(Options.P).map(Numbers::toArray).orElse(new double[] {DEFAULT_P});
    GemPool plain = GemPool.of(form.window(), p);
    GemPool pool = arguments.find(Options.EPSILON).map(plain::withEpsilon).orElse(plain);
    return new WindowPooling(form, Types.F32_F64) {
      @Override
      public Result forward(Input x, Arena arena) {
        return new Result(pool.forward(x.tensor(), arena));
      }

      @Override
      public List<String> furtherGradients() {
        return List.of(GRADIENT);
      }

      @Override
      public Result backward(Input x, Tensor dy, Arena arena) {
        Tensor y = pool.forward(x.tensor(), arena);
        GemPool.Gradients gradients = pool.backward(dy, x.tensor(), y, arena);
        return new Result(gradients.input(), Map.of(GRADIENT, ArrayForm.vector(gradients.p())));
      }
    };
  }
}
