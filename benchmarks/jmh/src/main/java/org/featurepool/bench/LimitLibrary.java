package org.featurepool.bench;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * The passes over memory that are a cell's limit, and calls timed from C++: {@code
 * benchmarks/native/limit.h}.
 */
final class LimitLibrary {
  /** Alignment of the buffers of a pass. */
  static final long ALIGNMENT = 64;

  /** System property that names the library's file; without it, the one in the jar is used. */
  static final String PROPERTY = "featurepool.limit.library";

  private static final String RESOURCE = "libfeaturepool_limit.so";

  private final MethodHandle pass;
  private final MethodHandle sgemm;
  private final MethodHandle timeAbiVersion;
  private final MethodHandle timeMaxForward;

  private LimitLibrary(SymbolLookup symbols) {
    pass =
        handle(
            symbols,
            "fplimit_pass",
            FunctionDescriptor.ofVoid(
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT));
    sgemm =
        handle(
            symbols,
            "fplimit_sgemm",
            FunctionDescriptor.of(ValueLayout.JAVA_DOUBLE, ValueLayout.JAVA_INT));
    timeAbiVersion =
        handle(
            symbols,
            "fplimit_time_abi_version",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    timeMaxForward =
        handle(
            symbols,
            "fplimit_time_max_forward",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS));
  }

  @SuppressWarnings("restricted")
  private static MethodHandle handle(
      SymbolLookup symbols, String function, FunctionDescriptor type) {
    return Linker.nativeLinker().downcallHandle(symbols.findOrThrow(function), type);
  }

  /** Whether there is a library to load. */
  static boolean isAvailable() {
    return System.getProperty(PROPERTY) != null || LimitLibrary.class.getResource(RESOURCE) != null;
  }

  /**
   * Loads the library.
   *
   * @throws UnsatisfiedLinkError if there is none, or it cannot be loaded
   */
  static LimitLibrary load() {
    String named = System.getProperty(PROPERTY);
    try {
      if (named != null) {
        return new LimitLibrary(symbols(Path.of(named)));
      }
      Path copy = Files.createTempFile("featurepool-limit-", ".so");
      try (InputStream in = LimitLibrary.class.getResourceAsStream(RESOURCE)) {
        if (in == null) {
          throw new UnsatisfiedLinkError(
              "the benchmarks were built without "
                  + RESOURCE
                  + "; configure the native build with -DFEATUREPOOL_BENCHMARKS=ON");
        }
        Files.copy(in, copy, StandardCopyOption.REPLACE_EXISTING);
        return new LimitLibrary(symbols(copy));
      } finally {
        Files.delete(copy); // what is loaded stays
      }
    } catch (IOException | IllegalArgumentException e) {
      UnsatisfiedLinkError error =
          new UnsatisfiedLinkError("cannot load " + RESOURCE + ": " + e.getMessage());
      error.initCause(e);
      throw error;
    }
  }

  /**
   * The functions of a library, for the rest of the process.
   *
   * @throws IllegalArgumentException if it cannot be loaded
   */
  @SuppressWarnings("restricted")
  static SymbolLookup symbols(Path library) {
    return SymbolLookup.libraryLookup(library, Arena.global());
  }

  /** Reads all of {@code in} and writes all of {@code out}, in proportion. */
  void pass(MemorySegment in, MemorySegment out, boolean streaming, int threads) {
    try {
      pass.invokeExact(in, in.byteSize(), out, out.byteSize(), streaming ? 1 : 0, threads);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Multiplications and additions per nanosecond in large matrix products. */
  double peakFlops(int threads) {
    try {
      return (double) sgemm.invokeExact(threads);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Nanoseconds that {@code count} calls of {@code fpool_abi_version} take from C++. */
  long timeAbiVersion(MemorySegment function, long count) {
    try {
      return (long) timeAbiVersion.invokeExact(function, count);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Nanoseconds that {@code count} calls of {@code fpool_max_forward} take from C++. */
  long timeMaxForward(
      MemorySegment function,
      long count,
      MemorySegment x,
      MemorySegment xData,
      MemorySegment window,
      MemorySegment y,
      MemorySegment yData) {
    long nanoseconds;
    try {
      nanoseconds = (long) timeMaxForward.invokeExact(function, count, x, xData, window, y, yData);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    if (nanoseconds < 0) {
      throw new IllegalStateException("fpool_max_forward refused a call");
    }
    return nanoseconds;
  }
}
