package org.featurepool.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import org.featurepool.Npy;

/** What a fuzzer calls with bytes of its own: the reader of .npy arrays. */
public final class NpyFuzzer {
  private NpyFuzzer() {}

  /** Reads an array, or is told by an {@link IOException} what is wrong with the bytes. */
  public static void fuzzerTestOneInput(byte[] data) {
    try (Arena arena = Arena.ofConfined()) {
      Npy.Array array = Npy.read("bytes", new ByteArrayInputStream(data), arena);
      long bytes = array.dtype().size();
      for (long extent : array.extents()) {
        bytes = Math.multiplyExact(bytes, extent);
      }
      if (array.segment().byteSize() != bytes) {
        throw new AssertionError(array + " has memory of " + array.segment().byteSize());
      }
    } catch (IOException refusal) {
      if (refusal.getMessage() == null || refusal.getMessage().isEmpty()) {
        throw new AssertionError("a refusal without a message", refusal);
      }
    }
  }
}
