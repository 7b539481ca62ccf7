package org.featurepool.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.featurepool.Featurepool;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The program {@code featurepool bench}. */
@Command(
    name = "featurepool bench",
    description =
        "Times pooling over a matrix of cells: Featurepool from Java, plain Java, the vector API, and"
            + " the limit that memory sets (a linear pass over as many bytes).",
    footer = {
      "",
      "bench [--matrix FILE] [--filter TEXT] --jmh [ARGUMENTS]",
      "    runs the JMH benchmarks instead, with ARGUMENTS for JMH (-h lists them)."
    },
    sortOptions = false)
public final class Main implements Callable<Integer> {
  private static final int FAILED = 1;
  private static final int BAD_USAGE = 2;
  private static final int MAX_THREADS = 1024;
  private static final String JMH = "--jmh";

  @Option(names = "--quick", description = "fewer and shorter samples")
  private boolean quick;

  @Option(
      names = "--filter",
      paramLabel = "TEXT",
      description = "only cells whose id or description contains TEXT")
  private String filter = "";

  @Option(names = "--json", paramLabel = "FILE", description = "write one JSON object per line")
  private Path json;

  @Option(
      names = "--threads",
      paramLabel = "1|2|all",
      description = "threads that a call may use (default: 1)")
  private String threads = "1";

  @Option(
      names = "--matrix",
      paramLabel = "FILE",
      description = "another matrix of the same columns")
  private Path matrix;

  @Option(
      names = "--overhead",
      description = "only what a call costs in Java beyond what it costs in C++")
  private boolean overhead;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "print this and exit")
  private boolean help;

  private final PrintWriter out;
  private List<String> jmhArguments;

  Main(PrintWriter out) {
    this.out = out;
  }

  /**
   * Runs the program and exits.
   *
   * @param arguments the options; {@code --help} lists them
   */
  public static void main(String[] arguments) {
    PrintWriter out = new PrintWriter(System.out, true);
    PrintWriter err = new PrintWriter(System.err, true);
    System.exit(run(out, err, arguments));
  }

  /** Runs the program and returns its exit status. */
  static int run(PrintWriter out, PrintWriter err, String... arguments) {
    Main main = new Main(out);
    int own = Arrays.asList(arguments).indexOf(JMH);
    if (own >= 0) {
      main.jmhArguments = List.of(arguments).subList(own + 1, arguments.length);
      arguments = Arrays.copyOf(arguments, own);
    }
    CommandLine line = new CommandLine(main).setOut(out).setErr(err);
    line.setParameterExceptionHandler((problem, given) -> refuse(err, problem));
    line.setExecutionExceptionHandler(
        (problem, command, given) -> {
          if (problem instanceof BadUsage) {
            return refuse(err, problem);
          }
          err.println("featurepool bench: " + problem.getMessage());
          return FAILED;
        });
    return line.execute(arguments);
  }

  private static int refuse(PrintWriter err, Exception problem) {
    err.println("featurepool bench: " + problem.getMessage().lines().findFirst().orElse(""));
    return BAD_USAGE;
  }

  @Override
  public Integer call() throws IOException {
    int threads = threads();
    List<Cell> cells = cells();
    if (jmhArguments != null) {
      return Jmh.run(cells, jmhArguments);
    }
    if (json != null && overhead) {
      throw new BadUsage("--json cannot be given with --overhead, which measures no cells");
    }
    try (JsonLines lines = openJson()) {
      Featurepool.verifyAvailable();
      Featurepool.setThreads(threads);
      LimitLibrary limit = LimitLibrary.load();
      printMachine();
      boolean right = overhead || measure(limit, cells, lines);
      if (overhead || filter.isEmpty()) {
        out.println();
        Overhead.print(new Overhead(limit).measure(), out);
      }
      return right ? 0 : FAILED;
    } catch (UnsatisfiedLinkError e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private boolean measure(LimitLibrary limit, List<Cell> cells, JsonLines lines)
      throws IOException {
    boolean right = true;
    try (Workers workers = new Workers(Featurepool.threads());
        Progress progress = new Progress(cells.size())) {
      CellBench bench =
          new CellBench(
              Contenders.all(), limit, quick ? Rounds.quick() : Rounds.thorough(), workers);
      for (Cell cell : cells) {
        progress.begin(cell.id());
        right &= measure(bench, cell, lines, progress);
        progress.end();
      }
    }
    return right;
  }

  private boolean measure(CellBench bench, Cell cell, JsonLines lines, Progress progress)
      throws IOException {
    Optional<Task> task = Task.of(cell);
    if (task.isEmpty()) {
      progress.print(() -> Table.missing(out, cell));
      return true;
    }
    CellBench.Outcome outcome = bench.run(cell.id(), task.get());
    progress.print(() -> Table.print(out, cell, outcome));
    if (lines != null) {
      for (Measurement measurement : outcome.measurements()) {
        lines.write(measurement);
      }
    }
    return outcome.wrong().isEmpty();
  }

  private void printMachine() {
    out.printf(
        Locale.ROOT,
        "Featurepool %s, %s, %d of %d processors, Java %s%n",
        Featurepool.version(),
        Featurepool.activeIsa(),
        Featurepool.threads(),
        Runtime.getRuntime().availableProcessors(),
        Runtime.version());
  }

  private JsonLines openJson() throws IOException {
    if (json == null) {
      return null;
    }
    try {
      return new JsonLines(Files.newBufferedWriter(json));
    } catch (IOException e) {
      throw new BadUsage("--json " + json + " cannot be written: " + e);
    }
  }

  private List<Cell> cells() {
    String text = filter.toLowerCase(Locale.ROOT);
    List<Cell> cells =
        (matrix == null ? Matrix.own() : Matrix.read(matrix))
            .stream()
                .filter(
                    cell ->
                        (cell.id() + " " + cell.description())
                            .toLowerCase(Locale.ROOT)
                            .contains(text))
                .toList();
    if (cells.isEmpty()) {
      throw new BadUsage("--filter is '" + filter + "'; no cell of the matrix contains that");
    }
    cells.forEach(Task::of); // refuses what does not fit before anything is measured
    return cells;
  }

  private int threads() {
    if (threads.equals("all")) {
      return 0;
    }
    try {
      int number = Integer.parseInt(threads);
      if (number >= 1 && number <= MAX_THREADS) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below, like a number out of range.
    }
    throw new BadUsage(
        "--threads is '"
            + threads
            + "'; it must be a number from 1 to "
            + MAX_THREADS
            + ", or all");
  }
}
