package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every operator on generated cases against the oracle. A failure names the seed; {@code
 * -Dfeaturepool.test.seed} repeats it.
 */
class PropertyTest {
  private static final int CASES = 750;

  private static final DType[] OTHERS = {
    DType.F64, DType.F16, DType.BF16, DType.I8, DType.U8, DType.I32
  };

  private static final long SEED = Long.getLong("featurepool.test.seed", 20260101);

  @ParameterizedTest
  @EnumSource(Layout.class)
  void operatorsEqualOracle(Layout layout) {
    SplittableRandom random = new SplittableRandom(SEED);
    int empty = 0;
    for (int i = 0; i < CASES; i++) {
      PoolCase pool = PoolCase.random(random);
      empty += pool.batch() == 0 ? 1 : 0;
      try (Arena arena = Arena.ofConfined()) {
        PoolChecks checks = new PoolChecks(pool, layout, arena, "seed " + SEED + " case " + i);
        checks.outputShape();
        checks.all(DType.F32, random);
        checks.all(OTHERS[random.nextInt(OTHERS.length)], random);
      }
    }
    assertTrue(empty > 0, "no empty batch among the cases");
  }
}
