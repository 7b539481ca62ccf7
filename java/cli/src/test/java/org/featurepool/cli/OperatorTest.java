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
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.IntUnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
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
    return Stream.of(
            selections(),
            averages(),
            powers(),
            mixtures(),
            pyramids(),
            fractional(),
            regions(),
            unpoolings(),
            products())
        .flatMap(List::stream)
        .toList();
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

  private static Check gem(
      String options, String descr, long[] output, List<int[]> windows, double... p) {
    return new Check(
        "--op gem " + options,
        descr,
        output,
        Map.of("p", p),
        (x, parameters) -> reduce(windows, Plain.gem(parameters.get("p"), 1e-6)).of(x));
  }

  private static List<Check> powers() {
    return List.of(
        Check.of("--op lp --p 2.5 " + WINDOW, "<f8", WINDOWED, reduce(windows(), Plain.lp(2.5))),
        Check.of("--op lp --p 2 " + WINDOW, "<f4", WINDOWED, reduce(windows(), Plain.lp(2))),
        Check.of(
            "--op lp --p inf " + WINDOW,
            "<f8",
            WINDOWED,
            reduce(windows(), Plain.lp(Double.POSITIVE_INFINITY))),
        Check.of("--op lp --p 1 --output 4,5", "<f8", BINNED, reduce(BINS, Plain.lp(1))),
        Check.of("--op global-lp --p 3", "<f8", GLOBAL, reduce(WHOLE, Plain.lp(3))),
        gem(WINDOW, "<f8", WINDOWED, windows(), 3),
        gem("--global --p 4.5", "<f4", GLOBAL, WHOLE, 4.5),
        gem("--output 4,5 --p 2,3,4.5", "<f8", BINNED, BINS, 2, 3, 4.5),
        new Check(
            "--op gem --global --p 2 --epsilon 0.6",
            "<f8",
            GLOBAL,
            Map.of("p", new double[] {2}),
            (x, parameters) -> reduce(WHOLE, Plain.gem(parameters.get("p"), 0.6)).of(x)));
  }

  private static Check mixed(
      String options, String descr, long[] output, List<int[]> windows, double... alpha) {
    return new Check(
        "--op mixed " + options,
        descr,
        output,
        Map.of("alpha", alpha),
        (x, parameters) -> reduce(windows, Plain.mixed(parameters.get("alpha"))).of(x));
  }

  private static Plain.Forward concatenated(List<int[]> windows) {
    return Plain.concatenated(N, reduce(windows, Plain::mean), reduce(windows, Plain::max));
  }

  private static List<Check> mixtures() {
    return List.of(
        mixed(WINDOW, "<f8", WINDOWED, windows(), 0.5),
        mixed("--mode add --global --alpha 0.25", "<f4", GLOBAL, WHOLE, 0.25),
        mixed("--output 4,5 --alpha 0,1,0.75", "<f8", BINNED, BINS, 0, 1, 0.75),
        Check.of(
            "--op mixed --mode cat " + WINDOW,
            "<f8",
            nchw(N, 2 * C, 5, 11),
            concatenated(windows())),
        Check.of(
            "--op mixed --mode cat --output 4,5", "<f4", nchw(N, 2 * C, 4, 5), concatenated(BINS)),
        Check.of(
            "--op mixed --mode cat --global", "<f8", nchw(N, 2 * C, 1, 1), concatenated(WHOLE)));
  }

  private static Plain.Forward square(int bins, Plain.Reduction reduction) {
    return reduce(Plain.bins(H, W, bins, bins), reduction);
  }

  /** The maxima of all windows of {@code size} at stride 1, padded so that none is lost. */
  private static Plain.Forward same(int size) {
    int pad = size / 2;
    String options =
        "--kernel %d,%d --stride 1,1 --pad %d,%d,%d,%d".formatted(size, size, pad, pad, pad, pad);
    return reduce(Plain.taps(Case.of("NCHW", "2x3x9x11", options).oracle()), Plain::max);
  }

  private static List<Check> pyramids() {
    Case sppnet = Case.of("NCHW", "2x3x9x11", "--kernel 5,6 --stride 4,5");
    return List.of(
        Check.of(
            "--op spp --levels 1,2,4",
            "<f4",
            nchw(N, C * 21),
            Plain.concatenated(
                N, square(1, Plain::max), square(2, Plain::max), square(4, Plain::max))),
        Check.of(
            "--op spp --levels 3,1 --bins adaptive --reducer avg",
            "<f4",
            nchw(N, C * 10),
            Plain.concatenated(N, square(3, Plain::mean), square(1, Plain::mean))),
        Check.of(
            "--op spp --levels 2,1 --bins sppnet --reducer max",
            "<f4",
            nchw(N, C * 5),
            Plain.concatenated(
                N, reduce(Plain.taps(sppnet.oracle()), Plain::max), square(1, Plain::max))),
        Check.of(
            "--op spp-block --kernels 3,5",
            "<f4",
            nchw(N, 3 * C, H, W),
            Plain.concatenated(N, same(5), same(3), x -> x)));
  }

  private static final double[] SAMPLES = values(7, N * C * 2, 0, 1);

  /** Windows of 2x3 that begin where the samples say, as in PyTorch. */
  private static double[] fractionalMax(double[] x) {
    int[] input = {H, W};
    int[] kernel = {2, 3};
    int[] output = {5, 6};
    double[] y = new double[N * C * output[0] * output[1]];
    for (int i = 0; i < y.length; i++) {
      int plane = i / (output[0] * output[1]);
      int[] at = {i / output[1] % output[0], i % output[1]};
      int[] start = new int[2];
      for (int axis = 0; axis < 2; axis++) {
        double step = (double) (input[axis] - kernel[axis]) / (output[axis] - 1);
        double u = SAMPLES[plane * 2 + axis];
        start[axis] =
            at[axis] == output[axis] - 1
                ? input[axis] - kernel[axis]
                : (int) ((at[axis] + u) * step) - (int) (u * step);
      }
      y[i] = Double.NEGATIVE_INFINITY;
      for (int tap = 0; tap < kernel[0] * kernel[1]; tap++) {
        int row = start[0] + tap / kernel[1];
        int column = start[1] + tap % kernel[1];
        y[i] = Math.max(y[i], x[(plane * H + row) * W + column]);
      }
    }
    return y;
  }

  private static List<Check> fractional() {
    return List.of(
        Check.of(
            "--op fractional-max --kernel 2,3 --output 5,6 --samples FOLDER/samples.npy",
            "<f8",
            nchw(N, C, 5, 6),
            OperatorTest::fractionalMax));
  }

  private static final double[][] REGIONS = {
    {0, 4, 4, 15, 13}, {1, 0, 2, 21.5, 17}, {1, 7.3, 5.1, 9.9, 6.2}, {0, 12, 10, 30, 40}
  };

  private static PlainRegions plainRegions() {
    return new PlainRegions(C, H, W, REGIONS, 3, 2, 0.5);
  }

  private static Check align(String options, String descr, boolean max, int ratio, boolean half) {
    return Check.of(
        "--op roi-align --regions FOLDER/regions.npy --output 3,2 --scale 0.5 " + options,
        descr,
        nchw(REGIONS.length, C, 3, 2),
        x -> plainRegions().align(x, max, ratio, half));
  }

  private static List<Check> regions() {
    return List.of(
        Check.of(
            "--op roi-pool --regions FOLDER/regions.npy --output 3,2 --scale 0.5",
            "<f8",
            nchw(REGIONS.length, C, 3, 2),
            x -> plainRegions().pool(x)),
        align("", "<f8", false, 0, false),
        align("--half-pixel --mode average", "<f4", false, 0, true),
        align("--sampling-ratio 3", "<f8", false, 3, false),
        align("--sampling-ratio 2 --mode max --half-pixel", "<f8", true, 2, true));
  }

  /**
   * For each element, a place in a plane of {@code width} among the 2x2 that it was pooled from.
   */
  private static long[] places(int width) {
    Random random = new Random(8);
    long[] places = new long[N * C * H * W];
    for (int i = 0; i < places.length; i++) {
      int row = 2 * (i / W % H) + random.nextInt(2);
      places[i] = (long) row * width + 2 * (i % W) + random.nextInt(2);
    }
    return places;
  }

  private static double[] unpooled(double[] x, int height, int width) {
    long[] places = places(width);
    double[] y = new double[N * C * height * width];
    for (int i = 0; i < x.length; i++) {
      y[i / (H * W) * height * width + (int) places[i]] = x[i];
    }
    return y;
  }

  /** As {@link #unpooled}, in the corner of larger planes. */
  private static double[] inCorner(double[] x, int height, int width) {
    double[] least = unpooled(x, 2 * H, 2 * W);
    double[] y = new double[N * C * height * width];
    for (int i = 0; i < least.length; i++) {
      int row = i / (2 * W) % (2 * H);
      y[(i / (4 * H * W) * height + row) * width + i % (2 * W)] = least[i];
    }
    return y;
  }

  private static double[] spread(double[] x) {
    double[] y = new double[4 * x.length];
    for (int i = 0; i < y.length; i++) {
      int plane = i / (4 * H * W);
      y[i] = x[(plane * H + i / (2 * W) % (2 * H) / 2) * W + i % (2 * W) / 2] / 4;
    }
    return y;
  }

  private static List<Check> unpoolings() {
    String unpool = "--op max-unpool --kernel 2,2 --mask FOLDER/";
    return List.of(
        Check.of(
            unpool + "mask-LAYOUT.npy",
            "<f8",
            nchw(N, C, 2 * H, 2 * W),
            x -> unpooled(x, 2 * H, 2 * W)),
        Check.of(
            unpool + "wide-LAYOUT.npy --output-size 19,23",
            "<f4",
            nchw(N, C, 19, 23),
            x -> unpooled(x, 19, 23)),
        Check.of(
            unpool + "tensor-LAYOUT.npy --indices tensor --output-size 20,25",
            "<f8",
            nchw(N, C, 20, 25),
            x -> inCorner(x, 20, 25)),
        Check.of(
            "--op avg-unpool --kernel 2,2", "<f8", nchw(N, C, 2 * H, 2 * W), OperatorTest::spread));
  }

  private static Check bilinear(String options, String descr, boolean signedRoot, boolean l2) {
    return Check.of(
        "--op bilinear " + options,
        descr,
        nchw(N, C * C),
        x -> Plain.bilinear(x, x, N, H * W, signedRoot, l2));
  }

  private static final int SECOND_CHANNELS = 2;
  private static final double[] SECOND = values(9, N * SECOND_CHANNELS * H * W);

  private static Check netVlad(String options, String descr, int clusters, int ghosts) {
    Map<String, double[]> parameters =
        Map.of(
            "W", values(10, (clusters + ghosts) * C),
            "b", values(11, clusters + ghosts),
            "c", values(12, clusters * C));
    return new Check(
        "--op netvlad " + options,
        descr,
        nchw(N, clusters * C),
        parameters,
        (x, all) -> Plain.netVlad(x, N, H * W, all));
  }

  private static List<Check> products() {
    return List.of(
        netVlad("--parameters FOLDER/parameters.npz", "<f8", 4, 0),
        netVlad("--parameters FOLDER/ghosts.npz", "<f8", 4, 2),
        new Check(
            "--op bilinear --second FOLDER/second-LAYOUT.npy",
            "<f8",
            nchw(N, C * SECOND_CHANNELS),
            Map.of("second", SECOND),
            (x, parameters) -> Plain.bilinear(x, parameters.get("second"), N, H * W, true, true)),
        bilinear("", "<f8", true, true),
        bilinear("--no-signed-root", "<f4", false, true),
        bilinear("--no-signed-root --no-normalization", "<f8", false, false));
  }

  @BeforeEach
  void writeFurtherInputs() throws IOException {
    NpyFile.writeDoubles(folder.resolve("samples.npy"), SAMPLES, N, C, 2);
    double[] regions = Arrays.stream(REGIONS).flatMapToDouble(Arrays::stream).toArray();
    NpyFile.writeDoubles(folder.resolve("regions.npy"), regions, REGIONS.length, 5);
    long[] second = nchw(N, SECOND_CHANNELS, H, W);
    for (String layout : List.of("nchw", "nhwc")) {
      boolean last = layout.equals("nhwc");
      writeMask("mask-" + layout, places(2 * W), last);
      writeMask("wide-" + layout, places(23), last);
      long[] overTensor = places(2 * W);
      Arrays.setAll(overTensor, i -> overTensor[i] + (long) i / (H * W) * 4 * H * W);
      writeMask("tensor-" + layout, overTensor, last);
      NpyFile.writeDoubles(
          folder.resolve("second-" + layout + ".npy"),
          last ? channelsLast(SECOND, second, true) : SECOND,
          memory(second, last));
    }
    writeParameters("parameters.npz", netVlad("", "", 4, 0));
    writeParameters("ghosts.npz", netVlad("", "", 4, 2));
  }

  private void writeMask(String name, long[] places, boolean last) throws IOException {
    long[] extents = nchw(N, C, H, W);
    double[] planar = Arrays.stream(places).asDoubleStream().toArray();
    double[] ordered = last ? channelsLast(planar, extents, true) : planar;
    long[] indices = Arrays.stream(ordered).mapToLong(place -> (long) place).toArray();
    NpyFile.writeLongs(folder.resolve(name + ".npy"), indices, memory(extents, last));
  }

  private void writeParameters(String name, Check check) throws IOException {
    Map<String, Path> arrays = new LinkedHashMap<>();
    for (Map.Entry<String, double[]> entry : check.parameters().entrySet()) {
      int count = entry.getValue().length;
      long[] extents = entry.getKey().equals("b") ? nchw(count) : nchw(count / C, C);
      Path array = folder.resolve(entry.getKey() + ".npy");
      arrays.put(entry.getKey(), NpyFile.writeDoubles(array, entry.getValue(), extents));
    }
    NpyFile.writeArchive(folder.resolve(name), arrays);
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

  /** The parameters that were made are those that were used, and the seed rules them. */
  @Test
  void initializedParameters() throws IOException {
    double[] x = values(22, N * C * H * W);
    Path in = NpyFile.writeDoubles(folder.resolve("x.npy"), x, N, C, H, W);
    Path out = folder.resolve("y.npy");
    Path archive = folder.resolve("made.npz");
    String options = "--op netvlad --clusters 4 --ghosts 1 --normalize-descriptors --seed ";
    for (String seed : List.of("5", "6")) {
      List<Object> args =
          new ArrayList<>(List.of("pool", in, "-o", out, "--parameters-output", archive));
      args.addAll(List.of((options + seed).split(" ")));
      Program.run(args.toArray()).requireSuccess();
      long[][] expected = {{5, C}, {5}, {4, C}};
      for (int i = 0; i < 3; i++) {
        String name = List.of("W", "b", "c").get(i);
        NpyFile array = NpyFile.readArchive(archive, name, folder.resolve("array.npy"));
        assertArrayEquals(expected[i], array.extents());
      }
      Path again = folder.resolve("again.npy");
      Program.run(
              "pool",
              in,
              "-o",
              again,
              "--op",
              "netvlad",
              "--normalize-descriptors",
              "--parameters",
              archive)
          .requireSuccess();
      assertEquals(-1, Files.mismatch(out, again));
      Files.move(out, folder.resolve("of" + seed + ".npy"));
    }
    assertNotEquals(-1, Files.mismatch(folder.resolve("of5.npy"), folder.resolve("of6.npy")));
    assertEquals(N * 4L * C, NpyFile.read(folder.resolve("of5.npy")).doubles().length);
  }

  /** Seeded windows, with the mask, and the gradient routed to it; the same for all threads. */
  @Test
  void fractionalMaximaOfASeed() throws IOException {
    double[] x = values(23, N * C * H * W);
    Path in = NpyFile.writeDoubles(folder.resolve("x.npy"), x, N, C, H, W);
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("m.npy");
    String options = "--op fractional-max --kernel 2,2 --output 5,7 --seed ";
    List<String> results = new ArrayList<>();
    for (String seed : List.of("1", "2", "2 --threads 5")) {
      List<Object> args = new ArrayList<>(List.of("pool", in, "-o", out, "--mask-out", mask));
      args.addAll(List.of((options + seed).split(" ")));
      Program.run(args.toArray()).requireSuccess();
      results.add(Arrays.toString(NpyFile.read(mask).longs()));
    }
    assertNotEquals(results.get(0), results.get(1));
    assertEquals(results.get(1), results.get(2));
    long[] places = NpyFile.read(mask).longs();
    double[] y = NpyFile.read(out).doubles();
    double[] dy = values(24, y.length);
    double[] expected = new double[x.length];
    for (int i = 0; i < y.length; i++) {
      int at = i / 35 * H * W + (int) places[i];
      assertEquals(x[at], y[i]);
      expected[at] += dy[i];
    }
    Path gradient = NpyFile.writeDoubles(folder.resolve("dy.npy"), dy, N, C, 5, 7);
    Path dx = folder.resolve("dx.npy");
    List<Object> args = new ArrayList<>(List.of("backward", in, gradient, "-o", dx));
    args.addAll(List.of((options + "2").split(" ")));
    Program.run(args.toArray()).requireSuccess();
    assertArrayEquals(expected, NpyFile.read(dx).doubles(), 1e-12);
  }

  /** The positions of the maxima of regions and of pyramids: there the output's elements are. */
  @Test
  void positionsOfRegionsAndPyramids() throws IOException {
    float[] x = new float[N * C * H * W];
    double[] values = values(26, x.length);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) values[i];
    }
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), x, N, C, H, W);
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("m.npy");

    String regions = folder.resolve("regions.npy").toString();
    pool(
        in,
        out,
        mask,
        "--op",
        "roi-pool",
        "--regions",
        regions,
        "--output",
        "3,2",
        "--scale",
        "0.5");
    assertArrayEquals(nchw(REGIONS.length, C, 3, 2), NpyFile.read(mask).extents());
    requireValuesAt(
        x,
        NpyFile.read(out).doubles(),
        NpyFile.read(mask).longs(),
        i -> (int) REGIONS[i / (C * 6)][0] * C + i / 6 % C);

    pool(in, out, mask, "--op", "spp", "--levels", "2,3");
    assertArrayEquals(new long[] {N, C * 13}, NpyFile.read(mask).extents());
    requireValuesAt(
        x,
        NpyFile.read(out).doubles(),
        NpyFile.read(mask).longs(),
        i -> {
          int bin = i % (C * 13);
          return i / (C * 13) * C + (bin < C * 4 ? bin / 4 : (bin - C * 4) / 9);
        });

    pool(in, out, mask, "--op", "spp-block", "--kernels", "3,17");
    assertArrayEquals(nchw(N, 2 * C, H, W), NpyFile.read(mask).extents());
    requireMaximaAt(x, NpyFile.read(out).doubles(), NpyFile.read(mask).longs());
    pool(in, out, mask, "--op", "spp-block", "--kernels", "3,5");
    requireMaximaAt(x, NpyFile.read(out).doubles(), NpyFile.read(mask).longs());
    Program.run(
            "pool",
            in,
            "-o",
            out,
            "--op",
            "spp",
            "--levels",
            "2",
            "--reducer",
            "avg",
            "--mask-out",
            mask)
        .requireRefusal("there are no positions");
  }

  private static void pool(Path in, Path out, Path mask, String... options) throws IOException {
    List<Object> args = new ArrayList<>(List.of("pool", in, "-o", out, "--mask-out", mask));
    args.addAll(List.of(options));
    Program.run(args.toArray()).requireSuccess();
  }

  /** Of an output of two kernels and the input, the maxima are where {@code places} say. */
  private static void requireMaximaAt(float[] x, double[] y, long[] places) {
    int image = 2 * C * H * W;
    double[] maxima =
        IntStream.range(0, N * image)
            .mapToDouble(i -> y[i / image * (3 * image / 2) + i % image])
            .toArray();
    requireValuesAt(x, maxima, places, i -> i / image * C + i / (H * W) % C);
  }

  private static void requireValuesAt(
      float[] x, double[] y, long[] places, IntUnaryOperator plane) {
    assertEquals(y.length, places.length);
    for (int i = 0; i < y.length; i++) {
      // A bin beyond the input has no place, and gives 0.
      assertEquals(places[i] < 0 ? 0 : x[plane.applyAsInt(i) * H * W + (int) places[i]], y[i]);
    }
  }

  /** What a max pooling wrote as its mask puts its maxima back. */
  @Test
  void unpoolingByTheMaskOfAPooling() throws IOException {
    double[] x = values(25, N * C * H * W);
    Path in = NpyFile.writeDoubles(folder.resolve("x.npy"), x, N, C, H, W);
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("m.npy");
    Path back = folder.resolve("back.npy");
    Program.run("pool", in, "-o", out, "--op", "max", "--kernel", "2,2", "--mask-out", mask)
        .requireSuccess();
    Program.run(
            "pool",
            out,
            "-o",
            back,
            "--op",
            "max-unpool",
            "--kernel",
            "2,2",
            "--mask",
            mask,
            "--output-size",
            H + "," + W)
        .requireSuccess();
    double[] y = NpyFile.read(out).doubles();
    long[] places = NpyFile.read(mask).longs();
    double[] expected = new double[x.length];
    for (int i = 0; i < y.length; i++) {
      expected[i / 20 * H * W + (int) places[i]] = y[i];
    }
    assertArrayEquals(expected, NpyFile.read(back).doubles());
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

  /** The help lists every operator, and each is checked here. */
  @Test
  void everyOperatorIsChecked() {
    String help = Program.run("pool", "--help").requireSuccess().out();
    String list = help.substring(help.indexOf("Operators, and what each takes:"));
    Set<String> listed =
        Pattern.compile("^  ([a-z-]+) +[a-zA-Z].*", Pattern.MULTILINE)
            .matcher(list.substring(0, list.indexOf("\n\n")))
            .results()
            .map(line -> line.group(1))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> checked =
        checks().stream()
            .map(check -> check.options().split(" ")[1])
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(22, listed.size(), listed.toString());
    assertEquals(listed, checked);
  }
}
