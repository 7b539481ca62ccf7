package org.featurepool.bench;

import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Window;

/**
 * A pooling as the index arithmetic of Java arrays: axes D, H, W (1 where the rank is less) and the
 * distances between elements.
 */
final class Grid {
  final boolean planar;
  final int channels;
  final int planes;
  final int[] in = {1, 1, 1};
  final int[] out = {1, 1, 1};
  final int[] kernel = {1, 1, 1};
  final int[] stride = {1, 1, 1};
  final int[] pad = {0, 0, 0};
  final int inPlane;
  final int outPlane;

  /** Distance in memory between neighbours along W. */
  final int step;

  Grid(Pooling pooling) {
    Shape input = pooling.input();
    Shape output = pooling.output();
    Window window = pooling.window();
    planar = input.layout() == Layout.PLANAR;
    channels = Math.toIntExact(input.channels());
    planes = Math.toIntExact(input.batch() * channels);
    int first = 3 - window.rank();
    for (int i = 0; i < window.rank(); i++) {
      in[first + i] = Math.toIntExact(input.spatial(i));
      out[first + i] = Math.toIntExact(output.spatial(i));
      kernel[first + i] = Math.toIntExact(window.kernel(i));
      stride[first + i] = Math.toIntExact(window.stride(i));
      pad[first + i] = Math.toIntExact(window.padBegin(i));
    }
    inPlane = in[0] * in[1] * in[2];
    outPlane = out[0] * out[1] * out[2];
    step = planar ? 1 : channels;
  }

  /** Whether Java arrays can hold the tensors of a task. */
  static boolean fitsArrays(Task task) {
    return task.input().elementCount() < Integer.MAX_VALUE / 2
        && task.output().elementCount() < Integer.MAX_VALUE / 2;
  }

  /** Input position of a window's first tap along an axis; negative in the padding. */
  int start(int axis, int o) {
    return o * stride[axis] - pad[axis];
  }

  /** First tap along an axis that lies inside the input. */
  int firstTap(int axis, int start) {
    return Math.max(0, -start);
  }

  /** End of the taps along an axis that lie inside the input. */
  int endTap(int axis, int start) {
    return Math.min(kernel[axis], in[axis] - start);
  }
}
