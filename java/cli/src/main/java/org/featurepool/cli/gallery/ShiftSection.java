package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Translation invariance: what a shift of one pixel changes before and after pooling. */
final class ShiftSection {
  private static final int LIMIT = 512;
  private static final int DIGIT = 16;
  private static final int[] STRIDES = {2, 4, 8};

  private final Picture picture;
  private final List<Check> checks;

  private ShiftSection(Picture picture, List<Check> checks) {
    this.picture = picture;
    this.checks = checks;
  }

  /**
   * What changed between two tensors.
   *
   * @param mean mean absolute difference, grey levels
   * @param unchanged share of the values that are exactly equal
   */
  private record Change(double mean, double unchanged) {}

  /**
   * The section.
   *
   * @param checks receives the comparison with the articles' digit
   */
  static Html section(Picture picture, List<Check> checks) {
    ShiftSection section = new ShiftSection(picture, checks);
    return Html.fill(
        """
        <section id="shift"><h2>One pixel to the side</h2>
        <p>The articles list translation invariance among the reasons for pooling: a small shift \
        of the input should leave the map nearly as it was. That holds as long as the shift keeps \
        a feature inside its window. It is a tendency and not a law, and it grows with the \
        window.</p>
        ${digit}${photo}</section>
        """,
        "digit",
        section.digit(),
        "photo",
        picture.width() > STRIDES[0] && picture.height() >= STRIDES[0]
            ? section.photo()
            : Html.EMPTY);
  }

  /** The digit 1 of article 000: 16×16, shifted by one, pooled to 8×8. */
  private Html digit() {
    WindowCase window = WindowCase.plain("", "", 2, 2);
    List<Html> figures = new ArrayList<>();
    Html badge;
    try (Arena arena = Arena.ofConfined()) {
      Tensor before = one(0, arena);
      Tensor after = one(1, arena);
      figures.add(small(before, "the digit, 16 × 16"));
      figures.add(small(after, "one pixel to the right"));
      Tensor first = null;
      Tensor second = null;
      for (Sliding operator : Sliding.ALL) {
        Sliding.Operator bound = operator.bind().apply(window.window());
        Tensor a = bound.forward(before, arena).output();
        Tensor b = bound.forward(after, arena).output();
        figures.add(small(a, operator.name() + " of the first"));
        figures.add(small(b, operator.name() + " of the second"));
        if (operator == Sliding.ALL.getFirst()) {
          first = a;
          second = b;
        }
      }
      Check same =
          new Check(
              "Article 000, digit 1 shifted by one, max 2×2",
              Arrays.equals(first.toFloatArray(), second.toFloatArray()),
              "both maps are equal");
      checks.add(same);
      badge = same.badge("max");
    }
    return Html.fill(
        """
        <article><h3>The digit 1 (article 000)</h3>
        <p>A digit drawn on 16×16 pixels, and the same digit one pixel to the right. All its \
        strokes move inside their 2×2 windows, so max pooling to 8×8 cannot tell the two apart. \
        The average can: at the ends of the foot, windows are now half full that were full, and \
        the other way round. A shift that crosses a window's edge would move the pooled digit by \
        one whole cell.</p>
        <div class="minis">${figures}</div><p class="badges">${badge}</p></article>
        """,
        "figures",
        figures,
        "badge",
        badge);
  }

  private static Tensor one(int shift, Arena arena) {
    float[] pixels = new float[DIGIT * DIGIT];
    for (int y = 3; y < 14; y++) {
      pixels[y * DIGIT + 8 + shift] = 255;
    }
    for (int[] flag : new int[][] {{4, 7}, {4, 6}, {5, 6}}) {
      pixels[flag[0] * DIGIT + flag[1] + shift] = 255;
    }
    for (int x = 6; x < 11; x++) {
      pixels[13 * DIGIT + x + shift] = 255;
    }
    return Tensor.of(arena, Shape.nchw(1, 1, DIGIT, DIGIT), pixels);
  }

  private static Html small(Tensor tensor, String caption) {
    return Html.figure(Picture.whole(tensor, LIMIT), true, caption, Html.text(caption));
  }

  private Html photo() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor left = columns(0, arena);
      Tensor right = columns(1, arena);
      Change input = change(left, right);
      List<Html> rows = new ArrayList<>();
      rows.add(row("the picture itself", "", input));
      List<Html> figures = new ArrayList<>();
      Field inputDifference = difference(left, right);
      double end = Math.max(1, inputDifference.quantileOfMagnitude(0.01));
      figures.add(heat(inputDifference, end, "the picture itself"));
      for (int size : STRIDES) {
        WindowCase window = WindowCase.plain("", "", size, size);
        if (!window.fits(picture.height(), picture.width() - 1)) {
          continue;
        }
        for (Sliding operator : Sliding.ALL) {
          try (Arena each = Arena.ofConfined()) {
            Sliding.Operator bound = operator.bind().apply(window.window());
            Tensor a = bound.forward(left, each).output();
            Tensor b = bound.forward(right, each).output();
            rows.add(row(operator.name(), size + "×" + size, change(a, b)));
            if (size == 4) {
              figures.add(heat(difference(a, b), end, operator.name() + " 4×4, stride 4"));
            }
          }
        }
      }
      return photo(input, figures, rows, end);
    }
  }

  private static Html photo(Change input, List<Html> figures, List<Html> rows, double end) {
    return Html.fill(
        """
        <article><h3>The picture</h3>
        <p>The picture is compared with itself one pixel further to the left; both have lost a \
        column at one side, so no border is invented. A value of the picture changes by ${mean} \
        grey levels on average, and ${unchanged} of all values stay exactly as they were. After \
        max pooling many outputs do not change at all, because the pixel that won is still in its \
        window: the larger the window, the more of them. An average changes almost everywhere, \
        but a little: only one column of its window leaves and one enters. How much is left of \
        the mean change depends on the picture; fine texture is evened out, while a broad soft \
        edge is passed on nearly whole.</p>
        <div class="wholes">${figures}</div>${legend}
        <div class="scroll"><table class="figures"><thead><tr><th>after</th><th>window and stride</th>\
        <th>mean change</th><th>unchanged values</th></tr></thead><tbody>${rows}</tbody></table>\
        </div></article>
        """,
        "mean",
        Html.format("%.2f", input.mean),
        "unchanged",
        Html.format("%.1f %%", 100 * input.unchanged),
        "figures",
        figures,
        "legend",
        ColorMap.HEAT.legend(
            "0", Html.format("%.0f", end), "change, mean over channels, grey levels"),
        "rows",
        rows);
  }

  private static Html row(String name, String window, Change change) {
    return Html.fill(
        """
        <tr><td>${name}</td><td>${window}</td><td class="number">${mean}</td>\
        <td class="bar"><i style="width:${percent}%"></i><span>${percent}&#8239;%</span></td></tr>
        """,
        "name",
        name,
        "window",
        window,
        "mean",
        Html.format("%.2f", change.mean),
        "percent",
        Html.format("%.1f", 100 * change.unchanged));
  }

  private static Html heat(Field difference, double end, String name) {
    Field shown = difference.shrunk(LIMIT);
    return Html.figure(
        shown.draw(ColorMap.HEAT, 0, end),
        shown.width() <= LIMIT / 2,
        "Change of " + name,
        Html.text("change of " + name));
  }

  /** The picture without its last column ({@code from} 0) or without its first ({@code from} 1). */
  private Tensor columns(int from, Arena arena) {
    int width = picture.width();
    Shape shape = Shape.nchw(1, picture.channels(), picture.height(), width - 1);
    Tensor part = Tensor.allocate(arena, DType.F32, shape);
    MemorySegment source = picture.tensor().segment();
    long lines = (long) picture.channels() * picture.height();
    for (long line = 0; line < lines; line++) {
      MemorySegment.copy(
          source,
          ValueLayout.JAVA_FLOAT,
          (line * width + from) * Float.BYTES,
          part.segment(),
          ValueLayout.JAVA_FLOAT,
          line * (width - 1) * Float.BYTES,
          width - 1);
    }
    return part;
  }

  private static Change change(Tensor a, Tensor b) {
    long count = a.shape().elementCount();
    double sum = 0;
    long equal = 0;
    for (long i = 0; i < count; i++) {
      double difference =
          Math.abs(
              a.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i)
                  - b.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i));
      sum += difference;
      equal += difference == 0 ? 1 : 0;
    }
    return new Change(sum / count, (double) equal / count);
  }

  /** Absolute differences, mean over the channels. */
  private static Field difference(Tensor a, Tensor b) {
    List<Field> first = Picture.planes(a);
    List<Field> second = Picture.planes(b);
    Field mean =
        new Field(
            first.getFirst().width(),
            first.getFirst().height(),
            new float[first.getFirst().values().length]);
    for (int c = 0; c < first.size(); c++) {
      for (int i = 0; i < mean.values().length; i++) {
        mean.values()[i] +=
            Math.abs(first.get(c).values()[i] - second.get(c).values()[i]) / first.size();
      }
    }
    return mean;
  }
}
