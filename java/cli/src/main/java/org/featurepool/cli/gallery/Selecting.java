package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.MedianPool;
import org.featurepool.MinPool;
import org.featurepool.SelectingPool;
import org.featurepool.Shape;
import org.featurepool.StochasticPool;
import org.featurepool.Tensor;
import org.featurepool.Window;

/** Operators that choose one tap of every window. */
final class Selecting {
  private static final int DRAWS = 10_000;

  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "max",
              "Max",
              "MaxPool",
              "max",
              "y = max<sub>i</sub> x<sub>i</sub>",
              "The largest tap wins: of all responses to a feature inside the window, the strongest "
                  + "is kept, wherever exactly it was. This is the pooling of most networks. On a "
                  + "picture it lets bright details grow, noise included.",
              "All of it goes to the tap that won, the first one among equals. Where windows "
                  + "overlap, a tap that won several of them collects the sum.",
              stage -> {
                stage.example(
                    window -> pool(MaxPool.of(window)), Rule.MAX, 0, "max(1, 3, 4, 2) = 4", 4);
                stage.photo(window -> pool(MaxPool.of(window)), Rule.MAX);
              }),
          Exhibit.of(
              "min",
              "Min",
              "MinPool",
              "min",
              "y = min<sub>i</sub> x<sub>i</sub>",
              "Article 001 asks whether the minimum makes sense. It does: it is max pooling of the "
                  + "negated map, and right where small values carry the meaning, such as dark "
                  + "strokes on white paper or a distance of which the shortest counts. On a "
                  + "picture dark details grow, and the white dots of the noise are gone.",
              "All of it goes to the smallest tap, the first one among equals.",
              stage -> {
                stage.example(
                    window -> pool(MinPool.of(window)), Rule.MIN, 0, "min(1, 3, 4, 2) = 1", 1);
                stage.photo(window -> pool(MinPool.of(window)), Rule.MIN);
              }),
          Exhibit.of(
              "median",
              "Median",
              "MedianPool",
              "median",
              "y = the middle one of x<sub>1</sub> ≤ … ≤ x<sub>n</sub>, of an even number the lower",
              "The taps are put in order and the one in the middle wins. A pixel that is far off "
                  + "ends up at one of the two ends and is never chosen, so the noise disappears, "
                  + "while edges stay sharp: neither the maximum nor the average can do that.",
              "All of it goes to the tap in the middle.",
              stage -> {
                stage.example(
                    window -> pool(MedianPool.of(window)),
                    Rule.MEDIAN,
                    0,
                    "in order 1, 2, 3, 4; the lower of the two in the middle is 2",
                    2);
                stage.photo(window -> pool(MedianPool.of(window)), Rule.MEDIAN);
              }),
          Exhibit.of(
              "stochastic",
              "Stochastic",
              "StochasticPool",
              "stochastic",
              "p<sub>i</sub> = x<sub>i</sub> / Σx; training: draw i with p<sub>i</sub>; "
                  + "inference: y = Σ p<sub>i</sub> x<sub>i</sub>",
              "In training every tap may win, but a stronger one more often: the chance is its share "
                  + "of the window's sum. The network cannot rely on the one strongest response, "
                  + "which works against overfitting as dropout does. In inference nothing is "
                  + "drawn; the mean, weighted by the same chances, takes the place of the draws.",
              "In training all of it goes to the tap that was drawn. In inference tap j gets "
                  + "(2 x<sub>j</sub> − y) / Σx of it, less than nothing for taps below half of the output.",
              Selecting::stochastic));

  private Selecting() {}

  private static Pool pool(SelectingPool pool) {
    return new Pool(
        pool::forward,
        (dy, x, arena) -> pool.backward(dy, pool.forwardWithMask(x, arena).mask(), arena));
  }

  private static Pool inference(Window window) {
    StochasticPool pool = StochasticPool.of(window);
    return new Pool(pool::forward, pool::backwardInference);
  }

  private static void stochastic(Stage stage) {
    Arena arena = stage.arena();
    stage.example(
        Selecting::inference,
        Rule.EXPECTATION,
        2,
        "their sum is 10, so the chances are 0.1, 0.3, 0.4, 0.2; in inference "
            + "0.1·1 + 0.3·3 + 0.4·4 + 0.2·2 = 3",
        3);
    draws(stage, Stage.MAP.cut(new Field.Crop(0, 0, 2, 2)));

    StochasticPool coarse = StochasticPool.of(Window.square(Stage.COARSE).withStride(Stage.COARSE));
    Tensor photo = stage.photo();
    List<Html> pictures = new ArrayList<>();
    for (long seed = 1; seed <= 3; seed++) {
      StochasticPool.Result drawn = coarse.forwardTraining(photo, seed, arena);
      stage.selected(
          "seed " + seed, photo, drawn.output(), drawn.mask().indices(Mask.IndexBase.PLANE, arena));
      pictures.add(Stage.picture(drawn.output(), "training, seed " + seed));
    }
    pictures.add(
        Stage.picture(
            stage.coarse(Selecting::inference, Rule.EXPECTATION, "inference"), "inference"));
    stage.text(
        Html.format(
            "The picture in %1$d×%1$d windows: three draws and what inference makes of it. Every "
                + "pixel of a draw is a pixel of the picture; every channel is drawn for itself, "
                + "hence the stray colours.",
            Stage.COARSE));
    stage.strip(pictures.toArray(Html[]::new));
  }

  /** Draws from one window many times and compares frequencies with chances. */
  private static void draws(Stage stage, Field window) {
    Arena arena = stage.arena();
    float[] taps = window.values();
    float[] many = new float[DRAWS * taps.length];
    for (int i = 0; i < many.length; i++) {
      many[i] = taps[i % taps.length];
    }
    Tensor x = Tensor.of(arena, Shape.nchw(DRAWS, 1, window.height(), window.width()), many);
    StochasticPool pool = StochasticPool.of(Window.square(2).withStride(2));
    float[] drawn = pool.forwardTraining(x, 42, arena).output().toFloatArray();
    double sum = window.sum();
    Drawing chart = new Drawing(taps.length * 90, 170);
    boolean likely = true;
    for (int i = 0; i < taps.length; i++) {
      float tap = taps[i];
      double chance = tap / sum;
      double frequency =
          IntStream.range(0, DRAWS).filter(d -> drawn[d] == tap).count() / (double) DRAWS;
      likely &= Math.abs(frequency - chance) <= 4 * Math.sqrt(chance * (1 - chance) / DRAWS);
      double left = i * 90 + 10;
      chart.rect("bar1", left, 130 - 260 * chance, 28, 260 * chance);
      chart.rect("bar0", left + 32, 130 - 260 * frequency, 28, 260 * frequency);
      chart.text("middle small", left + 46, 124 - 260 * frequency, Html.format("%.3f", frequency));
      chart.text("middle small", left + 14, 124 - 260 * chance, Html.format("%.1f", chance));
      chart.text("middle", left + 30, 152, Drawing.number(tap, 0));
    }
    chart.line("axis", 0, 130, taps.length * 90, 130);
    stage.check(
        "frequencies of " + DRAWS + " draws",
        likely,
        "within 4 standard deviations of the chances");
    stage.text(
        Html.format(
            "Training: %,d draws from this first window. Blue: the chance of each tap; red: how "
                + "often it was drawn.",
            DRAWS));
    stage.row(chart.figure("chance and frequency of the taps 1, 3, 4, 2"));
  }
}
