package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * What {@link MaxPool}, {@link MinPool} and {@link MedianPool} have in common: a pooling whose
 * every output is one element of its window. A {@link Mask} records which, and the gradient goes
 * there.
 *
 * <p>Backward: {@code dx[mask] += dy}, zero elsewhere; gradients of {@link DType#F16} and {@link
 * DType#BF16} are added in f32 and rounded once.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public abstract sealed class SelectingPool permits MaxPool, MedianPool, MinPool {
  private final Window window;

  /**
   * The outcome of a pooling with positions.
   *
   * @param output the selected elements
   * @param mask where they were found
   */
  public record Result(Tensor output, Mask mask) {}

  SelectingPool(Window window) {
    this.window = Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
  }

  /** The native forward call. */
  abstract int select(
      MemorySegment x,
      MemorySegment xData,
      MemorySegment window,
      MemorySegment y,
      MemorySegment yData,
      MemorySegment mask,
      MemorySegment maskData);

  /**
   * Returns the window.
   *
   * @return the window
   */
  public final Window window() {
    return window;
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input, of the operator's types and the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Window#outputShape}
   * @throws IllegalArgumentException if the window does not fit the input or the type is another
   */
  public final Tensor forward(Tensor x, Arena arena) {
    Tensor out = output(x, arena);
    forward(x, out);
    return out;
  }

  /**
   * Pools a tensor into an existing one; allocates nothing.
   *
   * @param x input, of the operator's types and the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     {@code out} has another type or shape, is read-only or overlaps {@code x}
   */
  public final void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        select(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            out.descriptor(),
            out.writable("out"),
            MemorySegment.NULL,
            MemorySegment.NULL));
  }

  /**
   * Pools a tensor into a new one and records which elements were selected.
   *
   * @param x input, of the operator's types and the window's rank
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link Window#outputShape}, and its mask in the smallest
   *     format
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     the window has more than 255 taps and a plane more than 2^31 - 1 elements
   */
  public final Result forwardWithMask(Tensor x, Arena arena) {
    Tensor out = output(x, arena);
    Mask mask = Mask.allocate(arena, window, x.shape());
    forwardWithMask(x, out, mask);
    return new Result(out, mask);
  }

  /**
   * Pools a tensor into an existing one and records which elements were selected; allocates
   * nothing.
   *
   * @param x input, of the operator's types and the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @param mask a mask of this window and the input's shape; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another,
   *     {@code out} has another type or shape, {@code mask} is of another window or input shape, or
   *     an output is read-only or overlaps another tensor
   */
  public final void forwardWithMask(Tensor x, Tensor out, Mask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(mask, "mask").checkBelongsTo(window, x.shape(), "x");
    Status.check(
        select(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            out.descriptor(),
            out.writable("out"),
            mask.tensor().descriptor(),
            mask.tensor().writable("mask")));
  }

  /**
   * Routes the gradient of the output to the selected elements, into a new tensor.
   *
   * @param gradient gradient of the output, of a floating-point type
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type and {@link Mask#inputShape()}: at every
   *     element, the sum of the gradients of the outputs that it was selected for
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     or {@code mask} is of another window
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public final Tensor backward(Tensor gradient, Mask mask, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), mask.inputShape());
    backward(gradient, mask, inputGradient);
    return inputGradient;
  }

  /**
   * Routes the gradient of the output to the selected elements, into an existing tensor; allocates
   * nothing on the Java heap.
   *
   * @param gradient gradient of the output, of a floating-point type
   * @param mask the mask of the forward call
   * @param inputGradient gradient of the input, of the gradient's type and {@link
   *     Mask#inputShape()}; overwritten: at every element, the sum of the gradients of the outputs
   *     that it was selected for
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     {@code mask} is of another window or input, or {@code inputGradient} has another type, is
   *     read-only or overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its window or plane
   */
  public final void backward(Tensor gradient, Mask mask, Tensor inputGradient) {
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
   * Compares operators.
   *
   * @param other another object
   * @return whether it is the same pooling of the same window
   */
  @Override
  public final boolean equals(Object other) {
    return other instanceof SelectingPool pool
        && getClass() == pool.getClass()
        && window.equals(pool.window);
  }

  @Override
  public final int hashCode() {
    return Objects.hash(getClass(), window);
  }
}
