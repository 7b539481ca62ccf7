package org.featurepool.cli.conformance;

import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.featurepool.DType;
import org.featurepool.cli.Failure;
import org.featurepool.cli.conformance.onnx.GraphProto;
import org.featurepool.cli.conformance.onnx.ModelProto;
import org.featurepool.cli.conformance.onnx.NodeProto;
import org.featurepool.cli.conformance.onnx.OperatorSetIdProto;
import org.featurepool.cli.conformance.onnx.TensorProto;
import org.featurepool.cli.conformance.onnx.ValueInfoProto;

/** A model and its data sets. */
final class NodeTest {
  static final String MODEL = "model.onnx";
  private static final String DATA_SETS = "test_data_set_";
  private static final int OLDEST_OPSET = 6;
  private static final int NEWEST_OPSET = 23;

  // Those of ONNX's own test runner.
  private static final double RELATIVE = 1e-3;
  private static final double ABSOLUTE = 1e-7;

  private final Path folder;

  NodeTest(Path folder) {
    this.folder = folder;
  }

  String name() {
    return folder.getFileName().toString();
  }

  /** Runs every data set and throws where the first output differs, or says why it cannot run. */
  void run() throws IOException {
    ModelProto model;
    try {
      model = ModelProto.parseFrom(Files.readAllBytes(folder.resolve(MODEL)));
    } catch (InvalidProtocolBufferException e) {
      throw new ConformanceException(MODEL + " is no ONNX model: " + e.getMessage());
    }
    List<Path> dataSets = list(DATA_SETS);
    if (dataSets.isEmpty()) {
      throw new ConformanceException("there is no folder " + DATA_SETS + "0");
    }
    for (Path dataSet : dataSets) {
      try (Arena arena = Arena.ofConfined()) {
        run(model, dataSet, arena);
      }
    }
  }

  private List<Path> list(String prefix) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(prefix))
          .sorted()
          .toList();
    }
  }

  private void run(ModelProto model, Path dataSet, Arena arena) throws IOException {
    GraphProto graph = model.getGraph();
    Map<String, Value> values = new HashMap<>();
    for (TensorProto initializer : graph.getInitializerList()) {
      values.put(initializer.getName(), Value.of(initializer, arena));
    }
    int given = 0;
    for (ValueInfoProto input : graph.getInputList()) {
      if (!values.containsKey(input.getName())) {
        values.put(input.getName(), read(dataSet, "input_" + given++ + ".pb", arena));
      }
    }
    int opset = opset(model);
    for (NodeProto node : graph.getNodeList()) {
      run(node, opset, values, arena);
    }
    for (int i = 0; i < graph.getOutputCount(); i++) {
      String name = graph.getOutput(i).getName();
      compare(name, read(dataSet, "output_" + i + ".pb", arena), values.get(name));
    }
  }

  private static int opset(ModelProto model) {
    for (OperatorSetIdProto set : model.getOpsetImportList()) {
      if (set.getDomain().isEmpty() || set.getDomain().equals("ai.onnx")) {
        if (set.getVersion() < OLDEST_OPSET || set.getVersion() > NEWEST_OPSET) {
          throw new ConformanceException(
              "opset is %d; it must be from %d to %d"
                  .formatted(set.getVersion(), OLDEST_OPSET, NEWEST_OPSET));
        }
        return (int) set.getVersion();
      }
    }
    throw new ConformanceException("the model names no version of ONNX's operators");
  }

  private static Value read(Path dataSet, String file, Arena arena) throws IOException {
    try {
      return Value.of(TensorProto.parseFrom(Files.readAllBytes(dataSet.resolve(file))), arena);
    } catch (InvalidProtocolBufferException e) {
      throw new ConformanceException(file + " is no ONNX tensor: " + e.getMessage());
    }
  }

  private static void run(NodeProto node, int opset, Map<String, Value> values, Arena arena) {
    if (!node.getDomain().isEmpty() && !node.getDomain().equals("ai.onnx")) {
      throw new ConformanceException(
          "unsupported operator " + node.getDomain() + "." + node.getOpType());
    }
    List<Value> inputs = new ArrayList<>();
    for (String name : node.getInputList()) {
      inputs.add(name.isEmpty() ? null : required(name, values));
    }
    Set<String> wanted = new HashSet<>(node.getOutputList());
    wanted.remove("");
    List<Value> outputs =
        Operators.run(
            node.getOpType(),
            new Operators.Call(new Attributes(node), inputs, node.getOutputCount(), opset, arena));
    if (outputs.size() < wanted.size()) {
      throw new ConformanceException(
          node.getOpType() + " has " + outputs.size() + " outputs; the node names " + wanted);
    }
    for (int i = 0; i < Math.min(outputs.size(), node.getOutputCount()); i++) {
      values.put(node.getOutput(i), outputs.get(i));
    }
  }

  private static Value required(String name, Map<String, Value> values) {
    Value value = values.get(name);
    if (value == null) {
      throw new ConformanceException("nothing gives the value '" + name + "'");
    }
    return value;
  }

  private static void compare(String name, Value expected, Value actual) {
    if (actual == null) {
      throw new ConformanceException("nothing gives the output '" + name + "'");
    }
    if (expected.dtype() != actual.dtype()) {
      throw new ConformanceException(
          "output '" + name + "' is of " + actual.dtype() + " instead of " + expected.dtype());
    }
    if (!Arrays.equals(expected.extents(), actual.extents())) {
      throw new ConformanceException(
          "output '%s' is %s instead of %s"
              .formatted(
                  name, Arrays.toString(actual.extents()), Arrays.toString(expected.extents())));
    }
    for (long i = 0; i < expected.count(); i++) {
      double e = expected.number(i);
      double a = actual.number(i);
      if (!agree(e, a, expected.dtype())) {
        throw new ConformanceException(
            "element " + i + " of output '" + name + "' is " + a + " instead of " + e);
      }
    }
  }

  private static boolean agree(double expected, double actual, DType dtype) {
    return switch (dtype) {
      case F32, F64, F16, BF16 ->
          expected == actual
              || (Double.isNaN(expected) && Double.isNaN(actual))
              || Math.abs(expected - actual) <= ABSOLUTE + RELATIVE * Math.abs(expected);
      case I8, U8, I32, I64 -> expected == actual;
    };
  }

  /** Why the test fails; null if it passes. */
  String failure() {
    try {
      run();
      return null;
    } catch (IOException e) {
      return Failure.text(e, folder);
    } catch (ConformanceException
        | IllegalArgumentException
        | IndexOutOfBoundsException
        | OutOfMemoryError e) {
      return e.getMessage();
    }
  }
}
