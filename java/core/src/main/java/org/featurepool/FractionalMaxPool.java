package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Fractional max pooling: the maximum of windows of one size at pseudo-random places, so that the
 * output can have any extents and not only fractions of the input's.
 *
 * <p>Along an axis of input I, kernel k and output O, with a number u of [0, 1) and {@code alpha =
 * (I − k)/(O − 1)}, window o starts at {@code floor((o + u)·alpha) − floor(u·alpha)} and the last
 * one at {@code I − k}. Every channel of every image has numbers of its own: drawn from a seed
 * (Philox4x32-10; the same for both layouts and types and any number of threads), or given. The
 * starts are computed in the type of the tensor, so {@link DType#F32} samples give the very windows
 * of PyTorch; its order of the samples is W, H for two axes, while here the outermost comes first.
 *
 * <p>Ties and NaN are those of {@link MaxPool}.
 *
 * <p>Source: B. Graham, "Fractional Max-Pooling", 2014; the formula is PyTorch's.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class FractionalMaxPool {
  private static final long NO_SEED = 0;

  private final long[] kernel;
  private final long[] output;
  private final MemorySegment descriptor;

  /**
   * The outcome of a pooling.
   *
   * @param output the maxima
   * @param mask where they were found
   */
  public record Result(Tensor output, PositionMask mask) {}

  private FractionalMaxPool(long[] kernel, long[] output) {
    this.kernel = kernel;
    this.output = output;
    this.descriptor = Descriptors.fractional(Arena.ofAuto(), kernel, output).asReadOnly();
  }

  /**
   * Makes the operator.
   *
   * @param kernel extents of the windows, H and W or D, H and W, each at least 1
   * @param output extents of the output, as many, each at least 1
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are not two or three of each, or one is less than 1
   */
  public static FractionalMaxPool of(long[] kernel, long[] output) {
    Objects.requireNonNull(kernel, "kernel");
    Objects.requireNonNull(output, "output");
    if (kernel.length < 2 || kernel.length > 3) {
      throw new IllegalArgumentException(
          "kernel has " + kernel.length + " extents; it must have 2 (H, W) or 3 (D, H, W)");
    }
    if (output.length != kernel.length) {
      throw new IllegalArgumentException(
          "output has "
              + output.length
              + " extents; it must have as many as the kernel, "
              + kernel.length);
    }
    for (int i = 0; i < kernel.length; i++) {
      checkPositive("kernel", kernel[i], i);
      checkPositive("output", output[i], i);
    }
    NativeLibrary.verifyAvailable();
    return new FractionalMaxPool(kernel.clone(), output.clone());
  }

  private static void checkPositive(String name, long value, int axis) {
    if (value < 1) {
      throw new IllegalArgumentException(
          name + " is " + value + " in axis " + axis + "; it must be at least 1");
    }
  }

  /**
   * Returns the number of spatial axes.
   *
   * @return 2 or 3
   */
  public int rank() {
    return kernel.length;
  }

  /**
   * Returns the shape of the output for an input.
   *
   * @param input shape of the input, of this operator's rank
   * @return its batch, channels and layout with this operator's output extents
   * @throws IllegalArgumentException if the input has another rank
   */
  public Shape outputShape(Shape input) {
    checkRank(input);
    long[] extents = input.extents();
    System.arraycopy(output, 0, extents, 2, output.length);
    return Shape.of(input.layout(), extents);
  }

  /**
   * Returns the shape of the samples for an input.
   *
   * @param input shape of the input, of this operator's rank
   * @return N x C x rank, planar: a number per spatial axis, the outermost first
   * @throws IllegalArgumentException if the input has another rank
   */
  public Shape samplesShape(Shape input) {
    checkRank(input);
    return Shape.ncw(input.batch(), input.channels(), rank());
  }

  private void checkRank(Shape input) {
    if (Objects.requireNonNull(input, "input").spatialRank() != rank()) {
      throw new IllegalArgumentException(
          "input is " + input + "; " + this + " needs " + rank() + " spatial axes");
    }
  }

  /**
   * Makes a mask to be filled by a call.
   *
   * @param arena owner of the mask's memory
   * @param input shape of the input
   * @return a mask of the output's extents
   * @throws IllegalArgumentException if the input has another rank
   */
  public PositionMask allocateMask(Arena arena, Shape input) {
    return new PositionMask(Tensor.allocate(arena, DType.I32, outputShape(input)), input);
  }

  /**
   * Pools a tensor with windows drawn from a seed, into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param seed any number; the same one gives the same windows
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link #outputShape}, and its mask
   * @throws IllegalArgumentException if kernel or output do not fit the input (output + kernel − 1
   *     exceeds its extent), or it has another type or rank
   */
  public Result forward(Tensor x, long seed, Arena arena) {
    Result result = result(x, arena);
    run(x, null, seed, result.output, result.mask);
    return result;
  }

  /**
   * Pools a tensor with windows drawn from a seed, into an existing one; allocates nothing.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param seed any number; the same one gives the same windows
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @throws IllegalArgumentException if kernel or output do not fit the input, a type or shape is
   *     another, or {@code out} is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, long seed, Tensor out) {
    run(x, null, seed, out, null);
  }

  /**
   * Pools a tensor with windows drawn from a seed, into an existing one, and records where the
   * maxima are; allocates nothing.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param seed any number; the same one gives the same windows
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @param mask a mask of {@link #allocateMask}; overwritten
   * @throws IllegalArgumentException if kernel or output do not fit the input, a type or shape is
   *     another, or an output is read-only or overlaps another tensor
   */
  public void forward(Tensor x, long seed, Tensor out, PositionMask mask) {
    run(x, null, seed, out, Objects.requireNonNull(mask, "mask"));
  }

  /**
   * Pools a tensor with given samples, into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param samples numbers of [0, 1), {@link DType#F32} or {@link DType#F64}, of {@link
   *     #samplesShape}
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link #outputShape}, and its mask
   * @throws IllegalArgumentException if kernel or output do not fit the input, a type or shape is
   *     another, or a sample is not at least 0 and less than 1
   */
  public Result forward(Tensor x, Tensor samples, Arena arena) {
    Result result = result(x, arena);
    run(x, Objects.requireNonNull(samples, "samples"), NO_SEED, result.output, result.mask);
    return result;
  }

  /**
   * Pools a tensor with given samples, into an existing one, and records where the maxima are;
   * allocates nothing.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param samples numbers of [0, 1), {@link DType#F32} or {@link DType#F64}, of {@link
   *     #samplesShape}
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @param mask a mask of {@link #allocateMask}; overwritten
   * @throws IllegalArgumentException if kernel or output do not fit the input, a type or shape is
   *     another, a sample is not at least 0 and less than 1, or an output is read-only or overlaps
   *     another tensor
   */
  public void forward(Tensor x, Tensor samples, Tensor out, PositionMask mask) {
    Objects.requireNonNull(samples, "samples");
    run(x, samples, NO_SEED, out, Objects.requireNonNull(mask, "mask"));
  }

  private Result result(Tensor x, Arena arena) {
    Shape input = Objects.requireNonNull(x, "x").shape();
    return new Result(
        Tensor.allocate(arena, x.dtype(), outputShape(input)), allocateMask(arena, input));
  }

  private void run(Tensor x, Tensor samples, long seed, Tensor out, PositionMask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    if (mask != null) {
      mask.checkBelongsTo(x.shape(), "x");
    }
    Status.check(
        featurepool_h.fpool_fractional_forward(
            x.descriptor(),
            x.segment(),
            descriptor,
            samples == null ? MemorySegment.NULL : samples.descriptor(),
            samples == null ? MemorySegment.NULL : samples.segment(),
            seed,
            out.descriptor(),
            out.writable("out"),
            mask == null ? MemorySegment.NULL : mask.tensor().descriptor(),
            mask == null ? MemorySegment.NULL : mask.tensor().writable("mask")));
  }

  /**
   * Routes the gradient of the output to the maxima, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type: at every element, the sum of the
   *     gradients of the outputs that it was the maximum of
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its plane
   */
  public Tensor backward(Tensor gradient, PositionMask mask, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), mask.inputShape());
    backward(gradient, mask, inputGradient);
    return inputGradient;
  }

  /**
   * Routes the gradient of the output to the maxima, into an existing tensor; allocates nothing on
   * the Java heap.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param inputGradient gradient of the input, of the gradient's type; overwritten
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     {@code mask} is of another input, or {@code inputGradient} has another type, is read-only
   *     or overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its plane
   */
  public void backward(Tensor gradient, PositionMask mask, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(inputGradient, "inputGradient");
    mask.checkBelongsTo(inputGradient.shape(), "inputGradient");
    Status.check(
        featurepool_h.fpool_fractional_backward(
            gradient.descriptor(),
            gradient.segment(),
            mask.tensor().descriptor(),
            mask.tensor().segment(),
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares kernels and outputs.
   *
   * @param other another object
   * @return whether it is a fractional pooling of the same kernel and output extents
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof FractionalMaxPool pool
        && Arrays.equals(kernel, pool.kernel)
        && Arrays.equals(output, pool.output);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(kernel) + Arrays.hashCode(output);
  }

  /**
   * Returns the operator, its kernel and its output extents.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "fractional max pooling " + Shape.join(kernel) + " to " + Shape.join(output);
  }
}
