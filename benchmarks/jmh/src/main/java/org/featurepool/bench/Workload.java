package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.NetVlad;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** A task and its data, the same for every contender and in every run: what a call reads. */
public final class Workload {
  private static final long SEED = 1;

  /** What is computed. */
  public final Task task;

  /** The input, or backward the gradient of the output. */
  public final Tensor source;

  /** Of a {@code MAX_BACKWARD}; else null. */
  public final Mask mask;

  /**
   * The input of a product, backward too, and that of the pooling whose gradient a {@code
   * MAX_BACKWARD} is; else null.
   */
  public final Tensor features;

  /** Of NetVLAD; else null. */
  public final NetVlad.Parameters parameters;

  /**
   * What the forward call of a {@code NETVLAD_BACKWARD} keeps for the gradient, as libtorch's graph
   * does; else null.
   */
  public final NetVlad.Intermediates intermediates;

  /**
   * Draws the data of a task.
   *
   * @param arena owner of its memory
   */
  public Workload(Task task, Arena arena) {
    this.task = task;
    SplittableRandom random = new SplittableRandom(SEED);
    source = random(task.backward() ? task.output() : task.input(), random, arena);
    Product product = task instanceof Product some ? some : null;
    boolean routes = task instanceof Pooling pooling && pooling.kind() == Pooling.Kind.MAX_BACKWARD;
    features =
        routes || (product != null && product.backward())
            ? random(task.input(), random, arena)
            : product != null ? source : null;
    mask = routes ? mask((Pooling) task, arena) : null;
    parameters = product != null && product.vlad() ? parameters(product, random, arena) : null;
    intermediates =
        parameters != null && product.backward()
            ? NetVlad.of(parameters).forwardWithIntermediates(features, arena).intermediates()
            : null;
  }

  private Mask mask(Pooling pooling, Arena arena) {
    Mask result = Mask.allocate(arena, pooling.window(), pooling.input());
    try (Arena scratch = Arena.ofConfined()) {
      Tensor output = Tensor.allocate(scratch, pooling.dtype(), pooling.output());
      MaxPool.of(pooling.window()).forwardWithMask(features, output, result);
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
    if (task.dtype().isFloatingPoint()) {
      boolean activations =
          task instanceof Pooling pooling && pooling.kind() == Pooling.Kind.STOCHASTIC;
      for (long i = 0; i < shape.elementCount(); i++) {
        // A multiple of 2^-23 in [-1, 1); activations are not negative.
        float value = (random.nextInt() >> 8) * 0x1p-23f;
        put(bytes, i, activations ? Math.abs(value) : value);
      }
    } else {
      for (long i = 0; i < shape.elementCount(); i++) {
        bytes.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
      }
    }
    return tensor;
  }

  private void put(MemorySegment bytes, long i, float value) {
    switch (task.dtype()) {
      case F32 -> bytes.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      case F16 -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
      case BF16 ->
          bytes.setAtIndex(
              ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >> Short.SIZE));
      default -> throw new IllegalArgumentException(task.dtype() + " is not benchmarked");
    }
  }
}
