package org.featurepool.cli.gallery;

/**
 * A drawing of lines, cells, numbers and pictures, made as inline SVG so that it is sharp at any
 * size and follows the page's colours. What its elements look like is said by the classes of {@link
 * Style}, named by each call's {@code kind}.
 */
final class Drawing {
  /** Side of a cell of {@link #cells}. */
  static final int CELL = 40;

  private static final double MARGIN = 2;

  private final double width;
  private final double height;
  private final StringBuilder shapes = new StringBuilder();

  /** An empty drawing of this size in pixels. */
  Drawing(double width, double height) {
    this.width = width;
    this.height = height;
  }

  /**
   * A plane of numbers in square cells, from the upper left corner.
   *
   * @param right pixels left free at its right
   * @param below pixels left free below it
   */
  static Drawing cells(Field field, int decimals, int right, int below) {
    Drawing drawing = new Drawing(field.width() * CELL + right, field.height() * CELL + below);
    for (int y = 0; y < field.height(); y++) {
      for (int x = 0; x < field.width(); x++) {
        drawing.rect("cell", x * CELL, y * CELL, CELL, CELL);
        drawing.text(
            "number", (x + 0.5) * CELL, (y + 0.5) * CELL + 5, number(field.at(x, y), decimals));
      }
    }
    return drawing;
  }

  /**
   * A plane of numbers as coloured cells with names at the left and above.
   *
   * @param low value of the first colour
   * @param high value of the last colour
   */
  static Drawing table(
      Field field, ColorMap colors, double low, double high, String[] rows, String[] columns) {
    int left = 64;
    int top = 22;
    Drawing drawing = new Drawing(left + field.width() * CELL, top + field.height() * CELL);
    for (int y = 0; y < field.height(); y++) {
      drawing.text("small end", left - 6, top + (y + 0.5) * CELL + 4, rows[y]);
      for (int x = 0; x < field.width(); x++) {
        int color = colors.at((field.at(x, y) - low) / (high - low));
        drawing.block(color, left + x * CELL, top + y * CELL, CELL, CELL);
      }
    }
    for (int x = 0; x < field.width(); x++) {
      drawing.text("small middle", left + (x + 0.5) * CELL, top - 6, columns[x]);
    }
    return drawing;
  }

  /** A number as the page writes it. */
  static String number(double value, int decimals) {
    return Html.format("%." + decimals + "f", value).replace('-', '\u2212');
  }

  /** A rectangle. */
  Drawing rect(String kind, double x, double y, double w, double h) {
    return add(
        "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
        kind, x, y, w, h);
  }

  /** A rectangle of cells, a little smaller so that neighbours can be told apart. */
  Drawing window(String kind, double x, double y, double columns, double rows) {
    return rect(kind, x * CELL + 3, y * CELL + 3, columns * CELL - 6, rows * CELL - 6);
  }

  /** A bar from one cell on, over some cells; {@code kind} tells bars apart by colour. */
  Drawing bar(int kind, double from, double cells, double y) {
    return rect("bar" + kind % 3, from * CELL + 2, y, cells * CELL - 4, 8);
  }

  /** A bar down from one cell on, over some cells. */
  Drawing upright(int kind, double from, double cells, double x) {
    return rect("bar" + kind % 3, x, from * CELL + 2, 8, cells * CELL - 4);
  }

  /** A line that can be seen on any picture. */
  Drawing over(double x, double y, double dx, double dy) {
    return line("under", x, y, x + dx, y + dy).line("over", x, y, x + dx, y + dy);
  }

  /** A frame that can be seen on any picture. */
  Drawing frame(double x, double y, double w, double h) {
    return rect("under", x, y, w, h).rect("over", x, y, w, h);
  }

  /** A line. */
  Drawing line(String kind, double x1, double y1, double x2, double y2) {
    return add(
        "<line class=\"%s\" x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\"/>",
        kind, x1, y1, x2, y2);
  }

  /** A line with a head at its second end. */
  Drawing arrow(String kind, double x1, double y1, double x2, double y2) {
    line(kind, x1, y1, x2, y2);
    double length = Math.hypot(x2 - x1, y2 - y1);
    double ux = (x2 - x1) / length;
    double uy = (y2 - y1) / length;
    double head = Math.min(8, length / 2);
    for (int side = -1; side <= 1; side += 2) {
      line(
          kind,
          x2,
          y2,
          x2 - head * (ux * 0.85 + side * uy * 0.5),
          y2 - head * (uy * 0.85 - side * ux * 0.5));
    }
    return this;
  }

  /** A dot. */
  Drawing dot(String kind, double x, double y, double radius) {
    return add("<circle class=\"%s\" cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"/>", kind, x, y, radius);
  }

  /** A dot of a colour of its own, 0xRRGGBB. */
  Drawing dot(int color, double x, double y, double radius) {
    return add(
        "<circle class=\"point\" style=\"fill:#%06x\" cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"/>",
        color, x, y, radius);
  }

  /** A rectangle filled with a colour of its own, 0xRRGGBB. */
  Drawing block(int color, double x, double y, double w, double h) {
    return add(
        "<rect style=\"fill:#%06x\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
        color, x, y, w, h);
  }

  /** Text; {@code kind} tells how it is aligned. */
  Drawing text(String kind, double x, double y, String text) {
    return add(
        "<text class=\"%s\" x=\"%.2f\" y=\"%.2f\">%s</text>", kind, x, y, Html.text(text).markup());
  }

  /** A picture. */
  Drawing picture(Raster picture, double x, double y, double w, double h) {
    return add(
        "<image href=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" preserveAspectRatio=\"none\"/>",
        picture.toDataUri(), x, y, w, h);
  }

  private Drawing add(String format, Object... arguments) {
    shapes.append(Html.format(format, arguments)).append('\n');
    return this;
  }

  /**
   * The drawing as a figure.
   *
   * @param caption text below it, which also tells what it shows to those who do not see it
   */
  Html figure(String caption) {
    return Html.fill(
        """
        <figure class="drawn"><svg viewBox="${box}" width="${width}" height="${height}" role="img" \
        aria-label="${caption}">
        ${shapes}</svg><figcaption>${caption}</figcaption></figure>
        """,
        "box",
        Html.format(
            "%.1f %.1f %.1f %.1f", -MARGIN, -MARGIN, width + 2 * MARGIN, height + 2 * MARGIN),
        "width",
        Math.round(width + 2 * MARGIN),
        "height",
        Math.round(height + 2 * MARGIN),
        "caption",
        caption,
        "shapes",
        new Html(shapes.toString()));
  }
}
