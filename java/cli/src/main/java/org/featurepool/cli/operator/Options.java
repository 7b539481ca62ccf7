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

  /** Exponent. */
  static final Option<Numbers> P =
      Option.of(
          "--p",
          "P,..",
          Numbers::parse,
          "Exponent: for lp and global-lp one of at least 1, or inf; for gem greater than 0, one "
              + "or one per channel (default 3).");

  /** Least value. */
  static final Option<Double> EPSILON =
      Option.of(
          "--epsilon", "E", Options::number, "What smaller elements count as. Default: 1e-6.");

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

  /** One of two ways. */
  static final Option<String> MODE =
      Option.of(
          "--mode",
          "MODE",
          Options::word,
          "mixed: add or cat (default add); roi-align: average or max (default average).");

  /** Share of the maximum. */
  static final Option<Numbers> ALPHA =
      Option.of(
          "--alpha",
          "A,..",
          Numbers::parse,
          "Share of the maximum, 0 to 1, one or one per channel. Default: 0.5.");

  /** Where windows begin. */
  static final Option<Path> SAMPLES =
      Option.of(
          "--samples",
          "U.npy",
          Path::of,
          "Instead of a seed: random numbers from 0, less than 1, of N x C x axes of the window.");

  /** Levels of a pyramid. */
  static final Option<Values> LEVELS =
      Option.of("--levels", "L,..", Values::parse, "Bins per side of each level, such as 1,2,4.");

  /** Rule of a pyramid's bins. */
  static final Option<String> BINS =
      Option.of(
          "--bins",
          "RULE",
          Options::word,
          "adaptive, or sppnet for the windows of SPPNet. Default: adaptive.");

  /** What reduces a pyramid's bins. */
  static final Option<String> REDUCER =
      Option.of("--reducer", "R", Options::word, "max or avg. Default: max.");

  /** Sizes of windows. */
  static final Option<Values> KERNELS =
      Option.of("--kernels", "K,..", Values::parse, "Odd sizes of windows, such as 5,9,13.");

  /** Regions of interest. */
  static final Option<Path> REGIONS =
      Option.of("--regions", "R.npy", Path::of, "Regions, R x 5: batch index, x1, y1, x2, y2.");

  /** From a region's coordinates to the input's. */
  static final Option<Double> SCALE =
      Option.of(
          "--scale",
          "F",
          Options::number,
          "What coordinates of regions are multiplied by, such as 0.0625. Default: 1.");

  /** Samples per bin. */
  static final Option<Long> SAMPLING_RATIO =
      Option.of(
          "--sampling-ratio",
          "N",
          Options::wholeNumber,
          "Sample points per bin and axis. Default: 0, by the region's size.");

  /** Alignment of regions. */
  static final Option<Boolean> HALF_PIXEL =
      Option.flag("--half-pixel", "Coordinates are of pixel corners: subtract half an element.");

  /** Where elements go. */
  static final Option<Path> MASK =
      Option.of(
          "--mask",
          "M.npy",
          Path::of,
          "Where in its plane each element goes: what --mask-out wrote.");

  /** What a mask counts over. */
  static final Option<String> INDICES =
      Option.of(
          "--indices",
          "BASE",
          Options::word,
          "What the mask counts over: plane, or tensor (ONNX: all of the output of the least "
              + "extents, which lies in a corner of a larger one). Default: plane.");

  /** Extents of what is unpooled. */
  static final Option<Values> OUTPUT_SIZE =
      Option.of(
          "--output-size",
          "O,..",
          Values::parse,
          "Extents of the output, if others than the least that the window can have pooled.");

  /** A second input. */
  static final Option<Path> SECOND =
      Option.of(
          "--second",
          "B.npy",
          Path::of,
          "Second input, of as many images and positions. Default: the first.");

  /** Without a normalisation. */
  static final Option<Boolean> NO_SIGNED_ROOT =
      Option.flag("--no-signed-root", "Leave out the signed square root.");

  /** Without a normalisation. */
  static final Option<Boolean> NO_NORMALIZATION =
      Option.flag("--no-normalization", "Leave out the L2 normalization.");

  /** Number of clusters. */
  static final Option<Long> CLUSTERS =
      Option.of(
          "--clusters",
          "K",
          Options::wholeNumber,
          "Clusters, found in the input's descriptors by --seed.");

  /** Trained parameters. */
  static final Option<Path> PARAMETERS =
      Option.of(
          "--parameters",
          "P.npz",
          Path::of,
          "Instead of --clusters and --seed: parameters W (K x D), b (K) and c (K x D); ghosts have "
              + "rows in W and b only.");

  /** Where parameters are written to. */
  static final Option<Path> PARAMETERS_OUTPUT =
      Option.output(
          "--parameters-output",
          "P.npz",
          ".npz",
          "Write the parameters W, b and c that were used.");

  /** Ghost clusters. */
  static final Option<Long> GHOSTS =
      Option.of(
          "--ghosts",
          "G",
          Options::wholeNumber,
          "With --clusters: as many more take part in the assignment only (GhostVLAD). Default: 0.");

  /** Normalises descriptors. */
  static final Option<Boolean> NORMALIZE_DESCRIPTORS =
      Option.flag("--normalize-descriptors", "Divide each descriptor by its L2 norm first.");

  /** Hard assignment. */
  static final Option<Boolean> HARD =
      Option.flag("--hard", "Assign each descriptor to its best cluster alone.");

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

  private static double number(String text) {
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      throw new TypeConversionException("'" + text + "' is no number such as 0.0625");
    }
  }

  private static String word(String text) {
    return text.toLowerCase(Locale.ROOT);
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
