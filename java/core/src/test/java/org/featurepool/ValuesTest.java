package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Windows, shapes and operators as values: equal by their parameters, and what those must be. */
class ValuesTest {
  private static final Window K2 = Window.square(2);
  private static final Window K3 = Window.square(3);

  @TempDir private Path folder;

  /** Of each list, any two are unequal; each differs from its neighbour in little. */
  static Stream<List<Supplier<Object>>> distinct() {
    Window padded = K3.withPadding(1);
    return Stream.of(
        List.of(
            () -> K3,
            () -> Window.of(3, 2),
            () -> Window.cube(3),
            () -> Window.line(3),
            () -> K3.withStride(1),
            () -> padded,
            () -> K3.withPadding(new long[] {1, 0}, new long[] {1, 1}),
            () -> K3.withPadding(new long[] {1, 1}, new long[] {1, 0}),
            () -> K3.withDilation(2),
            () -> K3.withCeilMode(),
            () -> K3.withSamePadding(Window.SamePadding.UPPER),
            () -> K3.withSamePadding(Window.SamePadding.LOWER),
            () -> K3.withValidPadding(),
            () -> Window.adaptive(3, 3),
            () -> Window.global(2)),
        List.of(
            () -> Shape.nchw(1, 2, 3, 4),
            () -> Shape.nchw(1, 2, 4, 3),
            () -> Shape.nhwc(1, 3, 4, 2),
            () -> Shape.ncw(1, 2, 12),
            () -> Shape.nchw(2, 1, 3, 4)),
        List.of(
            () -> MaxPool.of(K2),
            () -> MaxPool.of(K3),
            () -> MinPool.of(K2),
            () -> MinPool.of(K3),
            () -> MedianPool.of(K2),
            () -> MedianPool.of(K3),
            () -> StochasticPool.of(K2),
            () -> StochasticPool.of(K3),
            () -> MaxUnpool.of(K2),
            () -> MaxUnpool.of(K3),
            () -> AvgUnpool.of(K2),
            () -> AvgUnpool.of(K3)),
        List.of(
            () -> AvgPool.of(K2),
            () -> AvgPool.of(K3),
            () -> AvgPool.of(K2).withIncludePadding(),
            () -> AvgPool.of(K2).withDivisor(3),
            () -> AvgPool.of(K2).withDivisor(5)),
        List.of(
            () -> LpPool.of(K2, 2),
            () -> LpPool.of(K2, 3),
            () -> LpPool.of(K3, 2),
            () -> GemPool.of(K2, 2),
            () -> GemPool.of(K2, 3),
            () -> GemPool.of(K3, 2),
            () -> GemPool.of(K2, 2, 3),
            () -> GemPool.of(K2, 2).withEpsilon(0.5)),
        List.of(
            () -> MixedPool.cat(K2),
            () -> MixedPool.cat(K3),
            () -> MixedPool.add(K2, 0.25),
            () -> MixedPool.add(K2, 0.75),
            () -> MixedPool.add(K3, 0.25),
            () -> MixedPool.add(K2, 0.25, 0.5)),
        List.of(
            () -> RoiPool.of(2, 3, 1),
            () -> RoiPool.of(3, 3, 1),
            () -> RoiPool.of(2, 2, 1),
            () -> RoiPool.of(2, 3, 0.5),
            () -> RoiAlign.average(2, 3, 1),
            () -> RoiAlign.average(3, 3, 1),
            () -> RoiAlign.average(2, 2, 1),
            () -> RoiAlign.average(2, 3, 0.5),
            () -> RoiAlign.average(2, 3, 1).withSamplingRatio(3),
            () -> RoiAlign.average(2, 3, 1).withHalfPixel(true),
            () -> RoiAlign.max(2, 3, 1)),
        List.of(
            () -> SpatialPyramidPool.max(1, 2),
            () -> SpatialPyramidPool.max(1, 3),
            () -> SpatialPyramidPool.average(1, 2),
            () -> SpatialPyramidPool.max(1, 2).withBins(other(SpatialPyramidPool.max(1).bins())),
            () -> SppBlock.of(5, 9),
            () -> SppBlock.of(5)),
        List.of(
            () -> FractionalMaxPool.of(new long[] {2, 2}, new long[] {3, 3}),
            () -> FractionalMaxPool.of(new long[] {2, 3}, new long[] {3, 3}),
            () -> FractionalMaxPool.of(new long[] {2, 2}, new long[] {3, 4}),
            () -> FractionalMaxPool.of(new long[] {2, 2, 2}, new long[] {3, 3, 3})),
        List.of(
            BilinearPool::of,
            BilinearPool::homogeneous,
            () -> BilinearPool.of().withoutSignedRoot(),
            () -> BilinearPool.of().withoutNormalization()));
  }

  private static Bins other(Bins bins) {
    return Bins.values()[(bins.ordinal() + 1) % Bins.values().length];
  }

  @ParameterizedTest
  @MethodSource("distinct")
  void valuesAreEqualByTheirParameters(List<Supplier<Object>> values) {
    Set<String> texts = new HashSet<>();
    for (int i = 0; i < values.size(); i++) {
      Object value = values.get(i).get();
      assertTrue(texts.add(value.toString()), "two are called " + value);
      assertFalse(value.equals(null));
      assertFalse(value.equals("a text"));
      for (int j = 0; j < values.size(); j++) {
        Object that = values.get(j).get();
        if (i == j) {
          assertEquals(value, that);
          assertEquals(value.hashCode(), that.hashCode(), value.toString());
          assertEquals(value.toString(), that.toString());
        } else {
          assertNotEquals(value, that);
        }
      }
    }
  }

  @Test
  void operatorsTellTheirParameters() {
    assertEquals(K3, MaxPool.of(K3).window());
    assertEquals(K3, AvgPool.of(K3).window());
    assertEquals(K3, LpPool.of(K3, 4).window());
    assertEquals(4, LpPool.of(K3, 4).p());
    assertEquals(K3, GemPool.of(K3, 4).window());
    assertArrayEquals(new double[] {4}, GemPool.of(K3, 4).p());
    assertEquals(0.5, GemPool.of(K3, 4).withEpsilon(0.5).epsilon());
    assertEquals(K3, MixedPool.cat(K3).window());
    assertArrayEquals(new double[] {0.25}, MixedPool.add(K3, 0.25).alpha());
    assertEquals(K3, StochasticPool.of(K3).window());
    assertEquals(K3, MaxUnpool.of(K3).window());
    assertEquals(K3, AvgUnpool.of(K3).window());
    assertArrayEquals(new long[] {5, 9}, SppBlock.of(5, 9).kernels());
    assertTrue(BilinearPool.homogeneous().isHomogeneous());
    assertFalse(BilinearPool.of().isHomogeneous());
    assertEquals(2, FractionalMaxPool.of(new long[] {2, 2}, new long[] {3, 3}).rank());
  }

  private static void assertRefused(String inMessage, Executable call) {
    IllegalArgumentException refusal = assertThrows(IllegalArgumentException.class, call);
    assertTrue(refusal.getMessage().contains(inMessage), refusal.getMessage());
  }

  @Test
  void parametersOutOfRange() {
    long huge = 1L << 62;
    assertRefused("rank is 0", () -> Window.global(0));
    assertRefused("rank is 4", () -> Window.global(4));
    assertRefused("there must be at least 1x1 bins", () -> RoiPool.of(0, 1, 1));
    assertRefused("there must be at least 1x1 bins", () -> RoiPool.of(1, 0, 1));
    assertRefused("scale is Infinity", () -> RoiPool.of(1, 1, Double.POSITIVE_INFINITY));
    assertRefused("scale is NaN", () -> RoiAlign.max(1, 1, Double.NaN));
    assertRefused(
        "kernel has 1 extents", () -> FractionalMaxPool.of(new long[] {2}, new long[] {3}));
    assertRefused(
        "kernel has 4 extents", () -> FractionalMaxPool.of(new long[4], new long[] {3, 3}));
    assertRefused("kernels are", () -> SppBlock.of(5L, 1L << 31 | 1));
    assertRefused(
        "their product must be less than 2^63",
        () -> BilinearPool.of().outputShape(Shape.nchw(1, huge, 1, 1), Shape.nchw(1, 4, 1, 1)));
    assertRefused(
        "their product must be less than 2^63",
        () -> BilinearPool.of().outputShape(Shape.nchw(1, huge, 1, 1), Shape.nchw(1, 2, 1, 1)));
    assertRefused(
        "levels are", () -> SpatialPyramidPool.max(2).outputShape(Shape.nchw(1, huge, 1, 1)));
    IllegalStateException noWindows =
        assertThrows(IllegalStateException.class, () -> Window.global(2).withPadding(1));
    assertTrue(noWindows.getMessage().contains("only windows of a kernel do"));
  }

  @Test
  void masksThatDoNotBelong() {
    Shape shape = Shape.nchw(1, 3, 4, 4);
    try (Arena arena = Arena.ofConfined()) {
      Tensor bytes = Tensor.allocate(arena, DType.U8, shape);
      Tensor integers = Tensor.allocate(arena, DType.I32, shape);
      Tensor interleaved = Tensor.allocate(arena, DType.I32, shape.withLayout(Layout.INTERLEAVED));
      assertRefused("a mask is of I32", () -> new PositionMask(bytes, shape));
      assertRefused("has other masks", () -> new PositionMask(interleaved, shape));
      assertRefused("has other masks", () -> new PositionMask(integers, Shape.ncw(1, 3, 16)));
      SppBlock block = SppBlock.of(5, 9);
      Tensor notTwoKernels = Tensor.allocate(arena, block.maskType(), shape);
      Tensor line = Tensor.allocate(arena, block.maskType(), Shape.ncw(1, 4, 4));
      Tensor otherType = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 4, 4, 4));
      for (Tensor mask : new Tensor[] {notTwoKernels, line, otherType}) {
        assertRefused("it must be of rank 2", () -> block.indices(mask, arena));
      }
      Tensor x = TestTensors.blank(arena, DType.F32, shape);
      Tensor other = TestTensors.blank(arena, DType.F32, Shape.nchw(1, 3, 4, 5));
      RoiAlign align = RoiAlign.average(2, 2, 1);
      Regions regions = Regions.of(arena, new double[][] {{0, 0, 2, 2}}, new long[] {0});
      Tensor y = align.forward(x, regions, arena);
      assertRefused("it must be as x", () -> align.backward(y, x, regions, other));
      assertEquals("1 region", regions.toString());
      Regions two = Regions.of(arena, new double[][] {{0, 0, 2, 2}, {0, 0, 1, 1}}, new long[2]);
      assertEquals("2 regions", two.toString());
    }
  }

  @Test
  void unpooledShapesThatDoNotBelong() {
    MaxUnpool unpool = MaxUnpool.of(K2);
    Shape input = Shape.nchw(2, 3, 4, 4);
    assertEquals(Shape.nchw(2, 3, 8, 8), unpool.outputShape(input));
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestTensors.blank(arena, DType.F32, input);
      Tensor indices = Tensor.allocate(arena, DType.I32, input);
      for (Shape other :
          new Shape[] {
            Shape.nchw(1, 3, 8, 8),
            Shape.nchw(2, 1, 8, 8),
            Shape.ncw(2, 3, 8),
            Shape.nhwc(2, 8, 8, 3)
          }) {
        assertThrows(
            IllegalArgumentException.class, () -> unpool.forward(x, indices, other, arena));
      }
    }
  }

  /** Into existing tensors, the same as into new ones. */
  @Test
  void averageUnpoolingIntoExistingTensors() {
    AvgUnpool unpool = AvgUnpool.of(K2);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.nchw(1, 1, 1, 2), new float[] {4, 8});
      Tensor out = Tensor.allocate(arena, DType.F32, Shape.nchw(1, 1, 2, 4));
      unpool.forward(x, out);
      assertArrayEquals(new float[] {1, 1, 2, 2, 1, 1, 2, 2}, out.toFloatArray());
      Tensor dx = Tensor.allocate(arena, DType.F32, x.shape());
      unpool.backward(out, dx);
      assertArrayEquals(new float[] {1, 2}, dx.toFloatArray());
      assertArrayEquals(dx.toFloatArray(), unpool.backward(out, arena).toFloatArray());
    }
  }

  @Test
  void arraysOfFiles() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(32, 16);
      Npy.Array array = new Npy.Array(DType.F32, new long[] {2, 3}, memory.asSlice(0, 24));
      List<Npy.Array> others =
          List.of(
              new Npy.Array(DType.I32, new long[] {2, 3}, memory.asSlice(0, 24)),
              new Npy.Array(DType.F32, new long[] {3, 2}, memory.asSlice(0, 24)),
              new Npy.Array(DType.F32, new long[] {2, 3}, memory.asSlice(8, 24)));
      assertEquals(array, new Npy.Array(DType.F32, new long[] {2, 3}, memory.asSlice(0, 24)));
      assertEquals(
          array.hashCode(),
          new Npy.Array(DType.F32, new long[] {2, 3}, memory.asSlice(0, 24)).hashCode());
      assertFalse(array.equals(null));
      for (Npy.Array other : others) {
        assertNotEquals(array, other);
      }

      // So many axes that version 1 of the format has no room for them.
      long[] ones = new long[30_000];
      Arrays.fill(ones, 1);
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      Npy.write(Channels.newChannel(bytes), new Npy.Array(DType.F32, ones, memory.asSlice(0, 4)));
      assertEquals(2, bytes.toByteArray()[6]);
      assertArrayEquals(
          ones,
          Npy.read("wide.npy", new ByteArrayInputStream(bytes.toByteArray()), arena).extents());
    }
  }

  @Test
  void headersThatLackAKey() {
    String[] headers = {
      "{'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<f4', 'shape': (1,), }",
      "{'descr': '<f4', 'fortran_order': False, }",
      "{'descr': 'O', 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9L, 99999999999999999999,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1L"
    };
    for (String header : headers) {
      ByteArrayOutputStream file = new ByteArrayOutputStream();
      file.writeBytes(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
      file.write(header.length());
      file.write(0);
      file.writeBytes(header.getBytes(StandardCharsets.US_ASCII));
      file.writeBytes(new byte[4]);
      try (Arena arena = Arena.ofConfined()) {
        assertThrows(
            NpyException.class,
            () -> Npy.read("a.npy", new ByteArrayInputStream(file.toByteArray()), arena),
            header);
      }
    }
  }

  @Test
  void picturesThatAreNone() throws IOException {
    Path text = Files.writeString(folder.resolve("text.png"), "no picture");
    try (Arena arena = Arena.ofConfined()) {
      assertThrows(NoSuchFileException.class, () -> Images.read(folder.resolve("none.png"), arena));
      assertThrows(IOException.class, () -> Images.read(folder, arena));
      assertThrows(IOException.class, () -> Images.read(text, arena));
      for (Tensor tensor :
          new Tensor[] {
            Tensor.allocate(arena, DType.F32, Shape.nchw(1, 3, 2, 2)),
            Tensor.allocate(arena, DType.U8, Shape.ncw(1, 3, 4)),
            Tensor.allocate(arena, DType.U8, Shape.nchw(2, 3, 2, 2)),
            Tensor.allocate(arena, DType.U8, Shape.nchw(1, 2, 2, 2))
          }) {
        assertThrows(
            IllegalArgumentException.class, () -> Images.write(folder.resolve("out.png"), tensor));
      }
    }
  }
}
