package org.featurepool.bench;

import org.featurepool.Layout;

/** {@link Pyramid} in plain loops over Java arrays. */
final class JavaPyramids {
  private final Pyramid task;
  private final boolean planar;
  private final int channels;
  private final int height;
  private final int width;

  JavaPyramids(Pyramid task) {
    this.task = task;
    planar = task.input().layout() == Layout.PLANAR;
    channels = Math.toIntExact(task.input().channels());
    height = Math.toIntExact(task.input().spatial(0));
    width = Math.toIntExact(task.input().spatial(1));
  }

  /** Planes of the input: what threads share out. */
  int planes() {
    return Math.toIntExact(task.input().batch() * channels);
  }

  /** Computes the parts of the output that belong to planes {@code from} to {@code to}. */
  void run(float[] x, float[] y, int from, int to) {
    for (int plane = from; plane < to; plane++) {
      if (task.kind() == Pyramid.Kind.BINS) {
        bins(x, y, plane / channels, plane % channels);
      } else {
        block(x, y, plane / channels, plane % channels);
      }
    }
  }

  private int at(int image, int channel, int row, int column) {
    int plane = image * channels + channel;
    return planar
        ? (plane * height + row) * width + column
        : ((image * height + row) * width + column) * channels + channel;
  }

  private void bins(float[] x, float[] y, int image, int channel) {
    int length = Math.toIntExact(task.output().channels());
    int to = image * length;
    for (long level : task.levels()) {
      int n = (int) level;
      int o = to + channel * n * n;
      for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
          int bottom = ((i + 1) * height - 1) / n + 1;
          int right = ((j + 1) * width - 1) / n + 1;
          y[o++] = max(x, image, channel, i * height / n, bottom, j * width / n, right);
        }
      }
      to += channels * n * n;
    }
  }

  private void block(float[] x, float[] y, int image, int channel) {
    int groups = task.levels().length + 1;
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < width; column++) {
        for (int group = 0; group < groups; group++) {
          // The largest window first, the input last.
          int half = group == groups - 1 ? 0 : (int) task.levels()[groups - 2 - group] / 2;
          int outChannel = group * channels + channel;
          int o =
              planar
                  ? ((image * groups * channels + outChannel) * height + row) * width + column
                  : ((image * height + row) * width + column) * groups * channels + outChannel;
          y[o] =
              max(
                  x,
                  image,
                  channel,
                  Math.max(0, row - half),
                  Math.min(height, row + half + 1),
                  Math.max(0, column - half),
                  Math.min(width, column + half + 1));
        }
      }
    }
  }

  private float max(float[] x, int image, int channel, int top, int bottom, int left, int right) {
    int step = planar ? 1 : channels;
    float best = Float.NEGATIVE_INFINITY;
    for (int row = top; row < bottom; row++) {
      int line = at(image, channel, row, 0);
      for (int column = left; column < right; column++) {
        best = Math.max(best, x[line + column * step]);
      }
    }
    return best;
  }
}
