package org.featurepool.bench;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A progress bar on standard error if that is a terminal, nothing otherwise. */
final class Progress implements AutoCloseable {
  private final ProgressBar bar;

  Progress(int steps) {
    bar =
        System.console() == null || !System.console().isTerminal()
            ? null
            : new ProgressBarBuilder()
                .setTaskName("bench")
                .setInitialMax(steps)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(500)
                .build();
  }

  /** A step begins. */
  void begin(String name) {
    if (bar != null) {
      bar.setExtraMessage(name);
    }
  }

  /** A step ends. */
  void end() {
    if (bar != null) {
      bar.step();
    }
  }

  /** Prints lines above the bar. */
  void print(Runnable lines) {
    if (bar != null) {
      bar.pause();
      System.err.print("\r\033[K");
    }
    lines.run();
    if (bar != null) {
      bar.resume();
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
