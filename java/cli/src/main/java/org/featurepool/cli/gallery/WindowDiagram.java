package org.featurepool.cli.gallery;

/** A sketch of a window: two neighbouring positions of it on the corner of the padded input. */
final class WindowDiagram {
  private static final int MOST_CELLS = 15;
  private static final int CELL = 12;
  private static final int LEAST_WIDTH = 96;

  private final StringBuilder shapes = new StringBuilder();

  private WindowDiagram() {}

  /** Draws the sketch as inline SVG. */
  static Html of(WindowCase window, Axis rows, Axis columns) {
    int wide = Math.max(columns.span() + columns.stride(), columns.padBegin() + 3);
    int high = Math.max(rows.span(), rows.padBegin() + 3) + 1;
    WindowDiagram diagram = new WindowDiagram();
    if (wide > MOST_CELLS || high > MOST_CELLS) {
      return diagram.blocks(window);
    }
    for (int y = 0; y < high; y++) {
      for (int x = 0; x < wide; x++) {
        boolean padding = y < rows.padBegin() || x < columns.padBegin();
        diagram.cell(padding ? "pad" : "pix", x, y, 0);
      }
    }
    diagram.taps("second", columns.stride(), rows, columns, 3);
    diagram.taps("first", 0, rows, columns, 1);
    return diagram.finish(window, wide * CELL, high * CELL);
  }

  private void taps(String kind, int left, Axis rows, Axis columns, int inset) {
    for (int i = 0; i < rows.kernel(); i++) {
      for (int j = 0; j < columns.kernel(); j++) {
        cell(kind, left + j * columns.dilation(), i * rows.dilation(), inset);
      }
    }
  }

  private void cell(String kind, int x, int y, int inset) {
    shapes.append(
        Html.format(
            "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>",
            kind, x * CELL + inset, y * CELL + inset, CELL - 2 * inset, CELL - 2 * inset));
  }

  /** A window too large for single cells: its first two positions as blocks. */
  private Html blocks(WindowCase window) {
    int side = 72;
    for (int i = 0; i < 2; i++) {
      shapes.append(
          Html.format(
              "<rect class=\"%s\" x=\"%d\" y=\"1\" width=\"%3$d\" height=\"%3$d\"/>"
                  + "<text x=\"%4$d\" y=\"40\">%5$d×%5$d</text>",
              i == 0 ? "first" : "second",
              i * side + 2,
              side - 3,
              i * side + side / 2,
              window.kernel()));
    }
    return finish(window, 2 * side, side);
  }

  private Html finish(WindowCase window, int width, int height) {
    double scale = Math.min(1.6, (double) LEAST_WIDTH / Math.min(width, LEAST_WIDTH));
    return Html.fill(
        """
        <svg class="sketch" viewBox="-1 -1 ${width} ${height}" width="${wide}" \
        height="${high}" role="img" aria-label="${label}">${shapes}</svg>
        """,
        "width",
        width + 2,
        "height",
        height + 2,
        "wide",
        Math.round(width * scale) + 2,
        "high",
        Math.round(height * scale) + 2,
        "label",
        "Two neighbouring windows: " + window.formula(),
        "shapes",
        new Html(shapes.toString()));
  }
}
