package org.featurepool.cli.operator;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.featurepool.Layout;
import picocli.CommandLine.TypeConversionException;

/** Every option that an operator may take, and those that all take. */
final class Options {
  /** Extents of the window. */
  static final Option<Values> KERNEL =
      Option.of(
          "--kernel",
          "K,..",
          Values::parse,
          "Extents of the window, outermost axis first: W, or H,W, or D,H,W. Their number says "
              + "whether the pooling is 1D, 2D or 3D.");

  /** Steps from window to window. */
  static final Option<Values> STRIDE =
      Option.of(
          "--stride",
          "S,..",
          Values::parse,
          "Steps from window to window, per axis or one for all. Default: the kernel's extents.");

  /** Padding. */
  static final Option<Padding> PAD =
      Option.of(
          "--pad",
          "PAD",
          Padding::parse,
          "Padding: same_upper, same_lower, valid, one number for all sides, or the begin of every "
              + "axis and then the end of every axis (1D: left,right; 2D: top,left,bottom,right; "
              + "3D: front,top,left,back,bottom,right). Default: none.");

  /** Steps from tap to tap. */
  static final Option<Values> DILATION =
      Option.of(
          "--dilation",
          "D,..",
          Values::parse,
          "Steps from tap to tap, per axis or one for all. Default: 1.");

  /** Rounds extents up. */
  static final Option<Boolean> CEIL =
      Option.flag("--ceil", "Round the output's extents up instead of down.");

  /** Extents of the output. */
  static final Option<Values> OUTPUT =
      Option.of(
          "--output",
          "O,..",
          Values::parse,
          "Extents of the output, outermost axis first: W, or H,W, or D,H,W.");

  /** One window over the whole plane. */
  static final Option<Boolean> GLOBAL =
      Option.flag("--global", "One window over the whole plane, instead of --kernel.");

  /** Number of spatial axes where no other option tells it. */
  static final Option<Long> RANK =
      Option.of(
          "--rank",
          "R",
          Options::wholeNumber,
          "Number of spatial axes that a global pooling takes together: 1, 2 or 3. Default: 2.");

  /** Counts padding. */
  static final Option<Boolean> INCLUDE_PAD =
      Option.flag("--include-pad", "Count the padding in what is divided by.");

  /** Divisor. */
  static final Option<Long> DIVISOR =
      Option.of(
          "--divisor", "N", Options::wholeNumber, "Divide by N instead of the number of elements.");

  /** Where positions are written to. */
  static final Option<Path> MASK_OUT =
      Option.output(
          "--mask-out",
          "M.npy",
          ".npy",
          "Write where in its plane each output's element was, as int64.");

  /** Seed of random numbers. */
  static final Option<Long> SEED =
      Option.of(
          "--seed",
          "S",
          Options::wholeNumber,
          "Seed: the same one gives the same result, whatever the threads and the layout.");

  /** Training or inference. */
  static final Option<Boolean> TRAIN =
      Option.flag(
          "--train",
          "Draw one element of each window by --seed, as in training, instead of averaging.");

  /** Order of an array's axes. */
  static final Option<Layout> LAYOUT =
      Option.of(
          "--layout",
          "nchw|nhwc",
          Options::layout,
          "Order of an array's axes: nchw (also CHW, NCW, NCDHW ..) or nhwc (also HWC, NWC, NDHWC "
              + "..). Default: nchw.");

  /** Number of threads. */
  static final Option<Long> THREADS =
      Option.of(
          "--threads",
          "N",
          Options::wholeNumber,
          "Threads, 1 to 1024. Default: the processors that this process may use, or "
              + "FEATUREPOOL_THREADS.");

  /** Options that go with every operator. */
  static final List<Option<?>> COMMON = List.of(LAYOUT, THREADS);

  private Options() {}

  private static Layout layout(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "nchw" -> Layout.PLANAR;
      case "nhwc" -> Layout.INTERLEAVED;
      default -> throw new TypeConversionException("'" + text + "' is neither nchw nor nhwc");
    };
  }

  private static long wholeNumber(String text) {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "'" + text + "' is no whole number (from -2^63, less than 2^63)");
    }
  }
}
