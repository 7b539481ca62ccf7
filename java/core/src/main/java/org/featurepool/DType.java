package org.featurepool;

import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Type of the elements of a tensor, in the machine's byte order.
 *
 * <p>Each operator says which types it takes; gradients are of floating-point types. Masks are
 * {@link #U8} or {@link #I32}, expanded indices {@link #I64}.
 */
public enum DType {
  /** IEEE 754 binary32, Java's {@code float}. */
  F32(featurepool_h.FPOOL_F32(), 4),
  /** IEEE 754 binary64, Java's {@code double}. */
  F64(featurepool_h.FPOOL_F64(), 8),
  /** IEEE 754 binary16. */
  F16(featurepool_h.FPOOL_F16(), 2),
  /** The upper half of a binary32 ("bfloat16"). */
  BF16(featurepool_h.FPOOL_BF16(), 2),
  /** Signed 8-bit integer. */
  I8(featurepool_h.FPOOL_I8(), 1),
  /** Unsigned 8-bit integer. */
  U8(featurepool_h.FPOOL_U8(), 1),
  /** Signed 32-bit integer. */
  I32(featurepool_h.FPOOL_I32(), 4),
  /** Signed 64-bit integer. */
  I64(featurepool_h.FPOOL_I64(), 8);

  private final int code;
  private final int size;

  DType(int code, int size) {
    this.code = code;
    this.size = size;
  }

  /**
   * Returns the size of an element.
   *
   * @return bytes per element, 1 to 8
   */
  public int size() {
    return size;
  }

  /**
   * Tells whether gradients can be of this type.
   *
   * @return whether elements are floating-point numbers
   */
  public boolean isFloatingPoint() {
    return switch (this) {
      case F32, F64, F16, BF16 -> true;
      case I8, U8, I32, I64 -> false;
    };
  }

  /** The type's code in the C ABI. */
  int code() {
    return code;
  }
}
