package org.featurepool.cli.operator;

import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine.TypeConversionException;

/** Whole numbers of an option, separated by commas. */
final class Values {
  private final long[] values;

  private Values(long[] values) {
    this.values = values;
  }

  int count() {
    return values.length;
  }

  /** For messages: "1 value", "2 values". */
  String countText() {
    return values.length == 1 ? "1 value" : values.length + " values";
  }

  long[] toArray() {
    return values.clone();
  }

  @Override
  public String toString() {
    return Arrays.stream(values).mapToObj(Long::toString).collect(Collectors.joining(","));
  }

  /** Tells whether {@code text} is meant as numbers, if perhaps wrong ones. */
  static boolean looksNumeric(String text) {
    return !text.isEmpty() && text.chars().noneMatch(Character::isLetter);
  }

  /** Takes whole numbers, separated by commas. */
  static Values parse(String text) {
    try {
      // -1: "3," has an empty second value, which is a mistake and not one value.
      return new Values(Arrays.stream(text.split(",", -1)).mapToLong(Long::parseLong).toArray());
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "'" + text + "' is no list of whole numbers (less than 2^63) such as 3 or 3,3");
    }
  }
}
