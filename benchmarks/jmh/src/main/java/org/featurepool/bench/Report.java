package org.featurepool.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Predicate;
import org.featurepool.Layout;

/** A run as a page of its own, {@code index.html}, and as {@code report.md} with its pictures. */
final class Report {
  private static final String STYLE =
      """
      body { font: 16px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 100em; padding: 0 1em }
      table { border-collapse: collapse; font-size: 14px }
      td, th { border-bottom: 1px solid #ddd; padding: .2em .6em; text-align: right }
      td:first-child, th:first-child { text-align: left }
      figure { margin: 1em 0; overflow-x: auto }
      """;

  private final String machine;
  private final String versions;
  private final int threads;

  /**
   * Begins a report.
   *
   * @param machine what was measured on
   * @param versions of the engines
   * @param threads of each call
   */
  Report(String machine, String versions, int threads) {
    this.machine = machine;
    this.versions = versions;
    this.threads = threads;
  }

  /** What a report shows. */
  record Contents(
      List<CellBench.Outcome> matrix,
      List<CellBench.Outcome> kernels,
      List<CellBench.Outcome> sizes,
      List<Border.Call> calls,
      Overhead.Figures overhead,
      List<String> targets) {}

  /** Writes it into a folder, which is made if there is none. */
  void write(Path folder, Contents contents) throws IOException {
    Files.createDirectories(folder);
    Map<String, String> charts = charts(contents);
    for (Map.Entry<String, String> chart : charts.entrySet()) {
      Files.writeString(folder.resolve(chart.getKey() + ".svg"), chart.getValue());
    }
    Files.writeString(folder.resolve("index.html"), html(contents, charts));
    Files.writeString(folder.resolve("report.md"), markdown(contents, charts));
  }

  private Map<String, String> charts(Contents contents) {
    Map<String, String> charts = new LinkedHashMap<>();
    Map<String, Predicate<CellBench.Outcome>> groups = new LinkedHashMap<>();
    groups.put("planar-forward", o -> isWindowed(o) && isPlanar(o.task()) && !o.task().backward());
    groups.put("planar-backward", o -> isWindowed(o) && isPlanar(o.task()) && o.task().backward());
    groups.put("interleaved", o -> isWindowed(o) && !isPlanar(o.task()));
    groups.put("others", o -> !isWindowed(o));
    groups.forEach(
        (name, member) -> {
          List<CellBench.Outcome> members = contents.matrix().stream().filter(member).toList();
          if (!Charts.peers(members).isEmpty()) {
            charts.put(
                "speed-" + name,
                Charts.speedups("Speed-up: " + name.replace('-', ' '), members, threads));
          }
        });
    List<CellBench.Outcome> moving =
        contents.matrix().stream().filter(o -> !(o.task() instanceof Product)).toList();
    if (!moving.isEmpty()) {
      charts.put("speed-limit", Charts.bandwidths("Bytes against the limit", moving, threads));
    }
    if (!contents.kernels().isEmpty()) {
      charts.put(
          "speed-kernels",
          Charts.times(
              "Max pooling of 540x960 by k x k, stride 1",
              "k",
              contents.kernels(),
              threads,
              o -> ((Pooling) o.task()).window().kernel(0),
              false));
    }
    if (!contents.sizes().isEmpty()) {
      charts.put(
          "speed-sizes",
          Charts.times(
              "Max pooling 2x2 of planar tensors",
              "bytes of the input",
              contents.sizes(),
              threads,
              o -> o.task().readBytes(),
              true));
    }
    return charts;
  }

  private static boolean isWindowed(CellBench.Outcome outcome) {
    return outcome.task() instanceof Pooling pooling
        && pooling.kind() != Pooling.Kind.MEDIAN
        && pooling.kind() != Pooling.Kind.STOCHASTIC;
  }

  private static boolean isPlanar(Task task) {
    return task.input().layout() == Layout.PLANAR;
  }

  // --- tables --------------------------------------------------------------------------------

  /** Rows of a table; the first is its head. */
  private List<List<String>> times(List<CellBench.Outcome> outcomes) {
    List<String> contenders = new ArrayList<>(List.of(CellBench.LIMIT, FeaturepoolReused.NAME));
    contenders.addAll(Charts.peers(outcomes));
    List<List<String>> rows = new ArrayList<>();
    List<String> head = new ArrayList<>(List.of("cell, µs"));
    head.addAll(contenders);
    head.add("× best peer");
    rows.add(head);
    for (CellBench.Outcome outcome : outcomes) {
      List<String> row = new ArrayList<>(List.of(outcome.cell().id()));
      contenders.forEach(name -> row.add(micros(outcome.nanos(name, threads))));
      row.add(
          outcome.measurements().stream()
              .filter(m -> m.contender().equals(FeaturepoolReused.NAME) && m.threads() == threads)
              .map(Measurement::speedupOverBestPeer)
              .filter(OptionalDouble::isPresent)
              .map(speedup -> number(speedup.getAsDouble()))
              .findFirst()
              .orElse(""));
      rows.add(row);
    }
    return rows;
  }

  private static List<List<String>> calls(Contents contents) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("call", "from Java, ns", "from C++, ns", "bytes allocated", "measured by"));
    for (Border.Call call : contents.calls()) {
      rows.add(
          List.of(
              call.name(),
              number(call.javaNanos()),
              number(call.cppNanos()),
              number(call.javaBytes()),
              "JMH, forked; Google Benchmark"));
    }
    Overhead.Figures figures = contents.overhead();
    if (figures != null) {
      String bytes = number(figures.bytesPerCall());
      String how = "turns in one process";
      rows.add(
          List.of(
              "MaxPool.forward 1x16x4x4",
              number(figures.javaNanos()),
              number(figures.cppNanos()),
              bytes,
              how));
      rows.add(
          List.of(
              "fpool_abi_version",
              number(figures.emptyJavaNanos()),
              number(figures.emptyCppNanos()),
              "",
              how));
    }
    return rows;
  }

  private static String micros(OptionalDouble nanos) {
    return nanos.isPresent() ? number(nanos.getAsDouble() / 1e3) : "";
  }

  private static String number(double value) {
    if (Double.isNaN(value)) {
      return "";
    }
    String format = value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f";
    return String.format(Locale.ROOT, format, value);
  }

  // --- pages ---------------------------------------------------------------------------------

  private String html(Contents contents, Map<String, String> charts) {
    StringBuilder page = new StringBuilder();
    page.append("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page.append("<title>Featurepool: speed</title>\n<style>\n").append(STYLE).append("</style>\n");
    page.append("<h1>Speed</h1>\n<p>").append(escaped(machine)).append("<br>\n");
    page.append(escaped(versions)).append("</p>\n");
    charts.values().forEach(svg -> page.append("<figure>\n").append(svg).append("\n</figure>\n"));
    page.append("<h2>Targets</h2>\n<ul>\n");
    contents.targets().forEach(line -> page.append("<li>").append(escaped(line)).append('\n'));
    page.append("</ul>\n<h2>All cells</h2>\n");
    appendHtml(page, times(contents.matrix()));
    page.append("<h2>What a call costs in Java</h2>\n");
    appendHtml(page, calls(contents));
    return page.append("</html>\n").toString();
  }

  private static void appendHtml(StringBuilder page, List<List<String>> rows) {
    page.append("<table>\n");
    for (List<String> row : rows) {
      String tag = row == rows.getFirst() ? "th" : "td";
      page.append("<tr>");
      for (String field : row) {
        page.append('<').append(tag).append('>').append(escaped(field));
        page.append("</").append(tag).append('>');
      }
      page.append("</tr>\n");
    }
    page.append("</table>\n");
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;");
  }

  private String markdown(Contents contents, Map<String, String> charts) {
    StringBuilder page = new StringBuilder("# Speed\n\n");
    page.append(machine).append("  \n").append(versions).append("\n\n");
    charts.keySet().forEach(name -> page.append("![" + name + "](" + name + ".svg)\n\n"));
    page.append("## Targets\n\n");
    contents.targets().forEach(line -> page.append("- ").append(line).append('\n'));
    page.append("\n## All cells\n\n");
    appendMarkdown(page, times(contents.matrix()));
    page.append("\n## What a call costs in Java\n\n");
    appendMarkdown(page, calls(contents));
    return page.toString();
  }

  private static void appendMarkdown(StringBuilder page, List<List<String>> rows) {
    for (List<String> row : rows) {
      page.append("| ").append(String.join(" | ", row)).append(" |\n");
      if (row == rows.getFirst()) {
        page.append("|---".repeat(row.size())).append("|\n");
      }
    }
  }
}
