package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import java.util.function.Function;
import org.featurepool.bindings.ffi.fpool_average;
import org.featurepool.bindings.ffi.fpool_bilinear;
import org.featurepool.bindings.ffi.fpool_fractional;
import org.featurepool.bindings.ffi.fpool_netvlad;
import org.featurepool.bindings.ffi.fpool_pyramid;
import org.featurepool.bindings.ffi.fpool_roi;
import org.featurepool.bindings.ffi.fpool_spp_block;
import org.featurepool.bindings.ffi.fpool_stochastic;
import org.featurepool.bindings.ffi.fpool_tensor;
import org.featurepool.bindings.ffi.fpool_window;

/** Makes the native descriptors that calls are given; each is written once and never changed. */
final class Descriptors {
  /** Arenas of the JDK give zeroed memory; others, that use theirs again, may not. */
  private static final byte UNSET = 0;

  private Descriptors() {}

  /** Describes a tensor whose data has {@code byteSize} bytes. */
  static MemorySegment tensor(Arena arena, DType dtype, Shape shape, long byteSize) {
    MemorySegment tensor = fpool_tensor.allocate(arena).fill(UNSET);
    fpool_tensor.dtype(tensor, dtype.code());
    fpool_tensor.layout(tensor, shape.layout().code());
    fpool_tensor.spatial_rank(tensor, shape.spatialRank());
    fpool_tensor.byte_size(tensor, byteSize);
    long[] extents = shape.extents();
    for (int i = 0; i < extents.length; i++) {
      fpool_tensor.extents(tensor, i, extents[i]);
    }
    return tensor;
  }

  /** Describes a window; the arrays have one entry per spatial axis. */
  static MemorySegment window(
      Arena arena,
      long[] kernel,
      long[] stride,
      long[] padBegin,
      long[] padEnd,
      long[] dilation,
      int padding,
      boolean ceilMode,
      boolean adaptive) {
    MemorySegment window = fpool_window.allocate(arena).fill(UNSET);
    for (int i = 0; i < kernel.length; i++) {
      fpool_window.kernel(window, i, kernel[i]);
      fpool_window.stride(window, i, stride[i]);
      fpool_window.pad_begin(window, i, padBegin[i]);
      fpool_window.pad_end(window, i, padEnd[i]);
      fpool_window.dilation(window, i, dilation[i]);
    }
    fpool_window.spatial_rank(window, kernel.length);
    fpool_window.padding(window, padding);
    fpool_window.ceil_mode(window, ceilMode ? 1 : 0);
    fpool_window.adaptive(window, adaptive ? 1 : 0);
    return window;
  }

  /** Describes what an average divides by; {@code divisor} 0: a count of taps. */
  static MemorySegment average(Arena arena, boolean includePadding, long divisor) {
    MemorySegment average = fpool_average.allocate(arena).fill(UNSET);
    fpool_average.include_padding(average, includePadding ? 1 : 0);
    fpool_average.divisor_override(average, divisor);
    return average;
  }

  /** Describes how stochastic pooling chooses. */
  static MemorySegment stochastic(Arena arena, long seed, boolean training) {
    MemorySegment stochastic = fpool_stochastic.allocate(arena).fill(UNSET);
    fpool_stochastic.seed(stochastic, seed);
    fpool_stochastic.training(stochastic, training ? 1 : 0);
    return stochastic;
  }

  /** Describes a fractional pooling; the arrays have one entry per spatial axis. */
  static MemorySegment fractional(Arena arena, long[] kernel, long[] output) {
    MemorySegment fractional = fpool_fractional.allocate(arena).fill(UNSET);
    for (int i = 0; i < kernel.length; i++) {
      fpool_fractional.kernel(fractional, i, kernel[i]);
      fpool_fractional.output(fractional, i, output[i]);
    }
    fpool_fractional.spatial_rank(fractional, kernel.length);
    return fractional;
  }

  /** Describes how regions are cut into bins and those sampled. */
  static MemorySegment roi(
      Arena arena,
      long height,
      long width,
      double scale,
      long samplingRatio,
      boolean halfPixel,
      int mode) {
    MemorySegment roi = fpool_roi.allocate(arena).fill(UNSET);
    fpool_roi.output(roi, 0, height);
    fpool_roi.output(roi, 1, width);
    fpool_roi.scale(roi, scale);
    fpool_roi.sampling_ratio(roi, samplingRatio);
    fpool_roi.half_pixel(roi, halfPixel ? 1 : 0);
    fpool_roi.mode(roi, mode);
    return roi;
  }

  /** Lays out parameters that come as one value, or one per channel. */
  static MemorySegment parameters(Arena arena, double[] values) {
    return arena.allocateFrom(ValueLayout.JAVA_DOUBLE, values);
  }

  /**
   * Makes a call that writes the gradients of {@code count} parameters, and a result of those.
   *
   * @param call is given the memory for them
   * @param result is given what was written
   */
  static <R> R withParameterGradients(
      int count, Consumer<MemorySegment> call, Function<double[], R> result) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment gradients = arena.allocate(ValueLayout.JAVA_DOUBLE, count);
      call.accept(gradients);
      return result.apply(gradients.toArray(ValueLayout.JAVA_DOUBLE));
    }
  }

  /** Describes the normalisations of bilinear pooling. */
  static MemorySegment bilinear(Arena arena, boolean signedRoot, boolean l2) {
    MemorySegment bilinear = fpool_bilinear.allocate(arena).fill(UNSET);
    fpool_bilinear.signed_root(bilinear, signedRoot ? 1 : 0);
    fpool_bilinear.l2(bilinear, l2 ? 1 : 0);
    return bilinear;
  }

  /** Describes a NetVLAD. */
  static MemorySegment netVlad(
      Arena arena, long clusters, long ghosts, boolean hard, boolean normalizeDescriptors) {
    MemorySegment netVlad = fpool_netvlad.allocate(arena).fill(UNSET);
    fpool_netvlad.clusters(netVlad, clusters);
    fpool_netvlad.ghosts(netVlad, ghosts);
    fpool_netvlad.hard(netVlad, hard ? 1 : 0);
    fpool_netvlad.normalize_descriptors(netVlad, normalizeDescriptors ? 1 : 0);
    return netVlad;
  }

  /** Describes a spatial pyramid; the levels lie in the same arena and so live as long. */
  static MemorySegment pyramid(Arena arena, long[] levels, int bins, int reducer) {
    MemorySegment pyramid = fpool_pyramid.allocate(arena).fill(UNSET);
    fpool_pyramid.levels(pyramid, arena.allocateFrom(ValueLayout.JAVA_LONG, levels));
    fpool_pyramid.count(pyramid, levels.length);
    fpool_pyramid.bins(pyramid, bins);
    fpool_pyramid.reducer(pyramid, reducer);
    return pyramid;
  }

  /** Describes an SPP block; the kernels lie in the same arena and so live as long. */
  static MemorySegment sppBlock(Arena arena, long[] kernels) {
    MemorySegment block = fpool_spp_block.allocate(arena).fill(UNSET);
    fpool_spp_block.kernels(block, arena.allocateFrom(ValueLayout.JAVA_LONG, kernels));
    fpool_spp_block.count(block, kernels.length);
    return block;
  }
}
