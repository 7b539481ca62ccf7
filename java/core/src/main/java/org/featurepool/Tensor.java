package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * A dense tensor: a view of off-heap memory with an element type and a shape.
 *
 * <p>A tensor owns no memory. Its elements lie in a {@link MemorySegment} that belongs to the
 * caller's {@link Arena}, and the tensor can be used as long, and from those threads, as that
 * segment can: afterwards, {@link IllegalStateException}; from elsewhere, {@link
 * WrongThreadException}. Elements are in the machine's byte order, without gaps, in the order of
 * {@link Shape#memoryExtents()}.
 *
 * <p>Tensors are immutable views; several may look at the same memory. Reading a tensor's memory
 * from one thread while another writes it is a data race, as for any segment.
 */
public final class Tensor {
  /**
   * Alignment in bytes of memory that Featurepool allocates: a cache line, and the widest vector.
   */
  private static final long ALIGNMENT = 64;

  private final MemorySegment segment;
  private final DType dtype;
  private final Shape shape;
  private final MemorySegment descriptor;

  private Tensor(MemorySegment segment, DType dtype, Shape shape, MemorySegment descriptor) {
    this.segment = segment;
    this.dtype = dtype;
    this.shape = shape;
    this.descriptor = descriptor;
  }

  /**
   * Copies an array into a new {@link DType#F32} tensor.
   *
   * @param arena owner of the tensor's memory
   * @param shape the shape
   * @param values as many values as the shape has elements, in memory order
   * @return a tensor in new memory, aligned to 64 bytes
   * @throws IllegalArgumentException if the array has another length
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Tensor of(Arena arena, Shape shape, float[] values) {
    checkLength(shape, Objects.requireNonNull(values, "values").length);
    Tensor tensor = allocate(arena, DType.F32, shape);
    MemorySegment.copy(values, 0, tensor.segment, ValueLayout.JAVA_FLOAT, 0, values.length);
    return tensor;
  }

  /**
   * Copies an array into a new {@link DType#U8} tensor.
   *
   * @param arena owner of the tensor's memory
   * @param shape the shape
   * @param values as many values as the shape has elements, in memory order, taken as unsigned
   * @return a tensor in new memory, aligned to 64 bytes
   * @throws IllegalArgumentException if the array has another length
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Tensor of(Arena arena, Shape shape, byte[] values) {
    checkLength(shape, Objects.requireNonNull(values, "values").length);
    Tensor tensor = allocate(arena, DType.U8, shape);
    MemorySegment.copy(values, 0, tensor.segment, ValueLayout.JAVA_BYTE, 0, values.length);
    return tensor;
  }

  private static void checkLength(Shape shape, int length) {
    if (length != Objects.requireNonNull(shape, "shape").elementCount()) {
      throw new IllegalArgumentException(
          "values has length "
              + length
              + "; "
              + shape
              + " has "
              + shape.elementCount()
              + " elements");
    }
  }

  /**
   * Makes a tensor in new memory: of zeros, where the arena gives zeroed memory as those of the JDK
   * do.
   *
   * @param arena owner of the tensor's memory
   * @param dtype type of the elements
   * @param shape the shape
   * @return a tensor in new memory, aligned to 64 bytes
   * @throws IllegalArgumentException if the size in bytes is 2^63 or more
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Tensor allocate(Arena arena, DType dtype, Shape shape) {
    Objects.requireNonNull(arena, "arena");
    long bytes = byteSize(dtype, shape);
    return over(arena.allocate(bytes, ALIGNMENT), dtype, shape, arena);
  }

  /**
   * Makes a tensor over memory that exists; nothing is copied.
   *
   * @param segment off-heap memory (native or mapped) that begins with the elements; what lies
   *     beyond them is not touched. A read-only segment gives a tensor that can be no output.
   * @param dtype type of the elements
   * @param shape the shape
   * @return a view of the segment
   * @throws IllegalArgumentException if the segment is on the heap, smaller than the tensor or not
   *     aligned to the element size, or the size in bytes is 2^63 or more
   */
  public static Tensor wrap(MemorySegment segment, DType dtype, Shape shape) {
    return over(segment, dtype, shape, Arena.ofAuto());
  }

  /**
   * Makes a tensor over a direct buffer's bytes from its position to its limit; nothing is copied.
   *
   * @param buffer a direct buffer; its byte order is not looked at, elements are in the machine's.
   *     A read-only buffer gives a tensor that can be no output.
   * @param dtype type of the elements
   * @param shape the shape
   * @return a view of the buffer's memory, which it keeps alive
   * @throws IllegalArgumentException if the buffer is not direct, has fewer bytes than the tensor
   *     or is not aligned to the element size, or the size in bytes is 2^63 or more
   */
  public static Tensor wrap(ByteBuffer buffer, DType dtype, Shape shape) {
    if (!Objects.requireNonNull(buffer, "buffer").isDirect()) {
      throw new IllegalArgumentException(
          "buffer is on the heap; use a direct buffer, or Tensor.of to copy an array");
    }
    return wrap(MemorySegment.ofBuffer(buffer), dtype, shape);
  }

  private static Tensor over(
      MemorySegment segment, DType dtype, Shape shape, Arena descriptorArena) {
    Objects.requireNonNull(segment, "segment");
    long bytes = byteSize(dtype, shape);
    if (!segment.isNative()) {
      throw new IllegalArgumentException(
          "segment is on the heap; use off-heap memory, or Tensor.of to copy an array");
    }
    if (segment.byteSize() < bytes) {
      throw new IllegalArgumentException(
          "segment has "
              + segment.byteSize()
              + " bytes; "
              + dtype
              + " "
              + shape
              + " needs "
              + bytes);
    }
    if (segment.address() % dtype.size() != 0) {
      throw new IllegalArgumentException(
          "segment is at address "
              + segment.address()
              + "; it must be a multiple of "
              + dtype.size()
              + ", the size of "
              + dtype);
    }
    return new Tensor(
        segment.asSlice(0, bytes),
        dtype,
        shape,
        Descriptors.tensor(descriptorArena, dtype, shape, bytes).asReadOnly());
  }

  private static long byteSize(DType dtype, Shape shape) {
    Objects.requireNonNull(dtype, "dtype");
    Objects.requireNonNull(shape, "shape");
    // As in Shape: an empty batch must not hide that an image of this size is impossible.
    if (shape.withBatch(Math.max(1, shape.batch())).elementCount()
        > Long.MAX_VALUE / dtype.size()) {
      throw new IllegalArgumentException(
          "shape is " + shape + " of " + dtype + "; its size in bytes must be less than 2^63");
    }
    return shape.elementCount() * dtype.size();
  }

  /**
   * Returns the memory of the elements.
   *
   * @return a segment of exactly the tensor's size in bytes
   */
  public MemorySegment segment() {
    return segment;
  }

  /**
   * Returns the type of the elements.
   *
   * @return the type
   */
  public DType dtype() {
    return dtype;
  }

  /**
   * Returns the extents and layout.
   *
   * @return the shape
   */
  public Shape shape() {
    return shape;
  }

  /** The native descriptor, made once so that calls allocate nothing. */
  MemorySegment descriptor() {
    return descriptor;
  }

  /**
   * The memory for a native call to write to. A downcall would write through a read-only segment,
   * so this is refused here.
   *
   * @param name the parameter, for the message
   */
  MemorySegment writable(String name) {
    if (segment.isReadOnly()) {
      throw new IllegalArgumentException(name + " is read-only; an output must be writable");
    }
    return segment;
  }

  /**
   * Returns an element as a {@code float}.
   *
   * @param index logical index: n, c, then spatial
   * @return the element, rounded to the nearest {@code float} where its type holds more digits
   * @throws IllegalArgumentException if the index has another number of axes than the shape
   * @throws IndexOutOfBoundsException if an index is not less than its extent
   */
  public float getFloat(long... index) {
    return (float) get(index);
  }

  /**
   * Returns an element as a {@code double}.
   *
   * @param index logical index: n, c, then spatial
   * @return the element; exact, except for {@link DType#I64} beyond 2^53
   * @throws IllegalArgumentException if the index has another number of axes than the shape
   * @throws IndexOutOfBoundsException if an index is not less than its extent
   */
  public double get(long... index) {
    return at(shape.offset(Objects.requireNonNull(index, "index")));
  }

  /**
   * Sets an element.
   *
   * @param value the value; rounded to the nearest value of a floating-point type, and an integer
   *     in the range of an integer type
   * @param index logical index: n, c, then spatial
   * @throws IllegalArgumentException if the tensor is read-only, the value does not fit an integer
   *     type, or the index has another number of axes than the shape
   * @throws IndexOutOfBoundsException if an index is not less than its extent
   */
  public void set(double value, long... index) {
    long i = shape.offset(Objects.requireNonNull(index, "index"));
    MemorySegment memory = writable("tensor");
    switch (dtype) {
      case F32 -> memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
      case F64 -> memory.setAtIndex(ValueLayout.JAVA_DOUBLE, i, value);
      case F16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16((float) value));
      case BF16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT, i, toBfloat16((float) value));
      case I8 ->
          memory.set(
              ValueLayout.JAVA_BYTE, i, (byte) integer(value, Byte.MIN_VALUE, Byte.MAX_VALUE));
      case U8 -> memory.set(ValueLayout.JAVA_BYTE, i, (byte) integer(value, 0, 255));
      case I32 ->
          memory.setAtIndex(
              ValueLayout.JAVA_INT, i, (int) integer(value, Integer.MIN_VALUE, Integer.MAX_VALUE));
      case I64 ->
          memory.setAtIndex(
              ValueLayout.JAVA_LONG, i, integer(value, Long.MIN_VALUE, Long.MAX_VALUE));
    }
  }

  private long integer(double value, long least, long most) {
    // As doubles: Long.MAX_VALUE rounds up to 2^63, which no long holds.
    if (value != Math.rint(value) || value < least || value > most || value == 0x1p63) {
      throw new IllegalArgumentException(
          "value is " + value + "; " + dtype + " holds integers from " + least + " to " + most);
    }
    return (long) value;
  }

  private static short toBfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      // Truncation could clear a NaN's last set bit, which would make it an infinity.
      return (short) (bits >>> 16 | 0x40);
    }
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /** The element at a position in memory. */
  private double at(long i) {
    return switch (dtype) {
      case F32 -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      case F64 -> segment.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
      case F16 -> Float.float16ToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, i));
      case BF16 -> Float.intBitsToFloat(segment.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
      default -> integerAt(i);
    };
  }

  private long integerAt(long i) {
    return switch (dtype) {
      case I8 -> segment.get(ValueLayout.JAVA_BYTE, i);
      case U8 -> Byte.toUnsignedInt(segment.get(ValueLayout.JAVA_BYTE, i));
      case I32 -> segment.getAtIndex(ValueLayout.JAVA_INT, i);
      case I64 -> segment.getAtIndex(ValueLayout.JAVA_LONG, i);
      default -> throw new IllegalStateException("tensor is of " + dtype + "; use toFloatArray");
    };
  }

  /**
   * Copies all elements into an array, each converted as {@link #getFloat} does.
   *
   * @return a new array, in memory order
   * @throws IllegalStateException if there are too many elements for an array
   */
  public float[] toFloatArray() {
    if (dtype == DType.F32) {
      return segment.toArray(ValueLayout.JAVA_FLOAT);
    }
    float[] values = new float[arrayLength()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) at(i);
    }
    return values;
  }

  /**
   * Copies all elements of a {@link DType#U8} or {@link DType#I8} tensor into an array.
   *
   * @return a new array, in memory order; unsigned elements are read by {@link Byte#toUnsignedInt}
   * @throws IllegalStateException if the tensor has another type, or there are too many elements
   *     for an array
   */
  public byte[] toByteArray() {
    if (dtype.size() != 1) {
      throw new IllegalStateException("tensor is of " + dtype + "; bytes hold U8 or I8");
    }
    return segment.toArray(ValueLayout.JAVA_BYTE);
  }

  /**
   * Copies all elements of a {@link DType#U8}, {@link DType#I8} or {@link DType#I32} tensor into an
   * array.
   *
   * @return a new array, in memory order
   * @throws IllegalStateException if the tensor has another type, or there are too many elements
   *     for an array
   */
  public int[] toIntArray() {
    if (dtype == DType.I64) {
      throw new IllegalStateException("tensor is of " + dtype + "; use toLongArray");
    }
    int[] values = new int[arrayLength()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (int) integerAt(i);
    }
    return values;
  }

  /**
   * Copies all elements of a tensor of an integer type into an array.
   *
   * @return a new array, in memory order
   * @throws IllegalStateException if the tensor's type is no integer type, or there are too many
   *     elements for an array
   */
  public long[] toLongArray() {
    long[] values = new long[arrayLength()];
    for (int i = 0; i < values.length; i++) {
      values[i] = integerAt(i);
    }
    return values;
  }

  private int arrayLength() {
    long count = shape.elementCount();
    if (count > Integer.MAX_VALUE - 8) {
      throw new IllegalStateException(
          "tensor has " + count + " elements; an array holds at most " + (Integer.MAX_VALUE - 8));
    }
    return (int) count;
  }

  /**
   * Returns a read-only view: it can be an input of every operator, and an output of none.
   *
   * @return a tensor over the same memory
   */
  public Tensor asReadOnly() {
    return new Tensor(segment.asReadOnly(), dtype, shape, descriptor);
  }

  /**
   * Copies the tensor into a layout.
   *
   * @param layout order of the copy's axes in memory
   * @param arena owner of the copy's memory
   * @return a new tensor of the same logical extents
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public Tensor toLayout(Layout layout, Arena arena) {
    Tensor copy = allocate(arena, dtype, shape.withLayout(layout));
    if (layout == shape.layout()) {
      copy.segment.copyFrom(segment);
      return copy;
    }
    boolean fromPlanar = shape.layout() == Layout.PLANAR;
    long rows = fromPlanar ? shape.channels() : shape.planeSize();
    long columns = fromPlanar ? shape.planeSize() : shape.channels();
    for (long n = 0; n < shape.batch(); n++) {
      long image = n * rows * columns;
      for (long row = 0; row < rows; row++) {
        for (long column = 0; column < columns; column++) {
          copyElement(image + row * columns + column, copy, image + column * rows + row);
        }
      }
    }
    return copy;
  }

  private void copyElement(long from, Tensor copy, long to) {
    switch (dtype.size()) {
      case 1 ->
          copy.segment.set(ValueLayout.JAVA_BYTE, to, segment.get(ValueLayout.JAVA_BYTE, from));
      case 2 ->
          copy.segment.setAtIndex(
              ValueLayout.JAVA_SHORT, to, segment.getAtIndex(ValueLayout.JAVA_SHORT, from));
      case 4 ->
          copy.segment.setAtIndex(
              ValueLayout.JAVA_INT, to, segment.getAtIndex(ValueLayout.JAVA_INT, from));
      default ->
          copy.segment.setAtIndex(
              ValueLayout.JAVA_LONG, to, segment.getAtIndex(ValueLayout.JAVA_LONG, from));
    }
  }

  /**
   * Returns type and shape.
   *
   * @return for example {@code "F32 1x64x112x112 (NCHW)"}
   */
  @Override
  public String toString() {
    return dtype + " " + shape;
  }
}
