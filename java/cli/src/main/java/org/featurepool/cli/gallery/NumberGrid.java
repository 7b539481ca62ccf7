package org.featurepool.cli.gallery;

/** A small grid of numbers, row-major, with some cells marked. */
final class NumberGrid {
  private final String caption;
  private final int columns;
  private final float[] values;
  private final String format;
  private float[] marks;
  private boolean paleZeros;
  private int block;

  private NumberGrid(String caption, int columns, float[] values, String format) {
    this.caption = caption;
    this.columns = columns;
    this.values = values;
    this.format = format;
    this.marks = new float[values.length];
  }

  /** A grid of numbers with {@code decimals} digits behind the point. */
  static NumberGrid of(String caption, int columns, float[] values, int decimals) {
    return new NumberGrid(caption, columns, values, "%." + decimals + "f");
  }

  /** Marks the cells of which {@code marks} is not zero, stronger where it is larger. */
  NumberGrid mark(float[] marks) {
    this.marks = marks;
    return this;
  }

  /** Marks the cells that are not zero, and pales the others. */
  NumberGrid markNonZero() {
    paleZeros = true;
    return mark(values);
  }

  /**
   * Tints blocks of {@code size} × {@code size} cells in turn, to show windows that do not overlap.
   */
  NumberGrid blocks(int size) {
    block = size;
    return this;
  }

  Html html() {
    StringBuilder rows = new StringBuilder();
    int longest = 2;
    for (int i = 0; i < values.length; i++) {
      rows.append(i % columns == 0 ? "<tr>" : "");
      rows.append(cell(i).markup());
      rows.append(i % columns == columns - 1 ? "</tr>\n" : "");
      longest = Math.max(longest, number(i).length());
    }
    return Html.fill(
        """
        <figure class="grid"><table style="--digits:${longest}">
        ${rows}</table><figcaption>${caption}</figcaption></figure>
        """,
        "longest",
        longest,
        "rows",
        new Html(rows.toString()),
        "caption",
        caption);
  }

  private Html cell(int index) {
    boolean odd = block > 0 && (index / columns / block + index % columns / block) % 2 == 1;
    String kind = odd ? "odd" : "";
    String style = "";
    if (marks[index] != 0) {
      kind += " hit";
      style = Html.format("--share:%d%%", Math.round(40 + 60 * Math.abs(marks[index]) / most()));
    } else if (paleZeros) {
      kind += " none";
    }
    return Html.fill(
        "<td class=\"${kind}\" style=\"${style}\">${number}</td>",
        "kind",
        kind.strip(),
        "style",
        style,
        "number",
        number(index));
  }

  private String number(int index) {
    boolean zero = values[index] == 0;
    return zero ? "0" : Html.format(format, values[index]).replace('-', '\u2212');
  }

  private float most() {
    float most = 0;
    for (float mark : marks) {
      most = Math.max(most, Math.abs(mark));
    }
    return most;
  }
}
