package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;

/**
 * Where an exhibit shows what its operator does: it computes with the library, compares with an
 * independent result, and lays out numbers and pictures.
 */
final class Stage {
  /** The map of article 003, on which all operators over windows are tried. */
  static final Field MAP =
      new Field(
          6,
          6,
          new float[] {
            1, 3, 4, 2, 5, 2, //
            4, 2, 5, 6, 8, 3, //
            5, 3, 7, 8, 9, 3, //
            8, 4, 3, 6, 0, 2, //
            7, 10, 3, 6, 3, 5, //
            4, 7, 2, 4, 7, 8
          });

  /** Taps along each side of the windows of {@link #coarse}. */
  static final int COARSE = 5;

  /** Largest error, relative to the largest value, where the library rounds to f32. */
  private static final double ROUNDING = 1e-5;

  private final String subject;
  private final Scene scene;
  private final Arena arena;
  private final List<Check> checks = new ArrayList<>();
  private final List<Html> parts = new ArrayList<>();

  /**
   * An empty stage.
   *
   * @param subject the operator, for messages
   * @param arena owner of all tensors; lives as long as the exhibit is made
   */
  Stage(String subject, Scene scene, Arena arena) {
    this.subject = subject;
    this.scene = scene;
    this.arena = arena;
  }

  Arena arena() {
    return arena;
  }

  /** The picture, 1×3×H×W. */
  Tensor photo() {
    return scene.photo();
  }

  /** The picture with salt and pepper. */
  Tensor noisy() {
    return scene.noisy();
  }

  List<Check> checks() {
    return Collections.unmodifiableList(checks);
  }

  Html parts() {
    return Html.join(parts);
  }

  Html badges() {
    return Html.join(
        checks.stream()
            .map(check -> check.badge(check.subject().substring(subject.length() + 2)))
            .toList());
  }

  // --- checks ------------------------------------------------------------------------------------

  /** Adds a comparison. */
  void check(String what, boolean passed, String detail) {
    checks.add(new Check(subject + ": " + what, passed, detail));
  }

  /** Requires every value to be equal. */
  void equal(String what, double[] expected, float[] found) {
    compare(what, expected, found, 0);
  }

  /** Requires every value to be equal but for rounding to f32. */
  void close(String what, double[] expected, float[] found) {
    compare(what, expected, found, ROUNDING);
  }

  private void compare(String what, double[] expected, float[] found, double share) {
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    String difference =
        expected.length == found.length
            ? null
            : Html.format("%d values instead of %d", found.length, expected.length);
    double worst = 0;
    for (int i = 0; difference == null && i < found.length; i++) {
      double error = Math.abs(found[i] - expected[i]);
      worst = Math.max(worst, error);
      if (!(error <= share * largest)) {
        difference = Html.format("value %d is %s instead of %s", i, found[i], expected[i]);
      }
    }
    String agreement =
        share == 0
            ? Html.format("%,d values equal", found.length)
            : Html.format("%,d values, largest error %.0e", found.length, worst);
    check(what, difference == null, difference == null ? agreement : difference);
  }

  // --- layout ------------------------------------------------------------------------------------

  /** A paragraph, given as markup. */
  void text(String markup) {
    parts.add(Html.fill("<p>${text}</p>\n", "text", new Html(markup)));
  }

  /** Small figures such as grids of numbers, side by side. */
  void row(Html... figures) {
    put("grids", figures);
  }

  /** Pictures, three side by side where there is room. */
  void pictures(Html... figures) {
    put("thirds", figures);
  }

  /** Small pictures, many side by side. */
  void strip(Html... figures) {
    put("strip", figures);
  }

  /** Anything else. */
  void add(Html part) {
    parts.add(part);
  }

  private void put(String kind, Html... figures) {
    parts.add(
        Html.fill(
            "<div class=\"${kind}\">${figures}</div>\n",
            "kind",
            kind,
            "figures",
            List.of(figures)));
  }

  /** A tensor as a picture. */
  static Html picture(Tensor tensor, String caption) {
    return picture(Picture.whole(tensor, Integer.MAX_VALUE), caption);
  }

  /** A picture whose pixels stay square. */
  static Html picture(Raster raster, String caption) {
    return Html.figure(raster, true, caption, Html.text(caption));
  }

  /** A plane of non-negative values as a heat map, from zero to its largest value. */
  static Html heat(Field field, String caption) {
    return picture(field.draw(ColorMap.HEAT, 0, Math.max(field.max(), Double.MIN_NORMAL)), caption);
  }

  /** A plane of numbers. */
  static NumberGrid grid(String caption, int columns, float[] values, int decimals) {
    return NumberGrid.of(caption, columns, values, decimals);
  }

  /** A map as a tensor of one image and one channel. */
  Tensor tensor(Field field) {
    return Scene.tensor(List.of(field), arena);
  }

  /** One, two, three ... as a gradient that can be followed with the finger. */
  Tensor counting(Shape shape) {
    float[] values = new float[(int) shape.elementCount()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i + 1;
    }
    return Tensor.of(arena, shape, values);
  }

  /** A rectangle of a picture. */
  Tensor part(Tensor x, Field.Crop crop) {
    return Scene.tensor(Picture.planes(x).stream().map(plane -> plane.cut(crop)).toList(), arena);
  }

  /** "240 × 180": width and height. */
  static String size(Tensor x) {
    return x.shape().spatial(1) + " × " + x.shape().spatial(0);
  }

  /** A tensor times a number. */
  Tensor scaled(Tensor x, double factor) {
    float[] values = x.toFloatArray();
    for (int i = 0; i < values.length; i++) {
      values[i] *= (float) factor;
    }
    return Tensor.of(arena, x.shape(), values);
  }

  // --- operators over windows --------------------------------------------------------------------

  /**
   * Pools {@link #MAP} by 2×2 windows at stride 2, forward and backward.
   *
   * @param pool makes the operator
   * @param rule what it computes
   * @param decimals digits to show
   * @param working how the first output, that of 1, 3, 4, 2, comes about, worked out by hand;
   *     markup
   * @param byHand what comes of it, to as many digits as are shown
   */
  void example(
      Function<Window, Pool> pool, Rule rule, int decimals, String working, double byHand) {
    Pool bound = pool.apply(Window.square(2).withStride(2));
    Taps taps = Taps.windows(6, 6, 2, 2, 0);
    Tensor x = tensor(MAP);
    Tensor y = bound.forward().of(x, arena);
    Tensor dy = counting(y.shape());
    Tensor dx = bound.backward().of(dy, x, arena);
    compare("6×6 map", taps.reduce(rule, MAP.values()), y.toFloatArray(), tolerance(rule));
    compare(
        "6×6 map, gradient",
        taps.spread(rule, MAP.values(), dy.toFloatArray()),
        dx.toFloatArray(),
        tolerance(rule));
    float first = y.getFloat(0, 0, 0, 0);
    check(
        "first window by hand",
        Drawing.number(first, decimals).equals(Drawing.number(byHand, decimals)),
        Drawing.number(first, decimals));
    text(
        "2×2 windows at stride 2 over the map of article 003. The first window holds 1, 3, 4, 2: "
            + working
            + ". The next layer sends back 1, 2, 3 … 9.");
    NumberGrid input = grid("input", 6, MAP.values(), 0).blocks(2);
    row(
        (rule.exact() ? input.mark(dx.toFloatArray()) : input).html(),
        grid("output", 3, y.toFloatArray(), decimals).blocks(1).html(),
        grid("gradient from the next layer", 3, dy.toFloatArray(), 0).blocks(1).html(),
        grid("gradient of the input", 6, dx.toFloatArray(), rule.exact() ? 0 : 2)
            .blocks(2)
            .markNonZero()
            .html());
  }

  /** Pools {@link #MAP} by 2×2 windows at stride 2 and checks the result. */
  float[] map(Function<Window, Pool> pool, Rule rule, String what) {
    Tensor y = pool.apply(Window.square(2).withStride(2)).forward().of(tensor(MAP), arena);
    double[] expected = Taps.windows(6, 6, 2, 2, 0).reduce(rule, MAP.values());
    compare("6×6 map, " + what, expected, y.toFloatArray(), tolerance(rule));
    return y.toFloatArray();
  }

  /** Pools the noisy picture by 3×3 windows at stride 1, forward and backward, and shows it. */
  void photo(Function<Window, Pool> pool, Rule rule) {
    Tensor input = noisy();
    int height = (int) input.shape().spatial(0);
    int width = (int) input.shape().spatial(1);
    Pool bound = pool.apply(Window.square(3).withStride(1).withPadding(1));
    Tensor y = bound.forward().of(input, arena);
    verify("picture", Taps.windows(height, width, 3, 1, 1), rule, input, y);
    Tensor dx = bound.backward().of(Gradients.ones(y, arena), input, arena);
    pictures(
        picture(input, "the picture with salt and pepper: some pixels turned white or black"),
        picture(y, subject + ", 3×3 windows at every pixel"),
        heat(
            Field.channelSum(dx),
            "gradient of the input when every output sends back one; the brighter, the more"));
  }

  /** Pools the picture by windows that make its single pixels visible, and checks the result. */
  Tensor coarse(Function<Window, Pool> pool, Rule rule, String what) {
    Tensor x = photo();
    Tensor y = pool.apply(Window.square(COARSE).withStride(COARSE)).forward().of(x, arena);
    int height = (int) x.shape().spatial(0);
    int width = (int) x.shape().spatial(1);
    verify("picture, " + what, Taps.windows(height, width, COARSE, COARSE, 0), rule, x, y);
    return y;
  }

  /** Compares every channel of a pooled picture with what {@code rule} makes of {@code taps}. */
  void verify(String what, Taps taps, Rule rule, Tensor x, Tensor y) {
    int channels = (int) x.shape().channels();
    double[] expected = new double[channels * taps.outputs()];
    for (int c = 0; c < channels; c++) {
      double[] plane = taps.reduce(rule, Field.plane(x, c).values());
      System.arraycopy(plane, 0, expected, c * plane.length, plane.length);
    }
    compare(what, expected, y.toFloatArray(), tolerance(rule));
  }

  /** Compares an unpooled picture with the values of {@code y} spread by {@code rule}. */
  void spread(String what, Rule rule, Tensor x, Tensor y, Tensor found, int kernel) {
    List<Field> planes = Picture.planes(x);
    Taps taps =
        Taps.windows(planes.getFirst().height(), planes.getFirst().width(), kernel, kernel, 0);
    double[] expected =
        IntStream.range(0, planes.size())
            .mapToObj(c -> taps.spread(rule, planes.get(c).values(), Field.plane(y, c).values()))
            .flatMapToDouble(Arrays::stream)
            .toArray();
    compare(what, expected, found.toFloatArray(), tolerance(rule));
  }

  /**
   * Requires every output to be the input at its position.
   *
   * @param positions position in its plane, of every output; i32 or i64
   */
  void selected(String what, Tensor x, Tensor y, Tensor positions) {
    float[] input = x.toFloatArray();
    int inputs = (int) x.shape().planeSize();
    int outputs = (int) y.shape().planeSize();
    double[] expected = new double[(int) y.shape().elementCount()];
    for (int i = 0; i < expected.length; i++) {
      int plane = i / outputs * inputs;
      expected[i] = input[plane + Math.toIntExact(positionAt(positions, i))];
    }
    equal(what, expected, y.toFloatArray());
  }

  /** The same values in double precision. */
  static double[] doubles(float[] values) {
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }

  private static long positionAt(Tensor positions, int index) {
    MemorySegment segment = positions.segment();
    return positions.dtype() == DType.I32
        ? segment.getAtIndex(ValueLayout.JAVA_INT, index)
        : segment.getAtIndex(ValueLayout.JAVA_LONG, index);
  }

  private static double tolerance(Rule rule) {
    return rule.exact() ? 0 : ROUNDING;
  }
}
