package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * Regions of interest: boxes in images of a batch, for {@link RoiPool} and {@link RoiAlign}.
 *
 * <p>A box is x1, y1, x2, y2 in coordinates that the operator's scale turns into elements of the
 * planes: column and row of its corners. An operator checks that they are finite, and that there
 * are such images.
 */
public final class Regions {
  private static final int COORDINATES = 4;

  private final long count;
  private final MemorySegment boxes;
  private final MemorySegment batchIndices;

  private Regions(long count, MemorySegment boxes, MemorySegment batchIndices) {
    this.count = count;
    this.boxes = boxes;
    this.batchIndices = batchIndices;
  }

  /**
   * Copies boxes and the indices of their images.
   *
   * @param arena owner of the memory of the copies
   * @param boxes boxes of four numbers x1, y1, x2, y2; there may be none
   * @param batchIndices as many indices of images
   * @return the regions
   * @throws IllegalArgumentException if a box has another length, or the numbers of boxes and
   *     indices differ
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Regions of(Arena arena, double[][] boxes, long[] batchIndices) {
    Objects.requireNonNull(arena, "arena");
    Objects.requireNonNull(boxes, "boxes");
    Objects.requireNonNull(batchIndices, "batchIndices");
    if (boxes.length != batchIndices.length) {
      throw new IllegalArgumentException(
          "batchIndices has length "
              + batchIndices.length
              + "; it must have that of boxes, "
              + boxes.length);
    }
    MemorySegment coordinates =
        arena.allocate(ValueLayout.JAVA_DOUBLE, (long) COORDINATES * boxes.length);
    for (int i = 0; i < boxes.length; i++) {
      if (Objects.requireNonNull(boxes[i], "boxes[" + i + "]").length != COORDINATES) {
        throw new IllegalArgumentException(
            "boxes[" + i + "] has length " + boxes[i].length + "; it must be 4: x1, y1, x2, y2");
      }
      for (int j = 0; j < COORDINATES; j++) {
        coordinates.setAtIndex(ValueLayout.JAVA_DOUBLE, (long) i * COORDINATES + j, boxes[i][j]);
      }
    }
    return new Regions(
        boxes.length,
        coordinates.asReadOnly(),
        arena.allocateFrom(ValueLayout.JAVA_LONG, batchIndices).asReadOnly());
  }

  /**
   * Returns the number of regions.
   *
   * @return at least 0
   */
  public long count() {
    return count;
  }

  /**
   * Returns a box.
   *
   * @param region number of the region
   * @return a new array: x1, y1, x2, y2
   * @throws IndexOutOfBoundsException if there is no such region
   */
  public double[] box(long region) {
    long first = Objects.checkIndex(region, count) * COORDINATES;
    double[] box = new double[COORDINATES];
    for (int i = 0; i < COORDINATES; i++) {
      box[i] = boxes.getAtIndex(ValueLayout.JAVA_DOUBLE, first + i);
    }
    return box;
  }

  /**
   * Returns the index of a region's image.
   *
   * @param region number of the region
   * @return the index within the batch
   * @throws IndexOutOfBoundsException if there is no such region
   */
  public long batchIndex(long region) {
    return batchIndices.getAtIndex(ValueLayout.JAVA_LONG, Objects.checkIndex(region, count));
  }

  /** The coordinates of all boxes, as a native call takes them. */
  MemorySegment boxes() {
    return boxes;
  }

  /** The indices of all images, as a native call takes them. */
  MemorySegment batchIndices() {
    return batchIndices;
  }

  /** Shape of one image of bins per region. */
  Shape outputShape(Shape input, long height, long width) {
    return Shape.of(input.layout(), count, input.channels(), height, width);
  }

  /**
   * Returns the number of regions.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return count + (count == 1 ? " region" : " regions");
  }
}
