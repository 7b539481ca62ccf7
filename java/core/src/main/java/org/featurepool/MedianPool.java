package org.featurepool;

import java.lang.foreign.MemorySegment;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Median pooling: of the n elements of every window, the one of rank {@code floor((n - 1) / 2)} in
 * ascending order. That is the middle one, or the lower of the two middle ones, as in {@code
 * torch.median}: the result is always an element of the input.
 *
 * <p>For {@link DType#F32}, {@link DType#F64} and {@link DType#U8}. Padding counts as not there. A
 * mask records the first element in row-major order that equals the median (-0 and +0 are equal),
 * and the gradient goes there. A window with a NaN gives NaN (the last one in row-major order). A
 * window that holds no element of the input, possible with dilation, gives NaN, or 0 for {@link
 * DType#U8}. The results, mask included, are the same bit for bit in every layout, with every
 * number of threads and every instruction set.
 *
 * <p>Source: the median filter of J. W. Tukey, <i>Exploratory Data Analysis</i> (1977), at any
 * stride; sorting networks shared by the windows of a row after A. Adams, <i>Fast Median Filters
 * using Separable Sorting Networks</i> (2021).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MedianPool extends SelectingPool {
  private MedianPool(Window window) {
    super(window);
  }

  /**
   * Makes the operator.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static MedianPool of(Window window) {
    return new MedianPool(window);
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
    return featurepool_h.fpool_median_forward(x, xData, window, y, yData, mask, maskData);
  }

  /**
   * Returns the operator and its window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "median pooling, " + window();
  }
}
