package org.featurepool.cli;

/**
 * Bad usage or input. The program tells its message on one line and ends with {@link
 * Main#BAD_USAGE}.
 */
public final class UsageException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message what is wrong, with its value, and what would be right
   */
  public UsageException(String message) {
    super(message);
  }

  /**
   * Makes an exception with a cause.
   *
   * @param message what is wrong, with its value, and what would be right
   * @param cause what found it
   */
  public UsageException(String message, Throwable cause) {
    super(message, cause);
  }
}
