package org.featurepool.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.featurepool.cli.conformance.onnx.AttributeProto;
import org.featurepool.cli.conformance.onnx.GraphProto;
import org.featurepool.cli.conformance.onnx.ModelProto;
import org.featurepool.cli.conformance.onnx.NodeProto;
import org.featurepool.cli.conformance.onnx.OperatorSetIdProto;
import org.featurepool.cli.conformance.onnx.TensorProto;
import org.featurepool.cli.conformance.onnx.ValueInfoProto;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConformanceCommandTest {
  private static final int FLOAT = 1;
  private static final int INT64 = 7;

  @TempDir private Path folder;

  @Test
  void everyTestOfOnnx() {
    Path tests = SharedData.folder("conformance/onnx/node");
    Program.Outcome outcome = Program.run("conformance", tests).requireSuccess();
    List<String> lines = outcome.out().lines().toList();
    assertEquals("56 passed, 0 failed", lines.getLast());
    assertEquals(57, lines.size());
  }

  private static NodeProto.Builder node(String type, String output, String... inputs) {
    return NodeProto.newBuilder().setOpType(type).addOutput(output).addAllInput(List.of(inputs));
  }

  private static AttributeProto wholes(String name, long... values) {
    AttributeProto.Builder attribute = AttributeProto.newBuilder().setName(name);
    for (long value : values) {
      attribute.addInts(value);
    }
    return attribute.build();
  }

  private static TensorProto floats(float[] values, long... extents) {
    TensorProto.Builder tensor = TensorProto.newBuilder().setDataType(FLOAT);
    for (long extent : extents) {
      tensor.addDims(extent);
    }
    for (float value : values) {
      tensor.addFloatData(value);
    }
    return tensor.build();
  }

  private static TensorProto axes(long axis) {
    return TensorProto.newBuilder().setDataType(INT64).addDims(1).addInt64Data(axis).build();
  }

  /** Writes a test of one input x and one output y. */
  private void write(
      String name, int opset, TensorProto x, TensorProto y, NodeProto.Builder... nodes)
      throws IOException {
    GraphProto.Builder graph =
        GraphProto.newBuilder()
            .addInput(ValueInfoProto.newBuilder().setName("x"))
            .addOutput(ValueInfoProto.newBuilder().setName("y"));
    for (NodeProto.Builder node : nodes) {
      graph.addNode(node);
    }
    ModelProto model =
        ModelProto.newBuilder()
            .setGraph(graph)
            .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(opset))
            .build();
    Path data = Files.createDirectories(folder.resolve(name).resolve("test_data_set_0"));
    Files.write(folder.resolve(name).resolve("model.onnx"), model.toByteArray());
    Files.write(data.resolve("input_0.pb"), x.toByteArray());
    Files.write(data.resolve("output_0.pb"), y.toByteArray());
  }

  private static final TensorProto LINE = floats(new float[] {1, 3, 2, 5}, 1, 1, 4);
  private static final TensorProto MAXIMA = floats(new float[] {3, 5}, 1, 1, 2);

  private static NodeProto.Builder maxPool() {
    return node("MaxPool", "y", "x")
        .addAttribute(wholes("kernel_shape", 2))
        .addAttribute(wholes("strides", 2));
  }

  private String run(int exitCode) {
    Program.Outcome outcome = Program.run("conformance", folder);
    assertEquals(exitCode, outcome.exitCode(), outcome.err());
    return outcome.out();
  }

  @Test
  void aRightResultPasses() throws IOException {
    write("right", 12, LINE, MAXIMA, maxPool());
    assertEquals("passed  right\n1 passed, 0 failed\n", run(0));
  }

  @Test
  void nodesAroundThePoolingRun() throws IOException {
    write(
        "around",
        13,
        floats(new float[] {1, 3, 2, 5}, 1, 4),
        floats(new float[] {3, 5}, 1, 2),
        node("Constant", "axes")
            .addAttribute(AttributeProto.newBuilder().setName("value").setT(axes(1))),
        node("Unsqueeze", "x1", "x", "axes"),
        node("MaxPool", "y1", "x1")
            .addAttribute(wholes("kernel_shape", 2))
            .addAttribute(wholes("strides", 2)),
        node("Squeeze", "y", "y1", "axes"));
    write(
        "axes_as_attributes",
        11,
        floats(new float[] {1, 3, 2, 5}, 1, 4),
        floats(new float[] {3, 5}, 1, 2),
        node("Unsqueeze", "x1", "x").addAttribute(wholes("axes", 0)),
        node("MaxPool", "y1", "x1")
            .addAttribute(wholes("kernel_shape", 2))
            .addAttribute(wholes("strides", 2)),
        node("Squeeze", "y", "y1").addAttribute(wholes("axes", 0)));
    assertEquals("passed  around\npassed  axes_as_attributes\n2 passed, 0 failed\n", run(0));
  }

  @Test
  void anotherResultFails() throws IOException {
    write("wrong", 12, LINE, floats(new float[] {3, 4}, 1, 1, 2), maxPool());
    write("wrong_shape", 12, LINE, floats(new float[] {3, 5}, 1, 2, 1), maxPool());
    write("right", 12, LINE, MAXIMA, maxPool());
    assertEquals(
        """
        passed  right
        FAILED  wrong: element 1 of output 'y' is 5.0 instead of 4.0
        FAILED  wrong_shape: output 'y' is [1, 1, 2] instead of [1, 2, 1]
        1 passed, 2 failed
        """,
        run(1));
  }

  @Test
  void anotherOperatorIsNamed() throws IOException {
    write("relu", 12, LINE, MAXIMA, node("Relu", "y", "x"));
    String out = run(1);
    assertTrue(out.startsWith("FAILED  relu: unsupported operator Relu; there are "), out);
    assertTrue(out.endsWith("0 passed, 1 failed\n"), out);
  }

  @Test
  void anotherOpsetIsNamed() throws IOException {
    write("old", 5, LINE, MAXIMA, maxPool());
    write("new", 24, LINE, MAXIMA, maxPool());
    assertEquals(
        """
        FAILED  new: opset is 24; it must be from 6 to 23
        FAILED  old: opset is 5; it must be from 6 to 23
        0 passed, 2 failed
        """,
        run(1));
  }

  @Test
  void whatTheLibraryRefusesFails() throws IOException {
    write(
        "window",
        12,
        LINE,
        MAXIMA,
        node("MaxPool", "y", "x").addAttribute(wholes("kernel_shape", 9)));
    String out = run(1);
    assertTrue(out.startsWith("FAILED  window: the window reaches over 9 elements"), out);
  }

  @Test
  void brokenFilesFail() throws IOException {
    write("broken", 12, LINE, MAXIMA, maxPool());
    Files.writeString(folder.resolve("broken").resolve("model.onnx"), "no model");
    write("missing", 12, LINE, MAXIMA, maxPool());
    Files.delete(folder.resolve("missing").resolve("test_data_set_0").resolve("output_0.pb"));
    write("short", 12, floats(new float[] {1, 2}, 1, 1, 4), MAXIMA, maxPool());
    List<String> lines = run(1).lines().toList();
    assertTrue(
        lines.get(0).startsWith("FAILED  broken: model.onnx is no ONNX model"), lines.get(0));
    assertTrue(lines.get(1).contains("output_0.pb does not exist"), lines.get(1));
    assertTrue(lines.get(2).contains("has 2 elements; its extents need 4"), lines.get(2));
    assertEquals("0 passed, 3 failed", lines.get(3));
  }

  @Test
  void refusesFoldersWithoutTests() {
    Program.run("conformance", folder).requireRefusal("there is no model.onnx below ");
    Program.run("conformance", folder.resolve("none")).requireRefusal("is no folder");
  }
}
