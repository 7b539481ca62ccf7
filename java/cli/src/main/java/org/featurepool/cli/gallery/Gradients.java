package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.featurepool.Tensor;

/** Gradients that the gallery sends back through a pooling: planar f32, shaped as the output. */
final class Gradients {
  private Gradients() {}

  /** One from every output: the gradient of the sum of all outputs. */
  static Tensor ones(Tensor output, Arena arena) {
    Tensor gradient = Tensor.allocate(arena, output.dtype(), output.shape());
    for (long i = 0; i < output.shape().elementCount(); i++) {
      gradient.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
    }
    return gradient;
  }

  /**
   * The output less the mean of its channel: the gradient of half the sum of its squared
   * deviations, a loss that measures contrast.
   */
  static Tensor contrast(Tensor output, Arena arena) {
    Tensor gradient = Tensor.allocate(arena, output.dtype(), output.shape());
    for (int c = 0; c < output.shape().channels(); c++) {
      Field plane = Field.plane(output, c);
      float mean = (float) (plane.sum() / plane.values().length);
      long start = (long) c * plane.values().length;
      for (int i = 0; i < plane.values().length; i++) {
        gradient.segment().setAtIndex(ValueLayout.JAVA_FLOAT, start + i, plane.values()[i] - mean);
      }
    }
    return gradient;
  }

  /**
   * Whole numbers from -8 to 8 that look random. Their sums are exact in f32 in whatever order they
   * are formed, so that two ways of adding them can be compared bit for bit.
   */
  static Tensor wholeNumbers(Tensor output, Arena arena) {
    Tensor gradient = Tensor.allocate(arena, output.dtype(), output.shape());
    MemorySegment segment = gradient.segment();
    for (long i = 0; i < output.shape().elementCount(); i++) {
      long mixed = (i + 1) * 0x9E3779B97F4A7C15L;
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (int) Long.remainderUnsigned(mixed, 17) - 8);
    }
    return gradient;
  }
}
