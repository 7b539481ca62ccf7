package org.featurepool.cli.conformance;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.featurepool.cli.UsageException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Runs ONNX node tests. */
@Command(
    name = "conformance",
    description = "Run ONNX node tests of pooling operators.",
    footer = {
      "",
      "A test is a folder with model.onnx (one pooling node, with Constant, Identity, Squeeze or"
          + " Unsqueeze nodes around it, opset 6 to 23) and test_data_set_* (input_*.pb,"
          + " output_*.pb). Indices and integers must be exact, floats within 0.001 of their size."
          + " A model with another operator fails. The exit status is 1 if any test failed."
    })
public final class ConformanceCommand implements Callable<Integer> {
  private static final int SOME_FAILED = 1;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "Folder whose tests, at any depth, are run.")
  private Path folder;

  @Override
  public Integer call() throws IOException {
    List<NodeTest> tests = tests();
    PrintWriter out = spec.commandLine().getOut();
    int failed = 0;
    for (NodeTest test : tests) {
      String failure = test.failure();
      if (failure == null) {
        out.println("passed  " + test.name());
      } else {
        out.println("FAILED  " + test.name() + ": " + failure);
        failed++;
      }
      out.flush();
    }
    out.printf("%d passed, %d failed%n", tests.size() - failed, failed);
    out.flush();
    return failed == 0 ? 0 : SOME_FAILED;
  }

  private List<NodeTest> tests() throws IOException {
    if (!Files.isDirectory(folder)) {
      throw new UsageException(folder + " is no folder");
    }
    try (Stream<Path> files = Files.walk(folder)) {
      List<NodeTest> tests =
          files
              .filter(file -> file.getFileName().toString().equals(NodeTest.MODEL))
              .map(file -> file.toAbsolutePath().normalize().getParent())
              .sorted()
              .map(NodeTest::new)
              .toList();
      if (tests.isEmpty()) {
        throw new UsageException("there is no " + NodeTest.MODEL + " below " + folder);
      }
      return tests;
    }
  }
}
