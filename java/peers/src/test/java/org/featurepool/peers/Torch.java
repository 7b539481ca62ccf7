package org.featurepool.peers;

import java.util.function.Function;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.featurepool.DType;

/** Calls libtorch, with its autograd for gradients. */
final class Torch {
  static {
    torch.set_num_threads(1);
  }

  /**
   * What a pooling gave.
   *
   * @param indices positions in the plane, where the operator tells them; else null
   * @param gradient of the input
   */
  record Result(double[] values, double[] indices, double[] gradient) {}

  private Torch() {}

  /** Runs an operator that gives values alone, and its gradient. */
  static Result run(
      DType dtype, long[] sizes, double[] x, double[] dy, Function<Tensor, Tensor> operator) {
    return Native.scoped(
        () -> {
          Tensor input = tensor(dtype, sizes, x).requires_grad_(true);
          Tensor y = operator.apply(input);
          return new Result(values(y), null, gradient(dtype, input, y, dy));
        });
  }

  /** Runs an operator that gives values and indices, and its gradient. */
  static Result runWithIndices(
      DType dtype,
      long[] sizes,
      double[] x,
      double[] dy,
      Function<Tensor, T_TensorTensor_T> operator) {
    return Native.scoped(
        () -> {
          Tensor input = tensor(dtype, sizes, x).requires_grad_(true);
          // The tensors of a pair live as long as the pair.
          T_TensorTensor_T pair = operator.apply(input);
          Tensor y = pair.get0();
          return new Result(values(y), values(pair.get1()), gradient(dtype, input, y, dy));
        });
  }

  private static double[] gradient(DType dtype, Tensor input, Tensor y, double[] dy) {
    long[] sizes = y.sizes().vec().get();
    y.backward(tensor(dtype, sizes, dy), new BoolOptional(), false, new TensorArrayRefOptional());
    return values(input.grad());
  }

  /** A tensor of its own memory. */
  static Tensor tensor(DType dtype, long[] sizes, double[] values) {
    TensorOptions options;
    Pointer pointer;
    switch (dtype) {
      case F32 -> {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
          floats[i] = (float) values[i];
        }
        pointer = new FloatPointer(floats);
        options = new TensorOptions(torch.ScalarType.Float);
      }
      case F64 -> {
        pointer = new DoublePointer(values);
        options = new TensorOptions(torch.ScalarType.Double);
      }
      case U8 -> {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < bytes.length; i++) {
          bytes[i] = (byte) values[i];
        }
        pointer = new BytePointer(bytes);
        options = new TensorOptions(torch.ScalarType.Byte);
      }
      case I64 -> {
        long[] longs = new long[values.length];
        for (int i = 0; i < longs.length; i++) {
          longs[i] = (long) values[i];
        }
        pointer = new LongPointer(longs);
        options = new TensorOptions(torch.ScalarType.Long);
      }
      default -> throw new IllegalArgumentException(dtype + " is not compared");
    }
    return torch.from_blob(pointer, sizes, options).clone();
  }

  static double[] values(Tensor tensor) {
    Tensor doubles = tensor.detach().to(torch.ScalarType.Double).contiguous();
    double[] values = new double[Math.toIntExact(doubles.numel())];
    new DoublePointer(doubles.data_ptr_double()).get(values);
    return values;
  }
}
