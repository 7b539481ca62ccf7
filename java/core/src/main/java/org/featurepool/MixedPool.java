package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Maximum and average of every window, joined: {@linkplain #add added}, {@code alpha · max + (1 -
 * alpha) · average}, or {@linkplain #cat concatenated}, of C channels 2 C: first all averages, then
 * all maxima. The input is read from memory once.
 *
 * <p>For {@link DType#F32} and {@link DType#F64}. The average is over the elements inside the
 * input. Results are within the bounds of {@link AvgPool}; concatenated maxima are exact. Where
 * alpha is 0 the maximum does not count at all, where it is 1 the average. A NaN stays inside the
 * windows that hold it; a window that holds no element of the input, possible with dilation, has a
 * maximum of -inf, an average of NaN and no gradient.
 *
 * <p>The gradient goes with weight alpha to the first maximum of a window, and in equal shares of
 * {@code 1 - alpha} to its elements. alpha is trainable: {@code dalpha} is the sum of {@code g (max
 * - average)} over all windows that it serves, in f64, with the same bits for every number of
 * threads.
 *
 * <p>Source: seed 004; C.-Y. Lee, P. W. Gallagher and Z. Tu, <i>Generalizing Pooling Functions in
 * Convolutional Neural Networks: Mixed, Gated, and Tree</i> (2016).
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MixedPool {
  private static final double HALF = 0.5;

  private final Window window;
  private final double[] alpha;
  private final MemorySegment weights;

  /**
   * Gradients of the input and of the weights.
   *
   * @param input gradient of the input, of its type and shape
   * @param alpha gradient of every weight: one, or one per channel; none of concatenation
   */
  public record Gradients(Tensor input, double[] alpha) {}

  private MixedPool(Window window, double[] alpha) {
    this.window = window;
    this.alpha = alpha;
    this.weights = Descriptors.parameters(Arena.ofAuto(), alpha).asReadOnly();
  }

  /**
   * Makes the sum of half the maximum and half the average.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static MixedPool add(Window window) {
    return add(window, HALF);
  }

  /**
   * Makes the weighted sum.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @param alpha weight of the maximum in [0, 1]: one, or one per channel of the inputs to come
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there is no weight, or one is NaN or not in [0, 1]
   */
  public static MixedPool add(Window window, double... alpha) {
    Objects.requireNonNull(window, "window");
    if (Objects.requireNonNull(alpha, "alpha").length == 0) {
      throw new IllegalArgumentException("alpha has 0 values; it must have 1, or one per channel");
    }
    for (int i = 0; i < alpha.length; i++) {
      if (!(alpha[i] >= 0 && alpha[i] <= 1)) {
        throw new IllegalArgumentException(
            (alpha.length == 1 ? "alpha" : "alpha[" + i + "]")
                + " is "
                + alpha[i]
                + "; it must be at least 0 and at most 1");
      }
    }
    NativeLibrary.verifyAvailable();
    return new MixedPool(window, alpha.clone());
  }

  /**
   * Makes the concatenation [average, maximum] along the channels.
   *
   * @param window the window, or {@linkplain Window#adaptive adaptive bins}
   * @return an operator that may be shared between threads
   */
  public static MixedPool cat(Window window) {
    Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
    return new MixedPool(window, new double[0]);
  }

  private boolean concatenates() {
    return alpha.length == 0;
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
   * Returns the weights of the maximum.
   *
   * @return a copy: one, or one per channel; none of concatenation
   */
  public double[] alpha() {
    return alpha.clone();
  }

  /**
   * Returns the shape of the output.
   *
   * @param input shape of the input
   * @return that of {@link Window#outputShape}; of concatenation with twice the channels
   * @throws IllegalArgumentException if the window does not fit the input
   */
  public Shape outputShape(Shape input) {
    Shape pooled = window.outputShape(input);
    return concatenates() ? pooled.withChannels(2 * pooled.channels()) : pooled;
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape}
   * @throws IllegalArgumentException if the window does not fit the input, the type is another, or
   *     there is neither one weight nor one per channel
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
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the window's rank
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @throws IllegalArgumentException if the window does not fit the input, the type is another,
   *     there is neither one weight nor one per channel, or {@code out} has another type or shape,
   *     is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    MemorySegment written = out.writable("out");
    Status.check(
        concatenates()
            ? featurepool_h.fpool_mixed_cat_forward(
                x.descriptor(), x.segment(), window.descriptor(), out.descriptor(), written)
            : featurepool_h.fpool_mixed_add_forward(
                x.descriptor(),
                x.segment(),
                window.descriptor(),
                weights,
                alpha.length,
                out.descriptor(),
                written));
  }

  /**
   * Computes the gradients of the input and of the weights; the positions of the maxima are found
   * again.
   *
   * @param gradient gradient of the output
   * @param x the forward call's input
   * @param arena owner of the memory of the input's gradient
   * @return the gradients
   * @throws IllegalArgumentException if the window or the weights do not fit {@code x}, or {@code
   *     gradient} has another type or shape than the output
   */
  public Gradients backward(Tensor gradient, Tensor x, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Tensor inputGradient = Tensor.allocate(arena, x.dtype(), x.shape());
    MemorySegment written = inputGradient.writable("inputGradient");
    return Descriptors.withParameterGradients(
        alpha.length,
        slopes ->
            Status.checkBackward(
                concatenates()
                    ? featurepool_h.fpool_mixed_cat_backward(
                        x.descriptor(),
                        x.segment(),
                        gradient.descriptor(),
                        gradient.segment(),
                        window.descriptor(),
                        inputGradient.descriptor(),
                        written)
                    : featurepool_h.fpool_mixed_add_backward(
                        x.descriptor(),
                        x.segment(),
                        gradient.descriptor(),
                        gradient.segment(),
                        window.descriptor(),
                        weights,
                        alpha.length,
                        inputGradient.descriptor(),
                        written,
                        slopes)),
        slopes -> new Gradients(inputGradient, slopes));
  }

  /**
   * Compares windows and weights.
   *
   * @param other another object
   * @return whether it joins the same windows in the same way
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof MixedPool pool
        && window.equals(pool.window)
        && Arrays.equals(alpha, pool.alpha);
  }

  @Override
  public int hashCode() {
    return Objects.hash(window, Arrays.hashCode(alpha));
  }

  /**
   * Returns the operator and its parameters.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    String joined =
        concatenates()
            ? "average and maximum concatenated"
            : "maximum and average added, alpha "
                + (alpha.length == 1 ? alpha[0] : Arrays.toString(alpha));
    return "mixed pooling, " + joined + ", " + window;
  }
}
