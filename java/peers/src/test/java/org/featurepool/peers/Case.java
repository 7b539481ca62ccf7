package org.featurepool.peers;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Window;

/**
 * One seeded random configuration: shape, window, type and layout. The layout is Featurepool's
 * alone; peers get the same values in planar order.
 */
record Case(
    long seed,
    DType dtype,
    Layout layout,
    long batch,
    long channels,
    long[] extents,
    long[] kernel,
    long[] stride,
    long[] padding,
    long[] dilation,
    boolean ceil) {

  /** What a peer's operator has; what it lacks stays at the default. */
  enum Feature {
    PADDING,
    DILATION,
    CEIL,
    /** Kernels larger than the input without its padding. */
    SMALL_INPUT,
    /** No kernel as large as the input. */
    LARGER_INPUT
  }

  /** Draws a configuration of the given rank whose windows fit. */
  static Case draw(long seed, RandomGenerator random, int rank, DType dtype, Feature... features) {
    var has = Arrays.asList(features);
    while (true) {
      long[] extents = new long[rank];
      long[] kernel = new long[rank];
      long[] stride = new long[rank];
      long[] padding = new long[rank];
      long[] dilation = new long[rank];
      for (int i = 0; i < rank; i++) {
        extents[i] = random.nextInt(1, rank == 1 ? 60 : rank == 2 ? 24 : 9);
        kernel[i] = random.nextInt(1, rank == 3 ? 4 : 7);
        stride[i] = random.nextInt(1, 5);
        dilation[i] = has.contains(Feature.DILATION) && random.nextInt(3) == 0 ? 2 : 1;
        // All peers: at most half the kernel.
        padding[i] = has.contains(Feature.PADDING) ? random.nextInt(0, (int) kernel[i] / 2 + 1) : 0;
      }
      Case drawn =
          new Case(
              seed,
              dtype,
              random.nextBoolean() ? Layout.PLANAR : Layout.INTERLEAVED,
              random.nextInt(1, 3),
              random.nextInt(1, random.nextInt(4) == 0 ? 40 : 6),
              extents,
              kernel,
              stride,
              padding,
              dilation,
              has.contains(Feature.CEIL) && random.nextInt(3) == 0);
      if (drawn.fits(has.contains(Feature.SMALL_INPUT), has.contains(Feature.LARGER_INPUT))) {
        return drawn;
      }
    }
  }

  private boolean fits(boolean withPadding, boolean larger) {
    for (int i = 0; i < rank(); i++) {
      if (extents[i] + (withPadding ? 2 * padding[i] : 0)
          < dilation[i] * (kernel[i] - 1) + (larger ? 2 : 1)) {
        return false;
      }
    }
    return true;
  }

  int rank() {
    return extents.length;
  }

  long taps() {
    return Arrays.stream(kernel).reduce(1, (a, b) -> a * b);
  }

  long planeSize() {
    return Arrays.stream(extents).reduce(1, (a, b) -> a * b);
  }

  Window window() {
    Window window =
        Window.of(kernel).withStride(stride).withPadding(padding).withDilation(dilation);
    return ceil ? window.withCeilMode() : window;
  }

  Shape shape() {
    return shape(channels, extents);
  }

  /** A shape of this case's batch and layout. */
  Shape shape(long channels, long... spatial) {
    return Shape.of(layout, sizes(channels, spatial));
  }

  /** Extents in logical order, as peers take them. */
  long[] sizes() {
    return sizes(channels, extents);
  }

  private long[] sizes(long channels, long... spatial) {
    long[] sizes = new long[2 + spatial.length];
    sizes[0] = batch;
    sizes[1] = channels;
    System.arraycopy(spatial, 0, sizes, 2, spatial.length);
    return sizes;
  }

  @Override
  public String toString() {
    return "seed %d: %s %s, %s".formatted(seed, dtype, shape(), window());
  }
}
