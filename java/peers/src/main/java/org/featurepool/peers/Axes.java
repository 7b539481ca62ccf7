package org.featurepool.peers;

import java.util.Arrays;
import java.util.function.IntToLongFunction;
import java.util.stream.IntStream;
import org.featurepool.Window;

/** A window's extents, one entry per axis, as other engines take them. */
record Axes(long[] kernel, long[] stride, long[] begin, long[] end) {
  static Axes of(Window window) {
    return new Axes(
        extents(window, window::kernel),
        extents(window, window::stride),
        extents(window, window::padBegin),
        extents(window, window::padEnd));
  }

  /** A square window that slides by one step and keeps the size. */
  static Axes sliding(long kernel) {
    long[] half = {kernel / 2, kernel / 2};
    return new Axes(new long[] {kernel, kernel}, new long[] {1, 1}, half, half);
  }

  /**
   * The window whose places along an axis are the bins of adaptive pooling, where there is one.
   *
   * @throws UnsupportedOperationException if the bins have different sizes or distances
   */
  static Axes bins(long bins, long... sizes) {
    long[] kernel = new long[sizes.length];
    long[] stride = new long[sizes.length];
    for (int axis = 0; axis < sizes.length; axis++) {
      long size = sizes[axis];
      kernel[axis] = Math.ceilDiv(size, bins);
      stride[axis] = bins == 1 ? 1 : (size - kernel[axis]) / (bins - 1);
      for (long i = 0; i < bins; i++) {
        long from = i * size / bins;
        long to = Math.ceilDiv((i + 1) * size, bins);
        if (from != i * stride[axis] || to - from != kernel[axis]) {
          throw new UnsupportedOperationException(
              "window for " + bins + " bins of " + size + " elements");
        }
      }
    }
    return new Axes(kernel, stride, new long[sizes.length], new long[sizes.length]);
  }

  /** The same with an axis of one element before the others. */
  Axes withOuterAxis() {
    return new Axes(prepend(1, kernel), prepend(1, stride), prepend(0, begin), prepend(0, end));
  }

  static long[] prepend(long first, long[] rest) {
    return IntStream.range(-1, rest.length).mapToLong(i -> i < 0 ? first : rest[i]).toArray();
  }

  /** Whether nothing is padded at one end that is not at the other. */
  boolean isSymmetric() {
    return Arrays.equals(begin, end);
  }

  private static long[] extents(Window window, IntToLongFunction extent) {
    return IntStream.range(0, window.rank()).mapToLong(extent).toArray();
  }
}
