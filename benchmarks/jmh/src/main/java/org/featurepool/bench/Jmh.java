package org.featurepool.bench;

import java.io.IOException;
import java.util.List;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/** Runs the JMH benchmarks over cells of the matrix, with the gc profiler. */
final class Jmh {
  private static final String CELL = "cell";

  private Jmh() {}

  /**
   * Runs them.
   *
   * @param cells the cells, unless {@code arguments} has {@code -p cell=}
   * @param arguments for JMH
   * @return exit status
   */
  static int run(List<Cell> cells, List<String> arguments) {
    try {
      CommandLineOptions options = new CommandLineOptions(arguments.toArray(String[]::new));
      if (options.shouldHelp()) {
        options.showHelp();
        return 0;
      }
      ChainedOptionsBuilder builder =
          new OptionsBuilder().parent(options).addProfiler(GCProfiler.class);
      if (!options.getParameter(CELL).hasValue()) {
        builder.param(
            CELL,
            cells.stream()
                .filter(cell -> Task.of(cell).isPresent())
                .map(Cell::id)
                .toArray(String[]::new));
      }
      Runner runner = new Runner(builder.build());
      if (options.shouldList()) {
        runner.list();
      } else {
        runner.run();
      }
      return 0;
    } catch (CommandLineOptionException | RunnerException | IOException e) {
      throw new BadUsage("JMH: " + e.getMessage());
    }
  }
}
