package org.featurepool.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Operators as their formulas say, in double precision, over arrays in N, C, spatial order; shares
 * no code with the library. Gradients are central differences, so that a formula is written once.
 */
final class Plain {
  private static final double STEP = 1e-5;

  /** The elements of one window, in row-major order, where there are any. */
  interface Reduction {
    double of(double[] taps, int channel);
  }

  /** An operator with its parameters: from an input to an output. */
  @FunctionalInterface
  interface Forward {
    double[] of(double[] x);
  }

  private Plain() {}

  /** For each output of a plane, the positions of its taps. */
  static List<int[]> taps(Oracle oracle) {
    List<int[]> all = new ArrayList<>();
    for (int o = 0; o < oracle.outputPlane(); o++) {
      all.add(oracle.taps(o));
    }
    return all;
  }

  /** The bins of adaptive pooling of a plane of two axes. */
  static List<int[]> bins(int height, int width, int rows, int columns) {
    List<int[]> all = new ArrayList<>();
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        int top = i * height / rows;
        int bottom = ((i + 1) * height - 1) / rows;
        int left = j * width / columns;
        int right = ((j + 1) * width - 1) / columns;
        List<Integer> taps = new ArrayList<>();
        for (int y = top; y <= bottom; y++) {
          for (int x = left; x <= right; x++) {
            taps.add(y * width + x);
          }
        }
        all.add(taps.stream().mapToInt(Integer::intValue).toArray());
      }
    }
    return all;
  }

  /** One window of {@code size} elements. */
  static List<int[]> whole(int size) {
    int[] all = new int[size];
    Arrays.setAll(all, i -> i);
    return List.of(all);
  }

  /** Reduces the windows of every plane. */
  static Forward over(List<int[]> windows, int channels, int planeSize, Reduction reduction) {
    return x -> {
      int planes = x.length / planeSize;
      double[] y = new double[planes * windows.size()];
      for (int i = 0; i < y.length; i++) {
        int plane = i / windows.size();
        double[] taps =
            Arrays.stream(windows.get(i % windows.size()))
                .mapToDouble(at -> x[plane * planeSize + at])
                .toArray();
        y[i] = reduction.of(taps, plane % channels);
      }
      return y;
    };
  }

  static double max(double[] taps, int channel) {
    return Arrays.stream(taps).max().orElse(Double.NEGATIVE_INFINITY);
  }

  static double min(double[] taps, int channel) {
    return Arrays.stream(taps).min().orElse(Double.POSITIVE_INFINITY);
  }

  static double mean(double[] taps, int channel) {
    return Arrays.stream(taps).average().orElse(0);
  }

  /** The gradient of {@code forward} at {@code x}, from that of its output. */
  static double[] gradient(Forward forward, double[] x, double[] dy) {
    double[] moved = x.clone();
    ToDoubleFunction<double[]> loss =
        at -> {
          double[] y = forward.of(at);
          double sum = 0;
          for (int i = 0; i < y.length; i++) {
            sum += y[i] * dy[i];
          }
          return sum;
        };
    double[] dx = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      moved[i] = x[i] + STEP;
      double above = loss.applyAsDouble(moved);
      moved[i] = x[i] - STEP;
      dx[i] = (above - loss.applyAsDouble(moved)) / (2 * STEP);
      moved[i] = x[i];
    }
    return dx;
  }
}
