package org.featurepool.cli.gallery;

import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;
import org.featurepool.DType;
import org.featurepool.NetVlad;
import org.featurepool.Tensor;

/**
 * NetVLAD of one image in double precision, written from its definition and sharing nothing with
 * the library but the parameters.
 *
 * @param centroids a row per cluster
 * @param assignments for every descriptor its shares of the clusters
 * @param output residuals of all clusters, normalised one by one and together
 */
record Vlad(double[][] centroids, double[][] assignments, double[] output) {
  private static final double STEP = 1e-5;

  /** Computes the descriptor of a planar image, f32 or f64. */
  static Vlad of(NetVlad.Parameters parameters, Tensor image) {
    int clusters = (int) parameters.clusters();
    int channels = (int) parameters.channels();
    return of(
        rows(parameters.weights(), clusters, channels),
        rows(parameters.biases(), 1, clusters)[0],
        rows(parameters.centroids(), clusters, channels),
        rows(image, channels, (int) image.shape().planeSize()));
  }

  private static Vlad of(
      double[][] weights, double[] biases, double[][] centroids, double[][] planes) {
    int channels = planes.length;
    int count = planes[0].length;
    double[][] assignments = new double[count][];
    double[] output = new double[centroids.length * channels];
    for (int i = 0; i < count; i++) {
      int at = i;
      double[] x = IntStream.range(0, channels).mapToDouble(c -> planes[c][at]).toArray();
      assignments[i] = softmax(weights, biases, x);
      for (int k = 0; k < centroids.length; k++) {
        for (int c = 0; c < channels; c++) {
          output[k * channels + c] += assignments[i][k] * (x[c] - centroids[k][c]);
        }
      }
    }
    for (int k = 0; k < centroids.length; k++) {
      normalize(output, k * channels, channels);
    }
    normalize(output, 0, output.length);
    return new Vlad(centroids, assignments, output);
  }

  /** The slopes of one number of the output over the centres, by central differences. */
  static double[] centroidSlopes(NetVlad.Parameters parameters, Tensor image, int number) {
    int clusters = (int) parameters.clusters();
    int channels = (int) parameters.channels();
    double[][] weights = rows(parameters.weights(), clusters, channels);
    double[] biases = rows(parameters.biases(), 1, clusters)[0];
    double[][] centroids = rows(parameters.centroids(), clusters, channels);
    double[][] planes = rows(image, channels, (int) image.shape().planeSize());
    double[] slopes = new double[clusters * channels];
    for (int i = 0; i < slopes.length; i++) {
      double[] centroid = centroids[i / channels];
      double before = centroid[i % channels];
      centroid[i % channels] = before + STEP;
      double above = of(weights, biases, centroids, planes).output[number];
      centroid[i % channels] = before - STEP;
      double below = of(weights, biases, centroids, planes).output[number];
      centroid[i % channels] = before;
      slopes[i] = (above - below) / (2 * STEP);
    }
    return slopes;
  }

  private static double[][] rows(Tensor tensor, int rows, int columns) {
    double[] values = values(tensor);
    return IntStream.range(0, rows)
        .mapToObj(
            row ->
                IntStream.range(0, columns)
                    .mapToDouble(column -> values[row * columns + column])
                    .toArray())
        .toArray(double[][]::new);
  }

  /** The values of an f32 or f64 tensor. */
  static double[] values(Tensor tensor) {
    return tensor.dtype() == DType.F64
        ? tensor.segment().toArray(ValueLayout.JAVA_DOUBLE)
        : Stage.doubles(tensor.toFloatArray());
  }

  private static double[] softmax(double[][] weights, double[] biases, double[] x) {
    double[] scores = biases.clone();
    for (int k = 0; k < scores.length; k++) {
      for (int c = 0; c < x.length; c++) {
        scores[k] += weights[k][c] * x[c];
      }
    }
    double largest = IntStream.range(0, scores.length).mapToDouble(k -> scores[k]).max().orElse(0);
    double sum = 0;
    for (int k = 0; k < scores.length; k++) {
      scores[k] = Math.exp(scores[k] - largest);
      sum += scores[k];
    }
    for (int k = 0; k < scores.length; k++) {
      scores[k] /= sum;
    }
    return scores;
  }

  private static void normalize(double[] values, int from, int count) {
    double squares = 0;
    for (int i = from; i < from + count; i++) {
      squares += values[i] * values[i];
    }
    double length = Math.max(Math.sqrt(squares), 1e-12);
    for (int i = from; i < from + count; i++) {
      values[i] /= length;
    }
  }

  /** The cluster that a descriptor is assigned to most. */
  int nearest(int descriptor) {
    double[] shares = assignments[descriptor];
    int best = 0;
    for (int k = 1; k < shares.length; k++) {
      best = shares[k] > shares[best] ? k : best;
    }
    return best;
  }

  /** Every pixel in the colour of its nearest centre, colours being from 0 to 1. */
  Raster painted(int width, int height) {
    Raster raster = new Raster(width, height);
    for (int i = 0; i < width * height; i++) {
      int color = 0;
      for (double channel : centroids[nearest(i)]) {
        color = color << 8 | Math.clamp(Math.round(255 * channel), 0, 255);
      }
      raster.set(i % width, i / width, color);
    }
    return raster;
  }
}
