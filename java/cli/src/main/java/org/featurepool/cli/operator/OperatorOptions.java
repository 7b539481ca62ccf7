package org.featurepool.cli.operator;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** Gives a command {@code --op} and every option of every operator, and reads what was given. */
abstract class OperatorOptions implements IModelTransformer {
  private static final String OP = "--op";
  private static final int WIDTH = 79;
  private static final String INDENT = " ".repeat(17);

  /** For the command that writes further results of the forward pass. */
  static final class Forward extends OperatorOptions {
    @Override
    boolean takes(Option<?> option) {
      return true;
    }
  }

  /** For the command that has none. */
  static final class Backward extends OperatorOptions {
    @Override
    boolean takes(Option<?> option) {
      return !option.isOutput();
    }
  }

  abstract boolean takes(Option<?> option);

  @Override
  public CommandSpec transform(CommandSpec command) {
    ITypeConverter<?> operator = Operators::parse;
    command.addOption(
        OptionSpec.builder(OP)
            .paramLabel("OPERATOR")
            .required(true)
            .type(Operator.class)
            .converters(operator)
            .description("Operator, one of those below.")
            .build());
    Operators.options().stream()
        .filter(this::takes)
        .forEach(option -> command.addOption(spec(option)));
    command.usageMessage().footer(footer(command.usageMessage().footer()));
    return command;
  }

  private static OptionSpec spec(Option<?> option) {
    ITypeConverter<?> parser = option::parse;
    OptionSpec.Builder spec = OptionSpec.builder(option.name()).description(description(option));
    return option.isFlag()
        ? spec.arity("0").type(boolean.class).build()
        : spec.arity("1").paramLabel(option.label()).type(Object.class).converters(parser).build();
  }

  /** Few operators are named where an option is described, many would be a wall of names. */
  private static String description(Option<?> option) {
    String names = Operators.namesTaking(option);
    boolean few = !names.isEmpty() && names.split(", ").length <= 4;
    return few ? names + ": " + option.description() : option.description();
  }

  /** Lists the operators with their options, then says what the command itself has to say. */
  private String[] footer(String... more) {
    StringBuilder text = new StringBuilder("\nOperators, and what each takes:\n");
    for (Operator operator : Operators.ALL) {
      StringBuilder line = new StringBuilder("  %-14s ".formatted(operator.name()));
      line.append(operator.summary()).append(':');
      for (Option<?> option : operator.options().stream().filter(this::takes).toList()) {
        if (line.length() + 1 + option.name().length() > WIDTH) {
          text.append(line).append('\n');
          line = new StringBuilder(INDENT.substring(1));
        }
        line.append(' ').append(option.name());
      }
      text.append(line).append('\n');
    }
    return (text + String.join("\n", more)).split("\n", -1);
  }

  /**
   * The operator and the options that were given.
   *
   * @throws org.featurepool.cli.UsageException if the operator does not take one of them
   */
  static Arguments arguments(CommandSpec command) {
    ParseResult result = command.commandLine().getParseResult();
    Map<Option<?>, Object> given = new HashMap<>();
    for (Option<?> option : Operators.options()) {
      if (result.hasMatchedOption(option.name())) {
        given.put(option, result.matchedOptionValue(option.name(), null));
      }
    }
    Operator operator = result.matchedOptionValue(OP, null);
    return new Arguments(operator, given);
  }

  /** Says that the files of the output options will be written. */
  static Map<String, Path> addOutputs(Arguments arguments, Outputs outputs) {
    Map<String, Path> files = new HashMap<>();
    for (Option<?> option : arguments.operator().options()) {
      if (option.isOutput() && arguments.has(option)) {
        Path file = (Path) arguments.require(option);
        files.put(option.name(), outputs.add(option.name(), file, option.suffix()));
      }
    }
    return files;
  }
}
