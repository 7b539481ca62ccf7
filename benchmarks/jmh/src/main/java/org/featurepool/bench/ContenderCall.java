package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Optional;
import org.featurepool.Featurepool;

/** One contender in one cell of the project's matrix, ready to run, one thread. */
public final class ContenderCall implements AutoCloseable {
  private final Arena arena;
  private final Workers workers;
  private final Contender.Call call;

  private ContenderCall(Arena arena, Workers workers, Contender.Call call) {
    this.arena = arena;
    this.workers = workers;
    this.call = call;
  }

  /**
   * Makes it ready; it belongs to the calling thread.
   *
   * @param cell id of the cell
   * @param contender name of the contender
   * @return the call, to be closed
   * @throws IllegalArgumentException if there is no such cell or contender, or that contender
   *     cannot compute that cell
   */
  public static ContenderCall open(String cell, String contender) {
    Task task =
        Matrix.own().stream()
            .filter(candidate -> candidate.id().equals(cell))
            .findFirst()
            .flatMap(Task::of)
            .orElseThrow(() -> new IllegalArgumentException("there is no cell " + cell));
    Contender found =
        Contenders.OWN.stream()
            .filter(candidate -> candidate.name().equals(contender))
            .findFirst()
            .orElseThrow(() -> new IllegalArgumentException("there is no contender " + contender));
    Optional<String> lack = found.lack(task);
    if (lack.isPresent()) {
      throw new IllegalArgumentException(contender + " has no " + lack.get());
    }
    Featurepool.setThreads(1);
    Arena arena = Arena.ofConfined();
    Workers workers = new Workers(1);
    return new ContenderCall(
        arena, workers, found.prepare(new Workload(task, arena), workers, arena));
  }

  /** Computes the cell. */
  public void run() {
    call.run();
  }

  @Override
  public void close() {
    call.close();
    workers.close();
    arena.close();
  }
}
