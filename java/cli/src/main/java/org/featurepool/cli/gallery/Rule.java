package org.featurepool.cli.gallery;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;
import java.util.function.UnaryOperator;

/**
 * What an operator makes of the taps of one window, written in double precision from its definition
 * and sharing nothing with the library.
 *
 * @param value the output
 * @param slopes derivative of the output with respect to each tap
 * @param exact whether the output is one of its taps, so that the library must return it bit for
 *     bit
 */
record Rule(ToDoubleFunction<double[]> value, UnaryOperator<double[]> slopes, boolean exact) {
  static final Rule MAX = selecting(taps -> Arrays.stream(taps).max().orElseThrow());
  static final Rule MIN = selecting(taps -> Arrays.stream(taps).min().orElseThrow());

  /** The middle tap, of an even number the lower one. */
  static final Rule MEDIAN =
      selecting(taps -> Arrays.stream(taps).sorted().toArray()[(taps.length - 1) / 2]);

  static final Rule MEAN =
      weighing(
          taps -> Arrays.stream(taps).sum() / taps.length, (tap, y, taps) -> 1.0 / taps.length);

  /** The mean of the taps, each weighted by its share of their sum. */
  static final Rule EXPECTATION =
      weighing(
          taps -> sum(taps, a -> a * a) / Math.max(sum(taps, a -> a), Double.MIN_NORMAL),
          (tap, y, taps) -> sum(taps, a -> a) == 0 ? 0 : (2 * tap - y) / sum(taps, a -> a));

  @FunctionalInterface
  private interface Slope {
    double at(double tap, double output, double[] taps);
  }

  /** The p-th root of the sum of the taps' p-th powers; for infinity the largest magnitude. */
  static Rule lp(double p) {
    if (Double.isInfinite(p)) {
      return selecting(taps -> Arrays.stream(taps).map(Math::abs).max().orElseThrow());
    }
    return weighing(
        taps -> Math.pow(sum(taps, a -> Math.pow(Math.abs(a), p)), 1 / p),
        (tap, y, taps) -> y == 0 ? 0 : Math.signum(tap) * Math.pow(Math.abs(tap) / y, p - 1));
  }

  /** The p-th root of the mean of the taps' p-th powers, taps being at least {@code epsilon}. */
  static Rule generalisedMean(double p, double epsilon) {
    return weighing(
        taps -> Math.pow(sum(taps, a -> Math.pow(Math.max(a, epsilon), p)) / taps.length, 1 / p),
        (tap, y, taps) -> tap > epsilon ? Math.pow(tap / y, p - 1) / taps.length : 0);
  }

  /** {@code alpha} of the maximum and the rest of the mean. */
  static Rule mixed(double alpha) {
    return new Rule(
        taps ->
            alpha * MAX.value.applyAsDouble(taps) + (1 - alpha) * MEAN.value.applyAsDouble(taps),
        taps -> {
          double[] slopes = MAX.slopes.apply(taps);
          for (int i = 0; i < slopes.length; i++) {
            slopes[i] = alpha * slopes[i] + (1 - alpha) / taps.length;
          }
          return slopes;
        },
        false);
  }

  /** An output that is one of the taps; the first equal to it has the slope 1. */
  private static Rule selecting(ToDoubleFunction<double[]> value) {
    return new Rule(
        value,
        taps -> {
          double[] slopes = new double[taps.length];
          double selected = value.applyAsDouble(taps);
          for (int i = 0; i < taps.length; i++) {
            if (taps[i] == selected) {
              slopes[i] = 1;
              break;
            }
          }
          return slopes;
        },
        true);
  }

  private static Rule weighing(ToDoubleFunction<double[]> value, Slope slope) {
    return new Rule(
        value,
        taps -> {
          double y = value.applyAsDouble(taps);
          return Arrays.stream(taps).map(tap -> slope.at(tap, y, taps)).toArray();
        },
        false);
  }

  private static double sum(double[] taps, DoubleUnaryOperator term) {
    return Arrays.stream(taps).map(term).sum();
  }
}
