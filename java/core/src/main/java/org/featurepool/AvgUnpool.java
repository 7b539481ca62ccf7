package org.featurepool;

import java.lang.foreign.Arena;
import java.util.Objects;

/**
 * Average unpooling: spreads every element evenly over its window, accumulating where windows
 * overlap. It is the gradient of {@link AvgPool} by name, and its gradient is average pooling.
 *
 * <p>An element is divided by the number of its window's taps inside the output.
 *
 * <p>Source: seed 004, section 9.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class AvgUnpool {
  private final AvgPool pool;

  private AvgUnpool(AvgPool pool) {
    this.pool = pool;
  }

  /**
   * Makes the operator.
   *
   * @param window the window of the average pooling that is undone
   * @return an operator that may be shared between threads
   */
  public static AvgUnpool of(Window window) {
    return new AvgUnpool(AvgPool.of(window));
  }

  /**
   * Returns the window.
   *
   * @return the window
   */
  public Window window() {
    return pool.window();
  }

  /**
   * Returns the shape of the output where none is asked for.
   *
   * @param input shape of the input
   * @return its batch, channels and layout, and {@code (I − 1)·s − p0 − p1 + d·(k − 1) + 1}
   * @throws IllegalArgumentException if the window has another rank than the input, is adaptive or
   *     has SAME padding, or leaves no output
   */
  public Shape outputShape(Shape input) {
    return MaxUnpool.unpooledShape(window(), input, null, "outputShape");
  }

  /**
   * Unpools a tensor into a new one of {@link #outputShape(Shape)}.
   *
   * @param x input, of a type that {@link AvgPool} has gradients of
   * @param arena owner of the output's memory
   * @return the output, of the input's type
   * @throws IllegalArgumentException if the type is another or the window does not fit
   */
  public Tensor forward(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    return forward(x, outputShape(x.shape()), arena);
  }

  /**
   * Unpools a tensor into a new one of a given shape.
   *
   * @param x input, of a type that {@link AvgPool} has gradients of
   * @param outputShape a shape that the window pools to the shape of {@code x}
   * @param arena owner of the output's memory
   * @return the output, of the input's type
   * @throws IllegalArgumentException if the type is another, or pooling {@code outputShape} gives
   *     another shape than that of {@code x}
   */
  public Tensor forward(Tensor x, Shape outputShape, Arena arena) {
    return pool.backward(Objects.requireNonNull(x, "x"), outputShape, arena);
  }

  /**
   * Unpools a tensor into an existing one; allocates nothing on the Java heap.
   *
   * @param x input, of a type that {@link AvgPool} has gradients of
   * @param out output of the input's type and a shape that the window pools to that of {@code x};
   *     overwritten
   * @throws IllegalArgumentException if the type is another, pooling the shape of {@code out} gives
   *     another shape than that of {@code x}, or {@code out} is read-only or overlaps {@code x}
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    pool.backward(x, Objects.requireNonNull(out, "out"));
  }

  /**
   * Computes the gradient of the input, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input: the average of the gradient in every window
   * @throws IllegalArgumentException if the type is another or the window does not fit
   */
  public Tensor backward(Tensor gradient, Arena arena) {
    return pool.forward(Objects.requireNonNull(gradient, "gradient"), arena);
  }

  /**
   * Computes the gradient of the input, into an existing tensor; allocates nothing.
   *
   * @param gradient gradient of the output
   * @param inputGradient gradient of the input; overwritten
   * @throws IllegalArgumentException if a type or shape is another, or {@code inputGradient} is
   *     read-only or overlaps {@code gradient}
   */
  public void backward(Tensor gradient, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    pool.forward(gradient, Objects.requireNonNull(inputGradient, "inputGradient"));
  }

  /**
   * Compares windows.
   *
   * @param other another object
   * @return whether it is an average unpooling of the same window
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof AvgUnpool unpool && pool.equals(unpool.pool);
  }

  @Override
  public int hashCode() {
    return pool.hashCode();
  }

  /**
   * Returns the operator and its window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "average unpooling, " + window();
  }
}
