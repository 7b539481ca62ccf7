package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

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

  CellBench(List<Contender> contenders, LimitLibrary limit, Rounds rounds, Workers workers) {
    this.contenders = contenders;
    this.limit = limit;
    this.rounds = rounds;
    this.workers = workers;
  }

  /**
   * What came out of a cell.
   *
   * @param measurements the limit first, then those contenders that took part
   * @param lacking why others did not, by their names
   * @param wrong how the results of others differed, by their names; they were not timed
   */
  record Outcome(
      List<Measurement> measurements, Map<String, String> lacking, Map<String, String> wrong) {}

  Outcome run(String id, Task task) {
    List<Contender.Call> calls = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      try {
        return run(id, task, arena, calls);
      } finally {
        calls.reversed().forEach(Contender.Call::close);
      }
    }
  }

  /** Adds to {@code calls} what is to be closed before {@code arena}. */
  private Outcome run(String id, Task task, Arena arena, List<Contender.Call> calls) {
    Map<String, String> lacking = new LinkedHashMap<>();
    Map<String, String> wrong = new LinkedHashMap<>();
    List<Contender> taking = new ArrayList<>();
    List<Runnable> runs = passes(task, arena);
    int passes = runs.size();
    Workload workload = new Workload(task, arena);
    Result expected = null;
    for (Contender contender : contenders) {
      Optional<String> lack = contender.lack(task);
      if (lack.isPresent()) {
        lacking.put(contender.name(), lack.get());
        continue;
      }
      Contender.Call call;
      try {
        call = contender.prepare(workload, workers, arena);
      } catch (UnsupportedOperationException e) {
        lacking.put(contender.name(), e.getMessage());
        continue;
      }
      calls.add(call);
      call.run();
      Result result = call.result();
      if (expected == null) {
        expected = result;
      }
      Optional<String> difference = expected.difference(result, task);
      if (difference.isPresent()) {
        wrong.put(contender.name(), difference.get());
      } else {
        taking.add(contender);
        runs.add(call::run);
      }
    }
    List<Double> nanos = rounds.medians(runs);
    double least =
        nanos.subList(0, passes).stream().mapToDouble(Double::doubleValue).min().orElseThrow();
    List<Double> times = nanos.subList(passes, nanos.size());
    OptionalDouble best =
        IntStream.range(0, times.size())
            .filter(i -> taking.get(i).isPeer())
            .mapToDouble(times::get)
            .min();
    long bytes = task.readBytes() + task.writtenBytes();
    int threads = workers.threads();
    List<Measurement> measurements = new ArrayList<>();
    measurements.add(new Measurement(id, LIMIT, threads, least, bytes, least, best));
    for (int i = 0; i < times.size(); i++) {
      measurements.add(
          new Measurement(id, taking.get(i).name(), threads, times.get(i), bytes, least, best));
    }
    return new Outcome(measurements, lacking, wrong);
  }

  /** What may be the fastest pass: plain or streaming, by one thread or all. */
  private List<Runnable> passes(Task task, Arena arena) {
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
