package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.AdaptivePool;
import org.featurepool.AvgPool;
import org.featurepool.GlobalPool;
import org.featurepool.MaxPool;
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
              "global",
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
              "adaptive",
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
              "fractional-max",
              "start<sub>i</sub> = ⌊(i + u) α⌋ − ⌊u α⌋, α = (I − k) / (O − 1), u random in [0, 1)",
              "2×2 pooling halves a map and throws three quarters of it away at once. Fractional "
                  + "pooling shrinks by any factor, say √2: its windows start one or two "
                  + "pixels apart, in an order that a random number u decides anew in every "
                  + "step of a training. The network sees slightly different distortions of the "
                  + "same picture.",
              "All of it goes to the maximum of each window, as in max pooling.",
              Fractional::show),
          Exhibit.of(
              "spp",
              "Spatial pyramid (SPPNet)",
              "SpatialPyramidPool",
              "spp",
              "levels n: n×n bins each; output of length C · Σ n<sup>2</sup>",
              "Adaptive pooling several times: into 1×1, 2×2 and 4×4 bins, say. The results are "
                  + "strung together to one vector per picture, whose length does not depend on "
                  + "the picture's size, and which tells coarsely and finely where something is. "
                  + "Fully connected layers can follow without cropping the picture.",
              "Every level sends its own back to its bins, and the levels' gradients add up.",
              Pyramids::pyramid),
          Exhibit.of(
              "spp-block",
              "SPP block (YOLOv3-SPP)",
              "SppBlock",
              "spp-block",
              "y = [max 13×13, max 9×9, max 5×5, x], stride 1, channels concatenated",
              "Max pooling by large windows at every pixel, several sizes at once, put behind each "
                  + "other as channels with the input as the last: four times the channels, the "
                  + "same width and height. Every place learns what there is around it, near "
                  + "and far. The input is read once, and nothing is copied together afterwards.",
              "All four parts send theirs back: three to the maxima of their windows, the last "
                  + "straight to the input; they add up.",
              Pyramids::block),
          Exhibit.of(
              "roi-pool",
              "RoI max pooling",
              "RoiPool",
              "roi-pool",
              "region rounded to whole pixels, n×m bins, maximum of each",
              "A detector proposes regions of a picture, of all sizes; each is cut out of the feature "
                  + "map and pooled to the same number of bins. Corners are rounded to whole "
                  + "pixels first, which moves small regions noticeably.",
              "To the maximum of each bin; where regions overlap, gradients add up.",
              RegionsOfInterest::roiPool),
          Exhibit.of(
              "roi-align",
              "RoIAlign",
              "RoiAlign",
              "roi-align",
              "y = mean of samples; sample = bilinear mixture of the four pixels around it",
              "The same without rounding: every bin takes samples at evenly spaced points, wherever "
                  + "these lie between the pixels, and each sample mixes the four pixels around "
                  + "it. What is pooled moves smoothly with the region, which masks and key "
                  + "points need. Besides the mean there is a maximum mode.",
              "Every sample hands its share back to its four pixels, by the same weights.",
              RegionsOfInterest::roiAlign));

  private static final int BINS = 7;

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
    Tensor part = stage.part(photo, new Field.Crop(width / 3, height / 4, width / 4, height / 2));
    stage.text(
        "Two pictures of different size, each divided into 7×7 bins: both give 7×7 numbers per "
            + "channel, and a layer of fixed size can follow.");
    stage.strip(
        binned(photo).figure("input, " + Stage.size(photo)),
        Stage.picture(
            checked(stage, AdaptivePool.average(BINS, BINS)::forward, photo, Rule.MEAN),
            "mean, 7 × 7"),
        Stage.picture(
            checked(stage, AdaptivePool.max(BINS, BINS)::forward, photo, Rule.MAX),
            "largest, 7 × 7"),
        binned(part).figure("another input, " + Stage.size(part)),
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
        Stage.size(x) + " to 7 × 7, " + (rule == Rule.MAX ? "max" : "mean"),
        Taps.bins(height, width, BINS, BINS),
        rule,
        x,
        y);
    return y;
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
}
