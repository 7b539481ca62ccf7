package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TensorTest {
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  @Test
  void arraysAreCopiedIn() {
    float[] values = {1, 2, 3, 4, 5, 6};
    Tensor tensor = Tensor.of(arena, Shape.nchw(1, 2, 1, 3), values);
    values[0] = 9;
    assertEquals(1, tensor.getFloat(0, 0, 0, 0));
    assertEquals(6, tensor.get(0, 1, 0, 2));
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, tensor.toFloatArray());
    assertEquals(0, tensor.segment().address() % 64);
    assertEquals(24, tensor.segment().byteSize());
    assertEquals("F32 1x2x1x3 (NCHW)", tensor.toString());

    Tensor bytes = Tensor.of(arena, Shape.nwc(1, 2, 1), new byte[] {(byte) 200, 3});
    assertEquals(DType.U8, bytes.dtype());
    assertEquals(200, bytes.get(0, 0, 0));
    assertArrayEquals(new byte[] {(byte) 200, 3}, bytes.toByteArray());
    assertArrayEquals(new float[] {200, 3}, bytes.toFloatArray());
    assertArrayEquals(new int[] {200, 3}, bytes.toIntArray());
    assertArrayEquals(new long[] {200, 3}, bytes.toLongArray());
  }

  @Test
  void wrappingCopiesNothing() {
    MemorySegment memory = arena.allocate(100, 64);
    Tensor tensor = Tensor.wrap(memory, DType.F32, Shape.ncw(1, 1, 4));
    assertEquals(16, tensor.segment().byteSize(), "only the elements are in view");
    tensor.set(2.5, 0, 0, 3);
    assertEquals(2.5f, memory.get(ValueLayout.JAVA_FLOAT, 12));

    ByteBuffer buffer = ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder());
    Tensor ofBuffer = Tensor.wrap(buffer.position(8), DType.F32, Shape.ncw(1, 1, 4));
    ofBuffer.set(7, 0, 0, 0);
    assertEquals(7, buffer.getFloat(8));
    assertTrue(ofBuffer.asReadOnly().segment().isReadOnly());
  }

  @ParameterizedTest
  @EnumSource(DType.class)
  void elementsOfEveryType(DType dtype) {
    for (Layout layout : Layout.values()) {
      Tensor tensor = Tensor.allocate(arena, dtype, Shape.of(layout, 2, 3, 4, 5));
      assertEquals(2 * 3 * 4 * 5 * dtype.size(), tensor.segment().byteSize());
      double value = 0;
      for (long n = 0; n < 2; n++) {
        for (long c = 0; c < 3; c++) {
          for (long h = 0; h < 4; h++) {
            for (long w = 0; w < 5; w++) {
              tensor.set(value++, n, c, h, w);
            }
          }
        }
      }
      Layout other = Layout.values()[1 - layout.ordinal()];
      for (Tensor copy : List.of(tensor.toLayout(other, arena), tensor.toLayout(layout, arena))) {
        value = 0;
        for (long n = 0; n < 2; n++) {
          for (long c = 0; c < 3; c++) {
            for (long h = 0; h < 4; h++) {
              for (long w = 0; w < 5; w++) {
                assertEquals(value++, copy.get(n, c, h, w));
              }
            }
          }
        }
      }
    }
  }

  @Test
  void halfPrecisionRoundsToNearest() {
    Shape one = Shape.ncw(1, 1, 1);
    Tensor half = Tensor.allocate(arena, DType.F16, one);
    half.set(2049, 0, 0, 0);
    assertEquals(2048, half.get(0, 0, 0));
    Tensor brain = Tensor.allocate(arena, DType.BF16, one);
    for (double[] pair :
        new double[][] {
          {257, 256},
          {259, 260},
          {-1.5, -1.5},
          {3.4e38, Double.POSITIVE_INFINITY},
          {Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY},
          {Double.NaN, Double.NaN}
        }) {
      brain.set(pair[0], 0, 0, 0);
      assertEquals(pair[1], brain.get(0, 0, 0));
    }
  }

  @Test
  void integersKeepTheirRange() {
    Shape one = Shape.ncw(1, 1, 1);
    Tensor longs = Tensor.allocate(arena, DType.I64, one);
    longs.set(-0x1p63, 0, 0, 0);
    assertArrayEquals(new long[] {Long.MIN_VALUE}, longs.toLongArray());
    Tensor ints = Tensor.allocate(arena, DType.I32, one);
    ints.set(Integer.MIN_VALUE, 0, 0, 0);
    assertArrayEquals(new int[] {Integer.MIN_VALUE}, ints.toIntArray());
    Tensor bytes = Tensor.allocate(arena, DType.I8, one);
    bytes.set(-128, 0, 0, 0);
    assertArrayEquals(new int[] {-128}, bytes.toIntArray());
  }

  @Test
  void masksCountFromWhereTheyAreAsked() {
    Window window = Window.of(1, 2).withStride(1, 2);
    // Images of 3x2x4: the maximum of each pair is its second element.
    Shape shape = Shape.nchw(2, 3, 2, 4);
    float[] values = new float[48];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 2;
    }
    Tensor x = Tensor.of(arena, shape, values);
    for (Mask.Format format : Mask.Format.values()) {
      Mask mask = Mask.allocate(arena, format, window, shape);
      MaxPool.of(window)
          .forwardWithMask(x, Tensor.allocate(arena, DType.F32, window.outputShape(shape)), mask);
      assertSame(window, mask.window());
      assertEquals(shape, mask.inputShape());
      long[] last = {1, 2, 1, 1};
      assertEquals(7, mask.indices(Mask.IndexBase.PLANE, arena).get(last));
      assertEquals(23, mask.indices(Mask.IndexBase.IMAGE, arena).get(last));
      assertEquals(47, mask.indices(Mask.IndexBase.TENSOR, arena).get(last));
      // Column-major within the plane: column 1, row 1 of two rows.
      long[] middle = {1, 2, 1, 0};
      assertEquals(
          40 + 1 * 2 + 1, mask.indices(Mask.IndexBase.TENSOR_COLUMN_MAJOR, arena).get(middle));
    }
  }

  @Test
  void theLibraryTellsAboutItself() {
    Featurepool.verifyAvailable();
    assertTrue(Featurepool.isAvailable());
    assertTrue(Featurepool.version().matches("\\d+\\.\\d+\\.\\d+.*"), Featurepool.version());
    assertTrue(Featurepool.abiVersion() >= 1);
    assertTrue(Featurepool.threads() >= 1);
    assertTrue(Featurepool.activeIsa().matches("[A-Z0-9_]+"), Featurepool.activeIsa());
    assertTrue(Files.isRegularFile(Featurepool.libraryPath()));
  }
}
