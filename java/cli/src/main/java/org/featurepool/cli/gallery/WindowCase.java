package org.featurepool.cli.gallery;

import java.util.List;
import org.featurepool.Window;
import org.featurepool.Window.SamePadding;

/**
 * A window worth looking at: the parameters, and what they teach.
 *
 * @param title heading
 * @param text what to see, one paragraph
 * @param kernel taps per axis
 * @param stride pixels between windows, per axis
 * @param dilation pixels between taps, per axis
 * @param padding how the input is padded
 * @param ceil whether output extents round up
 */
record WindowCase(
    String title,
    String text,
    int kernel,
    int stride,
    int dilation,
    Padding padding,
    boolean ceil) {

  /** Padding of a case. */
  sealed interface Padding {
    /** Output as large as the input divided by the stride, rounded up. */
    record Same() implements Padding {}

    /** Pixels at each side. */
    record Explicit(int top, int left, int bottom, int right) implements Padding {}

    /** The same number of pixels at all sides. */
    static Padding all(int pixels) {
      return new Explicit(pixels, pixels, pixels, pixels);
    }
  }

  /** A window without padding. */
  static WindowCase plain(String title, String text, int kernel, int stride) {
    return new WindowCase(title, text, kernel, stride, 1, Padding.all(0), false);
  }

  /**
   * The gallery's windows.
   *
   * @param height rows of the picture; the coarsest window grows with the picture
   * @param width columns of the picture
   */
  static List<WindowCase> all(int height, int width) {
    int coarse = Math.max(2, Math.min(height, width) / 36);
    return List.of(
        plain(
            "The classic: 2×2, stride 2",
            "The window steps by its own size, so windows do not overlap and every pixel belongs "
                + "to exactly one of them. The map keeps a quarter of its values. Max keeps the "
                + "brightest pixel of each four and sharpens bright lines; average mixes all four "
                + "and softens them.",
            2,
            2),
        new WindowCase(
            "Overlapping windows: 3×3, stride 2, padding 1",
            "The stride is smaller than the kernel, so neighbouring windows share a row or column, "
                + "and a strong pixel may win up to four of them. The articles call this "
                + "overlapping pooling. One pixel of padding on every side lets the outermost "
                + "windows hang over the edge; padding never wins a maximum and is not counted in "
                + "the average.",
            3,
            2,
            1,
            Padding.all(1),
            false),
        new WindowCase(
            "A large window at stride 1: 9×9",
            "One window for every pixel, so the map keeps its size. Max becomes what image "
                + "processing calls a grey-scale dilation: every bright spot grows into a square "
                + "of 9×9. Average becomes a box blur. Detectors such as YOLOv3-SPP use maxima "
                + "like this one to look far around a place without shrinking the map.",
            9,
            1,
            1,
            Padding.all(4),
            false),
        new WindowCase(
            "Padding by rule: 5×5, stride 3, same",
            "With 'same' padding one states the wish, an output of the input's size divided by "
                + "the stride and rounded up, and the padding follows from it. When the total is "
                + "odd, the extra pixel goes to the end ('same upper'). Look at the border of the "
                + "average: it does not darken, because only taps inside the input are counted.",
            5,
            3,
            1,
            new Padding.Same(),
            false),
        new WindowCase(
            "Ceil mode and uneven padding: 4×4, stride 4",
            "One row of padding on top and two columns at the left, none elsewhere. Where the last "
                + "window does not fit, the usual formula rounds down and drops the remaining "
                + "pixels; ceil mode rounds up and lets that window hang over the edge.",
            4,
            4,
            1,
            new Padding.Explicit(1, 2, 0, 0),
            true),
        new WindowCase(
            "A dilated window: 3×3, dilation 4",
            "Nine taps spread over 9×9 pixels, four apart. The window sees as far as the large one "
                + "above for a ninth of the work, but it skips what lies between its taps: max "
                + "prints small bright details nine times over, and average shows them as ghosts.",
            3,
            1,
            4,
            Padding.all(4),
            false),
        plain(
            Html.format("A coarse summary: %1$d×%1$d, stride %1$d", coarse),
            "The same idea as the first window, made large for this picture. After this step only "
                + "a mosaic is left. Max tells which blocks hold something bright, average what "
                + "each block looks like as a whole.",
            coarse,
            coarse));
  }

  /** Whether at least one window fits an input of this size. */
  boolean fits(int height, int width) {
    return rows(height).output() > 0 && columns(width).output() > 0;
  }

  /** The vertical axis over an input of {@code height} rows. */
  Axis rows(int height) {
    return switch (padding) {
      case Padding.Same() -> same(height);
      case Padding.Explicit p -> axis(height, p.top(), p.bottom());
    };
  }

  /** The horizontal axis over an input of {@code width} columns. */
  Axis columns(int width) {
    return switch (padding) {
      case Padding.Same() -> same(width);
      case Padding.Explicit p -> axis(width, p.left(), p.right());
    };
  }

  private Axis same(int input) {
    int output = Math.ceilDiv(input, stride);
    int total = Math.max(0, (output - 1) * stride + dilation * (kernel - 1) + 1 - input);
    return new Axis(input, output, kernel, stride, total / 2, total - total / 2, dilation);
  }

  private Axis axis(int input, int begin, int end) {
    int room = input + begin + end - dilation * (kernel - 1) - 1;
    int output = Math.floorDiv(room + (ceil ? stride - 1 : 0), stride) + 1;
    if (ceil && (output - 1) * stride >= input + begin) {
      output--;
    }
    return new Axis(input, room < 0 && !ceil ? 0 : output, kernel, stride, begin, end, dilation);
  }

  /** The same window as the library knows it. */
  Window window() {
    Window window = Window.square(kernel).withStride(stride).withDilation(dilation);
    window =
        switch (padding) {
          case Padding.Same() -> window.withSamePadding(SamePadding.UPPER);
          case Padding.Explicit p ->
              window.withPadding(
                  new long[] {p.top(), p.left()}, new long[] {p.bottom(), p.right()});
        };
    return ceil ? window.withCeilMode() : window;
  }

  /** The parameters in one line. */
  String formula() {
    String line = Html.format("kernel %1$d×%1$d, stride %2$d", kernel, stride);
    line +=
        switch (padding) {
          case Padding.Same() -> ", padding same";
          case Padding.Explicit p when p.equals(Padding.all(p.top())) ->
              p.top() == 0 ? "" : ", padding " + p.top();
          case Padding.Explicit p ->
              Html.format(
                  ", padding top %d, left %d, bottom %d, right %d",
                  p.top(), p.left(), p.bottom(), p.right());
        };
    return line + (dilation > 1 ? ", dilation " + dilation : "") + (ceil ? ", ceil mode" : "");
  }
}
