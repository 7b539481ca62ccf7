package org.featurepool.bindings;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Map;

/**
 * Checks a shared library before the system's loader sees it.
 *
 * <p>The loader maps the segments that the headers describe without asking whether the file is long
 * enough; the first access behind the end of a truncated file then kills the process.
 */
final class ElfFile {
  private static final int HEADER_SIZE = 64;
  private static final int PROGRAM_HEADER_SIZE = 56;
  private static final int MAGIC = 0x464c457f;
  private static final int CLASS_64 = 2;
  private static final int LITTLE_ENDIAN = 1;
  private static final int SHARED_OBJECT = 3;
  private static final int LOAD = 1;
  private static final Map<Integer, String> MACHINES =
      Map.of(3, "x86", 40, "arm", 62, "x86_64", 183, "aarch64", 243, "riscv64");

  private ElfFile() {}

  /**
   * Returns if {@code file} is a complete 64-bit ELF library for {@code architecture}.
   *
   * @throws IOException saying what it is instead
   */
  static void requireLoadable(Path file, String architecture) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      long size = channel.size();
      ByteBuffer header = read(channel, 0, HEADER_SIZE);
      if (header.getInt(0) != MAGIC) {
        throw new IOException("it is no shared library (no ELF file)");
      }
      if (header.get(4) != CLASS_64 || header.get(5) != LITTLE_ENDIAN) {
        throw new IOException("it is no 64-bit little-endian library");
      }
      if (header.getShort(16) != SHARED_OBJECT) {
        throw new IOException("it is an ELF file but no shared library");
      }
      int machine = Short.toUnsignedInt(header.getShort(18));
      String name = MACHINES.getOrDefault(machine, "machine " + machine);
      if (!name.equals(architecture)) {
        throw new IOException("it is a library for " + name + ", and this is " + architecture);
      }
      long end = end(channel, header);
      if (end > size) {
        throw truncated(size, end);
      }
    }
  }

  /** The end of what the headers describe. */
  private static long end(FileChannel channel, ByteBuffer header) throws IOException {
    int programHeaders = Short.toUnsignedInt(header.getShort(56));
    long table = header.getLong(32);
    long end = header.getLong(40) + (long) header.getShort(58) * header.getShort(60);
    for (int i = 0; i < programHeaders; i++) {
      ByteBuffer segment =
          read(channel, table + (long) i * PROGRAM_HEADER_SIZE, PROGRAM_HEADER_SIZE);
      if (segment.getInt(0) == LOAD) {
        end = Math.max(end, segment.getLong(8) + segment.getLong(32));
      }
    }
    return end;
  }

  private static ByteBuffer read(FileChannel channel, long position, int length)
      throws IOException {
    if (position < 0 || channel.size() < position + length) {
      throw truncated(channel.size(), position + length);
    }
    ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new EOFException("it became shorter while it was read");
      }
    }
    return buffer.flip();
  }

  private static IOException truncated(long size, long needed) {
    return new IOException(
        String.format(
            "it is truncated: it has %d bytes, and a complete one at least %d", size, needed));
  }
}
