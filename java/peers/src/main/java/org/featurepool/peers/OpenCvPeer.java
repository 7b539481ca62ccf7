package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.opencv.global.opencv_core;
import org.bytedeco.opencv.global.opencv_imgproc;
import org.bytedeco.opencv.opencv_core.Mat;
import org.bytedeco.opencv.opencv_core.Point;
import org.bytedeco.opencv.opencv_core.Rect;
import org.bytedeco.opencv.opencv_core.Scalar;
import org.bytedeco.opencv.opencv_core.Size;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.bench.Contender;
import org.featurepool.bench.Pooling;
import org.featurepool.bench.Result;
import org.featurepool.bench.Task;
import org.featurepool.bench.Workers;
import org.featurepool.bench.Workload;

/**
 * OpenCV's image filters, which are poolings of stride 1, and its halving of pictures: one call per
 * plane, or per image where channels are innermost.
 */
public final class OpenCvPeer implements Contender {
  private static final int MOST_CHANNELS = 4;
  private static final int LARGEST_FLOAT_MEDIAN = 5;

  /** Loads the library when first asked. */
  private static final class Library {
    private static final String PROBLEM;

    static {
      String problem = null;
      try {
        Loader.load(opencv_imgproc.class);
      } catch (LinkageError e) {
        problem = "library that can be loaded: " + e.getMessage();
      }
      PROBLEM = problem;
    }
  }

  @Override
  public String name() {
    return "opencv";
  }

  @Override
  public Optional<String> version() {
    return Optional.of(PeerCall.version("opencv"));
  }

  @Override
  public Optional<String> lack(Task task) {
    if (!(task instanceof Pooling pooling) || recipe(pooling) == null) {
      return Optional.of("such filter");
    }
    Shape input = pooling.input();
    if (input.layout() == Layout.INTERLEAVED && input.channels() > MOST_CHANNELS) {
      return Optional.of("filters of more than " + MOST_CHANNELS + " channels");
    }
    return Optional.ofNullable(Library.PROBLEM);
  }

  /** What to do with a picture. */
  private interface Filter {
    void run(Mat from, Mat to);
  }

  /** A filter, made when the library is loaded. */
  private interface Recipe {
    Filter make();
  }

  /** Null if there is no filter for the pooling. */
  private static Recipe recipe(Pooling pooling) {
    boolean floats = pooling.dtype() == DType.F32;
    if (pooling.window().rank() != 2 || (!floats && pooling.dtype() != DType.U8)) {
      return null;
    }
    Axes axes = Axes.of(pooling.window());
    return switch (pooling.kind()) {
      case MAX, MIN -> keepsSize(axes) ? () -> morphology(pooling.kind(), axes) : null;
      case MEDIAN -> medians(axes, floats) ? () -> median(axes) : null;
      case AVERAGE -> {
        if (slidesInside(axes)) {
          yield () -> box(axes);
        }
        yield halves(axes, pooling.input()) ? () -> OpenCvPeer::halve : null;
      }
      default -> null;
    };
  }

  private static boolean slides(Axes axes) {
    return axes.stride()[0] == 1 && axes.stride()[1] == 1;
  }

  private static boolean keepsSize(Axes axes) {
    return slides(axes)
        && axes.begin()[0] + axes.end()[0] == axes.kernel()[0] - 1
        && axes.begin()[1] + axes.end()[1] == axes.kernel()[1] - 1;
  }

  private static boolean slidesInside(Axes axes) {
    return slides(axes) && axes.isSymmetric() && axes.begin()[0] == 0 && axes.begin()[1] == 0;
  }

  private static boolean medians(Axes axes, boolean floats) {
    long kernel = axes.kernel()[0];
    return keepsSize(axes)
        && kernel == axes.kernel()[1]
        && kernel % 2 == 1
        && axes.isSymmetric()
        && !(floats && kernel > LARGEST_FLOAT_MEDIAN);
  }

  private static boolean halves(Axes axes, Shape input) {
    boolean halves = axes.isSymmetric();
    for (int axis = 0; axis < 2; axis++) {
      halves &=
          axes.kernel()[axis] == 2
              && axes.stride()[axis] == 2
              && axes.begin()[axis] == 0
              && input.spatial(axis) % 2 == 0;
    }
    return halves;
  }

  private static Size size(Axes axes) {
    return new Size((int) axes.kernel()[1], (int) axes.kernel()[0]);
  }

  private static Filter morphology(Pooling.Kind kind, Axes axes) {
    Mat rectangle = opencv_imgproc.getStructuringElement(opencv_imgproc.MORPH_RECT, size(axes));
    Point anchor = new Point((int) axes.begin()[1], (int) axes.begin()[0]);
    Scalar border = opencv_imgproc.morphologyDefaultBorderValue();
    return kind == Pooling.Kind.MAX
        ? (from, to) ->
            opencv_imgproc.dilate(
                from, to, rectangle, anchor, 1, opencv_core.BORDER_CONSTANT, border)
        : (from, to) ->
            opencv_imgproc.erode(
                from, to, rectangle, anchor, 1, opencv_core.BORDER_CONSTANT, border);
  }

  private static Filter median(Axes axes) {
    int kernel = (int) axes.kernel()[0];
    return (from, to) -> opencv_imgproc.medianBlur(from, to, kernel);
  }

  /** Filters the part of the picture where windows lie inside; the rest is its border. */
  private static Filter box(Axes axes) {
    Size size = size(axes);
    Point center = new Point(-1, -1);
    return (from, to) -> opencv_imgproc.blur(from, to, size, center, opencv_core.BORDER_REPLICATE);
  }

  private static void halve(Mat from, Mat to) {
    opencv_imgproc.resize(from, to, to.size(), 0, 0, opencv_imgproc.INTER_AREA);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    opencv_core.setNumThreads(workers.threads());
    Pooling pooling = (Pooling) workload.task;
    Tensor out = Tensor.allocate(arena, pooling.dtype(), pooling.output());
    return PeerCall.prepare(
        () -> {
          Filter filter = recipe(pooling).make();
          List<Mat> to = pictures(out);
          List<Mat> from = pictures(workload.source);
          Axes axes = Axes.of(pooling.window());
          if (pooling.kind() == Pooling.Kind.AVERAGE && slides(axes)) {
            int top = (int) axes.kernel()[0] / 2;
            int left = (int) axes.kernel()[1] / 2;
            int height = Math.toIntExact(out.shape().spatial(0));
            int width = Math.toIntExact(out.shape().spatial(1));
            from.replaceAll(picture -> new Mat(picture, new Rect(left, top, width, height)));
          }
          return new PeerCall.Steps(
              () -> {
                for (int i = 0; i < from.size(); i++) {
                  filter.run(from.get(i), to.get(i));
                }
              },
              () ->
                  pooling.kind() == Pooling.Kind.MEDIAN
                      ? Result.of(out).differingAt(border(pooling))
                      : Result.of(out));
        });
  }

  /** Each plane, or where channels are innermost each image, in the tensor's memory. */
  private static List<Mat> pictures(Tensor tensor) {
    Shape shape = tensor.shape();
    boolean planar = shape.layout() == Layout.PLANAR;
    int channels = planar ? 1 : Math.toIntExact(shape.channels());
    int depth = tensor.dtype() == DType.F32 ? opencv_core.CV_32F : opencv_core.CV_8U;
    long bytes = shape.planeSize() * channels * tensor.dtype().size();
    List<Mat> pictures = new ArrayList<>();
    for (long from = 0; from < tensor.segment().byteSize(); from += bytes) {
      pictures.add(
          new Mat(
              Math.toIntExact(shape.spatial(0)),
              Math.toIntExact(shape.spatial(1)),
              opencv_core.CV_MAKETYPE(depth, channels),
              new Memory(tensor.segment().asSlice(from, bytes))));
    }
    return pictures;
  }

  /** Elements whose window hangs over: OpenCV's medians repeat the border there. */
  private static IntPredicate border(Pooling pooling) {
    Shape shape = pooling.output();
    int step = shape.layout() == Layout.PLANAR ? 1 : Math.toIntExact(shape.channels());
    int height = Math.toIntExact(shape.spatial(0));
    int width = Math.toIntExact(shape.spatial(1));
    int half = Math.toIntExact(pooling.window().kernel(0) / 2);
    return element -> {
      int place = element / step;
      int column = place % width;
      int row = place / width % height;
      return row < half || column < half || row >= height - half || column >= width - half;
    };
  }
}
