package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.WritableRaster;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImagesTest {
  @TempDir private Path folder;

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  private Tensor gradient(int channels, int height, int width, Layout layout) {
    Tensor tensor = Tensor.allocate(arena, DType.U8, Shape.of(layout, 1, channels, height, width));
    for (int c = 0; c < channels; c++) {
      for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
          tensor.set((x * 11 + y * 5 + c * 40) % 256, 0, c, y, x);
        }
      }
    }
    return tensor;
  }

  @ParameterizedTest
  @CsvSource({"1, png", "3, png", "4, png", "3, bmp", "1, PNG", "3, tiff"})
  void losslessFormatsGiveBackWhatWasWritten(int channels, String suffix) throws IOException {
    for (Layout layout : Layout.values()) {
      Tensor tensor = gradient(channels, 13, 17, layout);
      Path file = folder.resolve("picture." + suffix);
      Images.write(file, tensor);
      for (Layout other : Layout.values()) {
        Tensor read = Images.read(file, arena, other);
        assertEquals(tensor.shape().withLayout(other), read.shape());
        assertArrayEquals(
            tensor.toByteArray(), read.toLayout(layout, arena).toByteArray(), file.toString());
      }
    }
    assertEquals(
        Layout.PLANAR, Images.read(folder.resolve("picture." + suffix), arena).shape().layout());
  }

  @ParameterizedTest
  @CsvSource({"1, jpg", "3, jpeg"})
  void jpegIsClose(int channels, String suffix) throws IOException {
    Tensor flat = Tensor.allocate(arena, DType.U8, Shape.nchw(1, channels, 16, 16));
    flat.segment().fill((byte) 100);
    Path file = folder.resolve("picture." + suffix);
    Images.write(file, flat);
    Tensor read = Images.read(file, arena);
    assertEquals(flat.shape(), read.shape());
    for (int value : read.toIntArray()) {
      assertEquals(100, value, 2);
    }
  }

  private Tensor read(BufferedImage image) throws IOException {
    Path file = folder.resolve("picture.png");
    assertTrue(ImageIO.write(image, "png", file.toFile()));
    return Images.read(file, arena);
  }

  @Test
  void sixteenBitGreyIsScaled() throws IOException {
    BufferedImage image = new BufferedImage(3, 1, BufferedImage.TYPE_USHORT_GRAY);
    image.getRaster().setPixels(0, 0, 3, 1, new int[] {0, 0x8080, 0xffff});
    Tensor tensor = read(image);
    assertEquals(Shape.nchw(1, 1, 1, 3), tensor.shape());
    assertArrayEquals(new int[] {0, 128, 255}, tensor.toIntArray());
  }

  @Test
  void sixteenBitColourIsScaled() throws IOException {
    ComponentColorModel model =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_sRGB),
            false,
            false,
            Transparency.OPAQUE,
            DataBuffer.TYPE_USHORT);
    WritableRaster raster = model.createCompatibleWritableRaster(1, 2);
    raster.setPixels(0, 0, 1, 2, new int[] {0, 0x8080, 0xffff, 257, 514, 771});
    Tensor tensor = read(new BufferedImage(model, raster, false, null));
    assertEquals(Shape.nchw(1, 3, 2, 1), tensor.shape());
    assertArrayEquals(new int[] {0, 1, 128, 2, 255, 3}, tensor.toIntArray());
  }

  @Test
  void palettesAreLookedUp() throws IOException {
    byte[] ramp = {0, 50, 100, (byte) 200};
    byte[] other = {9, 8, 7, 6};
    IndexColorModel coloured = new IndexColorModel(2, 4, ramp, other, ramp);
    IndexColorModel grey = new IndexColorModel(2, 4, ramp, ramp, ramp);
    IndexColorModel transparent = new IndexColorModel(2, 4, ramp, other, ramp, other);
    for (IndexColorModel palette : new IndexColorModel[] {coloured, grey, transparent}) {
      BufferedImage image = new BufferedImage(4, 1, BufferedImage.TYPE_BYTE_BINARY, palette);
      image.getRaster().setPixels(0, 0, 4, 1, new int[] {0, 1, 2, 3});
      Tensor tensor = read(image);
      int channels = palette == grey ? 1 : palette == coloured ? 3 : 4;
      assertEquals(Shape.nchw(1, channels, 1, 4), tensor.shape());
      assertEquals(200, tensor.get(0, 0, 0, 3));
      assertEquals(50, tensor.get(0, channels == 1 ? 0 : 2, 0, 1));
      if (channels > 1) {
        assertEquals(7, tensor.get(0, 1, 0, 2));
      }
      if (channels == 4) {
        assertEquals(8, tensor.get(0, 3, 0, 1));
      }
    }
  }

  @Test
  void oneBitGreyIsGrey() throws IOException {
    BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY);
    image.setRGB(1, 0, 0xffffff);
    Tensor tensor = read(image);
    assertEquals(Shape.nchw(1, 1, 1, 2), tensor.shape());
    assertArrayEquals(new int[] {0, 255}, tensor.toIntArray());
  }

  @Test
  void greyWithAlphaGivesFourChannels() throws IOException {
    ComponentColorModel model =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_GRAY),
            true,
            false,
            Transparency.TRANSLUCENT,
            DataBuffer.TYPE_BYTE);
    WritableRaster raster = model.createCompatibleWritableRaster(1, 1);
    raster.setPixels(0, 0, 1, 1, new int[] {255, 77});
    Tensor tensor = read(new BufferedImage(model, raster, false, null));
    assertArrayEquals(new int[] {255, 255, 255, 77}, tensor.toIntArray());
  }

  private void assertNoPicture(Path file, String... inMessage) {
    IOException refusal = assertThrows(IOException.class, () -> Images.read(file, arena));
    assertTrue(refusal.getMessage().contains(file.toString()), refusal.getMessage());
    for (String text : inMessage) {
      assertTrue(refusal.getMessage().contains(text), refusal.getMessage());
    }
  }

  @Test
  void filesThatAreNoPicture() throws IOException {
    Path file = folder.resolve("picture.png");
    assertThrows(NoSuchFileException.class, () -> Images.read(file, arena));
    assertNoPicture(folder, "no file");
    Files.write(file, new byte[0]);
    assertNoPicture(file, "no picture", "png");
    Files.writeString(file, "This is a letter.", StandardCharsets.UTF_8);
    assertNoPicture(file, "no picture", "png");
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "jpg", "bmp", "gif", "tiff"})
  void brokenPicturesAreExceptionsOrPictures(String suffix) throws IOException {
    Path file = folder.resolve("picture." + suffix);
    Images.write(file, gradient(suffix.equals("gif") ? 1 : 3, 32, 32, Layout.PLANAR));
    byte[] whole = Files.readAllBytes(file);
    for (int i = 0; i < 60; i++) {
      byte[] damaged = Arrays.copyOf(whole, whole.length * (60 - i) / 61);
      Files.write(file, damaged);
      readOrRefuse(file);
      byte[] changed = whole.clone();
      changed[whole.length * i / 61] ^= (byte) (1 << i % 8);
      Files.write(file, changed);
      readOrRefuse(file);
    }
  }

  private void readOrRefuse(Path file) {
    try {
      Images.read(file, arena);
    } catch (IOException refusal) {
      assertTrue(refusal.getMessage().contains(file.toString()), refusal.getMessage());
    }
  }

  @Test
  void whatIsNoPictureIsNotWritten() throws IOException {
    Path png = folder.resolve("picture.png");
    for (Tensor tensor :
        new Tensor[] {
          Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 2, 2)),
          Tensor.allocate(arena, DType.U8, Shape.nchw(1, 2, 2, 2)),
          Tensor.allocate(arena, DType.U8, Shape.nchw(2, 3, 2, 2)),
          Tensor.allocate(arena, DType.U8, Shape.ncw(1, 3, 2))
        }) {
      IllegalArgumentException refusal =
          assertThrows(IllegalArgumentException.class, () -> Images.write(png, tensor));
      assertTrue(refusal.getMessage().contains(tensor.toString()), refusal.getMessage());
    }
    Tensor alpha = gradient(4, 8, 8, Layout.PLANAR);
    for (String name : new String[] {"picture.jpg", "picture.xyz", "picture"}) {
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class, () -> Images.write(folder.resolve(name), alpha));
      assertTrue(refusal.getMessage().contains("png"), refusal.getMessage());
    }
    assertThrows(IOException.class, () -> Images.write(folder.resolve("no/such.png"), alpha));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count(), "nothing was written");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"webp", "pnm"})
  void furtherReadersAreFound(String format) {
    assertTrue(ImageIO.getImageReadersByFormatName(format).hasNext(), format);
  }

  @ParameterizedTest
  @CsvSource({
    "chelsea.png, 3, 300, 451",
    "coffee.png, 3, 400, 600",
    "camera.png, 1, 512, 512",
    "astronaut.png, 3, 512, 512",
    "hubble_deep_field.jpg, 3, 872, 1000"
  })
  void realPictures(String name, int channels, int height, int width) throws IOException {
    String shared = System.getProperty("featurepool.shared", System.getenv("FEATUREPOOL_SHARED"));
    Assumptions.assumeTrue(shared != null, "no folder of shared data is named");
    Path file = Path.of(shared, "images", name);
    Tensor tensor = Images.read(file, arena);
    assertEquals(Shape.nchw(1, channels, height, width), tensor.shape());
    BufferedImage image = ImageIO.read(file.toFile());
    for (int i = 0; i < 1000; i++) {
      int x = i * 7919 % width;
      int y = i * 104729 % height;
      int[] pixel = image.getRaster().getPixel(x, y, (int[]) null);
      for (int c = 0; c < channels; c++) {
        assertEquals(pixel[c], tensor.get(0, c, y, x), name + " at " + x + ", " + y);
      }
    }
  }
}
