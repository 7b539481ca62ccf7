package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Bilinear pooling: the products of all pairs of channels, averaged over the positions of an image.
 *
 * <p>With A the D1 × L matrix of an image (L = H·W positions) and B that of a second input, or A
 * again, {@code P = A Bᵀ / L}. Every element becomes {@code sign(p)·sqrt(|p| + 1e-5)} (0 stays 0),
 * and the image's elements are divided by {@code max(‖P‖, 1e-12)}; both can be left out. The output
 * holds P by rows in D1·D2 channels. Products with itself ({@linkplain #homogeneous() homogeneous},
 * or second-order pooling) take half the work of products {@linkplain #of() of two inputs}.
 *
 * <p>{@link DType#F32} sums are within 2 ulp·sqrt(L) of the magnitudes that they add up. A NaN
 * spreads to every product that it is a factor of and, by the division, to the whole image.
 *
 * <p>Source: Lin, RoyChowdhury and Maji, "Bilinear CNN Models for Fine-grained Visual Recognition",
 * ICCV 2015; seed 004, section 8.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class BilinearPool {
  private final boolean homogeneous;
  private final boolean signedRoot;
  private final boolean normalization;
  private final MemorySegment descriptor;

  private BilinearPool(boolean homogeneous, boolean signedRoot, boolean normalization) {
    this.homogeneous = homogeneous;
    this.signedRoot = signedRoot;
    this.normalization = normalization;
    this.descriptor = Descriptors.bilinear(Arena.ofAuto(), signedRoot, normalization).asReadOnly();
  }

  /** Gradients of two inputs, each of the type and shape of its input. */
  public record Gradients(Tensor a, Tensor b) {
    /**
     * Names the gradients.
     *
     * @param a gradient of the first input
     * @param b gradient of the second input
     */
    public Gradients {
      Objects.requireNonNull(a, "a");
      Objects.requireNonNull(b, "b");
    }
  }

  /**
   * Makes the operator of two inputs, with both normalisations.
   *
   * @return an operator that may be shared between threads
   */
  public static BilinearPool of() {
    NativeLibrary.verifyAvailable();
    return new BilinearPool(false, true, true);
  }

  /**
   * Makes the operator of one input, multiplied with itself, with both normalisations.
   *
   * @return an operator that may be shared between threads
   */
  public static BilinearPool homogeneous() {
    NativeLibrary.verifyAvailable();
    return new BilinearPool(true, true, true);
  }

  /**
   * Leaves the signed square root out.
   *
   * @return this operator without it
   */
  public BilinearPool withoutSignedRoot() {
    return new BilinearPool(homogeneous, false, normalization);
  }

  /**
   * Leaves the division by the norm out.
   *
   * @return this operator without it
   */
  public BilinearPool withoutNormalization() {
    return new BilinearPool(homogeneous, signedRoot, false);
  }

  /**
   * Whether the operator has one input, which is multiplied with itself.
   *
   * @return false if it has two
   */
  public boolean isHomogeneous() {
    return homogeneous;
  }

  /**
   * Returns the shape of the output of one input.
   *
   * @param a shape of the input, of rank 2
   * @return N × D·D × 1 × 1, in the layout of the input
   * @throws IllegalArgumentException if the operator has two inputs, or the shape is too large
   */
  public Shape outputShape(Shape a) {
    checkInputs(1);
    return productShape(a, a);
  }

  /**
   * Returns the shape of the output of two inputs.
   *
   * @param a shape of the first input, of rank 2
   * @param b shape of the second input
   * @return N × D1·D2 × 1 × 1, in the layout of the first input
   * @throws IllegalArgumentException if the operator has one input, or the shape is too large
   */
  public Shape outputShape(Shape a, Shape b) {
    checkInputs(2);
    return productShape(a, b);
  }

  private static Shape productShape(Shape a, Shape b) {
    Objects.requireNonNull(a, "a");
    Objects.requireNonNull(b, "b");
    if (Math.multiplyHigh(a.channels(), b.channels()) != 0 || a.channels() * b.channels() < 0) {
      throw new IllegalArgumentException(
          "inputs have "
              + a.channels()
              + " and "
              + b.channels()
              + " channels; their product must be less than 2^63");
    }
    return Shape.of(a.layout(), a.batch(), a.channels() * b.channels(), 1, 1);
  }

  private void checkInputs(int inputs) {
    if (homogeneous != (inputs == 1)) {
      throw new IllegalArgumentException(
          homogeneous
              ? "b is given; homogeneous pooling has one input, BilinearPool.of() has two"
              : "b is missing; BilinearPool.of() has two inputs, homogeneous() has one");
    }
  }

  /**
   * Pools one input into a new tensor.
   *
   * @param a input N × D × H × W, {@link DType#F32} or {@link DType#F64}
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape(Shape)}
   * @throws IllegalArgumentException if the operator has two inputs, or the rank or type is another
   */
  public Tensor forward(Tensor a, Arena arena) {
    Objects.requireNonNull(a, "a");
    Tensor out = Tensor.allocate(arena, a.dtype(), outputShape(a.shape()));
    forward(a, out);
    return out;
  }

  /**
   * Pools one input into an existing tensor; allocates nothing on the Java heap.
   *
   * @param a input N × D × H × W, {@link DType#F32} or {@link DType#F64}
   * @param out output of the input's type and of {@link #outputShape(Shape)} in either layout;
   *     overwritten
   * @throws IllegalArgumentException if the operator has two inputs, the rank or type is another,
   *     or {@code out} has another type or shape, is read-only or overlaps {@code a}
   */
  public void forward(Tensor a, Tensor out) {
    checkInputs(1);
    forwardOf(a, MemorySegment.NULL, MemorySegment.NULL, out);
  }

  /**
   * Pools two inputs into a new tensor.
   *
   * @param a first input N × D1 × H × W, {@link DType#F32} or {@link DType#F64}
   * @param b second input N × D2 with as many positions, of the same type and layout
   * @param arena owner of the output's memory
   * @return output of the inputs' type and {@link #outputShape(Shape, Shape)}
   * @throws IllegalArgumentException if the operator has one input, a rank or type is another, or
   *     the inputs differ in batch, positions, type or layout
   */
  public Tensor forward(Tensor a, Tensor b, Arena arena) {
    Objects.requireNonNull(a, "a");
    Objects.requireNonNull(b, "b");
    Tensor out = Tensor.allocate(arena, a.dtype(), outputShape(a.shape(), b.shape()));
    forward(a, b, out);
    return out;
  }

  /**
   * Pools two inputs into an existing tensor; allocates nothing on the Java heap.
   *
   * @param a first input N × D1 × H × W, {@link DType#F32} or {@link DType#F64}
   * @param b second input N × D2 with as many positions, of the same type and layout
   * @param out output of the inputs' type and of {@link #outputShape(Shape, Shape)} in either
   *     layout; overwritten
   * @throws IllegalArgumentException if the operator has one input, a rank or type is another, the
   *     inputs differ in batch, positions, type or layout, or {@code out} has another type or
   *     shape, is read-only or overlaps an input
   */
  public void forward(Tensor a, Tensor b, Tensor out) {
    checkInputs(2);
    Objects.requireNonNull(b, "b");
    forwardOf(a, b.descriptor(), b.segment(), out);
  }

  private void forwardOf(Tensor a, MemorySegment b, MemorySegment data, Tensor out) {
    Objects.requireNonNull(a, "a");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_bilinear_forward(
            a.descriptor(),
            a.segment(),
            b,
            data,
            descriptor,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Computes the gradient of one input, {@code (dP + dPᵀ) A / L}, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param a input of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of its type and shape, through both normalisations; where P is 0
   *     the signed root has the gradient 0, and where ‖P‖ is less than 1e-12 all of P has
   * @throws IllegalArgumentException if the operator has two inputs, or {@code gradient} has
   *     another type or shape than the output
   */
  public Tensor backward(Tensor gradient, Tensor a, Arena arena) {
    Objects.requireNonNull(a, "a");
    Tensor aGradient = Tensor.allocate(arena, a.dtype(), a.shape());
    backward(gradient, a, aGradient);
    return aGradient;
  }

  /**
   * Computes the gradient of one input into an existing tensor; allocates nothing on the Java heap.
   *
   * @param gradient gradient of the output
   * @param a input of the forward call
   * @param aGradient gradient of the input, of its type and shape; overwritten
   * @throws IllegalArgumentException if the operator has two inputs, {@code gradient} has another
   *     type or shape than the output, or {@code aGradient} has another type or shape than {@code
   *     a}, is read-only or overlaps another operand
   */
  public void backward(Tensor gradient, Tensor a, Tensor aGradient) {
    checkInputs(1);
    backwardOf(
        gradient,
        a,
        MemorySegment.NULL,
        MemorySegment.NULL,
        aGradient,
        MemorySegment.NULL,
        MemorySegment.NULL);
  }

  /**
   * Computes the gradients of two inputs, {@code dP B / L} and {@code dPᵀ A / L}, into new tensors.
   *
   * @param gradient gradient of the output
   * @param a first input of the forward call
   * @param b second input of the forward call
   * @param arena owner of the memory of the gradients
   * @return gradients of the inputs; at 0 as for one input
   * @throws IllegalArgumentException if the operator has one input, {@code gradient} has another
   *     type or shape than the output, or the inputs do not fit each other
   */
  public Gradients backward(Tensor gradient, Tensor a, Tensor b, Arena arena) {
    Objects.requireNonNull(a, "a");
    Objects.requireNonNull(b, "b");
    Gradients gradients =
        new Gradients(
            Tensor.allocate(arena, a.dtype(), a.shape()),
            Tensor.allocate(arena, b.dtype(), b.shape()));
    backward(gradient, a, b, gradients);
    return gradients;
  }

  /**
   * Computes the gradients of two inputs into existing tensors; allocates nothing on the Java heap.
   *
   * @param gradient gradient of the output
   * @param a first input of the forward call
   * @param b second input of the forward call
   * @param gradients gradients of the inputs, of their types and shapes; overwritten
   * @throws IllegalArgumentException if the operator has one input, {@code gradient} has another
   *     type or shape than the output, the inputs do not fit each other, or a tensor of {@code
   *     gradients} has another type or shape than its input, is read-only or overlaps another
   *     operand
   */
  public void backward(Tensor gradient, Tensor a, Tensor b, Gradients gradients) {
    checkInputs(2);
    Objects.requireNonNull(b, "b");
    Objects.requireNonNull(gradients, "gradients");
    backwardOf(
        gradient,
        a,
        b.descriptor(),
        b.segment(),
        gradients.a(),
        gradients.b().descriptor(),
        gradients.b().writable("bGradient"));
  }

  private void backwardOf(
      Tensor gradient,
      Tensor a,
      MemorySegment b,
      MemorySegment data,
      Tensor aGradient,
      MemorySegment bGradient,
      MemorySegment bGradientData) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(a, "a");
    Objects.requireNonNull(aGradient, "aGradient");
    Status.check(
        featurepool_h.fpool_bilinear_backward(
            gradient.descriptor(),
            gradient.segment(),
            a.descriptor(),
            a.segment(),
            b,
            data,
            descriptor,
            aGradient.descriptor(),
            aGradient.writable("aGradient"),
            bGradient,
            bGradientData));
  }

  /**
   * Compares inputs and normalisations.
   *
   * @param other another object
   * @return whether it is a bilinear pooling of as many inputs with the same normalisations
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof BilinearPool pool
        && homogeneous == pool.homogeneous
        && signedRoot == pool.signedRoot
        && normalization == pool.normalization;
  }

  @Override
  public int hashCode() {
    return Objects.hash(homogeneous, signedRoot, normalization);
  }

  /**
   * Returns the operator and its normalisations.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "bilinear pooling of "
        + (homogeneous ? "one input" : "two inputs")
        + (signedRoot ? ", signed square root" : "")
        + (normalization ? ", L2 normalisation" : "");
  }
}
