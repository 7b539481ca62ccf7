package org.featurepool.peers;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
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
 * ONNX Runtime on models of one node, or of one per level and what joins them, with outputs that
 * are there. Bytes have operators of its own, which know the interleaved layout too.
 */
public final class OnnxRuntimePeer implements Contender {
  private static final Set<Pooling.Kind> UNKNOWN =
      EnumSet.of(Pooling.Kind.MIN, Pooling.Kind.MEDIAN, Pooling.Kind.STOCHASTIC);

  private static final int OPSET = 18;

  /** Loads the library when first asked. */
  private static final class Library {
    private static final OrtEnvironment ENVIRONMENT;
    private static final String PROBLEM;

    static {
      OrtEnvironment environment = null;
      String problem = null;
      try {
        environment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
      } catch (LinkageError | RuntimeException e) {
        problem = "library that can be loaded: " + e.getMessage();
      }
      ENVIRONMENT = environment;
      PROBLEM = problem;
    }
  }

  @Override
  public String name() {
    return "onnxruntime";
  }

  @Override
  public Optional<String> version() {
    return Optional.of(Library.ENVIRONMENT.getVersion());
  }

  @Override
  public Optional<String> lack(Task task) {
    if (task.backward()) {
      return Optional.of("gradients");
    }
    if (task instanceof Product) {
      return Optional.of("poolings of second order");
    }
    if (task instanceof Pooling pooling && UNKNOWN.contains(pooling.kind())) {
      return Optional.of("such pooling");
    }
    if (task.input().layout() == Layout.INTERLEAVED
        && !(isByte(task.dtype()) && task instanceof Pooling pooling && !pooling.kind().masked())) {
      return Optional.of("interleaved layout but for bytes");
    }
    return Optional.ofNullable(Library.PROBLEM);
  }

  private static boolean isByte(DType dtype) {
    return dtype == DType.U8 || dtype == DType.I8;
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    try {
      return new Session(workload, workers.threads(), arena);
    } catch (OrtException e) {
      throw PeerCall.unsupported(e);
    }
  }

  /** A model and its tensors. */
  private static final class Session implements Call {
    private final Map<String, OnnxTensor> inputs = new TreeMap<>();
    private final Map<String, OnnxTensor> outputs = new TreeMap<>();
    private final Tensor out;
    private final OrtSession session;

    Session(Workload workload, int threads, Arena arena) throws OrtException {
      Task task = workload.task;
      out = Tensor.allocate(arena, task.dtype(), task.output());
      inputs.put("x", tensor(workload.source));
      outputs.put(
          "y",
          task instanceof Pyramid bins && bins.kind() == Pyramid.Kind.BINS
              ? tensor(
                  out.segment(), type(task.dtype()), out.shape().batch(), out.shape().channels())
              : tensor(out));
      OnnxModel model =
          switch (task) {
            case Pooling pooling -> pooling(pooling, arena);
            case Pyramid pyramid -> pyramid(pyramid);
            case Product product -> throw new IllegalArgumentException(product.toString());
          };
      try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
        options.setIntraOpNumThreads(threads);
        session = Library.ENVIRONMENT.createSession(model.bytes(), options);
      }
    }

    private OnnxModel pooling(Pooling pooling, Arena arena) throws OrtException {
      boolean bytes = isByte(pooling.dtype());
      boolean interleaved = pooling.input().layout() == Layout.INTERLEAVED;
      OnnxModel model = new OnnxModel(OPSET);
      if (pooling.kind().average() && bytes) {
        model
            .ownNode("QLinearAveragePool")
            .with("channels_last", interleaved ? 1 : 0)
            .with("count_include_pad", 0);
      } else if (pooling.kind().average()) {
        model.node(pooling.global() ? "GlobalAveragePool" : "AveragePool");
      } else if (interleaved) {
        model.ownNode("NhwcMaxPool");
      } else {
        model.node("MaxPool");
      }
      if (!pooling.global() || bytes) {
        window(model, Axes.of(pooling.window()));
      }
      model.input("x", pooling.dtype(), pooling.input().memoryExtents());
      model.output("y", pooling.dtype());
      if (pooling.kind().average() && bytes) {
        addScales(model, pooling.dtype(), arena);
      }
      if (pooling.kind() == Pooling.Kind.MAX_WITH_MASK) {
        model.output("indices", DType.I64);
        outputs.put("indices", tensor(Tensor.allocate(arena, DType.I64, pooling.output())));
      }
      return model;
    }

    /** Scale 1 and zero point 0, of input and output. */
    private void addScales(OnnxModel model, DType dtype, Arena arena) throws OrtException {
      Tensor one = Tensor.of(arena, Shape.ncw(1, 1, 1), new float[] {1});
      Tensor zero = Tensor.allocate(arena, dtype, Shape.ncw(1, 1, 1));
      for (String name : List.of("x", "y")) {
        model.input(name + "_scale", DType.F32);
        inputs.put(name + "_scale", tensor(one.segment(), OnnxJavaType.FLOAT));
        model.input(name + "_zero", dtype);
        inputs.put(name + "_zero", tensor(zero.segment(), type(dtype)));
      }
    }

    private OnnxModel pyramid(Pyramid pyramid) {
      boolean block = pyramid.kind() == Pyramid.Kind.BLOCK;
      Shape input = pyramid.input();
      OnnxModel model =
          new OnnxModel(OPSET)
              .input("x", pyramid.dtype(), input.extents())
              .output("y", pyramid.dtype());
      List<String> levels = new ArrayList<>();
      for (long level : pyramid.levels()) {
        String name = "level" + level;
        window(
            model.node("MaxPool", List.of("x"), name),
            block ? Axes.sliding(level) : Axes.bins(level, input.spatial(0), input.spatial(1)));
        if (!block) {
          model.node("Flatten", List.of(name), "flat" + level);
        }
        levels.add(block ? name : "flat" + level);
      }
      return model.node("Concat", Pyramids.parts(pyramid, "x", levels), "y").with("axis", 1);
    }

    private static void window(OnnxModel model, Axes axes) {
      int rank = axes.kernel().length;
      long[] pads = new long[2 * rank];
      System.arraycopy(axes.begin(), 0, pads, 0, rank);
      System.arraycopy(axes.end(), 0, pads, rank, rank);
      model.with("kernel_shape", axes.kernel()).with("strides", axes.stride()).with("pads", pads);
    }

    @Override
    public void run() {
      try {
        session.run(inputs, outputs).close();
      } catch (OrtException e) {
        throw PeerCall.unsupported(e);
      }
    }

    @Override
    public Result result() {
      return Result.of(out);
    }

    @Override
    public void close() {
      try {
        session.close();
      } catch (OrtException e) {
        throw new IllegalStateException(e.getMessage(), e);
      } finally {
        inputs.values().forEach(OnnxTensor::close);
        outputs.values().forEach(OnnxTensor::close);
      }
    }
  }

  /** A tensor of the same memory. */
  private static OnnxTensor tensor(Tensor tensor) throws OrtException {
    return tensor(tensor.segment(), type(tensor.dtype()), tensor.shape().memoryExtents());
  }

  private static OnnxTensor tensor(MemorySegment memory, OnnxJavaType type, long... extents)
      throws OrtException {
    return OnnxTensor.createTensor(
        Library.ENVIRONMENT, memory.asByteBuffer().order(ByteOrder.nativeOrder()), extents, type);
  }

  private static OnnxJavaType type(DType dtype) {
    return switch (dtype) {
      case F32 -> OnnxJavaType.FLOAT;
      case F64 -> OnnxJavaType.DOUBLE;
      case F16 -> OnnxJavaType.FLOAT16;
      case BF16 -> OnnxJavaType.BFLOAT16;
      case I8 -> OnnxJavaType.INT8;
      case U8 -> OnnxJavaType.UINT8;
      case I32 -> OnnxJavaType.INT32;
      case I64 -> OnnxJavaType.INT64;
    };
  }
}
