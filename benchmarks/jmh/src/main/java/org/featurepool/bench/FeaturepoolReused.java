package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;
import org.featurepool.AvgPool;
import org.featurepool.BilinearPool;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.MedianPool;
import org.featurepool.MinPool;
import org.featurepool.NetVlad;
import org.featurepool.SpatialPyramidPool;
import org.featurepool.SppBlock;
import org.featurepool.StochasticPool;
import org.featurepool.Tensor;

/** Featurepool's Java API, into an output that is there. */
final class FeaturepoolReused implements Contender {
  static final String NAME = "featurepool";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public boolean isPeer() {
    return false;
  }

  @Override
  public Optional<String> lack(Task task) {
    return lackOfFeaturepool(task);
  }

  /** What neither this contender nor the one that allocates can do. */
  static Optional<String> lackOfFeaturepool(Task task) {
    if (task.dtype() == DType.F32) {
      return Optional.empty();
    }
    if (task instanceof Pooling pooling && pooling.kind() == Pooling.Kind.STOCHASTIC) {
      return Optional.of("stochastic pooling of " + task.dtype());
    }
    return task.backward() ? Optional.of("gradients of " + task.dtype()) : Optional.empty();
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Task task = workload.task;
    Tensor source = workload.source;
    Tensor out =
        Tensor.allocate(arena, task.dtype(), task.backward() ? task.input() : task.output());
    return switch (task) {
      case Pooling pooling -> prepare(pooling, workload, out, arena);
      case Pyramid pyramid ->
          switch (pyramid.kind()) {
            case BINS -> {
              SpatialPyramidPool bins = SpatialPyramidPool.max(pyramid.levels());
              yield call(() -> bins.forward(source, out), out, null);
            }
            case BLOCK -> {
              SppBlock block = SppBlock.of(pyramid.levels());
              yield call(() -> block.forward(source, out), out, null);
            }
          };
      case Product product ->
          switch (product.kind()) {
            case BILINEAR -> {
              BilinearPool bilinear = BilinearPool.homogeneous();
              yield call(() -> bilinear.forward(source, out), out, null);
            }
            case BILINEAR_BACKWARD -> {
              BilinearPool bilinear = BilinearPool.homogeneous();
              yield call(() -> bilinear.backward(source, workload.features, out), out, null);
            }
            case NETVLAD -> {
              NetVlad vlad = NetVlad.of(workload.parameters);
              yield call(() -> vlad.forward(source, out), out, null);
            }
            case NETVLAD_BACKWARD -> {
              NetVlad vlad = NetVlad.of(workload.parameters);
              NetVlad.Parameters like =
                  NetVlad.Parameters.allocate(
                      arena, task.dtype(), product.clusters(), 0, product.input().channels());
              NetVlad.Gradients gradients =
                  new NetVlad.Gradients(out, like.weights(), like.biases(), like.centroids());
              NetVlad.Intermediates kept = workload.intermediates;
              yield call(
                  () -> vlad.backward(source, workload.features, kept, gradients), out, null);
            }
          };
    };
  }

  private static Call prepare(Pooling pooling, Workload workload, Tensor out, Arena arena) {
    Tensor source = workload.source;
    MaxPool max = MaxPool.of(pooling.window());
    AvgPool average = AvgPool.of(pooling.window());
    return switch (pooling.kind()) {
      case MAX -> call(() -> max.forward(source, out), out, null);
      case MAX_WITH_MASK -> {
        Mask mask = Mask.allocate(arena, pooling.window(), pooling.input());
        yield call(() -> max.forwardWithMask(source, out, mask), out, mask);
      }
      case MIN -> {
        MinPool min = MinPool.of(pooling.window());
        yield call(() -> min.forward(source, out), out, null);
      }
      case MAX_BACKWARD -> call(() -> max.backward(source, workload.mask, out), out, null);
      case AVERAGE -> call(() -> average.forward(source, out), out, null);
      case AVERAGE_BACKWARD -> call(() -> average.backward(source, out), out, null);
      case MEDIAN -> {
        MedianPool median = MedianPool.of(pooling.window());
        yield call(() -> median.forward(source, out), out, null);
      }
      case STOCHASTIC -> {
        StochasticPool stochastic = StochasticPool.of(pooling.window());
        Mask mask = Mask.allocate(arena, pooling.window(), pooling.input());
        yield call(() -> stochastic.forwardTraining(source, JavaLoop.SEED, out, mask), out, mask);
      }
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
        return Result.of(out, mask);
      }
    };
  }
}
