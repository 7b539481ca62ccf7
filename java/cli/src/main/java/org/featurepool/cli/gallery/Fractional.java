package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import org.featurepool.FractionalMaxPool;
import org.featurepool.Tensor;

/** What fractional max pooling does. */
final class Fractional {
  private Fractional() {}

  /** First positions of the windows along one axis. */
  private static int[] starts(int input, int kernel, int output, double u) {
    double alpha = (double) (input - kernel) / (output - 1);
    int[] starts = new int[output];
    for (int i = 0; i < output - 1; i++) {
      starts[i] = (int) Math.floor((i + u) * alpha) - (int) Math.floor(u * alpha);
    }
    starts[output - 1] = input - kernel;
    return starts;
  }

  static void show(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    FractionalMaxPool pool = FractionalMaxPool.of(new long[] {2, 2}, new long[] {4, 4});
    Tensor samples = Tensor.of(arena, pool.samplesShape(x.shape()), new float[] {0.1f, 0.6f});
    int[] rows = starts(6, 2, 4, 0.1);
    int[] columns = starts(6, 2, 4, 0.6);
    Taps taps = new Taps(6, Taps.spans(6, rows, 2), Taps.spans(6, columns, 2));
    FractionalMaxPool.Result result = pool.forward(x, samples, arena);
    Tensor dy = stage.counting(result.output().shape());
    float[] dx = pool.backward(dy, result.mask(), arena).toFloatArray();
    stage.equal(
        "6×6 map", taps.reduce(Rule.MAX, Stage.MAP.values()), result.output().toFloatArray());
    stage.equal(
        "6×6 map, gradient", taps.spread(Rule.MAX, Stage.MAP.values(), dy.toFloatArray()), dx);
    stage.text(
        "Six rows and columns to four, by 2×2 windows: α = (6 − 2) / (4 − 1) = 4/3. Along the "
            + "columns u is 0.6, and the windows start at 0, 2, 3, 4; along the rows u is 0.1, "
            + "and they start at 0, 1, 2, 4. The bars show the four windows of each axis; the "
            + "next layer sends back 1, 2, 3 … 16.");
    Drawing drawing = Drawing.cells(Stage.MAP, 0, 54, 54);
    for (int i = 0; i < 4; i++) {
      drawing.bar(i, columns[i], 2, 6 * Drawing.CELL + 8 + 12 * i);
      drawing.upright(i, rows[i], 2, 6 * Drawing.CELL + 8 + 12 * i);
    }
    stage.row(
        drawing.figure("input and the windows of its axes"),
        NumberGrid.of("output", 4, result.output().toFloatArray(), 0).html(),
        NumberGrid.of("gradient of the input", 6, dx, 0).markNonZero().html());

    Tensor photo = stage.photo();
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    Tensor part = stage.part(photo, new Field.Crop(width / 4, height * 9 / 16, 18, 12));
    stage.text(
        "18 × 12 pixels of a picture, the starts of their windows for two random numbers, u = 0.35 "
            + "and u = 0.65, and the 12 × 8 maxima that result.");
    stage.strip(irregular(stage, part, 0.35), irregular(stage, part, 0.65));

    long[] reduced = {Math.round(height / Math.sqrt(2)), Math.round(width / Math.sqrt(2))};
    FractionalMaxPool half = FractionalMaxPool.of(new long[] {2, 2}, reduced);
    FractionalMaxPool.Result first = half.forward(photo, 1, arena);
    FractionalMaxPool.Result second = half.forward(photo, 2, arena);
    stage.selected("seed 1", photo, first.output(), first.mask().tensor());
    stage.selected("seed 2", photo, second.output(), second.mask().tensor());
    stage.text(
        "The whole picture, smaller by √2 in both directions, for two seeds, and where the two "
            + "results differ.");
    stage.strip(
        Stage.picture(photo, "input, " + Stage.size(photo)),
        Stage.picture(first.output(), "seed 1, " + Stage.size(first.output())),
        Stage.picture(second.output(), "seed 2"),
        Stage.heat(difference(first.output(), second.output()), "difference"));
  }

  private static Html irregular(Stage stage, Tensor part, double u) {
    FractionalMaxPool pool = FractionalMaxPool.of(new long[] {2, 2}, new long[] {8, 12});
    float[] samples = new float[6];
    Arrays.fill(samples, (float) u);
    Tensor y =
        pool.forward(
                part,
                Tensor.of(stage.arena(), pool.samplesShape(part.shape()), samples),
                stage.arena())
            .output();
    int[] rows = starts(12, 2, 8, u);
    int[] columns = starts(18, 2, 12, u);
    stage.verify(
        "u = " + u,
        new Taps(18, Taps.spans(12, rows, 2), Taps.spans(18, columns, 2)),
        Rule.MAX,
        part,
        y);
    Drawing drawing = new Drawing(270, 180).picture(Picture.whole(part, 18), 0, 0, 270, 180);
    for (int start : rows) {
      drawing.over(0, 15 * start, 270, 0);
    }
    for (int start : columns) {
      drawing.over(15 * start, 0, 0, 180);
    }
    return Html.join(
        List.of(drawing.figure("input, u = " + u), Stage.picture(y, "output, u = " + u)));
  }

  private static Field difference(Tensor a, Tensor b) {
    Field first = Field.channelSum(a);
    Field second = Field.channelSum(b);
    for (int i = 0; i < first.values().length; i++) {
      first.values()[i] = Math.abs(first.values()[i] - second.values()[i]);
    }
    return first;
  }
}
