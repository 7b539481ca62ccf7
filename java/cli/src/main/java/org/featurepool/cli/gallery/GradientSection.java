package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.featurepool.Tensor;
import org.featurepool.cli.gallery.Field.Crop;
import org.featurepool.cli.gallery.Sliding.Trial;

/** Where the gradient flows: heat maps of the backward passes, all operators on one scale. */
final class GradientSection {
  private static final int LIMIT = 512;

  /** Share of the values that may lie beyond the ends of a signed scale. */
  private static final double CLIPPED = 0.005;

  private final Picture picture;
  private final List<Check> checks;

  private GradientSection(Picture picture, List<Check> checks) {
    this.picture = picture;
    this.checks = checks;
  }

  /**
   * The section.
   *
   * @param classic windows that do not overlap, for a close-up
   * @param large large windows at stride 1
   * @param checks receives a comparison of the gradient's sum before and after each backward pass
   */
  static Html section(Picture picture, WindowCase classic, WindowCase large, List<Check> checks) {
    GradientSection section = new GradientSection(picture, checks);
    List<Html> ideas = new ArrayList<>();
    for (Sliding operator : Sliding.ALL) {
      ideas.add(
          Html.fill(
              "<p><b>${name}.</b> ${idea}</p>",
              "name",
              Character.toUpperCase(operator.name().charAt(0)) + operator.name().substring(1),
              "idea",
              operator.gradientIdea()));
    }
    return Html.fill(
        """
        <section id="gradients"><h2>Where the gradient flows</h2>
        <p>Max and average pooling have nothing to learn. Going back, they only hand the error on to the \
        inputs that caused it, and nothing is lost or invented on the way: the sum of the gradient \
        stays what it was.</p>
        ${ideas}${classic}${large}${signed}</section>
        """,
        "ideas",
        ideas,
        "classic",
        section.closeUp(classic),
        "large",
        section.unitGradients(large),
        "signed",
        section.signedGradients(classic));
  }

  private Html closeUp(WindowCase window) {
    Crop crop = picture.detail();
    List<Html> figures = new ArrayList<>();
    figures.add(
        Html.figure(
            Picture.part(picture.tensor(), crop), true, "Close-up", Html.text("input, close up")));
    List<Field> arrived = backward(window, Gradients::ones, true);
    double most = picture.channels();
    for (int i = 0; i < arrived.size(); i++) {
      figures.add(
          heat(
              arrived.get(i).cut(crop).draw(ColorMap.HEAT, 0, most),
              true,
              Sliding.ALL.get(i).name()));
    }
    return Html.fill(
        """
        <article><h3>Every output sends back one: ${formula}</h3>
        <p>The loss is the sum of all outputs. With max, one pixel of each window takes it all. \
        With average, each pixel gets an equal share of it.</p>
        <div class="closeups">${figures}</div>${legend}</article>
        """,
        "formula",
        window.formula(),
        "figures",
        figures,
        "legend",
        ColorMap.HEAT.legend("0", Html.format("%.0f", most), "gradient, sum over channels"));
  }

  private Html unitGradients(WindowCase window) {
    List<Field> arrived = backward(window, Gradients::ones, true);
    double most = arrived.stream().mapToDouble(Field::max).max().orElse(1);
    List<Html> figures = new ArrayList<>();
    for (int i = 0; i < arrived.size(); i++) {
      Field shown = arrived.get(i).shrunk(LIMIT);
      float[] values = shown.values();
      for (int j = 0; j < values.length; j++) {
        values[j] = (float) Math.log1p(Math.max(0, values[j]));
      }
      Raster raster = shown.draw(ColorMap.HEAT, 0, Math.log1p(most));
      figures.add(heat(raster, false, Sliding.ALL.get(i).name()));
    }
    return Html.fill(
        """
        <article><h3>Winners take it all: ${formula}</h3>
        <p>The same loss with large windows at every pixel. With max, a pixel that outshines its \
        neighbourhood collects the gradient of up to ${taps} windows per channel while the pixels \
        around it get none: the map shows the local maxima of the picture. With average, \
        everything away from the border gets the same, whatever the picture shows.</p>
        <div class="wholes">${figures}</div>${legend}</article>
        """,
        "formula",
        window.formula(),
        "taps",
        window.kernel() * window.kernel(),
        "figures",
        figures,
        "legend",
        ColorMap.HEAT.legend(
            "0", Html.format("%.0f", most), "gradient, sum over channels, log scale"));
  }

  private Html signedGradients(WindowCase window) {
    List<Field> arrived = backward(window, Gradients::contrast, false);
    double end = arrived.stream().mapToDouble(f -> f.quantileOfMagnitude(CLIPPED)).max().orElse(1);
    double most = end > 0 ? end : 1;
    List<Html> figures = new ArrayList<>();
    for (int i = 0; i < arrived.size(); i++) {
      Raster raster = arrived.get(i).shrunk(LIMIT).draw(ColorMap.SIGNED, -most, most);
      figures.add(heat(raster, false, Sliding.ALL.get(i).name()));
    }
    return Html.fill(
        """
        <article><h3>A gradient with a sign: ${formula}</h3>
        <p>Now the loss measures contrast: every output sends back its distance from the mean of \
        its channel. Bright places ask to become brighter (red), dark places darker (blue). Max \
        delivers the full amount to a quarter of the pixels, so its map is grainy; average \
        delivers a quarter of it to every pixel, so its map is smooth and pale.</p>
        <div class="wholes">${figures}</div>${legend}</article>
        """,
        "formula",
        window.formula(),
        "figures",
        figures,
        "legend",
        ColorMap.SIGNED.legend(
            Html.format("\u2212%.0f", most),
            Html.format("+%.0f", most),
            "gradient, sum over channels, grey levels"));
  }

  /** What arrives at the input for each operator, summed over the channels. */
  private List<Field> backward(
      WindowCase window, BiFunction<Tensor, Arena, Tensor> gradient, boolean check) {
    List<Field> arrived = new ArrayList<>();
    for (Sliding operator : Sliding.ALL) {
      try (Arena arena = Arena.ofConfined()) {
        Trial trial = operator.run(window, picture.tensor(), y -> gradient.apply(y, arena), arena);
        arrived.add(Field.channelSum(trial.inputGradient()));
        if (check) {
          checks.add(conserved(trial));
        }
      }
    }
    return arrived;
  }

  private static Check conserved(Trial trial) {
    double sent = Field.channelSum(trial.gradient()).sum();
    double found = Field.channelSum(trial.inputGradient()).sum();
    // f32 shares such as 1/81 round; the sum of many may be off by half an ulp of each.
    boolean same = Math.abs(sent - found) <= sent * 1e-6;
    return new Check(
        trial.subject() + ": sum of the gradient",
        same,
        Html.format("sent %,.0f, arrived %,.3f", sent, found));
  }

  private static Html heat(Raster raster, boolean crisp, String name) {
    return Html.figure(raster, crisp, "Gradient of " + name, Html.text("gradient of " + name));
  }
}
