package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.featurepool.BilinearPool;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Products of the channels of one input or two. */
record Bilinear(String name, String summary) implements Operator {
  private static final String GRADIENT = "second";

  @Override
  public List<Option<?>> options() {
    return List.of(Options.SECOND, Options.NO_SIGNED_ROOT, Options.NO_NORMALIZATION);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Axes axes = Axes.ofPictures(arguments);
    Optional<Path> file = arguments.find(Options.SECOND);
    BilinearPool whole = file.isPresent() ? BilinearPool.of() : BilinearPool.homogeneous();
    BilinearPool linear = arguments.has(Options.NO_SIGNED_ROOT) ? whole.withoutSignedRoot() : whole;
    BilinearPool pool =
        arguments.has(Options.NO_NORMALIZATION) ? linear.withoutNormalization() : linear;
    if (file.isEmpty()) {
      return new Homogeneous(axes, pool);
    }
    Input second =
        Input.read(
            Options.SECOND.name(), file.get(), axes, Types.F32_F64, arguments.layout(), arena);
    return new Multimodal(axes, second, pool);
  }

  private record Homogeneous(Axes axes, BilinearPool pool) implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32_F64;
    }

    @Override
    public Shape outputShape(Shape x) {
      return pool.outputShape(x);
    }

    @Override
    public boolean givesVectors() {
      return true;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      return new Result(pool.forward(x.tensor(), arena));
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      return new Result(pool.backward(dy, x.tensor(), arena));
    }
  }

  private record Multimodal(Axes axes, Input second, BilinearPool pool) implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32_F64;
    }

    @Override
    public Shape outputShape(Shape x) {
      return pool.outputShape(x, second.tensor().shape());
    }

    @Override
    public boolean givesVectors() {
      return true;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      return new Result(pool.forward(x.tensor(), second.tensor(), arena));
    }

    @Override
    public List<String> furtherGradients() {
      return List.of(GRADIENT);
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      BilinearPool.Gradients gradients = pool.backward(dy, x.tensor(), second.tensor(), arena);
      return new Result(gradients.a(), Map.of(GRADIENT, second.like(gradients.b())));
    }
  }
}
