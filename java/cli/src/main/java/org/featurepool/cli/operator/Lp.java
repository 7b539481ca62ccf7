package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.LpPool;
import org.featurepool.Tensor;

/** Lp norms: of windows or whole planes. */
record Lp(String name, String summary, Windows windows) implements Operator {
  @Override
  public List<Option<?>> options() {
    return windows.optionsAnd(Options.P);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = windows.read(arguments);
    double p = arguments.require(Options.P).single(name, Options.P);
    LpPool pool = LpPool.of(form.window(), p);
    return new Weighting(
        form, Types.F32_F64, pool::forward, (x, dy, dx) -> backward(pool, x, dy, dx));
  }

  private static void backward(LpPool pool, Tensor x, Tensor dy, Tensor dx) {
    try (Arena arena = Arena.ofConfined()) {
      pool.backward(dy, x, pool.forward(x, arena), dx);
    }
  }
}
