package org.featurepool.cli.gallery;

import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Base64;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;

/** A small RGB picture that is on its way into the page. */
final class Raster {
  private static final int PALETTE = 256;

  private final int width;
  private final int height;
  private final int[] rgb;

  /**
   * A black picture.
   *
   * @param width columns, at least 1
   * @param height rows, at least 1
   */
  Raster(int width, int height) {
    this.width = width;
    this.height = height;
    this.rgb = new int[width * height];
  }

  int width() {
    return width;
  }

  int height() {
    return height;
  }

  /** The colour of a pixel as 0xRRGGBB. */
  int get(int x, int y) {
    return rgb[y * width + x];
  }

  /** Sets a pixel to 0xRRGGBB. */
  void set(int x, int y, int color) {
    rgb[y * width + x] = color & 0xFFFFFF;
  }

  /** Draws the frame of a rectangle, clipped to the picture. */
  void frame(int x0, int y0, int w, int h, int color) {
    for (int x = x0; x < x0 + w; x++) {
      setInside(x, y0, color);
      setInside(x, y0 + h - 1, color);
    }
    for (int y = y0; y < y0 + h; y++) {
      setInside(x0, y, color);
      setInside(x0 + w - 1, y, color);
    }
  }

  private void setInside(int x, int y, int color) {
    if (x >= 0 && x < width && y >= 0 && y < height) {
      set(x, y, color);
    }
  }

  /** The picture as a PNG in a {@code data:} URI; one byte per pixel where that is enough. */
  String toDataUri() {
    int[] palette = IntStream.of(rgb).distinct().limit(PALETTE + 1).sorted().toArray();
    BufferedImage image =
        palette.length <= PALETTE
            ? indexed(palette)
            : new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, width, height, rgb, 0, width);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      ImageIO.write(image, "png", bytes);
    } catch (IOException e) {
      throw new UncheckedIOException("Encoding a picture in memory failed", e);
    }
    return "data:image/png;base64," + Base64.getEncoder().encodeToString(bytes.toByteArray());
  }

  private BufferedImage indexed(int[] palette) {
    IndexColorModel colors =
        new IndexColorModel(8, palette.length, palette, 0, false, -1, DataBuffer.TYPE_BYTE);
    return new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED, colors);
  }
}
