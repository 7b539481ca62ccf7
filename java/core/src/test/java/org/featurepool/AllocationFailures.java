package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A program that lets every allocation of the native library, and every thread that it makes, fail,
 * one at a time. Each call must then give an {@link OutOfMemoryError} or its right result, hold on
 * to no memory, and work when it is repeated.
 *
 * <p>Arguments: the preloaded library that fails, number of native threads, a seed.
 */
final class AllocationFailures {
  private final MethodHandle failAfter;
  private final MethodHandle failures;
  private final MethodHandle requests;
  private final MethodHandle held;
  private final int threads;
  private long calls;
  private long failed;
  private long survived;

  @SuppressWarnings("restricted")
  private AllocationFailures(Path preloaded, int threads) throws Throwable {
    this.threads = threads;
    SymbolLookup symbols = SymbolLookup.libraryLookup(preloaded, Arena.global());
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor number = FunctionDescriptor.of(ValueLayout.JAVA_LONG);
    failAfter =
        linker.downcallHandle(
            symbols.findOrThrow("fa_fail_after"), FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
    failures = linker.downcallHandle(symbols.findOrThrow("fa_failures"), number);
    requests = linker.downcallHandle(symbols.findOrThrow("fa_requests"), number);
    held = linker.downcallHandle(symbols.findOrThrow("fa_held"), number);
    MethodHandle watch =
        linker.downcallHandle(
            symbols.findOrThrow("fa_watch"),
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS));
    MemorySegment name = Arena.global().allocateFrom(Featurepool.libraryPath().toString());
    if ((int) watch.invokeExact(name) == 0) {
      throw new AssertionError("the library is not loaded");
    }
  }

  public static void main(String[] arguments) throws Throwable {
    int threads = Integer.parseInt(arguments[1]);
    Featurepool.setThreads(threads);
    long seed = Long.parseLong(arguments[2]);
    AllocationFailures test = new AllocationFailures(Path.of(arguments[0]), threads);
    List<Subject> subjects = new ArrayList<>();
    for (PoolCase pool :
        new PoolCase[] {
          PoolCase.of2d(5, 23, 37, 3, 2).withPadding(1, 1),
          PoolCase.of2d(40, 40, 61, 5, 1).withPadding(2, 2),
          PoolCase.of2d(3, 11, 90, 2, 2),
          PoolCase.adaptive2d(4, 30, 30, 7, 4)
        }) {
      subjects.addAll(Subject.ofWindows(pool, seed));
    }
    subjects.addAll(Subject.ofOwnGeometry(Shape.nchw(2, 12, 25, 33), seed));
    for (Subject subject : subjects) {
      for (Layout layout : Layout.values()) {
        test.check(subject, layout, seed);
      }
    }
    System.out.println(
        "calls "
            + test.calls
            + ", allocations failed "
            + test.failed
            + ", of which the call did without "
            + test.survived
            + ", workers "
            + Workers.await(threads - 1));
  }

  private void check(Subject subject, Layout layout, long seed) throws Throwable {
    SplittableRandom random = new SplittableRandom(seed);
    double[] values =
        subject.traits().activations()
            ? random.doubles(subject.inputSize(), 0.125, 1).toArray()
            : random.doubles(subject.inputSize(), -1, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.converted(arena, DType.F32, subject.input(layout), values);
      Tensor y = subject.forward().apply(x, arena);
      Tensor dy = TestTensors.blank(arena, DType.F32, y.shape());
      dy.segment().fill((byte) 0x3d);
      check(subject.name() + ", " + layout, a -> subject.forward().apply(x, a));
      check(
          subject.name() + ", " + layout + ", with workers made anew",
          a -> {
            Featurepool.setThreads(threads);
            return subject.forward().apply(x, a);
          });
      check("gradient of " + subject.name() + ", " + layout, a -> subject.backward().of(dy, x, a));
    }
  }

  private interface Call {
    Tensor in(Arena arena);
  }

  private void check(String what, Call call) throws Throwable {
    // The second time, what is kept between calls is there.
    result(call);
    float[] expected = result(call);
    long before = (long) requests.invokeExact();
    result(call);
    long count = (long) requests.invokeExact() - before;
    long holding = (long) held.invokeExact();
    for (long i = 0; i < count; i++) {
      failAfter.invokeExact(i);
      boolean refused = false;
      try {
        float[] result = result(call);
        requireSame(expected, result, what);
      } catch (OutOfMemoryError documented) {
        refused = true;
        if (!documented.getMessage().contains("memory")) {
          throw new AssertionError("the message does not say so", documented);
        }
      }
      long met = (long) failures.invokeExact();
      failAfter.invokeExact(-1L);
      calls++;
      failed += met;
      survived += refused ? 0 : met;
      if (refused && met == 0) {
        throw new AssertionError(what + ": out of memory though none was refused");
      }
      requireSame(expected, result(call), what + ", after a failure");
      long holds = (long) held.invokeExact();
      // A worker that comes late to a call lets go of it when it has looked.
      for (int wait = 0; holds > holding && wait < 1000; wait++) {
        Thread.sleep(1);
        holds = (long) held.invokeExact();
      }
      if (holds > holding) {
        throw new AssertionError(
            what + ": " + (holds - holding) + " allocations leaked when number " + i + " failed");
      }
    }
  }

  private static float[] result(Call call) {
    try (Arena arena = Arena.ofConfined()) {
      return call.in(arena).toFloatArray();
    }
  }

  private static void requireSame(float[] expected, float[] actual, String what) {
    if (!Arrays.equals(expected, actual)) {
      throw new AssertionError(what + ": another result");
    }
  }
}
