package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.featurepool.MaxUnpool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** Puts elements where a mask says, and zeros elsewhere. */
record MaxUnpooling(String name, String summary) implements Operator {
  @Override
  public List<Option<?>> options() {
    return Windows.FIXED.optionsAnd(Options.MASK, Options.INDICES, Options.OUTPUT_SIZE);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Windows.Form form = Windows.FIXED.read(arguments);
    Path file = arguments.require(Options.MASK);
    Tensor mask =
        Input.read(
                Options.MASK.name(), file, form.axes(), Types.POSITIONS, arguments.layout(), arena)
            .tensor();
    String indices = arguments.find(Options.INDICES).orElse("plane");
    boolean overTensor =
        switch (indices) {
          case "plane" -> false;
          case "tensor" -> true;
          default ->
              throw new UsageException("--indices is %s; it is plane or tensor".formatted(indices));
        };
    return new ByMask(arguments, form, file, mask, overTensor);
  }

  private static final class ByMask extends Unpooling {
    private final MaxUnpool pool;
    private final Path file;
    private final Tensor mask;
    private final boolean overTensor;

    ByMask(Arguments arguments, Windows.Form form, Path file, Tensor mask, boolean overTensor) {
      super(arguments, form);
      this.pool = MaxUnpool.of(form.window());
      this.file = file;
      this.mask = mask;
      this.overTensor = overTensor;
    }

    @Override
    Shape leastShape(Shape x) {
      return pool.outputShape(x);
    }

    @Override
    public Result forward(Input x, Arena arena) {
      requireMaskOf(x);
      Shape shape = outputShape(x.tensor().shape());
      return new Result(
          overTensor
              ? pool.forwardOverTensor(x.tensor(), mask, shape, arena)
              : pool.forward(x.tensor(), mask, shape, arena));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      requireMaskOf(x);
      return new Result(
          overTensor ? pool.backwardOverTensor(dy, mask, arena) : pool.backward(dy, mask, arena));
    }

    private void requireMaskOf(Input x) {
      if (!mask.shape().equals(x.tensor().shape())) {
        throw new UsageException(
            "%s %s is %s; the input is %s"
                .formatted(Options.MASK, file, mask.shape(), x.tensor().shape()));
      }
    }
  }
}
