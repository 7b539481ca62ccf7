package org.featurepool.peers;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.Layout;
import org.featurepool.Tensor;
import org.featurepool.bench.Pyramid;
import org.featurepool.bench.Result;

/** Puts the poolings of a pyramid side by side, to be compared with one output of all. */
final class Pyramids {
  private Pyramids() {}

  /** Joins the poolings of a pyramid, in the order of its levels. */
  static Result join(Pyramid pyramid, Tensor source, List<Tensor> levels) {
    List<Tensor> parts = parts(pyramid, source, levels);
    int images = Math.toIntExact(pyramid.input().batch());
    int channels = Math.toIntExact(pyramid.input().channels());
    // Bins come image by image, all of a level before the next; maps of features stay maps, one
    // behind the other along the axis of channels.
    boolean behind = pyramid.kind() == Pyramid.Kind.BINS || isPlanar(pyramid);
    float[] all = new float[Math.toIntExact(pyramid.output().elementCount())];
    int rows = behind ? images : all.length / channels / parts.size();
    int to = 0;
    List<float[]> values = parts.stream().map(part -> values(pyramid, part)).toList();
    for (int row = 0; row < rows; row++) {
      for (float[] part : values) {
        int length = part.length / rows;
        System.arraycopy(part, row * length, all, to, length);
        to += length;
      }
    }
    return new Result(all, null);
  }

  private static float[] values(Pyramid pyramid, Tensor part) {
    if (pyramid.kind() == Pyramid.Kind.BLOCK) {
      return Result.of(part).values();
    }
    // Bins have the places of a channel together in either layout.
    try (Arena arena = Arena.ofConfined()) {
      return Result.of(part.toLayout(Layout.PLANAR, arena)).values();
    }
  }

  /** What lies side by side, in order: of a block the largest window first and the input last. */
  static <T> List<T> parts(Pyramid pyramid, T source, List<T> levels) {
    if (pyramid.kind() == Pyramid.Kind.BINS) {
      return levels;
    }
    List<T> parts = new ArrayList<>(levels.reversed());
    parts.add(source);
    return parts;
  }

  private static boolean isPlanar(Pyramid pyramid) {
    return pyramid.input().layout() == Layout.PLANAR;
  }
}
