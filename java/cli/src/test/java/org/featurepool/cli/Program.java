package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import picocli.CommandLine;

/** Runs the program as its users do. */
final class Program {
  /** What a run left behind. */
  record Outcome(int exitCode, String out, String err) {
    Outcome requireSuccess() {
      assertEquals(0, exitCode, err);
      assertEquals("", err);
      return this;
    }

    /** Exit status 2 and one line that holds {@code fragment}. */
    void requireRefusal(String fragment) {
      assertEquals(2, exitCode, err);
      assertEquals("", out);
      assertTrue(err.endsWith("\n") && err.indexOf('\n') == err.length() - 1, err);
      assertTrue(err.startsWith("featurepool"), err);
      assertTrue(err.contains(fragment), () -> "'" + fragment + "' is not in: " + err);
    }
  }

  private Program() {}

  /** Runs in this JVM. */
  static Outcome run(Object... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine command =
        Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int exitCode = Main.run(command, strings(args));
    return new Outcome(exitCode, out.toString(), err.toString());
  }

  /** Runs in this JVM and requires a refusal that leaves {@code folder} as it was. */
  static void refuse(Path folder, String fragment, Object... args) throws IOException {
    TreeSet<String> before = listing(folder);
    run(args).requireRefusal(fragment);
    assertEquals(before, listing(folder));
  }

  static TreeSet<String> listing(Path folder) throws IOException {
    TreeSet<String> files = new TreeSet<>();
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        files.add(path + " " + Files.getLastModifiedTime(path) + " " + Files.size(path));
      }
    }
    return files;
  }

  /** A child JVM that runs the program; to be started by {@link #finish}. */
  static ProcessBuilder child(List<String> jvmOptions, Object... args) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(jvmOptions);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    command.addAll(List.of(strings(args)));
    return new ProcessBuilder(command);
  }

  /** Runs a child to its end. */
  static Outcome finish(Path folder, ProcessBuilder child) throws Exception {
    Path out = Files.createTempFile(folder, "child", ".out");
    Path err = Files.createTempFile(folder, "child", ".err");
    Process process =
        child
            .redirectInput(ProcessBuilder.Redirect.from(out.toFile()))
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    if (!process.waitFor(2, TimeUnit.MINUTES)) {
      process.destroyForcibly();
      throw new AssertionError("the program did not end in two minutes");
    }
    Outcome outcome =
        new Outcome(process.exitValue(), Files.readString(out), Files.readString(err));
    Files.delete(out);
    Files.delete(err);
    return outcome;
  }

  private static String[] strings(Object... args) {
    return Stream.of(args).map(Object::toString).toArray(String[]::new);
  }
}
