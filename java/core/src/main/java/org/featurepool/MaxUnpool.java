package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Max unpooling: puts every element where a max pooling found it, and zeros elsewhere.
 *
 * <p>The output has {@code (I − 1)·s − p0 − p1 + d·(k − 1) + 1} elements along each axis, or those
 * asked for, which must differ by less than a stride. Where indices are equal (overlapping windows)
 * the last element in row-major order wins, with every number of threads. An index out of range is
 * refused, -1 too. The gradient of an element is that of its place, also for one that another
 * overwrote, as in PyTorch.
 *
 * <p>Indices count over the plane (PyTorch), or over the whole tensor (ONNX {@code MaxUnpool}); all
 * are logical, row-major positions whatever the layout.
 *
 * <p>Source: seed 004, section 9; PyTorch {@code max_unpool}; ONNX {@code MaxUnpool}.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class MaxUnpool {
  private static final int PLANE = featurepool_h.FPOOL_INDEX_PLANE();
  private static final int TENSOR = featurepool_h.FPOOL_INDEX_TENSOR();
  private static final int MOST_EXTENTS = 5;

  private final Window window;

  private MaxUnpool(Window window) {
    this.window = window;
  }

  /**
   * Makes the operator.
   *
   * @param window the window of the pooling that is undone: a kernel, with explicit padding or none
   * @return an operator that may be shared between threads
   */
  public static MaxUnpool of(Window window) {
    Objects.requireNonNull(window, "window");
    NativeLibrary.verifyAvailable();
    return new MaxUnpool(window);
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
   * Returns the shape of the output where none is asked for.
   *
   * @param input shape of the input
   * @return its batch, channels and layout, and {@code (I − 1)·s − p0 − p1 + d·(k − 1) + 1}
   * @throws IllegalArgumentException if the window has another rank than the input, is adaptive or
   *     has SAME padding, or leaves no output
   */
  public Shape outputShape(Shape input) {
    return unpooledShape(window, input, null, "outputShape");
  }

  /** The default output shape; or, checked against it, the one asked for, which is called so. */
  static Shape unpooledShape(Window window, Shape input, Shape requested, String name) {
    Objects.requireNonNull(input, "input");
    if (requested != null
        && (requested.batch() != input.batch()
            || requested.channels() != input.channels()
            || requested.spatialRank() != input.spatialRank()
            || requested.layout() != input.layout())) {
      throw new IllegalArgumentException(
          name
              + " is "
              + requested
              + "; it must have batch, channels, rank and layout of the input, "
              + input);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment extents = arena.allocate(ValueLayout.JAVA_LONG, MOST_EXTENTS);
      Status.check(
          featurepool_h.fpool_unpool_extents(
              Descriptors.tensor(arena, DType.U8, input, input.elementCount()),
              window.descriptor(),
              requested == null ? MemorySegment.NULL : spatial(arena, requested),
              extents));
      return Shape.of(
          input.layout(),
          Arrays.copyOf(extents.toArray(ValueLayout.JAVA_LONG), 2 + input.spatialRank()));
    }
  }

  private static MemorySegment spatial(Arena arena, Shape shape) {
    long[] extents = shape.extents();
    return arena.allocateFrom(
        ValueLayout.JAVA_LONG, Arrays.copyOfRange(extents, 2, extents.length));
  }

  /**
   * Unpools a tensor into a new one of the shape that was pooled.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of the mask's shape
   * @param mask the mask of a max pooling of this operator's window
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link Mask#inputShape()}
   * @throws IllegalArgumentException if the input has another type or shape, or the mask is of
   *     another window
   * @throws IndexOutOfBoundsException if an entry of the mask is no position, or that of a window
   *     without one
   */
  public Tensor forward(Tensor x, Mask mask, Arena arena) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(mask, "mask").checkBelongsTo(window, mask.inputShape(), "mask");
    Tensor out = Tensor.allocate(arena, x.dtype(), mask.inputShape());
    try (Arena scratch = Arena.ofConfined()) {
      forward(x, planeIndices(mask, scratch), out);
    }
    return out;
  }

  /** The positions of a mask, as they are where they count over the plane already. */
  private static Tensor planeIndices(Mask mask, Arena arena) {
    return mask.format() == Mask.Format.INT32
        ? mask.tensor()
        : mask.indices(Mask.IndexBase.PLANE, arena);
  }

  /**
   * Unpools a tensor into a new one of {@link #outputShape(Shape)}.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param indices positions in the planes of the output, {@link DType#I32} or {@link DType#I64},
   *     of the input's shape
   * @param arena owner of the output's memory
   * @return the output, of the input's type
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of an output plane
   */
  public Tensor forward(Tensor x, Tensor indices, Arena arena) {
    Objects.requireNonNull(x, "x");
    return unpool(x, indices, outputShape(x.shape()), arena);
  }

  /**
   * Unpools a tensor into a new one of a given shape.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param indices positions in the planes of the output, {@link DType#I32} or {@link DType#I64},
   *     of the input's shape
   * @param outputShape shape of the output: along each axis less than a stride away from {@link
   *     #outputShape(Shape)}
   * @param arena owner of the output's memory
   * @return the output, of the input's type
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of an output plane
   */
  public Tensor forward(Tensor x, Tensor indices, Shape outputShape, Arena arena) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(outputShape, "outputShape");
    return unpool(x, indices, unpooledShape(window, x.shape(), outputShape, "outputShape"), arena);
  }

  private static Tensor unpool(Tensor x, Tensor indices, Shape shape, Arena arena) {
    Tensor out = Tensor.allocate(arena, x.dtype(), shape);
    place(x, indices, PLANE, MemorySegment.NULL, out);
    return out;
  }

  /**
   * Unpools a tensor into an existing one, whose extents are taken as they are; allocates nothing
   * on the Java heap.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param indices positions in the planes of the output, {@link DType#I32} or {@link DType#I64},
   *     of the input's shape
   * @param out output of the input's type, batch, channels and layout; overwritten
   * @throws IllegalArgumentException if a type or shape is another, or {@code out} is read-only or
   *     overlaps another tensor
   * @throws IndexOutOfBoundsException if an index is no position of an output plane
   */
  public void forward(Tensor x, Tensor indices, Tensor out) {
    place(x, indices, PLANE, MemorySegment.NULL, out);
  }

  /**
   * Unpools a tensor as ONNX {@code MaxUnpool} does without {@code output_shape}.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param indices positions in the whole tensor of {@link #outputShape(Shape)}, {@link DType#I32}
   *     or {@link DType#I64}, of the input's shape
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape(Shape)}
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of the output
   */
  public Tensor forwardOverTensor(Tensor x, Tensor indices, Arena arena) {
    Objects.requireNonNull(x, "x");
    return forwardOverTensor(x, indices, outputShape(x.shape()), arena);
  }

  /**
   * Unpools a tensor as ONNX {@code MaxUnpool} does with {@code output_shape}: the indices count
   * over {@link #outputShape(Shape)}, and what that would give lies in the corner of the output.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}
   * @param indices positions in the whole tensor of {@link #outputShape(Shape)}, {@link DType#I32}
   *     or {@link DType#I64}, of the input's shape
   * @param outputShape shape of the output, of no lesser extents
   * @param arena owner of the output's memory
   * @return output of the input's type
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of the tensor it counts over
   */
  public Tensor forwardOverTensor(Tensor x, Tensor indices, Shape outputShape, Arena arena) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(outputShape, "outputShape");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape);
    try (Arena scratch = Arena.ofConfined()) {
      place(x, indices, TENSOR, spatial(scratch, outputShape(x.shape())), out);
    }
    return out;
  }

  private static void place(
      Tensor x, Tensor indices, int base, MemorySegment indexExtents, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(indices, "indices");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_max_unpool_forward(
            x.descriptor(),
            x.segment(),
            indices.descriptor(),
            indices.segment(),
            base,
            indexExtents,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Fetches the gradient of the input, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type: that of the place of every element
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     or the mask is of another window
   * @throws IndexOutOfBoundsException if an entry of the mask is no position, or that of a window
   *     without one
   */
  public Tensor backward(Tensor gradient, Mask mask, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask").checkBelongsTo(window, gradient.shape(), "gradient");
    try (Arena scratch = Arena.ofConfined()) {
      return fetch(gradient, planeIndices(mask, scratch), arena);
    }
  }

  /**
   * Fetches the gradient of the input, into a new tensor.
   *
   * @param gradient gradient of the output: along each axis less than a stride away from {@link
   *     #outputShape(Shape)} of the indices' shape
   * @param indices the indices of the forward call, positions in planes
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type and the shape of the indices: that of the
   *     place of every element
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of an output plane
   */
  public Tensor backward(Tensor gradient, Tensor indices, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(indices, "indices");
    unpooledShape(window, indices.shape(), gradient.shape(), "gradient");
    return fetch(gradient, indices, arena);
  }

  private static Tensor fetch(Tensor gradient, Tensor indices, Arena arena) {
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), indices.shape());
    fetch(gradient, indices, PLANE, MemorySegment.NULL, inputGradient);
    return inputGradient;
  }

  /**
   * Fetches the gradient of the input, into an existing tensor; allocates nothing on the Java heap.
   *
   * @param gradient gradient of the output
   * @param indices the indices of the forward call, positions in planes
   * @param inputGradient gradient of the input, of the gradient's type and the shape of the
   *     indices; overwritten
   * @throws IllegalArgumentException if a type or shape is another, or {@code inputGradient} is
   *     read-only or overlaps another tensor
   * @throws IndexOutOfBoundsException if an index is no position of an output plane
   */
  public void backward(Tensor gradient, Tensor indices, Tensor inputGradient) {
    fetch(gradient, indices, PLANE, MemorySegment.NULL, inputGradient);
  }

  /**
   * Fetches the gradient of the input of {@link #forwardOverTensor(Tensor, Tensor, Shape, Arena)},
   * into a new tensor.
   *
   * @param gradient gradient of the output
   * @param indices the indices of the forward call, positions in the tensor
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type and the shape of the indices: that of the
   *     place of every element
   * @throws IllegalArgumentException if a type or shape is another, or the window does not fit
   * @throws IndexOutOfBoundsException if an index is no position of the tensor it counts over
   */
  public Tensor backwardOverTensor(Tensor gradient, Tensor indices, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(indices, "indices");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), indices.shape());
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment extents = spatial(scratch, outputShape(indices.shape()));
      fetch(gradient, indices, TENSOR, extents, inputGradient);
    }
    return inputGradient;
  }

  private static void fetch(
      Tensor gradient, Tensor indices, int base, MemorySegment indexExtents, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(indices, "indices");
    Objects.requireNonNull(inputGradient, "inputGradient");
    Status.check(
        featurepool_h.fpool_max_unpool_backward(
            gradient.descriptor(),
            gradient.segment(),
            indices.descriptor(),
            indices.segment(),
            base,
            indexExtents,
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares windows.
   *
   * @param other another object
   * @return whether it is a max unpooling of the same window
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof MaxUnpool unpool && window.equals(unpool.window);
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
    return "max unpooling, " + window;
  }
}
