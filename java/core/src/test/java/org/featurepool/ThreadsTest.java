package org.featurepool;

import static org.featurepool.TestTensors.assertSameBits;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The native threads, and calls from several Java threads. */
class ThreadsTest {
  /** Large enough that a call is worth sharing out. */
  private static final PoolCase LARGE = PoolCase.of2d(24, 96, 131, 3, 2).withPadding(1, 1);

  @AfterEach
  void restore() {
    Featurepool.setThreads(0);
  }

  /** All results of one input. */
  private record Results(
      float[] max, int[] mask, float[] maxGradient, float[] average, float[] averageGradient) {

    static Results of(Layout layout, float[] values, float[] gradients) {
      Window window = LARGE.window();
      try (Arena arena = Arena.ofConfined()) {
        Tensor x = TestTensors.tensor(arena, DType.F32, LARGE.inputShape(layout), values);
        Tensor gradient =
            TestTensors.tensor(arena, DType.F32, LARGE.outputShape(layout), gradients);
        MaxPool.Result result = MaxPool.of(window).forwardWithMask(x, arena);
        AvgPool average = AvgPool.of(window);
        return new Results(
            result.output().toFloatArray(),
            result.mask().tensor().toIntArray(),
            MaxPool.of(window).backward(gradient, result.mask(), arena).toFloatArray(),
            average.forward(x, arena).toFloatArray(),
            average.backward(gradient, x.shape(), arena).toFloatArray());
      }
    }

    void assertSame(Results other, String what) {
      assertSameBits(max, other.max, what);
      assertArrayEquals(mask, other.mask, what);
      assertSameBits(maxGradient, other.maxGradient, what);
      assertSameBits(average, other.average, what);
      assertSameBits(averageGradient, other.averageGradient, what);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void resultsDoNotDependOnThreads(Layout layout) throws Exception {
    SplittableRandom random = new SplittableRandom(5);
    float[] values = TestTensors.floats(random, LARGE.inputSize(), false);
    float[] gradients = TestTensors.floats(random, LARGE.outputSize(), false);
    Featurepool.setThreads(1);
    Results expected = Results.of(layout, values, gradients);
    for (int threads : new int[] {2, 5}) {
      Featurepool.setThreads(threads);
      assertEquals(threads, Featurepool.threads());
      expected.assertSame(Results.of(layout, values, gradients), threads + " threads");
      assertEquals(threads - 1, Workers.await(threads - 1), "workers that calls are shared with");
    }
  }

  @Test
  void manyCallersGetTheirOwnResults() throws Exception {
    Featurepool.setThreads(2);
    SplittableRandom random = new SplittableRandom(6);
    List<float[]> inputs = new ArrayList<>();
    List<Results> expected = new ArrayList<>();
    float[] gradients = TestTensors.floats(random, LARGE.outputSize(), false);
    for (int i = 0; i < 4; i++) {
      inputs.add(TestTensors.floats(random, LARGE.inputSize(), false));
      expected.add(Results.of(Layout.PLANAR, inputs.get(i), gradients));
    }
    try (ExecutorService callers = Executors.newFixedThreadPool(8)) {
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < 32; i++) {
        int input = i % inputs.size();
        calls.add(
            callers.submit(
                () ->
                    expected
                        .get(input)
                        .assertSame(
                            Results.of(Layout.PLANAR, inputs.get(input), gradients),
                            "input " + input)));
      }
      for (Future<?> call : calls) {
        call.get();
      }
    }
  }

  @Test
  void callersMayShareAnInput() throws Exception {
    SplittableRandom random = new SplittableRandom(8);
    MaxPool pool = MaxPool.of(LARGE.window());
    try (Arena arena = Arena.ofShared();
        ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      Tensor x =
          TestTensors.tensor(
              arena,
              DType.F32,
              LARGE.inputShape(Layout.PLANAR),
              TestTensors.floats(random, LARGE.inputSize(), false));
      float[] expected = pool.forward(x, arena).toFloatArray();
      List<Future<Tensor>> outputs = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        outputs.add(callers.submit(() -> pool.forward(x, arena)));
      }
      for (Future<Tensor> output : outputs) {
        assertSameBits(expected, output.get().toFloatArray(), "shared input");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 1025, Integer.MIN_VALUE})
  void badNumberOfThreads(int threads) {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> Featurepool.setThreads(threads));
    assertTrue(refusal.getMessage().contains("threads is " + threads), refusal.getMessage());
  }
}
