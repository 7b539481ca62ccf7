package org.featurepool.cli.operator;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.featurepool.Featurepool;
import org.featurepool.Layout;
import org.featurepool.cli.UsageException;

/** The options that were given with an operator, all of them such as it takes. */
final class Arguments {
  private static final int MAX_THREADS = 1024;

  private final Operator operator;
  private final Map<Option<?>, Object> given;

  /**
   * Takes options.
   *
   * @param given options and their values
   * @throws UsageException if the operator does not take one of them
   */
  Arguments(Operator operator, Map<Option<?>, Object> given) {
    this.operator = operator;
    this.given = new HashMap<>(given);
    for (Option<?> option : given.keySet()) {
      if (!operator.options().contains(option) && !Options.COMMON.contains(option)) {
        throw new UsageException(
            "%s belongs to %s; --op is %s"
                .formatted(option, Operators.namesTaking(option), operator.name()));
      }
    }
  }

  Operator operator() {
    return operator;
  }

  boolean has(Option<?> option) {
    return given.containsKey(option);
  }

  /** The value of an option, if it was given. */
  @SuppressWarnings("unchecked") // The option's own parser made the value.
  <T> Optional<T> find(Option<T> option) {
    return Optional.ofNullable((T) given.get(option));
  }

  /**
   * The value of an option that must be given.
   *
   * @throws UsageException if it was not
   */
  <T> T require(Option<T> option) {
    return find(option)
        .orElseThrow(
            () ->
                new UsageException(
                    "--op %s needs %s=%s".formatted(operator.name(), option, option.label())));
  }

  /**
   * The one of several options that was given.
   *
   * @throws UsageException if none or several were
   */
  Option<?> oneOf(Option<?>... options) {
    String names = Arrays.stream(options).map(Option::name).collect(Collectors.joining(", "));
    Option<?> found = null;
    for (Option<?> option : options) {
      if (has(option)) {
        if (found != null) {
          throw new UsageException("%s excludes %s; give one of them".formatted(found, option));
        }
        found = option;
      }
    }
    if (found == null) {
      throw new UsageException("--op %s needs one of %s".formatted(operator.name(), names));
    }
    return found;
  }

  /**
   * Refuses an option that makes sense with another only.
   *
   * @throws UsageException if {@code option} was given and {@code other} was not
   */
  void requireWith(Option<?> option, Option<?> other) {
    if (has(option) && !has(other)) {
      throw new UsageException("%s goes with %s, which is not given".formatted(option, other));
    }
  }

  Layout layout() {
    return find(Options.LAYOUT).orElse(Layout.PLANAR);
  }

  /** Sets the number of threads where it was given. */
  void applyThreads() {
    find(Options.THREADS)
        .ifPresent(
            threads -> {
              if (threads < 1 || threads > MAX_THREADS) {
                throw new UsageException(
                    "--threads is %d; it must be 1 to 1024".formatted(threads));
              }
              Featurepool.setThreads(Math.toIntExact(threads));
            });
  }
}
