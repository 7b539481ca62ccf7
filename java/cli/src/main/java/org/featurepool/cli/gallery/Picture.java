package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.AdaptivePool;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.gallery.Field.Crop;

/**
 * The picture that the gallery is about.
 *
 * @param name what the page calls it
 * @param note what a reader should know about it; may be empty
 * @param tensor 1×C×H×W, f32, planar, grey levels 0 to 255; one channel or three
 * @param detail its liveliest part, for close-ups
 */
record Picture(String name, String note, Tensor tensor, Crop detail) {
  private static final int DETAIL_WIDTH = 48;
  private static final int DETAIL_HEIGHT = 36;

  /** Larger pictures are made smaller first, which bounds the gallery's time and memory. */
  static final long MOST_PIXELS = 1_500_000;

  /** The generated sample. */
  static Picture sample(Arena arena) {
    Raster raster = SamplePicture.draw();
    Tensor tensor =
        Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, raster.height(), raster.width()));
    MemorySegment segment = tensor.segment();
    long plane = (long) raster.width() * raster.height();
    for (int y = 0; y < raster.height(); y++) {
      for (int x = 0; x < raster.width(); x++) {
        long i = (long) y * raster.width() + x;
        int color = raster.get(x, y);
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, (color >> 16) & 0xFF);
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, plane + i, (color >> 8) & 0xFF);
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, 2 * plane + i, color & 0xFF);
      }
    }
    return of(
        "An evening by the lake",
        "This sample was computed for the gallery: soft gradients, texture, hard edges, single "
            + "bright pixels, lines one pixel wide and small lettering. Name a picture of yours "
            + "with the option \u2011\u2011image to see it here instead.",
        tensor);
  }

  /**
   * A decoded picture; a very large one is averaged down to {@value #MOST_PIXELS} pixels.
   *
   * @param name its file name
   * @param decoded 1×C×H×W, u8, planar; grey or RGB, with or without alpha, which is left out
   * @param arena owner of the f32 copy
   */
  static Picture decoded(String name, Tensor decoded, Arena arena) {
    long channels = decoded.shape().channels();
    long colors = channels >= 3 ? 3 : 1;
    long height = decoded.shape().spatial(0);
    long width = decoded.shape().spatial(1);
    String note = channels > colors ? "Its alpha channel is left out. " : "";
    double scale = Math.sqrt((double) MOST_PIXELS / (height * width));
    try (Arena reducing = Arena.ofConfined()) {
      Tensor bytes = decoded;
      if (scale < 1) {
        long rows = Math.max(1, (long) (height * scale));
        long columns = Math.clamp(MOST_PIXELS / rows, 1, width);
        bytes = AdaptivePool.average(rows, columns).forward(decoded, reducing);
        note +=
            Html.format(
                "The file has %d × %d pixels; adaptive average pooling has made it smaller for "
                    + "this page.",
                width, height);
      }
      Shape shape = Shape.nchw(1, colors, bytes.shape().spatial(0), bytes.shape().spatial(1));
      Tensor tensor = Tensor.allocate(arena, DType.F32, shape);
      for (long i = 0; i < shape.elementCount(); i++) {
        int level = bytes.segment().get(ValueLayout.JAVA_BYTE, i) & 0xFF;
        tensor.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, level);
      }
      return of(name, note.strip(), tensor);
    }
  }

  private static Picture of(String name, String note, Tensor tensor) {
    return new Picture(name, note, tensor, liveliest(Field.channelSum(tensor)));
  }

  int height() {
    return (int) tensor.shape().spatial(0);
  }

  int width() {
    return (int) tensor.shape().spatial(1);
  }

  int channels() {
    return (int) tensor.shape().channels();
  }

  /** "512 × 384, 3 channels". */
  String size() {
    return Html.format(
        "%d × %d pixels, %s", width(), height(), channels() == 1 ? "1 channel" : "3 channels");
  }

  /** The channels of a tensor as planes: one for a grey picture, three for a colour picture. */
  static List<Field> planes(Tensor tensor) {
    List<Field> planes = new ArrayList<>();
    for (int c = 0; c < tensor.shape().channels(); c++) {
      planes.add(Field.plane(tensor, c));
    }
    return planes;
  }

  /** A tensor as a picture with its longer side at most {@code limit}. */
  static Raster whole(Tensor tensor, int limit) {
    List<Field> planes = new ArrayList<>();
    for (int c = 0; c < tensor.shape().channels(); c++) {
      planes.add(Field.plane(tensor, c).shrunk(limit));
    }
    return raster(planes);
  }

  /** A rectangle of a tensor as a picture. */
  static Raster part(Tensor tensor, Crop crop) {
    return raster(planes(tensor).stream().map(plane -> plane.cut(crop)).toList());
  }

  private static Raster raster(List<Field> planes) {
    Raster raster = new Raster(planes.getFirst().width(), planes.getFirst().height());
    for (int y = 0; y < raster.height(); y++) {
      for (int x = 0; x < raster.width(); x++) {
        int color = 0;
        for (int c = 0; c < 3; c++) {
          float value = planes.get(Math.min(c, planes.size() - 1)).at(x, y);
          color = color << 8 | Math.clamp(Math.round(value), 0, 255);
        }
        raster.set(x, y, color);
      }
    }
    return raster;
  }

  /**
   * The part of an output that its {@link #detail} of the input has become, or as near to it as the
   * output's border allows.
   */
  Crop detailOf(WindowCase window) {
    Axis rows = window.rows(height());
    Axis columns = window.columns(width());
    int w = Math.clamp(detail.width() / columns.stride(), 1, columns.output());
    int h = Math.clamp(detail.height() / rows.stride(), 1, rows.output());
    return new Crop(place(columns, detail.x(), w), place(rows, detail.y(), h), w, h);
  }

  private static int place(Axis axis, int inputPosition, int extent) {
    int window =
        Math.ceilDiv(
            inputPosition + axis.padBegin() - (axis.span() - axis.stride()) / 2, axis.stride());
    return Math.clamp(window, 0, axis.output() - extent);
  }

  /** The rectangle with the most contrast, both between neighbours and as a whole. */
  private static Crop liveliest(Field gray) {
    int w = Math.min(DETAIL_WIDTH, gray.width());
    int h = Math.min(DETAIL_HEIGHT, gray.height());
    Crop best = new Crop(0, 0, w, h);
    double most = -1;
    for (int y = 0; y + h <= gray.height(); y += Math.max(2, h / 3)) {
      for (int x = 0; x + w <= gray.width(); x += Math.max(2, w / 3)) {
        Crop crop = new Crop(x, y, w, h);
        double score = liveliness(gray, crop);
        if (score > most) {
          most = score;
          best = crop;
        }
      }
    }
    return best;
  }

  private static double liveliness(Field gray, Crop crop) {
    double edges = 0;
    double sum = 0;
    double squares = 0;
    for (int y = crop.y(); y < crop.y() + crop.height(); y++) {
      for (int x = crop.x(); x < crop.x() + crop.width(); x++) {
        double value = gray.at(x, y);
        sum += value;
        squares += value * value;
        if (x > crop.x()) {
          edges += Math.abs(value - gray.at(x - 1, y));
        }
        if (y > crop.y()) {
          edges += Math.abs(value - gray.at(x, y - 1));
        }
      }
    }
    double n = crop.width() * crop.height();
    double variance = Math.max(0, squares / n - (sum / n) * (sum / n));
    return edges / n * Math.sqrt(variance);
  }
}
