package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * A pooling window: kernel, stride, padding and dilation per spatial axis.
 *
 * <p>Along an axis of input extent I, with kernel k, stride s, dilation d and padding p0 at the
 * begin and p1 at the end, the output extent is {@code floor((I + p0 + p1 - d(k-1) - 1) / s) + 1};
 * in ceil mode the division rounds up, less one where the last window would start beyond the input
 * and its begin padding. With SAME padding it is {@code ceil(I / s)}. This is the seed's {@code
 * out_H = floor((H - kernel_size) / step) + 1}, with PyTorch's and ONNX's padding, dilation and
 * ceil mode.
 *
 * <p>Windows are immutable: each {@code with} method returns another window. What depends on
 * several parameters (a padding must be less than the dilated kernel {@code d(k-1)+1}) or on the
 * input (a window must not be larger than the padded input) is checked when the window meets a
 * tensor.
 *
 * <p>Wherever one value per axis is asked for (outermost axis first: D, H, W), a single value
 * stands for all axes.
 */
public final class Window {
  private static final int MAX_RANK = 3;

  /** Where SAME padding puts the extra element of an odd total. */
  public enum SamePadding {
    /** At the end. */
    UPPER,
    /** At the begin. */
    LOWER
  }

  private enum Padding {
    EXPLICIT(featurepool_h.FPOOL_PAD_EXPLICIT()),
    SAME_UPPER(featurepool_h.FPOOL_PAD_SAME_UPPER()),
    SAME_LOWER(featurepool_h.FPOOL_PAD_SAME_LOWER()),
    VALID(featurepool_h.FPOOL_PAD_VALID()),
    /** No windows at all but adaptive bins. */
    ADAPTIVE(featurepool_h.FPOOL_PAD_EXPLICIT());

    private final int code;

    Padding(int code) {
      this.code = code;
    }
  }

  private final long[] kernel;
  private final long[] stride;
  private final long[] padBegin;
  private final long[] padEnd;
  private final long[] dilation;
  private final Padding padding;
  private final boolean ceilMode;
  private final long taps;
  private final MemorySegment descriptor;

  private Window(
      long[] kernel,
      long[] stride,
      long[] padBegin,
      long[] padEnd,
      long[] dilation,
      Padding padding,
      boolean ceilMode) {
    this.kernel = kernel;
    this.stride = stride;
    this.padBegin = padBegin;
    this.padEnd = padEnd;
    this.dilation = dilation;
    this.padding = padding;
    this.ceilMode = ceilMode;
    this.taps = padding == Padding.ADAPTIVE ? 0 : product(kernel);
    this.descriptor =
        Descriptors.window(
                Arena.ofAuto(),
                kernel,
                stride,
                padBegin,
                padEnd,
                dilation,
                padding.code,
                ceilMode,
                padding == Padding.ADAPTIVE)
            .asReadOnly();
  }

  private static long product(long[] kernel) {
    try {
      return Arrays.stream(kernel).reduce(1, Math::multiplyExact);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "kernel is " + Shape.join(kernel) + "; its product must be less than 2^63", e);
    }
  }

  /**
   * Makes a window of the given kernel. Its stride equals the kernel (windows side by side, as in
   * PyTorch), its padding is 0 and its dilation 1.
   *
   * @param kernel one to three extents, each at least 1, outermost axis first; their number is the
   *     window's rank
   * @return the window
   * @throws IllegalArgumentException if there are none or more than three, one is less than 1, or
   *     their product is 2^63 or more
   */
  public static Window of(long... kernel) {
    int rank = checkRank("kernel", kernel);
    long[] extents = perAxis("kernel", 1, rank, kernel);
    long[] none = new long[rank];
    long[] ones = perAxis("dilation", 1, rank, 1);
    return new Window(extents, extents, none, none, ones, Padding.EXPLICIT, false);
  }

  /**
   * Makes a window of rank 1.
   *
   * @param kernel its extent, at least 1
   * @return the window, of stride {@code kernel}
   * @throws IllegalArgumentException if the kernel is less than 1
   */
  public static Window line(long kernel) {
    return of(kernel);
  }

  /**
   * Makes a window of rank 2.
   *
   * @param kernel its height and width, at least 1
   * @return the window, of stride {@code kernel}
   * @throws IllegalArgumentException if the kernel is less than 1 or too large
   */
  public static Window square(long kernel) {
    return of(kernel, kernel);
  }

  /**
   * Makes a window of rank 3.
   *
   * @param kernel its depth, height and width, at least 1
   * @return the window, of stride {@code kernel}
   * @throws IllegalArgumentException if the kernel is less than 1 or too large
   */
  public static Window cube(long kernel) {
    return of(kernel, kernel, kernel);
  }

  /**
   * Makes the bins of adaptive pooling: whatever the input's extents, the output's are these. Bin i
   * of O along an input of I covers {@code floor(i·I/O)} to {@code floor(((i+1)·I − 1)/O)}, both
   * included, as in PyTorch; where O exceeds I, bins repeat elements. Stride, padding, dilation and
   * ceil mode do not apply.
   *
   * @param output one to three output extents, each at least 1, outermost axis first; their number
   *     is the window's rank
   * @return the bins, for every operator that takes a window
   * @throws IllegalArgumentException if there are none or more than three, or one is less than 1
   */
  public static Window adaptive(long... output) {
    int rank = checkRank("output", output);
    long[] none = new long[rank];
    long[] ones = perAxis("dilation", 1, rank, 1);
    return new Window(
        perAxis("output", 1, rank, output), ones, none, none, ones, Padding.ADAPTIVE, false);
  }

  /**
   * Makes the one bin of global pooling: the whole plane.
   *
   * @param rank number of spatial axes, 1 to 3
   * @return the bin, for every operator that takes a window
   * @throws IllegalArgumentException if the rank is another
   */
  public static Window global(int rank) {
    if (rank < 1 || rank > MAX_RANK) {
      throw new IllegalArgumentException("rank is " + rank + "; it must be 1, 2 or 3");
    }
    return adaptive(perAxis("output", 1, rank, 1));
  }

  /** The number of extents, 1 to 3. */
  private static int checkRank(String name, long[] extents) {
    int rank = Objects.requireNonNull(extents, name).length;
    if (rank < 1 || rank > MAX_RANK) {
      throw new IllegalArgumentException(
          name + " has " + rank + " extents; it must have 1 (W), 2 (H, W) or 3 (D, H, W)");
    }
    return rank;
  }

  /** Refuses to give bins what only windows have. */
  private void requireWindows(String what) {
    if (padding == Padding.ADAPTIVE) {
      throw new IllegalStateException(this + " have no " + what + "; only windows of a kernel do");
    }
  }

  /**
   * Sets the distance between windows.
   *
   * @param stride one value per axis, or one for all, each at least 1
   * @return this window with that stride
   * @throws IllegalArgumentException if a value is less than 1 or their number is another
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withStride(long... stride) {
    requireWindows("stride");
    return new Window(
        kernel,
        perAxis("stride", 1, rank(), stride),
        padBegin,
        padEnd,
        dilation,
        padding,
        ceilMode);
  }

  /**
   * Sets explicit padding, the same before and behind the input. Padding never wins a maximum and
   * is no part of an average unless {@link AvgPool#withIncludePadding()} says so.
   *
   * @param padding elements, one value per axis, or one for all, each at least 0 and less than the
   *     dilated kernel
   * @return this window with that padding, instead of any other
   * @throws IllegalArgumentException if a value is negative or their number is another
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withPadding(long... padding) {
    return withPadding(padding, padding);
  }

  /**
   * Sets explicit padding. Padding never wins a maximum and is no part of an average unless {@link
   * AvgPool#withIncludePadding()} says so.
   *
   * @param begin elements before the input, one value per axis, or one for all, each at least 0 and
   *     less than the dilated kernel
   * @param end elements behind the input, in the same way
   * @return this window with that padding, instead of any other
   * @throws IllegalArgumentException if a value is negative or their number is another
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withPadding(long[] begin, long[] end) {
    requireWindows("padding");
    return new Window(
        kernel,
        stride,
        perAxis("padding begin", 0, rank(), begin),
        perAxis("padding end", 0, rank(), end),
        dilation,
        Padding.EXPLICIT,
        ceilMode);
  }

  /**
   * Pads as much as gives {@code ceil(I / s)} outputs (TensorFlow's and ONNX's SAME). It excludes
   * ceil mode.
   *
   * @param side where the extra element of an odd total goes
   * @return this window with that padding, instead of any other
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withSamePadding(SamePadding side) {
    return switch (Objects.requireNonNull(side, "side")) {
      case UPPER -> withMode(Padding.SAME_UPPER);
      case LOWER -> withMode(Padding.SAME_LOWER);
    };
  }

  /**
   * Pads nothing (TensorFlow's and ONNX's VALID).
   *
   * @return this window without padding
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withValidPadding() {
    return withMode(Padding.VALID);
  }

  private Window withMode(Padding mode) {
    requireWindows("padding");
    long[] none = new long[rank()];
    return new Window(kernel, stride, none, none, dilation, mode, ceilMode);
  }

  /**
   * Sets the distance between the taps of a window.
   *
   * @param dilation one value per axis, or one for all, each at least 1
   * @return this window with that dilation
   * @throws IllegalArgumentException if a value is less than 1 or their number is another
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withDilation(long... dilation) {
    requireWindows("dilation");
    return new Window(
        kernel,
        stride,
        padBegin,
        padEnd,
        perAxis("dilation", 1, rank(), dilation),
        padding,
        ceilMode);
  }

  /**
   * Rounds output extents up, so that the last window may hang over the end; it must still start
   * inside the input or its begin padding. It excludes SAME padding.
   *
   * @return this window in ceil mode
   * @throws IllegalStateException if this is {@linkplain #isAdaptive() adaptive}
   */
  public Window withCeilMode() {
    requireWindows("ceil mode");
    return new Window(kernel, stride, padBegin, padEnd, dilation, padding, true);
  }

  private static long[] perAxis(String name, long least, int rank, long... values) {
    Objects.requireNonNull(values, name);
    if (values.length != rank && values.length != 1) {
      throw new IllegalArgumentException(
          name
              + " has "
              + values.length
              + " values; a window of rank "
              + rank
              + " takes "
              + (rank == 1 ? "1" : rank + ", or 1 for all axes"));
    }
    long[] expanded = new long[rank];
    for (int i = 0; i < rank; i++) {
      expanded[i] = values[values.length == 1 ? 0 : i];
      if (expanded[i] < least) {
        throw new IllegalArgumentException(
            name + " is " + expanded[i] + " in axis " + i + "; it must be at least " + least);
      }
    }
    return expanded;
  }

  /**
   * Returns the number of spatial axes.
   *
   * @return 1, 2 or 3
   */
  public int rank() {
    return kernel.length;
  }

  /**
   * Returns the extent of the kernel along an axis.
   *
   * @param axis spatial axis, outermost first
   * @return taps along that axis, or the output extent of adaptive bins, at least 1
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long kernel(int axis) {
    return kernel[Objects.checkIndex(axis, rank())];
  }

  /**
   * Returns the distance between windows along an axis.
   *
   * @param axis spatial axis, outermost first
   * @return elements, at least 1
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long stride(int axis) {
    return stride[Objects.checkIndex(axis, rank())];
  }

  /**
   * Returns the explicit padding before the input along an axis.
   *
   * @param axis spatial axis, outermost first
   * @return elements, at least 0; 0 with SAME or VALID padding
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long padBegin(int axis) {
    return padBegin[Objects.checkIndex(axis, rank())];
  }

  /**
   * Returns the explicit padding behind the input along an axis.
   *
   * @param axis spatial axis, outermost first
   * @return elements, at least 0; 0 with SAME or VALID padding
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long padEnd(int axis) {
    return padEnd[Objects.checkIndex(axis, rank())];
  }

  /**
   * Returns the distance between taps along an axis.
   *
   * @param axis spatial axis, outermost first
   * @return elements, at least 1
   * @throws IndexOutOfBoundsException if there is no such axis
   */
  public long dilation(int axis) {
    return dilation[Objects.checkIndex(axis, rank())];
  }

  /**
   * Tells whether output extents are rounded up.
   *
   * @return whether this window is in ceil mode
   */
  public boolean ceilMode() {
    return ceilMode;
  }

  /**
   * Tells whether these are adaptive bins and not windows of a kernel.
   *
   * @return whether {@link #adaptive} or {@link #global} made this
   */
  public boolean isAdaptive() {
    return padding == Padding.ADAPTIVE;
  }

  /**
   * Returns the number of taps.
   *
   * @return the product of the kernel's extents; 0 of adaptive bins, which differ
   */
  public long taps() {
    return taps;
  }

  /**
   * Returns the shape of what pooling an input of the given shape gives.
   *
   * @param input shape of the input
   * @return the output's shape: same batch, channels and layout
   * @throws IllegalArgumentException if the window has another rank than the input, a padding is
   *     not less than the dilated kernel, the window is larger than the padded input, ceil mode
   *     meets SAME padding, or an extent overflows
   */
  public Shape outputShape(Shape input) {
    Objects.requireNonNull(input, "input");
    NativeLibrary.verifyAvailable();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment extents = arena.allocate(ValueLayout.JAVA_LONG, 2 + MAX_RANK);
      Status.check(
          featurepool_h.fpool_output_extents(
              Descriptors.tensor(arena, DType.U8, input, input.elementCount()),
              descriptor,
              extents));
      return Shape.of(
          input.layout(),
          Arrays.copyOf(extents.toArray(ValueLayout.JAVA_LONG), 2 + input.spatialRank()));
    }
  }

  /** The native descriptor, made once so that calls allocate nothing. */
  MemorySegment descriptor() {
    return descriptor;
  }

  /**
   * Compares all parameters.
   *
   * @param other another object
   * @return whether it is a window of the same parameters
   */
  @Override
  public boolean equals(Object other) {
    return this == other
        || (other instanceof Window window
            && Arrays.equals(kernel, window.kernel)
            && Arrays.equals(stride, window.stride)
            && Arrays.equals(padBegin, window.padBegin)
            && Arrays.equals(padEnd, window.padEnd)
            && Arrays.equals(dilation, window.dilation)
            && padding == window.padding
            && ceilMode == window.ceilMode);
  }

  @Override
  public int hashCode() {
    return Objects.hash(
        Arrays.hashCode(kernel),
        Arrays.hashCode(stride),
        Arrays.hashCode(padBegin),
        Arrays.hashCode(padEnd),
        Arrays.hashCode(dilation),
        padding,
        ceilMode);
  }

  /**
   * Returns the parameters.
   *
   * @return for example {@code "window 3x3 stride 2x2 padding 1x1 to 1x1 dilation 1x1"}
   */
  @Override
  public String toString() {
    if (padding == Padding.ADAPTIVE) {
      return "adaptive bins " + Shape.join(kernel);
    }
    String pads =
        padding == Padding.EXPLICIT
            ? Shape.join(padBegin) + " to " + Shape.join(padEnd)
            : padding.toString();
    return "window "
        + Shape.join(kernel)
        + " stride "
        + Shape.join(stride)
        + " padding "
        + pads
        + " dilation "
        + Shape.join(dilation)
        + (ceilMode ? " ceil" : "");
  }
}
