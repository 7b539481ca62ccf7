package org.featurepool.cli;

import org.featurepool.Featurepool;
import org.featurepool.cli.conformance.ConformanceCommand;
import org.featurepool.cli.gallery.DemoCommand;
import org.featurepool.cli.operator.BackwardCommand;
import org.featurepool.cli.operator.PoolCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The program. */
@Command(
    name = "featurepool",
    description = "Pooling layers of convolutional networks, forward and backward.",
    versionProvider = Main.Version.class,
    sortOptions = false,
    usageHelpAutoWidth = true,
    subcommands = {
      DemoCommand.class,
      PoolCommand.class,
      BackwardCommand.class,
      ConformanceCommand.class,
      InfoCommand.class
    })
public final class Main implements Runnable {
  /** Exit status where usage or input was bad; nothing was written. */
  public static final int BAD_USAGE = 2;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Show this help and exit.")
  private boolean help;

  @Option(
      names = {"-V", "--version"},
      versionHelp = true,
      description = "Show the version and exit.")
  private boolean version;

  private Main() {}

  /**
   * Runs the program and ends the JVM with its exit status: 0, {@link #BAD_USAGE}, or 1 for an
   * error that is not the user's.
   *
   * @param args the command and its options
   */
  public static void main(String[] args) {
    System.setProperty("java.awt.headless", "true");
    System.exit(run(commandLine(), args));
  }

  static CommandLine commandLine() {
    Failure failure = new Failure();
    return new CommandLine(new Main())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(failure)
        .setExecutionExceptionHandler(failure)
        .setExecutionStrategy(Main::execute);
  }

  static int run(CommandLine command, String... args) {
    try {
      return command.execute(args);
    } catch (Error e) {
      return Failure.handleError(e, command);
    }
  }

  /** Reached without a command only. */
  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "no command; commands are " + String.join(", ", spec.subcommands().keySet()));
  }

  private static int execute(ParseResult result) {
    if (result.asCommandLineList().stream().noneMatch(CommandLine::isUsageHelpRequested)) {
      requireLibrary(result);
    }
    return new CommandLine.RunLast().execute(result);
  }

  /** Finds out first whether the library loads and its environment variables hold valid values. */
  private static void requireLibrary(ParseResult result) {
    try {
      Featurepool.verifyAvailable();
      Featurepool.activeIsa();
      Featurepool.threads();
    } catch (RuntimeException | LinkageError e) {
      throw new ExecutionException(
          result.asCommandLineList().getLast(),
          e.getMessage(),
          new UsageException(e.getMessage(), e));
    }
  }

  /** Tells the version of the library. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"Featurepool " + Featurepool.version()};
    }
  }
}
