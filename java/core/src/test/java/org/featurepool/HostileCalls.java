package org.featurepool;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A program that calls every operator with arguments of which about half are wrong: memory that is
 * closed, closing, another thread's, read-only, misaligned, too small, overlapping or on the heap;
 * other types, shapes and layouts; extents that are zero, negative or overflow; entries of masks,
 * indices and regions that are anything; null.
 *
 * <p>It ends with an error at the first call that throws what {@link org.featurepool} does not
 * document, that writes beside its outputs, or to them although it is refused. Arguments: number of
 * calls, of threads, seed.
 */
final class HostileCalls {
  private static final int SLOTS = 12;
  private static final int CANARY = 128;
  private static final int SLOT_BYTES = 1 << 15;
  private static final long[] ODD = {
    0, -1, 1, 2, 3, 5, 1L << 31, 1L << 32, 1L << 62, Long.MAX_VALUE, Long.MIN_VALUE
  };

  private static final int OPERATORS = 20;
  private static final AtomicLongArray ACCEPTED = new AtomicLongArray(OPERATORS);
  private static final Map<String, AtomicLong> REFUSED = new ConcurrentSkipListMap<>();

  /** Memory that is closed at any moment. */
  private static volatile MemorySegment closing;

  private static MemorySegment closed;
  private static MemorySegment foreign;
  private static Arena foreignArena;
  private static Arena closedArena;

  private final SplittableRandom random;
  private final MemorySegment memory = Arena.global().allocate((long) SLOTS * SLOT_BYTES, 64);
  private final List<Tracked> tracked = new ArrayList<>();
  private boolean hostile;

  private HostileCalls(long seed) {
    random = new SplittableRandom(seed);
  }

  /** Has no memory for what only a wrong argument asks for; the machine's would be taken. */
  private record Frugal(Arena arena) implements Arena {
    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
      if (byteSize > 1 << 20) {
        throw new OutOfMemoryError(byteSize + " bytes are asked for");
      }
      return arena.allocate(byteSize, byteAlignment);
    }

    @Override
    public MemorySegment.Scope scope() {
      return arena.scope();
    }

    @Override
    public void close() {
      arena.close();
    }
  }

  /** A tensor of the call under way, in a slot between canaries. */
  private record Tracked(Tensor tensor, MemorySegment slot, long begin, long end) {}

  public static void main(String[] arguments) throws Exception {
    long calls = Long.parseLong(arguments[0]);
    int threads = Integer.parseInt(arguments[1]);
    long seed = Long.parseLong(arguments[2]);
    prepare();
    Thread closer = new Thread(HostileCalls::openAndClose);
    closer.setDaemon(true);
    closer.start();
    List<Thread> callers = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      HostileCalls caller = new HostileCalls(seed + i);
      Thread thread = new Thread(() -> caller.run(calls / threads, seed));
      thread.setUncaughtExceptionHandler(
          (where, failure) -> {
            failure.printStackTrace(System.out);
            Runtime.getRuntime().halt(1);
          });
      thread.start();
      callers.add(thread);
    }
    for (Thread caller : callers) {
      caller.join();
    }
    long accepted = 0;
    for (int i = 0; i < OPERATORS; i++) {
      accepted += ACCEPTED.get(i);
      if (ACCEPTED.get(i) == 0) {
        throw new AssertionError("no call of operator " + i + " was right");
      }
    }
    long resident = mostResidentMegabytes();
    System.out.println(
        "accepted " + accepted + ", refused " + REFUSED + ", at most " + resident + " MB resident");
    // Twice what the JVM takes with a heap of 256 MB.
    if (resident > 1000) {
      throw new AssertionError("calls took memory that they have no use for");
    }
  }

  private static long mostResidentMegabytes() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String kilobytes = lines.filter(line -> line.startsWith("VmHWM:")).findFirst().orElseThrow();
      return Long.parseLong(kilobytes.replaceAll("\\D", "")) / 1024;
    }
  }

  private static void prepare() throws InterruptedException {
    Arena over = Arena.ofConfined();
    closed = over.allocate(SLOT_BYTES, 64);
    closedArena = over;
    over.close();
    CountDownLatch ready = new CountDownLatch(1);
    Thread owner =
        new Thread(
            () -> {
              foreignArena = Arena.ofConfined();
              foreign = foreignArena.allocate(SLOT_BYTES, 64);
              ready.countDown();
              try {
                Thread.sleep(Long.MAX_VALUE);
              } catch (InterruptedException e) {
                foreignArena.close();
              }
            });
    owner.setDaemon(true);
    owner.start();
    ready.await();
  }

  private static void openAndClose() {
    SplittableRandom random = new SplittableRandom();
    for (; ; ) {
      Arena arena = Arena.ofShared();
      closing = arena.allocate(SLOT_BYTES, 64);
      try {
        Thread.sleep(0, random.nextInt(1, 500_000));
      } catch (InterruptedException e) {
        return;
      }
      for (boolean open = true; open; ) {
        try {
          arena.close();
          open = false;
        } catch (IllegalStateException callUnderWay) {
          Thread.onSpinWait();
        }
      }
    }
  }

  private void run(long calls, long seed) {
    for (long i = 0; i < calls; i++) {
      hostile = random.nextInt(5) > 0;
      tracked.clear();
      int operator = random.nextInt(OPERATORS);
      try (Arena arena = Arena.ofConfined()) {
        call(operator, arena);
      } catch (NullPointerException
          | IllegalArgumentException
          | IndexOutOfBoundsException
          | IllegalStateException
          | WrongThreadException
          | OutOfMemoryError refusal) {
        if (refusal.getMessage() == null || refusal.getMessage().isEmpty()) {
          throw new AssertionError("a refusal without a message", refusal);
        }
        REFUSED
            .computeIfAbsent(refusal.getClass().getSimpleName(), name -> new AtomicLong())
            .incrementAndGet();
        continue;
      } catch (Throwable failure) {
        throw new AssertionError("operator " + operator + ", call " + i + " of " + seed, failure);
      }
      ACCEPTED.incrementAndGet(operator);
      if (i % 1000 == 0) {
        sane();
      }
    }
  }

  /** Calls an operator; nothing but outputs changes, and they only if it is not refused. */
  private void attempt(Runnable call, Tensor... outputs) {
    byte[][] before = new byte[tracked.size()][];
    for (int i = 0; i < before.length; i++) {
      before[i] = tracked.get(i).slot.toArray(ValueLayout.JAVA_BYTE);
    }
    List<Tracked> written = new ArrayList<>();
    try {
      call.run();
      for (Tracked region : tracked) {
        if (Arrays.asList(outputs).contains(region.tensor)) {
          written.add(region);
        }
      }
    } finally {
      for (int i = 0; i < before.length; i++) {
        check(tracked.get(i), before[i], written);
      }
    }
  }

  private static void check(Tracked region, byte[] before, List<Tracked> written) {
    if (region.slot.mismatch(MemorySegment.ofArray(before)) < 0) {
      return;
    }
    for (int i = 0; i < before.length; i++) {
      int at = i;
      boolean expected =
          written.stream()
              .anyMatch(
                  output ->
                      output.slot.address() == region.slot.address()
                          && at >= output.begin
                          && at < output.end);
      if (!expected && region.slot.get(ValueLayout.JAVA_BYTE, i) != before[i]) {
        throw new AssertionError(
            "byte "
                + i
                + " changed of the slot where "
                + region.tensor.dtype()
                + " "
                + region.tensor.shape()
                + " is bytes "
                + region.begin
                + " to "
                + region.end
                + (written.isEmpty() ? "; the call was refused" : ""));
      }
    }
  }

  /** Whatever was refused before, a call that is right gives what is right. */
  private static void sane() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Shape.ncw(1, 1, 4), new float[] {1, 4, 3, 2});
      float[] y = MaxPool.of(Window.line(2)).forward(x, arena).toFloatArray();
      if (y[0] != 4 || y[1] != 3) {
        throw new AssertionError("wrong maxima after refused calls");
      }
    }
  }

  private boolean chance(int oneIn) {
    return hostile && random.nextInt(oneIn) == 0;
  }

  private long odd() {
    return ODD[random.nextInt(ODD.length)];
  }

  private long small(int most) {
    return chance(60) ? odd() : random.nextInt(1, most + 1);
  }

  private <T> T orNull(T value) {
    return chance(80) ? null : value;
  }

  private DType dtype() {
    DType[] all = DType.values();
    return random.nextInt(3) > 0 ? DType.F32 : all[random.nextInt(all.length)];
  }

  private Shape shape(int rank) {
    if (chance(40)) {
      rank = random.nextInt(1, 4);
    }
    long[] extents = new long[2 + rank];
    extents[0] = chance(10) ? 0 : small(2);
    extents[1] = small(3);
    for (int i = 0; i < rank; i++) {
      extents[2 + i] = small(rank == 3 ? 4 : 7);
    }
    return Shape.of(random.nextBoolean() ? Layout.PLANAR : Layout.INTERLEAVED, extents);
  }

  private Window window(int rank) {
    if (chance(40)) {
      rank = random.nextInt(1, 4);
    }
    long[] kernel = new long[rank];
    for (int i = 0; i < rank; i++) {
      kernel[i] = small(3);
    }
    if (random.nextInt(6) == 0) {
      return Window.adaptive(kernel);
    }
    Window window = Window.of(kernel).withStride(small(3));
    if (random.nextInt(3) == 0) {
      window = window.withPadding(chance(20) ? odd() : random.nextInt(2));
    }
    if (random.nextInt(5) == 0) {
      window = window.withDilation(small(2));
    }
    if (random.nextInt(5) == 0) {
      window = window.withCeilMode();
    }
    return chance(20) ? window.withSamePadding(Window.SamePadding.UPPER) : window;
  }

  private Shape shapeOf(Supplier<Shape> right) {
    if (chance(25)) {
      return shape(2);
    }
    return right.get();
  }

  /** A tensor in a slot of its own, of what the memory holds; unless it is a wrong one. */
  private Tensor tensor(DType dtype, Shape shape) {
    if (chance(60)) {
      return null;
    }
    if (chance(40)) {
      dtype = DType.values()[random.nextInt(DType.values().length)];
    }
    if (chance(40)) {
      long[] extents = shape.extents();
      extents[random.nextInt(extents.length)] += random.nextInt(-1, 2);
      shape = Shape.of(shape.layout(), extents);
    }
    if (chance(60)) {
      shape = shape.withLayout(random.nextBoolean() ? Layout.PLANAR : Layout.INTERLEAVED);
    }
    if (shape.elementCount() > (SLOT_BYTES - 3 * CANARY) / Long.BYTES) {
      throw new IllegalArgumentException("larger than this program's memory");
    }
    long bytes = shape.elementCount() * dtype.size();
    if (chance(50)) {
      MemorySegment[] elsewhere = {closed, foreign, closing};
      MemorySegment other = elsewhere[random.nextInt(elsewhere.length)];
      return Tensor.wrap(other.asSlice(0, bytes), dtype, shape);
    }
    if (chance(120)) {
      return Tensor.wrap(MemorySegment.ofArray(new byte[(int) bytes]), dtype, shape);
    }
    if (chance(120)) {
      return Tensor.wrap(ByteBuffer.allocate((int) bytes), dtype, shape);
    }
    int slot = tracked.size();
    int begin = CANARY;
    if (chance(30) && slot > 0) {
      // In the slot of another argument, so that they overlap.
      slot = random.nextInt(slot);
      begin += dtype.size() * random.nextInt(4);
    } else if (chance(60)) {
      begin += random.nextInt(1, 8);
    }
    MemorySegment whole = memory.asSlice((long) slot * SLOT_BYTES, bytes + 3 * CANARY);
    MemorySegment segment = whole.asSlice(begin, bytes - (chance(80) ? 1 : 0));
    if (slot == tracked.size()) {
      fill(whole, dtype);
    }
    Tensor tensor = Tensor.wrap(segment, dtype, shape);
    tensor = chance(40) ? tensor.asReadOnly() : tensor;
    tracked.add(new Tracked(tensor, whole, begin, begin + bytes));
    return tensor;
  }

  private void fill(MemorySegment segment, DType dtype) {
    int kind = random.nextInt(4);
    long size = segment.byteSize();
    for (long i = 0; i + 8 <= size; i += 8) {
      segment.set(ValueLayout.JAVA_LONG_UNALIGNED, i, random.nextLong());
    }
    // Fewer than all bits at random: numbers of moderate size, positions that exist.
    if (kind == 0) {
      return;
    }
    for (long i = 0; i + 8 <= size; i += dtype.size()) {
      switch (dtype) {
        case F32 ->
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, i, (float) random.nextDouble(0, 1));
        case F64 -> segment.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, i, random.nextDouble(0, 1));
        case I32 -> segment.set(ValueLayout.JAVA_INT_UNALIGNED, i, random.nextInt(-1, 9));
        case I64 -> segment.set(ValueLayout.JAVA_LONG_UNALIGNED, i, random.nextInt(-1, 9));
        case U8 -> segment.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(9));
        default -> {
          return;
        }
      }
    }
  }

  private Arena arena(Arena own) {
    if (chance(50)) {
      return closedArena;
    }
    return chance(50) ? foreignArena : orNull(new Frugal(own));
  }

  private double[] parameters(double low, double high, Shape x) {
    double[] values = new double[random.nextBoolean() ? 1 : (int) Math.min(8, x.channels())];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          chance(40)
              ? new double[] {Double.NaN, -1, 0, Double.POSITIVE_INFINITY, 1e300}[random.nextInt(5)]
              : random.nextDouble(low, high);
    }
    return values;
  }

  private Regions regions(Shape x, Arena arena) {
    int count = random.nextInt(4);
    double[][] boxes = new double[count][4];
    long[] images = new long[chance(80) ? count + 1 : count];
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < 4; j++) {
        boxes[i][j] =
            chance(60)
                ? new double[] {Double.NaN, -5, 1e6, Double.NEGATIVE_INFINITY, 1e300}
                    [random.nextInt(5)]
                : random.nextDouble(0, 4) + (j / 2) * 3;
      }
      images[i] = chance(40) ? odd() : random.nextLong(Math.max(1, x.batch()));
    }
    return orNull(Regions.of(arena(arena), orNull(boxes), orNull(images)));
  }

  /** Calls of one operator. */
  private void call(int operator, Arena own) {
    int rank = operator >= 10 && operator <= 17 ? 2 : random.nextInt(1, 4);
    DType dtype = dtype();
    Shape shape = shape(rank);
    Tensor x = tensor(dtype, shape);
    Arena arena = arena(own);
    switch (operator) {
      case 0 -> selecting(MaxPool.of(window(rank)), x, dtype, shape, arena);
      case 1 -> selecting(MinPool.of(window(rank)), x, dtype, shape, arena);
      case 2 -> selecting(MedianPool.of(window(rank)), x, dtype, shape, arena);
      case 3 -> average(x, dtype, shape, window(rank));
      case 4 -> {
        LpPool pool = LpPool.of(window(rank), parameters(1, 4, shape)[0]);
        Tensor y = tensor(dtype, pooled(pool.window(), shape));
        Tensor dy = tensor(dtype, pooled(pool.window(), shape));
        Tensor dx = tensor(dtype, shape);
        attempt(() -> pool.forward(x, y), y);
        attempt(() -> pool.backward(dy, x, y, dx), dx);
      }
      case 5 -> {
        GemPool pool = GemPool.of(window(rank), parameters(1, 4, shape));
        Tensor y = tensor(dtype, pooled(pool.window(), shape));
        Tensor dy = tensor(dtype, pooled(pool.window(), shape));
        attempt(() -> pool.forward(x, y), y);
        attempt(() -> pool.backward(dy, x, y, arena));
      }
      case 6 -> {
        Window window = window(rank);
        MixedPool pool =
            random.nextBoolean()
                ? MixedPool.cat(window)
                : MixedPool.add(window, parameters(0, 1, shape));
        Shape output = shapeOf(() -> pool.outputShape(shape));
        Tensor y = tensor(dtype, output);
        Tensor dy = tensor(dtype, output);
        attempt(() -> pool.forward(x, y), y);
        attempt(() -> pool.backward(dy, x, arena));
      }
      case 7 -> stochastic(StochasticPool.of(window(rank)), x, dtype, shape, arena);
      case 8 -> {
        AvgUnpool unpool = AvgUnpool.of(window(rank));
        Tensor y = tensor(dtype, shapeOf(() -> unpool.outputShape(shape)));
        Tensor dx = tensor(dtype, shape);
        attempt(() -> unpool.forward(x, y), y);
        attempt(() -> unpool.backward(y, dx), dx);
      }
      case 9 -> unpool(MaxUnpool.of(window(rank)), x, dtype, shape, arena);
      case 10 -> fractional(x, dtype, shape, arena);
      case 11 -> pyramid(x, dtype, shape);
      case 12 -> {
        SppBlock block = SppBlock.of(2 * small(3) + (chance(10) ? 0 : 1));
        Tensor y = tensor(dtype, shapeOf(() -> block.outputShape(shape)));
        // Entries that no forward call wrote.
        Tensor mask = tensor(block.maskType(), shapeOf(() -> block.maskShape(shape)));
        Tensor dx = tensor(dtype, shape);
        attempt(() -> block.forward(x, y), y);
        attempt(() -> block.backward(y, mask, dx), dx);
        attempt(() -> block.forwardWithMask(x, y, mask), y, mask);
      }
      case 13 -> {
        RoiPool pool = RoiPool.of(small(3), small(3), chance(20) ? Double.NaN : 1);
        Regions regions = regions(shape, own);
        RoiPool.Result result = pool.forwardWithMask(x, regions, arena);
        if (chance(2)) {
          result.mask().tensor().segment().fill((byte) random.nextInt());
        }
        Tensor dy = tensor(dtype, result.output().shape());
        Tensor dx = tensor(dtype, shape);
        attempt(() -> pool.backward(dy, result.mask(), regions, dx), dx);
      }
      case 14 -> {
        RoiAlign align =
            chance(10)
                ? RoiAlign.max(small(3), small(3), 1).withSamplingRatio(random.nextInt(-1, 5))
                : RoiAlign.average(small(3), small(3), 1).withHalfPixel(random.nextBoolean());
        Regions regions = regions(shape, own);
        Tensor y = tensor(dtype, shapeOf(() -> align.outputShape(shape, regions)));
        Tensor dx = tensor(dtype, shape);
        attempt(() -> align.forward(x, regions, y), y);
        attempt(() -> align.backward(y, x, regions, dx), dx);
      }
      case 15 -> bilinear(x, dtype, shape);
      case 16 -> {
        long terms = small(3);
        long clusters = chance(20) ? terms + 1 : terms;
        NetVlad vlad =
            NetVlad.of(
                new NetVlad.Parameters(
                    tensor(dtype, Shape.nchw(terms, shape.channels(), 1, 1)),
                    tensor(dtype, Shape.nchw(1, terms, 1, 1)),
                    tensor(dtype, Shape.nchw(clusters, shape.channels(), 1, 1))));
        Tensor y = tensor(dtype, shapeOf(() -> vlad.outputShape(shape)));
        attempt(() -> vlad.forward(x, y), y);
        attempt(() -> vlad.backward(y, x, arena));
        Shape scores = chance(20) ? shape : Shape.nchw(shape.batch(), terms, small(4), small(4));
        NetVlad.Intermediates kept =
            chance(2)
                ? NetVlad.Intermediates.allocate(arena, vlad, shape)
                : new NetVlad.Intermediates(tensor(dtype, scores), chance(20) ? x : y);
        Tensor out = tensor(dtype, y.shape());
        attempt(
            () -> vlad.forwardWithIntermediates(x, out, kept),
            out,
            kept.assignments(),
            kept.residuals());
        attempt(() -> vlad.backward(y, x, kept, arena));
      }
      case 17 -> attempt(() -> NetVlad.initialize(x, small(3), random.nextLong(), arena));
      case 18 -> {
        // Of the whole process: what else runs must not notice.
        Featurepool.setThreads(chance(2) ? (int) odd() : random.nextInt(4));
        attempt(() -> MaxPool.of(Window.global(rank)).forward(x, arena));
      }
      default -> {
        Tensor made = Tensor.allocate(arena, dtype, shape);
        made.set(random.nextDouble() * 300 - 20, chance(3) ? ODD : new long[2 + rank]);
        made.get(chance(3) ? shape.extents() : new long[2 + rank]);
        made.toLayout(Layout.INTERLEAVED, arena);
      }
    }
  }

  private Shape pooled(Window window, Shape input) {
    return shapeOf(() -> window.outputShape(input));
  }

  private void selecting(SelectingPool pool, Tensor x, DType dtype, Shape shape, Arena arena) {
    Window window = pool.window();
    Shape output = pooled(window, shape);
    Mask.Format format = Mask.Format.values()[random.nextInt(2)];
    Mask mask = Mask.allocate(arena, format, chance(30) ? window(2) : window, shape);
    Tensor y = tensor(dtype, output);
    Tensor dx = tensor(dtype, shape);
    attempt(() -> pool.forward(x, y), y);
    if (chance(2)) {
      mask.tensor().segment().fill((byte) random.nextInt());
    } else {
      attempt(() -> pool.forwardWithMask(x, y, orNull(mask)), y);
    }
    attempt(() -> mask.indices(orNull(Mask.IndexBase.values()[random.nextInt(4)]), arena));
    attempt(() -> pool.backward(y, mask, dx), dx);
  }

  private void average(Tensor x, DType dtype, Shape shape, Window window) {
    AvgPool plain = AvgPool.of(orNull(window));
    AvgPool pool = chance(10) ? plain.withDivisor(odd()) : plain.withIncludePadding();
    Tensor y = tensor(dtype, pooled(window, shape));
    Tensor dx = tensor(dtype, shape);
    attempt(() -> pool.forward(x, y), y);
    attempt(() -> pool.backward(y, dx), dx);
  }

  private void stochastic(StochasticPool pool, Tensor x, DType dtype, Shape shape, Arena arena) {
    Tensor y = tensor(dtype, pooled(pool.window(), shape));
    Tensor dx = tensor(dtype, shape);
    if (random.nextBoolean()) {
      attempt(() -> pool.forward(x, y), y);
      attempt(() -> pool.backwardInference(y, x, dx), dx);
    } else {
      Mask mask = Mask.allocate(arena, pool.window(), shape);
      attempt(() -> pool.forwardTraining(x, random.nextLong(), y, mask), y);
      attempt(() -> pool.backward(y, mask, dx), dx);
    }
  }

  private void unpool(MaxUnpool unpool, Tensor x, DType dtype, Shape shape, Arena arena) {
    Tensor indices = tensor(random.nextBoolean() ? DType.I32 : DType.I64, shape);
    Shape output = shapeOf(() -> unpool.outputShape(shape));
    Tensor y = tensor(dtype, output);
    Tensor dx = tensor(dtype, shape);
    if (random.nextBoolean()) {
      attempt(() -> unpool.forward(x, indices, y), y);
      attempt(() -> unpool.backward(y, indices, dx), dx);
    } else {
      attempt(() -> unpool.forwardOverTensor(x, indices, output, arena));
      attempt(() -> unpool.backwardOverTensor(y, indices, arena));
    }
  }

  private void fractional(Tensor x, DType dtype, Shape shape, Arena arena) {
    FractionalMaxPool pool =
        FractionalMaxPool.of(
            new long[] {small(2), small(2)}, orNull(new long[] {small(3), small(3)}));
    PositionMask mask = pool.allocateMask(arena, shape);
    Tensor samples = tensor(dtype, shapeOf(() -> pool.samplesShape(shape)));
    Tensor y = tensor(dtype, shapeOf(() -> pool.outputShape(shape)));
    Tensor dx = tensor(dtype, shape);
    if (random.nextBoolean()) {
      attempt(() -> pool.forward(x, random.nextLong(), y, mask), y);
    } else {
      attempt(() -> pool.forward(x, samples, y, mask), y);
    }
    if (chance(2)) {
      mask.tensor().segment().fill((byte) random.nextInt());
    }
    attempt(() -> pool.backward(y, mask, dx), dx);
  }

  private void pyramid(Tensor x, DType dtype, Shape shape) {
    boolean average = random.nextBoolean();
    SpatialPyramidPool pool =
        average
            ? SpatialPyramidPool.average(small(3), small(2))
            : SpatialPyramidPool.max(small(3)).withBins(orNull(Bins.SPPNET));
    Shape output = shapeOf(() -> pool.outputShape(shape));
    Tensor y = tensor(dtype, output);
    Tensor mask = tensor(DType.I32, output);
    Tensor dx = tensor(dtype, shape);
    if (average) {
      attempt(() -> pool.forward(x, y), y);
      attempt(() -> pool.backward(y, dx), dx);
    } else {
      attempt(() -> pool.backward(y, mask, dx), dx);
      attempt(() -> pool.forwardWithMask(x, y, mask), y, mask);
    }
  }

  private void bilinear(Tensor x, DType dtype, Shape shape) {
    Tensor dx = tensor(dtype, shape);
    if (random.nextBoolean()) {
      BilinearPool pool = BilinearPool.homogeneous();
      Tensor y = tensor(dtype, shapeOf(() -> pool.outputShape(shape)));
      attempt(() -> pool.forward(x, y), y);
      attempt(() -> pool.backward(y, x, dx), dx);
    } else {
      BilinearPool pool = BilinearPool.of().withoutSignedRoot();
      Tensor b = tensor(dtype, shape);
      Tensor db = tensor(dtype, shape);
      Tensor y = tensor(dtype, shapeOf(() -> pool.outputShape(shape, shape)));
      attempt(() -> pool.forward(x, b, y), y);
      BilinearPool.Gradients gradients = new BilinearPool.Gradients(dx, db);
      attempt(() -> pool.backward(y, x, b, gradients), dx, db);
    }
  }
}
