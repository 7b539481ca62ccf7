package org.featurepool.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** What memory a piece of work takes, as far as Linux tells. */
final class PeakMemory {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path RESET = Path.of("/proc/self/clear_refs");

  /** Resets the peak to what is in use. */
  private static final String PEAK = "5";

  private static final int RUNS = 5;

  private PeakMemory() {}

  /**
   * Bytes that the process had in use at most during a run beyond those before it; the least of
   * some runs, for the rest of the process takes memory too.
   *
   * @return empty where the system does not tell
   */
  static OptionalLong of(Runnable run) {
    long least = Long.MAX_VALUE;
    try {
      for (int i = 0; i < RUNS; i++) {
        Files.writeString(RESET, PEAK);
        long before = kilobytes("VmRSS");
        run.run();
        least = Math.min(least, kilobytes("VmHWM") - before);
      }
    } catch (IOException e) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(Math.max(0, least) << 10);
  }

  private static long kilobytes(String name) throws IOException {
    for (String line : Files.readAllLines(STATUS)) {
      if (line.startsWith(name + ":")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    throw new IOException("no " + name + " in " + STATUS);
  }
}
