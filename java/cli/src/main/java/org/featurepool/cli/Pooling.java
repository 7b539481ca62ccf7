package org.featurepool.cli;

import java.lang.foreign.Arena;
import org.featurepool.AvgPool;
import org.featurepool.DType;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Tensor;
import org.featurepool.Window;

/** A pooling that the program was asked for. */
sealed interface Pooling {
  Window window();

  /** Pools {@code x} into {@code y}. */
  void forward(Tensor x, Tensor y);

  /** Writes to {@code dx} the gradient of this pooling at {@code x}, from that of its output. */
  void backward(Tensor x, Tensor dy, Tensor dx);

  /** The maximum of each window. */
  record Max(MaxPool pool) implements Pooling {
    @Override
    public Window window() {
      return pool.window();
    }

    @Override
    public void forward(Tensor x, Tensor y) {
      pool.forward(x, y);
    }

    /** Pools {@code x}, and writes to {@code indices} where in its plane each maximum was. */
    void forward(Tensor x, Tensor y, Tensor indices) {
      try (Arena arena = Arena.ofConfined()) {
        Mask mask = Mask.allocate(arena, window(), x.shape());
        pool.forwardWithMask(x, y, mask);
        indices.segment().copyFrom(mask.indices(Mask.IndexBase.PLANE, arena).segment());
      }
    }

    @Override
    public void backward(Tensor x, Tensor dy, Tensor dx) {
      try (Arena arena = Arena.ofConfined()) {
        pool.backward(dy, pool.forwardWithMask(x, arena).mask(), dx);
      }
    }
  }

  /** The average of each window. */
  record Average(AvgPool pool) implements Pooling {
    @Override
    public Window window() {
      return pool.window();
    }

    @Override
    public void forward(Tensor x, Tensor y) {
      pool.forward(x, y);
    }

    @Override
    public void backward(Tensor x, Tensor dy, Tensor dx) {
      pool.backward(dy, dx);
    }
  }

  /** Tells whether the operators take inputs of a type. */
  static boolean takes(DType dtype) {
    return dtype == DType.F32 || dtype == DType.U8;
  }
}
