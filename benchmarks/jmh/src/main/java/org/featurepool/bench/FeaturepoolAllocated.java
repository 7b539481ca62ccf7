package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.function.Function;
import org.featurepool.AvgPool;
import org.featurepool.MaxPool;
import org.featurepool.Tensor;

/** Featurepool's Java API, with an output that each call allocates in a confined arena. */
final class FeaturepoolAllocated implements Contender {
  @Override
  public String name() {
    return "featurepool-alloc";
  }

  @Override
  public Optional<String> lack(Pooling pooling) {
    return FeaturepoolReused.lackOfFeaturepool(pooling);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Pooling pooling = workload.pooling;
    Tensor source = workload.source;
    MaxPool max = MaxPool.of(pooling.window());
    AvgPool average = AvgPool.of(pooling.window());
    return switch (pooling.kind()) {
      case MAX -> call(own -> new MaxPool.Result(max.forward(source, own), null));
      case MAX_WITH_MASK -> call(own -> max.forwardWithMask(source, own));
      case MAX_BACKWARD ->
          call(own -> new MaxPool.Result(max.backward(source, workload.mask, own), null));
      case AVERAGE -> call(own -> new MaxPool.Result(average.forward(source, own), null));
      case AVERAGE_BACKWARD ->
          call(own -> new MaxPool.Result(average.backward(source, pooling.input(), own), null));
    };
  }

  private static Call call(Function<Arena, MaxPool.Result> pool) {
    return new Call() {
      @Override
      public void run() {
        try (Arena own = Arena.ofConfined()) {
          pool.apply(own);
        }
      }

      @Override
      public Result result() {
        try (Arena own = Arena.ofConfined()) {
          MaxPool.Result result = pool.apply(own);
          return FeaturepoolReused.resultOf(result.output(), result.mask());
        }
      }
    };
  }
}
