package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.pooling_backward;
import org.bytedeco.dnnl.pooling_forward;
import org.bytedeco.dnnl.primitive;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.Loader;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.bench.Contender;
import org.featurepool.bench.Pooling;
import org.featurepool.bench.Product;
import org.featurepool.bench.Pyramid;
import org.featurepool.bench.Result;
import org.featurepool.bench.Task;
import org.featurepool.bench.Workers;
import org.featurepool.bench.Workload;

/**
 * oneDNN's pooling primitives: inference without a workspace, training with one. A pyramid is its
 * three poolings, each into memory of its own; what would put them side by side is not counted.
 */
public final class OneDnnPeer implements Contender {
  private static final Set<Pooling.Kind> UNKNOWN =
      EnumSet.of(Pooling.Kind.MIN, Pooling.Kind.MEDIAN, Pooling.Kind.STOCHASTIC);

  /** Loads the library when first asked. */
  private static final class Library {
    private static final String PROBLEM;
    private static final MethodHandle SET_THREADS;

    static {
      String problem = null;
      MethodHandle setThreads = null;
      try {
        setThreads = setThreads(Path.of(Loader.load(dnnl.class)));
      } catch (LinkageError | IllegalArgumentException e) {
        problem = "library that can be loaded: " + e.getMessage();
      }
      PROBLEM = problem;
      SET_THREADS = setThreads;
    }

    /** OpenMP's function, of the very library that oneDNN was linked with. */
    @SuppressWarnings("restricted")
    private static MethodHandle setThreads(Path library) {
      return Linker.nativeLinker()
          .downcallHandle(
              SymbolLookup.libraryLookup(library, Arena.global())
                  .findOrThrow("omp_set_num_threads"),
              FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
    }

    static void setThreads(int threads) {
      try {
        SET_THREADS.invokeExact(threads);
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @Override
  public String name() {
    return "onednn";
  }

  @Override
  public Optional<String> version() {
    return Optional.of(PeerCall.version("dnnl"));
  }

  @Override
  public Optional<String> lack(Task task) {
    if (task instanceof Product) {
      return Optional.of("poolings of second order");
    }
    if (task instanceof Pooling pooling && UNKNOWN.contains(pooling.kind())) {
      return Optional.of("such pooling");
    }
    return Optional.ofNullable(Library.PROBLEM);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Library.setThreads(workers.threads());
    return PeerCall.prepare(
        () -> {
          Primitives primitives = new Primitives();
          return switch (workload.task) {
            case Pooling pooling -> primitives.pooling(pooling, workload, arena);
            case Pyramid pyramid -> primitives.pyramid(pyramid, workload, arena);
            case Product product -> throw new IllegalArgumentException(product.toString());
          };
        });
  }

  /** Makes primitives. */
  private static final class Primitives {
    private final engine cpu = new engine(engine.kind.cpu, 0);
    private final stream stream = new stream(cpu);

    private PeerCall.Steps pooling(Pooling pooling, Workload workload, Arena arena) {
      Axes axes = Axes.of(pooling.window());
      dnnl.algorithm algorithm =
          pooling.kind().average()
              ? dnnl.algorithm.pooling_avg_exclude_padding
              : dnnl.algorithm.pooling_max;
      Tensor out =
          Tensor.allocate(
              arena, pooling.dtype(), pooling.backward() ? pooling.input() : pooling.output());
      Runnable run;
      if (pooling.backward()) {
        run = backward(axes, algorithm, pooling, workload, out);
      } else {
        boolean training = pooling.kind() == Pooling.Kind.MAX_WITH_MASK;
        Forward forward =
            forward(axes, algorithm, training, pooling.dtype(), pooling.input(), pooling.output());
        run = forward.on(workload.source, out);
      }
      return new PeerCall.Steps(run, () -> Result.of(out));
    }

    private PeerCall.Steps pyramid(Pyramid pyramid, Workload workload, Arena arena) {
      Shape input = pyramid.input();
      List<Tensor> outs = new ArrayList<>();
      List<Runnable> runs = new ArrayList<>();
      for (long level : pyramid.levels()) {
        boolean block = pyramid.kind() == Pyramid.Kind.BLOCK;
        Axes axes =
            block ? Axes.sliding(level) : Axes.bins(level, input.spatial(0), input.spatial(1));
        Shape output =
            block ? input : Shape.of(input.layout(), input.batch(), input.channels(), level, level);
        Tensor out = Tensor.allocate(arena, pyramid.dtype(), output);
        outs.add(out);
        runs.add(
            forward(axes, dnnl.algorithm.pooling_max, false, pyramid.dtype(), input, output)
                .on(workload.source, out));
      }
      return new PeerCall.Steps(
          () -> runs.forEach(Runnable::run), () -> Pyramids.join(pyramid, workload.source, outs));
    }

    private Runnable backward(
        Axes axes, dnnl.algorithm algorithm, Pooling pooling, Workload workload, Tensor gradient) {
      Shape input = pooling.input();
      Forward forward = forward(axes, algorithm, true, pooling.dtype(), input, pooling.output());
      pooling_backward.primitive_desc description =
          new pooling_backward.primitive_desc(
              cpu,
              algorithm,
              plain(pooling.dtype(), input),
              plain(pooling.dtype(), pooling.output()),
              axes.stride(),
              axes.kernel(),
              new long[axes.kernel().length],
              axes.begin(),
              axes.end(),
              forward.description());
      IntMemoryMap arguments = new IntMemoryMap();
      arguments.put(dnnl.DNNL_ARG_DIFF_DST, memory(workload.source));
      arguments.put(dnnl.DNNL_ARG_DIFF_SRC, memory(gradient));
      if (workload.features != null) {
        // The gradient's memory serves as the output of the pooling whose positions are kept.
        try (Arena scratch = Arena.ofConfined()) {
          Tensor output = Tensor.allocate(scratch, pooling.dtype(), pooling.output());
          forward.on(workload.features, output).run();
        }
        arguments.put(dnnl.DNNL_ARG_WORKSPACE, forward.workspace());
      }
      pooling_backward backward = new pooling_backward(description);
      return () -> backward.execute(stream, arguments);
    }

    /** A pooling of no tensor yet; {@code workspace} is null without training. */
    private record Forward(
        Primitives primitives, pooling_forward.primitive_desc description, memory workspace) {
      Runnable on(Tensor source, Tensor out) {
        IntMemoryMap arguments = new IntMemoryMap();
        arguments.put(dnnl.DNNL_ARG_SRC, primitives.memory(source));
        arguments.put(dnnl.DNNL_ARG_DST, primitives.memory(out));
        if (workspace != null) {
          arguments.put(dnnl.DNNL_ARG_WORKSPACE, workspace);
        }
        primitive pooling = new pooling_forward(description);
        return () -> pooling.execute(primitives.stream, arguments);
      }
    }

    private Forward forward(
        Axes axes,
        dnnl.algorithm algorithm,
        boolean training,
        DType dtype,
        Shape input,
        Shape output) {
      pooling_forward.primitive_desc description =
          new pooling_forward.primitive_desc(
              cpu,
              training ? dnnl.prop_kind.forward_training : dnnl.prop_kind.forward_inference,
              algorithm,
              plain(dtype, input),
              plain(dtype, output),
              axes.stride(),
              axes.kernel(),
              new long[axes.kernel().length],
              axes.begin(),
              axes.end());
      boolean remembers = training && algorithm == dnnl.algorithm.pooling_max;
      return new Forward(
          this, description, remembers ? new memory(description.workspace_desc(), cpu) : null);
    }

    private memory memory(Tensor tensor) {
      return new memory(plain(tensor.dtype(), tensor.shape()), cpu, new Memory(tensor));
    }

    /** A tensor in the order of its own layout. */
    private static memory.desc plain(DType dtype, Shape shape) {
      boolean planar = shape.layout() == Layout.PLANAR;
      memory.format_tag order =
          switch (shape.spatialRank()) {
            case 1 -> planar ? memory.format_tag.ncw : memory.format_tag.nwc;
            case 2 -> planar ? memory.format_tag.nchw : memory.format_tag.nhwc;
            default -> planar ? memory.format_tag.ncdhw : memory.format_tag.ndhwc;
          };
      memory.data_type type =
          switch (dtype) {
            case F32 -> memory.data_type.f32;
            case F64 -> memory.data_type.f64;
            case F16 -> memory.data_type.f16;
            case BF16 -> memory.data_type.bf16;
            case I8 -> memory.data_type.s8;
            case U8 -> memory.data_type.u8;
            case I32 -> memory.data_type.s32;
            case I64 -> throw new UnsupportedOperationException("64-bit integers");
          };
      return new memory.desc(shape.extents(), type, order);
    }
  }
}
