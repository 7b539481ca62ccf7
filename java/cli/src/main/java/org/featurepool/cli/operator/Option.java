package org.featurepool.cli.operator;

import java.nio.file.Path;
import java.util.function.Function;

/**
 * An option of operators. Operators that take the same option share one object of {@link Options}.
 *
 * @param <T> type of its value
 */
final class Option<T> {
  private final String name;
  private final String label;
  private final Function<String, T> parser;
  private final String suffix;
  private final String description;

  private Option(
      String name, String label, Function<String, T> parser, String suffix, String description) {
    this.name = name;
    this.label = label;
    this.parser = parser;
    this.suffix = suffix;
    this.description = description;
  }

  /**
   * An option with a value.
   *
   * @param name as it is written, {@code --kernel}
   * @param label what stands for the value in the help
   * @param parser makes the value, or throws a {@link picocli.CommandLine.TypeConversionException}
   * @param description what it says
   */
  static <T> Option<T> of(
      String name, String label, Function<String, T> parser, String description) {
    return new Option<>(name, label, parser, "", description);
  }

  /** An option that is given or not. */
  static Option<Boolean> flag(String name, String description) {
    return new Option<>(name, "", Boolean::valueOf, "", description);
  }

  /**
   * A further file that {@code pool}, and not {@code backward}, writes.
   *
   * @param suffix what the file's name must end in
   */
  static Option<Path> output(String name, String label, String suffix, String description) {
    return new Option<>(name, label, Path::of, suffix, description);
  }

  String name() {
    return name;
  }

  String label() {
    return label;
  }

  boolean isFlag() {
    return label.isEmpty();
  }

  boolean isOutput() {
    return !suffix.isEmpty();
  }

  String suffix() {
    return suffix;
  }

  String description() {
    return description;
  }

  T parse(String text) {
    return parser.apply(text);
  }

  @Override
  public String toString() {
    return name;
  }
}
