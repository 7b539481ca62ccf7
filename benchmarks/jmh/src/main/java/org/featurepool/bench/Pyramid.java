package org.featurepool.bench;

import java.util.Arrays;
import java.util.Optional;
import org.featurepool.DType;
import org.featurepool.Shape;

/**
 * Several poolings of one tensor, side by side in one output.
 *
 * @param kind which
 * @param dtype type of the elements
 * @param input shape of the input
 * @param levels bins per side, or the extents of the windows
 */
public record Pyramid(Kind kind, DType dtype, Shape input, long[] levels) implements Task {
  /** What can be computed. */
  public enum Kind {
    /** SPPNet's pyramid of maxima. */
    BINS,
    /** YOLOv3's block of windows that slide by one, with the input behind them. */
    BLOCK
  }

  static Optional<Task> of(Cell cell) {
    Kind kind =
        switch (cell.op() + " " + cell.direction()) {
          case "spp forward" -> Kind.BINS;
          case "spp_block forward" -> Kind.BLOCK;
          default -> null;
        };
    if (kind == null) {
      return Optional.empty();
    }
    try {
      long[] levels =
          Arrays.stream(cell.kernel().split(";", -1)).mapToLong(Long::parseLong).toArray();
      return Optional.of(new Pyramid(kind, cell.dtype(), cell.shape(2), levels));
    } catch (NumberFormatException e) {
      throw new BadUsage(
          "cell " + cell.id() + ": kernel is '" + cell.kernel() + "'; it must be extents like 5;9");
    }
  }

  @Override
  public Shape output() {
    return switch (kind) {
      case BINS ->
          Shape.of(
              input.layout(),
              input.batch(),
              input.channels() * Arrays.stream(levels).map(bins -> bins * bins).sum(),
              1,
              1);
      case BLOCK ->
          Shape.of(
              input.layout(),
              input.batch(),
              input.channels() * (levels.length + 1),
              input.spatial(0),
              input.spatial(1));
    };
  }

  @Override
  public boolean backward() {
    return false;
  }

  @Override
  public long readBytes() {
    return input.elementCount() * dtype.size();
  }

  @Override
  public long writtenBytes() {
    return output().elementCount() * dtype.size();
  }

  @Override
  public double tolerance(double largest) {
    return 0;
  }
}
