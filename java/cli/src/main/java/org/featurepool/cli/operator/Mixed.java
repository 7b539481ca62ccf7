package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.featurepool.MixedPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** Maximum and average of windows, bins or whole planes, added or concatenated. */
record Mixed(String name, String summary) implements Operator {
  private static final String GRADIENT = "alpha";

  @Override
  public List<Option<?>> options() {
    return Windows.ANY.optionsAnd(Options.MODE, Options.ALPHA);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = Windows.ANY.read(arguments);
    String mode = arguments.find(Options.MODE).orElse("add");
    return switch (mode) {
      case "add" -> added(form, arguments);
      case "cat" -> concatenated(form, arguments);
      default ->
          throw new UsageException(
              "--mode is %s; with --op mixed it is add or cat".formatted(mode));
    };
  }

  private static Pooling added(Windows.Form form, Arguments arguments) {
    MixedPool pool =
        arguments
            .find(Options.ALPHA)
            .map(alpha -> MixedPool.add(form.window(), alpha.toArray()))
            .orElseGet(() -> MixedPool.add(form.window()));
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
        MixedPool.Gradients gradients = pool.backward(dy, x.tensor(), arena);
        return new Result(gradients.input(), Map.of(GRADIENT, ArrayForm.vector(gradients.alpha())));
      }
    };
  }

  private static Pooling concatenated(Windows.Form form, Arguments arguments) {
    if (arguments.has(Options.ALPHA)) {
      throw new UsageException("--alpha goes with --mode add; cat weights nothing");
    }
    MixedPool pool = MixedPool.cat(form.window());
    return new WindowPooling(form, Types.F32_F64) {
      @Override
      public Shape outputShape(Shape x) {
        return pool.outputShape(x);
      }

      @Override
      public int outputAxes(int axes) {
        // An array without channels gives one with two.
        return Math.max(axes, axes().rank() + 1);
      }

      @Override
      public Result forward(Input x, Arena arena) {
        return new Result(pool.forward(x.tensor(), arena));
      }

      @Override
      public Result backward(Input x, Tensor dy, Arena arena) {
        return new Result(pool.backward(dy, x.tensor(), arena).input());
      }
    };
  }
}
