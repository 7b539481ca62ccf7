package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.MaxPool;

/** Maxima: of windows, bins or whole planes. */
record Max(String name, String summary, Windows windows) implements Operator {
  @Override
  public List<Option<?>> options() {
    return windows.optionsAnd(Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = windows.read(arguments);
    MaxPool pool = MaxPool.of(form.window());
    return new Selecting(
        form,
        Types.F32_U8,
        arguments.has(Options.MASK_OUT),
        pool::forward,
        pool::forwardWithMask,
        pool::backward);
  }
}
