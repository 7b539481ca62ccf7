package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.AdaptivePool;
import org.featurepool.AvgPool;
import org.featurepool.FractionalMaxPool;
import org.featurepool.GlobalPool;
import org.featurepool.MaxPool;
import org.featurepool.Regions;
import org.featurepool.RoiAlign;
import org.featurepool.RoiPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Operators that divide a plane, or a region of it, into a fixed number of parts. */
final class Geometry {
  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "global",
              "Global max, average and Lp",
              "GlobalPool",
              "y = maximum, mean or Lp norm of the whole plane",
              "One window as large as the plane: every channel becomes one number, whatever the "
                  + "size of the picture. Networks end with it, where they no longer ask where "
                  + "something is but only whether it is there and how much of it.",
              "That of the average is spread evenly over the plane; that of the maximum goes to "
                  + "its one pixel.",
              Geometry::global),
          Exhibit.of(
              "adaptive",
              "Adaptive max and average",
              "AdaptivePool",
              "bin i of n: from ⌊i·I / n⌋ up to ⌈(i+1)·I / n⌉, exclusive",
              "One names the size of the output, and every axis is cut into that many bins, as "
                  + "equal as whole pixels allow. Where the size does not divide evenly, "
                  + "neighbouring bins share a pixel.",
              "As with windows: the maximum's goes to its pixel, the average's is divided among "
                  + "the pixels of the bin. A pixel in two bins gets a share from both.",
              Geometry::adaptive),
          Exhibit.of(
              "fractional-max",
              "Fractional max",
              "FractionalMaxPool",
              "start<sub>i</sub> = ⌊(i + u) α⌋ − ⌊u α⌋, α = (I − k) / (O − 1), u random in [0, 1)",
              "2×2 pooling halves a map and throws three quarters of it away at once. Fractional "
                  + "pooling shrinks by any factor, say √2: its windows start one or two "
                  + "pixels apart, in an order that a random number u decides anew in every "
                  + "step of a training. The network sees slightly different distortions of the "
                  + "same picture.",
              "All of it goes to the maximum of each window, as in max pooling.",
              Geometry::fractional),
          Exhibit.of(
              "roi-pool",
              "RoI max pooling",
              "RoiPool",
              "region rounded to whole pixels, n×m bins, maximum of each",
              "A detector proposes regions of a picture, of all sizes; each is cut out of the feature "
                  + "map and pooled to the same number of bins. Corners are rounded to whole "
                  + "pixels first, which moves small regions noticeably.",
              "To the maximum of each bin; where regions overlap, gradients add up.",
              Geometry::roiPool),
          Exhibit.of(
              "roi-align",
              "RoIAlign",
              "RoiAlign",
              "y = mean of samples; sample = bilinear mixture of the four pixels around it",
              "The same without rounding: every bin takes samples at evenly spaced points, wherever "
                  + "these lie between the pixels, and each sample mixes the four pixels around "
                  + "it. What is pooled moves smoothly with the region, which masks and key "
                  + "points need. Besides the mean there is a maximum mode.",
              "Every sample hands its share back to its four pixels, by the same weights.",
              Geometry::roiAlign));

  private static final int BINS = 7;
  private static final double SCALE = 0.5;

  private Geometry() {}

  private static void global(Stage stage) {
    Arena arena = stage.arena();
    Tensor x = stage.tensor(Stage.MAP);
    AvgPool average = GlobalPool.average(2);
    MaxPool max = GlobalPool.max(2);
    Tensor mean = average.forward(x, arena);
    MaxPool.Result largest = max.forwardWithMask(x, arena);
    stage.close("mean of the map, 169 / 36", new double[] {169 / 36.0}, mean.toFloatArray());
    stage.equal("largest of the map", new double[] {10}, largest.output().toFloatArray());
    float[] length = GlobalPool.lp(2, 2).forward(x, arena).toFloatArray();
    stage.close("L2 norm of the map, √1005", new double[] {Math.sqrt(1005)}, length);
    Tensor dy = Tensor.of(arena, Shape.nchw(1, 1, 1, 1), new float[] {36});
    float[] spread = average.backward(dy, x.shape(), arena).toFloatArray();
    float[] routed = max.backward(dy, largest.mask(), arena).toFloatArray();
    Taps whole = Taps.bins(6, 6, 1, 1);
    stage.close(
        "gradient of the mean",
        whole.spread(Rule.MEAN, Stage.MAP.values(), new float[] {36}),
        spread);
    stage.equal(
        "gradient of the largest",
        whole.spread(Rule.MAX, Stage.MAP.values(), new float[] {36}),
        routed);
    stage.text(
        "The 36 numbers of article 003 sum to 169, so their mean is 169 / 36; the largest is 10; "
            + "their squares sum to 1005, so the L2 norm is √1005. The next layer sends back 36.");
    stage.row(
        NumberGrid.of("input", 6, Stage.MAP.values(), 0).mark(routed).html(),
        NumberGrid.of("mean", 1, mean.toFloatArray(), 3).html(),
        NumberGrid.of("largest", 1, largest.output().toFloatArray(), 0).html(),
        NumberGrid.of("L2 norm", 1, length, 3).html(),
        NumberGrid.of("gradient of the mean", 6, spread, 0).markNonZero().html(),
        NumberGrid.of("gradient of the largest", 6, routed, 0).markNonZero().html());

    Tensor photo = stage.photo();
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    Tensor color = average.forward(photo, arena);
    stage.verify("mean colour", Taps.bins(height, width, 1, 1), Rule.MEAN, photo, color);
    Tensor brightest = max.forward(photo, arena);
    stage.verify("largest colour", Taps.bins(height, width, 1, 1), Rule.MAX, photo, brightest);
    stage.text(
        "A colour picture has three channels. Global average pooling leaves its mean colour, "
            + "three numbers; global max pooling the largest red, green and blue anywhere in it.");
    stage.pictures(
        Stage.picture(photo, "input, 3 × " + height + " × " + width),
        Stage.picture(swatch(color), "mean: " + numbers(color)),
        Stage.picture(swatch(brightest), "largest: " + numbers(brightest)));
  }

  private static Raster swatch(Tensor pixel) {
    int color = Picture.whole(pixel, 1).get(0, 0);
    Raster raster = new Raster(4, 3);
    for (int i = 0; i < 12; i++) {
      raster.set(i % 4, i / 4, color);
    }
    return raster;
  }

  private static String numbers(Tensor values) {
    List<String> numbers = new ArrayList<>();
    for (float value : values.toFloatArray()) {
      numbers.add(Drawing.number(value, 1));
    }
    return String.join(", ", numbers);
  }

  private static void adaptive(Stage stage) {
    Arena arena = stage.arena();
    Field line = new Field(5, 1, new float[] {2, 8, 4, 6, 1});
    Tensor x = stage.tensor(line);
    Taps taps = Taps.bins(1, 5, 1, 3);
    AvgPool average = AdaptivePool.average(1, 3);
    MaxPool max = AdaptivePool.max(1, 3);
    Tensor mean = average.forward(x, arena);
    MaxPool.Result largest = max.forwardWithMask(x, arena);
    stage.equal("mean of five in three bins", new double[] {5, 6, 3.5}, mean.toFloatArray());
    stage.equal(
        "largest of five in three bins", new double[] {8, 8, 6}, largest.output().toFloatArray());
    Tensor dy = stage.counting(mean.shape());
    float[] spread = average.backward(dy, x.shape(), arena).toFloatArray();
    float[] routed = max.backward(dy, largest.mask(), arena).toFloatArray();
    stage.close(
        "gradient of the mean", taps.spread(Rule.MEAN, line.values(), dy.toFloatArray()), spread);
    stage.equal(
        "gradient of the largest", taps.spread(Rule.MAX, line.values(), dy.toFloatArray()), routed);
    stage.text(
        "Five numbers in three bins. Bin 0 ends at ⌈5/3⌉ = 2, bin 1 goes from ⌊5/3⌋ = 1 to "
            + "⌈10/3⌉ = 4, bin 2 starts at ⌊10/3⌋ = 3: the 8 and the 6 belong to two bins each. "
            + "The next layer sends back 1, 2, 3; the 8 is the largest of bins 0 and 1 and gets "
            + "1 + 2, and in the mean it gets 1/2 + 2/3.");
    stage.row(
        bins(line, taps).figure("five numbers and their three bins"),
        NumberGrid.of("mean of each bin", 3, mean.toFloatArray(), 1).html(),
        NumberGrid.of("largest of each bin", 3, largest.output().toFloatArray(), 0).html(),
        NumberGrid.of("gradient of the mean", 5, spread, 3).markNonZero().html(),
        NumberGrid.of("gradient of the largest", 5, routed, 0).markNonZero().html());

    Tensor photo = stage.photo();
    int height = (int) photo.shape().spatial(0);
    int width = (int) photo.shape().spatial(1);
    Tensor part = part(photo, new Field.Crop(width / 3, height / 4, width / 4, height / 2), arena);
    stage.text(
        "Two pictures of different size, each divided into 7×7 bins: both give 7×7 numbers per "
            + "channel, and a layer of fixed size can follow.");
    stage.strip(
        binned(photo).figure("input, " + size(photo)),
        Stage.picture(
            checked(stage, AdaptivePool.average(BINS, BINS)::forward, photo, Rule.MEAN),
            "mean, 7 × 7"),
        Stage.picture(
            checked(stage, AdaptivePool.max(BINS, BINS)::forward, photo, Rule.MAX),
            "largest, 7 × 7"),
        binned(part).figure("another input, " + size(part)),
        Stage.picture(
            checked(stage, AdaptivePool.average(BINS, BINS)::forward, part, Rule.MEAN),
            "mean, 7 × 7"),
        Stage.picture(
            checked(stage, AdaptivePool.max(BINS, BINS)::forward, part, Rule.MAX),
            "largest, 7 × 7"));
  }

  private static Tensor checked(Stage stage, Pool.Forward pool, Tensor x, Rule rule) {
    Tensor y = pool.of(x, stage.arena());
    int height = (int) x.shape().spatial(0);
    int width = (int) x.shape().spatial(1);
    stage.verify(
        size(x) + " to 7 × 7, " + (rule == Rule.MAX ? "max" : "mean"),
        Taps.bins(height, width, BINS, BINS),
        rule,
        x,
        y);
    return y;
  }

  private static String size(Tensor x) {
    return x.shape().spatial(1) + " × " + x.shape().spatial(0);
  }

  /** A line of numbers with a bar below it for every bin. */
  private static Drawing bins(Field line, Taps taps) {
    Drawing drawing = Drawing.cells(line, 0, 0, taps.columns().length * 12 + 6);
    for (int bin = 0; bin < taps.columns().length; bin++) {
      int[] positions = taps.columns()[bin];
      drawing.bar(bin, positions[0], positions.length, Drawing.CELL + 8 + 12 * bin);
    }
    return drawing;
  }

  /** A picture with lines where its 7×7 bins start. */
  private static Drawing binned(Tensor x) {
    int height = (int) x.shape().spatial(0);
    int width = (int) x.shape().spatial(1);
    Drawing drawing = new Drawing(width, height);
    drawing.picture(Picture.whole(x, width + height), 0, 0, width, height);
    Taps taps = Taps.bins(height, width, BINS, BINS);
    for (int bin = 1; bin < BINS; bin++) {
      drawing.over(taps.columns()[bin][0], 0, 0, height);
      drawing.over(0, taps.rows()[bin][0], width, 0);
    }
    return drawing;
  }

  private static Tensor part(Tensor x, Field.Crop crop, Arena arena) {
    return Scene.tensor(Picture.planes(x).stream().map(plane -> plane.cut(crop)).toList(), arena);
  }

  // --- fractional --------------------------------------------------------------------------------

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

  private static void fractional(Stage stage) {
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
    Tensor part = part(photo, new Field.Crop(width / 4, height * 9 / 16, 18, 12), arena);
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
        Stage.picture(photo, "input, " + size(photo)),
        Stage.picture(first.output(), "seed 1, " + size(first.output())),
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

  // --- regions -----------------------------------------------------------------------------------

  /** Parts of a picture as shares of its width and height: left, top, right, bottom. */
  private static final double[][] BOXES = {
    {0.19, 0.46, 0.37, 0.79}, {0.58, 0.35, 0.75, 0.58}, {0.03, 0.86, 0.35, 0.97}
  };

  private static final int ACROSS = 14;

  private static void roiPool(Stage stage) {
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

  private static void roiAlign(Stage stage) {
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
