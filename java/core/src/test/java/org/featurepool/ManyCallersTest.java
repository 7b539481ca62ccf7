package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Many threads that call at once, and callers that are interrupted or lose their memory. */
class ManyCallersTest {
  @TempDir private Path folder;

  private Map<String, Double> measured(
      int seconds, int platform, int virtual, Map<String, String> environment) throws Exception {
    ChildJvm.Outcome outcome =
        new ChildJvm(folder, environment)
            .runWithTests(
                Duration.ofSeconds(60 + 10L * seconds),
                // All of the JVM's own memory and threads are there from the start.
                "-XX:+UseSerialGC",
                "-Xms256m",
                "-Xmx256m",
                "-XX:+AlwaysPreTouch",
                "-XX:-UseDynamicNumberOfCompilerThreads",
                ManyCallers.class.getName(),
                Integer.toString(seconds),
                Integer.toString(platform),
                Integer.toString(virtual));
    assertEquals(0, outcome.exit(), outcome.output());
    System.out.println("many callers: " + outcome.output().strip().replace("\n", ", "));
    return outcome
        .output()
        .lines()
        .map(line -> line.split(" "))
        .collect(Collectors.toMap(line -> line[0], line -> Double.valueOf(line[1])));
  }

  @Test
  void shareTheWorkers() throws Exception {
    Map<String, Double> measured =
        measured(
            1, 16, 100, Map.of("FEATUREPOOL_THREADS", "3", "FEATUREPOOL_LEAST_SHARED_BYTES", "1"));
    assertEquals(2, measured.get("workers"), measured::toString);
    assertTrue(measured.get("worker-seconds") > 0, measured::toString);
    assertTrue(measured.get("idle-load") < 0.05, measured::toString);
  }

  @Test
  @Tag("torture")
  void shareTheWorkersForAMinute() throws Exception {
    int threads = Runtime.getRuntime().availableProcessors();
    Map<String, Double> measured =
        measured(60, 64, 1000, Map.of("FEATUREPOOL_THREADS", Integer.toString(threads)));
    assertEquals(threads - 1, measured.get("workers"), measured::toString);
    assertTrue(measured.get("resident-deviation") <= 0.05, measured::toString);
    assertTrue(measured.get("throughput-ratio") >= 0.9, measured::toString);
    assertTrue(measured.get("throughput-ratio-by-cpu-time") >= 0.9, measured::toString);
    assertTrue(measured.get("idle-load") < 0.05, measured::toString);
  }

  /** Large enough that closing and interrupting meet calls under way. */
  private static final PoolCase LARGE = PoolCase.of2d(16, 200, 300, 5, 1).withPadding(2, 2);

  @Test
  void anInterruptedCallerGetsItsResultAndStaysInterrupted() throws Exception {
    SplittableRandom random = new SplittableRandom(3);
    float[] values = TestTensors.floats(random, LARGE.inputSize(), false);
    MedianPool pool = MedianPool.of(LARGE.window());
    try (Arena arena = Arena.ofShared()) {
      Tensor x = TestTensors.tensor(arena, DType.F32, LARGE.inputShape(Layout.PLANAR), values);
      float[] expected = pool.forward(x, arena).toFloatArray();
      AtomicBoolean interrupted = new AtomicBoolean();
      float[][] result = new float[1][];
      Thread caller =
          Thread.ofPlatform()
              .start(
                  () -> {
                    result[0] = pool.forward(x, arena).toFloatArray();
                    interrupted.set(Thread.interrupted());
                  });
      caller.interrupt();
      caller.join();
      assertArrayEquals(expected, result[0]);
      assertTrue(interrupted.get());
    }
  }

  /** Closing fails while a call holds the memory; afterwards, calls fail. */
  @Test
  void anArenaOutlivesTheCallsUnderWay() throws Exception {
    MaxPool pool = MaxPool.of(LARGE.window());
    int refusedCloses = 0;
    for (int i = 0; i < 20; i++) {
      Arena arena = Arena.ofShared();
      Tensor x = Tensor.allocate(arena, DType.F32, LARGE.inputShape(Layout.PLANAR));
      Tensor y = Tensor.allocate(arena, DType.F32, LARGE.outputShape(Layout.PLANAR));
      AtomicInteger calls = new AtomicInteger();
      IllegalStateException[] end = new IllegalStateException[1];
      Thread caller =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      for (; ; ) {
                        pool.forward(x, y);
                        calls.incrementAndGet();
                      }
                    } catch (IllegalStateException closed) {
                      end[0] = closed;
                    }
                  });
      while (calls.get() == 0) {
        Thread.onSpinWait();
      }
      for (boolean open = true; open; ) {
        try {
          arena.close();
          open = false;
        } catch (IllegalStateException callUnderWay) {
          refusedCloses++;
        }
      }
      caller.join();
      assertTrue(end[0] != null && calls.get() > 0);
      MemorySegment memory = x.segment();
      assertThrows(IllegalStateException.class, () -> memory.get(ValueLayout.JAVA_BYTE, 0));
    }
    assertTrue(refusedCloses > 0, "no close met a call");
  }
}
