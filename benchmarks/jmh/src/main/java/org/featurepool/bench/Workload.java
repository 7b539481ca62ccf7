package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/**
 * A pooling and its data, the same for every contender and in every run: what a call reads.
 *
 * <p>{@code source} is the input, or backward the gradient of the output; {@code mask} is there for
 * {@code MAX_BACKWARD} only.
 */
final class Workload {
  private static final long SEED = 1;

  final Pooling pooling;
  final Tensor source;
  final Mask mask;

  Workload(Pooling pooling, Arena arena) {
    this.pooling = pooling;
    SplittableRandom random = new SplittableRandom(SEED);
    source = random(pooling.kind().backward() ? pooling.output() : pooling.input(), random, arena);
    if (pooling.kind() == Pooling.Kind.MAX_BACKWARD) {
      mask = Mask.allocate(arena, pooling.window(), pooling.input());
      try (Arena scratch = Arena.ofConfined()) {
        Tensor input = random(pooling.input(), random, scratch);
        Tensor output = Tensor.allocate(scratch, pooling.dtype(), pooling.output());
        MaxPool.of(pooling.window()).forwardWithMask(input, output, mask);
      }
    } else {
      mask = null;
    }
  }

  private Tensor random(Shape shape, SplittableRandom random, Arena arena) {
    Tensor tensor = Tensor.allocate(arena, pooling.dtype(), shape);
    var bytes = tensor.segment();
    if (pooling.dtype() == DType.F32) {
      for (long i = 0; i < shape.elementCount(); i++) {
        // A multiple of 2^-23 in [-1, 1).
        float value = (random.nextInt() >> 8) * 0x1p-23f;
        bytes.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    } else {
      for (long i = 0; i < shape.elementCount(); i++) {
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
      }
    }
    return tensor;
  }
}
