package org.featurepool;

import java.lang.foreign.MemorySegment;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Min pooling: {@code y = min x} over the elements of every window.
 *
 * <p>Padding never wins: it counts as not there. Ties go to the first tap in row-major order of the
 * window. A window with a NaN gives NaN (the last one in row-major order). A window that holds no
 * element of the input, possible with dilation, gives +inf, or the highest value of an integer
 * type. The results, mask included, are the same bit for bit in every layout, with every number of
 * threads and every instruction set.
 *
 * <p>It is {@link MaxPool} with the order reversed: the erosion of image processing, and {@code
 * -max(-x)} as networks without it compute it.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MinPool extends SelectingPool {
  private MinPool(Window window) {
    super(window);
  }

  /**
   * Makes the operator.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static MinPool of(Window window) {
    return new MinPool(window);
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
    return featurepool_h.fpool_min_forward(x, xData, window, y, yData, mask, maskData);
  }

  /**
   * Returns the operator and its window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "min pooling, " + window();
  }
}
