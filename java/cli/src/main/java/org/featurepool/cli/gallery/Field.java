package org.featurepool.cli.gallery;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.featurepool.Tensor;

/**
 * One plane of numbers on the heap.
 *
 * @param width columns
 * @param height rows
 * @param values row-major, {@code width * height} of them
 */
record Field(int width, int height, float[] values) {
  private static final int ENOUGH_FOR_QUANTILE = 1_000_000;

  /** A rectangle of pixels. */
  record Crop(int x, int y, int width, int height) {}

  /** A copy of plane {@code channel} of the first image of a planar f32 tensor. */
  static Field plane(Tensor tensor, int channel) {
    int height = (int) tensor.shape().spatial(0);
    int width = (int) tensor.shape().spatial(1);
    float[] values = new float[height * width];
    long offset = (long) channel * values.length * Float.BYTES;
    MemorySegment.copy(tensor.segment(), ValueLayout.JAVA_FLOAT, offset, values, 0, values.length);
    return new Field(width, height, values);
  }

  /** The sum of all channels of the first image of a planar f32 tensor. */
  static Field channelSum(Tensor tensor) {
    Field sum = plane(tensor, 0);
    for (int c = 1; c < tensor.shape().channels(); c++) {
      float[] plane = plane(tensor, c).values;
      for (int i = 0; i < plane.length; i++) {
        sum.values[i] += plane[i];
      }
    }
    return sum;
  }

  float at(int x, int y) {
    return values[y * width + x];
  }

  /** A rectangle of this plane; it must lie inside. */
  Field cut(Crop crop) {
    float[] part = new float[crop.width() * crop.height()];
    for (int y = 0; y < crop.height(); y++) {
      System.arraycopy(
          values, (crop.y() + y) * width + crop.x(), part, y * crop.width(), crop.width());
    }
    return new Field(crop.width(), crop.height(), part);
  }

  /**
   * This plane with its longer side at most {@code limit}: every value is the mean of the pixels it
   * covers. A plane that is small enough is returned as it is.
   */
  Field shrunk(int limit) {
    int longer = Math.max(width, height);
    if (longer <= limit) {
      return this;
    }
    int w = Math.max(1, (int) ((long) width * limit / longer));
    int h = Math.max(1, (int) ((long) height * limit / longer));
    float[] small = new float[w * h];
    for (int y = 0; y < h; y++) {
      int top = (int) ((long) y * height / h);
      int bottom = Math.max(top + 1, (int) ((y + 1L) * height / h));
      for (int x = 0; x < w; x++) {
        int left = (int) ((long) x * width / w);
        int right = Math.max(left + 1, (int) ((x + 1L) * width / w));
        small[y * w + x] = (float) mean(left, top, right, bottom);
      }
    }
    return new Field(w, h, small);
  }

  private double mean(int left, int top, int right, int bottom) {
    double sum = 0;
    for (int y = top; y < bottom; y++) {
      for (int x = left; x < right; x++) {
        sum += values[y * width + x];
      }
    }
    return sum / ((double) (right - left) * (bottom - top));
  }

  /** The largest value, at least 0. */
  double max() {
    double max = 0;
    for (float value : values) {
      max = Math.max(max, value);
    }
    return max;
  }

  double sum() {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return sum;
  }

  /**
   * The value that about a {@code share} of all magnitudes exceeds; a scale that ends there is not
   * ruled by a few extremes. Found from evenly spread values where there are very many.
   */
  double quantileOfMagnitude(double share) {
    int step = Math.max(1, values.length / ENOUGH_FOR_QUANTILE);
    float[] sorted = new float[Math.ceilDiv(values.length, step)];
    for (int i = 0; i < sorted.length; i++) {
      sorted[i] = Math.abs(values[i * step]);
    }
    Arrays.sort(sorted);
    return sorted[(int) Math.min(sorted.length - 1, (long) (sorted.length * (1 - share)))];
  }

  /**
   * Draws the plane with a colour map; {@code low} gets the first colour, {@code high} the last.
   */
  Raster draw(ColorMap colors, double low, double high) {
    Raster picture = new Raster(width, height);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        picture.set(x, y, colors.at((at(x, y) - low) / (high - low)));
      }
    }
    return picture;
  }
}
