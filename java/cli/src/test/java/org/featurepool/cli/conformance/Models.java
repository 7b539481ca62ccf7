package org.featurepool.cli.conformance;

import org.featurepool.cli.conformance.onnx.AttributeProto;
import org.featurepool.cli.conformance.onnx.GraphProto;
import org.featurepool.cli.conformance.onnx.ModelProto;
import org.featurepool.cli.conformance.onnx.NodeProto;
import org.featurepool.cli.conformance.onnx.OperatorSetIdProto;
import org.featurepool.cli.conformance.onnx.ValueInfoProto;

/** Small models that the program can run. */
final class Models {
  private static final int OPSET = 19;

  private Models() {}

  /** Max pooling of a line, kernel 2. */
  static byte[] maxPool() {
    NodeProto node =
        NodeProto.newBuilder()
            .setOpType("MaxPool")
            .addInput("x")
            .addOutput("y")
            .addAttribute(AttributeProto.newBuilder().setName("kernel_shape").addInts(2))
            .build();
    return ModelProto.newBuilder()
        .setGraph(
            GraphProto.newBuilder()
                .addInput(ValueInfoProto.newBuilder().setName("x"))
                .addOutput(ValueInfoProto.newBuilder().setName("y"))
                .addNode(node))
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(OPSET))
        .build()
        .toByteArray();
  }
}
