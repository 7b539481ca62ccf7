package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Average pooling: the sum of every window's elements, divided.
 *
 * <p>The divisor is the number of taps inside the input; or, {@linkplain #withIncludePadding() with
 * padding included}, the number of taps inside the input and its padding (never those that ceil
 * mode hangs over the end); or {@linkplain #withDivisor a number of yours}. {@link DType#F32} and
 * {@link DType#F64} results are within 2 ulp·sqrt(k) of the exact ones for windows of k taps;
 * {@link DType#F16} and {@link DType#BF16} are summed in f32 and rounded once; sums of integers are
 * exact, and their quotients round half to even and saturate. A NaN stays inside the windows that
 * hold it. A window that holds no element of the input, possible with dilation, gives NaN, or 0 for
 * integers, unless its divisor is not 0.
 *
 * <p>Source: seeds 000, 001, 003 and 004; padding and divisor are PyTorch's {@code
 * count_include_pad} and {@code divisor_override}.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class AvgPool {
  private static final long NO_DIVISOR = 0;

  private final Window window;
  private final boolean includePadding;
  private final long divisor;
  private final MemorySegment average;

  private AvgPool(Window window, boolean includePadding, long divisor) {
    this.window = window;
    this.includePadding = includePadding;
    this.divisor = divisor;
    this.average = Descriptors.average(Arena.ofAuto(), includePadding, divisor).asReadOnly();
  }

  /**
   * Makes the operator, which divides by the number of taps inside the input.
   *
   * @param window the window
   * @return an operator that may be shared between threads
   */
  public static AvgPool of(Window window) {
    Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
    return new AvgPool(window, false, NO_DIVISOR);
  }

  /**
   * Counts taps in the padding too, as zeros.
   *
   * @return this operator with padding included
   */
  public AvgPool withIncludePadding() {
    return new AvgPool(window, true, divisor);
  }

  /**
   * Divides by a fixed number instead of any count of taps.
   *
   * @param divisor the divisor of every window, at least 1
   * @return this operator with that divisor
   * @throws IllegalArgumentException if the divisor is less than 1
   */
  public AvgPool withDivisor(long divisor) {
    if (divisor < 1) {
      throw new IllegalArgumentException("divisor is " + divisor + "; it must be at least 1");
    }
    return new AvgPool(window, includePadding, divisor);
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
   * @param x input, any type but {@link DType#I32} and {@link DType#I64}, of the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Window#outputShape}
   * @throws IllegalArgumentException if the window does not fit the input or the type is another
   */
  public Tensor forward(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), window.outputShape(x.shape()));
    forward(x, out);
    return out;
  }

  /**
   * Pools a tensor into an existing one; allocates nothing.
   *
   * @param x input, any type but {@link DType#I32} and {@link DType#I64}, of the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     {@code out} has another type or shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_avg_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            average,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Spreads the gradient of the output over the windows, into a new tensor.
   *
   * @param gradient gradient of the output, of a floating-point type
   * @param inputShape shape of the forward call's input
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type and {@code inputShape}: at every element,
   *     the sum of gradient / divisor over the windows that hold it
   * @throws IllegalArgumentException if the window does not fit {@code inputShape}, or {@code
   *     gradient} has another type or shape than the output
   */
  public Tensor backward(Tensor gradient, Shape inputShape, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(inputShape, "inputShape");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), inputShape);
    backward(gradient, inputGradient);
    return inputGradient;
  }

  /**
   * Spreads the gradient of the output over the windows, into an existing tensor; allocates nothing
   * on the Java heap.
   *
   * @param gradient gradient of the output, of a floating-point type
   * @param inputGradient gradient of the input, of the gradient's type and the shape of the forward
   *     call's input; overwritten: at every element, the sum of gradient / divisor over the windows
   *     that hold it
   * @throws IllegalArgumentException if the window does not fit {@code inputGradient}, {@code
   *     gradient} has another type or shape than the output, or {@code inputGradient} is read-only
   *     or overlaps {@code gradient}
   */
  public void backward(Tensor gradient, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_avg_backward(
            gradient.descriptor(),
            gradient.segment(),
            window.descriptor(),
            average,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares windows and divisors.
   *
   * @param other another object
   * @return whether it is an average pooling of the same window and divisor
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof AvgPool pool
        && window.equals(pool.window)
        && includePadding == pool.includePadding
        && divisor == pool.divisor;
  }

  @Override
  public int hashCode() {
    return Objects.hash(window, includePadding, divisor);
  }

  /**
   * Returns the operator, its window and divisor.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    String by = includePadding ? "taps including padding" : "taps inside the input";
    return "average pooling by " + (divisor == NO_DIVISOR ? by : divisor) + ", " + window;
  }
}
