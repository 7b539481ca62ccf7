package org.featurepool.cli.operator;

import java.util.Arrays;
import java.util.Optional;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.cli.UsageException;

/** What undoes a pooling of windows: an output of more elements than the input. */
abstract class Unpooling implements Pooling {
  private final Windows.Form form;
  private final Optional<Values> size;

  Unpooling(Arguments arguments, Windows.Form form) {
    this.form = form;
    this.size = arguments.find(Options.OUTPUT_SIZE);
    size.ifPresent(
        given -> {
          if (given.count() != form.axes().rank()) {
            throw new UsageException(
                "%s %s has %s; with %s it takes %d"
                    .formatted(
                        Options.OUTPUT_SIZE,
                        given,
                        given.countText(),
                        form.axes().source(),
                        form.axes().rank()));
          }
        });
  }

  /** The shape of the output where no other is asked for. */
  abstract Shape leastShape(Shape x);

  @Override
  public Axes axes() {
    return form.axes();
  }

  @Override
  public Set<DType> types() {
    return Types.F32_F64;
  }

  @Override
  public Shape outputShape(Shape x) {
    return size.map(given -> withSpatial(x, given.toArray())).orElseGet(() -> leastShape(x));
  }

  private static Shape withSpatial(Shape shape, long... spatial) {
    long[] extents = Arrays.copyOf(shape.extents(), 2 + spatial.length);
    System.arraycopy(spatial, 0, extents, 2, spatial.length);
    return Shape.of(shape.layout(), extents);
  }
}
