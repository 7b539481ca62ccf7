package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.random.RandomGenerator;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.global.opencv_imgproc;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Point;
import org.bytedeco.opencv.opencv_core.Size;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.MaxPool;
import org.featurepool.MedianPool;
import org.featurepool.MinPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Image filters are poolings of stride 1: against OpenCV's, on seeded random configurations. */
class OpenCvParityTest {
  private static final int PER_OPERATOR = 150;
  private static final Parity PARITY = new Parity("OpenCV");

  @BeforeAll
  static void oneThread() {
    opencv_core.setNumThreads(1);
  }

  @AfterAll
  static void report() {
    PARITY.report();
  }

  /** A picture, and a window that slides over it by single steps and keeps its size. */
  private record Picture(
      long seed, DType dtype, Layout layout, int channels, int height, int width, int k, int kw) {
    Shape shape() {
      return Shape.of(layout, 1, channels, height, width);
    }

    Window window() {
      return Window.of(k, kw).withStride(1).withPadding(k / 2, kw / 2);
    }

    long taps() {
      return (long) k * kw;
    }

    /** Whether a planar position is so near the border that a window of that half hangs over. */
    boolean nearBorder(int position, int half) {
      int row = position / width % height;
      int column = position % width;
      return row < half || column < half || row >= height - half || column >= width - half;
    }
  }

  private interface Check {
    void accept(Picture picture, double[] x, Arena arena);
  }

  private static void forEachPicture(String operator, boolean square, int largest, Check check) {
    for (int i = 0; i < PER_OPERATOR; i++) {
      long seed = 3_000_000L + i;
      RandomGenerator random = new SplittableRandom(seed);
      int k = 2 * random.nextInt(0, largest / 2 + 1) + 1;
      Picture picture =
          new Picture(
              seed,
              random.nextBoolean() ? DType.F32 : DType.U8,
              random.nextBoolean() ? Layout.PLANAR : Layout.INTERLEAVED,
              random.nextBoolean() ? 1 : 3,
              random.nextInt(1, 50),
              random.nextInt(1, 90),
              k,
              square ? k : 2 * random.nextInt(0, largest / 2 + 1) + 1);
      long size = picture.shape().elementCount();
      double[] x =
          picture.dtype() == DType.U8
              ? random.ints(size, 0, 256).asDoubleStream().toArray()
              : Values.uniform(random, size);
      try (Arena arena = Arena.ofConfined()) {
        check.accept(picture, x, arena);
      }
      PARITY.compared(operator);
    }
  }

  /** Filters one channel after the other, planar values in and out. */
  private static double[] filter(Picture p, double[] x, BiFunction<Mat, Mat, Mat> filter) {
    double[] result = new double[x.length];
    int plane = p.height() * p.width();
    for (int c = 0; c < p.channels(); c++) {
      int from = c * plane;
      double[] filtered =
          Native.scoped(
              () -> {
                Mat source = mat(p, x, from);
                return values(p, filter.apply(source, new Mat()));
              });
      System.arraycopy(filtered, 0, result, from, plane);
    }
    return result;
  }

  private static Mat mat(Picture p, double[] x, int from) {
    boolean bytes = p.dtype() == DType.U8;
    Mat mat = new Mat(p.height(), p.width(), bytes ? opencv_core.CV_8U : opencv_core.CV_32F);
    BytePointer byteValues = new BytePointer(mat.data());
    FloatPointer floatValues = new FloatPointer(mat.data());
    for (int i = 0; i < p.height() * p.width(); i++) {
      if (bytes) {
        byteValues.put(i, (byte) x[from + i]);
      } else {
        floatValues.put(i, (float) x[from + i]);
      }
    }
    return mat;
  }

  private static double[] values(Picture p, Mat mat) {
    BytePointer byteValues = new BytePointer(mat.data());
    FloatPointer floatValues = new FloatPointer(mat.data());
    double[] values = new double[p.height() * p.width()];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          p.dtype() == DType.U8 ? Byte.toUnsignedInt(byteValues.get(i)) : floatValues.get(i);
    }
    return values;
  }

  private static Mat rectangle(Picture p) {
    return opencv_imgproc.getStructuringElement(opencv_imgproc.MORPH_RECT, new Size(p.kw(), p.k()));
  }

  @Test
  void maxIsDilation() {
    forEachPicture(
        "max (dilate)",
        false,
        31,
        (p, x, arena) -> {
          Tensor y =
              MaxPool.of(p.window()).forward(Values.tensor(arena, p.dtype(), p.shape(), x), arena);
          double[] theirs =
              filter(
                  p,
                  x,
                  (from, to) -> {
                    opencv_imgproc.dilate(from, to, rectangle(p));
                    return to;
                  });
          Parity.assertSame(p, theirs, Values.planar(y));
        });
  }

  @Test
  void averageIsBoxFilter() {
    forEachPicture(
        "average (blur)",
        false,
        31,
        (p, x, arena) -> {
          // OpenCV has no border that is not there; padding with zeros is counted here too.
          Tensor y =
              AvgPool.of(p.window())
                  .withIncludePadding()
                  .forward(Values.tensor(arena, p.dtype(), p.shape(), x), arena);
          double[] theirs =
              filter(
                  p,
                  x,
                  (from, to) -> {
                    opencv_imgproc.blur(
                        from,
                        to,
                        new Size(p.kw(), p.k()),
                        new Point(-1, -1),
                        opencv_core.BORDER_CONSTANT);
                    return to;
                  });
          double[] ours = Values.planar(y);
          if (p.dtype() == DType.F32) {
            Parity.assertClose(p, theirs, ours, Parity.sumBound(p.dtype(), p.taps(), 1));
            return;
          }
          Parity.assertClose(p, theirs, ours, 0);
        });
  }

  @Test
  void minIsErosion() {
    forEachPicture(
        "min (erode)",
        false,
        31,
        (p, x, arena) -> {
          Tensor y =
              MinPool.of(p.window()).forward(Values.tensor(arena, p.dtype(), p.shape(), x), arena);
          double[] theirs =
              filter(
                  p,
                  x,
                  (from, to) -> {
                    opencv_imgproc.erode(from, to, rectangle(p));
                    return to;
                  });
          Parity.assertSame(p, theirs, Values.planar(y));
        });
  }

  @Test
  void median() {
    forEachPicture(
        "median (medianBlur)",
        true,
        15,
        (p, x, arena) -> {
          // OpenCV: f32 up to 5x5.
          int k = p.dtype() == DType.F32 ? Math.min(p.k(), 5) : p.k();
          Window window = Window.square(k).withStride(1).withPadding(k / 2);
          Tensor y =
              MedianPool.of(window).forward(Values.tensor(arena, p.dtype(), p.shape(), x), arena);
          double[] theirs =
              filter(
                  p,
                  x,
                  (from, to) -> {
                    opencv_imgproc.medianBlur(from, to, k);
                    return to;
                  });
          Parity.assertClose(
              p,
              theirs,
              Values.planar(y),
              0,
              i -> {
                // OpenCV repeats the border's elements; here padding is not there.
                boolean border = p.nearBorder(i, k / 2);
                if (border) {
                  PARITY.excused("medians at the border");
                }
                return border;
              });
        });
  }
}
