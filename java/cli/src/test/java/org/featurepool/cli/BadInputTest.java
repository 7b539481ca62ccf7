package org.featurepool.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whatever is wrong: one line, exit status 2, no output file. */
class BadInputTest {
  @TempDir Path folder;
  private Path in;
  private Path out;

  @BeforeEach
  void makeInput() throws IOException {
    in = NpyFile.writeFloats(folder.resolve("x.npy"), new float[2 * 8 * 8], 2, 8, 8);
    out = folder.resolve("y.npy");
  }

  private void refuse(String fragment, Path input, Path output, String options) throws IOException {
    List<Object> args = new ArrayList<>(List.of("pool", input, "-o", output));
    args.addAll(List.of(options.split(" ")));
    Program.refuse(folder, fragment, args.toArray());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          kernel is 0            | --op max --kernel 0,2
          kernel is -1           | --op max --kernel 2,-1
          stride is 0            | --op max --kernel 2,2 --stride 0,1
          stride is -3           | --op max --kernel 2,2 --stride -3
          dilation is 0          | --op avg --kernel 2,2 --dilation 1,0
          dilation is -1         | --op avg --kernel 2,2 --dilation -1
          less than the dilated kernel, 2 | --op max --kernel 2,2 --pad 2,0,0,0
          less than the dilated kernel, 3 | --op max --kernel 2,2 --dilation 2 --pad 0,0,0,3
          is -1                  | --op max --kernel 2,2 --pad -1,0,0,0
          more than the padded input has | --op max --kernel 9,2
          more than the padded input has | --op max --kernel 5,5 --dilation 3
          (less than 2^63) | --op max --kernel 9223372036854775808,1
          its product must be less than 2^63 | --op max --kernel 9223372036854775807,9223372036854775807
          --kernel 2,2,2,2 has 4 values | --op max --kernel 2,2,2,2
          --stride 1,1,1 has 3 values | --op max --kernel 2,2 --stride 1,1,1
          --dilation 1,1,1 has 3 values | --op max --kernel 2,2 --dilation 1,1,1
          --pad 1,1 has 2 values; a 2D window takes 4 (top,left,bottom,right) | --op max --kernel 2,2 --pad 1,1
          'circular' is neither same_upper, same_lower, valid nor numbers | --op max --kernel 2,2 --pad circular
          must be 0              | --op max --kernel 2,2 --pad same_upper --ceil
          'two' is no list of whole numbers | --op max --kernel two
          '2,' is no list of whole numbers | --op max --kernel 2,
          '2.5' is no list of whole numbers | --op max --kernel 2.5
          'medain' is no operator; it must be one of max, min, avg, | --op medain --kernel 2,2
          'hwcn' is neither nchw nor nhwc | --op max --kernel 2,2 --layout hwcn
          '--op=OPERATOR' | --kernel 2,2
          --op max needs --kernel=K,.. | --op max
          '--kernel' (K,..) should be specified only once | --op max --kernel 2,2 --kernel 2,2
          --include-pad belongs to avg; --op is max | --op max --kernel 2,2 --include-pad
          --divisor belongs to avg; --op is max | --op max --kernel 2,2 --divisor 3
          --output belongs to | --op max --kernel 2,2 --output 2,2
          --kernel belongs to max, min, avg, | --op adaptive-max --kernel 2,2
          --op adaptive-avg needs --output=O,.. | --op adaptive-avg
          --output 2,2,2,2 has 4 values | --op adaptive-avg --output 2,2,2,2
          output is 0            | --op adaptive-max --output 2,0
          --rank is 4; it must be 1, 2 or 3 | --op global-max --rank 4
          divisor is 0           | --op avg --kernel 2,2 --divisor 0
          --mask-out belongs to max, min, | --op avg --kernel 2,2 --mask-out m.npy
          must end in .npy       | --op max --kernel 2,2 --mask-out m.png
          --threads is 0; it must be 1 to 1024 | --op max --kernel 2,2 --threads 0
          --threads is 1025      | --op max --kernel 2,2 --threads 1025
          'many' is no whole number | --op max --kernel 2,2 --threads many
          '--stirde' | --op max --kernel 2,2 --stirde 2,2
          Unmatched argument     | --op max --kernel 2,2 more
          """)
  void options(String fragment, String options) throws IOException {
    refuse(fragment, in, out, options);
  }

  @Test
  void commands() throws IOException {
    Program.refuse(folder, "no command; commands are demo, pool, backward, conformance, info");
    Program.refuse(folder, "'swim'", "swim");
    Program.refuse(
        folder,
        "Missing required parameter: 'IN'",
        "pool",
        "-o",
        out,
        "--op",
        "max",
        "--kernel",
        "2,2");
    Program.refuse(
        folder,
        "Missing required option: '--out=OUT'",
        "pool",
        in,
        "--op",
        "max",
        "--kernel",
        "2,2");
    Program.refuse(folder, "Unmatched argument", "info", "more");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          2     | 5           | nchw | 2 (CW) or 3 (NCW)
          2     | 1x2x3x4     | nchw | 2 (CW) or 3 (NCW)
          2     | 1x2x3x4     | nhwc | 2 (WC) or 3 (NWC)
          2,2   | 1x1x1x1x1   | nchw | 2 (HW), 3 (CHW) or 4 (NCHW)
          2,2   | 1x1x1x1x1   | nhwc | 2 (HW), 3 (HWC) or 4 (NHWC)
          2,2,2 | 4x4         | nchw | 3 (DHW), 4 (CDHW) or 5 (NCDHW)
          2,2,2 | 4x4         | nhwc | 3 (DHW), 4 (DHWC) or 5 (NDHWC)
          2,2   | 1x1x1x1x1x1 | nchw | has 6 axes (1x1x1x1x1x1)
          """)
  void numberOfAxes(String kernel, String extents, String layout, String fragment)
      throws IOException {
    long[] axes = Arrays.stream(extents.split("x")).mapToLong(Long::parseLong).toArray();
    int count = (int) Arrays.stream(axes).reduce(1, (a, b) -> a * b);
    Path array = NpyFile.writeFloats(folder.resolve("axes.npy"), new float[count], axes);
    refuse(fragment, array, out, "--op max --kernel " + kernel + " --layout " + layout);
  }

  @ParameterizedTest
  @CsvSource({"1x0x4x4, C is 0", "1x2x0x4, H is 0", "1x2x4x0, W is 0", "0x2x0x4, H is 0"})
  void emptyAxes(String extents, String fragment) throws IOException {
    long[] axes = Arrays.stream(extents.split("x")).mapToLong(Long::parseLong).toArray();
    Path array = NpyFile.writeFloats(folder.resolve("empty.npy"), new float[0], axes);
    refuse(fragment, array, out, "--op max --kernel 2,2");
  }

  @Test
  void extentsThatOverflow() throws IOException {
    long[] extents = {1L << 32, 1L << 32};
    Path array = NpyFile.writeFloats(folder.resolve("huge.npy"), new float[4], extents);
    refuse("less than 2^63", array, out, "--op max --kernel 2,2");
    // No data at all, but an image of which is impossible.
    Path empty =
        NpyFile.writeFloats(
            folder.resolve("none.npy"), new float[0], 0, 1L << 31, 1L << 31, 1L << 31);
    refuse("less than 2^63", empty, out, "--op max --kernel 2,2");
  }

  @Test
  void arraysThatAreNone() throws IOException {
    byte[] data = new byte[256];
    long[] extents = {4, 8};
    Object[][] refused = {
      {"Fortran order", "'<f4'", true},
      {"big-endian", "'>f4'", false},
      {"Python objects", "'|O'", false},
      {"records", "[('a', '<f4')]", false},
      {"int64; it must hold float32, float64, float16, int8, uint8 or int32", "'<i8'", false},
      {"'<c8'", "'<c8'", false},
    };
    for (Object[] row : refused) {
      Path array = folder.resolve("bad.npy");
      NpyFile.write(array, row[1].toString(), (boolean) row[2], extents, data);
      refuse(row[0].toString(), array, out, "--op max --kernel 2,2");
    }
  }

  @Test
  void truncatedArrays() throws IOException {
    byte[] whole = Files.readAllBytes(in);
    Path truncated = folder.resolve("truncated.npy");
    for (int length : new int[] {0, 3, 8, 9, 40, whole.length - 1}) {
      Files.write(truncated, Arrays.copyOf(whole, length));
      refuse("truncated.npy: ", truncated, out, "--op max --kernel 2,2");
    }
  }

  @Test
  void picturesThatAreNone() throws IOException {
    Path text = Files.writeString(folder.resolve("text.png"), "This is no picture.");
    refuse("text.png is no picture", text, out, "--op max --kernel 2,2");
    Path picture = picture(BufferedImage.TYPE_INT_RGB);
    byte[] whole = Files.readAllBytes(picture);
    Path broken = folder.resolve("broken.png");
    Files.write(broken, Arrays.copyOf(whole, whole.length / 2));
    refuse("broken.png is a broken png", broken, out, "--op max --kernel 2,2");
    Path empty = Files.createFile(folder.resolve("empty.jpg"));
    refuse("empty.jpg is no picture", empty, out, "--op max --kernel 2,2");
  }

  private Path picture(int type) throws IOException {
    Path picture = folder.resolve("picture.png");
    ImageIO.write(new BufferedImage(32, 32, type), "png", picture.toFile());
    return picture;
  }

  @Test
  void windowsOfPictures() throws IOException {
    Path picture = picture(BufferedImage.TYPE_BYTE_GRAY);
    refuse("a picture has 2 (height,width)", picture, out, "--op max --kernel 2");
    refuse("a picture has 2 (height,width)", picture, out, "--op max --kernel 2,2,2");
    refuse("more than the padded input has", picture, out, "--op max --kernel 33,2");
  }

  @Test
  void missingInputs() throws IOException {
    refuse(
        "nothing.npy does not exist", folder.resolve("nothing.npy"), out, "--op max --kernel 2,2");
    refuse("is a folder", folder, out, "--op max --kernel 2,2");
  }

  @Test
  void outputsThatCannotBe() throws IOException {
    String options = "--op max --kernel 2,2";
    refuse("is a folder", in, Files.createDirectory(folder.resolve("folder.npy")), options);
    refuse("there is no folder", in, folder.resolve("nowhere").resolve("y.npy"), options);
    refuse("no known format", in, folder.resolve("y.txt"), options);
    refuse("no known format", in, folder.resolve("npy"), options);
    refuse("no regular file", in, Path.of("/dev/null"), options);
    refuse("is written already", in, out, options + " --mask-out " + out);
    refuse("there is no folder", in, out, options + " --mask-out " + folder.resolve("no/m.npy"));
    // float32, five channels, a batch: none of these is a picture.
    refuse("cannot hold float32", in, folder.resolve("y.png"), options);
    Path channels =
        NpyFile.writeUnsignedBytes(folder.resolve("five.npy"), new float[5 * 16], 5, 4, 4);
    refuse("1, 3 or 4 channels", channels, folder.resolve("y.png"), options);
    Path batch =
        NpyFile.writeUnsignedBytes(folder.resolve("two.npy"), new float[2 * 16], 2, 1, 4, 4);
    refuse("1 image", batch, folder.resolve("y.png"), options);
    refuse(
        "y.jpg: jpg pictures cannot hold 4 channels",
        picture(BufferedImage.TYPE_INT_ARGB),
        folder.resolve("y.jpg"),
        options);
  }
}
