package org.featurepool;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * NumPy's {@code .npy} files: versions 1 to 3, C order, element types {@code <f4 <f8 <f2 |u1 |i1
 * <i4 <i8}.
 *
 * <p>Source: NumPy, "The .npy format" ({@code numpy.lib.format}).
 */
public final class Npy {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int VERSION_AT = MAGIC.length;
  private static final int LENGTH_AT = VERSION_AT + 2;

  /** What the begin of the data is padded to, as NumPy does. */
  private static final int DATA_ALIGNMENT = 64;

  /** Far beyond any real header; a length field of a broken file must not become an allocation. */
  private static final long MAX_HEADER = 1 << 20;

  private static final long WRITE_CHUNK = 1 << 24;

  private Npy() {}

  /**
   * An array of a file.
   *
   * @param dtype type of the elements
   * @param extents extents in C order, slowest first; none for a scalar
   * @param segment the elements, read-only
   */
  public record Array(DType dtype, long[] extents, MemorySegment segment) {
    /**
     * Makes an array; the extents are copied.
     *
     * @param dtype type of the elements
     * @param extents extents in C order
     * @param segment the elements
     */
    public Array {
      Objects.requireNonNull(dtype, "dtype");
      extents = Objects.requireNonNull(extents, "extents").clone();
      Objects.requireNonNull(segment, "segment");
    }

    /**
     * Returns the extents.
     *
     * @return a new array
     */
    @Override
    public long[] extents() {
      return extents.clone();
    }

    /**
     * Views the array as a tensor; nothing is copied.
     *
     * @param shape a shape whose {@link Shape#memoryExtents()} are the array's extents, axes of
     *     extent 1 apart: an array of 5×7 may be seen as 1×1×5×7
     * @return a read-only tensor over the array's memory
     * @throws IllegalArgumentException if the shape is another
     */
    public Tensor toTensor(Shape shape) {
      if (!Arrays.equals(
          withoutUnits(extents),
          withoutUnits(Objects.requireNonNull(shape, "shape").memoryExtents()))) {
        throw new IllegalArgumentException(
            "shape is " + shape + "; the array's extents are " + tuple(extents));
      }
      return Tensor.wrap(segment, dtype, shape);
    }

    private static long[] withoutUnits(long[] extents) {
      return Arrays.stream(extents).filter(extent -> extent != 1).toArray();
    }

    /**
     * Compares types, extents and memory (its place, not its content).
     *
     * @param other another object
     * @return whether it is a view of the same array
     */
    @Override
    public boolean equals(Object other) {
      return other instanceof Array array
          && dtype == array.dtype
          && Arrays.equals(extents, array.extents)
          && segment.equals(array.segment);
    }

    @Override
    public int hashCode() {
      return Objects.hash(dtype, Arrays.hashCode(extents), segment);
    }

    /**
     * Returns type and extents.
     *
     * @return for example {@code "F32 (3, 224, 224)"}
     */
    @Override
    public String toString() {
      return dtype + " " + tuple(extents);
    }
  }

  /**
   * Maps a file into memory; nothing is copied (unless the file's data is not aligned to its
   * elements, which NumPy's own files are).
   *
   * <p>The file must not be shortened while it is mapped: what is gone cannot be read, and the
   * attempt may end the process.
   *
   * @param file the file
   * @param arena owner of the mapping
   * @return the array, read-only
   * @throws NpyException if the file is no {@code .npy} file, is truncated, or holds what
   *     Featurepool cannot use (Fortran order, big-endian numbers, objects, records); it says what
   *     would be right
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static Array map(Path file, Arena arena) throws IOException {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(arena, "arena");
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      return new Parser(file.toString(), mapped).array(arena);
    }
  }

  /**
   * Reads an array from a stream, such as an entry of an {@code .npz} archive.
   *
   * @param name what messages call the array
   * @param stream the bytes of an {@code .npy} file, less than 2 GB, read to their end; not closed
   * @param arena owner of the array's memory
   * @return the array, read-only
   * @throws NpyException as {@link #map} does
   * @throws IOException if the stream cannot be read
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   * @throws OutOfMemoryError if the memory cannot be had
   */
  public static Array read(String name, InputStream stream, Arena arena) throws IOException {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(arena, "arena");
    MemorySegment bytes = MemorySegment.ofArray(stream.readAllBytes());
    MemorySegment copy = arena.allocate(bytes.byteSize(), DATA_ALIGNMENT).copyFrom(bytes);
    return new Parser(name, copy.asReadOnly()).array(arena);
  }

  /**
   * Writes a tensor, in the order that its axes have in memory; wholly or not at all.
   *
   * @param file the file; replaced if it exists
   * @param tensor the tensor, of any type but {@link DType#BF16}, which NumPy has not
   * @throws IllegalArgumentException if the tensor is of {@link DType#BF16}
   * @throws IOException if the file cannot be written; a file that existed is then unchanged
   */
  public static void write(Path file, Tensor tensor) throws IOException {
    Objects.requireNonNull(tensor, "tensor");
    write(file, tensor.dtype(), tensor.shape().memoryExtents(), tensor.segment());
  }

  /**
   * Writes an array; wholly or not at all.
   *
   * @param file the file; replaced if it exists
   * @param dtype type of the elements; any but {@link DType#BF16}, which NumPy has not
   * @param extents extents in C order, slowest first, each at least 0; none for a scalar
   * @param segment the elements, as many bytes as type and extents say
   * @throws IllegalArgumentException if the type is {@link DType#BF16}, an extent is negative, or
   *     the segment has another size
   * @throws IOException if the file cannot be written; a file that existed is then unchanged
   */
  public static void write(Path file, DType dtype, long[] extents, MemorySegment segment)
      throws IOException {
    Objects.requireNonNull(file, "file");
    String dictionary = dictionary(dtype, extents, segment);
    AtomicFile.write(file, channel -> write(channel, dictionary, segment));
  }

  /**
   * Writes an array to a channel, such as an entry of an {@code .npz} archive.
   *
   * @param channel where to; not closed
   * @param array the array, of any type but {@link DType#BF16}, which NumPy has not
   * @throws IllegalArgumentException if the type is {@link DType#BF16}, an extent is negative, or
   *     the segment has another size than type and extents say
   * @throws IOException if the channel cannot be written to
   */
  public static void write(WritableByteChannel channel, Array array) throws IOException {
    Objects.requireNonNull(channel, "channel");
    Objects.requireNonNull(array, "array");
    write(channel, dictionary(array.dtype, array.extents, array.segment), array.segment);
  }

  private static void write(WritableByteChannel channel, String dictionary, MemorySegment segment)
      throws IOException {
    writeFully(channel, header(dictionary));
    for (long at = 0; at < segment.byteSize(); at += WRITE_CHUNK) {
      MemorySegment chunk = segment.asSlice(at, Math.min(WRITE_CHUNK, segment.byteSize() - at));
      // Of heap segments only those of bytes can be seen as a buffer.
      writeFully(
          channel,
          chunk.isNative()
              ? chunk.asByteBuffer()
              : ByteBuffer.wrap(chunk.toArray(ValueLayout.JAVA_BYTE)));
    }
  }

  /** The header's text, of an array that can be written. */
  private static String dictionary(DType dtype, long[] extents, MemorySegment segment) {
    Objects.requireNonNull(dtype, "dtype");
    Objects.requireNonNull(extents, "extents");
    Objects.requireNonNull(segment, "segment");
    String descr = descr(dtype);
    long bytes = byteSize(dtype, extents);
    if (bytes < 0) {
      throw new IllegalArgumentException(
          "extents are "
              + tuple(extents)
              + "; each must be at least 0, and their size in bytes less"
              + " than 2^63");
    }
    if (segment.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "segment has "
              + segment.byteSize()
              + " bytes; "
              + dtype
              + " "
              + tuple(extents)
              + " has "
              + bytes);
    }
    return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + tuple(extents) + ", }";
  }

  private static ByteBuffer header(String dictionary) {
    // Version 1 (two bytes of length) holds all that this class writes, but for absurd ranks.
    boolean wide = dictionary.length() + DATA_ALIGNMENT > 0xffff;
    int before = LENGTH_AT + (wide ? Integer.BYTES : Short.BYTES);
    int unpadded = before + dictionary.length() + 1;
    int size = (unpadded + DATA_ALIGNMENT - 1) / DATA_ALIGNMENT * DATA_ALIGNMENT;
    ByteBuffer header = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    header.put(MAGIC).put((byte) (wide ? 2 : 1)).put((byte) 0);
    if (wide) {
      header.putInt(size - before);
    } else {
      header.putShort((short) (size - before));
    }
    header.put(
        (dictionary + " ".repeat(size - unpadded) + "\n").getBytes(StandardCharsets.US_ASCII));
    return header.flip();
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private static String descr(DType dtype) {
    return switch (dtype) {
      case F32 -> "<f4";
      case F64 -> "<f8";
      case F16 -> "<f2";
      case I8 -> "|i1";
      case U8 -> "|u1";
      case I32 -> "<i4";
      case I64 -> "<i8";
      case BF16 ->
          throw new IllegalArgumentException("dtype is BF16, which .npy files have not; use F32");
    };
  }

  /** Size in bytes; -1 if an extent is negative or the size is 2^63 or more. */
  private static long byteSize(DType dtype, long[] extents) {
    long bytes = dtype.size();
    boolean empty = false;
    for (long extent : extents) {
      if (extent < 0 || (extent > 0 && bytes > Long.MAX_VALUE / extent)) {
        return -1;
      }
      empty |= extent == 0;
      bytes *= Math.max(1, extent);
    }
    return empty ? 0 : bytes;
  }

  private static String tuple(long[] extents) {
    String joined =
        Arrays.stream(extents).mapToObj(Long::toString).collect(Collectors.joining(", "));
    return "(" + joined + (extents.length == 1 ? ",)" : ")");
  }

  /** Reads the header of a mapped file: a magic string, a version, a length, a Python literal. */
  private static final class Parser {
    private final String name;
    private final MemorySegment mapped;
    private String header;
    private int at;

    private String descr;
    private Boolean fortranOrder;
    private long[] extents;

    Parser(String name, MemorySegment mapped) {
      this.name = name;
      this.mapped = mapped;
    }

    Array array(Arena arena) throws NpyException {
      long dataAt = readHeader();
      readDictionary();
      DType dtype = dtype();
      if (fortranOrder) {
        throw failure(
            "its array is in Fortran order; save it in C order: numpy.ascontiguousarray(array)");
      }
      long bytes = byteSize(dtype, extents);
      if (bytes < 0) {
        throw failure(
            "its shape is "
                + tuple(extents)
                + "; extents must be at least 0, and their size in bytes less than 2^63");
      }
      long present = mapped.byteSize() - dataAt;
      if (present < bytes) {
        throw failure(
            "it is truncated: "
                + descr
                + " "
                + tuple(extents)
                + " needs "
                + bytes
                + " bytes of data and there are "
                + present);
      }
      MemorySegment data = mapped.asSlice(dataAt, bytes);
      if (dataAt % dtype.size() != 0) {
        data = arena.allocate(bytes, DATA_ALIGNMENT).copyFrom(data).asReadOnly();
      }
      return new Array(dtype, extents, data);
    }

    /** Reads the header's text; returns where the data begins. */
    private long readHeader() throws NpyException {
      long size = mapped.byteSize();
      long magicSize = Math.min(size, MAGIC.length);
      boolean magic =
          mapped.asSlice(0, magicSize).mismatch(MemorySegment.ofArray(MAGIC).asSlice(0, magicSize))
              == -1;
      if (!magic || size == 0) {
        throw failure("it does not begin with the bytes \\x93NUMPY of a .npy file");
      }
      require(LENGTH_AT);
      int major = Byte.toUnsignedInt(mapped.get(ValueLayout.JAVA_BYTE, VERSION_AT));
      int minor = Byte.toUnsignedInt(mapped.get(ValueLayout.JAVA_BYTE, VERSION_AT + 1));
      if (major < 1 || major > 3 || minor != 0) {
        throw failure("its format version is " + major + "." + minor + "; 1.0 to 3.0 can be read");
      }
      int lengthSize = major == 1 ? Short.BYTES : Integer.BYTES;
      require(LENGTH_AT + lengthSize);
      long length = 0;
      for (int i = lengthSize - 1; i >= 0; i--) {
        length = length << 8 | Byte.toUnsignedInt(mapped.get(ValueLayout.JAVA_BYTE, LENGTH_AT + i));
      }
      long begin = LENGTH_AT + lengthSize;
      if (length > size - begin) {
        throw failure(
            "it is truncated: its header has "
                + length
                + " bytes and the file "
                + (size - begin)
                + " after the header's length");
      }
      if (length > MAX_HEADER) {
        throw failure("its header has " + length + " bytes; at most " + MAX_HEADER + " are read");
      }
      byte[] text = mapped.asSlice(begin, length).toArray(ValueLayout.JAVA_BYTE);
      header = new String(text, major < 3 ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
      return begin + length;
    }

    private void require(long bytes) throws NpyException {
      if (mapped.byteSize() < bytes) {
        throw failure(
            "it is truncated: it ends after " + mapped.byteSize() + " bytes, in its header");
      }
    }

    private void readDictionary() throws NpyException {
      expect('{');
      while (!skip('}')) {
        String key = string();
        expect(':');
        switch (key) {
          case "descr" -> descr = descrValue();
          case "fortran_order" -> fortranOrder = bool();
          case "shape" -> extents = tupleValue();
          default ->
              throw failure(
                  "its header has the key '"
                      + key
                      + "'; it must have descr, fortran_order and shape");
        }
        if (!skip(',')) {
          expect('}');
          break;
        }
      }
      if (peek() != '\0') {
        throw malformed("nothing more");
      }
      if (descr == null || fortranOrder == null || extents == null) {
        throw failure("its header lacks one of the keys descr, fortran_order and shape");
      }
    }

    private String descrValue() throws NpyException {
      if (peek() == '[') {
        throw failure(
            "its elements are records (structured dtype); save one field of it as an array");
      }
      return string();
    }

    private boolean bool() throws NpyException {
      for (boolean value : new boolean[] {false, true}) {
        String literal = value ? "True" : "False";
        if (peek() == literal.charAt(0) && header.startsWith(literal, at)) {
          at += literal.length();
          return value;
        }
      }
      throw malformed("True or False");
    }

    private long[] tupleValue() throws NpyException {
      expect('(');
      long[] values = new long[0];
      while (!skip(')')) {
        values = Arrays.copyOf(values, values.length + 1);
        values[values.length - 1] = integer();
        if (!skip(',')) {
          expect(')');
          break;
        }
      }
      return values;
    }

    private long integer() throws NpyException {
      peek();
      int begin = at;
      while (at < header.length() && (isDigit(header.charAt(at)) || header.charAt(at) == '-')) {
        at++;
      }
      String digits = header.substring(begin, at);
      try {
        long value = Long.parseLong(digits);
        // Python 2 wrote its long integers so.
        if (at < header.length() && header.charAt(at) == 'L') {
          at++;
        }
        return value;
      } catch (NumberFormatException e) {
        at = begin;
        throw digits.isEmpty()
            ? malformed("an integer")
            : failure(
                "its shape holds " + digits + "; extents must be at least 0 and less than 2^63");
      }
    }

    private static boolean isDigit(char c) {
      return c >= '0' && c <= '9';
    }

    private String string() throws NpyException {
      char quote = peek();
      if (quote != '\'' && quote != '"') {
        throw malformed("a string");
      }
      int end = header.indexOf(quote, at + 1);
      if (end < 0) {
        throw malformed("a string with an end");
      }
      String value = header.substring(at + 1, end);
      at = end + 1;
      return value;
    }

    /** The next character that is no white space; '\0' at the end. */
    private char peek() {
      while (at < header.length() && Character.isWhitespace(header.charAt(at))) {
        at++;
      }
      return at < header.length() ? header.charAt(at) : '\0';
    }

    private boolean skip(char c) {
      boolean found = peek() == c;
      at += found ? 1 : 0;
      return found;
    }

    private void expect(char c) throws NpyException {
      if (!skip(c)) {
        throw malformed("'" + c + "'");
      }
    }

    private DType dtype() throws NpyException {
      String accepted = "<f4, <f8, <f2, |u1, |i1, <i4 or <i8";
      if (descr.startsWith(">") && !descr.endsWith("1")) {
        throw failure(
            "its elements are big-endian ("
                + descr
                + "); save it little-endian: array.astype('<"
                + descr.substring(1)
                + "')");
      }
      if (descr.startsWith("|O") || descr.startsWith("O")) {
        throw failure("its elements are Python objects (" + descr + "); save numbers: " + accepted);
      }
      return switch (descr) {
        case "<f4" -> DType.F32;
        case "<f8" -> DType.F64;
        case "<f2" -> DType.F16;
        case "|u1", "<u1", ">u1" -> DType.U8;
        case "|i1", "<i1", ">i1" -> DType.I8;
        case "<i4" -> DType.I32;
        case "<i8" -> DType.I64;
        default ->
            throw failure("its elements are of type '" + descr + "'; it must be " + accepted);
      };
    }

    private NpyException malformed(String expected) {
      String rest = header.substring(at, Math.min(header.length(), at + 20)).strip();
      return failure(
          "its header is malformed: expected "
              + expected
              + " at character "
              + at
              + ", found "
              + (rest.isEmpty() ? "its end" : "'" + rest + "'"));
    }

    private NpyException failure(String what) {
      return new NpyException(name + ": " + what);
    }
  }
}
