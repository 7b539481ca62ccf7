package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;

/** An operator with its options: what the commands run. */
interface Pooling {
  /** How many axes of an array it pools along. */
  Axes axes();

  /** The types that it takes. */
  Set<DType> types();

  /** Shape of what pooling an input of a shape gives. */
  Shape outputShape(Shape x);

  /** Tells whether the output is one vector per image, of N x length x 1 x 1. */
  default boolean givesVectors() {
    return false;
  }

  /** The number of axes of an output's array, from that of the input's. */
  default int outputAxes(int axes) {
    return axes;
  }

  /** Extents in memory order of the array that holds the output. */
  default long[] outputExtents(Input x) {
    Shape shape = outputShape(x.tensor().shape());
    return givesVectors()
        ? new long[] {shape.batch(), shape.channels()}
        : ArrayForm.extents(shape, outputAxes(x.axes()));
  }

  /** Pools. */
  Result forward(Input x, Arena arena) throws IOException;

  /** The names of the gradients that {@link #backward} gives beside that of the input. */
  default List<String> furtherGradients() {
    return List.of();
  }

  /**
   * Gives the gradient of this pooling at {@code x}, from that of its output.
   *
   * @param dy of {@link #outputShape} and the input's type, or float32 where that is an integer
   */
  Result backward(Input x, Tensor dy, Arena arena) throws IOException;

  /** Writes one of a pooling's further results. */
  @FunctionalInterface
  interface Extra {
    void write(Path file) throws IOException;
  }

  /**
   * What was computed.
   *
   * @param tensor the output, or the gradient of the input
   * @param extras further results: those of a forward pass by the option that names their file,
   *     those of a backward pass by the name of the gradient
   */
  record Result(Tensor tensor, Map<String, Extra> extras) {
    Result(Tensor tensor) {
      this(tensor, Map.of());
    }
  }
}
