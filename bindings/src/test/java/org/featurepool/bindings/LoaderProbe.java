package org.featurepool.bindings;

/**
 * Loads the library in a JVM of its own and prints what came of it: the loader keeps its outcome
 * for the life of a process.
 */
final class LoaderProbe {
  private LoaderProbe() {}

  public static void main(String[] arguments) {
    try {
      NativeLibrary.verifyAvailable();
      System.out.println("available " + NativeLibrary.isAvailable());
      System.out.println("path " + NativeLibrary.libraryPath());
      System.out.println("version " + NativeLibrary.version());
      System.out.println("isa " + NativeLibrary.activeIsa());
      System.out.println("error " + NativeLibrary.lastError());
    } catch (UnsatisfiedLinkError failure) {
      System.out.println("available " + NativeLibrary.isAvailable());
      print("message", failure);
      try {
        NativeLibrary.version();
      } catch (UnsatisfiedLinkError again) {
        System.out.println("same cause " + (again.getCause() == failure.getCause()));
      }
    }
  }

  private static void print(String role, Throwable failure) {
    System.out.println(role + " " + failure);
    for (Throwable suppressed : failure.getSuppressed()) {
      print("suppressed", suppressed);
    }
    if (failure.getCause() != null) {
      print("cause", failure.getCause());
    }
  }
}
