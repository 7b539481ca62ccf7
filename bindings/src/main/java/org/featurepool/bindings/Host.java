package org.featurepool.bindings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** What the loader must know of the machine and the process that it runs in. */
final class Host {
  /**
   * The names that Linux gives to what x86-64-v2, the library's baseline, has over plain x86-64
   * (System V ABI, AMD64 supplement, "Micro-architecture levels"); pni is SSE3.
   */
  private static final List<String> BASELINE =
      List.of("cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3");

  private Host() {}

  /** The platform as {@code <os>-<architecture>}, for example {@code linux-x86_64}. */
  static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT).replace(' ', '_');
    return os + "-" + architecture();
  }

  /** The JVM's architecture by the name that compilers give it. */
  static String architecture() {
    String name = System.getProperty("os.arch");
    return name.equals("amd64") ? "x86_64" : name;
  }

  /**
   * Returns if the processor has the library's baseline, or if the system does not tell.
   *
   * @throws IOException naming the features that it lacks
   */
  static void requireProcessor() throws IOException {
    Path description = Path.of("/proc/cpuinfo");
    if (architecture().equals("x86_64") && Files.isReadable(description)) {
      List<String> missing = missingFeatures(Files.readAllLines(description));
      if (!missing.isEmpty()) {
        throw new IOException(
            "it needs a processor of level x86-64-v2 (2009 or later); this one lacks "
                + String.join(", ", missing));
      }
    }
  }

  /** The baseline's features that are not among the flags of the first processor. */
  static List<String> missingFeatures(List<String> cpuinfo) {
    List<String> missing = new ArrayList<>();
    cpuinfo.stream()
        .filter(line -> line.startsWith("flags"))
        .findFirst()
        .ifPresent(
            line -> {
              Set<String> flags = Set.copyOf(Arrays.asList(line.split("[\\s:]+")));
              BASELINE.stream().filter(feature -> !flags.contains(feature)).forEach(missing::add);
            });
    return missing;
  }

  /** The numeric user that this process runs as. */
  static int userId() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
  }

  /** Whether {@code file} is on a file system mounted noexec; false where that cannot be told. */
  static boolean isMountedWithoutExecution(Path file) {
    try {
      return mountOptions(Files.readAllLines(Path.of("/proc/self/mountinfo")), file.toRealPath())
          .contains("noexec");
    } catch (IOException unknown) {
      return false;
    }
  }

  /** The options of the mount that holds {@code file}, from the lines of proc(5)'s mountinfo. */
  static List<String> mountOptions(List<String> mountinfo, Path file) {
    List<String> options = List.of();
    int longest = -1;
    for (String line : mountinfo) {
      String[] fields = line.split(" ");
      Path mount = Path.of(fields[4].replace("\\040", " "));
      // A later mount on the same folder hides the earlier one.
      if (file.startsWith(mount) && mount.getNameCount() >= longest) {
        longest = mount.getNameCount();
        options = List.of(fields[5].split(","));
      }
    }
    return options;
  }
}
