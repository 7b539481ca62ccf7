package org.featurepool.peers;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.featurepool.DType;

/** Runs ONNX models of one node in ONNX Runtime. */
final class OnnxRuntime {
  private static final OrtEnvironment ENVIRONMENT =
      OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);

  /** Values of an input in the order of its memory. */
  record Input(String name, DType dtype, long[] shape, double[] values) {}

  private OnnxRuntime() {}

  /** The values of each output. */
  static double[][] run(OnnxModel model, Input... inputs) {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1);
      try (OrtSession session = ENVIRONMENT.createSession(model.bytes(), options)) {
        Map<String, OnnxTensor> tensors = new LinkedHashMap<>();
        for (Input input : inputs) {
          tensors.put(input.name(), tensor(input));
        }
        try (OrtSession.Result result = session.run(tensors)) {
          double[][] outputs = new double[result.size()][];
          for (int i = 0; i < outputs.length; i++) {
            outputs[i] = values((OnnxTensor) result.get(i));
          }
          return outputs;
        } finally {
          tensors.values().forEach(OnnxTensor::close);
        }
      }
    } catch (OrtException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private static OnnxTensor tensor(Input input) throws OrtException {
    double[] values = input.values();
    long[] shape = input.shape();
    return switch (input.dtype()) {
      case F32 -> {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
          floats[i] = (float) values[i];
        }
        yield OnnxTensor.createTensor(ENVIRONMENT, FloatBuffer.wrap(floats), shape);
      }
      case F64 -> OnnxTensor.createTensor(ENVIRONMENT, DoubleBuffer.wrap(values), shape);
      case I64 -> {
        long[] longs = new long[values.length];
        for (int i = 0; i < longs.length; i++) {
          longs[i] = (long) values[i];
        }
        yield OnnxTensor.createTensor(ENVIRONMENT, LongBuffer.wrap(longs), shape);
      }
      case U8 -> {
        ByteBuffer bytes = ByteBuffer.allocateDirect(values.length).order(ByteOrder.nativeOrder());
        for (double value : values) {
          bytes.put((byte) value);
        }
        yield OnnxTensor.createTensor(ENVIRONMENT, bytes.flip(), shape, OnnxJavaType.UINT8);
      }
      default -> throw new IllegalArgumentException(input.dtype() + " is not compared");
    };
  }

  private static double[] values(OnnxTensor tensor) {
    return switch (tensor.getInfo().type) {
      case FLOAT -> {
        FloatBuffer buffer = tensor.getFloatBuffer();
        double[] values = new double[buffer.remaining()];
        for (int i = 0; i < values.length; i++) {
          values[i] = buffer.get(i);
        }
        yield values;
      }
      case DOUBLE -> {
        double[] values = new double[tensor.getDoubleBuffer().remaining()];
        tensor.getDoubleBuffer().get(values);
        yield values;
      }
      case INT64 -> {
        LongBuffer buffer = tensor.getLongBuffer();
        double[] values = new double[buffer.remaining()];
        for (int i = 0; i < values.length; i++) {
          values[i] = buffer.get(i);
        }
        yield values;
      }
      case UINT8 -> {
        ByteBuffer buffer = tensor.getByteBuffer();
        double[] values = new double[buffer.remaining()];
        for (int i = 0; i < values.length; i++) {
          values[i] = Byte.toUnsignedInt(buffer.get(i));
        }
        yield values;
      }
      default -> throw new IllegalArgumentException(tensor.getInfo() + " is not compared");
    };
  }
}
