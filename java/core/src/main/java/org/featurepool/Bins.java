package org.featurepool;

import org.featurepool.bindings.ffi.featurepool_h;

/** How a level of a {@link SpatialPyramidPool} divides an extent into bins. */
public enum Bins {
  /**
   * Those of {@link AdaptivePool}: bin i of n along an extent a covers {@code floor(i·a/n)} to
   * {@code floor(((i+1)·a − 1)/n)}, both included. Every extent gives n bins.
   */
  ADAPTIVE(featurepool_h.FPOOL_BINS_ADAPTIVE()),
  /**
   * Those of SPPNet: windows of {@code ceil(a/n)} at a stride of {@code floor(a/n)}. That does not
   * give n bins of every extent (n = 3 of a = 5 gives 4); such extents are refused.
   */
  SPPNET(featurepool_h.FPOOL_BINS_SPPNET());

  private final int code;

  Bins(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }
}
