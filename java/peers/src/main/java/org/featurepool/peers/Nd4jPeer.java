package org.featurepool.peers;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.bench.Contender;
import org.featurepool.bench.Pooling;
import org.featurepool.bench.Result;
import org.featurepool.bench.Task;
import org.featurepool.bench.Workers;
import org.featurepool.bench.Workload;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * ND4J's pooling operators into arrays that are there. Gradients of maxima take the input and look
 * for the maxima again: it has no indices of a forward pass.
 */
public final class Nd4jPeer implements Contender {
  private static final Set<Pooling.Kind> KINDS =
      EnumSet.of(
          Pooling.Kind.MAX,
          Pooling.Kind.AVERAGE,
          Pooling.Kind.MAX_BACKWARD,
          Pooling.Kind.AVERAGE_BACKWARD);

  /** Loads the library when first asked. */
  private static final class Library {
    private static final String PROBLEM;

    static {
      String problem = null;
      try {
        Nd4j.getExecutioner();
      } catch (LinkageError | RuntimeException e) {
        problem = "library that can be loaded: " + e.getMessage();
      }
      PROBLEM = problem;
    }
  }

  @Override
  public String name() {
    return "nd4j";
  }

  @Override
  public Optional<String> version() {
    Properties properties = new Properties();
    try (InputStream file =
        Nd4j.class.getResourceAsStream("/META-INF/maven/org.nd4j/nd4j-api/pom.properties")) {
      properties.load(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Optional.of(properties.getProperty("version"));
  }

  @Override
  public Optional<String> lack(Task task) {
    if (!(task instanceof Pooling pooling) || !KINDS.contains(pooling.kind())) {
      return Optional.of("such pooling");
    }
    if (pooling.dtype() != DType.F32) {
      return Optional.of("pooling of " + pooling.dtype());
    }
    if (pooling.window().rank() == 3 || !Axes.of(pooling.window()).isSymmetric()) {
      return Optional.of("such window");
    }
    return Optional.ofNullable(Library.PROBLEM);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(workers.threads());
    Pooling pooling = (Pooling) workload.task;
    INDArray to =
        Nd4j.createUninitialized(
            DataType.FLOAT, extents(pooling.backward() ? pooling.input() : pooling.output()));
    DynamicCustomOp.DynamicCustomOpsBuilder operator =
        DynamicCustomOp.builder(name(pooling)).addIntegerArguments(arguments(pooling));
    switch (pooling.kind()) {
      case MAX_BACKWARD -> operator.addInputs(array(workload.features), array(workload.source));
      // The input's values do not matter, only its extents.
      case AVERAGE_BACKWARD -> operator.addInputs(to, array(workload.source));
      default -> operator.addInputs(array(workload.source));
    }
    DynamicCustomOp operation = operator.addOutputs(to).build();
    return new Call() {
      @Override
      public void run() {
        try {
          Nd4j.exec(operation);
        } catch (RuntimeException e) {
          throw PeerCall.unsupported(e);
        }
      }

      @Override
      public Result result() {
        return new Result(to.data().asFloat(), null);
      }

      @Override
      public void close() {
        for (INDArray input : operation.inputArguments()) {
          if (input != to) {
            input.close();
          }
        }
        to.close();
      }
    };
  }

  private static String name(Pooling pooling) {
    return (pooling.kind().average() ? "avgpool2d" : "maxpool2d")
        + (pooling.backward() ? "_bp" : "");
  }

  /** Kernel, stride, padding, dilation, no "same" padding, what is counted, the layout. */
  private static int[] arguments(Pooling pooling) {
    Axes axes = Axes.of(pooling.window());
    if (pooling.window().rank() == 1) {
      axes = axes.withOuterAxis();
    }
    int[] arguments = {0, 0, 0, 0, 0, 0, 1, 1, 0, pooling.kind().average() ? 0 : 1, 0};
    for (int axis = 0; axis < 2; axis++) {
      arguments[axis] = Math.toIntExact(axes.kernel()[axis]);
      arguments[2 + axis] = Math.toIntExact(axes.stride()[axis]);
      arguments[4 + axis] = Math.toIntExact(axes.begin()[axis]);
    }
    arguments[10] = pooling.input().layout() == Layout.INTERLEAVED ? 1 : 0;
    return arguments;
  }

  /** An array with a copy of a tensor's elements. */
  private static INDArray array(Tensor tensor) {
    return Nd4j.createFromArray(tensor.toFloatArray()).reshape(extents(tensor.shape()));
  }

  private static long[] extents(Shape shape) {
    long height = shape.spatialRank() == 1 ? 1 : shape.spatial(0);
    long width = shape.spatial(shape.spatialRank() - 1);
    return shape.layout() == Layout.PLANAR
        ? new long[] {shape.batch(), shape.channels(), height, width}
        : new long[] {shape.batch(), height, width, shape.channels()};
  }
}
