package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.AvgPool;
import org.featurepool.GemPool;
import org.featurepool.LpPool;
import org.featurepool.MixedPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;

/** Operators to whose output all taps of a window contribute. */
final class Averaging {
  private static final double EPSILON = 1e-6;

  /** Steps of the curve over p, four to a doubling. */
  private static final int STEPS = 24;

  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "average",
              "Average",
              "AvgPool",
              "average",
              "y = (x<sub>1</sub> + … + x<sub>n</sub>) / n",
              "The mean of the taps: the overall level of the window, strong and weak responses "
                  + "alike. On a picture it blurs; noise does not vanish but is smeared.",
              "Every tap gets the same share, one n-th of it. It is divided and not copied, so its "
                  + "sum stays what it was.",
              stage -> {
                stage.example(
                    Averaging::average, Rule.MEAN, 2, "(1 + 3 + 4 + 2) / 4 = 10 / 4 = 2.5", 2.5);
                stage.photo(Averaging::average, Rule.MEAN);
              }),
          Exhibit.of(
              "lp",
              "Lp",
              "LpPool",
              "lp",
              "y = (Σ |x<sub>i</sub>|<sup>p</sup>)<sup>1/p</sup>",
              "One formula from the sum (p = 1) over the length of the taps as a vector (p = 2) to "
                  + "the largest magnitude (p = ∞): the larger p, the more the strongest tap "
                  + "decides. It is a norm and no mean: with n equal taps of value a it is "
                  + "a · n<sup>1/p</sup>.",
              "Tap j gets sign(x<sub>j</sub>) · (|x<sub>j</sub>| / y)<sup>p−1</sup> of it: everyone the same for p = 1, in "
                  + "proportion to the taps for p = 2, only the largest for p = ∞.",
              Averaging::lp),
          Exhibit.of(
              "gem",
              "Generalised mean (GeM)",
              "GemPool",
              "gem",
              "y = (1/n · Σ max(x<sub>i</sub>, ε)<sup>p</sup>)<sup>1/p</sup>, p learned",
              "The Lp norm divided by the number of taps, so that it stays between the mean (p = 1) "
                  + "and the maximum (p → ∞). The network learns p, one for all channels or one "
                  + "each, and so finds out itself how much the strongest response should count; "
                  + "image retrieval uses it over whole planes.",
              "Tap j gets (x<sub>j</sub> / y)<sup>p−1</sup> / n of it, and p itself gets "
                  + "(y / p) · (Σ x<sup>p</sup> ln x / Σ x<sup>p</sup> − ln y).",
              Averaging::gem),
          Exhibit.of(
              "mixed",
              "Mixed: add and cat",
              "MixedPool",
              "mixed",
              "add: y = α · max + (1 − α) · mean, α learned; cat: channels [mean, max]",
              "Max pooling looks at strong local features, average pooling at the whole. Mixed "
                  + "pooling takes both: added, with a share α that can be learned, or as twice "
                  + "as many channels. The input is read once.",
              "The taps get α of the maximum's gradient and 1 − α of the mean's. With cat, either "
                  + "half sends back its own. α gets the sum of g · (max − mean).",
              Averaging::mixed));

  private Averaging() {}

  static Pool average(Window window) {
    AvgPool pool = AvgPool.of(window);
    return new Pool(pool::forward, (dy, x, arena) -> pool.backward(dy, x.shape(), arena));
  }

  private static Pool lp(Window window, double p) {
    LpPool pool = LpPool.of(window, p);
    return new Pool(
        pool::forward, (dy, x, arena) -> pool.backward(dy, x, pool.forward(x, arena), arena));
  }

  private static void lp(Stage stage) {
    stage.example(
        window -> lp(window, 2),
        Rule.lp(2),
        2,
        "with p = 2, √(1 + 9 + 16 + 4) = √30 = 5.48",
        5.477);
    List<Html> grids = new ArrayList<>();
    List<Html> pictures = new ArrayList<>();
    for (double p : new double[] {1, 2, 4, Double.POSITIVE_INFINITY}) {
      String name = "p = " + (Double.isInfinite(p) ? "∞" : Drawing.number(p, 0));
      float[] map = stage.map(window -> lp(window, p), Rule.lp(p), name);
      grids.add(NumberGrid.of(name, 3, map, 2).html());
      Tensor y = stage.coarse(window -> lp(window, p), Rule.lp(p), name);
      pictures.add(
          Stage.picture(stage.scaled(y, Math.pow(Stage.COARSE * Stage.COARSE, -1 / p)), name));
    }
    stage.text("The same map for four p. The first window gives 10, √30, ⁴√354 and 4.");
    stage.row(grids.toArray(Html[]::new));
    stage.text(
        Html.format(
            "The picture in %1$d×%1$d windows, divided by %2$d<sup>1/p</sup> to be comparable: p = 1 "
                + "shows the mean, p = ∞ the maximum.",
            Stage.COARSE, Stage.COARSE * Stage.COARSE));
    stage.strip(pictures.toArray(Html[]::new));
  }

  private static Pool gem(Window window, double p) {
    GemPool pool = GemPool.of(window, p).withEpsilon(EPSILON);
    return new Pool(
        pool::forward,
        (dy, x, arena) -> pool.backward(dy, x, pool.forward(x, arena), arena).input());
  }

  private static void gem(Stage stage) {
    Arena arena = stage.arena();
    Rule cubic = Rule.generalisedMean(3, EPSILON);
    stage.example(
        window -> gem(window, 3),
        cubic,
        2,
        "with p = 3, the cube root of (1 + 27 + 64 + 8) / 4 = 25 is 2.92",
        2.924);
    Tensor x = stage.tensor(Stage.MAP.cut(new Field.Crop(0, 0, 2, 2)));
    GemPool learned = GemPool.of(Window.square(2), 3).withEpsilon(EPSILON);
    Tensor y = learned.forward(x, arena);
    Tensor one = Gradients.ones(y, arena);
    double slope = learned.backward(one, x, y, arena).p()[0];
    double f = Math.cbrt(25);
    double logs = (27 * Math.log(3) + 64 * Math.log(4) + 8 * Math.log(2)) / 100;
    stage.close(
        "gradient of p", new double[] {f / 3 * (logs - Math.log(f))}, new float[] {(float) slope});

    double[] values = Stage.doubles(x.toFloatArray());
    Drawing chart = new Drawing(330, 190);
    chart.line("axis", 40, 150, 320, 150).line("axis", 40, 150, 40, 10);
    chart.text("small", 44, 22, "max 4").line("second", 40, 30, 320, 30);
    chart.text("small", 250, 144, "mean 2.5").line("third", 40, 150, 320, 150);
    double lastX = 0;
    double lastY = 0;
    double[] expected = new double[STEPS + 1];
    float[] found = new float[STEPS + 1];
    for (int step = 0; step <= STEPS; step++) {
      double p = Math.pow(2, step / 4.0);
      float mean = GemPool.of(Window.square(2), p).forward(x, arena).getFloat(0, 0, 0, 0);
      expected[step] = Rule.generalisedMean(p, EPSILON).value().applyAsDouble(values);
      found[step] = mean;
      double left = 40 + step * 11.6;
      double top = 150 - (mean - 2.5) * 80;
      if (step > 0) {
        chart.line("first", lastX, lastY, left, top);
      }
      if (step % 4 == 0) {
        chart.text("middle small", left, 168, Drawing.number(p, 0));
      }
      lastX = left;
      lastY = top;
    }
    chart.text("middle small", 180, 186, "p");
    chart.dot("sample", 40 + 11.6 * 4 * Math.log(3) / Math.log(2), 150 - (f - 2.5) * 80, 5);
    stage.close("curve over p", expected, found);
    stage.text(
        Html.format(
            "The first window, 1, 3, 4, 2, for p from 1 to 64: from the mean to the maximum. At "
                + "p = 3 (the dot) the curve rises by %.3f per unit of p; that is the gradient that p "
                + "receives there.",
            slope));
    stage.row(chart.figure("generalised mean of 1, 3, 4, 2 over p"));
    List<Html> pictures = new ArrayList<>();
    for (double p : new double[] {1, 3, 8, 32}) {
      Rule rule = Rule.generalisedMean(p, EPSILON);
      String name = "p = " + Drawing.number(p, 0);
      Tensor pooled = stage.coarse(window -> gem(window, p), rule, name);
      pictures.add(Stage.picture(pooled, name));
    }
    stage.text(Html.format("The picture in %1$d×%1$d windows.", Stage.COARSE));
    stage.strip(pictures.toArray(Html[]::new));
  }

  private static Pool mixed(Window window, double alpha) {
    MixedPool pool = MixedPool.add(window, alpha);
    return new Pool(pool::forward, (dy, x, arena) -> pool.backward(dy, x, arena).input());
  }

  private static void mixed(Stage stage) {
    Arena arena = stage.arena();
    stage.example(
        window -> mixed(window, 0.5), Rule.mixed(0.5), 2, "0.5 · 4 + 0.5 · 2.5 = 3.25", 3.25);

    Tensor x = stage.tensor(Stage.MAP);
    Window window = Window.square(2).withStride(2);
    Tensor both = MixedPool.cat(window).forward(x, arena);
    Taps taps = Taps.windows(6, 6, 2, 2, 0);
    float[] halves = both.toFloatArray();
    float[] mean = Arrays.copyOfRange(halves, 0, 9);
    float[] max = Arrays.copyOfRange(halves, 9, 18);
    stage.close("cat, first channel", taps.reduce(Rule.MEAN, Stage.MAP.values()), mean);
    stage.equal("cat, second channel", taps.reduce(Rule.MAX, Stage.MAP.values()), max);
    Tensor dy = stage.counting(Shape.nchw(1, 1, 3, 3));
    double alpha = MixedPool.add(window, 0.5).backward(dy, x, arena).alpha()[0];
    double expected = 0;
    for (int i = 0; i < 9; i++) {
      expected += (i + 1) * (max[i] - mean[i]);
    }
    stage.close("gradient of α", new double[] {expected}, new float[] {(float) alpha});
    stage.text(
        Html.format(
            "Cat keeps both, as two channels. α receives 1·(4 − 2.5) + 2·(6 − 4.25) + … = %.2f: "
                + "positive, because the maximum is never below the mean.",
            alpha));
    stage.row(
        NumberGrid.of("cat, first channel: mean", 3, mean, 2).html(),
        NumberGrid.of("cat, second channel: max", 3, max, 0).html());
    List<Html> pictures = new ArrayList<>();
    for (double share : new double[] {0, 0.25, 0.5, 0.75, 1}) {
      String name = "α = " + Drawing.number(share, 2);
      Tensor y = stage.coarse(w -> mixed(w, share), Rule.mixed(share), name);
      pictures.add(Stage.picture(y, name));
    }
    stage.text(
        Html.format("The picture in %1$d×%1$d windows, from mean to maximum.", Stage.COARSE));
    stage.strip(pictures.toArray(Html[]::new));
  }
}
