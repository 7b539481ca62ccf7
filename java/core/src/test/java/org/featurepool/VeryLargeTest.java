package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Tensors of more than 2^31 elements, in sparse files: no index, offset or product wraps around.
 */
@Tag("torture")
class VeryLargeTest {
  private static final long HEIGHT = 40_000;
  private static final long WIDTH = 54_016;
  private static final int KERNEL = 16;

  /** One plane of 2^31 + 13,156,352 elements, and the last element of it. */
  private static final Shape PLANE = Shape.nchw(1, 1, HEIGHT, WIDTH);

  private static final long LAST = HEIGHT * WIDTH - 1;

  private static final Window WINDOW = Window.square(KERNEL);
  private static final long BOTTOM = HEIGHT / KERNEL - 1;
  private static final long RIGHT = WIDTH / KERNEL - 1;

  @TempDir private Path folder;
  private Arena arena;

  @BeforeEach
  void open() throws IOException {
    assertTrue(LAST > 1L << 31);
    assertTrue(Files.getFileStore(folder).getUsableSpace() > 6L << 30, "6 GB of disk are needed");
    arena = Arena.ofShared();
  }

  @AfterEach
  void close() {
    arena.close();
  }

  private Tensor mapped(DType dtype, Shape shape) throws IOException {
    long size = shape.elementCount() * dtype.size();
    Path file = Files.createTempFile(folder, "tensor", ".bin");
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      MemorySegment memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, size, arena);
      return Tensor.wrap(memory, dtype, shape);
    }
  }

  /** Bytes that are 0 but for the first, one in the middle, and the last element. */
  private Tensor bytes(Shape shape) throws IOException {
    Tensor x = mapped(DType.U8, shape);
    x.segment().set(ValueLayout.JAVA_BYTE, 0, (byte) 200);
    x.segment().set(ValueLayout.JAVA_BYTE, 1L << 31, (byte) 100);
    x.segment().set(ValueLayout.JAVA_BYTE, LAST, (byte) 255);
    return x;
  }

  @Test
  void maximaAndTheirPositions() throws IOException {
    Tensor x = bytes(PLANE);
    MaxPool pool = MaxPool.of(WINDOW);
    Mask wide = Mask.allocate(arena, WINDOW, PLANE);
    // 256 taps are one too many for a mask of bytes.
    assertEquals(Mask.Format.INT32, wide.format());
    Tensor y = pool.forward(x, arena);
    assertEquals(200, y.get(0, 0, 0, 0));
    assertEquals(100, y.get(0, 0, (1L << 31) / WIDTH / KERNEL, (1L << 31) % WIDTH / KERNEL));
    assertEquals(255, y.get(0, 0, BOTTOM, RIGHT));
    assertEquals(0, y.get(0, 0, BOTTOM, RIGHT - 1));

    // Positions of four bytes cannot tell where an element of this plane is.
    String refusal =
        assertThrows(IllegalArgumentException.class, () -> pool.forwardWithMask(x, y, wide))
            .getMessage();
    assertTrue(refusal.contains(Long.toString(HEIGHT * WIDTH)), refusal);
    assertEquals(255, y.get(0, 0, BOTTOM, RIGHT));
    refusal =
        assertThrows(
                IllegalArgumentException.class, () -> GlobalPool.max(2).forwardWithMask(x, arena))
            .getMessage();
    assertTrue(refusal.contains("2^31") || refusal.contains("2147483647"), refusal);

    // Positions within the window can, and expand to 64 bits.
    Window narrow = Window.of(15, 16).withStride(16, 16);
    MaxPool other = MaxPool.of(narrow);
    MaxPool.Result result = other.forwardWithMask(x, arena);
    assertEquals(Mask.Format.COMPACT, result.mask().format());
    Tensor indices = result.mask().indices(Mask.IndexBase.TENSOR, arena);
    assertEquals(
        1L << 31,
        (long) indices.get(0, 0, (1L << 31) / WIDTH / KERNEL, (1L << 31) % WIDTH / KERNEL));
    long lastWindow = BOTTOM * KERNEL * WIDTH + RIGHT * KERNEL;
    assertEquals(lastWindow, (long) indices.get(0, 0, BOTTOM, RIGHT));
  }

  @Test
  void averages() throws IOException {
    Tensor x = bytes(PLANE);
    Tensor y = AvgPool.of(WINDOW).withDivisor(5).forward(x, arena);
    assertEquals(40, y.get(0, 0, 0, 0));
    assertEquals(20, y.get(0, 0, (1L << 31) / WIDTH / KERNEL, (1L << 31) % WIDTH / KERNEL));
    assertEquals(51, y.get(0, 0, BOTTOM, RIGHT));
  }

  @Test
  void gradients() throws IOException {
    Tensor dx = mapped(DType.F16, PLANE);
    Window narrow = Window.of(5, 16).withStride(16, 16);
    Shape pooled = narrow.outputShape(PLANE);
    Tensor dy = Tensor.allocate(arena, DType.F16, pooled);
    dy.set(3, 0, 0, BOTTOM, RIGHT);
    dy.set(2, 0, 0, 0, 0);
    Mask mask = Mask.allocate(arena, narrow, PLANE);
    mask.tensor().set(79, 0, 0, BOTTOM, RIGHT);
    MaxPool.of(narrow).backward(dy, mask, dx);
    assertEquals(3, dx.get(0, 0, BOTTOM * 16 + 4, WIDTH - 1));
    assertEquals(2, dx.get(0, 0, 0, 0));
    assertEquals(0, dx.get(0, 0, BOTTOM * 16 + 5, WIDTH - 1));
    assertEquals(0, dx.get(0, 0, HEIGHT - 1, WIDTH - 1));

    Tensor spread = Tensor.allocate(arena, DType.F16, WINDOW.outputShape(PLANE));
    spread.set(256, 0, 0, BOTTOM, RIGHT);
    AvgPool.of(WINDOW).backward(spread, dx);
    assertEquals(1, dx.get(0, 0, HEIGHT - 1, WIDTH - 1));
    assertEquals(1, dx.get(0, 0, BOTTOM * KERNEL, RIGHT * KERNEL));
    assertEquals(0, dx.get(0, 0, BOTTOM * KERNEL - 1, RIGHT * KERNEL));
    assertEquals(0, dx.get(0, 0, BOTTOM * KERNEL, RIGHT * KERNEL - 1));
    System.out.println("very large: " + LAST + " elements: maxima, averages and gradients");
  }

  /** Interleaved, and of many planes, each of which is small. */
  @Test
  void manyPlanes() throws IOException {
    Shape shape = Shape.nhwc(4, 500, 16_800, 64);
    assertTrue(shape.elementCount() > 1L << 31);
    Tensor x = mapped(DType.U8, shape);
    x.segment().set(ValueLayout.JAVA_BYTE, shape.elementCount() - 1, (byte) 9);
    Window window = Window.of(20, 10);
    MaxPool.Result result = MaxPool.of(window).forwardWithMask(x, arena);
    assertEquals(9, result.output().get(3, 63, 24, 1679));
    assertEquals(0, result.output().get(3, 62, 24, 1679));
    assertEquals(199, result.mask().tensor().get(3, 63, 24, 1679));
    long position = shape.elementCount() - 1;
    assertEquals(
        position, (long) result.mask().indices(Mask.IndexBase.TENSOR, arena).get(3, 63, 24, 1679));
  }
}
