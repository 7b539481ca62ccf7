package org.featurepool;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;

/**
 * Every operator on generated cases against loops of its definition in plain Java, forward and,
 * where the loops tell it, backward. The gradients of the others are compared with slopes in the
 * operators' own tests.
 */
@Domain(Cases.class)
@Domain(DomainContext.Global.class)
class OraclePropertyTest {
  private static final DType[] OTHERS = {
    DType.F64, DType.F16, DType.BF16, DType.I8, DType.U8, DType.I32
  };

  @Property
  void maxMinAndAverage(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try (Arena arena = Arena.ofConfined()) {
      PoolChecks checks = new PoolChecks(pool, layout, arena, "");
      checks.outputShape();
      checks.all(DType.F32, random);
      checks.all(OTHERS[random.nextInt(OTHERS.length)], random);
    }
  }

  @Property
  void median(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    MedianPoolTest.agreesWithSortedWindows(pool, layout, new SplittableRandom(seed));
  }

  @Property
  void lp(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    LpPoolTest.agreesWithPlainJava(pool, layout, new SplittableRandom(seed));
  }

  @Property
  void gem(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    GemPoolTest.agreesWithPlainJava(pool, layout, new SplittableRandom(seed));
  }

  @Property
  void mixed(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    MixedPoolTest.agreesWithPlainJava(pool, layout, new SplittableRandom(seed));
  }

  @Property
  void stochastic(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    StochasticPoolTest.agreesWithPlainJava(pool, layout, new SplittableRandom(seed));
  }

  @Property
  void fractionalMax(@ForAll Layout layout, @ForAll long seed) {
    FractionalMaxPoolTest.agreesWithPlainJava(layout, new SplittableRandom(seed));
  }

  @Property
  void spatialPyramid(@ForAll Layout layout, @ForAll long seed) {
    SpatialPyramidPoolTest.equalsThePlainLoop(layout, new SplittableRandom(seed));
  }

  @Property
  void sppBlock(@ForAll Layout layout, @ForAll long seed) {
    SppBlockTest.equalsThePlainLoop(layout, new SplittableRandom(seed));
  }

  @Property
  void roiPool(@ForAll Layout layout, @ForAll long seed) {
    RegionsTest.roiPoolAgreesWithPlainJava(layout, new SplittableRandom(seed));
  }

  @Property
  void roiAlign(@ForAll Layout layout, @ForAll long seed) {
    RegionsTest.roiAlignAgreesWithPlainJava(layout, new SplittableRandom(seed));
  }

  @Property
  void maxUnpool(@ForAll Layout layout, @ForAll long seed) {
    UnpoolTest.lastOfEqualIndicesWins(layout, new SplittableRandom(seed));
  }

  @Property
  void avgUnpool(@ForAll PoolCase pool, @ForAll Layout layout, @ForAll long seed) {
    UnpoolTest.averagesAreSpreadAsTheirGradientIs(
        pool.withoutDivisor(), layout, new SplittableRandom(seed));
  }

  @Property
  void bilinear(@ForAll Layout layout, @ForAll long seed) {
    BilinearPoolTest.outputsAndGradientsAreThoseOfTheListing(layout, new SplittableRandom(seed));
  }

  @Property
  void netVlad(@ForAll Layout layout, @ForAll long seed) {
    NetVladTest.outputsAndGradientsAreThoseOfThePaper(layout, new SplittableRandom(seed));
  }
}
