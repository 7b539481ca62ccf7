package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PoolCommandTest {
  @TempDir Path folder;

  private static List<Case> cases() {
    return Case.all();
  }

  private Program.Outcome pool(Path in, Path out, List<String> options, Object... more) {
    List<Object> args = new ArrayList<>(List.of("pool", in, "-o", out));
    args.addAll(options);
    args.addAll(List.of(more));
    return Program.run(args.toArray());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void maximumOfFloatsAndItsMask(Case test) throws IOException {
    Oracle oracle = test.oracle();
    float[] x = Case.values(1, oracle.planes * oracle.inputPlane(), 5);
    for (int i = 7; i < x.length; i += 41) {
      x[i] = new float[] {Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, -0f}[i % 4];
    }
    Path in = folder.resolve("x.npy");
    NpyFile.writeFloats(in, test.toFile(x, oracle.inputPlane()), test.extents());
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("mask.npy");

    pool(in, out, test.options("max"), "--mask-out", mask).requireSuccess();

    NpyFile y = NpyFile.read(out);
    assertEquals("<f4", y.descr());
    assertArrayEquals(test.outputExtents(), y.extents());
    assertArrayEquals(
        oracle.max(x, Float.NEGATIVE_INFINITY), test.toPlanes(y.floats(), oracle.outputPlane()));
    NpyFile indices = NpyFile.read(mask);
    assertEquals("<i8", indices.descr());
    assertArrayEquals(test.outputExtents(), indices.extents());
    assertArrayEquals(oracle.positions(x), test.toPlanes(indices.longs(), oracle.outputPlane()));

    Path alone = folder.resolve("alone.npy");
    pool(in, alone, test.options("max")).requireSuccess();
    assertEquals(-1, Files.mismatch(out, alone), "the result depends on whether a mask is asked");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void averageOfFloats(Case test) throws IOException {
    Oracle oracle = test.oracle();
    float[] x = Case.values(2, oracle.planes * oracle.inputPlane(), 100);
    Path in = folder.resolve("x.npy");
    NpyFile.writeFloats(in, test.toFile(x, oracle.inputPlane()), test.extents());
    Path out = folder.resolve("y.npy");

    pool(in, out, test.options("avg")).requireSuccess();

    NpyFile y = NpyFile.read(out);
    assertArrayEquals(test.outputExtents(), y.extents());
    double[] expected = oracle.average(x);
    float[] actual = test.toPlanes(y.floats(), oracle.outputPlane());
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 2 * Math.ulp(actual[i]), "element " + i);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void unsignedBytes(Case test) throws IOException {
    Oracle oracle = test.oracle();
    float[] x = Case.values(3, oracle.planes * oracle.inputPlane(), 256);
    Path in = folder.resolve("x.npy");
    NpyFile.writeUnsignedBytes(in, test.toFile(x, oracle.inputPlane()), test.extents());
    Path out = folder.resolve("y.npy");

    pool(in, out, test.options("max")).requireSuccess();
    NpyFile max = NpyFile.read(out);
    assertEquals("|u1", max.descr());
    assertArrayEquals(test.outputExtents(), max.extents());
    assertArrayEquals(oracle.max(x, 0), test.toPlanes(max.unsignedBytes(), oracle.outputPlane()));

    pool(in, out, test.options("avg")).requireSuccess();
    float[] average = test.toPlanes(NpyFile.read(out).unsignedBytes(), oracle.outputPlane());
    assertArrayEquals(rounded(oracle.average(x)), average);
  }

  /** Half to even, and into the range of a byte where a divisor was given that is too small. */
  private static float[] rounded(double[] values) {
    float[] rounded = new float[values.length];
    for (int i = 0; i < rounded.length; i++) {
      rounded[i] = (float) Math.min(255, Math.rint(values[i]));
    }
    return rounded;
  }

  @Test
  void windowInPaddingAlone() throws IOException {
    // With this dilation the first window's taps are at -2 and 3, and there are 3 elements.
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), new float[] {1, 2, 3}, 1, 3);
    Path out = folder.resolve("y.npy");
    Path mask = folder.resolve("mask.npy");
    List<String> options =
        List.of("--op", "max", "--kernel", "2", "--stride", "1", "--dilation", "5", "--pad", "2,2");
    pool(in, out, options, "--mask-out", mask).requireSuccess();
    assertArrayEquals(
        new float[] {Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY},
        Arrays.copyOf(NpyFile.read(out).floats(), 2));
    assertArrayEquals(new long[] {-1, -1}, Arrays.copyOf(NpyFile.read(mask).longs(), 2));
  }

  @ParameterizedTest
  @ValueSource(strings = {"same_upper", "SAME_LOWER", "valid", "1"})
  void paddingRules(String rule) throws IOException {
    float[] x = Case.values(4, 10 * 13, 50);
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), x, 10, 13);
    Path out = folder.resolve("y.npy");
    List<String> options = List.of("--op", "max", "--kernel", "3,4", "--stride", "2", "--pad");
    pool(in, out, options, rule).requireSuccess();

    // By hand: SAME gives 5x7, a total padding of 1 (H) and 3 (W).
    String explicit =
        switch (rule) {
          case "same_upper" -> "0,1,1,2";
          case "SAME_LOWER" -> "1,2,0,1";
          case "valid" -> "0,0,0,0";
          default -> "1,1,1,1";
        };
    Case test = Case.of("HW", "10x13", "--kernel 3,4 --stride 2,2 --pad " + explicit);
    assertArrayEquals(test.outputExtents(), NpyFile.read(out).extents());
    assertArrayEquals(test.oracle().max(x, Float.NEGATIVE_INFINITY), NpyFile.read(out).floats());
  }

  @Test
  void resultsDoNotDependOnThreads() throws IOException {
    float[] x = Case.values(5, 6 * 200 * 200, 1000);
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), x, 6, 200, 200);
    List<Path> results = new ArrayList<>();
    for (int threads : new int[] {1, 2, 5}) {
      Path out = folder.resolve(threads + ".npy");
      List<String> options =
          List.of("--op", "avg", "--kernel", "5,5", "--stride", "1,1", "--threads", "" + threads);
      pool(in, out, options).requireSuccess();
      results.add(out);
    }
    assertEquals(-1, Files.mismatch(results.get(0), results.get(1)));
    assertEquals(-1, Files.mismatch(results.get(0), results.get(2)));
  }

  @Test
  void replacesAnExistingFileEvenItsOwnInput() throws IOException {
    float[] x = Case.values(6, 8 * 8, 9);
    Path file = NpyFile.writeFloats(folder.resolve("x.npy"), x, 8, 8);
    pool(file, file, List.of("--op", "max", "--kernel", "2,2")).requireSuccess();
    Case test = Case.of("HW", "8x8", "--kernel 2,2");
    assertArrayEquals(test.oracle().max(x, Float.NEGATIVE_INFINITY), NpyFile.read(file).floats());
    assertEquals(1, listing().size(), "nothing else is left behind");
  }

  @Test
  void writesThroughALink() throws IOException {
    Path file = NpyFile.writeFloats(folder.resolve("x.npy"), new float[4], 2, 2);
    Path target = Files.writeString(folder.resolve("target.npy"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link.npy"), target);
    pool(file, link, List.of("--op", "max", "--kernel", "2,2")).requireSuccess();
    assertTrue(Files.isSymbolicLink(link));
    assertArrayEquals(new long[] {1, 1}, NpyFile.read(target).extents());
  }

  @Test
  void outputsHaveTheUsualPermissions() throws IOException {
    Path plain = Files.createFile(folder.resolve("plain"));
    Path in = NpyFile.writeFloats(folder.resolve("x.npy"), new float[4], 2, 2);
    Path out = folder.resolve("y.npy");
    pool(in, out, List.of("--op", "max", "--kernel", "2,2")).requireSuccess();
    assertEquals(
        PosixFilePermissions.toString(Files.getPosixFilePermissions(plain)),
        PosixFilePermissions.toString(Files.getPosixFilePermissions(out)));
  }

  private List<Path> listing() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {BufferedImage.TYPE_BYTE_GRAY, BufferedImage.TYPE_3BYTE_BGR})
  void pictures(int type) throws IOException {
    BufferedImage image = new BufferedImage(37, 23, type);
    Random random = new Random(7);
    int bands = image.getRaster().getNumBands();
    for (int i = 0; i < 37 * 23 * bands; i++) {
      image.getRaster().setSample(i / bands % 37, i / bands / 37, i % bands, random.nextInt(256));
    }
    Path in = folder.resolve("in.png");
    ImageIO.write(image, "png", in.toFile());
    checkPicture(in, "--kernel 3,2 --stride 2,2 --pad 1,0,1,1");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "astronaut.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "hubble_deep_field.jpg"
      })
  void realPictures(String name) throws IOException {
    Path pictures = SharedData.folder("images");
    Path in = pictures.resolve(name);
    assumeTrue(Files.exists(in), () -> in + " is not there");
    checkPicture(in, "--kernel 3,3 --stride 2,2 --pad 1,1,1,1");
  }

  /** Pools a picture into a picture and into an array, in both layouts, by both operators. */
  private void checkPicture(Path in, String options) throws IOException {
    BufferedImage image = ImageIO.read(in.toFile());
    int channels = image.getRaster().getNumBands();
    int height = image.getHeight();
    int width = image.getWidth();
    Case test = Case.of("CHW", channels + "x" + height + "x" + width, options);
    Oracle oracle = test.oracle();
    float[] x = samples(image);
    for (String operator : List.of("max", "avg")) {
      float[] expected = operator.equals("max") ? oracle.max(x, 0) : rounded(oracle.average(x));

      Path picture = folder.resolve(operator + ".png");
      pool(in, picture, test.options(operator)).requireSuccess();
      BufferedImage pooled = ImageIO.read(picture.toFile());
      assertNotNull(pooled);
      assertEquals(oracle.output[1], pooled.getHeight());
      assertEquals(oracle.output[2], pooled.getWidth());
      assertArrayEquals(expected, samples(pooled));

      Path planar = folder.resolve(operator + ".npy");
      pool(in, planar, test.options(operator)).requireSuccess();
      assertArrayEquals(test.outputExtents(), NpyFile.read(planar).extents());
      assertArrayEquals(expected, NpyFile.read(planar).unsignedBytes());

      Case interleaved = Case.of("HWC", height + "x" + width + "x" + channels, options);
      pool(in, planar, interleaved.options(operator)).requireSuccess();
      assertArrayEquals(interleaved.outputExtents(), NpyFile.read(planar).extents());
      assertArrayEquals(
          expected,
          interleaved.toPlanes(NpyFile.read(planar).unsignedBytes(), oracle.outputPlane()));
    }
  }

  /** Samples plane by plane: red, green, blue, or grey. */
  private static float[] samples(BufferedImage image) {
    int bands = image.getRaster().getNumBands();
    int size = image.getWidth() * image.getHeight();
    float[] samples = new float[bands * size];
    for (int band = 0; band < bands; band++) {
      float[] plane =
          image
              .getRaster()
              .getSamples(0, 0, image.getWidth(), image.getHeight(), band, (float[]) null);
      System.arraycopy(plane, 0, samples, band * size, size);
    }
    return samples;
  }

  @Test
  void arrayOfBytesGivesAPicture() throws IOException {
    float[] x = Case.values(8, 3 * 8 * 8, 256);
    Path in = NpyFile.writeUnsignedBytes(folder.resolve("x.npy"), x, 3, 8, 8);
    Path out = folder.resolve("y.png");
    pool(in, out, List.of("--op", "max", "--kernel", "2,2")).requireSuccess();
    Case test = Case.of("CHW", "3x8x8", "--kernel 2,2");
    assertArrayEquals(test.oracle().max(x, 0), samples(ImageIO.read(out.toFile())));
  }
}
