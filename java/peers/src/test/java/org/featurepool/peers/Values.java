package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.random.RandomGenerator;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Values in planar order, as all peers take them, and tensors of them. */
final class Values {
  private Values() {}

  /** Numbers of [-1, 1) that f32 holds. */
  static double[] uniform(RandomGenerator random, long size) {
    return random.doubles(size, -1, 1).map(value -> (float) value).toArray();
  }

  /** Numbers of [0, 1) that f32 holds. */
  static double[] activations(RandomGenerator random, long size) {
    return random.doubles(size).map(value -> (float) value).toArray();
  }

  /** A handful of whole numbers, so that most windows have ties. */
  static double[] ties(RandomGenerator random, long size) {
    return random.ints(size, -3, 4).asDoubleStream().toArray();
  }

  /** Ties, infinities and NaN. */
  static double[] specials(RandomGenerator random, long size) {
    double[] special = {Double.NaN, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY};
    return random
        .ints(size, -4, 40)
        .mapToDouble(value -> value < 37 ? value % 4 : special[value - 37])
        .toArray();
  }

  /** A tensor of planar values, in the shape's layout. */
  static Tensor tensor(Arena arena, DType dtype, Shape shape, double[] planar) {
    Tensor tensor = Tensor.allocate(arena, dtype, shape.withLayout(Layout.PLANAR));
    MemorySegment segment = tensor.segment();
    for (int i = 0; i < planar.length; i++) {
      switch (dtype) {
        case F32 -> segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) planar[i]);
        case F64 -> segment.setAtIndex(ValueLayout.JAVA_DOUBLE, i, planar[i]);
        case U8 -> segment.set(ValueLayout.JAVA_BYTE, i, (byte) planar[i]);
        case I64 -> segment.setAtIndex(ValueLayout.JAVA_LONG, i, (long) planar[i]);
        default -> throw new IllegalArgumentException(dtype + " is not compared");
      }
    }
    return shape.layout() == Layout.PLANAR ? tensor : tensor.toLayout(shape.layout(), arena);
  }

  /** The values of a tensor, in planar order. */
  static double[] planar(Tensor tensor) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor planar =
          tensor.shape().layout() == Layout.PLANAR ? tensor : tensor.toLayout(Layout.PLANAR, arena);
      MemorySegment segment = planar.segment();
      double[] values = new double[Math.toIntExact(planar.shape().elementCount())];
      for (int i = 0; i < values.length; i++) {
        values[i] =
            switch (planar.dtype()) {
              case F32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, i);
              case F64 -> segment.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
              case U8 -> Byte.toUnsignedInt(segment.get(ValueLayout.JAVA_BYTE, i));
              case I32 -> segment.getAtIndex(ValueLayout.JAVA_INT, i);
              case I64 -> segment.getAtIndex(ValueLayout.JAVA_LONG, i);
              default -> throw new IllegalArgumentException(planar.dtype() + " is not compared");
            };
      }
      return values;
    }
  }
}
