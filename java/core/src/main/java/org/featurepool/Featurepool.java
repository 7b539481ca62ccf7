package org.featurepool;

import java.nio.file.Path;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * The native library: whether it is there, what it is, and how many threads it uses.
 *
 * <p>The library is loaded at first need: from the file that the system property {@code
 * featurepool.library} names, else from the jar.
 */
public final class Featurepool {
  private Featurepool() {}

  /**
   * Returns the version of the native library.
   *
   * @return for example {@code "0.1.0"}
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static String version() {
    return NativeLibrary.version();
  }

  /**
   * Returns the version of the native library's binary interface.
   *
   * @return a number that changes with incompatible changes
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static int abiVersion() {
    NativeLibrary.verifyAvailable();
    return featurepool_h.fpool_abi_version();
  }

  /**
   * Tells whether the native library can be used on this machine.
   *
   * @return whether {@link #verifyAvailable()} would return
   */
  public static boolean isAvailable() {
    return NativeLibrary.isAvailable();
  }

  /**
   * Loads the native library, or says why that cannot be.
   *
   * @throws UnsatisfiedLinkError if the library cannot be used: it is missing, truncated, of
   *     another version or for another processor, or cannot be extracted; its causes are kept
   */
  public static void verifyAvailable() {
    NativeLibrary.verifyAvailable();
  }

  /**
   * Returns the instruction set that the kernels use.
   *
   * @return the best tier that the processor has, for example {@code "AVX2"}, capped by the
   *     environment variable {@code FEATUREPOOL_MAX_ISA}
   * @throws IllegalStateException if that variable names none of the library's tiers
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static String activeIsa() {
    String isa = NativeLibrary.activeIsa();
    if (isa == null) {
      throw new IllegalStateException(NativeLibrary.lastError());
    }
    return isa;
  }

  /**
   * Returns the number of threads that one call may use, its caller included.
   *
   * @return at least 1; unless {@linkplain #setThreads set}, the environment variable {@code
   *     FEATUREPOOL_THREADS}, else the processors that this process may use
   * @throws IllegalStateException if that variable holds no such number
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static int threads() {
    NativeLibrary.verifyAvailable();
    int threads = featurepool_h.fpool_get_threads();
    if (threads < 0) {
      throw new IllegalStateException(NativeLibrary.lastError());
    }
    return threads;
  }

  /**
   * Sets the number of threads that one call may use, its caller included. Results do not depend on
   * it. It holds for the whole process; all callers share the workers.
   *
   * @param threads 1 to 1024, or 0 for the default
   * @throws IllegalArgumentException if the number is another
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static void setThreads(int threads) {
    NativeLibrary.verifyAvailable();
    Status.check(featurepool_h.fpool_set_threads(threads));
  }

  /**
   * Returns the file that the native library was loaded from.
   *
   * @return its path
   * @throws UnsatisfiedLinkError if the library cannot be used; it says why
   */
  public static Path libraryPath() {
    return NativeLibrary.libraryPath();
  }
}
