package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Generalised mean pooling (GeM): {@code y = (mean of max(x, epsilon)^p)^(1/p)} over every window,
 * with one p for all channels or one per channel. p of 1 is the average, a large p nears the
 * maximum; 3 is what the paper starts training from, and the usual window is {@link Window#global}.
 *
 * <p>For {@link DType#F32} and {@link DType#F64}. Sums are of f64: F32 results are within 1 ulp of
 * the exact ones, F64 results within a relative error of 1e-12. Where a sum would overflow or lose
 * its digits it is taken of scaled elements, so a result overflows only if it is itself beyond the
 * type. The mean is over the elements inside the input; a NaN stays inside the windows that hold
 * it; a window that holds no element of the input, possible with dilation, gives NaN and has no
 * gradient.
 *
 * <p>p is trainable: with n elements in a window, {@code dx = g (x/y)^(p-1) / n} where x exceeds
 * epsilon, else 0, and {@code dp = g (y/p) (sum(b^p ln b) / sum(b^p) - ln y)} with {@code b =
 * max(x, epsilon)}, summed over all windows that p serves, in f64, with the same bits for every
 * number of threads.
 *
 * <p>Source: F. Radenović, G. Tolias and O. Chum, <i>Fine-Tuning CNN Image Retrieval with No Human
 * Annotation</i> (2018).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class GemPool {
  private static final double EPSILON = 1e-6;

  private final Window window;
  private final double[] p;
  private final double epsilon;
  private final MemorySegment exponents;

  /**
   * Gradients of the input and of the exponents.
   *
   * @param input gradient of the input, of its type and shape
   * @param p gradient of every exponent: one, or one per channel
   */
  public record Gradients(Tensor input, double[] p) {}

  private GemPool(Window window, double[] p, double epsilon) {
    this.window = window;
    this.p = p;
    this.epsilon = epsilon;
    this.exponents = Descriptors.parameters(Arena.ofAuto(), p).asReadOnly();
  }

  /**
   * Makes the operator with one exponent, or one per channel, and an epsilon of 1e-6.
   *
   * @param window the window, or {@linkplain Window#global bins}
   * @param p one exponent, or one per channel of the inputs to come, each greater than 0 and finite
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there is no exponent, or one is not greater than 0 and
   *     finite
   */
  public static GemPool of(Window window, double... p) {
    Objects.requireNonNull(window, "window");
    if (Objects.requireNonNull(p, "p").length == 0) {
      throw new IllegalArgumentException("p has 0 values; it must have 1, or one per channel");
    }
    for (int i = 0; i < p.length; i++) {
      if (!(p[i] > 0 && Double.isFinite(p[i]))) {
        throw new IllegalArgumentException(
            (p.length == 1 ? "p" : "p[" + i + "]")
                + " is "
                + p[i]
                + "; it must be greater than 0 and finite");
      }
    }
    NativeLibrary.verifyAvailable();
    return new GemPool(window, p.clone(), EPSILON);
  }

  /**
   * Sets the least value that an element counts with.
   *
   * @param epsilon greater than 0 and finite
   * @return this operator with that epsilon
   * @throws IllegalArgumentException if epsilon is not greater than 0 and finite
   */
  public GemPool withEpsilon(double epsilon) {
    if (!(epsilon > 0 && Double.isFinite(epsilon))) {
      throw new IllegalArgumentException(
          "epsilon is " + epsilon + "; it must be greater than 0 and finite");
    }
    return new GemPool(window, p, epsilon);
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
   * Returns the exponents.
   *
   * @return a copy: one, or one per channel
   */
  public double[] p() {
    return p.clone();
  }

  /**
   * Returns the least value that an element counts with.
   *
   * @return epsilon, greater than 0
   */
  public double epsilon() {
    return epsilon;
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Window#outputShape}
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     there is neither one exponent nor one per channel
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
   * @throws IllegalArgumentException if the window does not fit the input, the type is another,
   *     there is neither one exponent nor one per channel, or {@code out} has another type or
   *     shape, is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_gem_forward(
            x.descriptor(),
            x.segment(),
            window.descriptor(),
            exponents,
            p.length,
            epsilon,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Computes the gradients of the input and of the exponents.
   *
   * @param gradient gradient of the output
   * @param x the forward call's input
   * @param output the forward call's output
   * @param arena owner of the memory of the input's gradient
   * @return the gradients
   * @throws IllegalArgumentException if the window or the exponents do not fit {@code x}, or {@code
   *     gradient} or {@code output} has another type or shape than the output
   */
  public Gradients backward(Tensor gradient, Tensor x, Tensor output, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(output, "output");
    Tensor inputGradient = Tensor.allocate(arena, x.dtype(), x.shape());
    return Descriptors.withParameterGradients(
        p.length,
        slopes ->
            Status.checkBackward(
                featurepool_h.fpool_gem_backward(
                    x.descriptor(),
                    x.segment(),
                    output.descriptor(),
                    output.segment(),
                    gradient.descriptor(),
                    gradient.segment(),
                    window.descriptor(),
                    exponents,
                    p.length,
                    epsilon,
                    inputGradient.descriptor(),
                    inputGradient.writable("inputGradient"),
                    slopes)),
        slopes -> new Gradients(inputGradient, slopes));
  }

  /**
   * Compares windows, exponents and epsilons.
   *
   * @param other another object
   * @return whether it is a generalised mean of the same parameters
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof GemPool pool
        && window.equals(pool.window)
        && Arrays.equals(p, pool.p)
        && epsilon == pool.epsilon;
  }

  @Override
  public int hashCode() {
    return Objects.hash(window, Arrays.hashCode(p), epsilon);
  }

  /**
   * Returns the operator and its parameters.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "generalised mean of p "
        + (p.length == 1 ? p[0] : Arrays.toString(p))
        + ", epsilon "
        + epsilon
        + ", "
        + window;
  }
}
