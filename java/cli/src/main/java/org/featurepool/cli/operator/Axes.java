package org.featurepool.cli.operator;

/**
 * The axes of an array that an operator pools along.
 *
 * @param rank their number, 1 to 3
 * @param source the option that says so, with its value, for messages
 */
record Axes(int rank, String source) {
  static Axes of(Option<?> option, Values values) {
    return new Axes(values.count(), option + " " + values);
  }

  /** The two axes of operators that know no others. */
  static Axes ofPictures(Arguments arguments) {
    return new Axes(2, "--op " + arguments.operator().name());
  }
}
