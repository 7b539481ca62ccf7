package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.Shape;
import org.featurepool.SpatialPyramidPool;
import org.featurepool.SppBlock;
import org.featurepool.Tensor;

/** What pooling at several scales at once does. */
final class Pyramids {
  private static final int[] LEVELS = {1, 2, 4};

  /** Width of a number in the drawing of a long vector, in pixels. */
  private static final int STEP = 12;

  private Pyramids() {}

  static void pyramid(Stage stage) {
    Arena arena = stage.arena();
    SpatialPyramidPool small = SpatialPyramidPool.max(1, 2, 3);
    Tensor x = stage.tensor(Stage.MAP);
    SpatialPyramidPool.Result result = small.forwardWithMask(x, arena);
    float[] y = result.output().toFloatArray();
    stage.equal("6×6 map by hand", new double[] {10, 7, 9, 10, 8, 4, 6, 8, 8, 8, 9, 10, 6, 8}, y);
    Tensor dy = Gradients.ones(result.output(), arena);
    float[] dx = small.backward(dy, result.mask(), x.shape(), arena).toFloatArray();
    double[] arrived = new double[36];
    for (int level = 1; level <= 3; level++) {
      float[] ones = new float[level * level];
      Arrays.fill(ones, 1);
      double[] part = Taps.bins(6, 6, level, level).spread(Rule.MAX, Stage.MAP.values(), ones);
      Arrays.setAll(arrived, i -> arrived[i] + part[i]);
    }
    stage.equal("6×6 map, gradient", arrived, dx);
    stage.text(
        "Levels 1, 2 and 3 of the map of article 003: its maximum, the maxima of its quarters, "
            + "those of its ninths; 1 + 4 + 9 = 14 numbers, in this order. When every output sends back "
            + "1, the 10 gets it from all three levels.");
    stage.row(
        NumberGrid.of("input", 6, Stage.MAP.values(), 0).html(),
        NumberGrid.of("level 1", 1, Arrays.copyOfRange(y, 0, 1), 0).html(),
        NumberGrid.of("level 2", 2, Arrays.copyOfRange(y, 1, 5), 0).html(),
        NumberGrid.of("level 3", 3, Arrays.copyOfRange(y, 5, 14), 0).html(),
        NumberGrid.of("output", 14, y, 0).html(),
        NumberGrid.of("gradient of the input", 6, dx, 0).markNonZero().html());

    Tensor photo = stage.photo();
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    SpatialPyramidPool pool = SpatialPyramidPool.average(1, 2, 4);
    Tensor vector = pool.forward(photo, arena);
    float[] values = vector.toFloatArray();
    List<Html> figures = new ArrayList<>();
    double[] expected = new double[values.length];
    Drawing stacked = new Drawing(values.length * STEP, 40);
    int at = 0;
    for (int level : LEVELS) {
      Taps taps = Taps.bins(height, width, level, level);
      Drawing grid = new Drawing(width, height);
      grid.picture(Picture.whole(photo, width), 0, 0, width, height);
      for (int bin = 1; bin < level; bin++) {
        grid.over(taps.columns()[bin][0], 0, 0, height);
        grid.over(0, taps.rows()[bin][0], width, 0);
      }
      figures.add(grid.figure(Html.format("level %1$d: %1$d×%1$d bins", level)));
      float[] bins = Arrays.copyOfRange(values, at, at + 3 * level * level);
      figures.add(
          Stage.picture(
              Tensor.of(arena, Shape.nchw(1, 3, level, level), bins),
              Html.format("3 · %d numbers", level * level)));
      for (int c = 0; c < 3; c++) {
        for (double mean : taps.reduce(Rule.MEAN, Field.plane(photo, c).values())) {
          int gray = Math.clamp(Math.round(values[at]), 0, 255);
          stacked.block(gray << (16 - 8 * c), at * STEP, 0, STEP, 40);
          expected[at] = mean;
          at++;
        }
      }
    }
    stage.close("picture, means", expected, values);
    stage.text(
        "A picture of three channels, averaged: the bins of each level and their means; below, "
            + "the vector as it comes out, 3 · (1 + 4 + 16) = 63 numbers: level by level, in "
            + "each level red, green and blue, in each channel row by row.");
    stage.strip(figures.toArray(Html[]::new));
    stage.row(stacked.figure("the output, 63 numbers"));
    stage.text(
        "SPPNet itself counted in windows: with a = 13 rows and n = 2, kernel ⌈13/2⌉ = 7 and stride "
            + "⌊13/2⌋ = 6. For some sizes this rule gives more than n windows (a = 5, n = 3 "
            + "gives 4); the library then refuses it and names the adaptive bins shown here, "
            + "which always fit.");
  }

  static void block(Stage stage) {
    Arena arena = stage.arena();
    Field map = Stage.MAP;
    Tensor x = stage.tensor(map);
    SppBlock small = SppBlock.of(3, 5);
    SppBlock.Result mapped = small.forwardWithMask(x, arena);
    Tensor y = mapped.output();
    double[][] parts = {
      Taps.windows(6, 6, 5, 1, 2).reduce(Rule.MAX, map.values()),
      Taps.windows(6, 6, 3, 1, 1).reduce(Rule.MAX, map.values())
    };
    float[][] planes = {
      Field.plane(y, 0).values(), Field.plane(y, 1).values(), Field.plane(y, 2).values()
    };
    stage.equal("6×6 map, 5×5", parts[0], planes[0]);
    stage.equal("6×6 map, 3×3", parts[1], planes[1]);
    stage.equal("6×6 map, input", Stage.doubles(map.values()), planes[2]);
    float[] dx = small.backward(Gradients.ones(y, arena), mapped.mask(), arena).toFloatArray();
    float[] ones = new float[36];
    Arrays.fill(ones, 1);
    double[] fromLarge = Taps.windows(6, 6, 5, 1, 2).spread(Rule.MAX, map.values(), ones);
    double[] fromSmall = Taps.windows(6, 6, 3, 1, 1).spread(Rule.MAX, map.values(), ones);
    double[] arrived = new double[36];
    Arrays.setAll(arrived, i -> fromLarge[i] + fromSmall[i] + 1);
    stage.equal("6×6 map, gradient", arrived, dx);
    stage.text(
        "With the kernels 5 and 3 on the map of article 003: one channel becomes three, the largest "
            + "window first and the input itself last. When every output sends back 1, every "
            + "pixel gets its own 1 and one more for each window in which it is the maximum.");
    stage.row(
        NumberGrid.of("channel 0: max 5×5", 6, planes[0], 0).html(),
        NumberGrid.of("channel 1: max 3×3", 6, planes[1], 0).html(),
        NumberGrid.of("channel 2: input", 6, planes[2], 0).html(),
        NumberGrid.of("gradient of the input", 6, dx, 0).mark(dx).html());

    Tensor photo = stage.photo();
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    SppBlock pool = SppBlock.of(5, 9, 13);
    SppBlock.Result result = pool.forwardWithMask(photo, arena);
    List<Field> channels = Picture.planes(result.output());
    List<Html> pictures = new ArrayList<>();
    int[] kernels = {13, 9, 5, 1};
    for (int i = 0; i < kernels.length; i++) {
      int kernel = kernels[i];
      Tensor panel = Scene.tensor(channels.subList(3 * i, 3 * i + 3), arena);
      String name = kernel == 1 ? "the input" : Html.format("max %1$d×%1$d", kernel);
      stage.verify(
          name, Taps.windows(height, width, kernel, 1, kernel / 2), Rule.MAX, photo, panel);
      pictures.add(
          Stage.picture(panel, Html.format("channels %d to %d: %s", 3 * i, 3 * i + 2, name)));
    }
    stage.text("The block of YOLOv3-SPP on a picture: 3 channels become 12.");
    Field shown =
        Field.channelSum(
            pool.backward(Gradients.ones(result.output(), arena), result.mask(), arena));
    double sent = 4.0 * 3 * height * width;
    stage.close("sum of the gradient", new double[] {sent}, new float[] {(float) shown.sum()});
    for (int i = 0; i < shown.values().length; i++) {
      shown.values()[i] = (float) Math.log(Math.max(1, shown.values()[i]));
    }
    pictures.add(Stage.heat(shown, "gradient of the input, on a log scale"));
    stage.strip(pictures.toArray(Html[]::new));
  }
}
