package org.featurepool.bench;

import java.util.List;
import java.util.Locale;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;

/**
 * One row of the matrix, as written there: an operator on a tensor.
 *
 * @param id name of the cell
 * @param op the operator: {@code max}, {@code avg}, {@code spp} ...
 * @param direction {@code forward}, {@code forward_mask} or {@code backward}
 * @param layout layout of the tensor
 * @param dtype type of its elements
 * @param n images
 * @param c channels
 * @param d depth, 1 where there is no such axis
 * @param h height, 1 where there is no such axis
 * @param w width
 * @param kernel extents of the window, for example {@code 2x2}; operators without one window write
 *     something else
 * @param stride strides of the window, likewise
 * @param pad padding on both sides, likewise
 * @param against names of the peers to compare with, {@code none} for none; empty: all
 */
record Cell(
    String id,
    String op,
    String direction,
    Layout layout,
    DType dtype,
    long n,
    long c,
    long d,
    long h,
    long w,
    String kernel,
    String stride,
    String pad,
    List<String> against) {

  /** The cell's tensor as a shape of so many spatial axes. */
  Shape shape(int rank) {
    return switch (rank) {
      case 1 -> Shape.of(layout, n, c, w);
      case 2 -> Shape.of(layout, n, c, h, w);
      default -> Shape.of(layout, n, c, d, h, w);
    };
  }

  /** Whether a contender is to take part. */
  boolean isFor(Contender contender) {
    return against.isEmpty() || !contender.isPeer() || against.contains(contender.name());
  }

  /** One line for people. */
  String description() {
    StringBuilder text = new StringBuilder(op + " " + direction.replace('_', ' ') + ", ");
    text.append(dtype.name().toLowerCase(Locale.ROOT)).append(' ');
    text.append(shape(d > 1 ? 3 : 2));
    append(text, " k", kernel);
    append(text, " s", stride);
    append(text, " p", pad);
    return text.toString();
  }

  private static void append(StringBuilder text, String name, String value) {
    if (!value.isEmpty()) {
      text.append(name).append(value);
    }
  }
}
