package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class TargetsTest {
  private static final String HEADER =
      "id,op,direction,layout,dtype,n,c,d,h,w,kernel,stride,pad,from\n";
  private static final Caches CACHES = new Caches(1 << 20, 32 << 20);

  /** Microseconds of a contender; its name may end in the number of threads, as in "a@2". */
  private static CellBench.Outcome outcome(String row, Map<String, Double> times) {
    try {
      Cell cell = Matrix.parse(new BufferedReader(new StringReader(HEADER + row))).getFirst();
      Task task = Task.of(cell).orElseThrow();
      OptionalDouble best =
          times.entrySet().stream()
              .filter(entry -> !entry.getKey().startsWith("featurepool"))
              .filter(entry -> !entry.getKey().equals(CellBench.LIMIT))
              .mapToDouble(entry -> 1e3 * entry.getValue())
              .min();
      List<Measurement> measurements = new ArrayList<>();
      times.forEach(
          (name, micros) -> {
            String[] parts = name.split("@");
            int threads = parts.length == 1 ? 1 : Integer.parseInt(parts[1]);
            measurements.add(
                new Measurement(cell.id(), parts[0], threads, 1e3 * micros, 1, Double.NaN, best));
          });
      return new CellBench.Outcome(
          cell, task, measurements, Map.of(), Map.of(), OptionalLong.empty());
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<String> lines(CellBench.Outcome... outcomes) {
    return new Targets(List.of(outcomes), 1, CACHES).lines();
  }

  private static String line(int target, CellBench.Outcome... outcomes) {
    return lines(outcomes).stream()
        .filter(line -> line.startsWith("target " + target + ": "))
        .findFirst()
        .orElse("");
  }

  private static final String POOL = ",max,forward,nchw,f32,8,64,1,224,224,2x2,2x2,0x0,x";

  @Test
  void aTargetHoldsWhereItsWorstCellDoes() {
    assertEquals(
        "target 3: holds, worst 0.88 (a), asked at least 0.85",
        line(
            3,
            outcome("a" + POOL, Map.of("limit", 88.0, "featurepool", 100.0)),
            outcome("b" + POOL, Map.of("limit", 95.0, "featurepool", 100.0))));
  }

  @Test
  void whatFallsShortIsNamed() {
    assertEquals(
        "target 3: falls short, worst 0.50 (a), asked at least 0.85; 2 of 3 fall short: a 0.50,"
            + " b 0.80",
        line(
            3,
            outcome("a" + POOL, Map.of("limit", 50.0, "featurepool", 100.0)),
            outcome("b" + POOL, Map.of("limit", 80.0, "featurepool", 100.0)),
            outcome("c" + POOL, Map.of("limit", 90.0, "featurepool", 100.0))));
  }

  @Test
  void aMeanIsAskedForBesideEachCell() {
    CellBench.Outcome four = outcome("a" + POOL, Map.of("onednn", 40.0, "featurepool", 10.0));
    CellBench.Outcome two = outcome("b" + POOL, Map.of("onednn", 20.0, "featurepool", 10.0));
    assertEquals(
        "target 1: falls short, worst 2.83 (geometric mean), asked at least 3.00; 1 of 3 fall"
            + " short: geometric mean 2.83",
        line(1, four, two));
    assertEquals("", line(2, four, two));
  }

  @Test
  void theLimitDependsOnTheCache() {
    String small = "a,max,forward,nchw,f32,1,64,1,112,112,2x2,2x2,0x0,x";
    assertTrue(
        line(3, outcome(small, Map.of("limit", 7.0, "featurepool", 10.0))).contains("holds"));
    assertEquals(
        "",
        line(
            3,
            outcome(
                "a,max,forward,nchw,f32,1,16,1,28,28,2x2,2x2,0x0,x",
                Map.of("limit", 1.0, "featurepool", 10.0))));
  }

  @Test
  void aMaskIsHeldAgainstTheSamePoolingWithout() {
    String masked = POOL.replace("forward", "forward_mask");
    assertEquals(
        "target 6: holds, worst 1.20 (b), asked at most 1.30",
        line(
            6,
            outcome("a" + POOL, Map.of("featurepool", 10.0)),
            outcome("b" + masked, Map.of("featurepool", 12.0))));
  }

  @Test
  void twoThreadsAreHeldAgainstOne() {
    Map<String, Double> slow = Map.of("limit", 10.0, "featurepool", 200.0, "featurepool@2", 125.0);
    String small = "a,max,forward,nchw,f32,1,64,1,112,112,2x2,2x2,0x0,x";
    assertEquals(
        "target 11: falls short, worst 1.60 (a), asked at least 1.70; 1 of 1 fall short: a 1.60",
        line(11, outcome(small, slow)));
    Map<String, Double> quick = Map.of("limit", 1.0, "featurepool", 20.0, "featurepool@2", 21.0);
    assertTrue(line(11, outcome(small, quick)).contains("holds"));
  }

  @Test
  void windowsGrowWithoutCost() {
    String k7 = "a,max,forward,nchw,f32,1,1,1,100,100,7x7,1x1,3x3,x";
    String k63 = "b,max,forward,nchw,f32,1,1,1,100,100,63x63,1x1,31x31,x";
    assertEquals(
        "target 4: falls short, worst 3.00 (b over k 7), asked at most 2.00; 1 of 1 fall short:"
            + " b over k 7 3.00",
        line(
            4,
            outcome(k7, Map.of("featurepool", 10.0)),
            outcome(k63, Map.of("featurepool", 30.0))));
  }

  @Test
  void whatWasNotMeasuredIsNotDecided() {
    assertEquals(List.of(), lines());
  }

  @Test
  void callsAreDecidedByTheirCost() {
    Targets targets = new Targets(List.of(), 1, CACHES);
    targets.addCalls(new Overhead.Figures(1100, 1080, 5, 2, 0));
    assertEquals(
        List.of(
            "target 12: holds, worst 20.00 (ns of a call from Java beyond C++), asked at most"
                + " 150"),
        targets.lines());
  }
}
