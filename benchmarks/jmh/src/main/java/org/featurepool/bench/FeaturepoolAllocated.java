package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.function.Function;
import org.featurepool.AvgPool;
import org.featurepool.BilinearPool;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.MedianPool;
import org.featurepool.MinPool;
import org.featurepool.NetVlad;
import org.featurepool.SpatialPyramidPool;
import org.featurepool.SppBlock;
import org.featurepool.StochasticPool;
import org.featurepool.Tensor;

/** Featurepool's Java API, with an output that each call allocates in a confined arena. */
final class FeaturepoolAllocated implements Contender {
  @Override
  public String name() {
    return "featurepool-alloc";
  }

  @Override
  public boolean isPeer() {
    return false;
  }

  @Override
  public Optional<String> lack(Task task) {
    return FeaturepoolReused.lackOfFeaturepool(task);
  }

  /** What a call computed; {@code mask} may be null. */
  private record Output(Tensor values, Mask mask) {}

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Tensor source = workload.source;
    return switch (workload.task) {
      case Pooling pooling -> prepare(pooling, workload);
      case Pyramid pyramid ->
          switch (pyramid.kind()) {
            case BINS -> {
              SpatialPyramidPool bins = SpatialPyramidPool.max(pyramid.levels());
              yield values(own -> bins.forward(source, own));
            }
            case BLOCK -> {
              SppBlock block = SppBlock.of(pyramid.levels());
              yield values(own -> block.forward(source, own));
            }
          };
      case Product product -> {
        BilinearPool bilinear = BilinearPool.homogeneous();
        NetVlad vlad = product.vlad() ? NetVlad.of(workload.parameters) : null;
        yield switch (product.kind()) {
          case BILINEAR -> values(own -> bilinear.forward(source, own));
          case BILINEAR_BACKWARD ->
              values(own -> bilinear.backward(source, workload.features, own));
          case NETVLAD -> values(own -> vlad.forward(source, own));
          case NETVLAD_BACKWARD ->
              values(
                  own ->
                      vlad.backward(source, workload.features, workload.intermediates, own)
                          .input());
        };
      }
    };
  }

  private static Call prepare(Pooling pooling, Workload workload) {
    Tensor source = workload.source;
    MaxPool max = MaxPool.of(pooling.window());
    AvgPool average = AvgPool.of(pooling.window());
    return switch (pooling.kind()) {
      case MAX -> values(own -> max.forward(source, own));
      case MAX_WITH_MASK ->
          call(
              own -> {
                MaxPool.Result result = max.forwardWithMask(source, own);
                return new Output(result.output(), result.mask());
              });
      case MIN -> {
        MinPool min = MinPool.of(pooling.window());
        yield values(own -> min.forward(source, own));
      }
      case MAX_BACKWARD -> values(own -> max.backward(source, workload.mask, own));
      case AVERAGE -> values(own -> average.forward(source, own));
      case AVERAGE_BACKWARD -> values(own -> average.backward(source, pooling.input(), own));
      case MEDIAN -> {
        MedianPool median = MedianPool.of(pooling.window());
        yield values(own -> median.forward(source, own));
      }
      case STOCHASTIC -> {
        StochasticPool stochastic = StochasticPool.of(pooling.window());
        yield call(
            own -> {
              StochasticPool.Result result = stochastic.forwardTraining(source, JavaLoop.SEED, own);
              return new Output(result.output(), result.mask());
            });
      }
    };
  }

  private static Call values(Function<Arena, Tensor> pool) {
    return call(own -> new Output(pool.apply(own), null));
  }

  private static Call call(Function<Arena, Output> pool) {
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
          Output output = pool.apply(own);
          return Result.of(output.values(), output.mask());
        }
      }
    };
  }
}
