package org.featurepool;

import java.util.Objects;

/**
 * Where the maxima of a pooling without a fixed window were found: of {@link FractionalMaxPool} and
 * {@link RoiPool}.
 *
 * @param tensor {@link DType#I32}, one entry per output: the position within the plane of the input
 *     (row-major), or -1 where nothing was pooled
 * @param inputShape shape of the pooling's input
 */
public record PositionMask(Tensor tensor, Shape inputShape) {
  /**
   * Checks the components.
   *
   * @throws IllegalArgumentException if the tensor has another type, rank or layout
   */
  public PositionMask {
    Objects.requireNonNull(tensor, "tensor");
    Objects.requireNonNull(inputShape, "inputShape");
    if (tensor.dtype() != DType.I32) {
      throw new IllegalArgumentException("tensor is of " + tensor.dtype() + "; a mask is of I32");
    }
    if (tensor.shape().spatialRank() != inputShape.spatialRank()
        || tensor.shape().layout() != inputShape.layout()) {
      throw new IllegalArgumentException(
          "tensor is " + tensor.shape() + "; an input of " + inputShape + " has other masks");
    }
  }

  /** Refuses a mask of another input; `name` says whose. */
  void checkBelongsTo(Shape input, String name) {
    if (!inputShape.equals(input)) {
      throw new IllegalArgumentException(
          "mask is of an input of " + inputShape + "; " + name + " is " + input);
    }
  }
}
