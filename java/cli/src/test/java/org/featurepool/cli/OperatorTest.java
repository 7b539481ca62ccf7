package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every operator, forward and backward, in both layouts, through the program, against its formula.
 */
class OperatorTest {
  private static final int N = 2;
  private static final int C = 3;
  private static final int H = 9;
  private static final int W = 11;
  private static final String WINDOW = "--kernel 3,2 --stride 2,1 --pad 1,0,1,1";

  /**
   * An operator with its options.
   *
   * @param descr type of the input
   * @param output extents of the output in N, C, spatial order; two of a vector
   * @param parameters trainable parameters by the name of their gradient
   */
  record Check(
      String options,
      String descr,
      long[] output,
      Map<String, double[]> parameters,
      BiFunction<double[], Map<String, double[]>, double[]> forward) {
    static Check of(String options, String descr, long[] output, Plain.Forward forward) {
      return new Check(options, descr, output, Map.of(), (x, _) -> forward.of(x));
    }

    boolean wide() {
      return descr.equals("<f8");
    }

    @Override
    public String toString() {
      return options;
    }
  }

  @TempDir Path folder;

  private static List<int[]> windows() {
    return Plain.taps(Case.of("NCHW", "2x3x9x11", WINDOW).oracle());
  }

  private static Plain.Forward reduce(List<int[]> windows, Plain.Reduction reduction) {
    return Plain.over(windows, C, H * W, reduction);
  }

  private static long[] nchw(long... extents) {
    return extents;
  }

  private static final List<int[]> BINS = Plain.bins(H, W, 4, 5);
  private static final List<int[]> WHOLE = Plain.whole(H * W);
  private static final long[] WINDOWED = nchw(N, C, 5, 11);
  private static final long[] BINNED = nchw(N, C, 4, 5);
  private static final long[] GLOBAL = nchw(N, C, 1, 1);

  private static List<Check> checks() {
    return Stream.of(selections(), averages()).flatMap(List::stream).toList();
  }

  private static List<Check> selections() {
    return List.of(
        Check.of("--op max " + WINDOW, "<f4", WINDOWED, reduce(windows(), Plain::max)),
        Check.of("--op min " + WINDOW, "<f8", WINDOWED, reduce(windows(), Plain::min)),
        Check.of("--op median " + WINDOW, "<f8", WINDOWED, reduce(windows(), Plain::median)),
        Check.of("--op adaptive-max --output 4,5", "<f8", BINNED, reduce(BINS, Plain::max)),
        Check.of("--op global-max", "<f4", GLOBAL, reduce(WHOLE, Plain::max)));
  }

  private static List<Check> averages() {
    return List.of(
        Check.of("--op avg " + WINDOW, "<f8", WINDOWED, reduce(windows(), Plain::mean)),
        Check.of("--op adaptive-avg --output 4,5", "<f8", BINNED, reduce(BINS, Plain::mean)),
        Check.of("--op global-avg", "<f4", GLOBAL, reduce(WHOLE, Plain::mean)),
        Check.of(
            "--op stochastic " + WINDOW, "<f8", WINDOWED, reduce(windows(), Plain::expectation)));
  }

  @ParameterizedTest
  @MethodSource("checks")
  void forwardAndBackward(Check check) throws IOException {
    double[] x = values(1, N * C * H * W);
    double[] dy = values(2, (int) Arrays.stream(check.output()).reduce(1, (a, b) -> a * b));
    double[] y = check.forward().apply(x, check.parameters());
    double[] dx = Plain.gradient(at -> check.forward().apply(at, check.parameters()), x, dy);
    Map<String, double[]> gradients = new LinkedHashMap<>();
    check.parameters().forEach((name, at) -> gradients.put(name, gradient(check, name, x, dy)));

    for (String layout : List.of("nchw", "nhwc")) {
      boolean last = layout.equals("nhwc");
      Path input = write("x.npy", check, x, nchw(N, C, H, W), last);
      Path output = folder.resolve("y.npy");
      run(List.of("pool", input, "-o", output), check, layout);
      compare(check, "output", y, NpyFile.read(output), check.output(), last);

      Path gradient = write("dy.npy", check, dy, check.output(), last);
      Path result = folder.resolve("dx.npy");
      run(List.of("backward", input, gradient, "-o", result), check, layout);
      compare(check, "gradient", dx, NpyFile.read(result), nchw(N, C, H, W), last);
      for (Map.Entry<String, double[]> entry : gradients.entrySet()) {
        Path file = folder.resolve("dx." + entry.getKey() + ".npy");
        compare(check, entry.getKey(), entry.getValue(), logical(NpyFile.read(file), last));
        Files.delete(file);
      }
    }
  }

  private static double[] gradient(Check check, String name, double[] x, double[] dy) {
    return Plain.gradient(
        at -> {
          Map<String, double[]> parameters = new LinkedHashMap<>(check.parameters());
          parameters.put(name, at);
          return check.forward().apply(x, parameters);
        },
        check.parameters().get(name),
        dy);
  }

  private void run(List<Object> files, Check check, String layout) {
    List<Object> args = new ArrayList<>(files);
    String options = check.options().replace("FOLDER", folder.toString()).replace("LAYOUT", layout);
    args.addAll(List.of(options.split(" +")));
    args.addAll(List.of("--layout", layout));
    assertEquals("", Program.run(args.toArray()).requireSuccess().out());
  }

  /** Positive, and no two alike: no ties, and roots have derivatives. */
  private static double[] values(long seed, int count) {
    return values(seed, count, 0.25, 1.25);
  }

  private static double[] values(long seed, int count, double least, double most) {
    Random random = new Random(seed);
    double[] values = new double[count];
    Arrays.setAll(
        values, i -> (float) (least + (i + random.nextDouble() / 2) / count * (most - least)));
    for (int i = count - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      double moved = values[i];
      values[i] = values[j];
      values[j] = moved;
    }
    return values;
  }

  private Path write(String name, Check check, double[] values, long[] extents, boolean last)
      throws IOException {
    double[] ordered = last ? channelsLast(values, extents, true) : values;
    Path file = folder.resolve(name);
    if (check.wide()) {
      return NpyFile.writeDoubles(file, ordered, memory(extents, last));
    }
    float[] floats = new float[ordered.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) ordered[i];
    }
    return NpyFile.writeFloats(file, floats, memory(extents, last));
  }

  private static long[] memory(long[] extents, boolean last) {
    return last && extents.length == 4
        ? new long[] {extents[0], extents[2], extents[3], extents[1]}
        : extents;
  }

  /** From channels first to channels last, or back; vectors are the same in both. */
  private static double[] channelsLast(double[] values, long[] extents, boolean forth) {
    if (extents.length != 4) {
      return values;
    }
    int[] order =
        Oracle.order(true, (int) extents[0], (int) extents[1], (int) (extents[2] * extents[3]));
    double[] moved = new double[values.length];
    for (int i = 0; i < moved.length; i++) {
      moved[forth ? i : order[i]] = values[forth ? order[i] : i];
    }
    return moved;
  }

  private static void compare(
      Check check, String what, double[] expected, NpyFile actual, long[] extents, boolean last) {
    assertEquals(check.descr(), actual.descr());
    assertArrayEquals(memory(extents, last), actual.extents());
    compare(check, what, expected, logical(actual, last));
  }

  /** The elements in N, C, spatial order. */
  private static double[] logical(NpyFile file, boolean last) {
    long[] e = file.extents();
    return last && e.length == 4
        ? channelsLast(file.doubles(), nchw(e[0], e[3], e[1], e[2]), false)
        : file.doubles();
  }

  private static void compare(Check check, String what, double[] expected, double[] actual) {
    assertEquals(expected.length, actual.length, what);
    double bound = check.wide() ? 1e-7 : 1e-4;
    for (int i = 0; i < actual.length; i++) {
      assertEquals(
          expected[i], actual[i], bound * (1 + Math.abs(expected[i])), what + ", element " + i);
    }
  }

  /**
   * The draws of training: of the window, one with the mask, routed back, and ruled by the seed.
   */
  @Test
  void stochasticTraining() throws IOException {
    double[] x = values(20, N * C * H * W);
    Path in = NpyFile.writeDoubles(folder.resolve("x.npy"), x, N, C, H, W);
    Path mask = folder.resolve("mask.npy");
    Path out = folder.resolve("y.npy");
    String options = "--op stochastic --train " + WINDOW + " --seed ";
    List<int[]> windows = windows();
    List<String> results = new ArrayList<>();
    for (String seed : List.of("1", "1 --threads 5", "-2")) {
      List<Object> args = new ArrayList<>(List.of("pool", in, "-o", out, "--mask-out", mask));
      args.addAll(List.of((options + seed).split(" ")));
      Program.run(args.toArray()).requireSuccess();
      long[] places = NpyFile.read(mask).longs();
      double[] y = NpyFile.read(out).doubles();
      for (int i = 0; i < y.length; i++) {
        int plane = i / windows.size() * H * W;
        assertEquals(x[plane + (int) places[i]], y[i]);
        long place = places[i];
        assertTrue(Arrays.stream(windows.get(i % windows.size())).anyMatch(tap -> tap == place));
      }
      results.add(Arrays.toString(places));
    }
    assertEquals(results.get(0), results.get(1));
    assertNotEquals(results.get(0), results.get(2));

    double[] dy = values(21, N * C * windows.size());
    Path gradient = NpyFile.writeDoubles(folder.resolve("dy.npy"), dy, WINDOWED);
    Path dx = folder.resolve("dx.npy");
    List<Object> args = new ArrayList<>(List.of("backward", in, gradient, "-o", dx));
    args.addAll(List.of((options + "-2").split(" ")));
    Program.run(args.toArray()).requireSuccess();
    long[] places = NpyFile.read(mask).longs();
    double[] expected = new double[x.length];
    for (int i = 0; i < dy.length; i++) {
      expected[i / windows.size() * H * W + (int) places[i]] += dy[i];
    }
    assertArrayEquals(expected, NpyFile.read(dx).doubles(), 1e-12);

    double[] ordered = channelsLast(x, nchw(N, C, H, W), true);
    NpyFile.writeDoubles(in, ordered, memory(nchw(N, C, H, W), true));
    args = new ArrayList<>(List.of("pool", in, "-o", out, "--layout", "nhwc"));
    args.addAll(List.of((options + "-2").split(" ")));
    Program.run(args.toArray()).requireSuccess();
    double[] y = logical(NpyFile.read(out), true);
    for (int i = 0; i < y.length; i++) {
      assertEquals(x[i / windows.size() * H * W + (int) places[i]], y[i], "element " + i);
    }
  }

  @Test
  void masksOfBinsAndPlanes() throws IOException {
    float[] x = {1, 5, 2, 0, 9, 3, 4, 7, 6, 8, 0, 1};
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), x, 1, 3, 4);
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("m.npy");
    Program.run(
            "pool", in, "-o", out, "--op", "adaptive-max", "--output", "2,2", "--mask-out", mask)
        .requireSuccess();
    assertArrayEquals(new long[] {1, 2, 2}, NpyFile.read(mask).extents());
    // 1 5 2 0 / 9 3 4 7 / 6 8 0 1: rows 0 and 1 or 1 and 2, columns 0 and 1 or 2 and 3.
    assertArrayEquals(new long[] {4, 7, 4, 7}, NpyFile.read(mask).longs());
    Program.run("pool", in, "-o", out, "--op", "global-max", "--mask-out", mask).requireSuccess();
    assertArrayEquals(new long[] {4}, NpyFile.read(mask).longs());
  }

  /** 2x2 windows of 1 2 3 4 / 5 6 7 8 in every type; the average of integers is rounded to even. */
  @ParameterizedTest
  @CsvSource({
    "<f2, max, 0046 0048", // 6, 8
    "<f2, avg, 0043 8045", // 3.5, 5.5
    "|i1, max, 0608",
    "|i1, min, 0103",
    "|i1, avg, 0406",
    "|u1, avg, 0406",
    "<i4, max, 0600000008000000",
    "<i4, min, 0100000003000000"
  })
  void everyTypeOfNpy(String descr, String operator, String expected) throws IOException {
    byte[] data = new byte[32];
    int size = Character.digit(descr.charAt(2), 10);
    for (int i = 0; i < 8; i++) {
      ByteBuffer element = ByteBuffer.wrap(data, i * size, size).order(ByteOrder.LITTLE_ENDIAN);
      if (descr.equals("<f2")) {
        element.putShort(Float.floatToFloat16(i + 1));
      } else {
        element.put((byte) (i + 1));
      }
    }
    Path in =
        NpyFile.write(
            folder.resolve("x.npy"),
            "'" + descr + "'",
            false,
            nchw(2, 4),
            Arrays.copyOf(data, 8 * size));
    Path out = folder.resolve("y.npy");
    Program.run("pool", in, "-o", out, "--op", operator, "--kernel", "2,2").requireSuccess();
    NpyFile y = NpyFile.read(out);
    assertEquals(descr, y.descr());
    byte[] bytes = new byte[y.data().remaining()];
    y.data().get(bytes);
    assertEquals(expected.replace(" ", ""), HexFormat.of().formatHex(bytes));
  }

  @Test
  void ranksOfGlobalPooling() throws IOException {
    float[] x = Case.values(3, 2 * 3 * 4 * 5, 100);
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), x, 2, 3, 4, 5);
    Path out = folder.resolve("y.npy");
    long[][] expected = {{2, 3, 1, 1}, {2, 1, 1, 1}};
    for (int rank = 2; rank <= 3; rank++) {
      Program.run("pool", in, "-o", out, "--op", "global-max", "--rank", rank).requireSuccess();
      assertArrayEquals(expected[rank - 2], NpyFile.read(out).extents());
    }
  }

  @Test
  void helpListsEveryOperatorWithItsOptions() {
    String help = Program.run("pool", "--help").requireSuccess().out();
    for (Check check : checks()) {
      String name = check.options().split(" ")[1];
      assertTrue(help.contains("\n  " + name + " "), name + " is not in: " + help);
    }
  }
}
