package org.featurepool.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.featurepool.Featurepool;

/** What figures were measured on, and with. */
final class Machine {
  private static final Path PROCESSORS = Path.of("/proc/cpuinfo");
  private static final String MODEL = "model name";

  private Machine() {}

  /** Featurepool, the processor and the JVM, in one line. */
  static String description() {
    return String.format(
        Locale.ROOT,
        "Featurepool %s, %s, %d of %d processors (%s), Java %s",
        Featurepool.version(),
        Featurepool.activeIsa(),
        Featurepool.threads(),
        Runtime.getRuntime().availableProcessors(),
        processor(),
        Runtime.version());
  }

  /** The other engines, in one line; empty if there are none. */
  static String versions(List<Contender> contenders) {
    return contenders.stream()
        .filter(contender -> contender.version().isPresent())
        .map(contender -> contender.name() + " " + contender.version().orElseThrow())
        .collect(Collectors.joining(", "));
  }

  private static String processor() {
    try {
      return Files.readAllLines(PROCESSORS).stream()
          .filter(line -> line.startsWith(MODEL))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    } catch (IOException e) {
      return System.getProperty("os.arch");
    }
  }
}
