package org.featurepool;

import java.lang.foreign.MemorySegment;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Max pooling: {@code y = max x} over the elements of every window.
 *
 * <p>Padding never wins: it counts as not there. Ties go to the first tap in row-major order of the
 * window. A window with a NaN gives NaN (the last one in row-major order). A window that holds no
 * element of the input, possible with dilation, gives -inf, or the lowest value of an integer type.
 * The results, mask included, are the same bit for bit in every layout, with every number of
 * threads and every instruction set.
 *
 * <p>Source: seeds 000 to 004; the mask and the backward pass are those of seed 002's {@code
 * MaxPool2D}, except that gradients accumulate where windows overlap (seed 003).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MaxPool extends SelectingPool {
  private MaxPool(Window window) {
    super(window);
  }

  /**
   * Makes the operator.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static MaxPool of(Window window) {
    return new MaxPool(window);
  }

  @Override
  int select(
      MemorySegment x,
      MemorySegment xData,
      MemorySegment window,
      MemorySegment y,
      MemorySegment yData,
      MemorySegment mask,
      MemorySegment maskData) {
    return featurepool_h.fpool_max_forward(x, xData, window, y, yData, mask, maskData);
  }

  /**
   * Returns the operator and its window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "max pooling, " + window();
  }
}
