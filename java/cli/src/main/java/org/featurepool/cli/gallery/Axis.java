package org.featurepool.cli.gallery;

/**
 * One spatial axis of a window over an input, worked out apart from the library, so that the
 * gallery's checks do not trust the geometry that they check.
 *
 * @param input extent of the input in pixels
 * @param output number of windows
 * @param kernel taps
 * @param stride pixels from one window to the next
 * @param padBegin pixels of padding before the input
 * @param padEnd pixels of padding behind the input
 * @param dilation pixels from one tap to the next
 */
record Axis(int input, int output, int kernel, int stride, int padBegin, int padEnd, int dilation) {

  /** Pixels from a window's first tap to its last, both counted. */
  int span() {
    return dilation * (kernel - 1) + 1;
  }

  /** Input position of a tap of a window; outside 0..input-1 where it lies in the padding. */
  int position(int window, int tap) {
    return window * stride - padBegin + tap * dilation;
  }

  /** Whether a position lies inside the input. */
  boolean inside(int position) {
    return position >= 0 && position < input;
  }

  /** Number of taps of a window inside the input. */
  int validTaps(int window) {
    int count = 0;
    for (int tap = 0; tap < kernel; tap++) {
      if (inside(position(window, tap))) {
        count++;
      }
    }
    return count;
  }

  /** First window whose {@code tap} is not before the input. */
  int firstWindow(int tap) {
    return Math.clamp(Math.ceilDiv(padBegin - tap * dilation, stride), 0, output);
  }

  /** One past the last window whose {@code tap} is not behind the input. */
  int endWindow(int tap) {
    return Math.clamp(Math.floorDiv(input - 1 + padBegin - tap * dilation, stride) + 1, 0, output);
  }
}
