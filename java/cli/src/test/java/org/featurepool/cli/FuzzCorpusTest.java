package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.featurepool.cli.conformance.OnnxFuzzer;
import org.junit.jupiter.api.Test;

/** What the fuzzers began with and what they found, once more in every run of the tests. */
class FuzzCorpusTest {
  private static List<Path> corpus(String target) throws IOException {
    Path folder = Path.of(System.getProperty("basedir", ""), "src/test/fuzz", target);
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> all = files.sorted().toList();
      assertTrue(all.size() > 5, folder + " is no corpus");
      return all;
    }
  }

  @Test
  void npy() throws IOException {
    for (Path file : corpus("npy")) {
      NpyFuzzer.fuzzerTestOneInput(Files.readAllBytes(file));
    }
  }

  @Test
  void onnx() throws IOException {
    for (Path file : corpus("onnx")) {
      OnnxFuzzer.fuzzerTestOneInput(Files.readAllBytes(file));
    }
  }
}
