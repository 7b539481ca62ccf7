package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A JVM that makes wrong calls lives, and nothing of it is changed by them. */
class HostileCallsTest {
  @TempDir private Path folder;

  private void survives(long calls, int threads, Duration limit) throws Exception {
    long seed = Long.getLong("featurepool.test.seed", System.nanoTime());
    ChildJvm.Outcome outcome =
        new ChildJvm(folder, Map.of())
            .runWithTests(
                limit,
                "-Xmx256m",
                HostileCalls.class.getName(),
                Long.toString(calls),
                Integer.toString(threads),
                Long.toString(seed));
    String what = "seed " + seed + "\n" + outcome.output();
    assertEquals(0, outcome.exit(), what);
    assertTrue(outcome.output().contains("accepted "), what);
    System.out.println("hostile callers: " + calls + " calls: " + outcome.output().strip());
  }

  @Test
  void someThousandCalls() throws Exception {
    survives(20_000, 2, Duration.ofMinutes(2));
  }

  @Test
  @Tag("torture")
  void aMillionCalls() throws Exception {
    survives(1_000_000, 4, Duration.ofMinutes(15));
  }
}
