package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.cli.gallery.Field.Crop;
import org.featurepool.cli.gallery.Sliding.Trial;

/** Where the maxima were: the mask drawn on the input. */
final class MaximaSection {
  private static final int LIMIT = 640;
  private static final int CELL = 9;
  private static final int DARK = 0x10121C;
  private static final int WINDOW_EDGE = 0x4A5068;

  private MaximaSection() {}

  /** The section, for all operators that keep a mask. */
  static Html section(Picture picture, List<WindowCase> windows) {
    List<Html> parts = new ArrayList<>();
    for (Sliding operator : Sliding.ALL) {
      for (WindowCase window : windows) {
        try (Arena arena = Arena.ofConfined()) {
          Trial trial =
              operator.run(window, picture.tensor(), y -> Gradients.ones(y, arena), arena);
          if (trial.forward().mask().isPresent()) {
            parts.add(article(picture, trial));
          }
        }
      }
    }
    return Html.fill(
        """
        <section id="maxima"><h2>Where the maxima were</h2>
        <p>A max-pooling layer remembers the position of every maximum; the articles call this \
        record the mask. Below it is drawn on the input. Pixels that won a window keep their \
        colour and wear a frame; pixels that won none are darkened. The brighter the frame, the \
        more windows (and channels) the pixel won.</p>
        ${parts}</section>
        """,
        "parts",
        parts);
  }

  private static Html article(Picture picture, Trial trial) {
    // With ones sent back, the gradient of the input counts the windows that each pixel won.
    Field counts = Field.channelSum(trial.inputGradient());
    Crop crop = picture.detail();
    Html closeUp =
        Html.figure(
            closeUp(picture, trial.window(), counts.cut(crop)),
            false,
            "Close-up of the input with the pixels that won marked",
            Html.text("its maxima, close up"));
    // Where windows are small, winners are everywhere, and the whole picture would show noise.
    Html other =
        trial.window().stride() == 1
            ? Html.figure(
                whole(picture, counts),
                false,
                "The input, darkened, with the pixels that won in bright colours",
                Html.text("the whole picture"))
            : Html.figure(
                Picture.part(picture.tensor(), crop),
                true,
                "Close-up of the input",
                Html.text("input, close up"));
    return Html.fill(
        """
        <article><h3>${title}</h3><p>${facts}</p>
        <div class="wholes">${other}${closeUp}</div>${legend}</article>
        """,
        "title",
        Html.format(
            "%1$d×%1$d windows, stride %2$d", trial.window().kernel(), trial.window().stride()),
        "facts",
        facts(trial),
        "closeUp",
        closeUp,
        "other",
        other,
        "legend",
        ColorMap.HEAT.legend(
            "0",
            Html.format("%.0f", counts.max()),
            "windows won, all channels together, log scale"));
  }

  private static String facts(Trial trial) {
    long values = 0;
    long winners = 0;
    double most = 0;
    for (Field counts : Picture.planes(trial.inputGradient())) {
      values += counts.values().length;
      for (float count : counts.values()) {
        winners += count > 0 ? 1 : 0;
      }
      most = Math.max(most, counts.max());
    }
    return Html.format(
        "%,d windows, counted over all channels, found their maxima in %,d of %,d values: "
            + "%.1f %% of the input. The most successful value is the maximum of %,.0f %s.",
        trial.forward().output().shape().elementCount(),
        winners,
        values,
        100.0 * winners / values,
        most,
        most == 1 ? "window" : "windows");
  }

  private static Raster closeUp(Picture picture, WindowCase window, Field counts) {
    Crop crop = picture.detail();
    Raster pixels = Picture.part(picture.tensor(), crop);
    Raster large = new Raster(crop.width() * CELL, crop.height() * CELL);
    double most = Math.max(1, counts.max());
    for (int y = 0; y < crop.height(); y++) {
      for (int x = 0; x < crop.width(); x++) {
        float count = counts.at(x, y);
        int color = count > 0 ? pixels.get(x, y) : darkened(pixels.get(x, y));
        for (int i = 0; i < CELL * CELL; i++) {
          large.set(x * CELL + i % CELL, y * CELL + i / CELL, color);
        }
        if (count > 0) {
          int frame = winner(count, most);
          large.frame(x * CELL, y * CELL, CELL, CELL, frame);
          large.frame(x * CELL + 1, y * CELL + 1, CELL - 2, CELL - 2, frame);
        }
      }
    }
    if (window.kernel() == window.stride() && window.dilation() == 1) {
      windowEdges(large, window.kernel(), crop);
    }
    return large;
  }

  /** Thin lines between windows that do not overlap. */
  private static void windowEdges(Raster large, int kernel, Crop crop) {
    for (int y = 0; y < large.height(); y++) {
      for (int x = 0; x < large.width(); x++) {
        boolean left = x % CELL == 0 && (crop.x() + x / CELL) % kernel == 0;
        boolean top = y % CELL == 0 && (crop.y() + y / CELL) % kernel == 0;
        if (left || top) {
          large.set(x, y, WINDOW_EDGE);
        }
      }
    }
  }

  private static Raster whole(Picture picture, Field counts) {
    Raster raster = Picture.whole(picture.tensor(), LIMIT);
    Field shown = counts.shrunk(LIMIT);
    double most = shown.max();
    for (int y = 0; y < raster.height(); y++) {
      for (int x = 0; x < raster.width(); x++) {
        float count = shown.at(x, y);
        raster.set(x, y, count > 0 ? winner(count, most) : darkened(raster.get(x, y)));
      }
    }
    return raster;
  }

  private static int winner(double count, double most) {
    return ColorMap.HEAT.at(0.35 + 0.65 * Math.log1p(count) / Math.log1p(Math.max(1, most)));
  }

  private static int darkened(int color) {
    int gray = (((color >> 16) & 0xFF) * 3 + ((color >> 8) & 0xFF) * 6 + (color & 0xFF)) / 10;
    return ColorMap.mix(gray << 16 | gray << 8 | gray, DARK, 0.68);
  }
}
