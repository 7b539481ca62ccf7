package org.featurepool.bindings;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.featurepool.bindings.ffi.featurepool_h;
import org.featurepool.bindings.ffi.fpool_average;
import org.featurepool.bindings.ffi.fpool_bilinear;
import org.featurepool.bindings.ffi.fpool_fractional;
import org.featurepool.bindings.ffi.fpool_netvlad;
import org.featurepool.bindings.ffi.fpool_pyramid;
import org.featurepool.bindings.ffi.fpool_roi;
import org.featurepool.bindings.ffi.fpool_spp_block;
import org.featurepool.bindings.ffi.fpool_stochastic;
import org.featurepool.bindings.ffi.fpool_tensor;
import org.featurepool.bindings.ffi.fpool_window;

/**
 * The native library of this process: found, checked and loaded once, when this class is first
 * used.
 *
 * <p>The library is the file that the system property {@value #LIBRARY_PROPERTY} names; without it,
 * the one in Featurepool's own jar, extracted once to a file below the folder {@value
 * #CACHE_PROPERTY} (without it: {@code featurepool-<user>} in {@code java.io.tmpdir}). A library
 * that was named and cannot be used is a failure; the jar's is not taken in its place.
 *
 * <p>{@link #verifyAvailable()} must have returned before the first function of {@link
 * featurepool_h} is called: the generated class finds functions only in libraries that are loaded
 * already, and trusts them.
 */
public final class NativeLibrary {
  /** System property: path of the library file to load instead of the jar's. */
  public static final String LIBRARY_PROPERTY = "featurepool.library";

  /** System property: folder in which the jar's library is extracted. */
  public static final String CACHE_PROPERTY = "featurepool.cache";

  private static final Attempt ATTEMPT = Attempt.make();

  private NativeLibrary() {}

  /**
   * Returns when the library is loaded and of the version that this binding was generated for.
   *
   * @throws UnsatisfiedLinkError saying what was tried, why it failed and what would help; its
   *     cause is the first failure, which is kept and reported again by every call
   */
  public static void verifyAvailable() {
    if (ATTEMPT.failure != null) {
      UnsatisfiedLinkError error =
          new UnsatisfiedLinkError(
              "Featurepool's native library is not available: " + ATTEMPT.failure.getMessage());
      error.initCause(ATTEMPT.failure);
      throw error;
    }
  }

  /**
   * Whether {@link #verifyAvailable()} returns.
   *
   * @return true when the library is loaded
   */
  public static boolean isAvailable() {
    return ATTEMPT.failure == null;
  }

  /**
   * The file that the library was loaded from.
   *
   * @return an absolute path
   * @throws UnsatisfiedLinkError as {@link #verifyAvailable()}
   */
  public static Path libraryPath() {
    verifyAvailable();
    return ATTEMPT.path;
  }

  /**
   * The version of the library.
   *
   * @return for example {@code 0.1.0}
   * @throws UnsatisfiedLinkError as {@link #verifyAvailable()}
   */
  public static String version() {
    verifyAvailable();
    return text(featurepool_h.fpool_version());
  }

  /**
   * The message of the calling thread's last refused call.
   *
   * @return the message; empty when no call of this thread was refused
   * @throws UnsatisfiedLinkError as {@link #verifyAvailable()}
   */
  public static String lastError() {
    verifyAvailable();
    return text(featurepool_h.fpool_last_error());
  }

  /**
   * The instruction-set tier that the library uses.
   *
   * @return for example {@code AVX2}; null when {@code FEATUREPOOL_MAX_ISA} names no tier, and
   *     {@link #lastError()} says so
   * @throws UnsatisfiedLinkError as {@link #verifyAvailable()}
   */
  public static String activeIsa() {
    verifyAvailable();
    return text(featurepool_h.fpool_active_isa());
  }

  private static String text(MemorySegment utf8) {
    return utf8.address() == 0 ? null : utf8.getString(0);
  }

  /** What came of loading: a path or a failure. */
  private record Attempt(Path path, Throwable failure) {
    static Attempt make() {
      try {
        return new Attempt(load(), null);
      } catch (IOException | RuntimeException | LinkageError failure) {
        return new Attempt(null, failure);
      }
    }
  }

  private static Path load() throws IOException {
    String explicit = System.getProperty(LIBRARY_PROPERTY);
    if (explicit != null) {
      Path file = Path.of(explicit).toAbsolutePath();
      if (!Files.isRegularFile(file)) {
        throw new IOException(
            LIBRARY_PROPERTY + " names " + file + ", which is no file; right is libfeaturepool.so");
      }
      open(file, LIBRARY_PROPERTY + " names " + file, LIBRARY_PROPERTY);
      return file;
    }
    Path file = LibraryCache.extract(bundled(), cacheFolder());
    open(
        file,
        "the jar's library for " + Host.platform() + " was extracted to " + file,
        CACHE_PROPERTY);
    return file;
  }

  private static PackedLibrary bundled() throws IOException {
    String platform = Host.platform();
    List<String> platforms = PackedLibrary.platforms();
    if (!platforms.contains(platform)) {
      throw new IOException(
          String.format(
              "the jar has no library for %s, only for %s; build the library for this platform"
                  + " and name its file with -D%s=FILE",
              platform, String.join(", ", platforms), LIBRARY_PROPERTY));
    }
    return PackedLibrary.of(platform);
  }

  private static Path cacheFolder() {
    String folder = System.getProperty(CACHE_PROPERTY);
    if (folder != null) {
      return Path.of(folder).toAbsolutePath();
    }
    String user = System.getProperty("user.name").replaceAll("[^A-Za-z0-9._-]", "_");
    return Path.of(System.getProperty("java.io.tmpdir"), "featurepool-" + user).toAbsolutePath();
  }

  /**
   * Loads and checks {@code file}.
   *
   * @param source how the file was found, for messages
   * @param property the property that would have another one found
   */
  private static void open(Path file, String source, String property) throws IOException {
    try {
      ElfFile.requireLoadable(file, Host.architecture());
      Host.requireProcessor();
      System.load(file.toString());
      requireAbi(file);
    } catch (IOException failure) {
      throw new IOException(source + ": " + reason(failure), failure);
    } catch (IllegalCallerException failure) {
      throw new IOException(
          source
              + ": native access is denied; start java with"
              + " --enable-native-access=org.featurepool.bindings (ALL-UNNAMED on the class path)",
          failure);
    } catch (UnsatisfiedLinkError failure) {
      String reason =
          Host.isMountedWithoutExecution(file)
              ? "its file system is mounted noexec, so no library can be loaded from it; name one"
                  + " on another file system with -D"
                  + property
              : "the system's loader refuses it: " + failure.getMessage();
      throw new IOException(source + ": " + reason, failure);
    }
  }

  /** The message; before it the exception's name where that says what the message leaves out. */
  static String reason(IOException failure) {
    return failure instanceof FileSystemException
        ? failure.getClass().getSimpleName() + ": " + failure.getMessage()
        : failure.getMessage();
  }

  /**
   * Compares the library with the generated binding by functions whose own signature never changes.
   */
  private static void requireAbi(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      // In this very file: the loader's own lookup would also find the names in other libraries.
      SymbolLookup symbols = SymbolLookup.libraryLookup(file, arena);
      requireEqual(
          "ABI version",
          call(symbols, "fpool_abi_version", ValueLayout.JAVA_INT),
          featurepool_h.FPOOL_ABI_VERSION());
      requireEqual(
          "sizeof(fpool_tensor)",
          call(symbols, "fpool_sizeof_tensor", ValueLayout.JAVA_LONG),
          fpool_tensor.sizeof());
      requireEqual(
          "sizeof(fpool_window)",
          call(symbols, "fpool_sizeof_window", ValueLayout.JAVA_LONG),
          fpool_window.sizeof());
      requireEqual(
          "sizeof(fpool_average)",
          call(symbols, "fpool_sizeof_average", ValueLayout.JAVA_LONG),
          fpool_average.sizeof());
      requireEqual(
          "sizeof(fpool_pyramid)",
          call(symbols, "fpool_sizeof_pyramid", ValueLayout.JAVA_LONG),
          fpool_pyramid.sizeof());
      requireEqual(
          "sizeof(fpool_spp_block)",
          call(symbols, "fpool_sizeof_spp_block", ValueLayout.JAVA_LONG),
          fpool_spp_block.sizeof());
      requireEqual(
          "sizeof(fpool_stochastic)",
          call(symbols, "fpool_sizeof_stochastic", ValueLayout.JAVA_LONG),
          fpool_stochastic.sizeof());
      requireEqual(
          "sizeof(fpool_fractional)",
          call(symbols, "fpool_sizeof_fractional", ValueLayout.JAVA_LONG),
          fpool_fractional.sizeof());
      requireEqual(
          "sizeof(fpool_roi)",
          call(symbols, "fpool_sizeof_roi", ValueLayout.JAVA_LONG),
          fpool_roi.sizeof());
      requireEqual(
          "sizeof(fpool_bilinear)",
          call(symbols, "fpool_sizeof_bilinear", ValueLayout.JAVA_LONG),
          fpool_bilinear.sizeof());
      requireEqual(
          "sizeof(fpool_netvlad)",
          call(symbols, "fpool_sizeof_netvlad", ValueLayout.JAVA_LONG),
          fpool_netvlad.sizeof());
    }
  }

  private static void requireEqual(String what, long library, long binding) throws IOException {
    if (library != binding) {
      throw new IOException(
          String.format(
              "it is of another version: its %s is %d, this binding needs %d; use the library that"
                  + " was built with this jar",
              what, library, binding));
    }
  }

  private static long call(SymbolLookup symbols, String function, ValueLayout result)
      throws IOException {
    MemorySegment address =
        symbols
            .find(function)
            .orElseThrow(
                () -> new IOException("it is no Featurepool library: it has no " + function));
    MethodHandle handle =
        Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(result));
    try {
      return ((Number) handle.invoke()).longValue();
    } catch (Throwable failure) {
      throw new IOException(function + " cannot be called", failure);
    }
  }
}
