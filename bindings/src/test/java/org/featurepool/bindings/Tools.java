package org.featurepool.bindings;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tukaani.xz.XZInputStream;

/** Programs that the tests run, and where they find the project's files. */
final class Tools {
  static final Path MODULE = Path.of(System.getProperty("basedir", "")).toAbsolutePath();
  static final Path HEADER = MODULE.resolve("../native/include/featurepool/featurepool.h");
  static final Path CLASSES = MODULE.resolve("target/classes");
  static final Path TEST_CLASSES = MODULE.resolve("target/test-classes");

  /** The classes that unpack the library. */
  static final Path XZ =
      Path.of(
          URI.create(
              XZInputStream.class.getProtectionDomain().getCodeSource().getLocation().toString()));

  /** The library that the build packed and put among the classes. */
  static final Path LIBRARY =
      unpack(
          CLASSES.resolve("org/featurepool/bindings/linux-x86_64/libfeaturepool.so.xz"),
          MODULE.resolve("target/libfeaturepool.so"));

  private Tools() {}

  static Path unpack(Path packed, Path file) {
    try (InputStream stream = new XZInputStream(Files.newInputStream(packed))) {
      Files.copy(stream, file, StandardCopyOption.REPLACE_EXISTING);
      return file;
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  /** What a program did. */
  record Run(int exit, String output) {
    List<String> lines() {
      return output.lines().toList();
    }
  }

  /** A program under way. */
  record Running(Process process, List<String> command) {
    Run await() {
      try {
        // Read first: a program that fills the pipe would never end.
        byte[] output = process.getInputStream().readAllBytes();
        return new Run(process.waitFor(), new String(output, StandardCharsets.UTF_8));
      } catch (IOException failure) {
        throw new UncheckedIOException(failure);
      } catch (InterruptedException failure) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(command + " was interrupted", failure);
      }
    }
  }

  static Running start(List<String> command) {
    try {
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      // Options for the JVM of the tests are no concern of the JVMs that they start.
      builder.environment().keySet().removeAll(List.of("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"));
      Process process = builder.start();
      process.getOutputStream().close();
      return new Running(process, command);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  static Run run(String... command) {
    return start(List.of(command)).await();
  }

  /** Runs a program that must succeed and returns its output. */
  static Run require(String... command) {
    Run run = run(command);
    if (run.exit() != 0) {
      throw new IllegalStateException(
          Arrays.toString(command) + " ended with " + run.exit() + ":\n" + run.output());
    }
    return run;
  }

  /** The command that starts {@link LoaderProbe} on a class path, with native access. */
  static List<String> probe(List<Path> classPath, String... options) {
    List<String> all = new ArrayList<>(List.of("--enable-native-access=ALL-UNNAMED"));
    all.addAll(List.of(options));
    return java(classPath, all.toArray(String[]::new));
  }

  /** The command that starts {@link LoaderProbe} on a class path. */
  static List<String> java(List<Path> classPath, String... options) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(agent());
    command.addAll(List.of(options));
    command.add("-cp");
    command.add(String.join(":", classPath.stream().map(Path::toString).toList()));
    command.add(LoaderProbe.class.getName());
    return command;
  }

  /** The option that has a JVM counted when coverage is measured; none otherwise. */
  private static List<String> agent() {
    String agent = System.getProperty("featurepool.test.agent", "");
    return agent.isBlank() ? List.of() : List.of(agent);
  }

  /** Compiles C source to a program or, with {@code -shared -fPIC}, to a library. */
  static Path compile(Path target, String source, String... options) throws IOException {
    Path file = target.resolveSibling(target.getFileName() + ".c");
    Files.writeString(file, source);
    List<String> command =
        new ArrayList<>(List.of("cc", "-std=c11", "-Wall", "-Wextra", "-Werror"));
    command.addAll(List.of(options));
    command.addAll(List.of("-o", target.toString(), file.toString()));
    require(command.toArray(String[]::new));
    return target;
  }

  /** Whether a program is on the PATH. */
  static boolean isInstalled(String program) {
    return Arrays.stream(System.getenv("PATH").split(":"))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }
}
