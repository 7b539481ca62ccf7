package org.featurepool;

import java.util.Arrays;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * Extents of a tensor and the order of its axes in memory.
 *
 * <p>A shape has a batch extent N (images), a channel extent C and one to three spatial extents: W,
 * H×W or D×H×W. N may be 0; every other extent is at least 1. Extents are given and returned in
 * <em>logical</em> order (N, C, then spatial) whatever the layout, except where a method says
 * otherwise.
 */
public final class Shape {
  private static final int FIRST_SPATIAL = 2;
  private static final int MAX_RANK = 5;
  private static final String SPATIAL_AXES = "DHW";

  private final Layout layout;
  private final long[] extents;
  private final long planeSize;
  private final long elementCount;

  private Shape(Layout layout, long[] extents) {
    this.layout = Objects.requireNonNull(layout, "layout");
    this.extents = extents;
    if (extents.length <= FIRST_SPATIAL || extents.length > MAX_RANK) {
      throw new IllegalArgumentException(
          "extents are "
              + join(extents)
              + ", "
              + extents.length
              + " axes; a shape has 3 to 5: N, C and one to three spatial extents");
    }
    for (int i = 0; i < extents.length; i++) {
      long least = i == 0 ? 0 : 1;
      if (extents[i] < least) {
        throw new IllegalArgumentException(
            "extent "
                + axisName(i)
                + " is "
                + extents[i]
                + " in "
                + join(extents)
                + "; it must be at least "
                + least);
      }
    }
    this.planeSize = multiply(1, FIRST_SPATIAL, extents.length);
    // N multiplies last: an empty batch must not hide that the other extents overflow.
    this.elementCount = multiply(multiply(planeSize, 1, FIRST_SPATIAL), 0, 1);
  }

  /** Multiplies {@code product} by the extents of the axes from {@code from} to {@code to}. */
  private long multiply(long product, int from, int to) {
    for (int i = from; i < to; i++) {
      try {
        product = Math.multiplyExact(product, extents[i]);
      } catch (ArithmeticException e) {
        throw new IllegalArgumentException(
            "extents "
                + join(extents)
                + " overflow: their product, N taken as at least 1, must be less than 2^63",
            e);
      }
    }
    return product;
  }

  /**
   * Makes a planar shape of rank 1.
   *
   * @param n images, at least 0
   * @param c channels, at least 1
   * @param w width, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape ncw(long n, long c, long w) {
    return of(Layout.PLANAR, n, c, w);
  }

  /**
   * Makes a planar shape of rank 2.
   *
   * @param n images, at least 0
   * @param c channels, at least 1
   * @param h height, at least 1
   * @param w width, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape nchw(long n, long c, long h, long w) {
    return of(Layout.PLANAR, n, c, h, w);
  }

  /**
   * Makes a planar shape of rank 3.
   *
   * @param n images, at least 0
   * @param c channels, at least 1
   * @param d depth, at least 1
   * @param h height, at least 1
   * @param w width, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape ncdhw(long n, long c, long d, long h, long w) {
    return of(Layout.PLANAR, n, c, d, h, w);
  }

  /**
   * Makes an interleaved shape of rank 1.
   *
   * @param n images, at least 0
   * @param w width, at least 1
   * @param c channels, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape nwc(long n, long w, long c) {
    return of(Layout.INTERLEAVED, n, c, w);
  }

  /**
   * Makes an interleaved shape of rank 2.
   *
   * @param n images, at least 0
   * @param h height, at least 1
   * @param w width, at least 1
   * @param c channels, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape nhwc(long n, long h, long w, long c) {
    return of(Layout.INTERLEAVED, n, c, h, w);
  }

  /**
   * Makes an interleaved shape of rank 3.
   *
   * @param n images, at least 0
   * @param d depth, at least 1
   * @param h height, at least 1
   * @param w width, at least 1
   * @param c channels, at least 1
   * @return the shape
   * @throws IllegalArgumentException if an extent is too small or their product is 2^63 or more
   */
  public static Shape ndhwc(long n, long d, long h, long w, long c) {
    return of(Layout.INTERLEAVED, n, c, d, h, w);
  }

  /**
   * Makes a shape of any rank and layout.
   *
   * @param layout order of the axes in memory
   * @param logicalExtents 3 to 5 extents in logical order: N, C, then W, or H and W, or D, H and W
   * @return the shape
   * @throws IllegalArgumentException if their number is none of 3 to 5, an extent is too small or
   *     their product is 2^63 or more
   */
  public static Shape of(Layout layout, long... logicalExtents) {
    return new Shape(layout, Objects.requireNonNull(logicalExtents, "logicalExtents").clone());
  }

  /**
   * Returns the number of images.
   *
   * @return N, at least 0
   */
  public long batch() {
    return extents[0];
  }

  /**
   * Returns the number of channels.
   *
   * @return C, at least 1
   */
  public long channels() {
    return extents[1];
  }

  /**
   * Returns a spatial extent.
   *
   * @param axis spatial axis, outermost (D, or H, or W) first, from 0 to {@link #spatialRank()} - 1
   * @return the extent, at least 1
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long spatial(int axis) {
    return extents[FIRST_SPATIAL + Objects.checkIndex(axis, spatialRank())];
  }

  /**
   * Returns the number of spatial axes.
   *
   * @return 1, 2 or 3
   */
  public int spatialRank() {
    return extents.length - FIRST_SPATIAL;
  }

  /**
   * Returns the order of the axes in memory.
   *
   * @return the layout
   */
  public Layout layout() {
    return layout;
  }

  /**
   * Returns the number of elements of the whole tensor.
   *
   * @return the product of all extents
   */
  public long elementCount() {
    return elementCount;
  }

  /**
   * Returns the number of elements of a plane: one channel of one image.
   *
   * @return the product of the spatial extents
   */
  public long planeSize() {
    return planeSize;
  }

  /**
   * Returns the extents in logical order.
   *
   * @return a new array: N, C, then the spatial extents
   */
  public long[] extents() {
    return extents.clone();
  }

  /**
   * Returns the extents in the order that the axes have in memory, slowest first.
   *
   * @return a new array: that of {@link #extents()} if planar; N, the spatial extents, then C if
   *     interleaved
   */
  public long[] memoryExtents() {
    long[] memory = extents.clone();
    if (layout == Layout.INTERLEAVED) {
      System.arraycopy(extents, FIRST_SPATIAL, memory, 1, spatialRank());
      memory[memory.length - 1] = channels();
    }
    return memory;
  }

  /**
   * Returns these extents in another layout.
   *
   * @param layout order of the axes in memory
   * @return a shape of the same logical extents
   */
  public Shape withLayout(Layout layout) {
    return layout == this.layout ? this : new Shape(layout, extents);
  }

  /**
   * Returns this shape with another number of images.
   *
   * @param n images, at least 0
   * @return the shape
   * @throws IllegalArgumentException if {@code n} is negative or the product is 2^63 or more
   */
  public Shape withBatch(long n) {
    return with(0, n);
  }

  /**
   * Returns this shape with another number of channels.
   *
   * @param c channels, at least 1
   * @return the shape
   * @throws IllegalArgumentException if {@code c} is less than 1 or the product is 2^63 or more
   */
  public Shape withChannels(long c) {
    return with(1, c);
  }

  private Shape with(int axis, long extent) {
    long[] changed = extents.clone();
    changed[axis] = extent;
    return new Shape(layout, changed);
  }

  /** Position in memory, in elements, of the element at a logical index. */
  long offset(long... index) {
    if (index.length != extents.length) {
      throw new IllegalArgumentException(
          "index "
              + join(index)
              + " has "
              + index.length
              + " axes; "
              + this
              + " needs "
              + extents.length
              + ": N, C and spatial");
    }
    for (int i = 0; i < index.length; i++) {
      if (index[i] < 0 || index[i] >= extents[i]) {
        throw new IndexOutOfBoundsException(
            "index "
                + axisName(i)
                + " is "
                + index[i]
                + "; it must be at least 0 and less than "
                + extents[i]);
      }
    }
    long position = 0;
    for (int i = FIRST_SPATIAL; i < index.length; i++) {
      position = position * extents[i] + index[i];
    }
    return layout == Layout.PLANAR
        ? (index[0] * channels() + index[1]) * planeSize + position
        : (index[0] * planeSize + position) * channels() + index[1];
  }

  private String axisName(int axis) {
    return switch (axis) {
      case 0 -> "N";
      case 1 -> "C";
      default -> String.valueOf(SPATIAL_AXES.charAt(SPATIAL_AXES.length() - extents.length + axis));
    };
  }

  private String axes() {
    String spatial = SPATIAL_AXES.substring(SPATIAL_AXES.length() - spatialRank());
    return layout == Layout.PLANAR ? "NC" + spatial : "N" + spatial + "C";
  }

  static String join(long[] values) {
    return Arrays.stream(values).mapToObj(Long::toString).collect(Collectors.joining("x"));
  }

  /**
   * Compares extents and layout.
   *
   * @param other another object
   * @return whether it is a shape of the same extents and layout
   */
  @Override
  public boolean equals(Object other) {
    return this == other
        || (other instanceof Shape shape
            && layout == shape.layout
            && Arrays.equals(extents, shape.extents));
  }

  @Override
  public int hashCode() {
    return 31 * layout.hashCode() + Arrays.hashCode(extents);
  }

  /**
   * Returns the extents in memory order and the names of the axes.
   *
   * @return for example {@code "1x64x112x112 (NCHW)"} or {@code "1x112x112x64 (NHWC)"}
   */
  @Override
  public String toString() {
    return join(memoryExtents()) + " (" + axes() + ")";
  }
}
