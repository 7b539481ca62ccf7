package org.featurepool.cli.conformance;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.featurepool.cli.conformance.onnx.TensorProto;

/**
 * What a fuzzer calls with bytes of its own: the reader of ONNX models and tensors, and the
 * operators that they name. The first byte decides what the others are: 0 an input, else the model.
 */
public final class OnnxFuzzer {
  private static final byte[] INPUT =
      TensorProto.newBuilder()
          .setDataType(1)
          .addDims(1)
          .addDims(1)
          .addDims(4)
          .addFloatData(1)
          .addFloatData(4)
          .addFloatData(3)
          .addFloatData(2)
          .build()
          .toByteArray();

  private static final Path FOLDER = folder();

  private OnnxFuzzer() {}

  private static Path folder() {
    try {
      Path memory = Path.of("/dev/shm");
      return Files.isWritable(memory)
          ? Files.createTempDirectory(memory, "featurepool-fuzz")
          : Files.createTempDirectory("featurepool-fuzz");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads a test case; whatever is wrong with it must be a failure that is told, no exception. */
  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    if (data.length == 0) {
      return;
    }
    byte[] rest = Arrays.copyOfRange(data, 1, data.length);
    Path set = Files.createDirectories(FOLDER.resolve("test_data_set_0"));
    Files.write(FOLDER.resolve(NodeTest.MODEL), data[0] == 0 ? Models.maxPool() : rest);
    Files.write(set.resolve("input_0.pb"), data[0] == 0 ? rest : INPUT);
    Files.write(set.resolve("output_0.pb"), INPUT);
    new NodeTest(FOLDER).failure();
  }
}
