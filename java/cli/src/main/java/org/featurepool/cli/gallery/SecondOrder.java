package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.featurepool.BilinearPool;
import org.featurepool.DType;
import org.featurepool.NetVlad;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** Operators that pool products of channels, or distances from learned centres. */
final class SecondOrder {
  static final List<Exhibit> EXHIBITS =
      List.of(
          Exhibit.of(
              "bilinear",
              "Bilinear",
              "BilinearPool",
              "bilinear",
              "P = A B<sup>T</sup> / L; y = sign(P) √(|P| + 10<sup>−5</sup>); y / ‖y‖",
              "At every one of the L places the channels of A are multiplied with those of B, each "
                  + "with each, and the products are averaged over the picture. The result no "
                  + "longer tells where something is but which features appear together, which is "
                  + "what distinguishes one species of bird from another. With B = A it is called "
                  + "homogeneous, and the table is symmetric.",
              "First back through the norm and the root; then what belongs to the pair (i, j) flows "
                  + "to channel i of A in proportion to channel j of B, and the other way round.",
              SecondOrder::bilinear),
          Exhibit.of(
              "netvlad",
              "NetVLAD",
              "NetVlad",
              "netvlad",
              "a<sub>k</sub>(x) = softmax<sub>k</sub>(W<sub>k</sub>·x + b<sub>k</sub>); "
                  + "V<sub>k</sub> = Σ<sub>x</sub> a<sub>k</sub>(x) (x − c<sub>k</sub>), normalised",
              "Every place of the map is a descriptor, a point in a space with as many dimensions as "
                  + "there are channels. K learned centres divide this space. For each centre the "
                  + "distances of its descriptors are added up as arrows: together they tell how "
                  + "this picture differs from the average one. Hard VLAD gives a descriptor to "
                  + "one centre; NetVLAD shares it out by a softmax, and so can be trained.",
              "Through both norms to every descriptor, and to the three parameters W, b and c: the "
                  + "centre moves against the sum of the arrows, W and b change who belongs to "
                  + "whom.",
              SecondOrder::netVlad));

  private static final double ROOT_EPSILON = 1e-5;
  private static final int CENTRES = 4;
  private static final int[] COLORS = {0xE0653F, 0x3F8FC4, 0x4FA35C};
  private static final String[] FEATURES = {"red", "green", "blue", "across", "down"};

  private SecondOrder() {}

  // --- bilinear ----------------------------------------------------------------------------------

  private static void bilinear(Stage stage) {
    Arena arena = stage.arena();
    float[] a = {1, 2, 3, 0};
    Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 1, 2), a);
    BilinearPool whole = BilinearPool.homogeneous();
    BilinearPool products = whole.withoutSignedRoot().withoutNormalization();
    float[] p = products.forward(x, arena).toFloatArray();
    float[] rooted = whole.withoutNormalization().forward(x, arena).toFloatArray();
    float[] y = whole.forward(x, arena).toFloatArray();
    double[] byHand = {2.5, 1.5, 1.5, 4.5};
    double[] roots = Arrays.stream(byHand).map(v -> Math.sqrt(v + ROOT_EPSILON)).toArray();
    double norm = Math.sqrt(Arrays.stream(roots).map(v -> v * v).sum());
    stage.close("products", byHand, p);
    stage.close("signed roots", roots, rooted);
    stage.close("normalised", Arrays.stream(roots).map(v -> v / norm).toArray(), y);
    stage.text(
        "Two channels, two places: (1, 3) and (2, 0). The first place gives the products 1·1, 1·3, "
            + "3·1, 3·3, the second 2·2, 2·0, 0·2, 0·0; their mean is (1 + 4)/2 = 2.5, "
            + "(3 + 0)/2 = 1.5, 1.5, (9 + 0)/2 = 4.5. The root tames large products; after "
            + "dividing by the length √10 the vector has length one.");
    stage.row(
        NumberGrid.of("A: a row per channel", 2, a, 0).html(),
        NumberGrid.of("first place", 2, new float[] {1, 3, 3, 9}, 0).html(),
        NumberGrid.of("second place", 2, new float[] {4, 0, 0, 0}, 0).html(),
        NumberGrid.of("their mean, P", 2, p, 2).html(),
        NumberGrid.of("signed root", 2, rooted, 3).html(),
        NumberGrid.of("normalised", 2, y, 3).html());

    Tensor one = Tensor.of(arena, Shape.nchw(1, 4, 1, 1), new float[] {1, 0, 0, 0});
    float[] dx = products.backward(one, x, arena).toFloatArray();
    stage.close("gradient of the products", new double[] {1, 2, 0, 0}, dx);
    stage.text(
        "If the next layer sends back 1 for the product of channel 1 with itself, the values of "
            + "channel 1 receive (1 + 1) · value / 2: 1 and 2; channel 2 receives nothing.");

    List<Field> maps = features(stage.photo());
    int half = maps.getFirst().height() / 2;
    int width = maps.getFirst().width();
    List<Html> strip = new ArrayList<>();
    for (int i = 0; i < maps.size(); i++) {
      strip.add(Stage.picture(maps.get(i).draw(ColorMap.HEAT, 0, 1), FEATURES[i]));
    }
    stage.text(
        "Five feature maps of a picture: its colours, and the strength of its edges across and "
            + "down. The tables below tell which of them appear together in its upper and in its "
            + "lower half, brighter where the product is larger.");
    stage.strip(strip.toArray(Html[]::new));
    stage.row(
        table(stage, "upper half", cut(maps, new Field.Crop(0, 0, width, half))),
        table(stage, "lower half", cut(maps, new Field.Crop(0, half, width, half))));
  }

  /** Colours and edges, each from 0 to 1. */
  private static List<Field> features(Tensor photo) {
    List<Field> planes = Picture.planes(photo);
    Field gray = Field.channelSum(photo);
    int width = gray.width();
    int height = gray.height();
    List<Field> maps = new ArrayList<>();
    for (Field plane : planes) {
      float[] values = plane.values().clone();
      for (int i = 0; i < values.length; i++) {
        values[i] /= 255;
      }
      maps.add(new Field(width, height, values));
    }
    float[] across = new float[width * height];
    float[] down = new float[width * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        float here = gray.at(x, y);
        float right = gray.at(Math.min(x + 1, width - 1), y);
        float below = gray.at(x, Math.min(y + 1, height - 1));
        across[y * width + x] = Math.min(1, Math.abs(right - here) / 255);
        down[y * width + x] = Math.min(1, Math.abs(below - here) / 255);
      }
    }
    maps.add(new Field(width, height, across));
    maps.add(new Field(width, height, down));
    return maps;
  }

  private static List<Field> cut(List<Field> maps, Field.Crop crop) {
    return maps.stream().map(map -> map.cut(crop)).toList();
  }

  /** The table of which maps appear together. */
  private static Html table(Stage stage, String name, List<Field> maps) {
    Tensor x = Scene.tensor(maps, stage.arena());
    float[] y = BilinearPool.homogeneous().forward(x, stage.arena()).toFloatArray();
    int n = maps.size();
    double[] expected = new double[n * n];
    for (int i = 0; i < n * n; i++) {
      float[] first = maps.get(i / n).values();
      float[] second = maps.get(i % n).values();
      double sum = 0;
      for (int j = 0; j < first.length; j++) {
        sum += (double) first[j] * second[j];
      }
      expected[i] = Math.sqrt(sum / first.length + ROOT_EPSILON);
    }
    double norm = Math.sqrt(Arrays.stream(expected).map(v -> v * v).sum());
    stage.close(name, Arrays.stream(expected).map(v -> v / norm).toArray(), y);
    Field field = new Field(n, n, y);
    return Drawing.table(field, ColorMap.HEAT, 0, field.max(), FEATURES, FEATURES).figure(name);
  }

  // --- NetVLAD -----------------------------------------------------------------------------------

  private static void netVlad(Stage stage) {
    Arena arena = stage.arena();
    byHand(stage);

    Tensor known = points(arena, 20, 0, 0);
    NetVlad.Parameters parameters = NetVlad.initialize(known, 3, 1, arena);
    Tensor x = points(arena, 6, 0.07, -0.05);
    double[] found = Stage.doubles(NetVlad.of(parameters).forward(x, arena).toFloatArray());
    Vlad vlad = Vlad.of(parameters, x);
    stage.close("soft assignment", vlad.output(), narrow(found));
    Tensor first = Tensor.of(arena, Shape.nchw(1, 6, 1, 1), new float[] {1, 0, 0, 0, 0, 0});
    float[] moved = NetVlad.of(parameters).backward(first, x, arena).centroids().toFloatArray();
    stage.close("gradient of the centres", Vlad.centroidSlopes(parameters, x, 0), moved);
    stage.text(
        "Soft assignment in two dimensions: 18 descriptors of a picture and three centres, which "
            + "were found among the descriptors of other pictures. The colour of a descriptor "
            + "mixes those of the centres that it is assigned to; thin lines are the "
            + "differences, thick arrows their sums V<sub>k</sub>, scaled to one length as in the output. "
            + "This picture's descriptors lie to the right of the usual ones and above them, and "
            + "that is what NetVLAD notes. If the first number of the output is to grow, V<sub>1"
            + "</sub> must turn to the right: its centre c1 has to move left and up, by the "
            + "gradient in the last table; the others need not move, for each V<sub>k</sub> "
            + "has its own length of one.");
    stage.row(
        scatter(x, vlad, found).figure("descriptors, centres and the sums of their differences"),
        NumberGrid.of("output: a row per centre", 2, narrow(found), 3).html(),
        NumberGrid.of("gradient of the centres for the first number", 2, moved, 3)
            .markNonZero()
            .html());

    Tensor colors = precise(stage.scaled(stage.photo(), 1 / 255.0), arena);
    NetVlad.Parameters palette = NetVlad.initialize(colors, CENTRES, 1, arena);
    int height = (int) colors.shape().spatial(0);
    int width = (int) colors.shape().spatial(1);
    List<Field> planes = Picture.planes(stage.scaled(stage.photo(), 1 / 255.0));
    Vlad whole = Vlad.of(palette, colors);
    stage.text(
        Html.format(
            "A picture whose pixels are descriptors of three channels, red, green and blue, and "
                + "%d centres found among them. In the second picture every pixel has the colour "
                + "of the centre that it belongs to most. The tables tell how the upper and the "
                + "lower half differ from these colours: red cells mean more of a channel than the "
                + "centre has, blue cells less.",
            CENTRES));
    stage.pictures(
        Stage.picture(stage.photo(), "input"),
        Stage.picture(whole.painted(width, height), "every pixel in the colour of its centre"));
    stage.row(
        difference(
            stage, "upper half", palette, cut(planes, new Field.Crop(0, 0, width, height / 2))),
        difference(
            stage,
            "lower half",
            palette,
            cut(planes, new Field.Crop(0, height / 2, width, height / 2))));
  }

  /** Four descriptors and two centres, each descriptor with one centre. */
  private static void byHand(Stage stage) {
    Arena arena = stage.arena();
    // Channels of (1, 0), (0, 2), (5, 4), (4, 6).
    float[] descriptors = {1, 0, 5, 4, 0, 2, 4, 6};
    Tensor x = Tensor.of(arena, Shape.nchw(1, 2, 1, 4), descriptors);
    // The nearest centre has the largest W·x + b for W = 2c and b = -|c|².
    NetVlad.Parameters parameters =
        new NetVlad.Parameters(
            Tensor.of(arena, Shape.nchw(2, 2, 1, 1), new float[] {0, 0, 8, 8}),
            Tensor.of(arena, Shape.nchw(1, 2, 1, 1), new float[] {0, -32}),
            Tensor.of(arena, Shape.nchw(2, 2, 1, 1), new float[] {0, 0, 4, 4}));
    NetVlad hard = NetVlad.of(parameters).withHardAssignment();
    float[] y = hard.forward(x, arena).toFloatArray();
    double one = 1 / Math.sqrt(10);
    stage.close("hard assignment", new double[] {one, 2 * one, one, 2 * one}, y);
    stage.text(
        "By hand, with hard assignment: centres (0, 0) and (4, 4), descriptors (1, 0), (0, 2), "
            + "(5, 4), (4, 6). The first two belong to the first centre: V<sub>1</sub> = (1, 0) + (0, 2) = "
            + "(1, 2). The others to the second: V<sub>2</sub> = (1, 0) + (0, 2) = (1, 2). Both are divided "
            + "by their length √5, and the four numbers by their common length √2: "
            + "1/√10 = 0.316 and 2/√10 = 0.632.");
    stage.row(
        NumberGrid.of("descriptors: a column each", 4, descriptors, 0).html(),
        NumberGrid.of("centres: a row each", 2, new float[] {0, 0, 4, 4}, 0).html(),
        NumberGrid.of("output: a row per centre", 2, y, 3).html());
  }

  /** Points of the plane around three places, {@code each} of them, all moved. */
  private static Tensor points(Arena arena, int each, double right, double down) {
    double[][] places = {{0.25, 0.32}, {0.72, 0.3}, {0.46, 0.74}};
    int count = each * places.length;
    float[] values = new float[2 * count];
    for (int i = 0; i < count; i++) {
      double[] place = places[i % places.length];
      // Points of a spiral: evenly spread over a disc.
      double radius = 0.15 * Math.sqrt((i / places.length + 0.5) / each);
      double angle = 2.4 * (i / places.length) + i % places.length;
      values[i] = (float) (place[0] + right + radius * Math.cos(angle));
      values[count + i] = (float) (place[1] + down + radius * Math.sin(angle));
    }
    return Tensor.of(arena, Shape.nchw(1, 2, 1, count), values);
  }

  private static Drawing scatter(Tensor x, Vlad vlad, double[] output) {
    int side = 380;
    Drawing drawing = new Drawing(side, side);
    drawing.rect("cell", 0, 0, side, side);
    int count = (int) x.shape().spatial(1);
    float[] points = x.toFloatArray();
    for (int i = 0; i < count; i++) {
      double left = side * points[i];
      double top = side * points[count + i];
      int nearest = vlad.nearest(i);
      double[] centre = vlad.centroids()[nearest];
      drawing.line("axis", side * centre[0], side * centre[1], left, top);
      drawing.dot(mixed(vlad.assignments()[i]), left, top, 6);
    }
    for (int k = 0; k < vlad.centroids().length; k++) {
      double left = side * vlad.centroids()[k][0];
      double top = side * vlad.centroids()[k][1];
      drawing.arrow("bold", left, top, left + 110 * output[2 * k], top + 110 * output[2 * k + 1]);
      drawing.dot(COLORS[k], left, top, 14);
      drawing.text("middle light", left, top + 5, "c" + (k + 1));
    }
    return drawing;
  }

  private static int mixed(double[] shares) {
    int color = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
      double sum = 0;
      for (int k = 0; k < shares.length; k++) {
        sum += shares[k] * ((COLORS[k] >> shift) & 0xFF);
      }
      color |= (int) Math.round(sum) << shift;
    }
    return color;
  }

  /** What NetVLAD makes of a part of the picture, a row per centre and a column per channel. */
  private static Html difference(
      Stage stage, String name, NetVlad.Parameters palette, List<Field> planes) {
    Tensor x = precise(Scene.tensor(planes, stage.arena()), stage.arena());
    float[] y = narrow(Vlad.values(NetVlad.of(palette).forward(x, stage.arena())));
    stage.close(name, Vlad.of(palette, x).output(), y);
    String[] rows = {"c1", "c2", "c3", "c4"};
    String[] columns = {"red", "green", "blue"};
    return Drawing.table(new Field(3, CENTRES, y), ColorMap.SIGNED, -0.5, 0.5, rows, columns)
        .figure(name);
  }

  /**
   * An f32 tensor in f64: where centres lie close together the scores are large, and the softmax
   * would show their rounding.
   */
  private static Tensor precise(Tensor tensor, Arena arena) {
    Tensor wide = Tensor.allocate(arena, DType.F64, tensor.shape());
    double[] values = Stage.doubles(tensor.toFloatArray());
    MemorySegment.copy(values, 0, wide.segment(), ValueLayout.JAVA_DOUBLE, 0, values.length);
    return wide;
  }

  private static float[] narrow(double[] values) {
    float[] narrow = new float[values.length];
    for (int i = 0; i < narrow.length; i++) {
      narrow[i] = (float) values[i];
    }
    return narrow;
  }
}
