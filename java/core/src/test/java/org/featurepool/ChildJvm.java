package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.module.ResolvedModule;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.featurepool.bindings.NativeLibrary;

/** A JVM of its own with the library on its class path, as a user's program has it. */
final class ChildJvm {
  /** How a program ended, and what it printed to both of its streams. */
  record Outcome(int exit, String output) {}

  private final Path folder;
  private final Map<String, String> environment;

  ChildJvm(Path folder, Map<String, String> environment) {
    this.folder = folder;
    this.environment = environment;
  }

  /** The library, its binding, what unpacks the native library, and the folder itself. */
  String classPath() throws URISyntaxException {
    return String.join(
        File.pathSeparator,
        place(MaxPool.class),
        place(NativeLibrary.class),
        place("org.tukaani.xz", "org.tukaani.xz.XZInputStream"),
        folder.toString());
  }

  private static String place(Class<?> type) throws URISyntaxException {
    return place(type.getModule().getName(), type.getName());
  }

  /** The folder or jar of a class, whether it is found on the module path or the class path. */
  private static String place(String module, String type) throws URISyntaxException {
    Module own = MaxPool.class.getModule();
    try {
      if (!own.isNamed()) {
        Class<?> there = Class.forName(type, false, MaxPool.class.getClassLoader());
        return Path.of(there.getProtectionDomain().getCodeSource().getLocation().toURI())
            .toString();
      }
    } catch (ClassNotFoundException missing) {
      throw new AssertionError(missing);
    }
    ResolvedModule resolved = own.getLayer().configuration().findModule(module).orElseThrow();
    return Path.of(resolved.reference().location().orElseThrow()).toString();
  }

  /** Runs {@code java} with the given arguments after those that every program needs. */
  Outcome run(String... arguments) throws IOException, InterruptedException, URISyntaxException {
    return run(Duration.ofMinutes(1), classPath(), arguments);
  }

  /** As {@link #run}, with the tests on the class path and a limit of the program's own. */
  Outcome runWithTests(Duration limit, String... arguments)
      throws IOException, InterruptedException, URISyntaxException {
    Path tests = Path.of(System.getProperty("basedir", ""), "target", "test-classes");
    return run(limit, classPath() + File.pathSeparator + tests.toAbsolutePath(), arguments);
  }

  private Outcome run(Duration limit, String classPath, String... arguments)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-classpath",
                classPath));
    // Set when coverage is measured, which these JVMs add to.
    String agent = System.getProperty("featurepool.test.agent", "");
    if (!agent.isBlank()) {
      command.add(agent);
    }
    // Set when the tests run another library than the jar's.
    String library = System.getProperty(NativeLibrary.LIBRARY_PROPERTY);
    if (library != null) {
      command.add("-D" + NativeLibrary.LIBRARY_PROPERTY + "=" + library);
    }
    command.addAll(List.of(arguments));
    Path output = folder.resolve("output.txt");
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile());
    builder.environment().putAll(environment);
    Process process = builder.start();
    boolean ended = process.waitFor(limit.toSeconds(), TimeUnit.SECONDS);
    process.destroyForcibly();
    assertTrue(ended, () -> "the program did not end within " + limit);
    return new Outcome(process.exitValue(), Files.readString(output));
  }
}
