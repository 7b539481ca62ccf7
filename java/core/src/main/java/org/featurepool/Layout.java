package org.featurepool;

import org.featurepool.bindings.ffi.featurepool_h;

/** Order of a tensor's axes in memory. */
public enum Layout {
  /** Channels outside the spatial axes: NCW, NCHW, NCDHW. */
  PLANAR(featurepool_h.FPOOL_PLANAR()),
  /** Channels innermost: NWC, NHWC, NDHWC. */
  INTERLEAVED(featurepool_h.FPOOL_INTERLEAVED());

  private final int code;

  Layout(int code) {
    this.code = code;
  }

  /** The layout's code in the C ABI. */
  int code() {
    return code;
  }
}
