package org.featurepool.cli.gallery;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Max and average pooling of one plane in plain Java, written from their definitions and sharing
 * nothing with the library. Slow and simple on purpose; rows are worked on in parallel so that
 * large photographs can be checked whole.
 */
final class Reference {

  private Reference() {}

  /**
   * Result of max pooling.
   *
   * @param values maxima
   * @param positions {@code row * width + column} of each, -1 for a window without a valid tap
   */
  record Max(float[] values, int[] positions) {}

  /**
   * Result of averaging, in f64.
   *
   * @param values averages, or gradients
   * @param magnitudes the same sums over absolute values; the scale of rounding errors
   */
  record Sums(double[] values, double[] magnitudes) {}

  /** Max pooling: the first maximum in row-major order wins, a NaN beats every number. */
  static Max max(float[] x, Axis rows, Axis columns) {
    Max result =
        new Max(
            new float[rows.output() * columns.output()], new int[rows.output() * columns.output()]);
    Arrays.fill(result.values, Float.NEGATIVE_INFINITY);
    Arrays.fill(result.positions, -1);
    IntStream.range(0, rows.output())
        .parallel()
        .forEach(
            row -> {
              for (int i = 0; i < rows.kernel(); i++) {
                int y = rows.position(row, i);
                for (int j = 0; rows.inside(y) && j < columns.kernel(); j++) {
                  maxTap(x, y * columns.input(), row * columns.output(), j, columns, result);
                }
              }
            });
    return result;
  }

  private static void maxTap(
      float[] x, int inputRow, int outputRow, int tap, Axis columns, Max result) {
    float[] values = result.values;
    int[] positions = result.positions;
    int end = columns.endWindow(tap);
    int position = inputRow + columns.position(columns.firstWindow(tap), tap);
    for (int o = outputRow + columns.firstWindow(tap); o < outputRow + end; o++) {
      float value = x[position];
      if (value > values[o] || positions[o] < 0 || Float.isNaN(value)) {
        values[o] = value;
        positions[o] = position;
      }
      position += columns.stride();
    }
  }

  /** Gradient of max pooling: every window adds its gradient at the position of its maximum. */
  static float[] maxBackward(float[] gradient, int[] positions, int inputSize) {
    float[] dx = new float[inputSize];
    for (int o = 0; o < gradient.length; o++) {
      if (positions[o] >= 0) {
        dx[positions[o]] += gradient[o];
      }
    }
    return dx;
  }

  /** Average pooling over the taps inside the input. */
  static Sums average(float[] x, Axis rows, Axis columns) {
    int width = columns.output();
    Sums sums = new Sums(new double[rows.output() * width], new double[rows.output() * width]);
    int[] validColumns = IntStream.range(0, width).map(columns::validTaps).toArray();
    IntStream.range(0, rows.output())
        .parallel()
        .forEach(
            row -> {
              for (int i = 0; i < rows.kernel(); i++) {
                int y = rows.position(row, i);
                for (int j = 0; rows.inside(y) && j < columns.kernel(); j++) {
                  gatherTap(x, y * columns.input(), row * width, j, columns, sums);
                }
              }
              int validRows = rows.validTaps(row);
              for (int column = 0; column < width; column++) {
                double divisor = (double) validRows * validColumns[column];
                sums.values[row * width + column] /= divisor;
                sums.magnitudes[row * width + column] /= divisor;
              }
            });
    return sums;
  }

  private static void gatherTap(
      float[] x, int inputRow, int outputRow, int tap, Axis columns, Sums sums) {
    int end = columns.endWindow(tap);
    int position = inputRow + columns.position(columns.firstWindow(tap), tap);
    for (int o = outputRow + columns.firstWindow(tap); o < outputRow + end; o++) {
      sums.values[o] += x[position];
      sums.magnitudes[o] += Math.abs(x[position]);
      position += columns.stride();
    }
  }

  /** Gradient of average pooling: every window gives each of its valid taps an equal share. */
  static Sums averageBackward(float[] gradient, Axis rows, Axis columns) {
    int size = rows.input() * columns.input();
    Sums sums = new Sums(new double[size], new double[size]);
    int[] validColumns = IntStream.range(0, columns.output()).map(columns::validTaps).toArray();
    IntStream.range(0, rows.input())
        .parallel()
        .forEach(
            y -> {
              for (int i = 0; i < rows.kernel(); i++) {
                int offset = y + rows.padBegin() - i * rows.dilation();
                int row = Math.floorDiv(offset, rows.stride());
                if (Math.floorMod(offset, rows.stride()) == 0 && row >= 0 && row < rows.output()) {
                  int validRows = rows.validTaps(row);
                  for (int j = 0; j < columns.kernel(); j++) {
                    spreadTap(gradient, row, y, j, columns, validRows, validColumns, sums);
                  }
                }
              }
            });
    return sums;
  }

  private static void spreadTap(
      float[] gradient,
      int row,
      int y,
      int tap,
      Axis columns,
      int validRows,
      int[] validColumns,
      Sums sums) {
    int end = columns.endWindow(tap);
    int position = y * columns.input() + columns.position(columns.firstWindow(tap), tap);
    for (int o = columns.firstWindow(tap); o < end; o++) {
      double share = gradient[row * columns.output() + o] / ((double) validRows * validColumns[o]);
      sums.values[position] += share;
      sums.magnitudes[position] += Math.abs(share);
      position += columns.stride();
    }
  }
}
