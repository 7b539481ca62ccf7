package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Stochastic pooling of activations {@code a >= 0}: with {@code S} the sum of a window's elements,
 * {@code p_i = a_i / S}.
 *
 * <p>In training one element per window is drawn, element i with probability {@code p_i}; it is the
 * output, its place is recorded in a mask, and the gradient goes there alone. In inference the
 * output is the expectation, {@code sum of p_i a_i}, whose gradient is {@code (2 a_j - y) / S}.
 *
 * <p>The random number of a window is made from the seed and the window's logical position (image,
 * channel, row, column) by Philox4x32-10, so the same seed draws the same elements in both layouts,
 * with every number of threads and every instruction set. Take another seed in every step of a
 * training.
 *
 * <p>For {@link DType#F32} and {@link DType#F64}; sums are of f64. Padding counts as not there. A
 * window whose elements are all 0 gives 0, and in training its first element; a window that holds
 * no element of the input, possible with dilation, gives 0. An input that is negative, infinite or
 * NaN is an error that names its position and value.
 *
 * <p>Source: M. D. Zeiler and R. Fergus, <i>Stochastic Pooling for Regularization of Deep
 * Convolutional Neural Networks</i> (2013), and seed 004; random numbers: J. K. Salmon, M. A.
 * Moraes, R. O. Dror and D. E. Shaw, <i>Parallel Random Numbers: As Easy as 1, 2, 3</i> (2011).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class StochasticPool {
  private static final long NO_SEED = 0;

  private final Window window;
  private final MemorySegment inference;

  /**
   * The outcome of a pooling in training.
   *
   * @param output the elements drawn
   * @param mask where they are
   */
  public record Result(Tensor output, Mask mask) {}

  private StochasticPool(Window window) {
    this.window = window;
    this.inference = Descriptors.stochastic(Arena.ofAuto(), NO_SEED, false).asReadOnly();
  }

  /**
   * Makes the operator.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static StochasticPool of(Window window) {
    Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
    return new StochasticPool(window);
  }

  /**
   * Returns the window.
   *
   * @return the window
   */
  public Window window() {
    return window;
  }

  /**
   * Draws an element of every window, into a new tensor.
   *
   * @param x activations, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param seed any number; the same one draws the same elements
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link Window#outputShape}, and its mask in the smallest
   *     format
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, an
   *     element of {@code x} is negative, infinite or NaN, or the window has more than 255 taps and
   *     a plane more than 2^31 - 1 elements
   */
  public Result forwardTraining(Tensor x, long seed, Arena arena) {
    Tensor out = output(x, arena);
    Mask mask = Mask.allocate(arena, window, x.shape());
    forwardTraining(x, seed, out, mask);
    return new Result(out, mask);
  }

  /**
   * Draws an element of every window, into an existing tensor.
   *
   * @param x activations, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param seed any number; the same one draws the same elements
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @param mask a mask of this window and the input's shape; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, an
   *     element of {@code x} is negative, infinite or NaN, {@code out} has another type or shape,
   *     {@code mask} is of another window or input shape, or an output is read-only or overlaps
   *     another tensor
   */
  public void forwardTraining(Tensor x, long seed, Tensor out, Mask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(mask, "mask").checkBelongsTo(window, x.shape(), "x");
    try (Arena scratch = Arena.ofConfined()) {
      Status.check(
          featurepool_h.fpool_stochastic_forward(
              x.descriptor(),
              x.segment(),
              window.descriptor(),
              Descriptors.stochastic(scratch, seed, true),
              out.descriptor(),
              out.writable("out"),
              mask.tensor().descriptor(),
              mask.tensor().writable("mask")));
    }
  }

  /**
   * Gives the expectation of every window, into a new tensor: pooling in inference.
   *
   * @param x activations, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Window#outputShape}
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     an element of {@code x} is negative, infinite or NaN
   */
  public Tensor forward(Tensor x, Arena arena) {
    Tensor out = output(x, arena);
    forward(x, out);
    return out;
  }

  /**
   * Gives the expectation of every window, into an existing tensor: pooling in inference; allocates
   * nothing.
   *
   * @param x activations, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, an
   *     element of {@code x} is negative, infinite or NaN, or {@code out} has another type or
   *     shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_stochastic_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            inference,
            out.descriptor(),
            out.writable("out"),
            MemorySegment.NULL,
            MemorySegment.NULL));
  }

  /**
   * Routes the gradient of the output of a training step to the elements drawn, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type and {@link Mask#inputShape()}: at every
   *     element, the sum of the gradients of the outputs that it was drawn for
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     or {@code mask} is of another window
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public Tensor backward(Tensor gradient, Mask mask, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), mask.inputShape());
    backward(gradient, mask, inputGradient);
    return inputGradient;
  }

  /**
   * Routes the gradient of the output of a training step to the elements drawn, into an existing
   * tensor; allocates nothing on the Java heap.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param inputGradient gradient of the input, of the gradient's type and {@link
   *     Mask#inputShape()}; overwritten
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     {@code mask} is of another window or input, or {@code inputGradient} has another type, is
   *     read-only or overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public void backward(Tensor gradient, Mask mask, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(inputGradient, "inputGradient");
    mask.checkBelongsTo(window, inputGradient.shape(), "inputGradient");
    Status.check(
        featurepool_h.fpool_route_backward(
            gradient.descriptor(),
            gradient.segment(),
            mask.tensor().descriptor(),
            mask.tensor().segment(),
            window.descriptor(),
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Gives the gradient of the expectation, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param x the input of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of its type and shape: at every element a, the sum of {@code
   *     gradient (2 a - y) / S} over the windows that hold it and whose sum S is not 0
   * @throws IllegalArgumentException if the window does not fit {@code x}, an element of {@code x}
   *     is negative, infinite or NaN, or {@code gradient} has another type or shape than the output
   */
  public Tensor backwardInference(Tensor gradient, Tensor x, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Tensor inputGradient = Tensor.allocate(arena, x.dtype(), x.shape());
    backwardInference(gradient, x, inputGradient);
    return inputGradient;
  }

  /**
   * Gives the gradient of the expectation, into an existing tensor; allocates nothing on the Java
   * heap.
   *
   * @param gradient gradient of the output
   * @param x the input of the forward call
   * @param inputGradient gradient of the input, of its type and shape; overwritten
   * @throws IllegalArgumentException if the window does not fit {@code x}, an element of {@code x}
   *     is negative, infinite or NaN, {@code gradient} has another type or shape than the output,
   *     or {@code inputGradient} has another type or shape than {@code x}, is read-only or overlaps
   *     another tensor
   */
  public void backwardInference(Tensor gradient, Tensor x, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_stochastic_backward(
            gradient.descriptor(),
            gradient.segment(),
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  private Tensor output(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    return Tensor.allocate(arena, x.dtype(), window.outputShape(x.shape()));
  }

  /**
   * Compares windows.
   *
   * @param other another object
   * @return whether it is a stochastic pooling of the same window
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof StochasticPool pool && window.equals(pool.window);
  }

  @Override
  public int hashCode() {
    return window.hashCode();
  }

  /**
   * Returns the operator and its window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "stochastic pooling, " + window;
  }
}
