package org.featurepool.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
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

  /** Sum of powers: of one exponent, or one per channel. */
  static Reduction lp(double p) {
    return (taps, _) ->
        p == Double.POSITIVE_INFINITY
            ? Arrays.stream(taps).map(Math::abs).max().orElse(0)
            : Math.pow(Arrays.stream(taps).map(a -> Math.pow(Math.abs(a), p)).sum(), 1 / p);
  }

  static Reduction gem(double[] p, double epsilon) {
    return (taps, channel) -> {
      double exponent = p[p.length == 1 ? 0 : channel];
      return Math.pow(
          Arrays.stream(taps)
              .map(a -> Math.pow(Math.max(a, epsilon), exponent))
              .average()
              .orElse(0),
          1 / exponent);
    };
  }

  static Reduction mixed(double[] alpha) {
    return (taps, channel) -> {
      double share = alpha[alpha.length == 1 ? 0 : channel];
      return share * max(taps, channel) + (1 - share) * mean(taps, channel);
    };
  }

  /** The lower one of two middle elements. */
  static double median(double[] taps, int channel) {
    double[] sorted = taps.clone();
    Arrays.sort(sorted);
    return sorted[(sorted.length - 1) / 2];
  }

  /** The expectation of an element drawn with a probability proportional to itself. */
  static double expectation(double[] taps, int channel) {
    return Arrays.stream(taps).map(a -> a * a).sum() / Arrays.stream(taps).sum();
  }

  /** Outputs of several operators of {@code images} images, concatenated per image. */
  static Forward concatenated(int images, Forward... operators) {
    return x -> {
      double[][] parts = new double[operators.length][];
      int length = 0;
      for (int i = 0; i < parts.length; i++) {
        parts[i] = operators[i].of(x);
        length += parts[i].length;
      }
      double[] y = new double[length];
      int at = 0;
      for (int n = 0; n < images; n++) {
        for (double[] part : parts) {
          int size = part.length / images;
          System.arraycopy(part, n * size, y, at, size);
          at += size;
        }
      }
      return y;
    };
  }

  /** P = A B^T / L of every image, then the normalisations. */
  static double[] bilinear(
      double[] a, double[] b, int images, int positions, boolean signedRoot, boolean l2) {
    int rows = a.length / images / positions;
    int columns = b.length / images / positions;
    double[] y = new double[images * rows * columns];
    for (int n = 0; n < images; n++) {
      int from = n * rows * columns;
      for (int i = 0; i < rows * columns; i++) {
        for (int l = 0; l < positions; l++) {
          y[from + i] +=
              a[(n * rows + i / columns) * positions + l]
                  * b[(n * columns + i % columns) * positions + l]
                  / positions;
        }
        if (signedRoot) {
          y[from + i] = Math.signum(y[from + i]) * Math.sqrt(Math.abs(y[from + i]) + 1e-5);
        }
      }
      if (l2) {
        normalize(y, from, rows * columns);
      }
    }
    return y;
  }

  private static void normalize(double[] values, int from, int length) {
    double sum = 0;
    for (int i = from; i < from + length; i++) {
      sum += values[i] * values[i];
    }
    for (int i = from; i < from + length; i++) {
      values[i] /= Math.max(Math.sqrt(sum), 1e-12);
    }
  }

  /** NetVLAD of descriptors x, N x D x positions; the weights may have more rows than c. */
  static double[] netVlad(double[] x, int images, int positions, Map<String, double[]> parameters) {
    double[] weights = parameters.get("W");
    double[] biases = parameters.get("b");
    double[] centroids = parameters.get("c");
    int dimension = x.length / images / positions;
    int clusters = centroids.length / dimension;
    double[] y = new double[images * clusters * dimension];
    for (int n = 0; n < images; n++) {
      int from = n * clusters * dimension;
      for (int i = 0; i < positions; i++) {
        double[] share = new double[biases.length];
        for (int k = 0; k < share.length; k++) {
          share[k] = biases[k];
          for (int d = 0; d < dimension; d++) {
            share[k] += weights[k * dimension + d] * x[(n * dimension + d) * positions + i];
          }
          share[k] = Math.exp(share[k]);
        }
        double sum = Arrays.stream(share).sum();
        for (int j = 0; j < clusters * dimension; j++) {
          double element = x[(n * dimension + j % dimension) * positions + i];
          y[from + j] += share[j / dimension] / sum * (element - centroids[j]);
        }
      }
      for (int k = 0; k < clusters; k++) {
        normalize(y, from + k * dimension, dimension);
      }
      normalize(y, from, clusters * dimension);
    }
    return y;
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
