package org.featurepool;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A program whose many threads pool the same tensors and tensors of their own at once. It checks
 * every result against that of a single thread and ends with an error at the first other one; what
 * it measures of the process, it prints: {@code name value}, one a line.
 *
 * <p>Arguments: seconds, number of platform threads, of virtual threads.
 */
final class ManyCallers {
  private static final int ROUNDS = 5;

  /** Small enough to stay on the caller's thread, and large enough to be shared out. */
  private static final List<PoolCase> CASES =
      List.of(
          PoolCase.of2d(3, 14, 15, 3, 2).withPadding(1, 1),
          PoolCase.of2d(16, 28, 28, 2, 2),
          PoolCase.of2d(48, 56, 57, 3, 2).withPadding(1, 1),
          PoolCase.of2d(32, 112, 113, 3, 2).withPadding(1, 1));

  private final List<Job> jobs = new ArrayList<>();
  private final AtomicBoolean stop = new AtomicBoolean();
  private final AtomicLong elements = new AtomicLong();
  private final AtomicLong calls = new AtomicLong();
  private int mostWorkers;

  /** An input, the operators, which all callers share, and what each gives. */
  private record Job(
      Layout layout,
      PoolCase pool,
      MaxPool max,
      AvgPool average,
      LpPool lp,
      BilinearPool bilinear,
      Tensor shared,
      List<Tensor> expected) {
    static Job of(PoolCase pool, Layout layout, float[] values, Arena arena) {
      Window window = pool.window();
      Tensor x = TestTensors.tensor(arena, DType.F32, pool.inputShape(layout), values);
      Job job =
          new Job(
              layout,
              pool,
              MaxPool.of(window),
              AvgPool.of(window),
              LpPool.of(window, 2),
              BilinearPool.homogeneous(),
              x,
              new ArrayList<>());
      job.expected.addAll(job.results(x, arena));
      return job;
    }

    List<Tensor> results(Tensor x, Arena arena) {
      MaxPool.Result maxima = max.forwardWithMask(x, arena);
      Tensor averages = average.forward(x, arena);
      return List.of(
          maxima.output(),
          max.backward(maxima.output(), maxima.mask(), arena),
          averages,
          average.backward(averages, x.shape(), arena),
          lp.forward(x, arena),
          bilinear.forward(x, arena));
    }

    /** Compared outside of Java's heap, which a thousand callers under way would fill. */
    void check(Tensor x) {
      try (Arena arena = Arena.ofConfined()) {
        List<Tensor> results = results(x, arena);
        for (int i = 0; i < results.size(); i++) {
          if (expected.get(i).segment().mismatch(results.get(i).segment()) >= 0) {
            throw new AssertionError(
                "result " + i + " of " + pool + ", " + layout + ", is another one");
          }
        }
      }
    }
  }

  public static void main(String[] arguments) throws Exception {
    int seconds = Integer.parseInt(arguments[0]);
    new ManyCallers().run(seconds, Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
  }

  private void run(int seconds, int platform, int virtual) throws Exception {
    try (Arena arena = Arena.ofShared()) {
      prepare(arena);
      int warmUp = Math.min(3, seconds);
      int rounds = Math.min(ROUNDS, seconds);
      phase(warmUp, 1, 0);
      // Until the allocator has its arenas for all of them.
      phase(Math.max(warmUp, seconds / 3), platform, virtual);
      double single = 0;
      double singleByCpu = 0;
      double many = 0;
      double manyByCpu = 0;
      List<Long> residents = new ArrayList<>();
      for (int i = 0; i < rounds; i++) {
        Rate alone = phase(Math.max(1, seconds / 15), 1, 0);
        Rate together = phase(seconds / rounds, platform, virtual);
        single = Math.max(single, alone.perSecond);
        singleByCpu = Math.max(singleByCpu, alone.perCpuSecond);
        many = Math.max(many, together.perSecond);
        manyByCpu = Math.max(manyByCpu, together.perCpuSecond);
        residents.add(together.resident);
        System.out.println("resident-megabytes-of-round-" + i + " " + (together.resident >> 20));
      }
      System.out.println("calls " + calls);
      System.out.println("workers " + mostWorkers);
      System.out.println("worker-seconds " + Workers.seconds());
      double mean = residents.stream().mapToLong(bytes -> bytes).average().orElseThrow();
      System.out.println(
          "resident-deviation "
              + residents.stream()
                  .mapToDouble(bytes -> Math.abs(bytes / mean - 1))
                  .max()
                  .orElseThrow());
      System.out.println("throughput-ratio " + many / single);
      System.out.println("throughput-ratio-by-cpu-time " + manyByCpu / singleByCpu);
    }
    idle();
  }

  private void prepare(Arena arena) {
    SplittableRandom random = new SplittableRandom(9);
    Featurepool.setThreads(1);
    for (PoolCase pool : CASES) {
      for (Layout layout : Layout.values()) {
        float[] values = TestTensors.floats(random, pool.inputSize(), false);
        jobs.add(Job.of(pool, layout, values, arena));
      }
    }
    Featurepool.setThreads(0);
  }

  /** Elements per second of wall and of processor time, and resident bytes on average. */
  private record Rate(double perSecond, double perCpuSecond, long resident) {}

  private Rate phase(int seconds, int platform, int virtual) throws Exception {
    stop.set(false);
    CountDownLatch ready = new CountDownLatch(platform);
    CountDownLatch go = new CountDownLatch(1);
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < platform + virtual; i++) {
      int number = i;
      boolean isPlatform = i < platform;
      Runnable body =
          () -> {
            if (isPlatform) {
              ready.countDown();
            }
            try {
              go.await();
            } catch (InterruptedException e) {
              return;
            }
            work(number);
          };
      Thread thread =
          isPlatform ? Thread.ofPlatform().unstarted(body) : Thread.ofVirtual().unstarted(body);
      thread.setUncaughtExceptionHandler(
          (where, failure) -> {
            failure.printStackTrace(System.out);
            Runtime.getRuntime().halt(1);
          });
      thread.start();
      threads.add(thread);
    }
    ready.await();
    Thread.sleep(100);
    long elementsBefore = elements.get();
    double cpu = processorSeconds();
    long start = System.nanoTime();
    go.countDown();
    long resident = 0;
    int samples = 0;
    while (System.nanoTime() - start < seconds * 1_000_000_000L) {
      Thread.sleep(50);
      resident += resident();
      samples++;
    }
    double elapsed = (System.nanoTime() - start) / 1e9;
    double used = processorSeconds() - cpu;
    long done = elements.get() - elementsBefore;
    // Once, for it reads a file of every thread.
    mostWorkers = Math.max(mostWorkers, Workers.count());
    stop.set(true);
    for (Thread thread : threads) {
      thread.join();
    }
    return new Rate(done / elapsed, done / used, resident / samples);
  }

  private void work(int number) {
    SplittableRandom random = new SplittableRandom(number);
    while (!stop.get()) {
      Job job = jobs.get(random.nextInt(jobs.size()));
      if (random.nextBoolean()) {
        job.check(job.shared);
      } else {
        try (Arena own = Arena.ofConfined()) {
          Tensor x = Tensor.allocate(own, DType.F32, job.shared.shape());
          x.segment().copyFrom(job.shared.segment());
          job.check(x);
        }
      }
      calls.addAndGet(6);
      elements.addAndGet(job.pool.inputSize());
      Thread.yield();
    }
  }

  /** Processor time of the process while nobody calls. */
  private static void idle() throws Exception {
    Thread.sleep(500);
    double before = processorSeconds();
    Thread.sleep(3000);
    System.out.println("idle-load " + (processorSeconds() - before) / 3);
  }

  private static <T> T io(Callable<T> read) {
    try {
      return read.call();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static long resident() {
    String pages = io(() -> Files.readString(Path.of("/proc/self/statm"))).split(" ")[1];
    return Long.parseLong(pages) * 4096;
  }

  private static double processorSeconds() {
    return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos() / 1e9;
  }
}
