package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.Tensor;
import org.featurepool.cli.gallery.Field.Crop;
import org.featurepool.cli.gallery.Sliding.Operation;
import org.featurepool.cli.gallery.Sliding.Trial;

/** Every window with every operator: the results as pictures, checked and timed on the way. */
final class WindowSection {
  /** Longer side of a result as it is embedded. */
  private static final int LIMIT = 512;

  /** Below this many pixels across, a close-up shows nothing. */
  private static final int LEAST_CLOSE_UP = 6;

  private final Picture picture;
  private final List<Check> checks;
  private final List<TimingSection.Row> times;

  /**
   * A section about {@code picture}.
   *
   * @param checks receives the comparisons with the reference
   * @param times receives the measured times
   */
  WindowSection(Picture picture, List<Check> checks, List<TimingSection.Row> times) {
    this.picture = picture;
    this.checks = checks;
    this.times = times;
  }

  /** The part of the page about one window. */
  Html article(WindowCase window) {
    Axis rows = window.rows(picture.height());
    Axis columns = window.columns(picture.width());
    List<Html> wholes = new ArrayList<>();
    List<Html> closeUps = new ArrayList<>();
    List<Html> badges = new ArrayList<>();
    Crop crop = picture.detailOf(window);
    boolean close = Math.min(crop.width(), crop.height()) >= LEAST_CLOSE_UP;
    if (close) {
      Raster detail = Picture.part(picture.tensor(), picture.detail());
      closeUps.add(
          Html.figure(detail, true, "Close-up of the input", Html.text("input, close up")));
    }
    for (Sliding operator : Sliding.ALL) {
      // Shared, because the checker reads the tensors with several threads.
      try (Arena arena = Arena.ofShared()) {
        Trial trial =
            operator.run(window, picture.tensor(), y -> Gradients.wholeNumbers(y, arena), arena);
        List<Check> found = operator.oracle().apply(trial);
        checks.addAll(found);
        found.forEach(
            check ->
                badges.add(
                    check.badge(check.subject().replace(", " + window.formula() + ":", ""))));
        Tensor output = trial.forward().output();
        wholes.add(whole(operator, output, columns.output(), rows.output()));
        if (close) {
          closeUps.add(
              Html.figure(
                  Picture.part(output, crop),
                  true,
                  "Close-up of the result of " + operator.name(),
                  Html.text(operator.name() + ", close up")));
        }
        for (Operation operation : operator.bind().apply(window.window()).operations(trial)) {
          times.add(
              new TimingSection.Row(
                  window.formula(),
                  operation.name(),
                  operation.bytes(),
                  Stopwatch.medianNanos(operation.run())));
        }
      }
    }
    return Html.fill(
        """
        <article class="window"><header>${sketch}<div><h3>${title}</h3>
        <p class="formula">${formula}<br>${in} becomes ${out}</p></div></header>
        <p>${text}</p>
        <div class="wholes">${wholes}</div><div class="closeups">${closeUps}</div>
        <p class="badges">${badges}</p></article>
        """,
        "sketch",
        WindowDiagram.of(window, rows, columns),
        "title",
        window.title(),
        "formula",
        window.formula(),
        "in",
        picture.width() + " × " + picture.height(),
        "out",
        columns.output() + " × " + rows.output(),
        "text",
        window.text(),
        "wholes",
        wholes,
        "closeUps",
        closeUps,
        "badges",
        badges);
  }

  private static Html whole(Sliding operator, Tensor output, int width, int height) {
    Raster raster = Picture.whole(output, LIMIT);
    String caption = Html.format("%s, %d × %d", operator.name(), width, height);
    if (raster.width() < width) {
      caption += Html.format(" (shown at %d × %d)", raster.width(), raster.height());
    }
    boolean crisp = raster.width() < LIMIT / 2 + 1;
    return Html.figure(raster, crisp, "Result of " + operator.name(), Html.text(caption));
  }
}
