package org.featurepool.bench;

import java.util.OptionalDouble;

/**
 * One figure: a contender's time in a cell.
 *
 * @param cell name of the cell
 * @param contender name of the contender; {@code limit} for the limit itself
 * @param threads threads that a call may use
 * @param nanos median time of a call
 * @param bytes bytes that a call has to read and write
 * @param limitNanos median time of the cell's limit; not a number where it was not measured
 * @param bestPeerNanos median time of the fastest peer in the cell; empty if no peer took part
 */
record Measurement(
    String cell,
    String contender,
    int threads,
    double nanos,
    long bytes,
    double limitNanos,
    OptionalDouble bestPeerNanos) {
  double microseconds() {
    return nanos / 1e3;
  }

  boolean hasLimit() {
    return !Double.isNaN(limitNanos);
  }

  double limitMicroseconds() {
    return limitNanos / 1e3;
  }

  /** 10^9 bytes per second. */
  double gigabytesPerSecond() {
    return bytes / nanos;
  }

  /** Above 1: faster than the fastest peer. */
  OptionalDouble speedupOverBestPeer() {
    return bestPeerNanos.isPresent()
        ? OptionalDouble.of(bestPeerNanos.getAsDouble() / nanos)
        : bestPeerNanos;
  }

  /** 1: as fast as the limit. */
  double partOfLimit() {
    return limitNanos / nanos;
  }
}
