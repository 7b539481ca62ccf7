package org.featurepool.bench;

import java.io.PrintWriter;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** What people read. */
final class Table {
  private Table() {}

  /** Prints a cell: the limit, then the contenders, fastest first. */
  static void print(PrintWriter out, CellBench.Outcome outcome) {
    Cell cell = outcome.cell();
    List<Measurement> measurements = outcome.measurements();
    out.println();
    int threads = measurements.getFirst().threads();
    out.printf(
        Locale.ROOT,
        "%s: %s, %.2f MB%n",
        cell.id(),
        cell.description(),
        measurements.getFirst().bytes() / 1e6);
    measurements.stream()
        .sorted(
            Comparator.comparing((Measurement m) -> !m.contender().equals(CellBench.LIMIT))
                .thenComparing(Measurement::nanos))
        .forEach(
            m ->
                out.printf(
                    Locale.ROOT,
                    "  %-18s %12.2f us %8.2f GB/s %s%n",
                    m.contender(),
                    m.microseconds(),
                    m.gigabytesPerSecond(),
                    m.threads() == threads
                        ? String.format(Locale.ROOT, "%7.3f of the limit", m.partOfLimit())
                        : "with threads: " + m.threads()));
    outcome.wrong().forEach((name, how) -> out.printf("  %-18s WRONG: %s%n", name, how));
    outcome.lacking().forEach((name, what) -> out.printf("  %-18s has no %s%n", name, what));
  }

  /** Prints a cell whose operator there is not. */
  static void missing(PrintWriter out, Cell cell) {
    out.println();
    out.printf(
        "%s: missing, there is no %s %s%n",
        cell.id(), cell.op(), cell.direction().replace('_', ' '));
  }
}
