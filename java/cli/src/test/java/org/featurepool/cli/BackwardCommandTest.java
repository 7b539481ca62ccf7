package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class BackwardCommandTest {
  private static final String[] OPERATORS = {"max", "avg"};

  @TempDir Path folder;

  private static List<Case> cases() {
    return Case.all();
  }

  private Path backward(Path x, Path dy, List<String> options) {
    Path dx = folder.resolve("dx.npy");
    List<Object> args = new ArrayList<>(List.of("backward", x, dy, "-o", dx));
    args.addAll(options);
    Program.run(args.toArray()).requireSuccess();
    return dx;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void gradients(Case test) throws IOException {
    Oracle oracle = test.oracle();
    float[] x = Case.values(1, oracle.planes * oracle.inputPlane(), 5);
    float[] dy = Case.values(2, oracle.planes * oracle.outputPlane(), 64);
    Path floats = folder.resolve("x.npy");
    NpyFile.writeFloats(floats, test.toFile(x, oracle.inputPlane()), test.extents());
    Path bytes = folder.resolve("bytes.npy");
    NpyFile.writeUnsignedBytes(bytes, test.toFile(x, oracle.inputPlane()), test.extents());
    Path gradient = folder.resolve("dy.npy");
    NpyFile.writeFloats(gradient, test.toFile(dy, oracle.outputPlane()), test.outputExtents());

    for (String operator : OPERATORS) {
      double[] expected =
          operator.equals("max") ? oracle.maxBackward(x, dy) : oracle.averageBackward(dy);
      for (Path input : List.of(floats, bytes)) {
        NpyFile dx = NpyFile.read(backward(input, gradient, test.options(operator)));
        assertEquals("<f4", dx.descr());
        assertArrayEquals(test.extents(), dx.extents());
        float[] actual = test.toPlanes(dx.floats(), oracle.inputPlane());
        assertEquals(expected.length, actual.length);
        for (int i = 0; i < actual.length; i++) {
          double bound = operator.equals("max") ? 0 : 1e-5 * (1 + Math.abs(expected[i]));
          assertEquals(expected[i], actual[i], bound, operator + ", element " + i);
        }
      }
    }
  }

  @Test
  void gradientAtAPicture() throws IOException {
    BufferedImage image = new BufferedImage(9, 6, BufferedImage.TYPE_BYTE_GRAY);
    float[] x = Case.values(3, 54, 256);
    image.getRaster().setSamples(0, 0, 9, 6, 0, x);
    Path picture = folder.resolve("x.png");
    ImageIO.write(image, "png", picture.toFile());
    Case test = Case.of("CHW", "1x6x9", "--kernel 3,3 --stride 1,1");
    float[] dy = Case.values(4, 4 * 7, 64);
    Path gradient = NpyFile.writeFloats(folder.resolve("dy.npy"), dy, 1, 4, 7);

    NpyFile dx = NpyFile.read(backward(picture, gradient, test.options("max")));

    assertArrayEquals(new long[] {1, 6, 9}, dx.extents());
    double[] expected = test.oracle().maxBackward(x, dy);
    float[] actual = dx.floats();
    for (int i = 0; i < actual.length; i++) {
      assertEquals(expected[i], actual[i], "element " + i);
    }
  }

  @Test
  void realPicture() throws IOException {
    Path picture = SharedData.folder("images").resolve("chelsea.png");
    BufferedImage image = ImageIO.read(picture.toFile());
    int height = image.getHeight();
    int width = image.getWidth();
    Case test =
        Case.of("HWC", height + "x" + width + "x3", "--kernel 3,3 --stride 2,2 --pad 1,1,1,1");
    Oracle oracle = test.oracle();
    float[] x = new float[3 * height * width];
    for (int c = 0; c < 3; c++) {
      float[] plane = image.getRaster().getSamples(0, 0, width, height, c, (float[]) null);
      System.arraycopy(plane, 0, x, c * height * width, height * width);
    }
    float[] dy = Case.values(5, oracle.planes * oracle.outputPlane(), 64);
    Path gradient = folder.resolve("dy.npy");
    NpyFile.writeFloats(gradient, test.toFile(dy, oracle.outputPlane()), test.outputExtents());

    NpyFile dx = NpyFile.read(backward(picture, gradient, test.options("max")));

    double[] expected = oracle.maxBackward(x, dy);
    float[] actual = test.toPlanes(dx.floats(), oracle.inputPlane());
    for (int i = 0; i < actual.length; i++) {
      assertEquals(expected[i], actual[i], "element " + i);
    }
  }

  @Test
  void refusals() throws IOException {
    Path x = NpyFile.writeFloats(folder.resolve("x.npy"), new float[64], 1, 8, 8);
    Path dy = NpyFile.writeFloats(folder.resolve("dy.npy"), new float[16], 1, 4, 4);
    Path bytes = NpyFile.writeUnsignedBytes(folder.resolve("u8.npy"), new float[16], 1, 4, 4);
    Path small = NpyFile.writeFloats(folder.resolve("small.npy"), new float[9], 1, 3, 3);
    Path four = NpyFile.writeFloats(folder.resolve("four.npy"), new float[1], 1, 1, 1, 1);
    Path picture = folder.resolve("dy.png");
    ImageIO.write(new BufferedImage(4, 4, BufferedImage.TYPE_BYTE_GRAY), "png", picture.toFile());
    Path dx = folder.resolve("dx.npy");
    String shapes = "is 1x3x3; the pooling of X gives 1x4x4";
    Object[][] refused = {
      {shapes, x, small, dx, "--kernel", "2,2"},
      {"holds uint8; it must hold float32", x, bytes, dx, "--kernel", "2,2"},
      {"must be an .npy file", x, picture, dx, "--kernel", "2,2"},
      {"must end in .npy", x, dy, folder.resolve("dx.png"), "--kernel", "2,2"},
      {"nothing.npy does not exist", x, folder.resolve("nothing.npy"), dx, "--kernel", "2,2"},
      {"--mask-out", x, dy, dx, "--kernel", "2,2", "--mask-out", "m.npy"},
      {"with --kernel 2 an array has 2 (CW) or 3 (NCW)", four, dy, dx, "--kernel", "2"},
    };
    for (Object[] row : refused) {
      List<Object> args = new ArrayList<>(List.of("backward", row[1], row[2], "-o", row[3]));
      args.addAll(List.of(row).subList(4, row.length));
      args.addAll(List.of("--op", "max"));
      Program.refuse(folder, row[0].toString(), args.toArray());
    }
    Program.refuse(
        folder,
        "Missing required parameter: 'DY'",
        "backward",
        x,
        "-o",
        dx,
        "--op",
        "max",
        "--kernel",
        "2,2");
  }
}
