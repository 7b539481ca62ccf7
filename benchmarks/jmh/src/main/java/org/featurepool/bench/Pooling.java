package org.featurepool.bench;

import java.util.Optional;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Window;

/**
 * One pooling over the windows of a tensor.
 *
 * @param kind what is computed
 * @param dtype type of the elements
 * @param input shape of the pooling's input (backward: of the gradient that comes out)
 * @param window the window; a global pooling's is the whole plane
 * @param global whether one window covers the plane
 */
public record Pooling(Kind kind, DType dtype, Shape input, Window window, boolean global)
    implements Task {
  /** The most taps that a one-byte mask can tell apart. */
  static final long MAX_COMPACT_TAPS = 255;

  /** What can be computed. */
  public enum Kind {
    MAX,
    MAX_WITH_MASK,
    MAX_BACKWARD,
    MIN,
    AVERAGE,
    AVERAGE_BACKWARD,
    MEDIAN,
    STOCHASTIC;

    /** Whether it computes a gradient. */
    public boolean backward() {
      return this == MAX_BACKWARD || this == AVERAGE_BACKWARD;
    }

    /** Whether it averages. */
    public boolean average() {
      return this == AVERAGE || this == AVERAGE_BACKWARD;
    }

    /** Whether a mask is written or read. */
    public boolean masked() {
      return this == MAX_WITH_MASK || this == MAX_BACKWARD || this == STOCHASTIC;
    }
  }

  /**
   * The pooling of a cell.
   *
   * @return empty if there is no such operator yet
   * @throws BadUsage if the cell's window does not fit its tensor
   */
  static Optional<Pooling> of(Cell cell) {
    return Optional.ofNullable(kind(cell)).map(kind -> of(cell, kind));
  }

  private static Kind kind(Cell cell) {
    return switch (cell.op() + " " + cell.direction()) {
      case "max forward", "global_max forward" -> Kind.MAX;
      case "max forward_mask" -> Kind.MAX_WITH_MASK;
      case "max backward" -> Kind.MAX_BACKWARD;
      case "min forward" -> Kind.MIN;
      case "avg forward", "global_avg forward" -> Kind.AVERAGE;
      case "avg backward", "global_avg backward" -> Kind.AVERAGE_BACKWARD;
      case "median forward" -> Kind.MEDIAN;
      case "stochastic forward" -> Kind.STOCHASTIC;
      default -> null;
    };
  }

  private static Pooling of(Cell cell, Kind kind) {
    try {
      boolean global = cell.op().startsWith("global");
      long[] kernel =
          global
              ? cell.d() > 1
                  ? new long[] {cell.d(), cell.h(), cell.w()}
                  : new long[] {cell.h(), cell.w()}
              : extents("kernel", cell.kernel());
      long outside = kernel.length == 3 ? 1 : cell.d() * (kernel.length == 2 ? 1 : cell.h());
      if (kernel.length > 3 || outside != 1) {
        throw new BadUsage("kernel is " + cell.kernel() + "; it must have one extent per axis");
      }
      Window window = Window.of(kernel);
      if (!global) {
        window =
            window
                .withStride(extents("stride", cell.stride()))
                .withPadding(extents("pad", cell.pad()));
      }
      Shape input = cell.shape(kernel.length);
      window.outputShape(input); // refuses a window that does not fit
      return new Pooling(kind, cell.dtype(), input, window, global);
    } catch (BadUsage | IllegalArgumentException e) {
      throw new BadUsage("cell " + cell.id() + ": " + e.getMessage());
    }
  }

  /** Reads {@code 2x2x2}, {@code 2x2} or {@code 2}. */
  static long[] extents(String name, String text) {
    String[] parts = text.split("x", -1);
    long[] extents = new long[parts.length];
    for (int i = 0; i < parts.length; i++) {
      try {
        extents[i] = Long.parseLong(parts[i]);
      } catch (NumberFormatException e) {
        throw new BadUsage(name + " is '" + text + "'; it must be extents like 3x3");
      }
    }
    return extents;
  }

  @Override
  public Shape output() {
    return window.outputShape(input);
  }

  @Override
  public boolean backward() {
    return kind.backward();
  }

  @Override
  public long readBytes() {
    return kind.backward() ? outputBytes() + maskBytes() : input.elementCount() * dtype.size();
  }

  @Override
  public long writtenBytes() {
    return kind.backward() ? input.elementCount() * dtype.size() : outputBytes() + maskBytes();
  }

  @Override
  public boolean readsOnly() {
    return global;
  }

  @Override
  public double tolerance(double largest) {
    if (dtype != DType.F32) {
      // A rounding of halves to one side or the other, or of sums that were rounded differently.
      return kind.average() ? roundings() : 0;
    }
    // The inputs are within [-1, 1], and so is an average of them; cancellation leaves an error of
    // that size, not of the result's.
    double bound = 2 * Math.sqrt(window.taps()) * Math.ulp((float) Math.max(1, largest));
    return switch (kind) {
      case MAX, MAX_WITH_MASK, MIN, MEDIAN, STOCHASTIC -> 0;
      case AVERAGE, AVERAGE_BACKWARD -> bound;
      case MAX_BACKWARD -> windowsAreApart() ? 0 : bound;
    };
  }

  /** The distance between neighbours among the numbers up to 1, or up to 256. */
  private double roundings() {
    return switch (dtype) {
      case F16 -> 0x1p-10;
      case BF16 -> 0x1p-7;
      default -> 1;
    };
  }

  private boolean windowsAreApart() {
    boolean apart = true;
    for (int i = 0; i < window.rank(); i++) {
      apart &= window.stride(i) >= window.kernel(i);
    }
    return apart;
  }

  private long outputBytes() {
    return output().elementCount() * dtype.size();
  }

  private long maskBytes() {
    if (!kind.masked()) {
      return 0;
    }
    DType entry = window.taps() <= MAX_COMPACT_TAPS ? DType.U8 : DType.I32;
    return output().elementCount() * entry.size();
  }
}
