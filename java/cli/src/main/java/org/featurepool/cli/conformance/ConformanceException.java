package org.featurepool.cli.conformance;

/** Why a test cannot pass. */
final class ConformanceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ConformanceException(String message) {
    super(message);
  }
}
