package org.featurepool;

/**
 * Global pooling: one window, the whole plane. Every channel of every image gives one number, in an
 * output whose spatial extents are 1.
 *
 * <p>These are the ordinary operators over {@link Window#global}, which every other operator takes
 * too.
 *
 * <p>Source: seed 004 (global average pooling); ONNX {@code GlobalMaxPool}, {@code
 * GlobalAveragePool}, {@code GlobalLpPool}.
 */
public final class GlobalPool {
  private GlobalPool() {}

  /**
   * Makes global max pooling.
   *
   * @param rank number of spatial axes, 1 to 3
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if the rank is another
   */
  public static MaxPool max(int rank) {
    return MaxPool.of(Window.global(rank));
  }

  /**
   * Makes global average pooling.
   *
   * @param rank number of spatial axes, 1 to 3
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if the rank is another
   */
  public static AvgPool average(int rank) {
    return AvgPool.of(Window.global(rank));
  }

  /**
   * Makes global Lp pooling: the norm of every plane.
   *
   * @param rank number of spatial axes, 1 to 3
   * @param p at least 1, or {@link Double#POSITIVE_INFINITY}
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if the rank is another, or p is less than 1 or NaN
   */
  public static LpPool lp(int rank, double p) {
    return LpPool.of(Window.global(rank), p);
  }
}
