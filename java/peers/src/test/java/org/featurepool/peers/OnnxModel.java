package org.featurepool.peers;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.DType;

/** Writes ONNX models of one node. The numbers are the field numbers of onnx.proto3. */
final class OnnxModel {
  private static final int IR_VERSION = 10;

  private final String operator;
  private final int opset;
  private final List<ByteString> attributes = new ArrayList<>();
  private final List<ByteString> inputs = new ArrayList<>();
  private final List<ByteString> outputs = new ArrayList<>();
  private final List<String> inputNames = new ArrayList<>();
  private final List<String> outputNames = new ArrayList<>();

  OnnxModel(String operator, int opset) {
    this.operator = operator;
    this.opset = opset;
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
    ByteString node =
        message(
            out -> {
              for (String name : inputNames) {
                out.writeString(1, name);
              }
              for (String name : outputNames) {
                out.writeString(2, name);
              }
              out.writeString(4, operator);
              writeAll(out, 5, attributes);
            });
    ByteString graph =
        message(
            out -> {
              out.writeBytes(1, node);
              out.writeString(2, "one node");
              writeAll(out, 11, inputs);
              writeAll(out, 12, outputs);
            });
    return message(
            out -> {
              out.writeInt64(1, IR_VERSION);
              out.writeBytes(7, graph);
              out.writeBytes(8, message(set -> set.writeInt64(2, opset)));
            })
        .toByteArray();
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
    attributes.add(
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
          case F64 -> 11;
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
