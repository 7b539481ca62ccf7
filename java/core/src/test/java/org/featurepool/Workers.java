package org.featurepool;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The native library's worker threads in this process: there are none until a call is shared out.
 */
final class Workers {
  private static final Path TASKS = Path.of("/proc/self/task");

  private Workers() {}

  /** How many there are. */
  static int count() {
    return tasks().size();
  }

  /**
   * Waits until there are so many: one that was just made may not have begun.
   *
   * @return how many there are, at last
   */
  static int await(int number) throws InterruptedException {
    for (int i = 0; i < 1000 && count() != number; i++) {
      Thread.sleep(10);
    }
    return count();
  }

  /** Processor time that those alive have used. */
  static double seconds() {
    return tasks().stream().mapToLong(task -> nanoseconds(task.resolve("schedstat"))).sum() / 1e9;
  }

  private static List<Path> tasks() {
    try (Stream<Path> tasks = Files.list(TASKS)) {
      return tasks.filter(task -> text(task.resolve("comm")).equals("featurepool\n")).toList();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static long nanoseconds(Path schedstat) {
    String text = text(schedstat);
    return text.isEmpty() ? 0 : Long.parseLong(text.split(" ")[0]);
  }

  /** Empty when the thread has ended meanwhile. */
  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException ended) {
      return "";
    }
  }
}
