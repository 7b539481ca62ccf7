package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.NetVlad;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** A task and its data, the same for every contender and in every run: what a call reads. */
final class Workload {
  private static final long SEED = 1;

  final Task task;

  /** The input, or backward the gradient of the output. */
  final Tensor source;

  /** Of a {@code MAX_BACKWARD}; else null. */
  final Mask mask;

  /** The input of a product, backward too; else null. */
  final Tensor features;

  /** Of NetVLAD; else null. */
  final NetVlad.Parameters parameters;

  Workload(Task task, Arena arena) {
    this.task = task;
    SplittableRandom random = new SplittableRandom(SEED);
    source = random(task.backward() ? task.output() : task.input(), random, arena);
    mask =
        task instanceof Pooling pooling && pooling.kind() == Pooling.Kind.MAX_BACKWARD
            ? mask(pooling, random, arena)
            : null;
    Product product = task instanceof Product some ? some : null;
    features =
        product == null
            ? null
            : product.backward() ? random(product.input(), random, arena) : source;
    parameters = product != null && product.vlad() ? parameters(product, random, arena) : null;
  }

  private Mask mask(Pooling pooling, SplittableRandom random, Arena arena) {
    Mask result = Mask.allocate(arena, pooling.window(), pooling.input());
    try (Arena scratch = Arena.ofConfined()) {
      Tensor input = random(pooling.input(), random, scratch);
      Tensor output = Tensor.allocate(scratch, pooling.dtype(), pooling.output());
      MaxPool.of(pooling.window()).forwardWithMask(input, output, result);
    }
    return result;
  }

  private NetVlad.Parameters parameters(Product product, SplittableRandom random, Arena arena) {
    long clusters = product.clusters();
    long channels = product.input().channels();
    return new NetVlad.Parameters(
        random(Shape.nchw(clusters, channels, 1, 1), random, arena),
        random(Shape.nchw(1, clusters, 1, 1), random, arena),
        random(Shape.nchw(clusters, channels, 1, 1), random, arena));
  }

  private Tensor random(Shape shape, SplittableRandom random, Arena arena) {
    Tensor tensor = Tensor.allocate(arena, task.dtype(), shape);
    var bytes = tensor.segment();
    if (task.dtype() == DType.F32) {
      boolean activations =
          task instanceof Pooling pooling && pooling.kind() == Pooling.Kind.STOCHASTIC;
      for (long i = 0; i < shape.elementCount(); i++) {
        // A multiple of 2^-23 in [-1, 1); activations are not negative.
        float value = (random.nextInt() >> 8) * 0x1p-23f;
        bytes.setAtIndex(ValueLayout.JAVA_FLOAT, i, activations ? Math.abs(value) : value);
      }
    } else {
      for (long i = 0; i < shape.elementCount(); i++) {
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
      }
    }
    return tensor;
  }
}
