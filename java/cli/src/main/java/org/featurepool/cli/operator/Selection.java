package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.featurepool.DType;
import org.featurepool.SelectingPool;
import org.featurepool.Window;

/** An operator that selects one element of each window, bin or plane, such as the maximum. */
record Selection(
    String name,
    String summary,
    Windows windows,
    Set<DType> types,
    Function<Window, SelectingPool> factory)
    implements Operator {
  @Override
  public List<Option<?>> options() {
    return windows.optionsAnd(Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = windows.read(arguments);
    return new Selecting(
        form, types, arguments.has(Options.MASK_OUT), factory.apply(form.window()));
  }
}
