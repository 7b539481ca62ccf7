package org.featurepool.cli.operator;

import java.util.Set;
import org.featurepool.DType;
import org.featurepool.Shape;

/** What poolings of windows have in common. */
abstract class WindowPooling implements Pooling {
  private final Windows.Form form;
  private final Set<DType> types;

  WindowPooling(Windows.Form form, Set<DType> types) {
    this.form = form;
    this.types = types;
  }

  @Override
  public Axes axes() {
    return form.axes();
  }

  @Override
  public Set<DType> types() {
    return types;
  }

  @Override
  public Shape outputShape(Shape x) {
    return form.window().outputShape(x);
  }
}
