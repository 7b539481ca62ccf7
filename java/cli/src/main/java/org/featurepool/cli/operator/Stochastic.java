package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.featurepool.Mask;
import org.featurepool.StochasticPool;
import org.featurepool.Tensor;

/** Stochastic pooling: a drawn element in training, a weighted average in inference. */
record Stochastic(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return Windows.FIXED.optionsAnd(Options.TRAIN, Options.SEED, Options.MASK_OUT);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = Windows.FIXED.read(arguments);
    StochasticPool pool = StochasticPool.of(form.window());
    if (arguments.has(Options.TRAIN)) {
      return new Training(form, pool, arguments.require(Options.SEED));
    }
    arguments.requireWith(Options.SEED, Options.TRAIN);
    arguments.requireWith(Options.MASK_OUT, Options.TRAIN);
    return new Inference(form, pool);
  }

  private static final class Training extends WindowPooling {
    private final StochasticPool pool;
    private final long seed;

    Training(Windows.Form form, StochasticPool pool, long seed) {
      super(form, Types.F32_F64);
      this.pool = pool;
      this.seed = seed;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      StochasticPool.Result drawn = pool.forwardTraining(x.tensor(), seed, arena);
      Tensor indices = drawn.mask().indices(Mask.IndexBase.PLANE, arena);
      return new Result(drawn.output(), Map.of(Options.MASK_OUT.name(), x.like(indices)));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      Mask mask = pool.forwardTraining(x.tensor(), seed, arena).mask();
      return new Result(pool.backward(dy, mask, arena));
    }
  }

  private static final class Inference extends WindowPooling {
    private final StochasticPool pool;

    Inference(Windows.Form form, StochasticPool pool) {
      super(form, Types.F32_F64);
      this.pool = pool;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      return new Result(pool.forward(x.tensor(), arena));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      return new Result(pool.backwardInference(dy, x.tensor(), arena));
    }
  }
}
