package org.featurepool.cli;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/** Data for trying things out that lies outside the project, where a machine has it. */
final class SharedData {
  private SharedData() {}

  /** A folder of the shared data; the test is reported as skipped where there is none. */
  static Path folder(String name) {
    String shared = System.getProperty("featurepool.shared", System.getenv("FEATUREPOOL_SHARED"));
    assumeTrue(shared != null, "neither featurepool.shared nor FEATUREPOOL_SHARED names a folder");
    Path folder = Path.of(shared, name);
    assumeTrue(Files.isDirectory(folder), () -> "there is no folder " + folder);
    return folder;
  }
}
