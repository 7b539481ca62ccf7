package org.featurepool;

import java.util.Arrays;

/**
 * One pooling over a planar tensor, in plain integers: the input of the oracle, and what the
 * library's window and shape are made from.
 *
 * @param rank number of spatial axes; the arrays have three entries, unit axes first
 */
record PoolCase(
    int rank,
    int batch,
    int channels,
    int[] input,
    int[] kernel,
    int[] stride,
    int[] padBegin,
    int[] padEnd,
    int[] dilation,
    Padding padding,
    boolean ceil,
    boolean includePadding,
    long divisor) {

  enum Padding {
    EXPLICIT,
    SAME_UPPER,
    SAME_LOWER,
    VALID,
    /** Bins; the kernel is the output's extents. */
    ADAPTIVE
  }

  /** One axis with its padding resolved; of bins, the kernel is the longest and the stride 0. */
  record Axis(int input, int output, int kernel, int stride, int begin, int end, int dilation) {
    private static final int BEYOND = Integer.MAX_VALUE / 2;

    static Axis ofBins(int input, int output) {
      int longest = 1;
      for (int o = 0; o < output; o++) {
        longest = Math.max(longest, binEnd(input, output, o) - o * input / output);
      }
      return new Axis(input, output, longest, 0, 0, 0, 1);
    }

    private static int binEnd(int input, int output, int o) {
      return (int) Math.ceil((o + 1.0) * input / output);
    }

    /** Input position of a tap; it may lie in the padding or beyond. */
    int position(int output, int tap) {
      if (stride == 0) {
        int position = output * input / this.output + tap;
        return position < binEnd(input, this.output, output) ? position : BEYOND;
      }
      return output * stride - begin + tap * dilation;
    }

    boolean inside(int position) {
      return position >= 0 && position < input;
    }

    /** Whether a divisor that includes padding counts a tap there. */
    boolean counted(int position) {
      return position < input + end;
    }
  }

  static PoolCase of2d(int channels, int height, int width, int kernel, int stride) {
    return new PoolCase(
        2,
        1,
        channels,
        new int[] {1, height, width},
        new int[] {1, kernel, kernel},
        new int[] {1, stride, stride},
        new int[3],
        new int[3],
        new int[] {1, 1, 1},
        Padding.EXPLICIT,
        false,
        false,
        0);
  }

  /** Adaptive pooling to the given height and width. */
  static PoolCase adaptive2d(int channels, int height, int width, int outHeight, int outWidth) {
    return new PoolCase(
        2,
        1,
        channels,
        new int[] {1, height, width},
        new int[] {1, outHeight, outWidth},
        new int[] {1, 1, 1},
        new int[3],
        new int[3],
        new int[] {1, 1, 1},
        Padding.ADAPTIVE,
        false,
        false,
        0);
  }

  PoolCase withPadding(int begin, int end) {
    int[] pad = new int[] {0, begin, begin};
    int[] behind = new int[] {0, end, end};
    return new PoolCase(
        rank,
        batch,
        channels,
        input,
        kernel,
        stride,
        pad,
        behind,
        dilation,
        padding,
        ceil,
        includePadding,
        divisor);
  }

  /** The case with averages over the taps inside the input. */
  PoolCase withoutDivisor() {
    return new PoolCase(
        rank, batch, channels, input, kernel, stride, padBegin, padEnd, dilation, padding, ceil,
        false, 0);
  }

  private PoolCase changed(
      int images, int[] extents, int[] begin, int[] end, Padding how, boolean up) {
    return new PoolCase(
        rank,
        images,
        channels,
        extents,
        kernel,
        stride,
        begin,
        end,
        dilation,
        how,
        up,
        includePadding,
        divisor);
  }

  /** The case with other input extents and explicit padding. */
  PoolCase explicit(int[] extents, int[] begin, int[] end) {
    return changed(batch, extents, begin, end, Padding.EXPLICIT, ceil);
  }

  /** The case with other input extents. */
  PoolCase with(int[] extents) {
    return changed(batch, extents, padBegin, padEnd, padding, ceil);
  }

  /** The case with output extents rounded down. */
  PoolCase floored() {
    return changed(batch, input, padBegin, padEnd, padding, false);
  }

  /** The case with another number of images. */
  PoolCase withBatch(int images) {
    return changed(images, input, padBegin, padEnd, padding, ceil);
  }

  Axis axis(int i) {
    if (padding == Padding.ADAPTIVE) {
      return Axis.ofBins(input[i], kernel[i]);
    }
    int reach = dilation[i] * (kernel[i] - 1) + 1;
    if (padding == Padding.SAME_UPPER || padding == Padding.SAME_LOWER) {
      int output = (input[i] + stride[i] - 1) / stride[i];
      int total = Math.max(0, (output - 1) * stride[i] + reach - input[i]);
      int begin = padding == Padding.SAME_UPPER ? total / 2 : (total + 1) / 2;
      return new Axis(input[i], output, kernel[i], stride[i], begin, total - begin, dilation[i]);
    }
    int slack = input[i] + padBegin[i] + padEnd[i] - reach + (ceil ? stride[i] - 1 : 0);
    int output = Math.floorDiv(slack, stride[i]) + 1;
    if (ceil && (output - 1) * stride[i] >= input[i] + padBegin[i]) {
      output--;
    }
    return new Axis(input[i], output, kernel[i], stride[i], padBegin[i], padEnd[i], dilation[i]);
  }

  int planes() {
    return batch * channels;
  }

  int inputPlane() {
    return input[0] * input[1] * input[2];
  }

  int outputPlane() {
    return axis(0).output * axis(1).output * axis(2).output;
  }

  int inputSize() {
    return planes() * inputPlane();
  }

  int outputSize() {
    return planes() * outputPlane();
  }

  int taps() {
    return axis(0).kernel * axis(1).kernel * axis(2).kernel;
  }

  Window window() {
    if (padding == Padding.ADAPTIVE) {
      return Window.adaptive(spatial(kernel));
    }
    Window window =
        Window.of(spatial(kernel)).withStride(spatial(stride)).withDilation(spatial(dilation));
    window =
        switch (padding) {
          case EXPLICIT -> window.withPadding(spatial(padBegin), spatial(padEnd));
          case SAME_UPPER -> window.withSamePadding(Window.SamePadding.UPPER);
          case SAME_LOWER -> window.withSamePadding(Window.SamePadding.LOWER);
          case VALID -> window.withValidPadding();
          case ADAPTIVE -> throw new AssertionError("bins have no padding");
        };
    return ceil ? window.withCeilMode() : window;
  }

  AvgPool average() {
    AvgPool pool = AvgPool.of(window());
    pool = includePadding ? pool.withIncludePadding() : pool;
    return divisor > 0 ? pool.withDivisor(divisor) : pool;
  }

  Shape inputShape(Layout layout) {
    return shape(layout, spatial(input));
  }

  Shape outputShape(Layout layout) {
    return shape(layout, spatial(new int[] {axis(0).output, axis(1).output, axis(2).output}));
  }

  private Shape shape(Layout layout, long[] spatial) {
    long[] extents = new long[2 + rank];
    extents[0] = batch;
    extents[1] = channels;
    System.arraycopy(spatial, 0, extents, 2, rank);
    return Shape.of(layout, extents);
  }

  private long[] spatial(int[] values) {
    return Arrays.stream(values).skip(3 - rank).asLongStream().toArray();
  }

  @Override
  public String toString() {
    return String.format(
        "rank %d N %d C %d input %s kernel %s stride %s pads %s %s dilation %s %s%s%s divisor %d",
        rank,
        batch,
        channels,
        Arrays.toString(input),
        Arrays.toString(kernel),
        Arrays.toString(stride),
        Arrays.toString(padBegin),
        Arrays.toString(padEnd),
        Arrays.toString(dilation),
        padding,
        ceil ? " ceil" : "",
        includePadding ? " include padding" : "",
        divisor);
  }
}
