package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Npy;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/**
 * Which axes an array has. The operator's rank r says how many axes are spatial (the last r in
 * planar order, or those before the channels in interleaved order); of N and C an array may lack N,
 * or both:
 *
 * <ul>
 *   <li>r = 1: CW or NCW;
 *   <li>r = 2: HW, CHW or NCHW;
 *   <li>r = 3: DHW, CDHW or NCDHW;
 * </ul>
 *
 * <p>and WC, NWC, HWC, NHWC, DHWC, NDHWC likewise.
 */
final class ArrayForm {
  private static final int LEAST_AXES = 2;
  private static final String SPATIAL = "DHW";

  private ArrayForm() {}

  /**
   * Shape of an array.
   *
   * @param name the array's name, for messages
   * @param extents in memory order
   * @param spatial the axes that are pooled along
   */
  static Shape shape(String name, long[] extents, Axes spatial, Layout layout) {
    int rank = spatial.rank();
    int axes = extents.length;
    if (axes < Math.max(rank, LEAST_AXES) || axes > rank + 2) {
      throw new UsageException(
          "%s has %d axes (%s); with %s an array has %s"
              .formatted(name, axes, text(extents), spatial.source(), forms(rank, layout)));
    }
    long[] logical = new long[rank + 2];
    Arrays.fill(logical, 1);
    System.arraycopy(extents, 0, logical, logical.length - axes, axes);
    if (layout == Layout.INTERLEAVED && axes > rank) {
      // N, spatial, C as given; C comes second in logical order.
      int first = axes == rank + 2 ? 1 : 0;
      logical[0] = axes == rank + 2 ? extents[0] : 1;
      logical[1] = extents[axes - 1];
      System.arraycopy(extents, first, logical, 2, rank);
    }
    try {
      return Shape.of(layout, logical);
    } catch (IllegalArgumentException e) {
      throw new UsageException(name + ": " + e.getMessage(), e);
    }
  }

  /** Extents in memory order of an array of {@code axes} axes that holds a tensor of a shape. */
  static long[] extents(Shape shape, int axes) {
    int rank = shape.spatialRank();
    long[] memory = shape.memoryExtents();
    if (axes == rank) {
      // Without channels the spatial axes lie together in both layouts.
      return Arrays.copyOfRange(shape.extents(), 2, 2 + rank);
    }
    return axes == rank + 1 ? Arrays.copyOfRange(memory, 1, memory.length) : memory;
  }

  /** Writes a tensor as an array of the given extents. */
  static void write(Path file, Tensor tensor, long[] extents) throws IOException {
    Npy.write(file, tensor.dtype(), extents, tensor.segment());
  }

  /** Makes numbers a result of one axis, of float64. */
  static Pooling.Extra vector(double... values) {
    return array(
        new Npy.Array(DType.F64, new long[] {values.length}, MemorySegment.ofArray(values)));
  }

  /** Makes an array a result. */
  static Pooling.Extra array(Npy.Array array) {
    return file -> Npy.write(file, array.dtype(), array.extents(), array.segment());
  }

  private static String forms(int rank, Layout layout) {
    String spatial = SPATIAL.substring(SPATIAL.length() - rank);
    String image = layout == Layout.PLANAR ? "C" + spatial : spatial + "C";
    String forms = "%d (%s) or %d (N%s)".formatted(rank + 1, image, rank + 2, image);
    return rank < LEAST_AXES ? forms : "%d (%s), %s".formatted(rank, spatial, forms);
  }

  /** For messages: "3x224x224". */
  static String text(long[] extents) {
    return Arrays.stream(extents).mapToObj(Long::toString).collect(Collectors.joining("x"));
  }
}
