package org.featurepool.cli.operator;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.featurepool.DType;

/** Sets of types that operators take, as far as .npy files have them (bfloat16 they have not). */
final class Types {
  /** Of what compares elements. */
  static final Set<DType> COMPARED =
      of(DType.F32, DType.F64, DType.F16, DType.I8, DType.U8, DType.I32);

  /** Of what adds elements. */
  static final Set<DType> ADDED = of(DType.F32, DType.F64, DType.F16, DType.I8, DType.U8);

  /** Of what only floating-point numbers have. */
  static final Set<DType> F32_F64 = of(DType.F32, DType.F64);

  /** Of what sorts elements. */
  static final Set<DType> RANKED = of(DType.F32, DType.F64, DType.U8);

  /** Of positions. */
  static final Set<DType> POSITIONS = of(DType.I64, DType.I32);

  /** Of spatial pyramids. */
  static final Set<DType> F32 = of(DType.F32);

  /** Of the block of several windows. */
  static final Set<DType> F32_F16_U8 = of(DType.F32, DType.F16, DType.U8);

  private Types() {}

  private static Set<DType> of(DType first, DType... more) {
    return Collections.unmodifiableSet(EnumSet.of(first, more));
  }

  /** NumPy's name of a type. */
  static String name(DType dtype) {
    return switch (dtype) {
      case F32 -> "float32";
      case F64 -> "float64";
      case F16 -> "float16";
      case BF16 -> "bfloat16";
      case I8 -> "int8";
      case U8 -> "uint8";
      case I32 -> "int32";
      case I64 -> "int64";
    };
  }

  /** For messages: "float32 or uint8". */
  static String names(Set<DType> types) {
    String joined = types.stream().map(Types::name).collect(Collectors.joining(", "));
    int last = joined.lastIndexOf(", ");
    return last < 0 ? joined : joined.substring(0, last) + " or " + joined.substring(last + 2);
  }

  static boolean isFloat(DType dtype) {
    return switch (dtype) {
      case F32, F64, F16, BF16 -> true;
      case I8, U8, I32, I64 -> false;
    };
  }

  /** Type of the gradients of a pooling of a type. */
  static DType gradient(DType input) {
    return isFloat(input) ? input : DType.F32;
  }
}
