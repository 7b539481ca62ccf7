package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.Collectors;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * The SPP block of YOLOv3-SPP: max pools of several odd kernels, at stride 1 and padded to the size
 * of the input, joined with the input along the channels.
 *
 * <p>The output is N × (kernels + 1)·C × H × W: the pool of the largest kernel first, that of the
 * smallest last but one, the input last, as the block's {@code [route] layers=-1,-3,-5,-6} has it
 * for kernels of 5, 9 and 13. One pass makes all of it: at stride 1 a pool of 9 is one of 5 over
 * one of 5. The values are those of separate {@link MaxPool}s, bit for bit: ties, NaN and -inf
 * included.
 *
 * <p>Backward: the gradient of the joined input, plus that of every maximum at its position; kernel
 * by kernel in the order of the output. Gradients of {@link DType#F16} are added in f32 and rounded
 * once.
 *
 * <p>Source: the SPP section of Darknet's {@code yolov3-spp.cfg}; seed 004.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class SppBlock {
  private static final long LARGEST_COMPACT = 15;

  private final long[] kernels;
  private final MemorySegment block;

  /**
   * The outcome of a pooling with positions.
   *
   * @param output the joined tensor
   * @param mask the position of every maximum, N × kernels·C × H × W in the order of the output:
   *     {@link DType#U8}, within its window, if no kernel exceeds 15; else {@link DType#I32},
   *     within its plane. As the {@link Mask} of a {@link MaxPool} of each kernel has it.
   */
  public record Result(Tensor output, Tensor mask) {}

  private SppBlock(long[] kernels) {
    this.kernels = kernels;
    NativeLibrary.verifyAvailable();
    this.block = Descriptors.sppBlock(Arena.ofAuto(), kernels).asReadOnly();
  }

  /**
   * Makes the operator.
   *
   * @param kernels different odd kernels, each at least 3 and less than 2^31, in any order; 5, 9,
   *     13 in YOLOv3-SPP
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are none, or one is even, repeated or out of range
   */
  public static SppBlock of(long... kernels) {
    if (Objects.requireNonNull(kernels, "kernels").length == 0) {
      throw new IllegalArgumentException("kernels are none; there must be at least one");
    }
    long[] sorted = kernels.clone();
    Arrays.sort(sorted);
    for (int i = 0; i < sorted.length; i++) {
      long kernel = sorted[i];
      if (kernel < 3 || kernel > Integer.MAX_VALUE || kernel % 2 == 0) {
        throw new IllegalArgumentException(
            "kernels are "
                + join(kernels)
                + ", with "
                + kernel
                + "; each must be odd, at least 3 and at most "
                + Integer.MAX_VALUE);
      }
      if (i > 0 && kernel == sorted[i - 1]) {
        throw new IllegalArgumentException(
            "kernels are "
                + join(kernels)
                + ", with "
                + kernel
                + " repeated; each must differ from the others");
      }
    }
    return new SppBlock(sorted);
  }

  private static String join(long[] values) {
    return Arrays.stream(values).mapToObj(Long::toString).collect(Collectors.joining(", "));
  }

  /**
   * Returns the kernels.
   *
   * @return the kernels, ascending
   */
  public long[] kernels() {
    return kernels.clone();
  }

  /**
   * Returns the shape of the output.
   *
   * @param input shape of an input of rank 2
   * @return N × (kernels + 1)·C × H × W, in the layout of the input
   * @throws IllegalArgumentException if the input is of another rank, or the size overflows
   */
  public Shape outputShape(Shape input) {
    return withGroups(input, kernels.length + 1);
  }

  /**
   * Returns the shape of the mask.
   *
   * @param input shape of an input of rank 2
   * @return N × kernels·C × H × W, in the layout of the input
   * @throws IllegalArgumentException if the input is of another rank, or the size overflows
   */
  public Shape maskShape(Shape input) {
    return withGroups(input, kernels.length);
  }

  /**
   * Returns the type of the mask's entries.
   *
   * @return {@link DType#U8} if no kernel exceeds 15, else {@link DType#I32}
   */
  public DType maskType() {
    return kernels[kernels.length - 1] <= LARGEST_COMPACT ? DType.U8 : DType.I32;
  }

  private static Shape withGroups(Shape input, long groups) {
    Objects.requireNonNull(input, "input");
    if (input.spatialRank() != 2) {
      throw new IllegalArgumentException(
          "x is of rank "
              + input.spatialRank()
              + ", "
              + input
              + "; an SPP block is over planes, of rank 2");
    }
    long channels;
    try {
      channels = Math.multiplyExact(input.channels(), groups);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "x is " + input + "; " + groups + " times its channels must be less than 2^63", e);
    }
    return Shape.of(input.layout(), input.batch(), channels, input.spatial(0), input.spatial(1));
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input of rank 2: {@link DType#F32}, {@link DType#F16} or {@link DType#U8}
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape}
   * @throws IllegalArgumentException if the input has another rank or type
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
   * @param x input of rank 2: {@link DType#F32}, {@link DType#F16} or {@link DType#U8}
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @throws IllegalArgumentException if the input has another rank or type, or {@code out} has
   *     another type or shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_spp_block_forward(
            x.descriptor(),
            x.segment(),
            block,
            out.descriptor(),
            out.writable("out"),
            MemorySegment.NULL,
            MemorySegment.NULL));
  }

  /**
   * Pools a tensor into a new one and records where the maxima were.
   *
   * @param x input of rank 2: {@link DType#F32}, {@link DType#F16} or {@link DType#U8}
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link #outputShape}, and the positions of its maxima
   * @throws IllegalArgumentException if the input has another rank or type, or a kernel exceeds 15
   *     and a plane has more than 2^31 - 1 elements
   */
  public Result forwardWithMask(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape()));
    Tensor mask = Tensor.allocate(arena, maskType(), maskShape(x.shape()));
    forwardWithMask(x, out, mask);
    return new Result(out, mask);
  }

  /**
   * Pools a tensor into an existing one and records where the maxima were; allocates nothing on the
   * Java heap.
   *
   * @param x input of rank 2: {@link DType#F32}, {@link DType#F16} or {@link DType#U8}
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @param mask {@link DType#U8} (if no kernel exceeds 15) or {@link DType#I32}, of {@link
   *     #maskShape}; overwritten
   * @throws IllegalArgumentException if the input has another rank or type, or an output has
   *     another type or shape, is read-only or overlaps another tensor
   */
  public void forwardWithMask(Tensor x, Tensor out, Tensor mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(mask, "mask");
    Status.check(
        featurepool_h.fpool_spp_block_forward(
            x.descriptor(),
            x.segment(),
            block,
            out.descriptor(),
            out.writable("out"),
            mask.descriptor(),
            mask.writable("mask")));
  }

  /**
   * Expands a mask to flat indices.
   *
   * @param mask the mask of a forward call
   * @param arena owner of the indices' memory
   * @return {@link DType#I64} of the mask's shape: the row times the width plus the column of every
   *     maximum in its plane
   * @throws IllegalArgumentException if the mask is not of the type and shape of a forward call of
   *     these kernels
   */
  public Tensor indices(Tensor mask, Arena arena) {
    Shape shape = Objects.requireNonNull(mask, "mask").shape();
    if (mask.dtype() != maskType()
        || shape.spatialRank() != 2
        || shape.channels() % kernels.length != 0) {
      throw new IllegalArgumentException(
          String.format(
              "mask is %s of %s; it must be of rank 2, %s, with a multiple of %d channels",
              mask.dtype(), shape, maskType(), kernels.length));
    }
    Tensor indices = Tensor.allocate(arena, DType.I64, shape);
    for (long n = 0; n < shape.batch(); n++) {
      for (long c = 0; c < shape.channels(); c++) {
        // The largest kernel comes first.
        long group = c / (shape.channels() / kernels.length);
        long kernel = kernels[kernels.length - 1 - (int) group];
        for (long h = 0; h < shape.spatial(0); h++) {
          for (long w = 0; w < shape.spatial(1); w++) {
            long entry = (long) mask.get(n, c, h, w);
            if (mask.dtype() == DType.U8) {
              long row = h - kernel / 2 + entry / kernel;
              long column = w - kernel / 2 + entry % kernel;
              entry = row * shape.spatial(1) + column;
            }
            indices.set(entry, n, c, h, w);
          }
        }
      }
    }
    return indices;
  }

  /**
   * Joins the gradient of the input and those of the maxima, into a new tensor.
   *
   * @param gradient gradient of the output, {@link DType#F32} or {@link DType#F16}
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type
   * @throws IllegalArgumentException if {@code gradient} or {@code mask} are not of the types and
   *     shapes of a forward call of these kernels
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public Tensor backward(Tensor gradient, Tensor mask, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Shape joined = gradient.shape();
    long groups = kernels.length + 1;
    if (joined.spatialRank() != 2 || joined.channels() % groups != 0) {
      throw new IllegalArgumentException(
          "gradient is "
              + joined
              + "; it must be of rank 2, with a multiple of "
              + groups
              + " channels: one for each of "
              + kernels.length
              + " kernels and one for the input");
    }
    Tensor inputGradient =
        Tensor.allocate(
            arena,
            gradient.dtype(),
            Shape.of(
                joined.layout(),
                joined.batch(),
                joined.channels() / groups,
                joined.spatial(0),
                joined.spatial(1)));
    backward(gradient, mask, inputGradient);
    return inputGradient;
  }

  /**
   * Joins the gradient of the input and those of the maxima, into an existing tensor; allocates
   * nothing on the Java heap.
   *
   * @param gradient gradient of the output, {@link DType#F32} or {@link DType#F16}
   * @param mask the mask of the forward call
   * @param inputGradient of the gradient's type and the shape of the forward call's input;
   *     overwritten
   * @throws IllegalArgumentException if {@code gradient} or {@code mask} are not of the types and
   *     shapes of a forward call, or {@code inputGradient} has another type, is read-only or
   *     overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public void backward(Tensor gradient, Tensor mask, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_spp_block_backward(
            gradient.descriptor(),
            gradient.segment(),
            mask.descriptor(),
            mask.segment(),
            block,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares kernels.
   *
   * @param other another object
   * @return whether it is a block of the same kernels
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof SppBlock that && Arrays.equals(kernels, that.kernels);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(kernels);
  }

  /**
   * Returns the operator and its kernels.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "SPP block of kernels " + join(kernels);
  }
}
