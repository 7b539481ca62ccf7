package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/**
 * The picture of the exhibits: small, so that single pixels can be seen, and of three channels.
 *
 * @param photo 1×3×H×W, f32, planar, grey levels 0 to 255
 * @param noisy the same with {@value #NOISE_PERCENT} % of the pixels turned white or black
 * @param substituted whether it is the sample, because the picture asked for shows too little
 */
record Scene(Tensor photo, Tensor noisy, boolean substituted) {
  private static final int LONGER_SIDE = 240;

  private static final int LEAST_SIDE = 48;
  private static final int LEAST_COLORS = 16;

  private static final int NOISE_PERCENT = 6;

  /** The scene of a picture; that of the sample if the picture is tiny or nearly of one colour. */
  static Scene of(Picture picture, Arena arena) {
    List<Field> planes = planes(picture);
    boolean telling =
        Math.min(picture.height(), picture.width()) >= LEAST_SIDE && colors(planes) >= LEAST_COLORS;
    if (!telling) {
      planes = planes(Picture.sample(arena));
    }
    return new Scene(tensor(planes, arena), tensor(noisy(planes), arena), !telling);
  }

  private static List<Field> planes(Picture picture) {
    List<Field> planes = new ArrayList<>();
    for (int c = 0; c < 3; c++) {
      int channel = Math.min(c, picture.channels() - 1);
      planes.add(Field.plane(picture.tensor(), channel).shrunk(LONGER_SIDE));
    }
    return planes;
  }

  private static long colors(List<Field> planes) {
    return IntStream.range(0, planes.getFirst().values().length)
        .mapToObj(i -> planes.stream().map(plane -> plane.values()[i]).toList())
        .distinct()
        .limit(LEAST_COLORS)
        .count();
  }

  private static List<Field> noisy(List<Field> planes) {
    return planes.stream()
        .map(
            plane -> {
              float[] values = plane.values().clone();
              for (int i = 0; i < values.length; i++) {
                long mixed = (i + 1) * 0x9E3779B97F4A7C15L;
                long dice = Long.remainderUnsigned(mixed ^ mixed >>> 29, 200);
                if (dice < 2 * NOISE_PERCENT) {
                  values[i] = dice % 2 * 255;
                }
              }
              return new Field(plane.width(), plane.height(), values);
            })
        .toList();
  }

  /** Planes as a tensor of one image. */
  static Tensor tensor(List<Field> planes, Arena arena) {
    Field first = planes.getFirst();
    float[] values = new float[planes.size() * first.values().length];
    for (int c = 0; c < planes.size(); c++) {
      System.arraycopy(
          planes.get(c).values(), 0, values, c * first.values().length, first.values().length);
    }
    return Tensor.of(arena, Shape.nchw(1, planes.size(), first.height(), first.width()), values);
  }
}
