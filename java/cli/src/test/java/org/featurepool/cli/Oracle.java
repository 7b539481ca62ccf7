package org.featurepool.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Pooling as the definition says, one tap at a time, in double precision; shares no code with the
 * library. Arrays are images by channels by depth by height by width, with unit axes where the
 * pooling has less than three.
 */
final class Oracle {
  private static final int AXES = 3;

  /** A window over three spatial axes; {@code divisor} 0: none given. */
  record Window(
      int[] kernel,
      int[] stride,
      int[] begin,
      int[] end,
      int[] dilation,
      boolean ceil,
      boolean includePadding,
      long divisor) {
    int outputExtent(int axis, int input) {
      int span = dilation[axis] * (kernel[axis] - 1) + 1;
      int room = input + begin[axis] + end[axis] - span;
      int output = Math.floorDiv(room + (ceil ? stride[axis] - 1 : 0), stride[axis]) + 1;
      return ceil && (output - 1) * stride[axis] >= input + begin[axis] ? output - 1 : output;
    }

    int position(int axis, int output, int tap) {
      return output * stride[axis] - begin[axis] + tap * dilation[axis];
    }
  }

  final int[] input;
  final int[] output = new int[AXES];
  final int planes;
  private final Window window;

  /** A pooling of {@code planes} planes of the given spatial extents. */
  Oracle(Window window, int planes, int... input) {
    this.window = window;
    this.planes = planes;
    this.input = input;
    for (int axis = 0; axis < AXES; axis++) {
      output[axis] = window.outputExtent(axis, input[axis]);
    }
  }

  int inputPlane() {
    return input[0] * input[1] * input[2];
  }

  int outputPlane() {
    return output[0] * output[1] * output[2];
  }

  private interface Tap {
    /** {@code at}: position in the plane, -1 for one in the padding. */
    void at(int at);
  }

  /** Visits the window of output {@code o} in row-major order; leaves out ceil mode's overhang. */
  private void visit(int o, Tap tap) {
    int[] at = {o / (output[1] * output[2]), o / output[2] % output[1], o % output[2]};
    for (int i = 0; i < window.kernel[0]; i++) {
      for (int j = 0; j < window.kernel[1]; j++) {
        for (int k = 0; k < window.kernel[2]; k++) {
          int[] p = {
            window.position(0, at[0], i), window.position(1, at[1], j), window.position(2, at[2], k)
          };
          boolean counted = true;
          boolean inside = true;
          for (int axis = 0; axis < AXES; axis++) {
            counted &= p[axis] < input[axis] + window.end[axis];
            inside &= p[axis] >= 0 && p[axis] < input[axis];
          }
          if (counted) {
            tap.at(inside ? (p[0] * input[1] + p[1]) * input[2] + p[2] : -1);
          }
        }
      }
    }
  }

  /** Positions in its plane of the taps of output {@code o}, those inside only. */
  int[] taps(int o) {
    List<Integer> taps = new ArrayList<>();
    visit(
        o,
        at -> {
          if (at >= 0) {
            taps.add(at);
          }
        });
    return taps.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Where in its plane the maximum of each window is, -1: nowhere. */
  long[] positions(float[] x) {
    long[] positions = new long[planes * outputPlane()];
    for (int i = 0; i < positions.length; i++) {
      int plane = i / outputPlane() * inputPlane();
      int[] best = {-1};
      visit(
          i % outputPlane(),
          at -> {
            if (at >= 0) {
              float value = x[plane + at];
              boolean first = best[0] < 0;
              if (first || Float.isNaN(value) || value > x[plane + best[0]]) {
                best[0] = at;
              }
            }
          });
      positions[i] = best[0];
    }
    return positions;
  }

  /** The maxima; {@code none} for a window without a valid tap. */
  float[] max(float[] x, float none) {
    long[] positions = positions(x);
    float[] y = new float[positions.length];
    for (int i = 0; i < y.length; i++) {
      int plane = i / outputPlane() * inputPlane();
      y[i] = positions[i] < 0 ? none : x[plane + (int) positions[i]];
    }
    return y;
  }

  double[] maxBackward(float[] x, float[] dy) {
    long[] positions = positions(x);
    double[] dx = new double[planes * inputPlane()];
    for (int i = 0; i < dy.length; i++) {
      if (positions[i] >= 0) {
        dx[i / outputPlane() * inputPlane() + (int) positions[i]] += dy[i];
      }
    }
    return dx;
  }

  private double divisor(int o) {
    long[] taps = new long[1];
    visit(o, at -> taps[0] += at >= 0 || window.includePadding ? 1 : 0);
    return window.divisor > 0 ? window.divisor : taps[0];
  }

  double[] average(float[] x) {
    double[] y = new double[planes * outputPlane()];
    for (int i = 0; i < y.length; i++) {
      int plane = i / outputPlane() * inputPlane();
      double[] sum = new double[1];
      visit(i % outputPlane(), at -> sum[0] += at >= 0 ? x[plane + at] : 0);
      y[i] = sum[0] / divisor(i % outputPlane());
    }
    return y;
  }

  double[] averageBackward(float[] dy) {
    double[] dx = new double[planes * inputPlane()];
    for (int i = 0; i < dy.length; i++) {
      int plane = i / outputPlane() * inputPlane();
      double share = dy[i] / divisor(i % outputPlane());
      visit(
          i % outputPlane(),
          at -> {
            if (at >= 0) {
              dx[plane + at] += share;
            }
          });
    }
    return dx;
  }

  /**
   * Planes of {@code size} elements as they lie in a file, channels last if {@code interleaved}.
   */
  static int[] order(boolean interleaved, int images, int channels, int size) {
    int[] order = new int[images * channels * size];
    Arrays.setAll(
        order,
        i -> {
          int image = i / (channels * size);
          int rest = i % (channels * size);
          return interleaved ? (image * channels + rest % channels) * size + rest / channels : i;
        });
    return order;
  }
}
