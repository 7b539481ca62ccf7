package org.featurepool.bench;

import java.util.Optional;

/**
 * What a call computed, as arrays.
 *
 * @param values the elements of the output, in memory order; u8 as numbers
 * @param mask the position of each maximum within its window, 255 for none; null where there is no
 *     such mask
 */
record Result(float[] values, byte[] mask) {
  /**
   * Compares with what another contender computed: maxima and masks bit by bit, sums to a bound.
   *
   * @return where and how the two differ; empty if they agree
   */
  Optional<String> difference(Result other, Task task) {
    if (values.length != other.values.length) {
      return Optional.of(
          "there are " + other.values.length + " elements instead of " + values.length);
    }
    double largest = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    double tolerance = task.tolerance(largest);
    for (int i = 0; i < values.length; i++) {
      float expected = values[i];
      float actual = other.values[i];
      boolean equal =
          Float.floatToRawIntBits(expected) == Float.floatToRawIntBits(actual)
              || (tolerance > 0 && Math.abs(expected - actual) <= tolerance);
      if (!equal) {
        return Optional.of("element " + i + " is " + actual + " instead of " + expected);
      }
    }
    if (mask != null && other.mask != null) {
      for (int i = 0; i < mask.length; i++) {
        if (mask[i] != other.mask[i]) {
          return Optional.of(
              "mask entry "
                  + i
                  + " is "
                  + Byte.toUnsignedInt(other.mask[i])
                  + " instead of "
                  + Byte.toUnsignedInt(mask[i]));
        }
      }
    }
    return Optional.empty();
  }
}
