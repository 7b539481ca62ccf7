package org.featurepool.cli;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** Tells what went wrong, on one line. */
public final class Failure
    implements CommandLine.IParameterExceptionHandler, CommandLine.IExecutionExceptionHandler {
  private static final int INTERNAL_ERROR = 1;

  Failure() {}

  @Override
  public int handleParseException(ParameterException e, String[] args) {
    CommandLine command = e.getCommandLine();
    return tell(
        command,
        e.getMessage() + " (see '" + command.getCommandSpec().qualifiedName() + " --help')",
        Main.BAD_USAGE);
  }

  @Override
  public int handleExecutionException(Exception e, CommandLine command, ParseResult result) {
    trace(e, command);
    return switch (e) {
      // What the library refuses, it was given by the user.
      case UsageException _, IllegalArgumentException _, IndexOutOfBoundsException _ ->
          tell(command, e.getMessage(), Main.BAD_USAGE);
      case IOException io -> tell(command, text(io, null), INTERNAL_ERROR);
      default -> tell(command, e + " (FEATUREPOOL_DEBUG=1 tells where)", INTERNAL_ERROR);
    };
  }

  /** As {@link #handleExecutionException}, for what picocli does not catch. */
  static int handleError(Error e, CommandLine command) {
    trace(e, command);
    String text =
        e instanceof OutOfMemoryError
            ? "out of memory: " + e.getMessage()
            : e + " (FEATUREPOOL_DEBUG=1 tells where)";
    return tell(command, text, INTERNAL_ERROR);
  }

  private static void trace(Throwable e, CommandLine command) {
    if (System.getenv("FEATUREPOOL_DEBUG") != null) {
      e.printStackTrace(command.getErr());
    }
  }

  private static int tell(CommandLine command, String text, int exitCode) {
    String line = text.strip().replaceAll("\\s*\\R\\s*", " ");
    command.getErr().println(command.getCommandSpec().qualifiedName() + ": " + line);
    command.getErr().flush();
    return exitCode;
  }

  /**
   * What an input or output error means; the JDK's messages are often a bare file name.
   *
   * @param e the error
   * @param file the file, or null if the error names it
   * @return one line
   */
  public static String text(IOException e, Path file) {
    return switch (e) {
      case NoSuchFileException missing -> missing.getFile() + " does not exist";
      case AccessDeniedException denied -> denied.getFile() + " may not be accessed";
      case FileSystemException _, FileNotFoundException _ -> e.getMessage();
      default -> {
        String text = e.getMessage() == null ? e.toString() : e.getMessage();
        yield file == null || text.contains(file.toString()) ? text : file + ": " + text;
      }
    };
  }
}
