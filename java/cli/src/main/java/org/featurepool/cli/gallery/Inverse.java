package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.List;
import org.featurepool.AvgPool;
import org.featurepool.AvgUnpool;
import org.featurepool.MaxPool;
import org.featurepool.MaxUnpool;
import org.featurepool.Tensor;
import org.featurepool.Window;

/** Operators that make a small map large again. */
final class Inverse {
  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "max-unpool",
              "Max unpooling",
              "MaxUnpool",
              "unpooling",
              "x[mask<sub>o</sub>] = y<sub>o</sub>, 0 elsewhere",
              "Max pooling noted in its mask where every maximum was. Unpooling puts the values of "
                  + "a small map back to these places and leaves zeros between them. Networks "
                  + "that label every pixel grow their maps with it: edges land where they were. "
                  + "It is no inverse; what was forgotten stays forgotten.",
              "An output of the small map gets the gradient that lies at its place in the large one; "
                  + "the zeros get none.",
              Inverse::maxUnpool),
          Exhibit.of(
              "avg-unpool",
              "Average unpooling",
              "AvgUnpool",
              "unpooling",
              "x<sub>i</sub> = y<sub>o</sub> / n for the n taps of window o",
              "Every value of the small map is spread evenly over its window, so that the sum stays "
                  + "the same. No mask is needed, and no detail comes back. It is the backward "
                  + "pass of average pooling, used as a layer.",
              "The gradient of a small value is the mean of the gradients over its window: average "
                  + "pooling.",
              Inverse::avgUnpool));

  private static final Window BLOCKS = Window.square(2).withStride(2);
  private static final int COARSE = 4;

  private Inverse() {}

  private static void maxUnpool(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    MaxPool.Result pooled = MaxPool.of(BLOCKS).forwardWithMask(x, arena);
    MaxUnpool unpool = MaxUnpool.of(BLOCKS);
    Taps taps = Taps.windows(6, 6, 2, 2, 0);
    Tensor back = unpool.forward(pooled.output(), pooled.mask(), arena);
    stage.equal(
        "6×6 map",
        taps.spread(Rule.MAX, Stage.MAP.values(), pooled.output().toFloatArray()),
        back.toFloatArray());
    Tensor dx = stage.counting(x.shape());
    float[] dy = unpool.backward(dx, pooled.mask(), arena).toFloatArray();
    // The places of the nine maxima, 1 being the first of the 36.
    stage.equal("gradient", new double[] {7, 10, 11, 19, 16, 17, 26, 28, 36}, dy);
    stage.text(
        "The map of article 003, max-pooled by 2×2 windows and unpooled again: the nine maxima are "
            + "back in their places. If the gradient of the large map is 1, 2, 3 … 36, row by "
            + "row, the gradient of the small one is read at the nine places.");
    stage.row(
        NumberGrid.of("input", 6, Stage.MAP.values(), 0).blocks(2).mark(back.toFloatArray()).html(),
        NumberGrid.of("pooled", 3, pooled.output().toFloatArray(), 0).blocks(1).html(),
        NumberGrid.of("unpooled", 6, back.toFloatArray(), 0).blocks(2).markNonZero().html(),
        NumberGrid.of("gradient of the small map", 3, dy, 0).blocks(1).html());

    Tensor photo = trimmed(stage.photo(), arena);
    Window coarse = Window.square(COARSE).withStride(COARSE);
    MaxPool.Result small = MaxPool.of(coarse).forwardWithMask(photo, arena);
    Tensor large = MaxUnpool.of(coarse).forward(small.output(), small.mask(), arena);
    stage.spread("picture", Rule.MAX, photo, small.output(), large, COARSE);
    stage.text(Html.format("A picture pooled by %1$d×%1$d windows, and unpooled.", COARSE));
    stage.pictures(
        Stage.picture(photo, "input"),
        Stage.picture(small.output(), "max-pooled"),
        Stage.picture(large, "unpooled: one value in sixteen, where the maximum was"));
  }

  private static void avgUnpool(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    Tensor pooled = AvgPool.of(BLOCKS).forward(x, arena);
    AvgUnpool unpool = AvgUnpool.of(BLOCKS);
    Tensor back = unpool.forward(pooled, x.shape(), arena);
    Taps taps = Taps.windows(6, 6, 2, 2, 0);
    stage.close(
        "6×6 map",
        taps.spread(Rule.MEAN, Stage.MAP.values(), pooled.toFloatArray()),
        back.toFloatArray());
    Tensor dx = stage.counting(x.shape());
    float[] dy = unpool.backward(dx, arena).toFloatArray();
    stage.close("gradient", taps.reduce(Rule.MEAN, dx.toFloatArray()), dy);
    stage.text(
        "The map of article 003, averaged over 2×2 windows and spread again: the first mean, 2.5, "
            + "becomes four times 2.5 / 4 = 0.625. To get the mean itself back in every place, "
            + "multiply by the number of taps. If the gradient of the large map is 1, 2, 3 … 36, "
            + "that of the first small value is (1 + 2 + 7 + 8) / 4 = 4.5.");
    stage.row(
        NumberGrid.of("pooled", 3, pooled.toFloatArray(), 2).blocks(1).html(),
        NumberGrid.of("unpooled", 6, back.toFloatArray(), 3).blocks(2).html(),
        NumberGrid.of("gradient of the small map", 3, dy, 1).blocks(1).html());

    Tensor photo = trimmed(stage.photo(), arena);
    Window coarse = Window.square(COARSE).withStride(COARSE);
    Tensor small = AvgPool.of(coarse).forward(photo, arena);
    Tensor large = AvgUnpool.of(coarse).forward(small, photo.shape(), arena);
    stage.spread("picture", Rule.MEAN, photo, small, large, COARSE);
    stage.text(
        Html.format(
            "A picture averaged over %1$d×%1$d windows, and spread; brightened by the number of "
                + "taps, %2$d, to be seen.",
            COARSE, COARSE * COARSE));
    stage.pictures(
        Stage.picture(photo, "input"),
        Stage.picture(small, "averaged"),
        Stage.picture(stage.scaled(large, COARSE * COARSE), "unpooled, times 16"));
  }

  /** The picture without what is left over when it is divided into windows. */
  private static Tensor trimmed(Tensor photo, Arena arena) {
    int height = (int) photo.shape().spatial(0) / COARSE * COARSE;
    int width = (int) photo.shape().spatial(1) / COARSE * COARSE;
    Field.Crop crop = new Field.Crop(0, 0, width, height);
    return Scene.tensor(
        Picture.planes(photo).stream().map(plane -> plane.cut(crop)).toList(), arena);
  }
}
