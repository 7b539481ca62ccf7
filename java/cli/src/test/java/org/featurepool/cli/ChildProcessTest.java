package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.featurepool.Featurepool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What depends on the process: its environment, its library, its streams. */
class ChildProcessTest {
  private static final long[] EXTENTS = {2, 6000, 6000};

  @TempDir Path folder;

  private Path input() throws IOException {
    return NpyFile.writeFloats(folder.resolve("x.npy"), Case.values(1, 64, 9), 8, 8);
  }

  private ProcessBuilder pool(List<String> jvmOptions, Path in, Path out) {
    return Program.child(jvmOptions, "pool", in, "-o", out, "--op", "max", "--kernel", "2,2");
  }

  private void refuse(String fragment, ProcessBuilder child) throws Exception {
    Program.finish(folder, child).requireRefusal(fragment);
    assertFalse(Files.exists(folder.resolve("y.npy")));
  }

  @Test
  void poolsAndSaysNothing() throws Exception {
    Path out = folder.resolve("y.npy");
    Program.Outcome outcome = Program.finish(folder, pool(List.of(), input(), out));
    assertEquals("", outcome.requireSuccess().out());
    Case test = Case.of("HW", "8x8", "--kernel 2,2");
    assertArrayEquals(
        test.oracle().max(Case.values(1, 64, 9), Float.NEGATIVE_INFINITY),
        NpyFile.read(out).floats());
  }

  @Test
  void badEnvironment() throws Exception {
    Path in = input();
    Path out = folder.resolve("y.npy");
    ProcessBuilder child = pool(List.of(), in, out);
    child.environment().put("FEATUREPOOL_MAX_ISA", "abacus");
    refuse("FEATUREPOOL_MAX_ISA is 'abacus'", child);
    child = pool(List.of(), in, out);
    child.environment().put("FEATUREPOOL_THREADS", "many");
    refuse("FEATUREPOOL_THREADS is 'many'", child);
    child = pool(List.of(), in, out);
    child.environment().put("FEATUREPOOL_KERNEL", "magic");
    refuse("FEATUREPOOL_KERNEL is 'magic'", child);
  }

  @Test
  void badLibraries() throws Exception {
    Path in = input();
    Path out = folder.resolve("y.npy");
    Path missing = folder.resolve("missing.so");
    refuse(missing.toString(), pool(List.of("-Dfeaturepool.library=" + missing), in, out));
    byte[] library = Files.readAllBytes(Featurepool.libraryPath());
    Path truncated = folder.resolve("truncated.so");
    Files.write(truncated, Arrays.copyOf(library, library.length / 2));
    refuse("truncated", pool(List.of("-Dfeaturepool.library=" + truncated), in, out));
    Path text = Files.writeString(folder.resolve("text.so"), "This is no library. ".repeat(100));
    refuse("no shared library", pool(List.of("-Dfeaturepool.library=" + text), in, out));
  }

  @Test
  void libraryOfAnotherAbiVersion() throws Exception {
    Path source =
        Files.writeString(
            folder.resolve("other.c"), "int fpool_abi_version(void) { return 1000; }\n");
    Path library = folder.resolve("other.so");
    Process compiler =
        new ProcessBuilder("cc", "-shared", "-fPIC", "-o", library.toString(), source.toString())
            .inheritIO()
            .start();
    assertEquals(0, compiler.waitFor());
    Path out = folder.resolve("y.npy");
    refuse("1000", pool(List.of("-Dfeaturepool.library=" + library), input(), out));
  }

  @Test
  void unusableTemporaryFolder() throws Exception {
    // Permissions would not stop root, a file in the folder's place does.
    Path file = Files.createFile(folder.resolve("featurepool-" + System.getProperty("user.name")));
    refuse(
        file + ": ", pool(List.of("-Djava.io.tmpdir=" + folder), input(), folder.resolve("y.npy")));
  }

  @Test
  void tooLittleMemory() throws Exception {
    // 64 elements and 2^40 of padding: the output has 2^46 bytes.
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), new float[64], 1, 64);
    Path out = folder.resolve("y.npy");
    ProcessBuilder child =
        Program.child(
            List.of(),
            "pool",
            in,
            "-o",
            out,
            "--op",
            "max",
            "--kernel",
            1L << 45,
            "--stride",
            1,
            "--pad",
            (1L << 45) - 1);
    Program.Outcome outcome = Program.finish(folder, child);
    assertEquals(1, outcome.exitCode(), outcome.err());
    assertTrue(outcome.err().contains("memory"), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
    assertFalse(Files.exists(out));
  }

  @Test
  void progressIsForTerminals() throws Exception {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "script is not installed");
    // Two planes, so two parts; and a window and a kernel that take a while for each.
    Path in = NpyFile.write(folder.resolve("x.npy"), "'|u1'", false, EXTENTS, new byte[0]);
    try (RandomAccessFile file = new RandomAccessFile(in.toFile(), "rw")) {
      file.setLength(file.length() + EXTENTS[0] * EXTENTS[1] * EXTENTS[2]);
    }
    ProcessBuilder child =
        Program.child(
            List.of(),
            "pool",
            in,
            "-o",
            folder.resolve("y.npy"),
            "--op",
            "avg",
            "--kernel",
            "9,9",
            "--stride",
            "3,3",
            "--dilation",
            "2",
            "--threads",
            "1");
    child.environment().put("FEATUREPOOL_KERNEL", "reference");
    assertEquals("", Program.finish(folder, child).requireSuccess().out());

    String command =
        child.command().stream().map(word -> "'" + word + "'").collect(Collectors.joining(" "));
    ProcessBuilder onTerminal = new ProcessBuilder("/usr/bin/script", "-qec", command, "/dev/null");
    onTerminal.environment().putAll(child.environment());
    onTerminal.environment().put("TERM", "xterm");
    Program.Outcome outcome = Program.finish(folder, onTerminal);
    assertEquals(0, outcome.exitCode());
    assertTrue(outcome.out().contains("pool ") && outcome.out().contains("%"), outcome.out());
  }
}
