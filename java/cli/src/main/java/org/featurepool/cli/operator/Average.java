package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.AvgPool;

/** Averages: of windows, bins or whole planes. */
record Average(String name, String summary, Windows windows) implements Operator {
  @Override
  public List<Option<?>> options() {
    // Bins have no padding, and a divisor other than their size would be none of an average.
    return windows == Windows.FIXED
        ? windows.optionsAnd(Options.INCLUDE_PAD, Options.DIVISOR)
        : windows.optionsAnd();
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = windows.read(arguments);
    AvgPool windowed = AvgPool.of(form.window());
    AvgPool padded = arguments.has(Options.INCLUDE_PAD) ? windowed.withIncludePadding() : windowed;
    AvgPool pool = arguments.find(Options.DIVISOR).map(padded::withDivisor).orElse(padded);
    return new Weighting(form, Types.ADDED, pool::forward, (x, dy, dx) -> pool.backward(dy, dx));
  }
}
