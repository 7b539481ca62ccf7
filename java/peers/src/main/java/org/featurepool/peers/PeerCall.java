package org.featurepool.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.featurepool.bench.Contender;
import org.featurepool.bench.Result;

/** A call of another engine; what it made ready outside the heap lives until it is closed. */
final class PeerCall implements Contender.Call {
  private static final int MOST_LETTERS = 80;

  private final PointerScope scope;
  private final Steps steps;

  /**
   * What a call consists of.
   *
   * @param run computes
   * @param result tells what was computed
   */
  record Steps(Runnable run, Supplier<Result> result) {}

  private PeerCall(PointerScope scope, Steps steps) {
    this.scope = scope;
    this.steps = steps;
  }

  /**
   * Makes a call ready.
   *
   * @throws UnsupportedOperationException with the engine's own words if it refuses
   */
  static PeerCall prepare(Supplier<Steps> preparation) {
    PointerScope scope = new PointerScope();
    try {
      Steps steps = preparation.get();
      // Out of the thread's scopes, but not freed.
      scope.extend().close();
      return new PeerCall(scope, steps);
    } catch (RuntimeException e) {
      scope.close();
      throw refusal(e);
    }
  }

  /** What an engine refused; anything else is a mistake here. */
  private static RuntimeException refusal(RuntimeException problem) {
    // This very class is what JavaCPP makes of exceptions of C++.
    return problem.getClass() == RuntimeException.class ? unsupported(problem) : problem;
  }

  /** What an engine refused, with the beginning of its own words. */
  static UnsupportedOperationException unsupported(Exception problem) {
    String words = problem.getMessage().lines().findFirst().orElse("");
    return new UnsupportedOperationException(
        "such pooling: " + words.substring(0, Math.min(words.length(), MOST_LETTERS)), problem);
  }

  /** Version of an engine, without that of its bindings. */
  static String version(String artifact) {
    try {
      String version = Loader.getVersion("org.bytedeco", artifact);
      return version.substring(0, version.indexOf('-'));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void run() {
    try {
      steps.run().run();
    } catch (RuntimeException e) {
      throw refusal(e);
    }
  }

  @Override
  public Result result() {
    return steps.result().get();
  }

  @Override
  public void close() {
    scope.deallocate();
  }
}
