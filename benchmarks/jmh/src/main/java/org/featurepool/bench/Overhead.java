package org.featurepool.bench;

import com.sun.management.ThreadMXBean;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.featurepool.DType;
import org.featurepool.Featurepool;
import org.featurepool.MaxPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;
import org.featurepool.bindings.ffi.featurepool_h;
import org.featurepool.bindings.ffi.fpool_tensor;
import org.featurepool.bindings.ffi.fpool_window;

/**
 * What a call costs in Java beyond what it costs in C++: the same functions of the same library on
 * the same buffers, called from loops in either language, in turn, in one process.
 */
final class Overhead {
  private static final long CALLS = 20_000;
  private static final int WARM_UP_ROUNDS = 20;
  private static final int ROUNDS = 21;

  private final LimitLibrary limit;

  Overhead(LimitLibrary limit) {
    this.limit = limit;
  }

  /**
   * The figures.
   *
   * @param javaNanos median time of a call of {@code MaxPool.forward} on a 1x16x4x4 tensor
   * @param cppNanos median time of the same call from C++
   * @param emptyJavaNanos median time of a call that does nothing, from Java
   * @param emptyCppNanos median time of the same call from C++
   * @param bytesPerCall heap memory that a call of {@code MaxPool.forward} allocates
   */
  record Figures(
      double javaNanos,
      double cppNanos,
      double emptyJavaNanos,
      double emptyCppNanos,
      double bytesPerCall) {}

  Figures measure() {
    try (Arena arena = Arena.ofConfined()) {
      Shape shape = Shape.nchw(1, 16, 4, 4);
      MaxPool pool = MaxPool.of(Window.square(2).withStride(2));
      Tensor x = Tensor.allocate(arena, DType.F32, shape);
      Tensor y = Tensor.allocate(arena, DType.F32, pool.window().outputShape(shape));
      SymbolLookup library = LimitLibrary.symbols(Featurepool.libraryPath());
      MemorySegment maxForward = library.findOrThrow("fpool_max_forward");
      MemorySegment abiVersion = library.findOrThrow("fpool_abi_version");
      MemorySegment xDescriptor = descriptor(arena, x);
      MemorySegment yDescriptor = descriptor(arena, y);
      MemorySegment window = descriptor(arena, pool.window());

      List<double[]> samples = new ArrayList<>();
      for (int round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
        double[] sample = {
          forward(pool, x, y),
          limit.timeMaxForward(
              maxForward, CALLS, xDescriptor, x.segment(), window, yDescriptor, y.segment()),
          empty(),
          limit.timeAbiVersion(abiVersion, CALLS)
        };
        if (round >= WARM_UP_ROUNDS) {
          samples.add(sample);
        }
      }
      return new Figures(
          median(samples, 0),
          median(samples, 1),
          median(samples, 2),
          median(samples, 3),
          allocated(pool, x, y));
    }
  }

  private static double median(List<double[]> samples, int column) {
    return Statistics.median(samples.stream().mapToDouble(s -> s[column] / CALLS).toArray());
  }

  private static long forward(MaxPool pool, Tensor x, Tensor y) {
    long start = System.nanoTime();
    for (long i = 0; i < CALLS; i++) {
      pool.forward(x, y);
    }
    return System.nanoTime() - start;
  }

  private static long empty() {
    long versions = 0;
    long start = System.nanoTime();
    for (long i = 0; i < CALLS; i++) {
      versions += featurepool_h.fpool_abi_version();
    }
    long nanos = System.nanoTime() - start;
    if (versions != CALLS * featurepool_h.FPOOL_ABI_VERSION()) {
      throw new IllegalStateException("fpool_abi_version changed its mind");
    }
    return nanos;
  }

  private static double allocated(MaxPool pool, Tensor x, Tensor y) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    // Asking allocates by itself, whatever lies between.
    long asking = -threads.getCurrentThreadAllocatedBytes();
    asking += threads.getCurrentThreadAllocatedBytes();
    long before = threads.getCurrentThreadAllocatedBytes();
    forward(pool, x, y);
    long bytes = threads.getCurrentThreadAllocatedBytes() - before - asking;
    return Math.max(0, (double) bytes / CALLS);
  }

  private static MemorySegment descriptor(Arena arena, Tensor tensor) {
    MemorySegment descriptor = fpool_tensor.allocate(arena);
    fpool_tensor.dtype(descriptor, featurepool_h.FPOOL_F32());
    fpool_tensor.layout(descriptor, featurepool_h.FPOOL_PLANAR());
    fpool_tensor.spatial_rank(descriptor, tensor.shape().spatialRank());
    fpool_tensor.byte_size(descriptor, tensor.segment().byteSize());
    long[] extents = tensor.shape().extents();
    for (int i = 0; i < extents.length; i++) {
      fpool_tensor.extents(descriptor, i, extents[i]);
    }
    return descriptor;
  }

  private static MemorySegment descriptor(Arena arena, Window window) {
    MemorySegment descriptor = fpool_window.allocate(arena);
    fpool_window.spatial_rank(descriptor, window.rank());
    fpool_window.padding(descriptor, featurepool_h.FPOOL_PAD_EXPLICIT());
    for (int i = 0; i < window.rank(); i++) {
      fpool_window.kernel(descriptor, i, window.kernel(i));
      fpool_window.stride(descriptor, i, window.stride(i));
      fpool_window.dilation(descriptor, i, window.dilation(i));
    }
    return descriptor;
  }

  /** Prints the figures and their differences. */
  static void print(Figures figures, PrintWriter out) {
    out.println("cost of a call, ns               from Java  from C++  difference");
    line(out, "max 1x16x4x4 k2x2 s2x2", figures.javaNanos(), figures.cppNanos());
    line(out, "fpool_abi_version (empty)", figures.emptyJavaNanos(), figures.emptyCppNanos());
    out.printf(
        Locale.ROOT, "MaxPool.forward allocates %.3f bytes per call%n", figures.bytesPerCall());
  }

  private static void line(PrintWriter out, String name, double java, double cpp) {
    out.printf(Locale.ROOT, "  %-30s %9.1f %9.1f %11.1f%n", name, java, cpp, java - cpp);
  }
}
