package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class ShapeAndWindowTest {
  @Test
  void shapesTellTheirExtents() {
    Shape shape = Shape.nchw(2, 64, 112, 56);
    assertEquals("2x64x112x56 (NCHW)", shape.toString());
    assertEquals("2x112x56x64 (NHWC)", shape.withLayout(Layout.INTERLEAVED).toString());
    assertEquals("1x2x3 (NCW)", Shape.ncw(1, 2, 3).toString());
    assertEquals("1x3x2 (NWC)", Shape.nwc(1, 3, 2).toString());
    assertEquals("1x2x3x4x5 (NCDHW)", Shape.ncdhw(1, 2, 3, 4, 5).toString());
    assertEquals("1x3x4x5x2 (NDHWC)", Shape.ndhwc(1, 3, 4, 5, 2).toString());
    assertEquals(2, shape.batch());
    assertEquals(64, shape.channels());
    assertEquals(2, shape.spatialRank());
    assertEquals(112, shape.spatial(0));
    assertEquals(56, shape.spatial(1));
    assertThrows(IndexOutOfBoundsException.class, () -> shape.spatial(2));
    assertThrows(IndexOutOfBoundsException.class, () -> shape.spatial(-1));
    assertEquals(112 * 56, shape.planeSize());
    assertEquals(2L * 64 * 112 * 56, shape.elementCount());
    assertEquals(0, shape.withBatch(0).elementCount());
    assertEquals(Shape.nchw(2, 3, 112, 56), shape.withChannels(3));
  }

  @Test
  void layoutsOrderMemory() {
    Shape interleaved = Shape.ndhwc(1, 3, 4, 5, 2);
    assertArrayEquals(new long[] {1, 2, 3, 4, 5}, interleaved.extents());
    assertArrayEquals(new long[] {1, 3, 4, 5, 2}, interleaved.memoryExtents());
    assertArrayEquals(
        new long[] {1, 2, 3, 4, 5}, interleaved.withLayout(Layout.PLANAR).memoryExtents());
    assertEquals(((((2) * 4 + 3) * 5) + 4) * 2 + 1, interleaved.offset(0, 1, 2, 3, 4));
    assertEquals(
        ((1 * 3 + 2) * 4 + 3) * 5 + 4, interleaved.withLayout(Layout.PLANAR).offset(0, 1, 2, 3, 4));
  }

  @Test
  void shapesAreValues() {
    assertEquals(Shape.nchw(1, 2, 3, 4), Shape.of(Layout.PLANAR, 1, 2, 3, 4));
    assertEquals(Shape.nchw(1, 2, 3, 4).hashCode(), Shape.nchw(1, 2, 3, 4).hashCode());
    assertEquals(Shape.nhwc(1, 3, 4, 2), Shape.nchw(1, 2, 3, 4).withLayout(Layout.INTERLEAVED));
    assertNotEquals(Shape.nhwc(1, 3, 4, 2), Shape.nchw(1, 2, 3, 4));
    assertNotEquals(Shape.nchw(1, 2, 12, 1), Shape.ncw(1, 2, 12));
    long[] extents = {1, 2, 3};
    Shape shape = Shape.of(Layout.PLANAR, extents);
    extents[0] = 9;
    shape.extents()[1] = 9;
    assertEquals(Shape.ncw(1, 2, 3), shape);
  }

  @Test
  void windowsTellTheirParameters() {
    Window window =
        Window.of(2, 3)
            .withStride(1)
            .withDilation(4, 5)
            .withPadding(new long[] {1}, new long[] {0, 2});
    assertEquals(2, window.rank());
    assertEquals(6, window.taps());
    assertEquals(3, window.kernel(1));
    assertEquals(1, window.stride(0));
    assertEquals(5, window.dilation(1));
    assertEquals(1, window.padBegin(1));
    assertEquals(2, window.padEnd(1));
    assertTrue(window.withCeilMode().ceilMode());
    assertThrows(IndexOutOfBoundsException.class, () -> window.kernel(2));
    assertEquals("window 2x3 stride 1x1 padding 1x1 to 0x2 dilation 4x5", window.toString());
    assertEquals(3, Window.square(3).stride(1), "the default stride is the kernel");
  }

  @Test
  void windowsAreValues() {
    Window window = Window.square(3).withStride(2).withPadding(1);
    assertEquals(window, Window.of(3, 3).withStride(2, 2).withPadding(1, 1));
    assertEquals(window.hashCode(), Window.of(3, 3).withStride(2, 2).withPadding(1).hashCode());
    for (Window other :
        List.of(
            Window.square(2).withStride(2).withPadding(1),
            window.withStride(1),
            window.withPadding(0),
            window.withPadding(new long[] {1}, new long[] {0}),
            window.withDilation(2),
            window.withCeilMode(),
            window.withValidPadding(),
            window.withSamePadding(Window.SamePadding.UPPER),
            window.withSamePadding(Window.SamePadding.LOWER))) {
      assertNotEquals(window, other);
    }
    assertEquals(MaxPool.of(window), MaxPool.of(Window.square(3).withStride(2).withPadding(1)));
    AvgPool average = AvgPool.of(window);
    assertEquals(average, AvgPool.of(window));
    assertNotEquals(average, average.withDivisor(3));
    assertNotEquals(average, average.withIncludePadding());
  }

  @Test
  void sixteenMillionAndOneElements() {
    // 2^24 + 1: where an output extent computed in f32 is wrong.
    Shape input = Shape.ncw(1, 1, 16777217);
    assertEquals(Shape.ncw(1, 1, 16777217), Window.line(1).withStride(1).outputShape(input));
    assertEquals(
        Shape.ncw(1, 1, 8388609), Window.line(3).withStride(2).withPadding(1).outputShape(input));
  }
}
