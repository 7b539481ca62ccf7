package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;

/**
 * The worked examples of the articles that the project was created from, computed by the library
 * when the page is made and compared with what the articles print.
 */
final class WorkedExamples {
  /** Half a unit of the last digit that article 003 prints. */
  private static final double PRINTED = 0.00005;

  private static final float[] MAP_002 = {
    -0.170f, 0.137f, -0.427f, 0.699f, -0.469f, -0.523f, //
    0.036f, -0.434f, 0.423f, 1.875f, 0.413f, -0.573f, //
    0.067f, -1.014f, 0.550f, 0.133f, 0.880f, 1.036f, //
    1.330f, -1.025f, -0.112f, -1.763f, 0.882f, 0.181f, //
    -0.367f, 2.615f, 0.254f, -1.258f, -0.470f, 0.542f, //
    0.708f, 0.814f, -0.118f, 0.020f, 0.535f, -0.233f
  };
  private static final float[] OUTPUT_002 = {
    0.137f, 1.875f, 0.413f, 1.330f, 0.550f, 1.036f, 2.615f, 0.254f, 0.542f
  };
  private static final float[] DELTA_002 = {
    -0.259f, 1.209f, 2.082f, 0.959f, 0.855f, 1.922f, -0.099f, -1.074f, -0.616f
  };
  private static final float[] GRADIENT_002 = {
    0, -0.259f, 0, 0, 0, 0, //
    0, 0, 0, 1.209f, 2.082f, 0, //
    0, 0, 0.855f, 0, 0, 1.922f, //
    0.959f, 0, 0, 0, 0, 0, //
    0, -0.099f, -1.074f, 0, 0, -0.616f, //
    0, 0, 0, 0, 0, 0
  };

  private static final float[] MAP_OVERLAP = {
    1, 0, 2, 0, 3, 0, 1, //
    0, 4, 0, 1, 0, 5, 0, //
    2, 0, 9, 0, 8, 0, 2, //
    0, 1, 0, 3, 0, 1, 0, //
    3, 0, 7, 0, 6, 0, 4, //
    0, 5, 0, 2, 0, 9, 0, //
    1, 0, 3, 0, 4, 0, 2
  };
  private static final float[] OUTPUT_OVERLAP = {9, 9, 8, 9, 9, 8, 7, 7, 9};
  private static final float[] GRADIENT_OVERLAP = {
    0, 0, 0, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, //
    0, 0, 12, 0, 9, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, //
    0, 0, 15, 0, 0, 0, 0, //
    0, 0, 0, 0, 0, 9, 0, //
    0, 0, 0, 0, 0, 0, 0
  };

  private static final float[] MAP_003 = {
    1, 3, 4, 2, 5, 2, //
    4, 2, 5, 6, 8, 3, //
    5, 3, 7, 8, 9, 3, //
    8, 4, 3, 6, 0, 2, //
    7, 10, 3, 6, 3, 5, //
    4, 7, 2, 4, 7, 8
  };
  private static final float[] MAX_POSITIONS_STRIDE_2 = {
    0, 0, 0, 0, 0, 0, //
    1, 0, 0, 1, 1, 0, //
    0, 0, 0, 1, 1, 0, //
    1, 0, 0, 0, 0, 0, //
    0, 1, 0, 1, 0, 0, //
    0, 0, 0, 0, 0, 1
  };
  private static final float[] MAX_POSITIONS_STRIDE_1 = {
    0, 0, 0, 0, 0, 0, //
    1, 0, 1, 1, 2, 0, //
    1, 0, 2, 2, 4, 0, //
    1, 0, 0, 2, 0, 0, //
    0, 4, 0, 1, 0, 1, //
    0, 0, 0, 0, 1, 1
  };
  private static final float[] MAX_GRADIENT_STRIDE_2 = {
    0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, //
    0.1111f, 0.0000f, 0.0000f, 0.1111f, 0.1111f, 0.0000f, //
    0.0000f, 0.0000f, 0.0000f, 0.1111f, 0.1111f, 0.0000f, //
    0.1111f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, //
    0.0000f, 0.1111f, 0.0000f, 0.1111f, 0.0000f, 0.0000f, //
    0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.1111f
  };
  private static final float[] MAX_GRADIENT_STRIDE_1 = {
    0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0000f, //
    0.0400f, 0.0000f, 0.0400f, 0.0400f, 0.0800f, 0.0000f, //
    0.0400f, 0.0000f, 0.0800f, 0.0800f, 0.1600f, 0.0000f, //
    0.0400f, 0.0000f, 0.0000f, 0.0800f, 0.0000f, 0.0000f, //
    0.0000f, 0.1600f, 0.0000f, 0.0400f, 0.0000f, 0.0400f, //
    0.0000f, 0.0000f, 0.0000f, 0.0000f, 0.0400f, 0.0400f
  };
  private static final float[] AVERAGE_POSITIONS_STRIDE_1 = {
    1, 2, 2, 2, 2, 1, //
    2, 4, 4, 4, 4, 2, //
    2, 4, 4, 4, 4, 2, //
    2, 4, 4, 4, 4, 2, //
    2, 4, 4, 4, 4, 2, //
    1, 2, 2, 2, 2, 1
  };
  private static final float[] AVERAGE_GRADIENT_STRIDE_1 = {
    0.0100f, 0.0200f, 0.0200f, 0.0200f, 0.0200f, 0.0100f, //
    0.0200f, 0.0400f, 0.0400f, 0.0400f, 0.0400f, 0.0200f, //
    0.0200f, 0.0400f, 0.0400f, 0.0400f, 0.0400f, 0.0200f, //
    0.0200f, 0.0400f, 0.0400f, 0.0400f, 0.0400f, 0.0200f, //
    0.0200f, 0.0400f, 0.0400f, 0.0400f, 0.0400f, 0.0200f, //
    0.0100f, 0.0200f, 0.0200f, 0.0200f, 0.0200f, 0.0100f
  };

  private final Arena arena;
  private final List<Check> checks;

  private WorkedExamples(Arena arena, List<Check> checks) {
    this.arena = arena;
    this.checks = checks;
  }

  /**
   * Computes the examples.
   *
   * @param checks receives one entry per comparison with an article
   */
  static Html section(List<Check> checks) {
    try (Arena arena = Arena.ofConfined()) {
      WorkedExamples examples = new WorkedExamples(arena, checks);
      return Html.fill(
          """
          <section id="examples"><h2>The articles' worked examples</h2>
          <p>Small enough to follow with a pencil. Every number below was computed by the library \
          while this page was made and compared with what the article prints or, where it prints \
          no numbers, with a result worked out by hand.</p>
          ${parts}</section>
          """,
          "parts",
          List.of(
              examples.twoByTwo(),
              examples.sixBySix(),
              examples.overlap(),
              examples.meanLoss(),
              examples.paddingInAverages(),
              examples.shapes()));
    }
  }

  private Html twoByTwo() {
    float[] map = {1, 4, 2, 3};
    MaxPool max = MaxPool.of(Window.square(2).withStride(2));
    AvgPool average = AvgPool.of(Window.square(2).withStride(2));
    Tensor one = square(1);
    MaxPool.Result result = max.forwardWithMask(square(map), arena);
    float[] toMax = max.backward(one, result.mask(), arena).toFloatArray();
    float[] toAverage = average.backward(one, Shape.nchw(1, 1, 2, 2), arena).toFloatArray();
    Html passed =
        badges(
            equal("Article 001, gradient of max", new float[] {0, 1, 0, 0}, toMax),
            equal(
                "Article 001, gradient of average",
                new float[] {0.25f, 0.25f, 0.25f, 0.25f},
                toAverage));
    return example(
        "One window (article 001)",
        "Four inputs a, b, c, d, of which b is the largest, and an output w. Of max(a, b, c, d) "
            + "the derivative with respect to b is 1 and with respect to the others 0; of the "
            + "mean it is 1/4 for each of them.",
        List.of(
            NumberGrid.of("a, b / c, d", 2, map, 0).mark(toMax).html(),
            NumberGrid.of("gradient of the maximum", 2, toMax, 0).markNonZero().html(),
            NumberGrid.of("gradient of the average", 2, toAverage, 2).markNonZero().html()),
        passed);
  }

  private Html sixBySix() {
    MaxPool pool = MaxPool.of(Window.square(2).withStride(2));
    MaxPool.Result result = pool.forwardWithMask(square(MAP_002), arena);
    float[] output = result.output().toFloatArray();
    float[] gradient = pool.backward(square(DELTA_002), result.mask(), arena).toFloatArray();
    long[] positions = result.mask().indices(Mask.IndexBase.IMAGE, arena).toLongArray();
    Html passed =
        badges(
            equal("Article 002, output", OUTPUT_002, output),
            new Check(
                "Article 002, mask",
                Arrays.equals(positions, new long[] {1, 9, 10, 18, 14, 17, 25, 26, 29}),
                "positions " + Arrays.toString(positions)),
            equal("Article 002, gradient", GRADIENT_002, gradient));
    return example(
        "Forward and backward, 2×2 with stride 2 (article 002)",
        "The article's layer keeps a mask: for every output the flat position of its maximum in "
            + "the input, here "
            + Arrays.toString(positions).replaceAll("[\\[\\]]", "")
            + ". Going back, the nine gradients from the next layer land on these nine positions "
            + "and nowhere else.",
        List.of(
            pair(
                NumberGrid.of("input, winners marked", 6, MAP_002, 3)
                    .blocks(2)
                    .mark(nonZero(gradient)),
                NumberGrid.of("output", 3, output, 3).blocks(1)),
            pair(
                NumberGrid.of("gradient of the input", 6, gradient, 3).blocks(2).markNonZero(),
                NumberGrid.of("gradient from the next layer", 3, DELTA_002, 3).blocks(1))),
        passed);
  }

  private Html overlap() {
    MaxPool pool = MaxPool.of(Window.square(3).withStride(2));
    MaxPool.Result result = pool.forwardWithMask(square(MAP_OVERLAP), arena);
    float[] output = result.output().toFloatArray();
    float[] delta = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float[] gradient = pool.backward(square(delta), result.mask(), arena).toFloatArray();
    Html passed =
        badges(
            equal("7×7, 3×3 stride 2, output", OUTPUT_OVERLAP, output),
            equal("7×7, 3×3 stride 2, gradient", GRADIENT_OVERLAP, gradient));
    return example(
        "Overlapping windows add up: 7×7, 3×3 with stride 2 (article 002)",
        "The 9 in the middle is the maximum of four windows, so it receives 1 + 2 + 4 + 5 = 12. "
            + "The article's code assigns instead of adding: it would leave that pixel only the "
            + "last window's 5. The nine gradients sum to 45 before and after.",
        List.of(
            NumberGrid.of("input, winners marked", 7, MAP_OVERLAP, 0)
                .mark(nonZero(gradient))
                .html(),
            NumberGrid.of("output", 3, output, 0).html(),
            NumberGrid.of("gradient from the next layer", 3, delta, 0).html(),
            NumberGrid.of("gradient of the input", 7, gradient, 0).markNonZero().html()),
        passed);
  }

  private Html meanLoss() {
    List<Check> all = new ArrayList<>();
    List<Html> grids = new ArrayList<>();
    float[] ones = new float[36];
    Arrays.fill(ones, 1f);
    float[] averageStride2 = new float[36];
    Arrays.fill(averageStride2, 0.0278f);
    grids.add(
        NumberGrid.of("input, winners of stride 2 marked", 6, MAP_003, 0)
            .blocks(2)
            .mark(MAX_POSITIONS_STRIDE_2)
            .html());
    meanLoss(2, true, MAX_POSITIONS_STRIDE_2, MAX_GRADIENT_STRIDE_2, grids, all);
    meanLoss(1, true, MAX_POSITIONS_STRIDE_1, MAX_GRADIENT_STRIDE_1, grids, all);
    meanLoss(2, false, ones, averageStride2, grids, all);
    meanLoss(1, false, AVERAGE_POSITIONS_STRIDE_1, AVERAGE_GRADIENT_STRIDE_1, grids, all);
    return example(
        "The mean as a loss, at two strides (article 003)",
        "The loss is the mean of the pooled map, so every output sends back one over the number "
            + "of windows: 1/9 at stride 2, 1/25 at stride 1. The position matrix counts how "
            + "often each input takes part. For max at stride 1 the 9 and the 10 are each the "
            + "maximum of four windows. For average every tap takes part, inner ones four times, "
            + "and each share is divided by the 4 taps of its window.",
        grids,
        badges(all.toArray(Check[]::new)));
  }

  /** One operator at one stride: its position matrix and its gradient, against the printed ones. */
  private void meanLoss(
      int stride,
      boolean max,
      float[] printedPositions,
      float[] printedGradient,
      List<Html> grids,
      List<Check> all) {
    Tensor x = square(MAP_003);
    Window window = Window.square(2).withStride(stride);
    int windows = stride == 2 ? 9 : 25;
    float[] positions = backward(window, max, x, filled(windows, 1));
    if (!max) {
      for (int i = 0; i < positions.length; i++) {
        positions[i] *= 4;
      }
    }
    float[] gradient = backward(window, max, x, filled(windows, 1f / windows));
    String name = Html.format("%s, stride %d", max ? "max" : "average", stride);
    all.add(equal("Article 003, " + name + ", positions", printedPositions, positions));
    all.add(near("Article 003, " + name + ", gradient", printedGradient, gradient));
    grids.add(
        pair(
            NumberGrid.of(name + ": position matrix", 6, positions, 0).markNonZero(),
            NumberGrid.of(name + ": gradient", 6, gradient, 4).markNonZero()));
  }

  private float[] backward(Window window, boolean max, Tensor x, float[] gradient) {
    Tensor dy = square(gradient);
    if (!max) {
      return AvgPool.of(window).backward(dy, x.shape(), arena).toFloatArray();
    }
    MaxPool pool = MaxPool.of(window);
    return pool.backward(dy, pool.forwardWithMask(x, arena).mask(), arena).toFloatArray();
  }

  private Html paddingInAverages() {
    Window window = Window.square(3).withStride(1).withPadding(1);
    Tensor ones = square(filled(9, 1));
    float[] excluded = AvgPool.of(window).forward(ones, arena).toFloatArray();
    float[] included = AvgPool.of(window).withIncludePadding().forward(ones, arena).toFloatArray();
    float corner = 4 / 9f;
    float side = 6 / 9f;
    Html passed =
        badges(
            equal("Average of ones, padding not counted", filled(9, 1), excluded),
            near(
                "Average of ones, padding counted",
                new float[] {corner, side, corner, side, 1, side, corner, side, corner},
                included));
    return example(
        "Does padding count in an average?",
        "A 3×3 map of ones, 3×3 windows, one pixel of padding. By default only taps inside the "
            + "input are counted, and the average of ones is one everywhere. If the padding is "
            + "counted as zeros, the corners, where five of nine taps are padding, fall to 4/9: "
            + "a dark rim.",
        List.of(
            NumberGrid.of("input", 3, filled(9, 1), 0).html(),
            NumberGrid.of("padding not counted (default)", 3, excluded, 0).html(),
            NumberGrid.of("padding counted", 3, included, 3).html()),
        passed);
  }

  private Html shapes() {
    Window window = Window.square(2).withStride(2);
    Tensor feature = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 1, 64, 64));
    MaxPool max = MaxPool.of(window);
    MaxPool.Result result = max.forwardWithMask(feature, arena);
    Tensor units = square(filled(32 * 32, 1));
    double sent = Field.plane(units, 0).sum();
    double byMax = Field.plane(max.backward(units, result.mask(), arena), 0).sum();
    double byAverage =
        Field.plane(AvgPool.of(window).backward(units, feature.shape(), arena), 0).sum();
    Shape pooled = window.outputShape(Shape.nchw(4, 3, 16, 16));
    Html passed =
        badges(
            new Check(
                "Article 000, 64×64 pooled",
                result.output().shape().equals(Shape.nchw(1, 1, 32, 32)),
                "64×64 becomes " + result.output().shape()),
            new Check(
                "Article 000, sum of the gradient",
                sent == byMax && sent == byAverage,
                Html.format("sent %.0f, max %.0f, average %.0f", sent, byMax, byAverage)),
            new Check(
                "Article 004, shape",
                pooled.equals(Shape.nchw(4, 3, 8, 8)),
                "4×3×16×16 becomes " + pooled));
    return example(
        "Sizes and sums (articles 000 and 004)",
        "A 64×64 map pooled by 2×2 windows at stride 2 becomes 32×32, and a batch of 4 images "
            + "with 3 channels of 16×16 becomes 4×3×8×8: pooling shrinks rows and columns and "
            + "leaves images and channels alone. Going back, the sum of the gradient is "
            + "conserved by both operators: an average divides each gradient into shares, it does "
            + "not copy it.",
        List.of(),
        passed);
  }

  private static Html example(String title, String text, List<Html> grids, Html passed) {
    return Html.fill(
        """
        <article class="example"><h3>${title}</h3><p>${text}</p>
        <div class="grids">${grids}</div><p class="badges">${passed}</p></article>
        """,
        "title",
        title,
        "text",
        text,
        "grids",
        grids,
        "passed",
        passed);
  }

  /** Two grids that stay side by side where there is room. */
  private static Html pair(NumberGrid left, NumberGrid right) {
    return Html.fill(
        "<div class=\"pair\">${left}${right}</div>\n", "left", left.html(), "right", right.html());
  }

  private Html badges(Check... made) {
    List<Html> badges = new ArrayList<>();
    for (Check check : made) {
      checks.add(check);
      badges.add(check.badge(check.subject()));
    }
    return Html.join(badges);
  }

  private static Check equal(String subject, float[] expected, float[] found) {
    boolean same = Arrays.equals(expected, found);
    return new Check(subject, same, same ? "equal" : "found " + Arrays.toString(found));
  }

  private static Check near(String subject, float[] printed, float[] found) {
    boolean same = printed.length == found.length;
    for (int i = 0; same && i < found.length; i++) {
      same = Math.abs(printed[i] - found[i]) <= PRINTED;
    }
    return new Check(
        subject, same, same ? "equal to four digits" : "found " + Arrays.toString(found));
  }

  private Tensor square(float... values) {
    int side = (int) Math.sqrt(values.length);
    return Tensor.of(arena, Shape.nchw(1, 1, side, side), values);
  }

  /** One where a value is not zero. */
  private static float[] nonZero(float[] values) {
    float[] ones = new float[values.length];
    for (int i = 0; i < ones.length; i++) {
      ones[i] = values[i] == 0 ? 0 : 1;
    }
    return ones;
  }

  private static float[] filled(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return values;
  }
}
