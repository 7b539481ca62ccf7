package org.featurepool.bench;

import java.util.Optional;
import org.featurepool.DType;
import org.featurepool.Shape;

/** What a cell computes. */
public sealed interface Task permits Pooling, Pyramid, Product {
  /**
   * The task of a cell.
   *
   * @return empty if there is no such operator
   * @throws BadUsage if the cell's parameters do not fit its tensor
   */
  static Optional<Task> of(Cell cell) {
    return Pooling.of(cell)
        .<Task>map(task -> task)
        .or(() -> Pyramid.of(cell))
        .or(() -> Product.of(cell));
  }

  /** Whether plain Java has the types and operators that the task needs. */
  default Optional<String> lackOfJava() {
    if (dtype() != DType.F32 && dtype() != DType.U8) {
      return Optional.of(dtype() + " in Java arrays");
    }
    if (this instanceof Pooling pooling && pooling.kind() == Pooling.Kind.MIN) {
      return Optional.of("minima");
    }
    return Grid.fitsArrays(this)
        ? Optional.empty()
        : Optional.of("tensors larger than Java arrays");
  }

  /** Type of the elements. */
  DType dtype();

  /** Shape of the input; backward: of the gradient that comes out. */
  Shape input();

  /** Shape of the output; backward: of the gradient that goes in. */
  Shape output();

  /** Whether it computes a gradient. */
  boolean backward();

  /** Bytes that a call has to read. */
  long readBytes();

  /** Bytes that a call has to write. */
  long writtenBytes();

  /** Whether so little is written that reading alone is the limit. */
  default boolean readsOnly() {
    return writtenBytes() * 16 < readBytes();
  }

  /**
   * How far results of magnitude {@code largest} may be apart; 0: not at all, for an element is a
   * copy of an input.
   */
  double tolerance(double largest);
}
