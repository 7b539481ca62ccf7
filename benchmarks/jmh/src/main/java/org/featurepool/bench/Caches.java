package org.featurepool.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Sizes of the data caches in bytes.
 *
 * @param second of one core
 * @param last of those that share it
 */
record Caches(long second, long last) {
  private static final Caches USUAL = new Caches(1 << 20, 32 << 20);
  private static final Path FIRST_PROCESSOR = Path.of("/sys/devices/system/cpu/cpu0/cache");
  private static final int MOST_CACHES = 8;

  /** Those of the first processor; usual ones if the system does not tell. */
  static Caches read() {
    long second = size(2).orElse(USUAL.second);
    return new Caches(second, size(3).orElse(size(2).orElse(USUAL.last)));
  }

  private static Optional<Long> size(int level) {
    for (int i = 0; i < MOST_CACHES; i++) {
      Path cache = FIRST_PROCESSOR.resolve("index" + i);
      try {
        if (Files.readString(cache.resolve("level")).strip().equals(Integer.toString(level))) {
          // "1024K"
          String size = Files.readString(cache.resolve("size")).strip();
          return Optional.of(Long.parseLong(size.substring(0, size.length() - 1)) << 10);
        }
      } catch (IOException | NumberFormatException e) {
        return Optional.empty();
      }
    }
    return Optional.empty();
  }
}
