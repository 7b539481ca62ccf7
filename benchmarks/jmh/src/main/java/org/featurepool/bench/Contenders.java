package org.featurepool.bench;

import java.util.List;

/** Who takes part. */
final class Contenders {
  /**
   * All contenders, in the order of the tables. The first is what the others are checked against.
   */
  static final List<Contender> ALL =
      List.of(new JavaLoop(), new VectorApi(), new FeaturepoolReused(), new FeaturepoolAllocated());

  private Contenders() {}
}
