package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The same bits from every number of threads, and, of what selects, from every instruction set and
 * layout. Each instruction set has a JVM of its own, which {@link Digests} runs in.
 */
class DeterminismTest {
  @TempDir private Path folder;

  /** What {@link Digests} prints under one instruction set. */
  private List<String> digests(String isa, int repetitions) throws Exception {
    ChildJvm.Outcome outcome =
        new ChildJvm(
                folder, Map.of("FEATUREPOOL_MAX_ISA", isa, "FEATUREPOOL_LEAST_SHARED_BYTES", "1"))
            .runWithTests(
                Duration.ofMinutes(20),
                Digests.class.getName(),
                isa,
                Integer.toString(repetitions));
    assertEquals(0, outcome.exit(), outcome.output());
    return outcome.output().lines().toList();
  }

  private void compare(int repetitions) throws Exception {
    List<String> isas = new ArrayList<>();
    List<List<String>> all = new ArrayList<>();
    double workerSeconds = 0;
    for (String isa : new String[] {"SSE4", "AVX2", "AVX3", "NEON"}) {
      List<String> lines = digests(isa, repetitions);
      if (!lines.isEmpty() && lines.getFirst().equals("isa " + isa)) {
        isas.add(isa);
        String[] workers = lines.getLast().split(" ");
        assertEquals("7", workers[1], "most workers at once");
        assertTrue(Double.parseDouble(workers[3]) > 0, lines.getLast());
        workerSeconds += Double.parseDouble(workers[3]);
        all.add(lines.subList(0, lines.size() - 1));
      }
    }
    assertTrue(!isas.isEmpty(), "no instruction set");
    for (int i = 1; i < all.size(); i++) {
      for (int line = 1; line < all.get(i).size(); line++) {
        String what = isas.getFirst() + " and " + isas.get(i);
        compare(all.getFirst().get(line), all.get(i).get(line), what);
      }
    }
    System.out.println(
        "determinism: "
            + isas
            + ", "
            + (all.getFirst().size() - 1)
            + " results x 8 numbers of threads x "
            + repetitions
            + " repetitions, workers ran "
            + Math.round(workerSeconds)
            + " s");
  }

  private static void compare(String expected, String actual, String what) {
    if (expected.startsWith("exact ")) {
      assertEquals(expected, actual, what);
      return;
    }
    String[] first = expected.split(" ");
    String[] other = actual.split(" ");
    assertEquals(first.length, other.length, what);
    for (int i = 1; i < first.length; i++) {
      // Some hundred roundings of f32.
      double bound = 1e-5 * Math.max(1, Double.parseDouble(first[1]));
      assertEquals(Double.parseDouble(first[i]), Double.parseDouble(other[i]), bound, what);
    }
  }

  @Test
  void threadsAndInstructionSets() throws Exception {
    compare(1);
  }

  @Test
  @Tag("torture")
  void hundredRepetitions() throws Exception {
    compare(100);
  }
}
