package org.featurepool.bench;

/** What the user gave cannot be used; the message says why, in one line. */
final class BadUsage extends RuntimeException {
  private static final long serialVersionUID = 1L;

  BadUsage(String message) {
    super(message);
  }
}
