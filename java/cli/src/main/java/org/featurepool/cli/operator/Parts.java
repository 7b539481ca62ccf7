package org.featurepool.cli.operator;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.Progress;

/**
 * Does work on large tensors part by part, so that its progress can be told. A part is a run of
 * images, or of planes where each lies by itself in memory: pooling does not mix them.
 */
final class Parts {
  /**
   * Enough for all threads of a call to have work, and milliseconds until the next sign of life.
   */
  private static final long PART_BYTES = 32L << 20;

  private Parts() {}

  /** Work on the same part of every tensor. */
  @FunctionalInterface
  interface Work {
    void on(Tensor[] parts);
  }

  /**
   * Does work on all parts, in order.
   *
   * @param task what is done, for the progress bar
   * @param work work on a part
   * @param tensors tensors of one layout that agree in N and C
   */
  static void forEach(String task, Work work, Tensor... tensors) {
    Tensor[] units = Arrays.stream(tensors).map(Parts::units).toArray(Tensor[]::new);
    long count = units[0].shape().batch();
    long largest = Arrays.stream(units).mapToLong(t -> t.segment().byteSize()).max().orElseThrow();
    long wanted = Math.clamp(Math.ceilDiv(largest, PART_BYTES), 1, Math.max(1, count));
    long size = Math.max(1, Math.ceilDiv(count, wanted));
    // An empty batch is one empty part: the call still checks its arguments.
    long steps = Math.max(1, Math.ceilDiv(count, size));
    try (Progress progress = Progress.of(task, steps)) {
      for (long step = 0; step < steps; step++) {
        long from = step * size;
        long to = Math.min(count, from + size);
        work.on(Arrays.stream(units).map(unit -> part(unit, from, to)).toArray(Tensor[]::new));
        progress.step();
      }
    }
  }

  /** The tensor as a batch of what lies by itself in memory: planes, or else images. */
  private static Tensor units(Tensor tensor) {
    Shape shape = tensor.shape();
    if (shape.layout() == Layout.INTERLEAVED) {
      return tensor;
    }
    Shape planes = shape.withChannels(1).withBatch(shape.batch() * shape.channels());
    return Tensor.wrap(tensor.segment(), tensor.dtype(), planes);
  }

  private static Tensor part(Tensor units, long from, long to) {
    Shape shape = units.shape().withBatch(to - from);
    long unitBytes = shape.withBatch(1).elementCount() * units.dtype().size();
    MemorySegment segment = units.segment().asSlice(from * unitBytes, (to - from) * unitBytes);
    return Tensor.wrap(segment, units.dtype(), shape);
  }
}
