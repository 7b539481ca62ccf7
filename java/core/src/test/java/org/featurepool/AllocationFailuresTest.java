package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Native memory that runs out, wherever that may be. */
class AllocationFailuresTest {
  @TempDir private Path folder;

  @Test
  void everyAllocationMayFail() throws Exception {
    failEach(1);
  }

  @Test
  @Tag("torture")
  void everyAllocationOfAnyWorkerMayFail() throws Exception {
    failEach(4);
  }

  private void failEach(int threads) throws Exception {
    Path source =
        Path.of(System.getProperty("basedir", ""), "src/test/c/failing_allocations.c")
            .toAbsolutePath();
    Path library = folder.resolve("libfailing_allocations.so");
    Process compiler =
        new ProcessBuilder(
                "cc",
                "-std=c11",
                "-O1",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-fno-builtin",
                "-shared",
                "-fPIC",
                "-o",
                library.toString(),
                source.toString())
            .inheritIO()
            .start();
    assertEquals(0, compiler.waitFor(), "the compiler");
    ChildJvm.Outcome outcome =
        new ChildJvm(
                folder,
                Map.of("LD_PRELOAD", library.toString(), "FEATUREPOOL_LEAST_SHARED_BYTES", "1"))
            .runWithTests(
                Duration.ofMinutes(5),
                AllocationFailures.class.getName(),
                library.toString(),
                Integer.toString(threads),
                "5");
    assertEquals(0, outcome.exit(), outcome.output());
    assertTrue(outcome.output().contains("allocations failed "), outcome.output());
    String workers = ", workers " + (threads - 1) + "\n";
    assertTrue(outcome.output().endsWith(workers), outcome.output());
    System.out.println("failing allocations: " + threads + " threads: " + outcome.output().strip());
  }
}
