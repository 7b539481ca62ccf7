package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Bad input is refused by the right exception, with a message that helps, and nothing written. */
class BadInputTest {
  private static final Window K2_S2 = Window.square(2).withStride(2);
  private static final Shape INPUT = Shape.nchw(1, 2, 6, 6);
  private static final Shape OUTPUT = Shape.nchw(1, 2, 3, 3);

  private final Arena arena = Arena.ofShared();
  private final List<Tensor> outputs = new ArrayList<>();

  private final MaxPool max = MaxPool.of(K2_S2);
  private final MinPool min = MinPool.of(K2_S2);
  private final AvgPool average = AvgPool.of(K2_S2);
  private final Tensor x = Tensor.allocate(arena, DType.F32, INPUT);
  private final Tensor out = canary(DType.F32, OUTPUT);
  private final Mask mask = Mask.allocate(arena, K2_S2, INPUT);
  private final Tensor gradient = Tensor.allocate(arena, DType.F32, OUTPUT);
  private final Tensor inputGradient = canary(DType.F32, INPUT);

  @AfterEach
  void outputsAreUntouched() {
    for (Tensor output : outputs) {
      MemorySegment memory = output.segment();
      for (long i = 0; i < memory.byteSize(); i++) {
        assertEquals((byte) 0xa5, memory.get(ValueLayout.JAVA_BYTE, i), "a refused call wrote");
      }
    }
    arena.close();
  }

  /** An output that no refused call may write to. */
  private Tensor canary(DType dtype, Shape shape) {
    Tensor tensor = TestTensors.blank(arena, dtype, shape);
    outputs.add(tensor);
    return tensor;
  }

  private static <E extends Throwable> void assertRefused(
      Class<E> type, Executable call, String... inMessage) {
    E refusal = assertThrows(type, call);
    for (String text : inMessage) {
      assertTrue(
          String.valueOf(refusal.getMessage()).contains(text),
          "\"" + refusal.getMessage() + "\" lacks \"" + text + "\"");
    }
  }

  private static void assertRefused(Executable call, String... inMessage) {
    assertRefused(IllegalArgumentException.class, call, inMessage);
  }

  // Windows.

  @ParameterizedTest
  @ValueSource(longs = {0, -1, Long.MIN_VALUE})
  void windowParametersLessThanOne(long value) {
    assertRefused(() -> Window.square(value), "kernel is " + value, "at least 1");
    assertRefused(() -> Window.of(2, value), "kernel is " + value, "axis 1");
    assertRefused(() -> K2_S2.withStride(value), "stride is " + value, "at least 1");
    assertRefused(() -> K2_S2.withDilation(1, value), "dilation is " + value, "at least 1");
    assertRefused(() -> average.withDivisor(value), "divisor is " + value, "at least 1");
  }

  @Test
  void negativePadding() {
    assertRefused(() -> K2_S2.withPadding(-1), "padding begin is -1", "at least 0");
    assertRefused(
        () -> K2_S2.withPadding(new long[] {0, 0}, new long[] {0, -3}),
        "padding end is -3",
        "axis 1");
  }

  @Test
  void numberOfWindowValues() {
    assertRefused(() -> Window.of(), "kernel has 0");
    assertRefused(() -> Window.of(1, 1, 1, 1), "kernel has 4");
    assertRefused(() -> K2_S2.withStride(1, 1, 1), "stride has 3 values", "rank 2");
    assertRefused(() -> K2_S2.withDilation(), "dilation has 0 values");
    assertRefused(() -> Window.line(2).withPadding(1, 1), "padding begin has 2 values");
    assertRefused(() -> Window.cube(1L << 21), "kernel is 2097152x2097152x2097152");
  }

  /** Every operator over {@code window} refuses an input of the given shape. */
  private void assertDoesNotFit(Window window, Shape input, String... inMessage) {
    Tensor tensor = Tensor.allocate(arena, DType.F32, input);
    assertRefused(() -> window.outputShape(input), inMessage);
    assertRefused(() -> MaxPool.of(window).forward(tensor, arena), inMessage);
    assertRefused(() -> MaxPool.of(window).forward(tensor, out), inMessage);
    assertRefused(() -> MaxPool.of(window).forwardWithMask(tensor, arena), inMessage);
    assertRefused(() -> Mask.allocate(arena, window, input), inMessage);
    assertRefused(() -> AvgPool.of(window).forward(tensor, arena), inMessage);
    assertRefused(() -> AvgPool.of(window).forward(tensor, out), inMessage);
    assertRefused(() -> AvgPool.of(window).backward(gradient, input, arena), inMessage);
    assertRefused(() -> AvgPool.of(window).backward(gradient, tensor), inMessage);
  }

  @Test
  void paddingNotLessThanTheDilatedKernel() {
    assertDoesNotFit(K2_S2.withPadding(2), INPUT, "padding begin is 2", "less than", "2");
    assertDoesNotFit(
        K2_S2.withPadding(new long[] {0, 0}, new long[] {0, 2}),
        INPUT,
        "padding end is 2",
        "axis W");
    assertDoesNotFit(
        Window.square(3).withDilation(2).withPadding(5), INPUT, "padding begin is 5", "kernel, 5");
    assertEquals(
        Shape.nchw(1, 2, 10, 10),
        Window.square(3).withStride(1).withDilation(2).withPadding(4).outputShape(INPUT));
  }

  @Test
  void windowLargerThanTheInput() {
    assertDoesNotFit(Window.square(7), INPUT, "7", "6", "smaller kernel");
    assertDoesNotFit(Window.square(3).withDilation(3), INPUT, "7", "6");
    assertDoesNotFit(Window.of(2, 9).withPadding(0, 1), INPUT, "9", "axis W");
  }

  @Test
  void rankOfWindow() {
    assertDoesNotFit(Window.line(2), INPUT, "rank is 1", "2 spatial axes");
    assertDoesNotFit(Window.cube(2), INPUT, "rank is 3", "2 spatial axes");
  }

  @Test
  void ceilModeWithSamePadding() {
    assertDoesNotFit(
        K2_S2.withCeilMode().withSamePadding(Window.SamePadding.UPPER), INPUT, "ceil_mode", "SAME");
  }

  @Test
  void hugeWindows() {
    assertDoesNotFit(
        Window.of(1, Long.MAX_VALUE).withStride(1), INPUT, "kernel is 9223372036854775807");
    assertDoesNotFit(
        Window.square(3).withDilation(Long.MAX_VALUE), INPUT, "dilation is 9223372036854775807");
    assertDoesNotFit(
        Window.square(1L << 30).withStride(1).withDilation(1L << 40),
        INPUT,
        "dilation",
        "overflow");
  }

  // Shapes.

  @Test
  void extents() {
    assertRefused(() -> Shape.nchw(1, 0, 4, 4), "extent C is 0", "at least 1");
    assertRefused(() -> Shape.nchw(1, 1, 0, 4), "extent H is 0", "at least 1");
    assertRefused(() -> Shape.nhwc(1, 4, 0, 1), "extent W is 0", "at least 1");
    assertRefused(() -> Shape.ncdhw(1, 1, -2, 1, 1), "extent D is -2", "at least 1");
    assertRefused(() -> Shape.ncw(-1, 1, 4), "extent N is -1", "at least 0");
    assertRefused(() -> Shape.of(Layout.PLANAR, 1, 1), "2 axes", "3 to 5");
    assertRefused(() -> Shape.of(Layout.PLANAR, 1, 1, 1, 1, 1, 1), "6 axes", "3 to 5");
  }

  @Test
  void extentsThatOverflow() {
    assertRefused(() -> Shape.nchw(1, 1L << 32, 1L << 16, 1L << 15), "4294967296", "2^63");
    assertRefused(() -> Shape.nchw(0, 1L << 32, 1L << 16, 1L << 15), "2^63");
    assertRefused(() -> Shape.nchw(Long.MAX_VALUE, 3, 1, 1), "2^63");
    Shape large = Shape.ncw(1, 1L << 31, 1L << 31);
    assertRefused(() -> Tensor.allocate(arena, DType.F32, large), "size in bytes", "2^63");
    assertRefused(
        () -> Tensor.allocate(arena, DType.F32, large.withBatch(0)), "size in bytes", "2^63");
    assertRefused(() -> Tensor.wrap(x.segment(), DType.F32, large), "size in bytes", "2^63");
  }

  @Test
  void moreMemoryThanThereIs() {
    Shape huge = Shape.ncw(1, 1L << 28, 1L << 28);
    assertRefused(OutOfMemoryError.class, () -> Tensor.allocate(arena, DType.F32, huge));
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void emptyBatchIsFine(Layout layout) {
    Tensor empty = Tensor.allocate(arena, DType.F32, INPUT.withLayout(layout).withBatch(0));
    MaxPool.Result result = max.forwardWithMask(empty, arena);
    assertEquals(OUTPUT.withLayout(layout).withBatch(0), result.output().shape());
    assertEquals(empty.shape(), max.backward(result.output(), result.mask(), arena).shape());
    Tensor pooled = average.forward(empty, arena);
    assertEquals(empty.shape(), average.backward(pooled, empty.shape(), arena).shape());
    assertEquals(0, result.mask().indices(Mask.IndexBase.PLANE, arena).toLongArray().length);
  }

  // Memory.

  @Test
  void nothingMayBeNull() {
    record Call(String parameter, Executable call) {}
    float[] values = new float[72];
    List<Call> calls =
        List.of(
            new Call("window", () -> MaxPool.of(null)),
            new Call("x", () -> max.forward(null, out)),
            new Call("out", () -> max.forward(x, (Tensor) null)),
            new Call("x", () -> max.forward(null, arena)),
            new Call("arena", () -> max.forward(x, (Arena) null)),
            new Call("x", () -> max.forwardWithMask(null, arena)),
            new Call("arena", () -> max.forwardWithMask(x, null)),
            new Call("x", () -> max.forwardWithMask(null, out, mask)),
            new Call("out", () -> max.forwardWithMask(x, null, mask)),
            new Call("mask", () -> max.forwardWithMask(x, out, null)),
            new Call("gradient", () -> max.backward(null, mask, inputGradient)),
            new Call("mask", () -> max.backward(gradient, null, inputGradient)),
            new Call("inputGradient", () -> max.backward(gradient, mask, (Tensor) null)),
            new Call("gradient", () -> max.backward(null, mask, arena)),
            new Call("mask", () -> max.backward(gradient, null, arena)),
            new Call("arena", () -> max.backward(gradient, mask, (Arena) null)),
            new Call("window", () -> AvgPool.of(null)),
            new Call("x", () -> average.forward(null, out)),
            new Call("out", () -> average.forward(x, (Tensor) null)),
            new Call("x", () -> average.forward(null, arena)),
            new Call("arena", () -> average.forward(x, (Arena) null)),
            new Call("gradient", () -> average.backward(null, inputGradient)),
            new Call("inputGradient", () -> average.backward(gradient, null)),
            new Call("gradient", () -> average.backward(null, INPUT, arena)),
            new Call("inputShape", () -> average.backward(gradient, null, arena)),
            new Call("arena", () -> average.backward(gradient, INPUT, null)),
            new Call("arena", () -> Mask.allocate(null, K2_S2, INPUT)),
            new Call("window", () -> Mask.allocate(arena, null, INPUT)),
            new Call("inputShape", () -> Mask.allocate(arena, K2_S2, null)),
            new Call("format", () -> Mask.allocate(arena, null, K2_S2, INPUT)),
            new Call("base", () -> mask.indices(null, arena)),
            new Call("arena", () -> mask.indices(Mask.IndexBase.PLANE, null)),
            new Call("kernel", () -> Window.of((long[]) null)),
            new Call("stride", () -> K2_S2.withStride((long[]) null)),
            new Call("dilation", () -> K2_S2.withDilation((long[]) null)),
            new Call("padding begin", () -> K2_S2.withPadding(null, new long[] {0})),
            new Call("padding end", () -> K2_S2.withPadding(new long[] {0}, null)),
            new Call("side", () -> K2_S2.withSamePadding(null)),
            new Call("input", () -> K2_S2.outputShape(null)),
            new Call("layout", () -> Shape.of(null, 1, 1, 1)),
            new Call("logicalExtents", () -> Shape.of(Layout.PLANAR, (long[]) null)),
            new Call("layout", () -> INPUT.withLayout(null)),
            new Call("arena", () -> Tensor.of(null, INPUT, values)),
            new Call("shape", () -> Tensor.of(arena, null, values)),
            new Call("values", () -> Tensor.of(arena, INPUT, (float[]) null)),
            new Call("values", () -> Tensor.of(arena, INPUT, (byte[]) null)),
            new Call("arena", () -> Tensor.allocate(null, DType.F32, INPUT)),
            new Call("dtype", () -> Tensor.allocate(arena, null, INPUT)),
            new Call("shape", () -> Tensor.allocate(arena, DType.F32, null)),
            new Call("segment", () -> Tensor.wrap((MemorySegment) null, DType.F32, INPUT)),
            new Call("buffer", () -> Tensor.wrap((ByteBuffer) null, DType.F32, INPUT)),
            new Call("index", () -> x.get((long[]) null)),
            new Call("layout", () -> x.toLayout(null, arena)),
            new Call("arena", () -> x.toLayout(Layout.PLANAR, null)),
            new Call("file", () -> Npy.map(null, arena)),
            new Call("file", () -> Npy.write(null, x)),
            new Call("file", () -> Images.read(null, arena)),
            new Call("file", () -> Images.write(null, x)));
    for (int i = 0; i < calls.size(); i++) {
      Call call = calls.get(i);
      NullPointerException refusal =
          assertThrows(NullPointerException.class, call.call, "call " + i);
      assertEquals(call.parameter, refusal.getMessage(), "call " + i);
    }
  }

  @Test
  void tooSmallSegments() {
    MemorySegment small = arena.allocate(72 * 4 - 1, 64);
    assertRefused(() -> Tensor.wrap(small, DType.F32, INPUT), "segment has 287 bytes", "needs 288");
    ByteBuffer buffer = ByteBuffer.allocateDirect(288).position(4);
    assertRefused(() -> Tensor.wrap(buffer, DType.F32, INPUT), "segment has 284 bytes");
    assertRefused(() -> Tensor.of(arena, INPUT, new float[71]), "values has length 71", "72");
    assertRefused(() -> Tensor.of(arena, INPUT, new byte[73]), "values has length 73", "72");
  }

  @Test
  void misalignedSegments() {
    MemorySegment odd = arena.allocate(512, 64).asSlice(2);
    assertRefused(() -> Tensor.wrap(odd, DType.F32, INPUT), "address", "multiple of 4");
    assertEquals(DType.F16, Tensor.wrap(odd, DType.F16, INPUT).dtype());
  }

  @Test
  void heapMemory() {
    assertRefused(
        () -> Tensor.wrap(MemorySegment.ofArray(new float[72]), DType.F32, INPUT), "on the heap");
    assertRefused(
        () -> Tensor.wrap(ByteBuffer.allocate(288), DType.F32, INPUT), "on the heap", "direct");
  }

  @Test
  void readOnlyOutputs() {
    Tensor readOnly = out.asReadOnly();
    assertRefused(() -> max.forward(x, readOnly), "out is read-only");
    assertRefused(() -> max.forwardWithMask(x, readOnly, mask), "out is read-only");
    assertRefused(() -> average.forward(x, readOnly), "out is read-only");
    Tensor readOnlyGradient = inputGradient.asReadOnly();
    assertRefused(
        () -> max.backward(gradient, mask, readOnlyGradient), "inputGradient is read-only");
    assertRefused(() -> average.backward(gradient, readOnlyGradient), "inputGradient is read-only");
    assertRefused(() -> readOnly.set(1, 0, 0, 0, 0), "read-only");
    ByteBuffer buffer = ByteBuffer.allocateDirect(72).asReadOnlyBuffer();
    Tensor wrapped = Tensor.wrap(buffer, DType.F32, OUTPUT);
    assertRefused(() -> max.forward(x, wrapped), "out is read-only");
    // As inputs they are as good as any.
    max.forward(x.asReadOnly(), Tensor.allocate(arena, DType.F32, OUTPUT));
  }

  @Test
  void overlap() {
    MemorySegment memory = arena.allocate(1024, 64).fill((byte) 0xa5);
    Tensor input = Tensor.wrap(memory, DType.F32, INPUT);
    Tensor inside = Tensor.wrap(memory.asSlice(72), DType.F32, OUTPUT);
    Tensor lastElement = Tensor.wrap(memory.asSlice(71 * 4), DType.F32, OUTPUT);
    Tensor behind = Tensor.wrap(memory.asSlice(72 * 4), DType.F32, OUTPUT);
    outputs.add(Tensor.wrap(memory, DType.U8, Shape.ncw(1, 1, 72 * 4)));
    for (Tensor overlapping : List.of(inside, lastElement)) {
      assertRefused(() -> max.forward(input, overlapping), "out and x overlap");
      assertRefused(() -> max.forwardWithMask(input, overlapping, mask), "out and x overlap");
      assertRefused(() -> average.forward(input, overlapping), "out and x overlap");
      assertRefused(
          () -> max.backward(overlapping, mask, input), "inputGradient and gradient overlap");
      assertRefused(
          () -> average.backward(overlapping, input), "inputGradient and gradient overlap");
    }
    max.forward(input, behind);
  }

  /** Every operator, with one tensor replaced by what must not be used. */
  private void assertUnusable(
      Class<? extends Throwable> type,
      Function<Executable, Executable> run,
      Function<Tensor, Tensor> unusable,
      Mask unusableMask) {
    List<Executable> calls =
        List.of(
            () -> max.forward(unusable.apply(x), out),
            () -> max.forward(x, unusable.apply(out)),
            () -> max.forwardWithMask(unusable.apply(x), out, mask),
            () -> max.forwardWithMask(x, unusable.apply(out), mask),
            () -> max.forwardWithMask(x, out, unusableMask),
            () -> max.backward(unusable.apply(gradient), mask, inputGradient),
            () -> max.backward(gradient, unusableMask, inputGradient),
            () -> max.backward(gradient, mask, unusable.apply(inputGradient)),
            () -> average.forward(unusable.apply(x), out),
            () -> average.forward(x, unusable.apply(out)),
            () -> average.backward(unusable.apply(gradient), inputGradient),
            () -> average.backward(gradient, unusable.apply(inputGradient)),
            () -> unusableMask.indices(Mask.IndexBase.PLANE, arena),
            () -> unusable.apply(x).get(0, 0, 0, 0),
            () -> unusable.apply(x).toFloatArray(),
            () -> unusable.apply(x).toLayout(Layout.INTERLEAVED, arena));
    for (int i = 0; i < calls.size(); i++) {
      assertThrows(type, run.apply(calls.get(i)), "call " + i);
    }
  }

  @Test
  void closedArenas() {
    for (Arena closed : List.of(Arena.ofConfined(), Arena.ofShared())) {
      Tensor input = Tensor.allocate(closed, DType.F32, INPUT);
      Tensor output = Tensor.allocate(closed, DType.F32, OUTPUT);
      Tensor wrapped = Tensor.wrap(input.segment(), DType.F32, INPUT);
      Mask gone = Mask.allocate(closed, K2_S2, INPUT);
      closed.close();
      Function<Tensor, Tensor> replace = t -> t.shape().equals(INPUT) ? input : output;
      assertUnusable(IllegalStateException.class, UnaryOperator.identity(), replace, gone);
      assertRefused(IllegalStateException.class, () -> max.forward(wrapped, out), "closed");
      assertRefused(IllegalStateException.class, () -> max.forward(x, closed), "closed");
      assertRefused(
          IllegalStateException.class, () -> Tensor.allocate(closed, DType.F32, INPUT), "closed");
    }
  }

  @Test
  void confinedTensorsOffTheirThread() {
    try (Arena confined = Arena.ofConfined()) {
      Tensor input = Tensor.allocate(confined, DType.F32, INPUT);
      Tensor output = Tensor.allocate(confined, DType.F32, OUTPUT);
      Mask elsewhere = Mask.allocate(confined, K2_S2, INPUT);
      Function<Tensor, Tensor> replace = t -> t.shape().equals(INPUT) ? input : output;
      assertUnusable(WrongThreadException.class, BadInputTest::onAnotherThread, replace, elsewhere);
    }
  }

  private static Executable onAnotherThread(Executable call) {
    return () -> {
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      Thread thread =
          new Thread(
              () -> {
                try {
                  call.execute();
                } catch (Throwable t) {
                  thrown.set(t);
                }
              });
      thread.start();
      thread.join();
      if (thrown.get() != null) {
        throw thrown.get();
      }
    };
  }

  // Types and shapes of a call.

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"I32", "I64"})
  void unsupportedTypes(DType dtype) {
    Tensor input = Tensor.allocate(arena, dtype, INPUT);
    Tensor output = canary(dtype, OUTPUT);
    String name = dtype.name().toLowerCase(Locale.ROOT);
    assertRefused(() -> average.forward(input, output), "x.dtype is " + name, "i8 or u8");
    if (dtype == DType.I64) {
      assertRefused(() -> max.forward(input, output), "x.dtype is i64", "u8 or i32");
      assertRefused(() -> max.forward(input, arena), "x.dtype is i64", "u8 or i32");
      assertRefused(() -> min.forward(input, output), "x.dtype is i64", "u8 or i32");
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"I8", "U8", "I32", "I64"})
  void gradientsOfIntegers(DType dtype) {
    Tensor integers = canary(dtype, OUTPUT);
    Tensor output = canary(dtype, INPUT);
    String name = "dtype is " + dtype.name().toLowerCase(Locale.ROOT);
    assertRefused(() -> max.backward(integers, mask, output), name, "f16 or bf16");
    assertRefused(() -> min.backward(integers, mask, output), name, "f16 or bf16");
    assertRefused(() -> average.backward(integers, output), name, "f16 or bf16");
  }

  @Test
  void mixedTypes() {
    Tensor bytes = canary(DType.U8, OUTPUT);
    assertRefused(() -> max.forward(x, bytes), "out.dtype is u8", "must be f32");
    assertRefused(() -> max.forwardWithMask(x, bytes, mask), "out.dtype is u8", "must be f32");
    assertRefused(() -> average.forward(x, bytes), "out.dtype is u8", "must be f32");
    assertRefused(
        () -> max.backward(bytes, mask, inputGradient), "gradient.dtype is u8", "must be f32");
    assertRefused(
        () -> average.backward(bytes, inputGradient), "gradient.dtype is u8", "must be f32");
    Tensor byteGradient = canary(DType.U8, INPUT);
    assertRefused(() -> max.backward(gradient, mask, byteGradient), "inputGradient.dtype is u8");
    assertRefused(() -> average.backward(gradient, byteGradient), "inputGradient.dtype is u8");
    assertRefused(() -> average.backward(bytes, INPUT, arena), "dtype is u8", "must be f32");
    Tensor doubles = canary(DType.F64, OUTPUT);
    assertRefused(() -> max.backward(doubles, mask, inputGradient), "dtype is f64", "must be f32");
    assertRefused(() -> average.backward(doubles, inputGradient), "dtype is f64", "must be f32");
  }

  @Test
  void mixedLayouts() {
    Tensor interleaved = canary(DType.F32, OUTPUT.withLayout(Layout.INTERLEAVED));
    assertRefused(() -> max.forward(x, interleaved), "out.layout", "same layout");
    assertRefused(() -> average.forward(x, interleaved), "out.layout", "same layout");
    assertRefused(
        () -> average.backward(interleaved, inputGradient), "gradient.layout", "same layout");
    Tensor other = canary(DType.F32, INPUT.withLayout(Layout.INTERLEAVED));
    assertRefused(() -> max.backward(gradient, mask, other), "mask", "NHWC");
  }

  @Test
  void shapesOfOutputs() {
    for (Shape shape :
        List.of(
            Shape.nchw(1, 2, 3, 4),
            Shape.nchw(1, 2, 2, 3),
            Shape.nchw(2, 2, 3, 3),
            Shape.nchw(1, 1, 3, 3))) {
      Tensor other = canary(DType.F32, shape);
      String extents = "extents are " + shape.toString().split(" ")[0];
      assertRefused(() -> max.forward(x, other), "out." + extents, "1x2x3x3");
      assertRefused(() -> max.forwardWithMask(x, other, mask), "out." + extents, "1x2x3x3");
      assertRefused(() -> average.forward(x, other), "out." + extents, "1x2x3x3");
      assertRefused(() -> max.backward(other, mask, inputGradient), "gradient." + extents);
      assertRefused(() -> average.backward(other, inputGradient), "gradient." + extents);
      assertRefused(() -> average.backward(other, INPUT, arena), "gradient." + extents);
    }
    Tensor line = canary(DType.F32, Shape.ncw(1, 2, 9));
    assertRefused(() -> max.forward(x, line), "out.spatial_rank is 1", "must be 2");
  }

  // Masks.

  @Test
  void maskOfAnotherInputOrWindow() {
    Mask larger = Mask.allocate(arena, K2_S2, Shape.nchw(1, 2, 7, 7));
    assertEquals(OUTPUT, larger.tensor().shape());
    assertRefused(() -> max.forwardWithMask(x, out, larger), "mask", "1x2x7x7", "x is 1x2x6x6");
    assertRefused(
        () -> max.backward(gradient, larger, inputGradient), "1x2x7x7", "inputGradient is 1x2x6x6");

    Window window = Window.square(2).withStride(2).withDilation(2);
    Mask dilated = Mask.allocate(arena, window, INPUT);
    assertRefused(() -> max.forwardWithMask(x, out, dilated), "mask", "dilation 2x2");
    assertRefused(() -> max.backward(gradient, dilated, inputGradient), "mask", "dilation 2x2");
    assertRefused(() -> max.backward(gradient, dilated, arena), "mask", "dilation 2x2");
  }

  @Test
  void compactMaskOfALargeWindow() {
    Window window = Window.square(16).withStride(1);
    Shape input = Shape.nchw(1, 1, 20, 20);
    Mask compact = Mask.allocate(arena, Mask.Format.COMPACT, window, input);
    Tensor large = Tensor.allocate(arena, DType.F32, input);
    Tensor pooled = canary(DType.F32, Shape.nchw(1, 1, 5, 5));
    assertRefused(
        () -> MaxPool.of(window).forwardWithMask(large, pooled, compact), "256 taps", "255");
    assertEquals(Mask.Format.INT32, Mask.allocate(arena, window, input).format());
    assertEquals(
        Mask.Format.COMPACT, Mask.allocate(arena, Window.of(15, 17).withStride(1), input).format());
  }

  @Test
  void entriesOutOfRange() {
    max.forwardWithMask(x, Tensor.allocate(arena, DType.F32, OUTPUT), mask);
    mask.tensor().set(4, 0, 1, 2, 2);
    assertRefused(
        IndexOutOfBoundsException.class,
        () -> max.backward(gradient, mask, inputGradient),
        "mask[17] is 4",
        "0 to 3");
    assertRefused(
        IndexOutOfBoundsException.class,
        () -> mask.indices(Mask.IndexBase.PLANE, arena),
        "mask[17] is 4");

    Mask flat = Mask.allocate(arena, Mask.Format.INT32, K2_S2, INPUT);
    for (int value : new int[] {36, -2, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      flat.tensor().set(value, 0, 0, 0, 1);
      assertRefused(
          IndexOutOfBoundsException.class,
          () -> max.backward(gradient, flat, inputGradient),
          "mask[1] is " + value,
          "0 to 35");
    }
  }

  @Test
  void entriesInThePadding() {
    Window window = Window.square(3).withStride(2).withPadding(1);
    Mask padded = Mask.allocate(arena, window, INPUT);
    // Tap 0 of the first window lies in the padding.
    padded.tensor().set(0, 0, 0, 0, 0);
    assertRefused(
        IndexOutOfBoundsException.class,
        () -> MaxPool.of(window).backward(gradient, padded, inputGradient),
        "mask[0] is 0");
  }

  // Elements.

  @Test
  void elements() {
    assertRefused(() -> x.get(0, 0, 0), "3 axes", "4");
    assertRefused(IndexOutOfBoundsException.class, () -> x.get(0, 2, 0, 0), "index C is 2");
    assertRefused(IndexOutOfBoundsException.class, () -> x.get(0, 0, 0, -1), "index W is -1");
    assertRefused(IndexOutOfBoundsException.class, () -> x.set(0, 1, 0, 0, 0), "index N is 1");
    Tensor bytes = canary(DType.U8, OUTPUT);
    for (double value : new double[] {-1, 256, 0.5, Double.NaN, Double.POSITIVE_INFINITY}) {
      assertRefused(() -> bytes.set(value, 0, 0, 0, 0), "value is " + value, "0 to 255");
    }
    Tensor longs = canary(DType.I64, OUTPUT);
    assertRefused(() -> longs.set(0x1p63, 0, 0, 0, 0), "value is 9.22");
    assertRefused(IllegalStateException.class, () -> x.toByteArray(), "F32");
    assertRefused(IllegalStateException.class, () -> x.toIntArray(), "F32");
    assertRefused(IllegalStateException.class, () -> longs.toIntArray(), "I64");
    assertRefused(IllegalStateException.class, () -> x.toLongArray(), "F32");
    assertArrayEquals(new float[72], x.toFloatArray());
    assertFalse(x.segment().isReadOnly());
  }
}
