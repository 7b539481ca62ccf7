package org.featurepool.bench;

import java.util.Arrays;

/** What is made of samples. */
final class Statistics {
  private Statistics() {}

  /**
   * The middle sample; of an even number, the mean of the two in the middle.
   *
   * @throws IllegalArgumentException if there are none
   */
  static double median(double... samples) {
    if (samples.length == 0) {
      throw new IllegalArgumentException("there are no samples; a median needs at least one");
    }
    double[] sorted = samples.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
