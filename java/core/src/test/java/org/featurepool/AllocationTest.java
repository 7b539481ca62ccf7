package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** Calls into tensors of the caller allocate nothing on the Java heap. */
class AllocationTest {
  private static final int CALLS = 10_000;

  /** Rounds of calls, so many that the compiled code is reached. */
  private static final int ROUNDS = 30;

  private static void assertAllocatesNothing(String what, Runnable call) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long allocated = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS && allocated > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < CALLS; i++) {
        call.run();
      }
      allocated = threads.getCurrentThreadAllocatedBytes() - before;
    }
    assertEquals(0, allocated, what + ": bytes allocated by " + CALLS + " calls");
  }

  @Test
  void operatorsAllocateNothing() {
    Shape shape = Shape.nchw(1, 16, 4, 4);
    try (Arena arena = Arena.ofConfined()) {
      MaxPool max = MaxPool.of(Window.square(2).withStride(2));
      AvgPool average = AvgPool.of(max.window());
      Tensor x = Tensor.allocate(arena, DType.F32, shape);
      Tensor out = Tensor.allocate(arena, DType.F32, max.window().outputShape(shape));
      Tensor inputGradient = Tensor.allocate(arena, DType.F32, shape);
      Mask mask = Mask.allocate(arena, max.window(), shape);

      assertAllocatesNothing("MaxPool.forward", () -> max.forward(x, out));
      assertAllocatesNothing("MaxPool.forwardWithMask", () -> max.forwardWithMask(x, out, mask));
      assertAllocatesNothing("MaxPool.backward", () -> max.backward(out, mask, inputGradient));
      assertAllocatesNothing("AvgPool.forward", () -> average.forward(x, out));
      assertAllocatesNothing("AvgPool.backward", () -> average.backward(out, inputGradient));
    }
  }

  @Test
  void operatorsWithoutWindowsAllocateNothing() {
    Shape shape = Shape.nchw(2, 3, 6, 6);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.F32, shape);
      Tensor inputGradient = Tensor.allocate(arena, DType.F32, shape);

      FractionalMaxPool fractional = FractionalMaxPool.of(new long[] {2, 2}, new long[] {4, 4});
      Tensor reduced = Tensor.allocate(arena, DType.F32, fractional.outputShape(shape));
      PositionMask drawn = fractional.allocateMask(arena, shape);
      assertAllocatesNothing(
          "FractionalMaxPool.forward", () -> fractional.forward(x, 1, reduced, drawn));
      assertAllocatesNothing(
          "FractionalMaxPool.backward", () -> fractional.backward(reduced, drawn, inputGradient));

      Regions regions = Regions.of(arena, new double[][] {{0, 0, 5, 5}, {1, 1, 3, 4}}, new long[2]);
      RoiPool roi = RoiPool.of(2, 2, 1);
      RoiAlign align = RoiAlign.average(2, 2, 1);
      Tensor bins = Tensor.allocate(arena, DType.F32, roi.outputShape(shape, regions));
      PositionMask found = new PositionMask(Tensor.allocate(arena, DType.I32, bins.shape()), shape);
      assertAllocatesNothing(
          "RoiPool.forwardWithMask", () -> roi.forwardWithMask(x, regions, bins, found));
      assertAllocatesNothing(
          "RoiPool.backward", () -> roi.backward(bins, found, regions, inputGradient));
      assertAllocatesNothing("RoiAlign.forward", () -> align.forward(x, regions, bins));
      assertAllocatesNothing(
          "RoiAlign.backward", () -> align.backward(bins, x, regions, inputGradient));

      MaxUnpool unpool = MaxUnpool.of(Window.square(2));
      Tensor indices = Tensor.allocate(arena, DType.I32, shape);
      Tensor large = Tensor.allocate(arena, DType.F32, unpool.outputShape(shape));
      assertAllocatesNothing("MaxUnpool.forward", () -> unpool.forward(x, indices, large));
      assertAllocatesNothing(
          "MaxUnpool.backward", () -> unpool.backward(large, indices, inputGradient));
    }
  }
}
