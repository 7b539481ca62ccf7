package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.featurepool.Featurepool;

/** Runs the contenders of a cell against each other and against its limit. */
final class CellBench {
  /** Name of the limit among the contenders. */
  static final String LIMIT = "limit";

  // What the limit's buffers hold; why not zeros, limit.h tells.
  private static final byte FILLING = 0x3C;

  private final List<Contender> contenders;
  private final LimitLibrary limit;
  private final Rounds rounds;
  private final Workers workers;
  private final IntToDoubleFunction peakFlops;

  /** The other number of threads that Featurepool is measured with; 0: none. */
  private final int otherThreads;

  CellBench(List<Contender> contenders, LimitLibrary limit, Rounds rounds, Workers workers) {
    this.contenders = contenders;
    this.limit = limit;
    this.rounds = rounds;
    this.workers = workers;
    Map<Integer, Double> measured = new LinkedHashMap<>();
    peakFlops = threads -> measured.computeIfAbsent(threads, limit::peakFlops);
    int other = workers.threads() == 1 ? 2 : 1;
    otherThreads = Runtime.getRuntime().availableProcessors() < other ? 0 : other;
  }

  /**
   * What came out of a cell.
   *
   * @param cell the cell
   * @param task what it computes
   * @param measurements the limit first, then those contenders that took part
   * @param lacking why others did not, by their names
   * @param wrong how the results of others differed, by their names; they were not timed
   * @param extraBytes memory that a call of Featurepool took beside its tensors
   */
  record Outcome(
      Cell cell,
      Task task,
      List<Measurement> measurements,
      Map<String, String> lacking,
      Map<String, String> wrong,
      OptionalLong extraBytes) {
    /** The time of a contender, with as many threads as {@code threads}. */
    OptionalDouble nanos(String contender, int threads) {
      return measurements.stream()
          .filter(m -> m.contender().equals(contender) && m.threads() == threads)
          .mapToDouble(Measurement::nanos)
          .findFirst();
    }
  }

  Outcome run(Cell cell, Task task) {
    List<Contender.Call> calls = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      try {
        return run(cell, task, arena, calls);
      } finally {
        calls.reversed().forEach(Contender.Call::close);
      }
    }
  }

  /** Adds to {@code calls} what is to be closed before {@code arena}. */
  private Outcome run(Cell cell, Task task, Arena arena, List<Contender.Call> calls) {
    Map<String, String> lacking = new LinkedHashMap<>();
    Map<String, String> wrong = new LinkedHashMap<>();
    List<Contender> taking = new ArrayList<>();
    List<Rounds.Run> runs = new ArrayList<>();
    Workload workload = new Workload(task, arena);
    Result expected = null;
    Contender.Call featurepool = null;
    for (Contender contender : contenders) {
      if (!cell.isFor(contender)) {
        continue;
      }
      Optional<String> lack = contender.lack(task);
      if (lack.isPresent()) {
        lacking.put(contender.name(), lack.get());
        continue;
      }
      Result result;
      Contender.Call call;
      try {
        call = contender.prepare(workload, workers, arena);
        calls.add(call);
        call.run();
        result = call.result();
      } catch (UnsupportedOperationException e) {
        lacking.put(contender.name(), e.getMessage());
        continue;
      }
      if (expected == null) {
        expected = result;
      }
      Optional<String> difference = expected.difference(result, task);
      if (difference.isPresent()) {
        wrong.put(contender.name(), difference.get());
        continue;
      }
      taking.add(contender);
      runs.add(Rounds.Run.of(call::run));
      if (contender instanceof FeaturepoolReused) {
        featurepool = call;
      }
    }
    int timed = runs.size();
    if (featurepool != null && otherThreads > 0) {
      runs.add(withOtherThreads(featurepool));
    }
    int passes = runs.size();
    passes(task, arena).forEach(pass -> runs.add(Rounds.Run.of(pass)));
    List<Double> nanos = rounds.medians(runs);
    double limitNanos =
        task instanceof Product product
            ? product.flops() / peakFlops.applyAsDouble(workers.threads())
            : nanos.subList(passes, nanos.size()).stream()
                .mapToDouble(Double::doubleValue)
                .min()
                .orElseThrow();
    OptionalDouble best =
        IntStream.range(0, timed).filter(i -> taking.get(i).isPeer()).mapToDouble(nanos::get).min();
    int threads = workers.threads();
    List<Measurement> measurements = new ArrayList<>();
    measurements.add(measurement(cell, task, LIMIT, threads, limitNanos, limitNanos, best));
    for (int i = 0; i < timed; i++) {
      String name = taking.get(i).name();
      measurements.add(measurement(cell, task, name, threads, nanos.get(i), limitNanos, best));
    }
    if (passes > timed) {
      // Neither the limit nor the peers had that number of threads.
      measurements.add(
          measurement(
              cell,
              task,
              FeaturepoolReused.NAME,
              otherThreads,
              nanos.get(timed),
              Double.NaN,
              OptionalDouble.empty()));
    }
    OptionalLong extra =
        featurepool == null ? OptionalLong.empty() : PeakMemory.of(featurepool::run);
    return new Outcome(cell, task, measurements, lacking, wrong, extra);
  }

  private static Measurement measurement(
      Cell cell,
      Task task,
      String contender,
      int threads,
      double nanos,
      double limitNanos,
      OptionalDouble best) {
    long bytes = task.readBytes() + task.writtenBytes();
    return new Measurement(cell.id(), contender, threads, nanos, bytes, limitNanos, best);
  }

  private Rounds.Run withOtherThreads(Contender.Call call) {
    return new Rounds.Run(
        () -> Featurepool.setThreads(otherThreads),
        call::run,
        () -> Featurepool.setThreads(workers.threads()));
  }

  /** What may be the fastest pass: plain or streaming, by one thread or all; none of products. */
  private List<Runnable> passes(Task task, Arena arena) {
    if (task instanceof Product) {
      return List.of();
    }
    MemorySegment in = arena.allocate(task.readBytes(), LimitLibrary.ALIGNMENT);
    // A global pooling writes so little that reading alone is its limit.
    long writes = task.readsOnly() ? 0 : task.writtenBytes();
    MemorySegment out = arena.allocate(writes, LimitLibrary.ALIGNMENT);
    in.fill(FILLING);
    out.fill(FILLING);
    List<Runnable> passes = new ArrayList<>();
    for (int threads : workers.threads() == 1 ? new int[] {1} : new int[] {1, workers.threads()}) {
      passes.add(() -> limit.pass(in, out, false, threads));
      if (writes > 0) {
        passes.add(() -> limit.pass(in, out, true, threads));
      }
    }
    return passes;
  }
}
