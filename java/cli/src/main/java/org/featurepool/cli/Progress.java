package org.featurepool.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * A progress bar on the standard error stream, where that is a terminal; nothing elsewhere, and
 * nothing for work that is soon done. For use by one thread.
 */
public final class Progress implements AutoCloseable {
  private static final long PATIENCE_NANOS = 400_000_000;
  private static final int COLUMNS = 79;

  private final String task;
  private final long steps;
  private final boolean shown;
  private final long start = System.nanoTime();
  private long done;
  private ProgressBar bar;

  private Progress(String task, long steps, boolean shown) {
    this.task = task;
    this.steps = steps;
    this.shown = shown;
  }

  /**
   * Begins to tell of some work.
   *
   * @param task what is done, in a word or two
   * @param steps number of steps until it is done, at least 0
   * @return the progress, at 0; close it when the work ends, however it does
   */
  public static Progress of(String task, long steps) {
    return new Progress(task, steps, errorStreamIsTerminal());
  }

  // The JDK tells of standard input and output only; the program's output may well be redirected.
  private static boolean errorStreamIsTerminal() {
    if ("dumb".equals(System.getenv("TERM"))) {
      return false;
    }
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    }
  }

  /** Tells that one more step is done. */
  public void step() {
    done++;
    if (bar == null && shown && System.nanoTime() - start > PATIENCE_NANOS) {
      bar =
          new ProgressBarBuilder()
              .setTaskName(task)
              .setInitialMax(steps)
              .setStyle(ProgressBarStyle.ASCII)
              .setConsumer(new ConsoleProgressBarConsumer(System.err, COLUMNS))
              .setUpdateIntervalMillis(100)
              .clearDisplayOnFinish()
              .build();
    }
    if (bar != null) {
      bar.stepTo(done);
    }
  }

  /** Removes the bar. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
