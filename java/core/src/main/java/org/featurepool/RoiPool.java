package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * RoI max pooling: every region of interest becomes an image of the same extents, whose elements
 * are the maxima of the region's bins.
 *
 * <p>The coordinates of a box times the scale are rounded (halves away from 0) to the first and
 * last element of the region, which has at least one. Bin i of n along an extent e covers {@code
 * floor(i·e/n)} to {@code ceil((i + 1)·e/n)} (exclusive), clipped to the plane; an empty bin gives
 * 0 and no position. Coordinates are computed in the type of the tensor, as in torchvision. Ties
 * and NaN are those of {@link MaxPool}.
 *
 * <p>Source: R. Girshick, "Fast R-CNN", 2015.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class RoiPool {
  private final long height;
  private final long width;
  private final double scale;
  private final MemorySegment descriptor;

  /**
   * The outcome of a pooling with positions.
   *
   * @param output the maxima, one image per region
   * @param mask where they were found, in the planes of each region's image
   */
  public record Result(Tensor output, PositionMask mask) {}

  private RoiPool(long height, long width, double scale) {
    this.height = height;
    this.width = width;
    this.scale = scale;
    this.descriptor =
        Descriptors.roi(Arena.ofAuto(), height, width, scale, 0, false, 0).asReadOnly();
  }

  /**
   * Makes the operator.
   *
   * @param height bins per region along H, at least 1
   * @param width bins per region along W, at least 1
   * @param scale what coordinates are multiplied by to be elements, for example 1/16
   * @return an operator that may be shared between threads
   * @throws IllegalArgumentException if there are no bins, or the scale is not finite and greater
   *     than 0
   */
  public static RoiPool of(long height, long width, double scale) {
    checkBins(height, width, scale);
    NativeLibrary.verifyAvailable();
    return new RoiPool(height, width, scale);
  }

  /** Refuses what no operator over regions can have. */
  static void checkBins(long height, long width, double scale) {
    if (height < 1 || width < 1) {
      throw new IllegalArgumentException(
          "output is " + height + "x" + width + "; there must be at least 1x1 bins");
    }
    if (!(scale > 0) || Double.isInfinite(scale)) {
      throw new IllegalArgumentException(
          "scale is " + scale + "; it must be finite and greater than 0");
    }
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
    Tensor out = output(x, regions, arena);
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
    run(x, regions, out, null);
  }

  /**
   * Pools regions into a new tensor and records where the maxima are.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of rank 2
   * @param regions the regions
   * @param arena owner of the memory of output and mask
   * @return output of the input's type and {@link #outputShape}, and its mask
   * @throws IllegalArgumentException if the input has another type or rank, or a coordinate is not
   *     finite
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public Result forwardWithMask(Tensor x, Regions regions, Arena arena) {
    Tensor out = output(x, regions, arena);
    PositionMask mask = new PositionMask(Tensor.allocate(arena, DType.I32, out.shape()), x.shape());
    forwardWithMask(x, regions, out, mask);
    return new Result(out, mask);
  }

  /**
   * Pools regions into an existing tensor and records where the maxima are; allocates nothing on
   * the Java heap.
   *
   * @param x input, {@link DType#F32} or {@link DType#F64}, of rank 2
   * @param regions the regions
   * @param out output of the input's type and {@link #outputShape}; overwritten
   * @param mask a mask of the output's extents; overwritten
   * @throws IllegalArgumentException if the input has another type or rank, a coordinate is not
   *     finite, or an output has another type or shape, is read-only or overlaps another tensor
   * @throws IndexOutOfBoundsException if there is no image of a region's index
   */
  public void forwardWithMask(Tensor x, Regions regions, Tensor out, PositionMask mask) {
    run(x, regions, out, Objects.requireNonNull(mask, "mask"));
  }

  private Tensor output(Tensor x, Regions regions, Arena arena) {
    Objects.requireNonNull(x, "x");
    return Tensor.allocate(arena, x.dtype(), outputShape(x.shape(), regions));
  }

  private void run(Tensor x, Regions regions, Tensor out, PositionMask mask) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(regions, "regions");
    Objects.requireNonNull(out, "out");
    if (mask != null) {
      mask.checkBelongsTo(x.shape(), "x");
    }
    Status.check(
        featurepool_h.fpool_roi_pool_forward(
            x.descriptor(),
            x.segment(),
            descriptor,
            regions.count(),
            regions.boxes(),
            regions.batchIndices(),
            out.descriptor(),
            out.writable("out"),
            mask == null ? MemorySegment.NULL : mask.tensor().descriptor(),
            mask == null ? MemorySegment.NULL : mask.tensor().writable("mask")));
  }

  /**
   * Routes the gradient of the output to the maxima, into a new tensor.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param regions the regions of the forward call
   * @param arena owner of the memory of the input's gradient
   * @return gradient of the input, of the gradient's type: at every element, the sum of the
   *     gradients of the bins that it was the maximum of
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its plane
   */
  public Tensor backward(Tensor gradient, PositionMask mask, Regions regions, Arena arena) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Tensor inputGradient = Tensor.allocate(arena, gradient.dtype(), mask.inputShape());
    backward(gradient, mask, regions, inputGradient);
    return inputGradient;
  }

  /**
   * Routes the gradient of the output to the maxima, into an existing tensor; allocates nothing on
   * the Java heap.
   *
   * @param gradient gradient of the output
   * @param mask the mask of the forward call
   * @param regions the regions of the forward call
   * @param inputGradient gradient of the input, of the gradient's type; overwritten
   * @throws IllegalArgumentException if {@code gradient} has another type or shape than the output,
   *     {@code mask} is of another input, or {@code inputGradient} has another type, is read-only
   *     or overlaps another tensor
   * @throws IndexOutOfBoundsException if an entry of the mask is no position of its plane
   */
  public void backward(Tensor gradient, PositionMask mask, Regions regions, Tensor inputGradient) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(mask, "mask");
    Objects.requireNonNull(regions, "regions");
    Objects.requireNonNull(inputGradient, "inputGradient");
    mask.checkBelongsTo(inputGradient.shape(), "inputGradient");
    Status.check(
        featurepool_h.fpool_roi_pool_backward(
            gradient.descriptor(),
            gradient.segment(),
            mask.tensor().descriptor(),
            mask.tensor().segment(),
            regions.count(),
            regions.batchIndices(),
            inputGradient.descriptor(),
            inputGradient.writable("inputGradient")));
  }

  /**
   * Compares bins and scales.
   *
   * @param other another object
   * @return whether it is an RoI pooling of the same bins and scale
   */
  @Override
  public boolean equals(Object other) {
    return other instanceof RoiPool pool
        && height == pool.height
        && width == pool.width
        && scale == pool.scale;
  }

  @Override
  public int hashCode() {
    return Objects.hash(height, width, scale);
  }

  /**
   * Returns the operator, its bins and its scale.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "RoI max pooling to " + height + "x" + width + ", scale " + scale;
  }
}
