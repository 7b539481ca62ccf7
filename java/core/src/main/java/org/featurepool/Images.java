package org.featurepool;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.channels.Channels;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Locale;
import java.util.Objects;
import java.util.TreeSet;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageOutputStream;

/**
 * Pictures, through ImageIO: the formats of the JDK (PNG, JPEG, BMP, GIF, TIFF) and those of every
 * reader on the class path, such as TwelveMonkeys' (WebP, CMYK JPEG ...).
 */
public final class Images {
  private static final int GRAY = 1;
  private static final int RGB = 3;
  private static final int RGBA = 4;
  private static final int MAX_SAMPLE = 255;

  /** Of four samples each, as many as an array of Java holds. */
  private static final long MAX_PIXELS = (Integer.MAX_VALUE - 8) / RGBA;

  private Images() {}

  /**
   * Reads a picture as a planar tensor.
   *
   * @param file the picture; the first one if the file holds several
   * @param arena owner of the tensor's memory
   * @return a {@link DType#U8} tensor, see {@link #read(Path, Arena, Layout)}
   * @throws IOException if the file cannot be read or is no picture
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static Tensor read(Path file, Arena arena) throws IOException {
    return read(file, arena, Layout.PLANAR);
  }

  /**
   * Reads a picture.
   *
   * <p>Grey pictures give one channel, coloured ones three (R, G, B), those with transparency four
   * (R, G, B, alpha, not premultiplied). Samples of other than 8 bits are scaled to 0 ... 255;
   * palettes are looked up; other colour spaces than sRGB and grey are converted to sRGB. The
   * orientation that a camera may have noted is not applied.
   *
   * @param file the picture; the first one if the file holds several
   * @param arena owner of the tensor's memory
   * @param layout order of the tensor's axes in memory
   * @return a {@link DType#U8} tensor of 1 image, 1, 3 or 4 channels, and the picture's height and
   *     width
   * @throws IOException if the file cannot be read or is no picture
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static Tensor read(Path file, Arena arena, Layout layout) throws IOException {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(arena, "arena");
    Objects.requireNonNull(layout, "layout");
    BufferedImage image = decode(file);
    Samples samples = Samples.of(image);
    int width = image.getWidth();
    int height = image.getHeight();
    int channels = samples.channels();
    Tensor tensor = Tensor.allocate(arena, DType.U8, Shape.of(layout, 1, channels, height, width));
    boolean planar = layout == Layout.PLANAR;
    long pixelStep = planar ? 1 : channels;
    long channelStep = planar ? (long) width * height : 1;
    byte[] row = new byte[width * channels];
    for (int y = 0; y < height; y++) {
      samples.row(y, row);
      long rowAt = y * (width * pixelStep);
      for (int x = 0; x < width; x++) {
        for (int c = 0; c < channels; c++) {
          tensor
              .segment()
              .set(
                  ValueLayout.JAVA_BYTE,
                  rowAt + x * pixelStep + c * channelStep,
                  row[x * channels + c]);
        }
      }
    }
    return tensor;
  }

  private static BufferedImage decode(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(file.toString());
    }
    if (!Files.isReadable(file)) {
      throw new AccessDeniedException(file.toString());
    }
    if (!Files.isRegularFile(file)) {
      throw new IOException(file + " is no file");
    }
    try (ImageInputStream input = ImageIO.createImageInputStream(file.toFile())) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(input);
      if (!readers.hasNext()) {
        throw new IOException(
            file + " is no picture that can be read; the formats are " + formats(true));
      }
      ImageReader reader = readers.next();
      try {
        reader.setInput(input, true, true);
        long pixels = (long) reader.getWidth(0) * reader.getHeight(0);
        if (pixels > MAX_PIXELS) {
          throw new IOException(
              "it has " + pixels + " pixels; at most " + MAX_PIXELS + " are read");
        }
        return reader.read(0);
      } catch (IOException | RuntimeException e) {
        // Readers fail in many ways on broken files; to the caller they are all the same.
        throw new IOException(
            file + " is a broken " + reader.getFormatName() + " picture: " + e.getMessage(), e);
      } finally {
        reader.dispose();
      }
    }
  }

  private static String formats(boolean read) {
    String[] names = read ? ImageIO.getReaderFileSuffixes() : ImageIO.getWriterFileSuffixes();
    TreeSet<String> distinct = new TreeSet<>();
    for (String name : names) {
      if (!name.isEmpty()) {
        distinct.add(name.toLowerCase(Locale.ROOT));
      }
    }
    return String.join(", ", distinct);
  }

  /** The pixels of a picture as rows of 8-bit samples, R, G, B, alpha interleaved. */
  private interface Samples {
    int channels();

    void row(int y, byte[] row);

    static Samples of(BufferedImage image) {
      ColorModel model = image.getColorModel();
      boolean plain =
          !(model instanceof IndexColorModel)
              && !model.isAlphaPremultiplied()
              && isIntegral(model.getTransferType());
      int bands = image.getRaster().getNumBands();
      if (plain && model.getColorSpace().getType() == ColorSpace.TYPE_GRAY && bands == GRAY) {
        return new Direct(image.getRaster(), model, GRAY);
      }
      if (plain && model.getColorSpace().isCS_sRGB() && (bands == RGB || bands == RGBA)) {
        return new Direct(image.getRaster(), model, bands);
      }
      if (model instanceof IndexColorModel palette && isGray(palette)) {
        return new Converted(image, GRAY);
      }
      return new Converted(image, model.hasAlpha() ? RGBA : RGB);
    }

    private static boolean isIntegral(int transferType) {
      return transferType == DataBuffer.TYPE_BYTE
          || transferType == DataBuffer.TYPE_USHORT
          || transferType == DataBuffer.TYPE_INT;
    }

    private static boolean isGray(IndexColorModel palette) {
      if (palette.hasAlpha()) {
        return false;
      }
      for (int i = 0; i < palette.getMapSize(); i++) {
        if (palette.getRed(i) != palette.getGreen(i) || palette.getRed(i) != palette.getBlue(i)) {
          return false;
        }
      }
      return true;
    }
  }

  /** Grey and sRGB samples as they are stored: conversion by colour space would change greys. */
  private record Direct(Raster raster, ColorModel model, int channels) implements Samples {
    @Override
    public void row(int y, byte[] row) {
      int[] samples =
          raster.getPixels(
              raster.getMinX(), raster.getMinY() + y, raster.getWidth(), 1, (int[]) null);
      for (int i = 0; i < row.length; i++) {
        long most = (1L << model.getComponentSize(i % channels)) - 1;
        row[i] = (byte) ((samples[i] * MAX_SAMPLE + most / 2) / most);
      }
    }
  }

  /** Any other picture, through its colour model. */
  private record Converted(BufferedImage image, int channels) implements Samples {
    @Override
    public void row(int y, byte[] row) {
      int[] argb = image.getRGB(0, y, image.getWidth(), 1, null, 0, image.getWidth());
      for (int x = 0; x < argb.length; x++) {
        for (int c = 0; c < channels; c++) {
          int shift = c == RGBA - 1 ? 24 : 8 * (RGB - 1 - c);
          row[x * channels + c] = (byte) (argb[x] >>> shift);
        }
      }
    }
  }

  /**
   * Writes a tensor as a picture, in the format that the file's extension names; wholly or not at
   * all.
   *
   * @param file the file, for example {@code out.png}; replaced if it exists
   * @param tensor a {@link DType#U8} tensor of rank 2 with 1 image and 1 (grey), 3 (R, G, B) or 4
   *     (R, G, B, alpha) channels, in any layout
   * @throws IllegalArgumentException if the tensor is another, the extension names no format that
   *     can be written, or the format cannot hold the channels (JPEG has no alpha)
   * @throws IOException if the file cannot be written; a file that existed is then unchanged
   */
  public static void write(Path file, Tensor tensor) throws IOException {
    Objects.requireNonNull(file, "file");
    BufferedImage image = toImage(Objects.requireNonNull(tensor, "tensor"));
    String name = Objects.toString(file.getFileName(), "");
    String suffix = name.substring(name.lastIndexOf('.') + 1);
    ImageWriter writer = writer(image, suffix);
    if (writer == null) {
      boolean known = ImageIO.getImageWritersBySuffix(suffix).hasNext();
      throw new IllegalArgumentException(
          known
              ? file
                  + ": "
                  + suffix
                  + " pictures cannot hold "
                  + tensor.shape().channels()
                  + " channels; use png"
              : file
                  + ": no picture format has the extension '"
                  + suffix
                  + "'; use one of "
                  + formats(false));
    }
    try {
      AtomicFile.write(
          file,
          channel -> {
            try (ImageOutputStream output =
                ImageIO.createImageOutputStream(Channels.newOutputStream(channel))) {
              writer.setOutput(output);
              writer.write(image);
            }
          });
    } finally {
      writer.dispose();
    }
  }

  private static ImageWriter writer(BufferedImage image, String suffix) {
    Iterator<ImageWriter> writers =
        ImageIO.getImageWritersBySuffix(suffix.toLowerCase(Locale.ROOT));
    while (writers.hasNext()) {
      ImageWriter writer = writers.next();
      if (writer.getOriginatingProvider().canEncodeImage(image)) {
        return writer;
      }
    }
    return null;
  }

  private static BufferedImage toImage(Tensor tensor) {
    Shape shape = tensor.shape();
    boolean channelsFit =
        shape.channels() == GRAY || shape.channels() == RGB || shape.channels() == RGBA;
    if (tensor.dtype() != DType.U8
        || shape.spatialRank() != 2
        || shape.batch() != 1
        || !channelsFit) {
      throw new IllegalArgumentException(
          "tensor is " + tensor + "; a picture is U8, 1 image of rank 2 with 1, 3 or 4 channels");
    }
    if (shape.elementCount() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "tensor is " + tensor + "; a picture has less than 2^31 samples");
    }
    int height = (int) shape.spatial(0);
    int width = (int) shape.spatial(1);
    int channels = (int) shape.channels();
    int type =
        switch (channels) {
          case GRAY -> BufferedImage.TYPE_BYTE_GRAY;
          case RGB -> BufferedImage.TYPE_3BYTE_BGR;
          default -> BufferedImage.TYPE_4BYTE_ABGR;
        };
    BufferedImage image = new BufferedImage(width, height, type);
    WritableRaster raster = image.getRaster();
    int[] row = new int[width * channels];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        for (int c = 0; c < channels; c++) {
          row[x * channels + c] =
              Byte.toUnsignedInt(
                  tensor.segment().get(ValueLayout.JAVA_BYTE, shape.offset(0, c, y, x)));
        }
      }
      raster.setPixels(0, y, width, 1, row);
    }
    return image;
  }
}
