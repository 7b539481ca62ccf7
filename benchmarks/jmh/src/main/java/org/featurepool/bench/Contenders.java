package org.featurepool.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/** Who takes part. */
final class Contenders {
  /** Those of this module, in the order of the tables. */
  static final List<Contender> OWN =
      List.of(new JavaLoop(), new VectorApi(), new FeaturepoolReused(), new FeaturepoolAllocated());

  private Contenders() {}

  /**
   * All, in the order of the tables: those of this module, then other engines if they are on the
   * class path. The first that can compute a cell is what the others are checked against.
   */
  static List<Contender> all() {
    List<Contender> all = new ArrayList<>(OWN);
    ServiceLoader.load(Contender.class).forEach(all::add);
    return all;
  }
}
