package org.featurepool.cli;

import org.featurepool.AvgPool;
import org.featurepool.Featurepool;
import org.featurepool.Layout;
import org.featurepool.MaxPool;
import org.featurepool.Window;
import picocli.CommandLine.Option;

/** The options that say which pooling, shared by the commands that compute one. */
final class PoolingOptions {
  private static final int MAX_RANK = 3;
  private static final int MAX_THREADS = 1024;

  /** What is computed in each window. */
  enum Operator {
    /** The maximum. */
    MAX,
    /** The average. */
    AVG
  }

  /** Order of an array's axes. */
  enum Order {
    /** Channels before the spatial axes. */
    NCHW(Layout.PLANAR),
    /** Channels last. */
    NHWC(Layout.INTERLEAVED);

    private final Layout layout;

    Order(Layout layout) {
      this.layout = layout;
    }
  }

  @Option(
      names = "--op",
      required = true,
      paramLabel = "max|avg",
      description = "Operator: max or avg.")
  private Operator operator;

  @Option(
      names = "--kernel",
      required = true,
      paramLabel = "K,..",
      converter = Values.Converter.class,
      description =
          "Extents of the window, outermost axis first: W, or H,W, or D,H,W. Their number says "
              + "whether the pooling is 1D, 2D or 3D.")
  private Values kernel;

  @Option(
      names = "--stride",
      paramLabel = "S,..",
      converter = Values.Converter.class,
      description =
          "Steps from window to window, per axis or one for all. Default: the kernel's extents.")
  private Values stride;

  @Option(
      names = "--pad",
      paramLabel = "PAD",
      converter = Padding.Converter.class,
      description =
          "Padding: same_upper, same_lower, valid, one number for all sides, or the begin of every "
              + "axis and then the end of every axis (1D: left,right; 2D: top,left,bottom,right; "
              + "3D: front,top,left,back,bottom,right). Default: none.")
  private Padding padding;

  @Option(
      names = "--dilation",
      paramLabel = "D,..",
      converter = Values.Converter.class,
      description = "Steps from tap to tap, per axis or one for all. Default: 1.")
  private Values dilation;

  @Option(names = "--ceil", description = "Round the output's extents up instead of down.")
  private boolean ceil;

  @Option(names = "--include-pad", description = "avg: count the padding in what is divided by.")
  private boolean includePadding;

  @Option(
      names = "--divisor",
      paramLabel = "N",
      description = "avg: divide by N instead of the number of elements.")
  private Long divisor;

  @Option(
      names = "--layout",
      defaultValue = "nchw",
      paramLabel = "nchw|nhwc",
      description =
          "Order of an array's axes: nchw (also CHW, NCW, NCDHW ..) or nhwc (also HWC, NWC, NDHWC "
              + "..). Default: ${DEFAULT-VALUE}.")
  private Order order;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description =
          "Threads, 1 to 1024. Default: the processors that this process may use, or "
              + "FEATUREPOOL_THREADS.")
  private Integer threads;

  /** Number of axes that the window slides along. */
  int rank() {
    if (kernel.count() > MAX_RANK) {
      throw new UsageException(
          "--kernel %s has %s; a window has 1 (W), 2 (H,W) or 3 (D,H,W)"
              .formatted(kernel, kernel.countText()));
    }
    return kernel.count();
  }

  Layout layout() {
    return order.layout;
  }

  Values kernel() {
    return kernel;
  }

  /** Makes the pooling and sets the number of threads. */
  Pooling pooling() {
    if (threads != null) {
      if (threads < 1 || threads > MAX_THREADS) {
        throw new UsageException("--threads is %d; it must be 1 to 1024".formatted(threads));
      }
      Featurepool.setThreads(threads);
    }
    Window window = window();
    if (operator == Operator.AVG) {
      AvgPool pool = AvgPool.of(window);
      pool = includePadding ? pool.withIncludePadding() : pool;
      return new Pooling.Average(divisor != null ? pool.withDivisor(divisor) : pool);
    }
    if (includePadding) {
      throw new UsageException("--include-pad goes with --op avg; a maximum divides by nothing");
    }
    if (divisor != null) {
      throw new UsageException("--divisor goes with --op avg; a maximum divides by nothing");
    }
    return new Pooling.Max(MaxPool.of(window));
  }

  private Window window() {
    int rank = rank();
    Window window = Window.of(kernel.toArray());
    if (stride != null) {
      window = window.withStride(perAxis("--stride", stride, rank));
    }
    if (dilation != null) {
      window = window.withDilation(perAxis("--dilation", dilation, rank));
    }
    if (padding != null) {
      window = padding.applyTo(window);
    }
    return ceil ? window.withCeilMode() : window;
  }

  private long[] perAxis(String option, Values values, int rank) {
    if (values.count() != 1 && values.count() != rank) {
      throw new UsageException(
          "%s %s has %s; with --kernel %s it takes %d, or one for all axes"
              .formatted(option, values, values.countText(), kernel, rank));
    }
    return values.toArray();
  }
}
