package org.featurepool.bench;

import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.IntPredicate;
import org.featurepool.Mask;
import org.featurepool.Tensor;

/**
 * What a call computed, as arrays.
 *
 * @param values the elements of the output, in memory order, as floats
 * @param mask the position of each maximum within its window, 255 for none; null where there is no
 *     such mask
 * @param differs tells the elements at which this contender computes something else by design
 */
public record Result(float[] values, byte[] mask, IntPredicate differs) {
  /** What differs nowhere. */
  public Result(float[] values, byte[] mask) {
    this(values, mask, element -> false);
  }

  /** Copies the elements of a tensor. */
  public static Result of(Tensor values) {
    return new Result(floats(values), null);
  }

  /** Copies the elements of a tensor, and the mask if it is compact; {@code mask} may be null. */
  static Result of(Tensor values, Mask mask) {
    boolean compact = mask != null && mask.format() == Mask.Format.COMPACT;
    return new Result(floats(values), compact ? mask.tensor().toByteArray() : null);
  }

  /** The same with elements at which this contender computes something else by design. */
  public Result differingAt(IntPredicate elements) {
    return new Result(values, mask, elements);
  }

  private static float[] floats(Tensor tensor) {
    float[] values = new float[Math.toIntExact(tensor.shape().elementCount())];
    var bytes = tensor.segment();
    switch (tensor.dtype()) {
      case F32 -> {
        return tensor.toFloatArray();
      }
      case U8 -> {
        return floats(tensor.toByteArray());
      }
      case I8 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = bytes.get(ValueLayout.JAVA_BYTE, i);
        }
      }
      case F16 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] = Float.float16ToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i));
        }
      }
      case BF16 -> {
        for (int i = 0; i < values.length; i++) {
          values[i] =
              Float.intBitsToFloat(bytes.getAtIndex(ValueLayout.JAVA_SHORT, i) << Short.SIZE);
        }
      }
      default -> throw new IllegalArgumentException(tensor.dtype() + " is not benchmarked");
    }
    return values;
  }

  /** The numbers of unsigned bytes. */
  static float[] floats(byte[] bytes) {
    float[] values = new float[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      values[i] = Byte.toUnsignedInt(bytes[i]);
    }
    return values;
  }

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
      if (!equal && !other.differs.test(i)) {
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
