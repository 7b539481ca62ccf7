package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.bench.Contender;
import org.featurepool.bench.Pooling;
import org.featurepool.bench.Product;
import org.featurepool.bench.Pyramid;
import org.featurepool.bench.Result;
import org.featurepool.bench.Task;
import org.featurepool.bench.Workers;
import org.featurepool.bench.Workload;

/**
 * libtorch's operators into outputs that are there; interleaved tensors have its memory format
 * channels_last. Gradients are the backward operators alone, with indices that are there.
 */
public final class TorchPeer implements Contender {
  private static final Set<Pooling.Kind> UNKNOWN =
      EnumSet.of(Pooling.Kind.MIN, Pooling.Kind.MEDIAN, Pooling.Kind.STOCHASTIC);

  /** Loads the library when first asked. */
  private static final class Library {
    private static final String PROBLEM;

    static {
      String problem = null;
      try {
        Loader.load(torch.class);
      } catch (LinkageError e) {
        problem = "library that can be loaded: " + e.getMessage();
      }
      PROBLEM = problem;
    }
  }

  @Override
  public String name() {
    return "libtorch";
  }

  @Override
  public Optional<String> version() {
    return Optional.of(PeerCall.version("pytorch"));
  }

  @Override
  public Optional<String> lack(Task task) {
    if (task instanceof Pooling pooling && UNKNOWN.contains(pooling.kind())) {
      return Optional.of("such pooling");
    }
    if (task instanceof Pooling pooling && !Axes.of(pooling.window()).isSymmetric()) {
      return Optional.of("padding that differs between the ends of an axis");
    }
    if (task instanceof Pooling pooling
        && pooling.kind().average()
        && pooling.window().rank() == 3
        && pooling.input().layout() == Layout.INTERLEAVED) {
      // It writes them in the other layout, whatever the strides of the output.
      return Optional.of("interleaved averages along three axes");
    }
    return Optional.ofNullable(Library.PROBLEM);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    torch.set_num_threads(workers.threads());
    openblas.blas_set_num_threads(workers.threads());
    return PeerCall.prepare(
        () ->
            switch (workload.task) {
              case Pooling pooling -> pooling(pooling, workload, arena);
              case Pyramid pyramid -> pyramid(pyramid, workload, arena);
              case Product product -> TorchProducts.prepare(product, workload, arena);
            });
  }

  private static PeerCall.Steps pooling(Pooling pooling, Workload workload, Arena arena) {
    org.featurepool.Tensor out =
        org.featurepool.Tensor.allocate(
            arena, pooling.dtype(), pooling.backward() ? pooling.input() : pooling.output());
    Operator operator = new Operator(pooling);
    Tensor source = tensor(workload.source);
    Tensor to = tensor(out);
    Runnable run =
        switch (pooling.kind()) {
          case MAX, MAX_WITH_MASK -> operator.max(source, to, indices(pooling));
          case AVERAGE -> operator.average(source, to);
          case MAX_BACKWARD -> {
            Tensor input = tensor(workload.features);
            Tensor indices = indices(pooling);
            Tensor output = torch.empty_like(source);
            operator.max(input, output, indices).run();
            yield operator.maxBackward(source, input, indices, to);
          }
          // The input's values do not matter, only its sizes.
          case AVERAGE_BACKWARD -> operator.averageBackward(source, to, to);
          default -> throw new IllegalArgumentException(pooling.toString());
        };
    return new PeerCall.Steps(run, () -> Result.of(out));
  }

  /** Memory for libtorch's indices. */
  private static Tensor indices(Pooling pooling) {
    Shape output = pooling.output();
    return torch.empty_strided(
        sizes(output), strides(output), new TensorOptions(torch.ScalarType.Long));
  }

  private static PeerCall.Steps pyramid(Pyramid pyramid, Workload workload, Arena arena) {
    Shape input = pyramid.input();
    boolean block = pyramid.kind() == Pyramid.Kind.BLOCK;
    Tensor source = tensor(workload.source);
    List<Tensor> levels = new ArrayList<>();
    List<Runnable> runs = new ArrayList<>();
    for (long level : pyramid.levels()) {
      // Bins come as rows, the places of a channel together in either layout.
      Shape output = block ? input : Shape.nchw(input.batch(), input.channels(), level, level);
      Tensor to = empty(output, torch.ScalarType.Float);
      Tensor indices = empty(output, torch.ScalarType.Long);
      levels.add(block ? to : to.flatten(1, -1));
      if (block) {
        runs.add(new Operator(Axes.sliding(level)).max(source, to, indices));
      } else {
        long[] bins = {level, level};
        runs.add(() -> torch.adaptive_max_pool2d_out(to, indices, source, bins).close());
      }
    }
    org.featurepool.Tensor out =
        org.featurepool.Tensor.allocate(arena, pyramid.dtype(), pyramid.output());
    Tensor all = block ? tensor(out) : tensor(out).flatten(1, -1);
    TensorVector parts =
        new TensorVector(Pyramids.parts(pyramid, source, levels).toArray(Tensor[]::new));
    runs.add(() -> torch.cat_out(all, parts, 1).close());
    return new PeerCall.Steps(() -> runs.forEach(Runnable::run), () -> Result.of(out));
  }

  private static Tensor empty(Shape shape, torch.ScalarType type) {
    return torch.empty_strided(sizes(shape), strides(shape), new TensorOptions(type));
  }

  /** The operators of a window; those of one axis are computed as of two. */
  private record Operator(Axes axes, boolean global) {
    Operator(Pooling pooling) {
      this(
          pooling.window().rank() == 1
              ? Axes.of(pooling.window()).withOuterAxis()
              : Axes.of(pooling.window()),
          pooling.global());
    }

    Operator(Axes axes) {
      this(axes, false);
    }

    private boolean deep() {
      return axes.kernel().length == 3;
    }

    private long[] dilation() {
      return deep() ? new long[] {1, 1, 1} : new long[] {1, 1};
    }

    Runnable max(Tensor x, Tensor y, Tensor indices) {
      long[] dilation = dilation();
      return () -> {
        T_TensorTensor_T pair =
            deep()
                ? torch.max_pool3d_with_indices_out(
                    y, indices, x, axes.kernel(), axes.stride(), axes.begin(), dilation, false)
                : torch.max_pool2d_with_indices_out(
                    y, indices, x, axes.kernel(), axes.stride(), axes.begin(), dilation, false);
        pair.close();
      };
    }

    Runnable average(Tensor x, Tensor y) {
      if (global) {
        long[] spatial = deep() ? new long[] {2, 3, 4} : new long[] {2, 3};
        ScalarTypeOptional type = new ScalarTypeOptional();
        return () -> torch.mean_out(y, x, spatial, true, type).close();
      }
      LongOptional divisor = new LongOptional();
      return () -> {
        Tensor result =
            deep()
                ? torch.avg_pool3d_out(
                    y, x, axes.kernel(), axes.stride(), axes.begin(), false, false, divisor)
                : torch.avg_pool2d_out(
                    y, x, axes.kernel(), axes.stride(), axes.begin(), false, false, divisor);
        result.close();
      };
    }

    Runnable maxBackward(Tensor dy, Tensor x, Tensor indices, Tensor dx) {
      long[] dilation = dilation();
      return () -> {
        Tensor result =
            deep()
                ? torch.max_pool3d_with_indices_backward_out(
                    dx, dy, x, axes.kernel(), axes.stride(), axes.begin(), dilation, false, indices)
                : torch.max_pool2d_with_indices_backward_out(
                    dx,
                    dy,
                    x,
                    axes.kernel(),
                    axes.stride(),
                    axes.begin(),
                    dilation,
                    false,
                    indices);
        result.close();
      };
    }

    Runnable averageBackward(Tensor dy, Tensor x, Tensor dx) {
      LongOptional divisor = new LongOptional();
      return () -> {
        Tensor result =
            deep()
                ? torch.avg_pool3d_backward_out(
                    dx, dy, x, axes.kernel(), axes.stride(), axes.begin(), false, false, divisor)
                : torch.avg_pool2d_backward_out(
                    dx, dy, x, axes.kernel(), axes.stride(), axes.begin(), false, false, divisor);
        result.close();
      };
    }
  }

  /** A tensor of the same memory, in the order of its layout. */
  static Tensor tensor(org.featurepool.Tensor tensor) {
    return torch.from_blob(
        new Memory(tensor),
        sizes(tensor.shape()),
        strides(tensor.shape()),
        new TensorOptions(type(tensor.dtype())));
  }

  private static torch.ScalarType type(DType dtype) {
    return switch (dtype) {
      case F32 -> torch.ScalarType.Float;
      case F64 -> torch.ScalarType.Double;
      case F16 -> torch.ScalarType.Half;
      case BF16 -> torch.ScalarType.BFloat16;
      case I8 -> torch.ScalarType.Char;
      case U8 -> torch.ScalarType.Byte;
      case I32 -> torch.ScalarType.Int;
      case I64 -> torch.ScalarType.Long;
    };
  }

  /** N, C and the spatial axes; one spatial axis as two. */
  private static long[] sizes(Shape shape) {
    long[] extents = shape.extents();
    return shape.spatialRank() == 1 ? new long[] {extents[0], extents[1], 1, extents[2]} : extents;
  }

  /** Distances between neighbours along the axes of {@link #sizes}. */
  private static long[] strides(Shape shape) {
    long[] sizes = sizes(shape);
    long[] strides = new long[sizes.length];
    boolean planar = shape.layout() == Layout.PLANAR;
    long step = planar ? 1 : sizes[1];
    for (int axis = sizes.length - 1; axis > 1; axis--) {
      strides[axis] = step;
      step *= sizes[axis];
    }
    strides[1] = planar ? step : 1;
    strides[0] = planar ? step * sizes[1] : step;
    return strides;
  }
}
