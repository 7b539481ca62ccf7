package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class MeasuringTest {
  private static final long MILLISECOND = 1_000_000;

  @Test
  void medianIsTheMiddle() {
    assertEquals(3, Statistics.median(3));
    assertEquals(2, Statistics.median(9, 1, 2));
    assertEquals(2.5, Statistics.median(9, 1, 2, 3));
    assertThrows(IllegalArgumentException.class, Statistics::median);
  }

  @Test
  void medianLeavesTheSamplesInOrder() {
    double[] samples = {3, 1, 2};
    Statistics.median(samples);
    assertEquals(List.of(3.0, 1.0, 2.0), List.of(samples[0], samples[1], samples[2]));
  }

  @Test
  void figuresFollowFromTimeAndBytes() {
    Measurement measurement =
        new Measurement("a", "featurepool", 1, 4000, 100_000, 3000, OptionalDouble.of(10_000));
    assertEquals(4, measurement.microseconds());
    assertEquals(3, measurement.limitMicroseconds());
    assertEquals(25, measurement.gigabytesPerSecond());
    assertEquals(0.75, measurement.partOfLimit());
    assertEquals(OptionalDouble.of(2.5), measurement.speedupOverBestPeer());
  }

  @Test
  void jsonHasOneObjectPerLine() throws IOException {
    StringWriter out = new StringWriter();
    try (JsonLines lines = new JsonLines(out)) {
      OptionalDouble best = OptionalDouble.of(617_283.9455);
      lines.write(new Measurement("a \"b\"", "java-loop", 2, 1234567.891, 1_000_000, 1000.4, best));
      lines.write(new Measurement("c", "limit", 1, 500, 50_000, 500, OptionalDouble.empty()));
    }
    assertEquals(
        """
        {"cell":"a \\"b\\"","contender":"java-loop","threads":2,"us":1234.57,"gbps":0.81,\
        "limit_us":1.0004,"speedup_vs_best_peer":0.5}
        {"cell":"c","contender":"limit","threads":1,"us":0.5,"gbps":100.0,"limit_us":0.5}
        """,
        out.toString());
  }

  @Test
  void roundsTellTheTimeOfARun() {
    Rounds rounds = new Rounds(3, MILLISECOND, 4 * MILLISECOND, 500 * MILLISECOND);
    AtomicInteger runs = new AtomicInteger();
    List<Double> medians =
        rounds.medians(
            List.of(
                Rounds.Run.of(runs::incrementAndGet),
                Rounds.Run.of(() -> LockSupport.parkNanos(2 * MILLISECOND))));
    assertTrue(runs.get() > 1000, () -> "only " + runs + " runs in 3 samples of a millisecond");
    assertTrue(medians.get(0) < MILLISECOND, () -> "an increment took " + medians.get(0) + " ns");
    assertTrue(medians.get(1) >= 2 * MILLISECOND, () -> "2 ms took " + medians.get(1) + " ns");
  }

  @Test
  void aSlowRunGetsOneSample() {
    Rounds rounds = new Rounds(5, MILLISECOND, MILLISECOND, MILLISECOND);
    AtomicInteger runs = new AtomicInteger();
    rounds.medians(
        List.of(
            Rounds.Run.of(
                () -> {
                  runs.incrementAndGet();
                  LockSupport.parkNanos(3 * MILLISECOND);
                })));
    assertEquals(1, runs.get());
  }

  @Test
  void whatARunNeedsIsNotTimed() {
    Rounds rounds = new Rounds(3, MILLISECOND, 4 * MILLISECOND, 500 * MILLISECOND);
    AtomicInteger entered = new AtomicInteger();
    Runnable slow = () -> LockSupport.parkNanos(2 * MILLISECOND);
    Rounds.Run run =
        new Rounds.Run(
            () -> {
              slow.run();
              assertEquals(1, entered.incrementAndGet());
            },
            () -> assertEquals(1, entered.get()),
            () -> {
              assertEquals(0, entered.decrementAndGet());
              slow.run();
            });
    double median = rounds.medians(List.of(run)).getFirst();
    assertTrue(median < MILLISECOND, () -> "a look at a number took " + median + " ns");
    assertEquals(0, entered.get());
  }
}
