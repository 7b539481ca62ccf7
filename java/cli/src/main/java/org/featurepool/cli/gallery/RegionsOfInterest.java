package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.Regions;
import org.featurepool.RoiAlign;
import org.featurepool.RoiPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** What pooling of regions does, with rounding and without. */
final class RegionsOfInterest {
  /** Parts of a picture as shares of its width and height: left, top, right, bottom. */
  private static final double[][] BOXES = {
    {0.19, 0.46, 0.37, 0.79}, {0.58, 0.35, 0.75, 0.58}, {0.03, 0.86, 0.35, 0.97}
  };

  /** Elements of the feature map per element of the picture in which regions are measured. */
  private static final double SCALE = 0.5;

  /** Bins along each side of the regions of a picture. */
  private static final int ACROSS = 14;

  private RegionsOfInterest() {}

  static void roiPool(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    double[] box = {0.6, 0.8, 4.4, 3.9};
    RoiPool pool = RoiPool.of(2, 2, 1);
    Regions region = Regions.of(arena, new double[][] {box}, new long[] {0});
    RoiPool.Result result = pool.forwardWithMask(x, region, arena);
    Tensor dy = stage.counting(result.output().shape());
    float[] dx = pool.backward(dy, result.mask(), region, arena).toFloatArray();
    Taps taps = rounded(6, 6, box, 1, 2);
    stage.equal("region by hand", new double[] {7, 9, 10, 6}, result.output().toFloatArray());
    stage.equal("gradient", taps.spread(Rule.MAX, Stage.MAP.values(), dy.toFloatArray()), dx);
    Drawing drawing = Drawing.cells(Stage.MAP, 0, 0, 0);
    drawing.window("second", box[0] + 0.5, box[1] + 0.5, box[2] - box[0], box[3] - box[1]);
    for (int i = 0; i < 4; i++) {
      drawing.window("first", 1 + i % 2 * 2, 1 + i / 2 * 2, 2, 2);
    }
    stage.text(
        "The region (blue) has its corners at column 0.6, row 0.8 and column 4.4, row 3.9, counted "
            + "in centres of pixels. Rounded they are 1, 1 and 4, 4, both included: 4×4 pixels, "
            + "which 2×2 bins (red) divide. The next layer sends back 1, 2, 3, 4.");
    stage.row(
        drawing.figure("input, region and bins"),
        NumberGrid.of("output", 2, result.output().toFloatArray(), 0).html(),
        NumberGrid.of("gradient of the input", 6, dx, 0).markNonZero().html());

    Tensor photo = stage.photo();
    Regions regions = regions(photo, arena);
    Tensor found = RoiPool.of(ACROSS, ACROSS, SCALE).forward(photo, regions, arena);
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    List<Html> figures = new ArrayList<>();
    figures.add(framed(photo, regions).figure("input with three regions"));
    for (int i = 0; i < BOXES.length; i++) {
      Tensor one = image(found, i, arena);
      stage.verify(
          "region " + (i + 1),
          rounded(height, width, regions.box(i), SCALE, ACROSS),
          Rule.MAX,
          photo,
          one);
      figures.add(Stage.picture(one, Html.format("region %1$d, %2$d×%2$d bins", i + 1, ACROSS)));
    }
    stage.text(
        Html.format(
            "Regions of different size and shape give results of one size, %1$d×%1$d. They are "
                + "measured in a picture twice as large as the map, as detectors do; the scale "
                + "0.5 leads from one to the other.",
            ACROSS));
    stage.strip(figures.toArray(Html[]::new));
  }

  /** The bins of a region whose corners are rounded to whole pixels. */
  private static Taps rounded(int height, int width, double[] box, double scale, int bins) {
    return new Taps(
        width,
        rounded(height, box[1] * scale, box[3] * scale, bins),
        rounded(width, box[0] * scale, box[2] * scale, bins));
  }

  private static int[][] rounded(int input, double from, double to, int bins) {
    int start = (int) Math.round(from);
    int size = Math.max(1, (int) Math.round(to) - start + 1);
    int[][] taps = Taps.bins(size, bins);
    for (int i = 0; i < bins; i++) {
      taps[i] =
          Arrays.stream(taps[i]).map(t -> t + start).filter(t -> t >= 0 && t < input).toArray();
    }
    return taps;
  }

  static void roiAlign(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    double[] box = {0.9, 1.3, 4.5, 4.1};
    RoiAlign pool = RoiAlign.average(2, 2, 1).withSamplingRatio(2).withHalfPixel(true);
    Regions region = Regions.of(arena, new double[][] {box}, new long[] {0});
    Tensor y = pool.forward(x, region, arena);
    Tensor dy = Gradients.ones(y, arena);
    float[] dx = pool.backward(dy, x, region, arena).toFloatArray();
    stage.close("region", aligned(Stage.MAP, box, 1, 2), y.toFloatArray());
    stage.close("gradient", alignedSlopes(box), dx);
    stage.check(
        "first sample by hand",
        Math.abs(sample(Stage.MAP, 1.35 - 0.5, 1.65 - 0.5) - 2.45) < 1e-9,
        "2.45");
    Drawing drawing = Drawing.cells(Stage.MAP, 0, 0, 0);
    double w = (box[2] - box[0]) / 2;
    double h = (box[3] - box[1]) / 2;
    for (int i = 0; i < 4; i++) {
      drawing.rect(
          "first",
          (box[0] + i % 2 * w) * Drawing.CELL,
          (box[1] + i / 2 * h) * Drawing.CELL,
          w * Drawing.CELL,
          h * Drawing.CELL);
    }
    for (int i = 0; i < 16; i++) {
      drawing.dot(
          "sample",
          (box[0] + (i % 4 + 0.5) * w / 2) * Drawing.CELL,
          (box[1] + (i / 4 + 0.5) * h / 2) * Drawing.CELL,
          4.5);
    }
    stage.text(
        "The region from (0.9, 1.3) to (4.5, 4.1), 2×2 bins with 2×2 samples each. The first sample "
            + "lies at (1.35, 1.65), that is 0.85 of the way from the centres of column 0 to "
            + "those of column 1 and 0.15 from row 1 to row 2: 0.85 · (0.15 · 4 + 0.85 · 2) + "
            + "0.15 · (0.15 · 5 + 0.85 · 3) = 2.45. The mean of the four samples of a bin is its "
            + "output. When every output sends back 1, each sample hands a quarter of it to its "
            + "four pixels.");
    stage.row(
        drawing.figure("input, bins and sample points"),
        NumberGrid.of("output", 2, y.toFloatArray(), 3).html(),
        NumberGrid.of("gradient of the input", 6, dx, 2).markNonZero().html());

    Tensor photo = stage.photo();
    Regions regions = regions(photo, arena);
    Tensor found =
        RoiAlign.average(ACROSS, ACROSS, SCALE)
            .withSamplingRatio(2)
            .withHalfPixel(true)
            .forward(photo, regions, arena);
    List<Html> figures = new ArrayList<>();
    figures.add(framed(photo, regions).figure("input with three regions"));
    for (int i = 0; i < BOXES.length; i++) {
      Tensor one = image(found, i, arena);
      double[][] expected = new double[3][];
      for (int c = 0; c < 3; c++) {
        expected[c] = aligned(Field.plane(photo, c), regions.box(i), SCALE, ACROSS);
      }
      stage.close(
          "region " + (i + 1),
          Arrays.stream(expected).flatMapToDouble(Arrays::stream).toArray(),
          one.toFloatArray());
      figures.add(Stage.picture(one, Html.format("region %1$d, %2$d×%2$d bins", i + 1, ACROSS)));
    }
    stage.text(
        "The same regions as above, averaged over samples: softer, and in their right place.");
    stage.strip(figures.toArray(Html[]::new));
  }

  /** What each pixel of the map contributes to the sum of all outputs. */
  private static double[] alignedSlopes(double[] box) {
    double[] slopes = new double[36];
    for (int i = 0; i < slopes.length; i++) {
      float[] one = new float[36];
      one[i] = 1;
      slopes[i] = Arrays.stream(aligned(new Field(6, 6, one), box, 1, 2)).sum();
    }
    return slopes;
  }

  /** RoIAlign of one plane with 2×2 samples a bin, positions being half a pixel off the centres. */
  private static double[] aligned(Field plane, double[] box, double scale, int bins) {
    double left = box[0] * scale - 0.5;
    double top = box[1] * scale - 0.5;
    double w = (box[2] - box[0]) * scale / bins / 2;
    double h = (box[3] - box[1]) * scale / bins / 2;
    double[] means = new double[bins * bins];
    for (int y = 0; y < 2 * bins; y++) {
      for (int x = 0; x < 2 * bins; x++) {
        means[y / 2 * bins + x / 2] += sample(plane, left + (x + 0.5) * w, top + (y + 0.5) * h) / 4;
      }
    }
    return means;
  }

  private static double sample(Field plane, double x, double y) {
    double px = Math.clamp(x, 0, plane.width() - 1);
    double py = Math.clamp(y, 0, plane.height() - 1);
    int x0 = (int) px;
    int y0 = (int) py;
    int x1 = Math.min(x0 + 1, plane.width() - 1);
    int y1 = Math.min(y0 + 1, plane.height() - 1);
    double above = plane.at(x0, y0) * (1 - (px - x0)) + plane.at(x1, y0) * (px - x0);
    double below = plane.at(x0, y1) * (1 - (px - x0)) + plane.at(x1, y1) * (px - x0);
    return above * (1 - (py - y0)) + below * (py - y0);
  }

  /** The boxes, in a picture that is larger than the map by the scale. */
  private static Regions regions(Tensor photo, Arena arena) {
    double height = photo.shape().spatial(0) / SCALE;
    double width = photo.shape().spatial(1) / SCALE;
    double[][] boxes =
        Arrays.stream(BOXES)
            .map(b -> new double[] {b[0] * width, b[1] * height, b[2] * width, b[3] * height})
            .toArray(double[][]::new);
    return Regions.of(arena, boxes, new long[boxes.length]);
  }

  private static Drawing framed(Tensor photo, Regions regions) {
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    Drawing drawing = new Drawing(width, height);
    drawing.picture(Picture.whole(photo, width + height), 0, 0, width, height);
    for (int i = 0; i < regions.count(); i++) {
      double[] box = regions.box(i);
      drawing.frame(
          box[0] * SCALE, box[1] * SCALE, (box[2] - box[0]) * SCALE, (box[3] - box[1]) * SCALE);
    }
    return drawing;
  }

  /** One image of a batch. */
  private static Tensor image(Tensor batch, int index, Arena arena) {
    int size = (int) (batch.shape().elementCount() / batch.shape().batch());
    float[] values = Arrays.copyOfRange(batch.toFloatArray(), index * size, (index + 1) * size);
    return Tensor.of(
        arena,
        Shape.nchw(1, batch.shape().channels(), batch.shape().spatial(0), batch.shape().spatial(1)),
        values);
  }
}
