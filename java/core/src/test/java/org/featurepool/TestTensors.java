package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Values for tests, moved between planar Java arrays and tensors of any type and layout. */
final class TestTensors {
  private TestTensors() {}

  /** Position in a tensor of the given layout of an element of a planar array. */
  static int place(Shape shape, int planar) {
    if (shape.layout() == Layout.PLANAR) {
      return planar;
    }
    int plane = (int) shape.planeSize();
    int channels = (int) shape.channels();
    int n = planar / plane / channels;
    int c = planar / plane % channels;
    return (n * plane + planar % plane) * channels + c;
  }

  /** A tensor of the values of a planar array. */
  static Tensor tensor(Arena arena, DType dtype, Shape shape, float[] planar) {
    Tensor tensor = blank(arena, dtype, shape);
    for (int i = 0; i < planar.length; i++) {
      int at = place(shape, i);
      float value = planar[i];
      MemorySegment memory = tensor.segment();
      // Not by Tensor.set(): the conversions here are the oracle's own.
      switch (dtype) {
        case F32 -> memory.setAtIndex(ValueLayout.JAVA_FLOAT, at, value);
        case F64 -> memory.setAtIndex(ValueLayout.JAVA_DOUBLE, at, value);
        case F16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, at, Float.floatToFloat16(value));
        case BF16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, at, upperHalf(value));
        case I8, U8 -> memory.set(ValueLayout.JAVA_BYTE, at, (byte) (int) value);
        case I32 -> memory.setAtIndex(ValueLayout.JAVA_INT, at, (int) value);
        case I64 -> memory.setAtIndex(ValueLayout.JAVA_LONG, at, (long) value);
      }
    }
    return tensor;
  }

  /** The upper half of a float's bits: a bfloat16, exact if the lower half is empty. */
  private static short upperHalf(float value) {
    return (short) (Float.floatToRawIntBits(value) >>> 16);
  }

  /** An f32 or f64 tensor of the values of a planar array. */
  static Tensor converted(Arena arena, DType dtype, Shape shape, double[] planar) {
    Tensor tensor = blank(arena, dtype, shape);
    for (int i = 0; i < planar.length; i++) {
      int at = place(shape, i);
      if (dtype == DType.F32) {
        tensor.segment().setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) planar[i]);
      } else {
        tensor.segment().setAtIndex(ValueLayout.JAVA_DOUBLE, at, planar[i]);
      }
    }
    return tensor;
  }

  /** The values of an f32 or f64 tensor as a planar array, bit for bit. */
  static double[] doubles(Tensor tensor) {
    double[] planar = new double[(int) tensor.shape().elementCount()];
    for (int i = 0; i < planar.length; i++) {
      int at = place(tensor.shape(), i);
      planar[i] =
          tensor.dtype() == DType.F32
              ? tensor.segment().getAtIndex(ValueLayout.JAVA_FLOAT, at)
              : tensor.segment().getAtIndex(ValueLayout.JAVA_DOUBLE, at);
    }
    return planar;
  }

  /** A tensor filled with a pattern that no result has. */
  static Tensor blank(Arena arena, DType dtype, Shape shape) {
    MemorySegment segment = arena.allocate(shape.elementCount() * dtype.size(), dtype.size());
    segment.fill((byte) 0xa5);
    return Tensor.wrap(segment, dtype, shape);
  }

  /** The values of a tensor as a planar array. */
  static float[] planar(Tensor tensor) {
    float[] memory = tensor.toFloatArray();
    float[] planar = new float[memory.length];
    for (int i = 0; i < planar.length; i++) {
      planar[i] = memory[place(tensor.shape(), i)];
    }
    return planar;
  }

  /** Normal values with, if asked for, ties, zeros of both signs, infinities and NaNs. */
  static float[] floats(SplittableRandom random, int count, boolean special) {
    float[] values = new float[count];
    int kind = random.nextInt(4);
    for (int i = 0; i < count; i++) {
      values[i] = kind == 0 && special ? random.nextInt(-2, 3) : (float) random.nextGaussian();
      if (special && random.nextInt(30) == 0) {
        values[i] =
            switch (random.nextInt(6)) {
              case 0 -> Float.intBitsToFloat(0x7fc00000 + random.nextInt(100));
              case 1 -> Float.POSITIVE_INFINITY;
              case 2 -> Float.NEGATIVE_INFINITY;
              case 3 -> -0f;
              case 4 -> 0f;
              default -> Float.MIN_VALUE;
            };
      }
    }
    if (special && random.nextInt(10) == 0) {
      Arrays.fill(values, Float.NEGATIVE_INFINITY);
    }
    return values;
  }

  /** Integers of a type that a float holds exactly, at times few different ones. */
  static float[] integers(SplittableRandom random, DType dtype, int count) {
    int least = dtype == DType.U8 ? 0 : dtype == DType.I8 ? Byte.MIN_VALUE : -(1 << 24);
    int range = dtype == DType.I32 ? 1 << 25 : 256;
    float[] values = new float[count];
    boolean few = random.nextInt(3) == 0;
    for (int i = 0; i < count; i++) {
      values[i] = few ? random.nextInt(3) : least + random.nextInt(range);
    }
    return values;
  }

  /** Values as a type of elements holds them. */
  static float[] rounded(DType dtype, float[] values) {
    float[] rounded = values.clone();
    for (int i = 0; i < rounded.length; i++) {
      rounded[i] =
          switch (dtype) {
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(values[i]));
            case BF16 -> Float.intBitsToFloat(upperHalf(values[i]) << 16);
            default -> values[i];
          };
    }
    return rounded;
  }

  /** What a maximum, or minimum, of nothing is. */
  static float none(DType dtype, boolean min) {
    return switch (dtype) {
      case I8 -> min ? Byte.MAX_VALUE : Byte.MIN_VALUE;
      case U8 -> min ? 255 : 0;
      case I32 -> min ? Integer.MAX_VALUE : Integer.MIN_VALUE;
      default -> min ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
    };
  }

  static void assertSameBits(float[] expected, float[] actual, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
        fail(
            what + ": element " + i + " is " + bits(actual[i]) + ", expected " + bits(expected[i]));
      }
    }
  }

  private static String bits(float value) {
    return value + " (0x" + Integer.toHexString(Float.floatToRawIntBits(value)) + ")";
  }

  /** Half a unit in the last place of a half type: what rounding once more may add. */
  private static double roundingOf(DType dtype, double value) {
    return switch (dtype) {
      case F16 -> Math.max(0x1p-25, Math.abs(value) * 0x1p-11) * 1.01;
      case BF16 -> Math.abs(value) * 0x1p-8 * 1.01;
      default -> 0;
    };
  }

  static void assertWithin(Oracle.Bounded expected, DType dtype, float[] actual, String what) {
    assertEquals(expected.values().length, actual.length, what);
    for (int i = 0; i < actual.length; i++) {
      double value = expected.values()[i];
      double tolerance = expected.tolerance()[i] + roundingOf(dtype, value);
      boolean close =
          Double.isFinite(value)
              ? Math.abs(actual[i] - value) <= tolerance
              : Double.compare(value, actual[i]) == 0;
      if (!close) {
        fail(
            what
                + ": element "
                + i
                + " is "
                + actual[i]
                + ", expected "
                + value
                + " within "
                + tolerance);
      }
    }
  }
}
