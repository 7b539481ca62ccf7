package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * RoIAlign: every region of interest becomes an image of the same extents, whose bins are sampled
 * at regular points between the elements, without rounding any coordinate.
 *
 * <p>A region of w×h (times the scale) has bins of w/W × h/H; each is sampled at {@code n×m}
 * points, of the {@linkplain #withSamplingRatio sampling ratio} or, by default, as many as the
 * bin's extents rounded up. Samples are interpolated bilinearly between four elements; one outside
 * [−1, H]×[−1, W] counts as 0. The {@linkplain #average average} of a bin is the mean of its
 * samples; its {@linkplain #max maximum} is, as in ONNX, the greatest product of an element and its
 * weight in a sample, not the greatest sample.
 *
 * <p>By default regions are at least one element wide and high (ONNX {@code output_half_pixel},
 * torchvision {@code aligned=False}); {@linkplain #withHalfPixel half pixel} subtracts half an
 * element from all coordinates and leaves regions as they are. Coordinates are computed in the type
 * of the tensor, as in ONNX Runtime.
 *
 * <p>Source: K. He, G. Gkioxari, P. Dollár and R. Girshick, "Mask R-CNN", 2017; ONNX {@code
 * RoiAlign}, versions 10, 16 and 22.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class RoiAlign {
  private static final int AVERAGE = featurepool_h.FPOOL_ROI_AVERAGE();
  private static final int MAX = featurepool_h.FPOOL_ROI_MAX();

  private final long height;
  private final long width;
  private final double scale;
  private final long samplingRatio;
  private final boolean halfPixel;
  private final int mode;
  private final MemorySegment descriptor;

  private RoiAlign(
      long height, long width, double scale, long samplingRatio, boolean halfPixel, int mode) {
    this.height = height;
    this.width = width;
    this.scale = scale;
    this.samplingRatio = samplingRatio;
    this.halfPixel = halfPixel;
    this.mode = mode;
    this.descriptor =
        Descriptors.roi(Arena.ofAuto(), height, width, scale, samplingRatio, halfPixel, mode)
            .asReadOnly();
  }

  private static RoiAlign of(long height, long width, double scale, int mode) {
    RoiPool.checkBins(height, width, scale);
    NativeLibrary.verifyAvailable();
    return new RoiAlign(height, width, scale, 0, false, mode);
  }

  /**
   * Makes the operator that averages the samples of a bin.
   *
   * @param height bins per region along H, at least 1
   * @param width bins per region along W, at least 1
   * @param scale what coordinates are multiplied by to be elements, for example 1/16
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are no bins, or the scale is not finite and greater
   *     than 0
   */
  public static RoiAlign average(long height, long width, double scale) {
    return of(height, width, scale, AVERAGE);
  }

  /**
   * Makes the operator that takes the greatest weighted element of a bin.
   *
   * @param height bins per region along H, at least 1
   * @param width bins per region along W, at least 1
   * @param scale what coordinates are multiplied by to be elements, for example 1/16
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are no bins, or the scale is not finite and greater
   *     than 0
   */
  public static RoiAlign max(long height, long width, double scale) {
    return of(height, width, scale, MAX);
  }

  /**
   * Sets the number of samples per bin and axis.
   *
   * @param samplingRatio at least 1, or 0 for as many as the bin has elements, rounded up
   * @return this operator with that ratio
   * @throws IllegalArgumentException if the ratio is negative
   */
  public RoiAlign withSamplingRatio(long samplingRatio) {
    if (samplingRatio < 0) {
      throw new IllegalArgumentException(
          "samplingRatio is " + samplingRatio + "; it must be at least 1, or 0 for the bin's size");
    }
    return new RoiAlign(height, width, scale, samplingRatio, halfPixel, mode);
  }

  /**
   * Sets whether coordinates are those of the corners of elements, so that half an element is
   * subtracted to get to their centres.
   *
   * @param halfPixel ONNX {@code half_pixel}, torchvision {@code aligned}
   * @return this operator with that convention
   */
  public RoiAlign withHalfPixel(boolean halfPixel) {
    return new RoiAlign(height, width, scale, samplingRatio, halfPixel, mode);
  }

  /**
   * Returns the shape of the output.
   *
   * @param input shape of the input, of rank 2
   * @param regions the regions
   * @return an image of bins per region, of the input's channels and layout
   */
  public Shape outputShape(Shape input, Regions regions) {
    Objects.requireNonNull(input, "input");
    return Objects.requireNonNull(regions, "regions").outputShape(input, height, width);
  }

  /**
   * Pools regions into a new tensor.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of rank 2
   * @param regions the regions
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape}
   * @throws IllegalArgumentException if the input has another type or rank, or a coordinate is not
   *     finite
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public Tensor forward(Tensor x, Regions regions, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape(), regions));
    forward(x, regions, out);
    return out;
  }

  /**
   * Pools regions into an existing tensor; allocates nothing on the Java heap.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of rank 2
   * @param regions the regions
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @throws IllegalArgumentException if the input has another type or rank, a coordinate is not
   *     finite, or {@code out} has another type or shape, is read-only or overlaps {@code x}
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public void forward(Tensor x, Regions regions, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(regions, "regions");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_roi_align_forward(
            x.descriptor(),
            x.segment(),
            descriptor,
            regions.count(),
            regions.boxes(),
            regions.batchIndices(),
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Computes the gradient of the input, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param regions the regions of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of its type and shape: every element of a bin gets the bin's
   *     gradient times its weight, or the greatest one alone does; accumulated
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public Tensor backward(Tensor gradient, Tensor x, Regions regions, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor inputGradient = Tensor.allocate(arena, x.dtype(), x.shape());
    backward(gradient, x, regions, inputGradient);
    return inputGradient;
  }

  /**
   * Computes the gradient of the input, into an existing tensor; allocates nothing on the Java
   * heap.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param regions the regions of the forward call
   * @param inputGradient gradient of the input, of its type and shape; overwritten
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     or {@code inputGradient} has another type or shape than {@code x}, is read-only or overlaps
   *     another tensor
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public void backward(Tensor gradient, Tensor x, Regions regions, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(regions, "regions");
    Objects.requireNonNull(inputGradient, "inputGradient");
    if (!x.shape().equals(inputGradient.shape())) {
      throw new IllegalArgumentException(
          "inputGradient is " + inputGradient.shape() + "; it must be as x, " + x.shape());
    }
    Status.check(
        featurepool_h.fpool_roi_align_backward(
            gradient.descriptor(),
            gradient.segment(),
            x.descriptor(),
            x.segment(),
            descriptor,
            regions.count(),
            regions.boxes(),
            regions.batchIndices(),
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares all parameters.
   *
   * @param other another object
   * @return whether it is an RoIAlign of the same parameters
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof RoiAlign align
        && height == align.height
        && width == align.width
        && scale == align.scale
        && samplingRatio == align.samplingRatio
        && halfPixel == align.halfPixel
        && mode == align.mode;
  }

  @Override
  public int hashCode() {
    return Objects.hash(height, width, scale, samplingRatio, halfPixel, mode);
  }

  /**
   * Returns the operator and its parameters.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "RoIAlign "
        + (mode == MAX ? "maximum" : "average")
        + " to "
        + height
        + "x"
        + width
        + ", scale "
        + scale
        + ", sampling ratio "
        + (samplingRatio == 0 ? "adaptive" : samplingRatio)
        + (halfPixel ? ", half pixel" : "");
  }
}
