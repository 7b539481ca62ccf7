package org.featurepool.bench.jmh;

import java.lang.foreign.Arena;
import java.util.concurrent.TimeUnit;
import org.featurepool.DType;
import org.featurepool.MaxPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;
import org.featurepool.bindings.ffi.featurepool_h;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What the border between Java and C++ costs: calls that compute little or nothing. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@State(Scope.Thread)
public class CallBenchmark {
  private final MaxPool pool = MaxPool.of(Window.square(2).withStride(2));
  private Arena arena;
  private Tensor x;
  private Tensor y;

  /** Makes the tensors. */
  @Setup
  public void open() {
    arena = Arena.ofConfined();
    Shape shape = Shape.nchw(1, 16, 4, 4);
    x = Tensor.allocate(arena, DType.F32, shape);
    y = Tensor.allocate(arena, DType.F32, pool.window().outputShape(shape));
  }

  /** Frees the tensors. */
  @TearDown
  public void close() {
    arena.close();
  }

  /**
   * Calls a native function that does nothing.
   *
   * @return the version of the C ABI
   */
  @Benchmark
  public int emptyCall() {
    return featurepool_h.fpool_abi_version();
  }

  /** Pools a 1x16x4x4 tensor into another. */
  @Benchmark
  public void tinyReused() {
    pool.forward(x, y);
  }

  /** Pools a 1x16x4x4 tensor into one that is allocated for it. */
  @Benchmark
  public void tinyAllocated() {
    try (Arena own = Arena.ofConfined()) {
      pool.forward(x, own);
    }
  }
}
