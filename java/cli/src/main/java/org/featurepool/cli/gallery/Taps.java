package org.featurepool.cli.gallery;

import java.util.stream.IntStream;

/**
 * Which positions of a plane belong to each output: for every output along an axis, the positions
 * of its taps inside the input.
 *
 * @param width columns of the plane
 * @param rows taps of every output row
 * @param columns taps of every output column
 */
record Taps(int width, int[][] rows, int[][] columns) {

  /** Square windows over a plane, with the same padding at all sides. */
  static Taps windows(int height, int width, int kernel, int stride, int padding) {
    return new Taps(
        width, axis(height, kernel, stride, padding), axis(width, kernel, stride, padding));
  }

  private static int[][] axis(int input, int kernel, int stride, int padding) {
    int output = (input + 2 * padding - kernel) / stride + 1;
    int[] starts = IntStream.range(0, output).map(i -> i * stride - padding).toArray();
    return spans(input, starts, kernel);
  }

  /** Windows of {@code kernel} taps that start at listed positions. */
  static int[][] spans(int input, int[] starts, int kernel) {
    return IntStream.of(starts)
        .mapToObj(
            start -> IntStream.range(Math.max(0, start), Math.min(input, start + kernel)).toArray())
        .toArray(int[][]::new);
  }

  /** Adaptive bins: bin i of n covers the positions that touch the i-th n-th of the axis. */
  static int[][] bins(int input, int output) {
    return IntStream.range(0, output)
        .mapToObj(
            i ->
                IntStream.range(i * input / output, Math.ceilDiv((i + 1) * input, output))
                    .toArray())
        .toArray(int[][]::new);
  }

  /** Adaptive bins over a plane. */
  static Taps bins(int height, int width, int rows, int columns) {
    return new Taps(width, bins(height, rows), bins(width, columns));
  }

  /** Number of outputs. */
  int outputs() {
    return rows.length * columns.length;
  }

  /** Positions of the taps of an output in the plane, row-major. */
  int[] of(int output) {
    int[] down = rows[output / columns.length];
    int[] across = columns[output % columns.length];
    int[] positions = new int[down.length * across.length];
    int i = 0;
    for (int y : down) {
      for (int x : across) {
        positions[i++] = y * width + x;
      }
    }
    return positions;
  }

  /** What {@code rule} makes of a plane. */
  double[] reduce(Rule rule, float[] plane) {
    return IntStream.range(0, outputs())
        .mapToDouble(output -> rule.value().applyAsDouble(values(plane, of(output))))
        .toArray();
  }

  /** The gradient of a plane, given that of its outputs. */
  double[] spread(Rule rule, float[] plane, float[] gradient) {
    double[] arrived = new double[plane.length];
    for (int output = 0; output < outputs(); output++) {
      int[] positions = of(output);
      double[] slopes = rule.slopes().apply(values(plane, positions));
      for (int i = 0; i < positions.length; i++) {
        arrived[positions[i]] += slopes[i] * gradient[output];
      }
    }
    return arrived;
  }

  private static double[] values(float[] plane, int[] positions) {
    double[] values = new double[positions.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = plane[positions[i]];
    }
    return values;
  }
}
