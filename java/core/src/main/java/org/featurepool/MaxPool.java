package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Max pooling: the maximum of every window.
 *
 * <p>Padding never wins: it counts as not there. Ties go to the first tap in row-major order of the
 * window. A window with a NaN gives NaN (the last one in row-major order). A window that holds no
 * element of the input, possible with dilation, gives -inf, or 0 for {@link DType#U8}. The results,
 * mask included, are the same bit for bit in every layout, with every number of threads and every
 * instruction set.
 *
 * <p>Source: seeds 000 to 004; the mask and the backward pass are those of seed 002's {@code
 * MaxPool2D}, except that gradients accumulate where windows overlap (seed 003).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MaxPool {
  private final Window window;

  /**
   * The outcome of a pooling with positions.
   *
   * @param output the maxima
   * @param mask where they were found
   */
  public record Result(Tensor output, Mask mask) {}

  private MaxPool(Window window) {
    this.window = window;
  }

  /**
   * Makes the operator.
   *
   * @param window the window
   * @return an operator that may be shared between threads
   */
  public static MaxPool of(Window window) {
    Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
    return new MaxPool(window);
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
   * Pools a tensor into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#U8}, of the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Window#outputShape}
   * @throws IllegalArgumentException if the window does not fit the input or the type is another
   */
  public Tensor forward(Tensor x, Arena arena) {
    Tensor out = output(x, arena);
    forward(x, out);
    return out;
  }

  /**
   * Pools a tensor into an existing one; allocates nothing.
   *
   * @param x input, {@link DType#F32} or {@link DType#U8}, of the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     {@code out} has another type or shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_max_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            out.descriptor(),
            out.writable("out"),
            MemorySegment.NULL,
            MemorySegment.NULL));
  }

  /**
   * Pools a tensor into a new one and records where the maxima are.
   *
   * @param x input, {@link DType#F32} or {@link DType#U8}, of the window's rank
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link Window#outputShape}, and its mask in the smallest
   *     format
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     the window has more than 255 taps and a plane more than 2^31 - 1 elements
   */
  public Result forwardWithMask(Tensor x, Arena arena) {
    Tensor out = output(x, arena);
    Mask mask = Mask.allocate(arena, window, x.shape());
    forwardWithMask(x, out, mask);
    return new Result(out, mask);
  }

  /**
   * Pools a tensor into an existing one and records where the maxima are; allocates nothing.
   *
   * @param x input, {@link DType#F32} or {@link DType#U8}, of the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @param mask a mask of this window and the input's shape; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another,
   *     {@code out} has another type or shape, {@code mask} is of another window or input shape, or
   *     an output is read-only or overlaps another tensor
   */
  public void forwardWithMask(Tensor x, Tensor out, Mask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(mask, "mask").checkBelongsTo(window, x.shape(), "x");
    Status.check(
        featurepool_h.fpool_max_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            out.descriptor(),
            out.writable("out"),
            mask.tensor().descriptor(),
            mask.tensor().writable("mask")));
  }

  /**
   * Routes the gradient of the output to the maxima, into a new tensor.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, {@link DType#F32}, of {@link Mask#inputShape()}: at every
   *     element, the sum of the gradients of the outputs that it was the maximum of
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
   * Routes the gradient of the output to the maxima, into an existing tensor; allocates nothing on
   * the Java heap.
   *
   * @param gradient gradient of the output, {@link DType#F32}
   * @param mask the mask of the forward call
   * @param inputGradient gradient of the input, {@link DType#F32}, of {@link Mask#inputShape()};
   *     overwritten: at every element, the sum of the gradients of the outputs that it was the
   *     maximum of
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

  private Tensor output(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    return Tensor.allocate(arena, x.dtype(), window.outputShape(x.shape()));
  }

  /**
   * Compares windows.
   *
   * @param other another object
   * @return whether it is a max pooling of the same window
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof MaxPool pool && window.equals(pool.window);
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
    return "max pooling, " + window;
  }
}
