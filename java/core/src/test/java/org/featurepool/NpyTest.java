package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class NpyTest {
  private static final String F32_2X3 =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

  @TempDir private Path folder;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  /** A file of a version, a header (as it is, then a line feed) and data. */
  private static byte[] file(int version, String header, byte[] data) {
    byte[] text = (header + "\n").getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(12 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', (byte) version, 0});
    if (version == 1) {
      file.putShort((short) text.length);
    } else {
      file.putInt(text.length);
    }
    file.put(text).put(data);
    return Arrays.copyOf(file.array(), file.position());
  }

  private static byte[] floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return bytes.array();
  }

  private Npy.Array map(byte[] content) throws IOException {
    return Npy.map(Files.write(folder.resolve("in.npy"), content), arena);
  }

  private void assertRefused(byte[] content, String... inMessage) {
    NpyException refusal = assertThrows(NpyException.class, () -> map(content));
    assertTrue(refusal.getMessage().contains("in.npy: "), refusal.getMessage());
    for (String text : inMessage) {
      assertTrue(
          refusal.getMessage().contains(text),
          "\"" + refusal.getMessage() + "\" lacks \"" + text + "\"");
    }
  }

  private void assertHeaderRefused(String header, String... inMessage) {
    for (int version = 1; version <= 3; version++) {
      assertRefused(file(version, header, new byte[64]), inMessage);
    }
  }

  @Test
  void writesWhatNumpyWrites() throws IOException {
    Path file = folder.resolve("out.npy");
    Npy.write(file, Tensor.of(arena, Shape.nchw(1, 1, 2, 3), new float[] {1, 2, 3, 4, 5, 6}));
    ByteArrayOutputStream expected = new ByteArrayOutputStream();
    expected.write(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0});
    String dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2, 3), }";
    expected.write(
        (dictionary + " ".repeat(117 - dictionary.length()) + "\n")
            .getBytes(StandardCharsets.US_ASCII));
    expected.write(floats(1, 2, 3, 4, 5, 6));
    assertArrayEquals(expected.toByteArray(), Files.readAllBytes(file));
  }

  @ParameterizedTest
  @EnumSource(value = DType.class, names = "BF16", mode = EnumSource.Mode.EXCLUDE)
  void roundTripOfEveryType(DType dtype) throws IOException {
    for (Layout layout : Layout.values()) {
      Shape shape = Shape.of(layout, 2, 3, 4, 5);
      Tensor tensor = Tensor.allocate(arena, dtype, shape);
      for (int i = 0; i < 120; i++) {
        tensor.set(i, i / 60, i / 20 % 3, i / 5 % 4, i % 5);
      }
      Path file = folder.resolve(dtype + ".npy");
      Npy.write(file, tensor);
      Npy.Array array = Npy.map(file, arena);
      assertEquals(dtype, array.dtype());
      assertArrayEquals(shape.memoryExtents(), array.extents());
      assertEquals(0, array.segment().address() % 64, "data is mapped where it is aligned");
      assertTrue(array.segment().isMapped() && array.segment().isReadOnly());
      assertEquals(-1, array.segment().mismatch(tensor.segment()));
      assertEquals(119, array.toTensor(shape).get(1, 2, 3, 4));
    }
  }

  @Test
  void arraysThatAreNoTensors() throws IOException {
    Path file = folder.resolve("scalar.npy");
    Npy.write(file, DType.F64, new long[0], arena.allocate(8));
    assertEquals("F64 ()", Npy.map(file, arena).toString());
    Npy.write(file, DType.U8, new long[] {7}, arena.allocate(7));
    assertEquals("U8 (7,)", Npy.map(file, arena).toString());
    Npy.write(file, DType.U8, new long[] {7, 0}, arena.allocate(0));
    assertEquals("U8 (7, 0)", Npy.map(file, arena).toString());
  }

  @Test
  void heapSegmentsCanBeWritten() throws IOException {
    Path file = folder.resolve("heap.npy");
    Npy.write(file, DType.F32, new long[] {2}, MemorySegment.ofArray(new float[] {1, 2}));
    assertEquals("F32 (2,)", Npy.map(file, arena).toString());
  }

  @Test
  void streamsAndChannels() throws IOException {
    Path file = folder.resolve("array.npy");
    Tensor tensor = Tensor.of(arena, Shape.nchw(1, 1, 2, 3), new float[] {1, 2, 3, 4, 5, 6});
    Npy.write(file, tensor);
    ByteArrayOutputStream stream = new ByteArrayOutputStream();
    Npy.write(Channels.newChannel(stream), Npy.map(file, arena));
    assertArrayEquals(Files.readAllBytes(file), stream.toByteArray());

    Npy.Array read = Npy.read("an entry", new ByteArrayInputStream(stream.toByteArray()), arena);
    assertEquals("F32 (1, 1, 2, 3)", read.toString());
    assertTrue(read.segment().isReadOnly());
    assertEquals(-1, read.segment().mismatch(tensor.segment()));
    byte[] truncated = Arrays.copyOf(stream.toByteArray(), 100);
    NpyException e =
        assertThrows(
            NpyException.class,
            () -> Npy.read("an entry", new ByteArrayInputStream(truncated), arena));
    assertTrue(e.getMessage().startsWith("an entry: it is truncated"), e.getMessage());
  }

  @Test
  void unitAxesMayBeAddedAndDropped() throws IOException {
    Npy.Array array = map(file(1, F32_2X3, floats(1, 2, 3, 4, 5, 6)));
    for (Shape shape :
        new Shape[] {Shape.nchw(1, 1, 2, 3), Shape.nhwc(1, 2, 3, 1), Shape.ncw(2, 1, 3)}) {
      assertEquals(6, array.toTensor(shape).toFloatArray()[5]);
    }
    assertThrows(IllegalArgumentException.class, () -> array.toTensor(Shape.nchw(1, 1, 3, 2)));
    assertThrows(IllegalArgumentException.class, () -> array.toTensor(Shape.ncw(1, 1, 6)));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void everyVersion(int version) throws IOException {
    // Behind headers of every length, most of which leave the data misaligned.
    for (int blanks = 0; blanks < 8; blanks++) {
      Npy.Array array = map(file(version, F32_2X3 + " ".repeat(blanks), floats(1, 2, 3, 4, 5, 6)));
      assertArrayEquals(new long[] {2, 3}, array.extents());
      Tensor tensor = array.toTensor(Shape.nchw(1, 1, 2, 3));
      assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, tensor.toFloatArray());
      assertTrue(tensor.segment().isReadOnly());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"shape\": (2L, 3L), \"fortran_order\": False, \"descr\": \"<f4\"}",
        "  { 'descr' :'<f4','fortran_order':False ,'shape':( 2,3 , ) , }   "
      })
  void headersThatOthersWrite(String header) throws IOException {
    assertArrayEquals(new long[] {2, 3}, map(file(1, header, new byte[24])).extents());
  }

  @ParameterizedTest
  @CsvSource({"<u1, U8", ">u1, U8", ">i1, I8", "|i1, I8", "<i8, I64", "<f2, F16"})
  void typesThatCanBeRead(String descr, DType dtype) throws IOException {
    String header = F32_2X3.replace("<f4", descr);
    assertEquals(dtype, map(file(1, header, new byte[48])).dtype());
  }

  @Test
  void anyTruncationIsToldAsSuch() throws IOException {
    byte[] whole = file(1, F32_2X3, floats(1, 2, 3, 4, 5, 6));
    assertRefused(new byte[0], "does not begin with");
    for (int length = 1; length < whole.length; length++) {
      assertRefused(Arrays.copyOf(whole, length), "truncated");
    }
    assertRefused(Arrays.copyOf(whole, whole.length - 1), "<f4 (2, 3) needs 24 bytes", "are 23");
  }

  @Test
  void filesThatAreNoNpy() {
    assertRefused("PK\3\4 an archive".getBytes(StandardCharsets.US_ASCII), "\\x93NUMPY");
    assertRefused(file(4, F32_2X3, new byte[24]), "version is 4.0", "1.0 to 3.0");
    assertRefused(file(0, F32_2X3, new byte[24]), "version is 0.0", "1.0 to 3.0");
    byte[] long32 = file(2, F32_2X3, new byte[24]);
    ByteBuffer.wrap(long32).order(ByteOrder.LITTLE_ENDIAN).putInt(8, -1);
    assertRefused(long32, "truncated", "header has 4294967295 bytes");
    byte[] huge = file(2, F32_2X3, new byte[1 << 21]);
    ByteBuffer.wrap(huge).order(ByteOrder.LITTLE_ENDIAN).putInt(8, 1 << 21);
    assertRefused(huge, "header has 2097152 bytes", "at most");
  }

  @Test
  void arraysThatCannotBeUsed() {
    assertHeaderRefused(F32_2X3.replace("False", "True"), "Fortran order", "ascontiguousarray");
    assertHeaderRefused(F32_2X3.replace("<f4", ">f4"), "big-endian (>f4)", "astype('<f4')");
    assertHeaderRefused(F32_2X3.replace("<f4", "|O"), "Python objects");
    assertHeaderRefused(
        F32_2X3.replace("'<f4'", "[('a', '<f4'), ('b', '<i4')]"), "records", "field");
    for (String descr : new String[] {"<u2", "<c8", "|b1", "<U7", "|S3", "<M8[ns]", "f4", ""}) {
      assertHeaderRefused(F32_2X3.replace("<f4", descr), "type '" + descr + "'", "<f4, <f8");
    }
  }

  @Test
  void shapesThatCannotBe() {
    assertHeaderRefused(F32_2X3.replace("(2, 3)", "(-2, 3)"), "shape is (-2, 3)", "at least 0");
    assertHeaderRefused(
        F32_2X3.replace("(2, 3)", "(4611686018427387904, 4)"), "shape is (4611", "2^63");
    assertHeaderRefused(
        F32_2X3.replace("(2, 3)", "(0, 4611686018427387904, 4)"), "shape is (0, 4611", "2^63");
    assertHeaderRefused(
        F32_2X3.replace("(2, 3)", "(99999999999999999999,)"), "99999999999999999999", "2^63");
    assertHeaderRefused(F32_2X3.replace("(2, 3)", "(1000000, 1000000)"), "truncated");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{}",
        "[]",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2,3)}",
        "{'descr': '<f4', 'fortran_order': false, 'shape': (2,3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2,3]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,,3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,3",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,3)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,3), 'more': 1}",
        "{'descr': 7, 'fortran_order': False, 'shape': (2,3)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,3)}",
        "\u00e4\u0000\u0001"
      })
  void brokenHeaders(String header) {
    assertHeaderRefused(header, "header");
  }

  @Test
  void anyDamagedByteIsAnExceptionOrAnArray() throws IOException {
    byte[] whole = file(1, F32_2X3, floats(1, 2, 3, 4, 5, 6));
    for (int at = 0; at < whole.length; at++) {
      for (char value : "\0\u00ff-9'(,}".toCharArray()) {
        byte[] damaged = whole.clone();
        damaged[at] = (byte) value;
        try {
          map(damaged);
        } catch (NpyException expected) {
          assertTrue(expected.getMessage().contains("in.npy: "), expected.getMessage());
        }
      }
    }
  }

  @Test
  void filesThatCannotBeRead() {
    assertThrows(NoSuchFileException.class, () -> Npy.map(folder.resolve("none.npy"), arena));
    assertThrows(IOException.class, () -> Npy.map(folder, arena));
  }

  @Test
  void badArraysToWrite() {
    Path file = folder.resolve("out.npy");
    MemorySegment segment = arena.allocate(24);
    for (long[] extents : new long[][] {{-1, 6}, {Long.MAX_VALUE, 6}}) {
      assertThrows(
          IllegalArgumentException.class, () -> Npy.write(file, DType.F32, extents, segment));
    }
    assertThrows(
        IllegalArgumentException.class, () -> Npy.write(file, DType.F32, new long[] {7}, segment));
    assertThrows(
        IllegalArgumentException.class,
        () -> Npy.write(file, DType.BF16, new long[] {12}, segment));
    assertTrue(Files.notExists(file));
  }

  @Test
  void writingReplacesWhollyOrNotAtAll() throws IOException {
    Path file = Files.writeString(folder.resolve("out.npy"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link.npy"), file);
    Arena closed = Arena.ofConfined();
    Tensor gone = Tensor.allocate(closed, DType.F32, Shape.ncw(1, 1, 4));
    closed.close();
    assertThrows(IllegalStateException.class, () -> Npy.write(file, gone));
    assertEquals("old", Files.readString(file));

    Npy.write(link, Tensor.allocate(arena, DType.F32, Shape.ncw(1, 1, 4)));
    assertTrue(Files.isSymbolicLink(link), "a link stays a link");
    assertEquals("F32 (1, 1, 4)", Npy.map(file, arena).toString());
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(2, files.count(), "temporary files are gone");
    }

    Tensor tensor = Tensor.allocate(arena, DType.F32, Shape.ncw(1, 1, 4));
    assertThrows(
        FileSystemException.class, () -> Npy.write(folder.resolve("no/such/out.npy"), tensor));
    assertThrows(IOException.class, () -> Npy.write(folder, tensor));
  }
}
