package org.featurepool.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** An .npy file, read and written by code that is not the library's. */
record NpyFile(String descr, long[] extents, ByteBuffer data) {
  private static final Pattern HEADER =
      Pattern.compile("'descr': '([^']*)', 'fortran_order': False, 'shape': \\(([^)]*)\\)");
  private static final int PREFIX = 10;

  static NpyFile read(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int length = Short.toUnsignedInt(bytes.getShort(8));
    String header = new String(bytes.array(), PREFIX, length, StandardCharsets.ISO_8859_1);
    Matcher matcher = HEADER.matcher(header);
    if (!matcher.find()) {
      throw new AssertionError(file + " has the header " + header);
    }
    long[] extents =
        Arrays.stream(matcher.group(2).split(","))
            .map(String::strip)
            .filter(extent -> !extent.isEmpty())
            .mapToLong(Long::parseLong)
            .toArray();
    ByteBuffer data =
        bytes.slice(PREFIX + length, bytes.capacity() - PREFIX - length).order(bytes.order());
    return new NpyFile(matcher.group(1), extents, data);
  }

  float[] floats() {
    float[] values = new float[data.remaining() / Float.BYTES];
    data.duplicate().order(data.order()).asFloatBuffer().get(values);
    return values;
  }

  /** Elements of any floating-point type that Java has. */
  double[] doubles() {
    if (descr.equals("<f4")) {
      float[] floats = floats();
      double[] values = new double[floats.length];
      Arrays.setAll(values, i -> floats[i]);
      return values;
    }
    if (!descr.equals("<f8")) {
      throw new AssertionError("these are no floating-point numbers but " + descr);
    }
    double[] values = new double[data.remaining() / Double.BYTES];
    data.duplicate().order(data.order()).asDoubleBuffer().get(values);
    return values;
  }

  long[] longs() {
    long[] values = new long[data.remaining() / Long.BYTES];
    data.duplicate().order(data.order()).asLongBuffer().get(values);
    return values;
  }

  float[] unsignedBytes() {
    float[] values = new float[data.remaining()];
    for (int i = 0; i < values.length; i++) {
      values[i] = Byte.toUnsignedInt(data.get(i));
    }
    return values;
  }

  static Path write(Path file, String descr, boolean fortran, long[] extents, byte[] data)
      throws IOException {
    String shape =
        Arrays.stream(extents).mapToObj(extent -> extent + ",").collect(Collectors.joining(" "));
    String dictionary =
        "{'descr': %s, 'fortran_order': %s, 'shape': (%s), }"
            .formatted(descr, fortran ? "True" : "False", shape);
    String header = dictionary + " ".repeat(63 - (PREFIX + dictionary.length()) % 64) + "\n";
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
    bytes.writeBytes(new byte[] {(byte) header.length(), (byte) (header.length() >>> 8)});
    bytes.writeBytes(header.getBytes(StandardCharsets.ISO_8859_1));
    bytes.writeBytes(data);
    return Files.write(file, bytes.toByteArray());
  }

  static Path writeFloats(Path file, float[] values, long... extents) throws IOException {
    ByteBuffer data =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    data.asFloatBuffer().put(values);
    return write(file, "'<f4'", false, extents, data.array());
  }

  static Path writeDoubles(Path file, double[] values, long... extents) throws IOException {
    ByteBuffer data =
        ByteBuffer.allocate(values.length * Double.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    data.asDoubleBuffer().put(values);
    return write(file, "'<f8'", false, extents, data.array());
  }

  static Path writeLongs(Path file, long[] values, long... extents) throws IOException {
    ByteBuffer data =
        ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    data.asLongBuffer().put(values);
    return write(file, "'<i8'", false, extents, data.array());
  }

  static Path writeUnsignedBytes(Path file, float[] values, long... extents) throws IOException {
    byte[] data = new byte[values.length];
    for (int i = 0; i < data.length; i++) {
      data[i] = (byte) (int) values[i];
    }
    return write(file, "'|u1'", false, extents, data);
  }

  /** Writes an .npz archive of .npy files by the name of the array. */
  static Path writeArchive(Path file, Map<String, Path> arrays) throws IOException {
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      for (Map.Entry<String, Path> array : arrays.entrySet()) {
        zip.putNextEntry(new ZipEntry(array.getKey() + ".npy"));
        zip.write(Files.readAllBytes(array.getValue()));
      }
    }
    return file;
  }

  /** Reads an array of an .npz archive; {@code scratch} is a file that is overwritten. */
  static NpyFile readArchive(Path file, String array, Path scratch) throws IOException {
    try (ZipFile zip = new ZipFile(file.toFile());
        InputStream stream = zip.getInputStream(zip.getEntry(array + ".npy"))) {
      return read(Files.write(scratch, stream.readAllBytes()));
    }
  }
}
