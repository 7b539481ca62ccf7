package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import org.featurepool.Tensor;

/**
 * A pooling as the gallery asks for it: its gradient comes with the input, from which whatever the
 * backward pass needs (mask, output) is made again.
 *
 * @param forward pools a tensor
 * @param backward the gradient of the input
 */
record Pool(Forward forward, Backward backward) {

  /** The forward pass. */
  @FunctionalInterface
  interface Forward {
    /** Pools {@code x}. */
    Tensor of(Tensor x, Arena arena);
  }

  /** The backward pass. */
  @FunctionalInterface
  interface Backward {
    /** The gradient of input {@code x}, given that of the output. */
    Tensor of(Tensor gradient, Tensor x, Arena arena);
  }
}
