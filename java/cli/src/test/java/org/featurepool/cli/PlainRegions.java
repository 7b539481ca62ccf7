package org.featurepool.cli;

import java.util.Arrays;

/** Poolings of regions as their papers and ONNX say, in double precision. */
final class PlainRegions {
  private final int channels;
  private final int height;
  private final int width;
  private final double[][] regions;
  private final int rows;
  private final int columns;
  private final double scale;

  /** Regions of batch index, x1, y1, x2, y2. */
  PlainRegions(
      int channels,
      int height,
      int width,
      double[][] regions,
      int rows,
      int columns,
      double scale) {
    this.channels = channels;
    this.height = height;
    this.width = width;
    this.regions = regions;
    this.rows = rows;
    this.columns = columns;
    this.scale = scale;
  }

  private interface Bin {
    double of(double[] plane, double[] region, int row, int column);
  }

  private double[] over(double[] x, Bin bin) {
    double[] y = new double[regions.length * channels * rows * columns];
    for (int i = 0; i < y.length; i++) {
      double[] region = regions[i / (channels * rows * columns)];
      int plane = (int) region[0] * channels + i / (rows * columns) % channels;
      double[] elements =
          Arrays.copyOfRange(x, plane * height * width, (plane + 1) * height * width);
      y[i] = bin.of(elements, region, i / columns % rows, i % columns);
    }
    return y;
  }

  /** Fast R-CNN: maxima of bins of whole elements; an empty one gives 0. */
  double[] pool(double[] x) {
    return over(
        x,
        (plane, region, row, column) -> {
          int[] vertical = span(region[2], region[4], row, rows, height);
          int[] horizontal = span(region[1], region[3], column, columns, width);
          double most = Double.NEGATIVE_INFINITY;
          for (int i = vertical[0]; i < vertical[1]; i++) {
            for (int j = horizontal[0]; j < horizontal[1]; j++) {
              most = Math.max(most, plane[i * width + j]);
            }
          }
          return most == Double.NEGATIVE_INFINITY ? 0 : most;
        });
  }

  private int[] span(double from, double to, int bin, int bins, int extent) {
    int first = (int) Math.floor(from * scale + 0.5);
    int last = (int) Math.floor(to * scale + 0.5);
    int length = Math.max(last - first + 1, 1);
    int begin = first + Math.floorDiv(bin * length, bins);
    int end = first + Math.ceilDiv((bin + 1) * length, bins);
    return new int[] {Math.clamp(begin, 0, extent), Math.clamp(end, 0, extent)};
  }

  /** Mask R-CNN, as ONNX has it. */
  double[] align(double[] x, boolean max, int samplingRatio, boolean halfPixel) {
    double offset = halfPixel ? 0.5 : 0;
    return over(
        x,
        (plane, region, row, column) -> {
          double left = region[1] * scale - offset;
          double top = region[2] * scale - offset;
          double least = halfPixel ? Double.NEGATIVE_INFINITY : 1;
          double binWidth = Math.max(region[3] * scale - offset - left, least) / columns;
          double binHeight = Math.max(region[4] * scale - offset - top, least) / rows;
          int down = samplingRatio > 0 ? samplingRatio : (int) Math.ceil(binHeight);
          int across = samplingRatio > 0 ? samplingRatio : (int) Math.ceil(binWidth);
          double sum = 0;
          double most = Double.NEGATIVE_INFINITY;
          for (int i = 0; i < down; i++) {
            for (int j = 0; j < across; j++) {
              double[] corners =
                  corners(
                      plane,
                      top + row * binHeight + (i + 0.5) * binHeight / down,
                      left + column * binWidth + (j + 0.5) * binWidth / across);
              sum += Arrays.stream(corners).sum();
              most = Math.max(most, Arrays.stream(corners).max().orElseThrow());
            }
          }
          return max ? most : sum / Math.max(1, down * across);
        });
  }

  /** The four elements around a point, times their weights. */
  private double[] corners(double[] plane, double y, double x) {
    if (y < -1 || y > height || x < -1 || x > width) {
      return new double[4];
    }
    double v = Math.clamp(y, 0, height - 1);
    double h = Math.clamp(x, 0, width - 1);
    int top = (int) v;
    int left = (int) h;
    int bottom = Math.min(top + 1, height - 1);
    int right = Math.min(left + 1, width - 1);
    double low = v - top;
    double far = h - left;
    return new double[] {
      (1 - low) * (1 - far) * plane[top * width + left],
      (1 - low) * far * plane[top * width + right],
      low * (1 - far) * plane[bottom * width + left],
      low * far * plane[bottom * width + right]
    };
  }
}
