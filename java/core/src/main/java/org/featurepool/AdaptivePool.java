package org.featurepool;

/**
 * Adaptive pooling: whatever the input's extents, the output's are given. Bin i of O along an input
 * of I covers {@code floor(i·I/O)} to {@code floor(((i+1)·I − 1)/O)}, both included; where O
 * exceeds I, bins repeat elements.
 *
 * <p>These are the ordinary operators over {@link Window#adaptive}, which every other operator
 * takes too.
 *
 * <p>Source: PyTorch's {@code AdaptiveMaxPool} and {@code AdaptiveAvgPool}.
 */
public final class AdaptivePool {
  private AdaptivePool() {}

  /**
   * Makes adaptive max pooling; masks are of {@link Mask.Format#INT32} unless asked for otherwise.
   *
   * @param output one to three output extents, each at least 1, outermost axis first
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are none or more than three, or one is less than 1
   */
  public static MaxPool max(long... output) {
    return MaxPool.of(Window.adaptive(output));
  }

  /**
   * Makes adaptive average pooling, which divides by the number of elements of each bin.
   *
   * @param output one to three output extents, each at least 1, outermost axis first
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are none or more than three, or one is less than 1
   */
  public static AvgPool average(long... output) {
    return AvgPool.of(Window.adaptive(output));
  }
}
