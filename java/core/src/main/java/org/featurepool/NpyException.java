package org.featurepool;

import java.io.IOException;

/**
 * A {@code .npy} file that cannot be read; the message says what is wrong and what would be right.
 */
public final class NpyException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes the exception.
   *
   * @param message the file, what is wrong with it, and what would be right
   */
  public NpyException(String message) {
    super(message);
  }
}
