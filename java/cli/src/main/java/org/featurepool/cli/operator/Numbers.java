package org.featurepool.cli.operator;

import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine.TypeConversionException;

/** Numbers of an option, separated by commas: one for all channels, or one per channel. */
final class Numbers {
  private final double[] values;

  private Numbers(double[] values) {
    this.values = values;
  }

  /** Takes what {@link Double#parseDouble} takes, and {@code inf}. */
  static Numbers parse(String text) {
    try {
      return new Numbers(
          Arrays.stream(text.split(",", -1)).mapToDouble(Numbers::parseOne).toArray());
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "'" + text + "' is no list of numbers such as 3 or 2.5,3,inf");
    }
  }

  private static double parseOne(String text) {
    return text.equalsIgnoreCase("inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(text);
  }

  int count() {
    return values.length;
  }

  /**
   * The only value.
   *
   * @throws UsageException if there are several
   */
  double single(String operator, Option<Numbers> option) {
    if (values.length != 1) {
      throw new org.featurepool.cli.UsageException(
          "%s %s has %d values; --op %s takes one"
              .formatted(option, this, values.length, operator));
    }
    return values[0];
  }

  double[] toArray() {
    return values.clone();
  }

  @Override
  public String toString() {
    return Arrays.stream(values).mapToObj(Numbers::text).collect(Collectors.joining(","));
  }

  private static String text(double value) {
    return value == Math.rint(value) && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }
}
