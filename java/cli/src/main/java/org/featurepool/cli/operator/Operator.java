package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.List;

/** What {@code --op} can name: an operator before its options are known. */
interface Operator {
  /** As {@code --op} takes it. */
  String name();

  /** What it computes, in a few words. */
  String summary();

  /** The options that it takes, beside those that all take. */
  List<Option<?>> options();

  /**
   * Makes the operator from its options, and reads the files that they name.
   *
   * @param arena owner of what the files hold
   * @throws org.featurepool.cli.UsageException if an option is missing or does not fit another
   * @throws IllegalArgumentException if the library refuses one
   */
  Pooling make(Arguments arguments, Arena arena) throws IOException;
}
