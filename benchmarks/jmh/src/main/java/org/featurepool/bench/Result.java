package org.featurepool.bench;

import java.util.Optional;
import org.featurepool.DType;

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
  Optional<String> difference(Result other, Pooling pooling) {
    if (values.length != other.values.length) {
      return Optional.of(
          "there are " + other.values.length + " elements instead of " + values.length);
    }
    boolean exact = exact(pooling);
    // The inputs are within [-1, 1], and so is an average of them; cancellation leaves an error of
    // that size, not of the result's.
    double ulps = 2 * Math.sqrt(pooling.window().taps());
    for (int i = 0; i < values.length; i++) {
      float expected = values[i];
      float actual = other.values[i];
      boolean equal =
          exact
              ? Float.floatToRawIntBits(expected) == Float.floatToRawIntBits(actual)
              : Math.abs(expected - actual) <= ulps * Math.ulp(Math.max(1, Math.abs(expected)));
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

  /** Whether an element is a copy of one input: sums may be added in any order. */
  private static boolean exact(Pooling pooling) {
    if (pooling.dtype() != DType.F32) {
      return true;
    }
    return switch (pooling.kind()) {
      case MAX, MAX_WITH_MASK -> true;
      case AVERAGE, AVERAGE_BACKWARD -> false;
      case MAX_BACKWARD -> {
        boolean apart = true;
        for (int i = 0; i < pooling.window().rank(); i++) {
          apart &= pooling.window().stride(i) >= pooling.window().kernel(i);
        }
        yield apart;
      }
    };
  }
}
