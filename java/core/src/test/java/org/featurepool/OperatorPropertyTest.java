package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.function.DoubleUnaryOperator;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;

/**
 * What holds of many operators whatever the numbers, without an oracle: each generated case is put
 * to every operator that has the property.
 */
@Domain(Cases.class)
@Domain(DomainContext.Global.class)
class OperatorPropertyTest {
  private static final double CLOSE = 1e-12;

  /** Increasing, and keeping 0 and the infinities; all but the last exact or correctly rounded. */
  private static final List<DoubleUnaryOperator> INCREASING =
      List.of(x -> 2 * x, x -> x * x * x, x -> (float) x, x -> x < 0 ? x / 3 : x * 5);

  private static List<Subject> all(PoolCase pool, long seed) {
    List<Subject> all = new ArrayList<>(Subject.ofWindows(pool, seed));
    all.addAll(Subject.ofOwnGeometry(seed));
    return all;
  }

  /** Values as the operator takes them: positive, or of both signs and, if asked for, special. */
  private static double[] values(Subject subject, SplittableRandom random, boolean special) {
    int size = subject.inputSize();
    if (subject.traits().activations()) {
      return random.doubles(size, 0.125, 1).map(x -> (float) x).toArray();
    }
    float[] floats = TestTensors.floats(random, size, special);
    double[] values = new double[size];
    Arrays.setAll(values, i -> floats[i]);
    return values;
  }

  private static double[] gradient(SplittableRandom random, Tensor y) {
    // Small multiples of a power of two: a few of them add up exactly even in f32.
    return random
        .doubles(y.shape().elementCount(), -1, 1)
        .map(g -> Math.rint(g * 64) / 64)
        .toArray();
  }

  private static void assertSame(double[] expected, double[] actual, String what) {
    assertEquals(expected.length, actual.length, what);
    for (int i = 0; i < expected.length; i++) {
      if (Double.doubleToRawLongBits(expected[i]) != Double.doubleToRawLongBits(actual[i])) {
        fail(what + ": element " + i + " is " + actual[i] + ", not " + expected[i]);
      }
    }
  }

  /** Close to the scale of the finite values; infinities and NaNs where they are expected. */
  private static void assertClose(double[] expected, double[] actual, String what) {
    assertClose(expected, actual, CLOSE, what);
  }

  private static void assertClose(
      double[] expected, double[] actual, double closeness, String what) {
    assertEquals(expected.length, actual.length, what);
    double largest = 1;
    for (double value : expected) {
      largest = Double.isFinite(value) ? Math.max(largest, Math.abs(value)) : largest;
    }
    for (int i = 0; i < expected.length; i++) {
      boolean close =
          Double.isFinite(expected[i])
              ? Math.abs(expected[i] - actual[i]) <= closeness * largest
              : Double.compare(expected[i], actual[i]) == 0;
      if (!close) {
        fail(what + ": element " + i + " is " + actual[i] + ", not " + expected[i]);
      }
    }
  }

  @Property
  void planarEqualsInterleaved(@ForAll PoolCase pool, @ForAll long seed) {
    for (Subject subject : all(pool, seed)) {
      SplittableRandom random = new SplittableRandom(seed);
      boolean exact = subject.traits().selects();
      DType dtype = exact ? DType.F32 : subject.widest();
      double[] x = values(subject, random, exact);
      double[] dy = null;
      double[][] results = new double[4][];
      for (Layout layout : Layout.values()) {
        try (Arena arena = Arena.ofConfined()) {
          Tensor input = TestTensors.converted(arena, dtype, subject.input(layout), x);
          Tensor y = subject.forward().apply(input, arena);
          dy = dy == null ? gradient(random, y) : dy;
          Tensor gradient = TestTensors.converted(arena, subject.widest(), y.shape(), dy);
          Tensor doubles = TestTensors.converted(arena, subject.widest(), input.shape(), x);
          Tensor dx = subject.backward().of(gradient, doubles, arena);
          results[2 * layout.ordinal()] = TestTensors.doubles(y);
          results[2 * layout.ordinal() + 1] = TestTensors.doubles(dx);
        }
      }
      if (exact) {
        assertSame(results[0], results[2], subject.name());
      } else {
        assertClose(results[0], results[2], subject.closeness(), subject.name());
      }
      assertClose(results[1], results[3], subject.closeness(), "gradient of " + subject.name());
    }
  }

  @Property
  void batchOfNEqualsNSingles(
      @ForAll PoolCase pool, @ForAll Layout layout, @ForAll boolean doubles, @ForAll long seed) {
    for (Subject subject : all(pool, seed)) {
      DType dtype = doubles ? subject.widest() : DType.F32;
      if (subject.image() == null || subject.images() == 0) {
        continue;
      }
      SplittableRandom random = new SplittableRandom(seed);
      double[] x = values(subject, random, false);
      try (Arena arena = Arena.ofConfined()) {
        Tensor input = TestTensors.converted(arena, dtype, subject.input(layout), x);
        Tensor output = subject.forward().apply(input, arena);
        double[] dy = gradient(random, output);
        double[] y = TestTensors.doubles(output);
        double[] dx =
            TestTensors.doubles(
                subject
                    .backward()
                    .of(TestTensors.converted(arena, dtype, output.shape(), dy), input, arena));
        int perImage = x.length / subject.images();
        int done = 0;
        for (int i = 0; i < subject.images(); i++) {
          Subject image = subject.image().apply(i);
          String what = "image " + i + ", " + dtype + " " + layout + " " + subject.name();
          double[] own = Arrays.copyOfRange(x, i * perImage, (i + 1) * perImage);
          Tensor single = TestTensors.converted(arena, dtype, image.input(layout), own);
          Tensor part = image.forward().apply(single, arena);
          int end = done + (int) part.shape().elementCount();
          assertEqualOrClose(
              subject, dtype, Arrays.copyOfRange(y, done, end), TestTensors.doubles(part), what);
          Tensor slope =
              TestTensors.converted(arena, dtype, part.shape(), Arrays.copyOfRange(dy, done, end));
          assertEqualOrClose(
              subject,
              dtype,
              Arrays.copyOfRange(dx, i * perImage, (i + 1) * perImage),
              TestTensors.doubles(image.backward().of(slope, single, arena)),
              "gradient of " + what);
          done = end;
        }
        assertEquals(y.length, done, subject.name());
      }
    }
  }

  /** Sums may be associated otherwise where an image alone is worked on by another kernel. */
  private static void assertEqualOrClose(
      Subject subject, DType dtype, double[] expected, double[] actual, String what) {
    if (subject.traits().selects()) {
      assertSame(expected, actual, what);
    } else {
      assertClose(expected, actual, dtype == DType.F64 ? CLOSE : 1e-5, what);
    }
  }

  @Property
  void increasingMapsCommuteWithSelection(
      @ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    for (Subject subject : all(pool, seed)) {
      if (!subject.traits().increasing()) {
        continue;
      }
      SplittableRandom random = new SplittableRandom(seed);
      double[] x = values(subject, random, true);
      DoubleUnaryOperator map = INCREASING.get(random.nextInt(INCREASING.size()));
      double[] mapped = Arrays.stream(x).map(map).toArray();
      try (Arena arena = Arena.ofConfined()) {
        Shape shape = subject.input(layout);
        Tensor plain = TestTensors.converted(arena, subject.widest(), shape, x);
        Tensor changed = TestTensors.converted(arena, subject.widest(), shape, mapped);
        double[] expected = TestTensors.doubles(subject.forward().apply(plain, arena));
        double[] actual = TestTensors.doubles(subject.forward().apply(changed, arena));
        for (int i = 0; i < actual.length; i++) {
          // As numbers: where a map makes equals of different elements, -0 may come for +0.
          double image = map.applyAsDouble(expected[i]);
          image = subject.widest() == DType.F32 ? (float) image : image;
          assertEquals(image + 0.0, actual[i] + 0.0, subject.name());
        }
      }
    }
  }

  @Property
  void minIsMaxOfTheNegative(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    float[] x = TestTensors.floats(new SplittableRandom(seed), pool.inputSize(), true);
    float[] negative = x.clone();
    for (int i = 0; i < x.length; i++) {
      negative[i] = -x[i];
    }
    try (Arena arena = Arena.ofConfined()) {
      Shape shape = pool.inputShape(layout);
      MinPool.Result min =
          MinPool.of(pool.window())
              .forwardWithMask(TestTensors.tensor(arena, DType.F32, shape, x), arena);
      MaxPool.Result max =
          MaxPool.of(pool.window())
              .forwardWithMask(TestTensors.tensor(arena, DType.F32, shape, negative), arena);
      float[] values = min.output().toFloatArray();
      float[] negated = max.output().toFloatArray();
      for (int i = 0; i < values.length; i++) {
        assertEquals(-negated[i], values[i], pool.toString());
      }
      TestTensors.assertSameBits(
          min.mask().tensor().toFloatArray(), max.mask().tensor().toFloatArray(), "mask");
    }
  }

  @Property
  void gradientsKeepTheirSum(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    for (Subject subject : all(pool, seed)) {
      if (subject.traits().conserving()) {
        Work work = Work.of(subject, layout, seed);
        double expected = Arrays.stream(work.dy).sum();
        double actual = Arrays.stream(work.dx).sum();
        double scale = Math.max(1, Arrays.stream(work.dy).map(Math::abs).sum());
        assertEquals(expected, actual, subject.closeness() * scale, subject.name());
      }
    }
  }

  /** For linear maps; and, by Euler, for all whose output grows as their input does. */
  @Property
  void backwardIsTheTransposeOfForward(
      @ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    for (Subject subject : all(pool, seed)) {
      if (subject.traits().homogeneous()) {
        Work work = Work.of(subject, layout, seed);
        double scale = 1;
        for (int i = 0; i < work.dy.length; i++) {
          scale += Math.abs(work.y[i] * work.dy[i]);
        }
        assertEquals(
            ProductChecks.dot(work.y, work.dy),
            ProductChecks.dot(work.x, work.dx),
            10 * subject.closeness() * scale,
            subject.name());
      }
    }
  }

  /** An input, its output, and gradients of both; nothing flows back from empty windows. */
  private record Work(double[] x, double[] y, double[] dy, double[] dx) {
    static Work of(Subject subject, Layout layout, long seed) {
      SplittableRandom random = new SplittableRandom(seed);
      double[] x = values(subject, random, false);
      try (Arena arena = Arena.ofConfined()) {
        Tensor input = TestTensors.converted(arena, subject.widest(), subject.input(layout), x);
        Tensor output = subject.forward().apply(input, arena);
        double[] y = TestTensors.doubles(output);
        double[] dy = gradient(random, output);
        for (int i = 0; i < y.length; i++) {
          // A window without elements has no gradient; nothing else gives what is not finite, or 0.
          if (!Double.isFinite(y[i]) || y[i] == 0) {
            y[i] = 0;
            dy[i] = 0;
          }
        }
        Tensor gradient = TestTensors.converted(arena, subject.widest(), output.shape(), dy);
        double[] dx = TestTensors.doubles(subject.backward().of(gradient, input, arena));
        return new Work(x, y, dy, dx);
      }
    }
  }

  /** Copies a planar array between boxes of other extents; what is left over is {@code fill}. */
  private static double[] moved(
      double[] from, int planes, int[] fromExtents, int[] toExtents, int[] offset, double fill) {
    int fromPlane = fromExtents[0] * fromExtents[1] * fromExtents[2];
    int toPlane = toExtents[0] * toExtents[1] * toExtents[2];
    double[] to = new double[planes * toPlane];
    for (int i = 0; i < to.length; i++) {
      int at = i % toPlane;
      int z = at / toExtents[2] / toExtents[1] + offset[0];
      int y = at / toExtents[2] % toExtents[1] + offset[1];
      int x = at % toExtents[2] + offset[2];
      boolean inside =
          z >= 0
              && y >= 0
              && x >= 0
              && z < fromExtents[0]
              && y < fromExtents[1]
              && x < fromExtents[2];
      int source = (z * fromExtents[1] + y) * fromExtents[2] + x;
      to[i] = inside ? from[i / toPlane * fromPlane + source] : fill;
    }
    return to;
  }

  /** Where padding is neutral, an input that was padded by hand gives the same. */
  @Property
  void paddingByHandEqualsPaddingByParameter(
      @ForAll PoolCase any, @ForAll Layout layout, @ForAll long seed) {
    // Ceil mode looks at where the input ends, which is elsewhere once it is padded.
    if (any.padding() == PoolCase.Padding.ADAPTIVE || any.ceil()) {
      return;
    }
    int[] begin = new int[3];
    int[] end = new int[3];
    int[] wide = new int[3];
    int[] offset = new int[3];
    for (int i = 0; i < 3; i++) {
      PoolCase.Axis axis = any.axis(i);
      begin[i] = axis.begin();
      end[i] = axis.end();
      wide[i] = any.input()[i] + axis.begin() + axis.end();
      offset[i] = -axis.begin();
    }
    PoolCase padded = any.explicit(any.input(), begin, end);
    PoolCase byHand = any.explicit(wide, new int[3], new int[3]);
    SplittableRandom random = new SplittableRandom(seed);
    double[] both = new double[any.inputSize()];
    Arrays.setAll(both, i -> (float) random.nextGaussian());
    double[] positive = Arrays.stream(both).map(Math::abs).toArray();
    Window window = padded.window();
    Window bare = byHand.window();
    double negative = Double.NEGATIVE_INFINITY;
    AvgPool average = AvgPool.of(window).withIncludePadding();
    AvgPool bareAverage = AvgPool.of(bare);
    long divisor = random.nextInt(1, 20);
    List<Padded> all =
        List.of(
            new Padded(MaxPool.of(window)::forward, MaxPool.of(bare)::forward, both, negative),
            new Padded(MinPool.of(window)::forward, MinPool.of(bare)::forward, both, -negative),
            new Padded(average::forward, bareAverage::forward, both, 0),
            new Padded(
                average.withDivisor(divisor)::forward,
                bareAverage.withDivisor(divisor)::forward,
                both,
                0),
            new Padded(LpPool.of(window, 3)::forward, LpPool.of(bare, 3)::forward, both, 0),
            new Padded(
                StochasticPool.of(window)::forward, StochasticPool.of(bare)::forward, positive, 0),
            new Padded(
                (x, arena) -> StochasticPool.of(window).forwardTraining(x, seed, arena).output(),
                (x, arena) -> StochasticPool.of(bare).forwardTraining(x, seed, arena).output(),
                positive,
                0));
    for (int i = 0; i < all.size(); i++) {
      Padded pair = all.get(i);
      try (Arena arena = Arena.ofConfined()) {
        double[] larger = moved(pair.x, any.planes(), any.input(), wide, offset, pair.fill);
        Tensor x = TestTensors.converted(arena, DType.F64, padded.inputShape(layout), pair.x);
        Tensor filled = TestTensors.converted(arena, DType.F64, byHand.inputShape(layout), larger);
        assertClose(
            TestTensors.doubles(pair.byParameter.apply(x, arena)),
            TestTensors.doubles(pair.byHand.apply(filled, arena)),
            "operator " + i + " of " + padded);
      }
    }
  }

  /** A pooling with padding, the same without, and the number to pad by hand with. */
  private record Padded(
      BiFunction<Tensor, Arena, Tensor> byParameter,
      BiFunction<Tensor, Arena, Tensor> byHand,
      double[] x,
      double fill) {}

  /** The block pads its windows to "same" extents. */
  @Property
  void blockEqualsMaxOfWhatIsPaddedByHand(@ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] plane = {1, random.nextInt(1, 9), random.nextInt(1, 15)};
    Shape shape = Shape.of(layout, 2, 3, plane[1], plane[2]);
    double[] x = random.doubles(shape.elementCount(), -1, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.converted(arena, DType.F32, shape, x);
      double[] joined = TestTensors.doubles(SppBlock.of(5, 3).forward(input, arena));
      int image = x.length / 2;
      for (int group = 0; group < 2; group++) {
        int reach = 2 - group;
        int[] wide = {1, plane[1] + 2 * reach, plane[2] + 2 * reach};
        double[] filled =
            moved(x, 6, plane, wide, new int[] {0, -reach, -reach}, Double.NEGATIVE_INFINITY);
        Tensor larger =
            TestTensors.converted(
                arena, DType.F32, Shape.of(layout, 2, 3, wide[1], wide[2]), filled);
        double[] pooled =
            TestTensors.doubles(
                MaxPool.of(Window.square(2 * reach + 1).withStride(1)).forward(larger, arena));
        for (int n = 0; n < 2; n++) {
          int from = (3 * n + group) * image;
          assertSame(
              Arrays.copyOfRange(pooled, n * image, (n + 1) * image),
              Arrays.copyOfRange(joined, from, from + image),
              "kernel " + (2 * reach + 1) + " of " + shape);
        }
      }
    }
  }

  @Property
  void shiftByTheStrideShiftsTheOutput(
      @ForAll Cases.Movable movable, @ForAll Layout layout, @ForAll long seed) {
    PoolCase pool = movable.pool().floored();
    SplittableRandom random = new SplittableRandom(seed);
    int axis = 3 - pool.rank() + random.nextInt(pool.rank());
    int[] wide = pool.input().clone();
    wide[axis] += pool.stride()[axis];
    int[] offset = new int[3];
    offset[axis] = pool.stride()[axis];
    PoolCase larger = pool.with(wide);
    double[] all = random.doubles(larger.inputSize(), 0.125, 1).map(v -> (float) v).toArray();
    double[] first = moved(all, pool.planes(), wide, pool.input(), new int[3], 0);
    double[] second = moved(all, pool.planes(), wide, pool.input(), offset, 0);
    int[] output = {pool.axis(0).output(), pool.axis(1).output(), pool.axis(2).output()};
    int[] common = output.clone();
    common[axis]--;
    int[] one = new int[3];
    one[axis] = 1;
    for (Subject subject : Subject.ofWindows(pool, seed)) {
      if (subject.image() == null) {
        continue;
      }
      try (Arena arena = Arena.ofConfined()) {
        Shape shape = pool.inputShape(layout);
        Tensor x = TestTensors.converted(arena, DType.F64, shape, first);
        Tensor moved = TestTensors.converted(arena, DType.F64, shape, second);
        double[] y = TestTensors.doubles(subject.forward().apply(x, arena));
        double[] shifted = TestTensors.doubles(subject.forward().apply(moved, arena));
        int planes = y.length / Math.max(1, pool.outputPlane());
        assertClose(
            moved(y, planes, output, common, one, 0),
            moved(shifted, planes, output, common, new int[3], 0),
            subject.name());
      }
    }
  }

  /** Regions that move with the image give what they gave. */
  @Property
  void regionsMoveWithTheImage(@ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] large = {1, random.nextInt(4, 12), random.nextInt(4, 12)};
    int[] offset = {0, random.nextInt(1, 3), random.nextInt(1, 3)};
    double[] x = random.doubles(2L * large[1] * large[2], -1, 1).toArray();
    double[] moved = moved(x, 2, large, large, offset, 0.5);
    // In quarters, which moves by whole elements do not round; away from what has left the image.
    double x1 = offset[2] + random.nextInt(1 + 4 * (large[2] - 1 - offset[2])) / 4.0;
    double y1 = offset[1] + random.nextInt(1 + 4 * (large[1] - 1 - offset[1])) / 4.0;
    double x2 = x1 + random.nextInt(1 + (int) (4 * (large[2] - 1 - x1))) / 4.0;
    double y2 = y1 + random.nextInt(1 + (int) (4 * (large[1] - 1 - y1))) / 4.0;
    double[][] here = {{x1, y1, x2, y2}};
    double[][] there = {{x1 - offset[2], y1 - offset[1], x2 - offset[2], y2 - offset[1]}};
    int rows = random.nextInt(1, 4);
    int columns = random.nextInt(1, 4);
    RoiPool pool = RoiPool.of(rows, columns, 1);
    RoiAlign mean = RoiAlign.average(rows, columns, 1).withSamplingRatio(random.nextInt(1, 3));
    RoiAlign max = RoiAlign.max(rows, columns, 1).withSamplingRatio(random.nextInt(1, 3));
    boolean atEdge = x2 + 1 > large[2] - 1 || y2 + 1 > large[1] - 1;
    try (Arena arena = Arena.ofConfined()) {
      Shape shape = Shape.of(layout, 1, 2, large[1], large[2]);
      Tensor image = TestTensors.converted(arena, DType.F64, shape, x);
      Tensor other = TestTensors.converted(arena, DType.F64, shape, moved);
      Regions before = Regions.of(arena, here, new long[1]);
      Regions after = Regions.of(arena, there, new long[1]);
      String what =
          Arrays.deepToString(here) + " of " + shape + " moved " + Arrays.toString(offset);
      assertSame(
          TestTensors.doubles(pool.forward(image, before, arena)),
          TestTensors.doubles(pool.forward(other, after, arena)),
          pool + " " + what);
      if (!atEdge) {
        assertClose(
            TestTensors.doubles(mean.forward(image, before, arena)),
            TestTensors.doubles(mean.forward(other, after, arena)),
            mean + " " + what);
        assertClose(
            TestTensors.doubles(max.forward(image, before, arena)),
            TestTensors.doubles(max.forward(other, after, arena)),
            max + " " + what);
      }
    }
  }

  @Property
  void poolUnpoolPoolIsAFixedPoint(
      @ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Window window = pool.window();
    double[] x = random.doubles(pool.inputSize(), 0.125, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.converted(arena, DType.F64, pool.inputShape(layout), x);
      MaxPool.Result pooled = MaxPool.of(window).forwardWithMask(input, arena);
      double[] y = TestTensors.doubles(pooled.output());
      if (Arrays.stream(y).allMatch(Double::isFinite)) {
        Tensor back = MaxUnpool.of(window).forward(pooled.output(), pooled.mask(), arena);
        MaxPool.Result again = MaxPool.of(window).forwardWithMask(back, arena);
        assertSame(y, TestTensors.doubles(again.output()), pool.toString());
        TestTensors.assertSameBits(
            pooled.mask().tensor().toFloatArray(),
            again.mask().tensor().toFloatArray(),
            "mask of " + pool);
      }
    }
  }

  @Property
  void fractionalPoolUnpoolPoolIsAFixedPoint(@ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int height = random.nextInt(2, 12);
    int width = random.nextInt(2, 12);
    FractionalMaxPool pool =
        FractionalMaxPool.of(
            new long[] {2, 2}, new long[] {random.nextInt(1, height), random.nextInt(1, width)});
    Shape shape = Shape.of(layout, 2, 3, height, width);
    double[] x = random.doubles(shape.elementCount(), 0.125, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Tensor input = TestTensors.converted(arena, DType.F64, shape, x);
      FractionalMaxPool.Result pooled = pool.forward(input, seed, arena);
      Tensor back = Tensor.allocate(arena, DType.F64, shape);
      MaxUnpool.of(Window.square(2)).forward(pooled.output(), pooled.mask().tensor(), back);
      assertSame(
          TestTensors.doubles(pooled.output()),
          TestTensors.doubles(pool.forward(back, seed, arena).output()),
          pool + " of " + shape);
    }
  }

  /** Windows side by side: the sums of what was spread are what was given. */
  @Property
  void averageUnpoolingIsUndoneBySums(@ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Window window = Window.of(random.nextInt(1, 5), random.nextInt(1, 5));
    Shape shape = Shape.of(layout, 2, 3, random.nextInt(1, 6), random.nextInt(1, 6));
    double[] x = random.doubles(shape.elementCount(), -1, 1).toArray();
    try (Arena arena = Arena.ofConfined()) {
      Tensor spread =
          AvgUnpool.of(window).forward(TestTensors.converted(arena, DType.F64, shape, x), arena);
      double[] sums = TestTensors.doubles(AvgPool.of(window).withDivisor(1).forward(spread, arena));
      assertClose(x, sums, window + " of " + shape);
    }
  }
}
