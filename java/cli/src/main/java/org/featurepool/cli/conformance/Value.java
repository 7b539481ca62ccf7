package org.featurepool.cli.conformance;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.conformance.onnx.TensorProto;

/**
 * A value of a graph: elements in row-major order.
 *
 * @param dtype type of the elements
 * @param extents any number of extents; none is a scalar
 * @param segment the elements
 */
record Value(DType dtype, long[] extents, MemorySegment segment) {
  private static final int ALIGNMENT = 64;

  /** Copies a tensor of a file. */
  static Value of(TensorProto proto, Arena arena) {
    DType dtype = dtype(proto.getDataType());
    long[] extents = proto.getDimsList().stream().mapToLong(Long::longValue).toArray();
    long count = count(proto, extents);
    boolean isRaw = !proto.getRawData().isEmpty() || count == 0;
    if (isRaw) {
      requireCount(proto, proto.getRawData().size(), count * dtype.size(), "bytes");
    } else {
      switch (dtype) {
        case F32 -> requireCount(proto, proto.getFloatDataCount(), count, "elements");
        case F64 -> requireCount(proto, proto.getDoubleDataCount(), count, "elements");
        case I64 -> requireCount(proto, proto.getInt64DataCount(), count, "elements");
        default -> requireCount(proto, proto.getInt32DataCount(), count, "elements");
      }
    }
    // Only now: extents that no data goes with would ask for any amount of memory.
    MemorySegment segment = arena.allocate(count * dtype.size(), ALIGNMENT);
    if (isRaw) {
      // ONNX is little-endian, as are all machines that the library runs on.
      proto.getRawData().copyTo(segment.asByteBuffer());
      return new Value(dtype, extents, segment);
    }
    for (int i = 0; i < count; i++) {
      switch (dtype) {
        case F32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, proto.getFloatData(i));
        case F64 -> segment.setAtIndex(ValueLayout.JAVA_DOUBLE, i, proto.getDoubleData(i));
        case I64 -> segment.setAtIndex(ValueLayout.JAVA_LONG, i, proto.getInt64Data(i));
        case I32 -> segment.setAtIndex(ValueLayout.JAVA_INT, i, proto.getInt32Data(i));
        case F16, BF16 ->
            segment.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) proto.getInt32Data(i));
        case I8, U8 -> segment.set(ValueLayout.JAVA_BYTE, i, (byte) proto.getInt32Data(i));
      }
    }
    return new Value(dtype, extents, segment);
  }

  /** The number of elements that extents of a file make; one that data in a file may go with. */
  private static long count(TensorProto proto, long[] extents) {
    long count = 1;
    for (long extent : extents) {
      if (extent < 0 || extent > Integer.MAX_VALUE || count * extent > Integer.MAX_VALUE) {
        throw new ConformanceException(
            "tensor '%s' is of %s; extents must be at least 0 and their product less than 2^31"
                .formatted(proto.getName(), proto.getDimsList()));
      }
      count *= extent;
    }
    return count;
  }

  private static void requireCount(TensorProto proto, long count, long expected, String what) {
    if (count != expected) {
      throw new ConformanceException(
          "tensor '%s' of %s has %d %s; its extents need %d"
              .formatted(proto.getName(), proto.getDimsList(), count, what, expected));
    }
  }

  private static DType dtype(int code) {
    return switch (code) {
      case 1 -> DType.F32;
      case 2 -> DType.U8;
      case 3 -> DType.I8;
      case 6 -> DType.I32;
      case 7 -> DType.I64;
      case 10 -> DType.F16;
      case 11 -> DType.F64;
      case 16 -> DType.BF16;
      default -> throw new ConformanceException("element type " + code + " of ONNX is unsupported");
    };
  }

  /** A value of whole numbers. */
  static Value ofLongs(Arena arena, long... values) {
    return new Value(
        DType.I64, new long[] {values.length}, arena.allocateFrom(ValueLayout.JAVA_LONG, values));
  }

  /** The elements of a planar tensor. */
  static Value of(Tensor tensor) {
    return new Value(tensor.dtype(), tensor.shape().extents(), tensor.segment());
  }

  long count() {
    return Arrays.stream(extents).reduce(1, Math::multiplyExact);
  }

  /** This value as a tensor N x C x spatial axes. */
  Tensor tensor() {
    return Tensor.wrap(segment, dtype, Shape.of(Layout.PLANAR, extents));
  }

  /** The same elements under other extents. */
  Value withExtents(long... other) {
    return new Value(dtype, other, segment);
  }

  /** An element as a number. */
  double number(long index) {
    return switch (dtype) {
      case F32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case F64 -> segment.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
      case F16 -> Float.float16ToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, index));
      case BF16 ->
          Float.intBitsToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, index) << Short.SIZE);
      case I8 -> segment.get(ValueLayout.JAVA_BYTE, index);
      case U8 -> Byte.toUnsignedInt(segment.get(ValueLayout.JAVA_BYTE, index));
      case I32 -> segment.getAtIndex(ValueLayout.JAVA_INT, index);
      case I64 -> whole(index);
    };
  }

  /** An element of {@link DType#I64}. */
  private long whole(long index) {
    return segment.getAtIndex(ValueLayout.JAVA_LONG, index);
  }

  /** The elements as whole numbers, for axes, extents and batch indices. */
  long[] longs() {
    long[] result = new long[Math.toIntExact(count())];
    for (int i = 0; i < result.length; i++) {
      result[i] = dtype == DType.I64 ? whole(i) : (long) number(i);
    }
    return result;
  }
}
