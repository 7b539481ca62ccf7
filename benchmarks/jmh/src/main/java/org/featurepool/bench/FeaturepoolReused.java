package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Tensor;

/** Featurepool's Java API, into an output that is there. */
final class FeaturepoolReused implements Contender {
  @Override
  public String name() {
    return "featurepool";
  }

  @Override
  public Optional<String> lack(Pooling pooling) {
    return lackOfFeaturepool(pooling);
  }

  /** What neither this contender nor the one that allocates can do. */
  static Optional<String> lackOfFeaturepool(Pooling pooling) {
    return pooling.kind().backward() && pooling.dtype() != DType.F32
        ? Optional.of("backward is f32 only")
        : Optional.empty();
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Pooling pooling = workload.pooling;
    Tensor source = workload.source;
    Tensor out =
        Tensor.allocate(
            arena, pooling.dtype(), pooling.kind().backward() ? pooling.input() : pooling.output());
    MaxPool max = MaxPool.of(pooling.window());
    AvgPool average = AvgPool.of(pooling.window());
    return switch (pooling.kind()) {
      case MAX -> call(() -> max.forward(source, out), out, null);
      case MAX_WITH_MASK -> {
        Mask mask = Mask.allocate(arena, pooling.window(), pooling.input());
        yield call(() -> max.forwardWithMask(source, out, mask), out, mask);
      }
      case MAX_BACKWARD -> call(() -> max.backward(source, workload.mask, out), out, null);
      case AVERAGE -> call(() -> average.forward(source, out), out, null);
      case AVERAGE_BACKWARD -> call(() -> average.backward(source, out), out, null);
    };
  }

  private static Call call(Runnable run, Tensor out, Mask mask) {
    return new Call() {
      @Override
      public void run() {
        run.run();
      }

      @Override
      public Result result() {
        return resultOf(out, mask);
      }
    };
  }

  /** Copies tensors to arrays. */
  static Result resultOf(Tensor values, Mask mask) {
    boolean compact = mask != null && mask.format() == Mask.Format.COMPACT;
    return new Result(floats(values), compact ? mask.tensor().toByteArray() : null);
  }

  private static float[] floats(Tensor tensor) {
    if (tensor.dtype() == DType.F32) {
      return tensor.toFloatArray();
    }
    return floats(tensor.toByteArray());
  }

  /** The numbers of unsigned bytes. */
  static float[] floats(byte[] bytes) {
    float[] values = new float[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      values[i] = Byte.toUnsignedInt(bytes[i]);
    }
    return values;
  }
}
