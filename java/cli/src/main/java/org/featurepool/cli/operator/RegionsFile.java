package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.featurepool.DType;
import org.featurepool.Npy;
import org.featurepool.Regions;
import org.featurepool.cli.UsageException;

/** Regions of interest in an .npy file: one row of batch index, x1, y1, x2, y2 each. */
final class RegionsFile {
  private static final int COLUMNS = 5;
  private static final int COORDINATES = 4;

  private RegionsFile() {}

  /**
   * Reads regions.
   *
   * @throws UsageException if the file holds none
   */
  static Regions read(Path file, Arena arena) {
    String name = Options.REGIONS.name();
    Npy.Array array = Input.readArray(name, file, arena);
    Input.requireType(name, file, array, Types.F32_F64);
    long[] extents = array.extents();
    if (extents.length != 2 || extents[1] != COLUMNS) {
      throw new UsageException(
          "%s %s is %s; it must be R x 5: batch index, x1, y1, x2, y2"
              .formatted(name, file, ArrayForm.text(extents)));
    }
    int count = Math.toIntExact(extents[0]);
    double[][] boxes = new double[count][COORDINATES];
    long[] batchIndices = new long[count];
    for (int region = 0; region < count; region++) {
      double batchIndex = at(array, region, 0);
      if (batchIndex != Math.rint(batchIndex)) {
        throw new UsageException(
            "%s %s: the batch index of region %d is %s; it must be a whole number"
                .formatted(name, file, region, batchIndex));
      }
      batchIndices[region] = (long) batchIndex;
      for (int i = 0; i < COORDINATES; i++) {
        boxes[region][i] = at(array, region, 1 + i);
      }
    }
    return Regions.of(arena, boxes, batchIndices);
  }

  private static double at(Npy.Array array, long row, int column) {
    long i = row * COLUMNS + column;
    return array.dtype() == DType.F32
        ? array.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i)
        : array.segment().getAtIndex(ValueLayout.JAVA_DOUBLE, i);
  }
}
