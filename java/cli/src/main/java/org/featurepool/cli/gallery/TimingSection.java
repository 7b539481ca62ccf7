package org.featurepool.cli.gallery;

import java.util.ArrayList;
import java.util.List;

/** How long each operation took on the picture, and how many bytes it moved in that time. */
final class TimingSection {
  private TimingSection() {}

  /**
   * One measured operation.
   *
   * @param window the window's parameters
   * @param operation what was done
   * @param bytes bytes read and written by one run
   * @param nanos median time of one run
   */
  record Row(String window, String operation, long bytes, double nanos) {
    double gigabytesPerSecond() {
      return bytes / nanos;
    }
  }

  /** The section. */
  static Html section(Picture picture, List<Row> rows, String machine) {
    double best = rows.stream().mapToDouble(Row::gigabytesPerSecond).max().orElse(1);
    List<Html> lines = new ArrayList<>();
    String window = "";
    for (Row row : rows) {
      if (!row.window().equals(window)) {
        window = row.window();
        lines.add(
            Html.fill(
                "<tr class=\"group\"><th colspan=\"4\">${window}</th></tr>", "window", window));
      }
      lines.add(line(row, best));
    }
    return Html.fill(
        """
        <section id="times"><h2>Time</h2>
        <p>Each operation was run on this picture (${size}, 4 bytes per value) several times, \
        into tensors that already existed; the table shows the median. Bytes are those that must \
        be read and written: input, output and mask. Pooling does little arithmetic, so its speed \
        is measured by what it moves per second. A picture that fits the processor's caches is \
        moved faster than main memory could.</p>
        <p class="machine">${machine}</p>
        <div class="scroll"><table class="figures times"><thead><tr><th>operation</th><th>time</th>\
        <th>moved</th><th>GB/s</th></tr></thead><tbody>${lines}</tbody></table></div></section>
        """,
        "size",
        picture.size(),
        "machine",
        machine,
        "lines",
        lines);
  }

  private static Html line(Row row, double best) {
    return Html.fill(
        """
        <tr><td>${operation}</td><td class="number">${time}</td><td class="number">${moved}</td>\
        <td class="bar"><i style="width:${width}%"></i><span>${rate}</span></td></tr>
        """,
        "operation",
        row.operation(),
        "time",
        time(row.nanos()),
        "moved",
        Html.format("%.1f MB", row.bytes() * 1e-6),
        "width",
        Html.format("%.1f", 100 * row.gigabytesPerSecond() / best),
        "rate",
        Html.format("%.1f", row.gigabytesPerSecond()));
  }

  private static String time(double nanos) {
    return nanos < 1e6
        ? Html.format("%.0f \u00B5s", nanos * 1e-3)
        : Html.format("%.1f ms", nanos * 1e-6);
  }
}
