package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * Where each maximum of a max pooling was found (the seed's word for it).
 *
 * <p>A mask belongs to a window and to the shape of an input; it has one entry per output, in a
 * tensor of the output's extents and layout. Ties go to the first tap in row-major order of the
 * window; where a window holds a NaN, the entry is the position of the last NaN.
 */
public final class Mask {
  private static final long MAX_COMPACT_TAPS = featurepool_h.FPOOL_MASK_NONE_COMPACT();

  /** What the entries of a mask are. */
  public enum Format {
    /**
     * One byte ({@link DType#U8}): the position within the window, row-major; 255 where the window
     * holds no element of the input. For windows of at most 255 taps.
     */
    COMPACT(DType.U8),
    /**
     * Four bytes ({@link DType#I32}): the position within the plane, row-major; -1 where the window
     * holds no element of the input. For planes of at most 2^31 - 1 elements.
     */
    INT32(DType.I32);

    private final DType dtype;

    Format(DType dtype) {
      this.dtype = dtype;
    }
  }

  /** What flat indices count from; all are positions in logical (N, C, D, H, W) order. */
  public enum IndexBase {
    /** Within the plane, row-major: PyTorch. */
    PLANE(featurepool_h.FPOOL_INDEX_PLANE()),
    /** Within the image, {@code channel*H*W + row*W + column}: the seed. */
    IMAGE(featurepool_h.FPOOL_INDEX_IMAGE()),
    /** Within the tensor, row-major: ONNX {@code Indices} with {@code storage_order} 0. */
    TENSOR(featurepool_h.FPOOL_INDEX_TENSOR()),
    /**
     * Within the tensor, planes in column-major order: ONNX {@code Indices} with {@code
     * storage_order} 1.
     */
    TENSOR_COLUMN_MAJOR(featurepool_h.FPOOL_INDEX_TENSOR_COLUMN_MAJOR());

    private final int code;

    IndexBase(int code) {
      this.code = code;
    }
  }

  private final Format format;
  private final Tensor tensor;
  private final Window window;
  private final Shape inputShape;

  private Mask(Format format, Tensor tensor, Window window, Shape inputShape) {
    this.format = format;
    this.tensor = tensor;
    this.window = window;
    this.inputShape = inputShape;
  }

  /**
   * Makes a mask in the smallest format that the window allows: {@link Format#COMPACT} up to 255
   * taps, {@link Format#INT32} beyond and for adaptive bins.
   *
   * @param arena owner of the mask's memory
   * @param window the window of the pooling
   * @param inputShape shape of the pooling's input
   * @return a mask to be filled by {@link MaxPool#forwardWithMask(Tensor, Tensor, Mask)}
   * @throws IllegalArgumentException if the window does not fit the input
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Mask allocate(Arena arena, Window window, Shape inputShape) {
    Objects.requireNonNull(window, "window");
    boolean compact = !window.isAdaptive() && window.taps() <= MAX_COMPACT_TAPS;
    Format format = compact ? Format.COMPACT : Format.INT32;
    return allocate(arena, format, window, inputShape);
  }

  /**
   * Makes a mask in a given format.
   *
   * @param arena owner of the mask's memory
   * @param format what the entries are
   * @param window the window of the pooling
   * @param inputShape shape of the pooling's input
   * @return a mask to be filled by {@link MaxPool#forwardWithMask(Tensor, Tensor, Mask)}
   * @throws IllegalArgumentException if the window does not fit the input
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Mask allocate(Arena arena, Format format, Window window, Shape inputShape) {
    Objects.requireNonNull(arena, "arena");
    Objects.requireNonNull(format, "format");
    Objects.requireNonNull(window, "window");
    Objects.requireNonNull(inputShape, "inputShape");
    Tensor tensor = Tensor.allocate(arena, format.dtype, window.outputShape(inputShape));
    return new Mask(format, tensor, window, inputShape);
  }

  /**
   * Returns what the entries are.
   *
   * @return the format
   */
  public Format format() {
    return format;
  }

  /**
   * Returns the entries.
   *
   * @return a {@link DType#U8} or {@link DType#I32} tensor of the output's extents and layout
   */
  public Tensor tensor() {
    return tensor;
  }

  /**
   * Returns the window of the pooling.
   *
   * @return the window
   */
  public Window window() {
    return window;
  }

  /**
   * Returns the shape of the pooling's input.
   *
   * @return the shape
   */
  public Shape inputShape() {
    return inputShape;
  }

  /**
   * Expands the entries to flat indices.
   *
   * @param base what the indices count from
   * @param arena owner of the indices' memory
   * @return a new {@link DType#I64} tensor of the output's extents and layout; -1 where a window
   *     holds no element of the input
   * @throws IndexOutOfBoundsException if an entry is no position of its window or plane
   * @throws IllegalStateException if an arena is closed
   * @throws WrongThreadException if an arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public Tensor indices(IndexBase base, Arena arena) {
    Objects.requireNonNull(base, "base");
    Tensor indices = Tensor.allocate(arena, DType.I64, tensor.shape());
    try (Arena scratch = Arena.ofConfined()) {
      MemorySegment input =
          Descriptors.tensor(scratch, DType.U8, inputShape, inputShape.elementCount());
      Status.check(
          featurepool_h.fpool_mask_expand(
              input,
              window.descriptor(),
              tensor.descriptor(),
              tensor.segment(),
              base.code,
              indices.descriptor(),
              indices.segment()));
    }
    return indices;
  }

  /** Refuses a mask that was made for another window or input; `name` says whose input. */
  void checkBelongsTo(Window other, Shape input, String name) {
    if (!window.equals(other)) {
      throw new IllegalArgumentException("mask is of " + window + "; the operator has " + other);
    }
    if (!inputShape.equals(input)) {
      throw new IllegalArgumentException(
          "mask is of an input of " + inputShape + "; " + name + " is " + input);
    }
  }

  /**
   * Returns format, shape and window.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return format + " mask " + tensor.shape() + " of " + window;
  }
}
