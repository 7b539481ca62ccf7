package org.featurepool;

import java.lang.foreign.Arena;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Lp pooling: the norm of every window's elements, {@code y = (sum of |x|^p)^(1/p)}, for p of 1 and
 * more; for p infinite, the largest {@code |x|}.
 *
 * <p>For {@link DType#F32} and {@link DType#F64}. Sums are of f64: F32 results are within 1 ulp of
 * the exact ones, F64 results within a relative error of 1e-12. Where a sum would overflow or lose
 * its digits it is taken of scaled elements, so a result overflows only if it is itself beyond the
 * type. Padding counts as not there; a NaN stays inside the windows that hold it; a window that
 * holds no element of the input, possible with dilation, gives 0.
 *
 * <p>The gradient is {@code g · sign(x) · (|x|/y)^(p-1)}, 0 where y is 0; for p infinite, {@code g
 * · sign(x)} at the first largest {@code |x|} of the window, as for a maximum.
 *
 * <p>Source: seed 004; P. Sermanet, S. Chintala and Y. LeCun, <i>Convolutional Neural Networks
 * Applied to House Numbers Digit Classification</i> (2012); PyTorch {@code LPPool2d}, ONNX {@code
 * LpPool}.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class LpPool {
  private final Window window;
  private final double p;

  private LpPool(Window window, double p) {
    this.window = window;
    this.p = p;
  }

  /**
   * Makes the operator.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @param p at least 1, or {@link Double#POSITIVE_INFINITY}
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if p is less than 1 or NaN
   */
  public static LpPool of(Window window, double p) {
    Objects.requireNonNull(window, "window");
    if (!(p >= 1)) {
      throw new IllegalArgumentException("p is " + p + "; it must be at least 1, or infinity");
    }
    NativeLibrary.verifyAvailable();
    return new LpPool(window, p);
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
   * Returns the exponent.
   *
   * @return p, at least 1
   */
  public double p() {
    return p;
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the window's rank
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
   * Pools a tensor into an existing one; allocates nothing on the Java heap.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param out output of the input's type and {@link Window#outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     {@code out} has another type or shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_lp_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            p,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Computes the gradient of the input, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param x the forward call's input
   * @param output the forward call's output
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of its type and shape
   * @throws IllegalArgumentException if the window does not fit {@code x}, or {@code gradient} or
   *     {@code output} has another type or shape than the output
   */
  public Tensor backward(Tensor gradient, Tensor x, Tensor output, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor inputGradient = Tensor.allocate(arena, x.dtype(), x.shape());
    backward(gradient, x, output, inputGradient);
    return inputGradient;
  }

  /**
   * Computes the gradient of the input, into an existing tensor; allocates nothing on the Java
   * heap.
   *
   * @param gradient gradient of the output
   * @param x the forward call's input
   * @param output the forward call's output
   * @param inputGradient gradient of the input, of its type and shape; overwritten
   * @throws IllegalArgumentException if the window does not fit {@code x}, a tensor has another
   *     type or shape, or {@code inputGradient} is read-only or overlaps another one
   */
  public void backward(Tensor gradient, Tensor x, Tensor output, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(output, "output");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.checkBackward(
        featurepool_h.fpool_lp_backward(
            x.descriptor(),
            x.segment(),
            output.descriptor(),
            output.segment(),
            gradient.descriptor(),
            gradient.segment(),
            window.descriptor(),
            p,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares windows and exponents.
   *
   * @param other another object
   * @return whether it is an Lp pooling of the same window and p
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof LpPool pool && window.equals(pool.window) && p == pool.p;
  }

  @Override
  public int hashCode() {
    return Objects.hash(window, p);
  }

  /**
   * Returns the operator, its exponent and window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "Lp pooling of p " + p + ", " + window;
  }
}
