package org.featurepool.peers;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.DType;

/**
 * Writes small ONNX models. The numbers are the field numbers of onnx.proto3.
 *
 * <p>A model begins with a node from all inputs to all outputs; others may follow, each with names
 * of its own.
 */
final class OnnxModel {
  private static final int IR_VERSION = 10;
  private static final String OWN_DOMAIN = "com.microsoft";

  private final int opset;
  private final List<Node> nodes = new ArrayList<>();
  private final List<ByteString> inputs = new ArrayList<>();
  private final List<ByteString> outputs = new ArrayList<>();
  private final List<String> inputNames = new ArrayList<>();
  private final List<String> outputNames = new ArrayList<>();

  /** A node; without names it takes all inputs and gives all outputs. */
  private record Node(
      String operator,
      String domain,
      List<String> from,
      List<String> to,
      List<ByteString> attributes) {}

  OnnxModel(String operator, int opset) {
    this(opset);
    node(operator);
  }

  /** A model without nodes yet. */
  OnnxModel(int opset) {
    this.opset = opset;
  }

  /** Adds a node from all inputs to all outputs; attributes that follow are its own. */
  OnnxModel node(String operator) {
    return add(operator, "", null, null);
  }

  /** Adds a node; attributes that follow are its own. */
  OnnxModel node(String operator, List<String> from, String to) {
    return add(operator, "", from, List.of(to));
  }

  /** Adds a node with an operator of ONNX Runtime's own, from all inputs to all outputs. */
  OnnxModel ownNode(String operator) {
    return add(operator, OWN_DOMAIN, null, null);
  }

  private OnnxModel add(String operator, String domain, List<String> from, List<String> to) {
    nodes.add(new Node(operator, domain, from, to, new ArrayList<>()));
    return this;
  }

  OnnxModel with(String name, long value) {
    return attribute(name, 2, out -> out.writeInt64(3, value));
  }

  OnnxModel with(String name, float value) {
    return attribute(name, 1, out -> out.writeFloat(2, value));
  }

  OnnxModel with(String name, String value) {
    return attribute(name, 3, out -> out.writeBytes(4, ByteString.copyFromUtf8(value)));
  }

  OnnxModel with(String name, long... values) {
    return attribute(
        name,
        7,
        out -> {
          for (long value : values) {
            out.writeInt64(8, value);
          }
        });
  }

  OnnxModel input(String name, DType dtype, long... shape) {
    inputNames.add(name);
    inputs.add(value(name, dtype, shape));
    return this;
  }

  OnnxModel output(String name, DType dtype) {
    outputNames.add(name);
    outputs.add(value(name, dtype, null));
    return this;
  }

  byte[] bytes() {
    List<ByteString> written = nodes.stream().map(this::message).toList();
    ByteString graph =
        message(
            out -> {
              writeAll(out, 1, written);
              out.writeString(2, "featurepool");
              writeAll(out, 11, inputs);
              writeAll(out, 12, outputs);
            });
    return message(
            out -> {
              out.writeInt64(1, IR_VERSION);
              out.writeBytes(7, graph);
              out.writeBytes(8, message(set -> set.writeInt64(2, opset)));
              out.writeBytes(
                  8,
                  message(
                      set -> {
                        set.writeString(1, OWN_DOMAIN);
                        set.writeInt64(2, 1);
                      }));
            })
        .toByteArray();
  }

  private ByteString message(Node node) {
    return message(
        out -> {
          for (String name : node.from() == null ? inputNames : node.from()) {
            out.writeString(1, name);
          }
          for (String name : node.to() == null ? outputNames : node.to()) {
            out.writeString(2, name);
          }
          out.writeString(4, node.operator());
          writeAll(out, 5, node.attributes());
          out.writeString(7, node.domain());
        });
  }

  private interface Fields {
    void write(CodedOutputStream out) throws IOException;
  }

  private static ByteString message(Fields fields) {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      CodedOutputStream out = CodedOutputStream.newInstance(bytes);
      fields.write(out);
      out.flush();
      return ByteString.copyFrom(bytes.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void writeAll(CodedOutputStream out, int field, List<ByteString> messages)
      throws IOException {
    for (ByteString message : messages) {
      out.writeBytes(field, message);
    }
  }

  private OnnxModel attribute(String name, int type, Fields value) {
    nodes
        .getLast()
        .attributes()
        .add(
            message(
                out -> {
                  out.writeString(1, name);
                  value.write(out);
                  out.writeEnum(20, type);
                }));
    return this;
  }

  private static ByteString value(String name, DType dtype, long[] shape) {
    int element =
        switch (dtype) {
          case F32 -> 1;
          case U8 -> 2;
          case I64 -> 7;
          case I8 -> 3;
          case F16 -> 10;
          case F64 -> 11;
          case BF16 -> 16;
          default -> throw new IllegalArgumentException(dtype + " is not compared");
        };
    ByteString tensor =
        message(
            out -> {
              out.writeInt32(1, element);
              if (shape != null) {
                out.writeBytes(2, message(dims -> writeDims(dims, shape)));
              }
            });
    ByteString type = message(out -> out.writeBytes(1, tensor));
    return message(
        out -> {
          out.writeString(1, name);
          out.writeBytes(2, type);
        });
  }

  private static void writeDims(CodedOutputStream out, long[] shape) throws IOException {
    for (long extent : shape) {
      out.writeBytes(1, message(dim -> dim.writeInt64(1, extent)));
    }
  }
}
