package org.featurepool.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
        "Times pooling over a matrix of cells: Featurepool from Java, other engines, plain Java, the"
            + " vector API, and the limit that memory sets (a linear pass over as many bytes); ends"
            + " with what that says about each target of speed.",
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
      names = "--report",
      paramLabel = "DIR",
      description = "write a page with charts, and sweep kernels and sizes for it")
  private Path report;

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
    if ((json != null || report != null) && overhead) {
      throw new BadUsage(
          (json != null ? "--json" : "--report")
              + " cannot be given with --overhead, which measures no cells");
    }
    try (JsonLines lines = openJson()) {
      Featurepool.verifyAvailable();
      Featurepool.setThreads(threads);
      LimitLibrary limit = LimitLibrary.load();
      List<Contender> contenders = overhead ? List.of() : Contenders.all();
      printMachine(contenders);
      List<CellBench.Outcome> outcomes =
          overhead ? List.of() : measure(contenders, limit, cells, lines);
      Overhead.Figures figures = null;
      if (overhead || filter.isEmpty()) {
        out.println();
        figures = new Overhead(limit).measure();
        Overhead.print(figures, out);
      }
      if (!overhead) {
        List<String> targets = targets(outcomes, figures);
        out.println();
        targets.forEach(out::println);
        if (report != null) {
          writeReport(contenders, limit, lines, outcomes, figures, targets);
        }
      }
      return outcomes.stream().allMatch(outcome -> outcome.wrong().isEmpty()) ? 0 : FAILED;
    } catch (UnsatisfiedLinkError e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private List<CellBench.Outcome> measure(
      List<Contender> contenders, LimitLibrary limit, List<Cell> cells, JsonLines lines)
      throws IOException {
    List<CellBench.Outcome> outcomes = new ArrayList<>();
    try (Workers workers = new Workers(Featurepool.threads());
        Progress progress = new Progress(cells.size())) {
      Rounds rounds = quick ? Rounds.quick() : Rounds.thorough();
      CellBench bench = new CellBench(contenders, limit, rounds, workers);
      for (Cell cell : cells) {
        progress.begin(cell.id());
        Optional<Task> task = Task.of(cell);
        if (task.isPresent()) {
          CellBench.Outcome outcome = bench.run(cell, task.get());
          outcomes.add(outcome);
          progress.print(() -> Table.print(out, outcome));
          if (lines != null) {
            lines.write(outcome.measurements());
          }
        } else {
          progress.print(() -> Table.missing(out, cell));
        }
        progress.end();
      }
    }
    return outcomes;
  }

  private static List<String> targets(List<CellBench.Outcome> outcomes, Overhead.Figures figures)
      throws IOException {
    Targets targets = new Targets(outcomes, Featurepool.threads(), Caches.read());
    if (figures != null) {
      targets.addCalls(figures);
      targets.addJar();
    }
    return targets.lines();
  }

  private void writeReport(
      List<Contender> contenders,
      LimitLibrary limit,
      JsonLines lines,
      List<CellBench.Outcome> outcomes,
      Overhead.Figures figures,
      List<String> targets)
      throws IOException {
    List<Cell> sizes = Sweeps.sizes().stream().filter(Sweeps::fitsMemory).toList();
    Report.Contents contents =
        new Report.Contents(
            outcomes,
            measure(contenders, limit, Sweeps.kernels(), lines),
            measure(contenders, limit, sizes, lines),
            Border.measure(),
            figures,
            targets);
    new Report(Machine.description(), Machine.versions(contenders), Featurepool.threads())
        .write(report, contents);
    out.println();
    out.println("report: " + report.resolve("index.html"));
  }

  private void printMachine(List<Contender> contenders) {
    out.println(Machine.description());
    String versions = Machine.versions(contenders);
    if (!versions.isEmpty()) {
      out.println(versions);
    }
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
    List<Cell> all = new ArrayList<>(matrix == null ? Matrix.own() : Matrix.read(matrix));
    if (matrix == null) {
      all.addAll(Matrix.targets());
    }
    List<Cell> cells =
        all.stream()
            .filter(
                cell ->
                    (cell.id() + " " + cell.description()).toLowerCase(Locale.ROOT).contains(text))
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
