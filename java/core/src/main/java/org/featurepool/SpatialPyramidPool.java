package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.Collectors;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Spatial pyramid pooling: the maximum or the mean of every bin of several grids over a plane, in
 * one vector per image whose length does not depend on the size of the planes.
 *
 * <p>A level n divides the plane into n×n bins. The output is N × (C·Σn²) × 1 × 1: level by level
 * in the order given, channel by channel within a level, row by row within a channel, whatever the
 * layout of the input. Bins are reduced as {@link MaxPool} and {@link AvgPool} do it: ties, NaN and
 * rounding are theirs.
 *
 * <p>Backward: of maxima, {@code dx[mask] += dy}; of means, every element of a bin gets dy divided
 * by the number of its elements; summed over the levels in their order. Elements are {@link
 * DType#F32}.
 *
 * <p>Source: He et al., Spatial Pyramid Pooling in Deep Convolutional Networks for Visual
 * Recognition, 2014; seeds 000 and 004.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class SpatialPyramidPool {
  private final long[] levels;
  private final Bins bins;
  private final boolean average;
  private final MemorySegment pyramid;

  /**
   * The outcome of a pooling with positions.
   *
   * @param output the vectors
   * @param mask the position of every maximum within its plane, row-major: {@link DType#I32}, of
   *     the shape of the output
   */
  public record Result(Tensor output, Tensor mask) {}

  private SpatialPyramidPool(long[] levels, Bins bins, boolean average) {
    this.levels = levels;
    this.bins = Objects.requireNonNull(bins, "bins");
    this.average = average;
    NativeLibrary.verifyAvailable();
    int reducer = average ? featurepool_h.FPOOL_REDUCE_AVERAGE() : featurepool_h.FPOOL_REDUCE_MAX();
    this.pyramid = Descriptors.pyramid(Arena.ofAuto(), levels, bins.code(), reducer).asReadOnly();
  }

  /**
   * Makes a pyramid of maxima, with adaptive bins.
   *
   * @param levels numbers of bins along an axis, each at least 1, e.g. 1, 2, 4
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are no levels, or one is less than 1 or more than
   *     32768
   */
  public static SpatialPyramidPool max(long... levels) {
    return new SpatialPyramidPool(checked(levels), Bins.ADAPTIVE, false);
  }

  /**
   * Makes a pyramid of means, with adaptive bins.
   *
   * @param levels numbers of bins along an axis, each at least 1, e.g. 1, 2, 4
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are no levels, or one is less than 1 or more than
   *     32768
   */
  public static SpatialPyramidPool average(long... levels) {
    return new SpatialPyramidPool(checked(levels), Bins.ADAPTIVE, true);
  }

  private static long[] checked(long[] levels) {
    long most = 1 << 15;
    if (Objects.requireNonNull(levels, "levels").length == 0) {
      throw new IllegalArgumentException("levels are none; there must be at least one");
    }
    for (long level : levels) {
      if (level < 1 || level > most) {
        throw new IllegalArgumentException(
            "levels are "
                + join(levels)
                + ", with "
                + level
                + "; each must be at least 1 and at most "
                + most);
      }
    }
    return levels.clone();
  }

  private static String join(long[] values) {
    return Arrays.stream(values).mapToObj(Long::toString).collect(Collectors.joining(", "));
  }

  /**
   * Chooses how levels divide an extent.
   *
   * @param bins the rule
   * @return this operator with that rule
   */
  public SpatialPyramidPool withBins(Bins bins) {
    return new SpatialPyramidPool(levels, bins, average);
  }

  /**
   * Returns the levels.
   *
   * @return numbers of bins along an axis, in the order of the output
   */
  public long[] levels() {
    return levels.clone();
  }

  /**
   * Returns how levels divide an extent.
   *
   * @return the rule
   */
  public Bins bins() {
    return bins;
  }

  /**
   * Returns the shape of the output.
   *
   * @param input shape of an input of rank 2
   * @return N × (C·Σn²) × 1 × 1, in the layout of the input
   * @throws IllegalArgumentException if the input is of another rank, or the length overflows
   */
  public Shape outputShape(Shape input) {
    Objects.requireNonNull(input, "input");
    if (input.spatialRank() != 2) {
      throw new IllegalArgumentException(
          "x is of rank "
              + input.spatialRank()
              + ", "
              + input
              + "; a spatial pyramid is over planes, of rank 2");
    }
    try {
      long binCount = 0;
      for (long level : levels) {
        binCount = Math.addExact(binCount, level * level);
      }
      long length = Math.multiplyExact(input.channels(), binCount);
      return Shape.of(input.layout(), input.batch(), length, 1, 1);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "levels are "
              + join(levels)
              + "; the vector of "
              + input
              + " must have less than 2^63 elements",
          e);
    }
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input of rank 2, {@link DType#F32}
   * @param arena owner of the output's memory
   * @return output of {@link #outputShape}
   * @throws IllegalArgumentException if the input has another rank or type, or {@link Bins#SPPNET}
   *     does not give the bins of a level at its size
   */
  public Tensor forward(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape()));
    forward(x, out);
    return out;
  }

  /**
   * Pools a tensor into an existing one; allocates nothing on the Java heap.
   *
   * @param x input of rank 2, {@link DType#F32}
   * @param out output of {@link #outputShape}; overwritten
   * @throws IllegalArgumentException if the input has another rank or type, {@link Bins#SPPNET}
   *     does not give the bins of a level at its size, or {@code out} has another type or shape, is
   *     read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_spp_forward(
            x.descriptor(),
            x.segment(),
            pyramid,
            out.descriptor(),
            out.writable("out"),
            MemorySegment.NULL,
            MemorySegment.NULL));
  }

  /**
   * Pools a tensor into a new one and records where the maxima were.
   *
   * @param x input of rank 2, {@link DType#F32}
   * @param arena owner of the memory of output and mask
   * @return output of {@link #outputShape} and the positions of its maxima
   * @throws IllegalArgumentException if this is a pyramid of means, the input has another rank or
   *     type, a plane of it has more than 2^31 - 1 elements, or {@link Bins#SPPNET} does not give
   *     the bins of a level at its size
   */
  public Result forwardWithMask(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape()));
    Tensor mask = Tensor.allocate(arena, DType.I32, out.shape());
    forwardWithMask(x, out, mask);
    return new Result(out, mask);
  }

  /**
   * Pools a tensor into an existing one and records where the maxima were; allocates nothing on the
   * Java heap.
   *
   * @param x input of rank 2, {@link DType#F32}
   * @param out output of {@link #outputShape}; overwritten
   * @param mask {@link DType#I32}, of {@link #outputShape}; overwritten
   * @throws IllegalArgumentException as {@link #forwardWithMask(Tensor, Arena)} and {@link
   *     #forward(Tensor, Tensor)}
   */
  public void forwardWithMask(Tensor x, Tensor out, Tensor mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(mask, "mask");
    Status.check(
        featurepool_h.fpool_spp_forward(
            x.descriptor(),
            x.segment(),
            pyramid,
            out.descriptor(),
            out.writable("out"),
            mask.descriptor(),
            mask.writable("mask")));
  }

  /**
   * Routes the gradient of maxima to where they were, into a new tensor.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param mask the mask of the forward call
   * @param inputShape shape of the forward call's input
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input: at every element, the sum of the gradients of the bins whose
   *     maximum it was
   * @throws IllegalArgumentException if this is a pyramid of means, or a type or shape is not that
   *     of the forward call
   * @throws IndexOutOfBoundsException if an entry of the mask is no position within a plane
   */
  public Tensor backward(Tensor gradient, Tensor mask, Shape inputShape, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), inputShape);
    backward(gradient, mask, inputGradient);
    return inputGradient;
  }

  /**
   * Routes the gradient of maxima to where they were, into an existing tensor; allocates nothing on
   * the Java heap.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param mask the mask of the forward call
   * @param inputGradient of the shape of the forward call's input; overwritten
   * @throws IllegalArgumentException as {@link #backward(Tensor, Tensor, Shape, Arena)}, or if
   *     {@code inputGradient} is read-only or overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position within a plane
   */
  public void backward(Tensor gradient, Tensor mask, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_spp_backward(
            gradient.descriptor(),
            gradient.segment(),
            mask.descriptor(),
            mask.segment(),
            pyramid,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Spreads the gradient of means over their bins, into a new tensor.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param inputShape shape of the forward call's input
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input: at every element, the sum of gradient / elements over the bins
   *     that hold it
   * @throws IllegalArgumentException if this is a pyramid of maxima, whose gradient needs a mask,
   *     or a type or shape is not that of the forward call
   */
  public Tensor backward(Tensor gradient, Shape inputShape, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), inputShape);
    backward(gradient, inputGradient);
    return inputGradient;
  }

  /**
   * Spreads the gradient of means over their bins, into an existing tensor; allocates nothing on
   * the Java heap.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param inputGradient of the shape of the forward call's input; overwritten
   * @throws IllegalArgumentException as {@link #backward(Tensor, Shape, Arena)}, or if {@code
   *     inputGradient} is read-only or overlaps {@code gradient}
   */
  public void backward(Tensor gradient, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_spp_backward(
            gradient.descriptor(),
            gradient.segment(),
            MemorySegment.NULL,
            MemorySegment.NULL,
            pyramid,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares levels, bins and reducer.
   *
   * @param other another object
   * @return whether it is the same pyramid
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof SpatialPyramidPool pool
        && Arrays.equals(levels, pool.levels)
        && bins == pool.bins
        && average == pool.average;
  }

  @Override
  public int hashCode() {
    return Objects.hash(Arrays.hashCode(levels), bins, average);
  }

  /**
   * Returns the operator, its levels and bins.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "spatial pyramid of "
        + (average ? "means" : "maxima")
        + ", levels "
        + join(levels)
        + ", "
        + (bins == Bins.ADAPTIVE ? "adaptive" : "SPPNet")
        + " bins";
  }
}
