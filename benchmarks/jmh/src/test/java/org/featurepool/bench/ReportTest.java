package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
  /** A cell with made-up times. */
  private static CellBench.Outcome outcome(Cell cell) {
    Task task = Task.of(cell).orElseThrow();
    long bytes = task.readBytes() + task.writtenBytes();
    OptionalDouble best = OptionalDouble.of(2.0 * bytes);
    List<Measurement> measurements = new ArrayList<>();
    measurements.add(new Measurement(cell.id(), "limit", 1, 0.5 * bytes, bytes, bytes, best));
    measurements.add(new Measurement(cell.id(), "featurepool", 1, bytes, bytes, bytes, best));
    if (!task.backward()) {
      measurements.add(new Measurement(cell.id(), "onednn", 1, 2.0 * bytes, bytes, bytes, best));
    }
    return new CellBench.Outcome(
        cell, task, measurements, Map.of(), Map.of(), OptionalLong.empty());
  }

  private static List<CellBench.Outcome> outcomes(List<Cell> cells) {
    return cells.stream().map(ReportTest::outcome).toList();
  }

  @Test
  void isAPageWithPicturesOfItsOwn(@TempDir Path folder) throws IOException {
    Report.Contents contents =
        new Report.Contents(
            outcomes(Matrix.own()),
            outcomes(Sweeps.kernels()),
            outcomes(Sweeps.sizes()),
            List.of(new Border.Call("emptyCall", 5.1, 0, 1.9)),
            new Overhead.Figures(1100, 1080, 5, 2, 0),
            List.of("target 1: holds, worst 1.50 (a < b), asked at least 1.20"));
    Path into = folder.resolve("new/report");
    new Report("a machine & a half", "onednn 3.11", 1).write(into, contents);

    Set<String> files = new TreeSet<>();
    try (Stream<Path> all = Files.list(into)) {
      all.forEach(file -> files.add(file.getFileName().toString()));
    }
    assertEquals(
        Set.of(
            "index.html",
            "report.md",
            "speed-interleaved.svg",
            "speed-kernels.svg",
            "speed-limit.svg",
            "speed-others.svg",
            "speed-planar-forward.svg",
            "speed-sizes.svg"),
        files);
    String page = Files.readString(into.resolve("index.html"));
    // No peer took part in backward cells.
    assertEquals(6, page.split("<svg", -1).length - 1);
    for (String part :
        List.of("a machine &amp; a half", "onednn 3.11", "(a &lt; b)", "<td>vgg_pool1_b8</td>")) {
      assertTrue(page.contains(part), part);
    }
    assertFalse(page.contains("src="), "the page must need no other file");
    String markdown = Files.readString(into.resolve("report.md"));
    for (String part : List.of("(speed-limit.svg)", "| emptyCall | 5.10 | 1.90 |", "| tiny |")) {
      assertTrue(markdown.contains(part), part);
    }
    for (String file : files) {
      if (file.endsWith(".svg")) {
        assertTrue(Files.readString(into.resolve(file)).startsWith("<svg"), file);
      }
    }
  }
}
