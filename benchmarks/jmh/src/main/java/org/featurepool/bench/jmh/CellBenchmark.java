package org.featurepool.bench.jmh;

import java.util.concurrent.TimeUnit;
import org.featurepool.bench.ContenderCall;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The contenders in Java, one thread, over cells of the matrix. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@State(Scope.Thread)
public class CellBenchmark {
  /** Id of a cell of the project's matrix; {@code featurepool bench --jmh} gives all of them. */
  @Param("resnet_pool")
  public String cell;

  /** Name of a contender. */
  @Param({"featurepool", "featurepool-alloc", "java-loop", "vector-api"})
  public String contender;

  private ContenderCall call;

  /** Makes the tensors. */
  @Setup
  public void open() {
    call = ContenderCall.open(cell, contender);
  }

  /** Frees the tensors. */
  @TearDown
  public void close() {
    call.close();
  }

  /** Computes the cell. */
  @Benchmark
  public void run() {
    call.run();
  }
}
