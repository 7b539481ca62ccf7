package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * No operator touches a byte outside its tensors: every tensor lies against a page that may not be
 * touched, for every length of the innermost axis up to beyond four of the widest vectors.
 */
class GuardPageTest {
  private static final int MAX_TAIL = 70;

  /** More than the tensors of one comparison, so that each has memory of its own. */
  private static final int TENSORS = 24;

  private static final long BYTES = 1 << 17;

  /** One of each size, floating-point and not. */
  private static final DType[] DTYPES = {DType.F32, DType.U8, DType.F64, DType.F16};

  /** Kernel and stride, padded so that every input is large enough. */
  private static final int[][] WINDOWS = {
    {1, 1}, {2, 2}, {3, 2}, {3, 1}, {5, 1}, {2, 1}, {4, 3}, {13, 1}
  };

  @ParameterizedTest
  @CsvSource({"PLANAR, false", "PLANAR, true", "INTERLEAVED, false", "INTERLEAVED, true"})
  void tensorsAgainstGuardPages(Layout layout, boolean right) {
    SplittableRandom random = new SplittableRandom(7);
    List<GuardedMemory> regions = new ArrayList<>();
    try {
      for (int i = 0; i < TENSORS; i++) {
        regions.add(new GuardedMemory(BYTES));
      }
      for (int tail = 1; tail <= MAX_TAIL; tail++) {
        for (int[] window : WINDOWS) {
          PoolCase pool =
              layout == Layout.PLANAR
                  ? PoolCase.of2d(2, 3, tail, window[0], window[1])
                  : PoolCase.of2d(tail, 3, 4, window[0], window[1]);
          pool = pool.withPadding(window[0] / 2, (window[0] - 1) / 2);
          if (pool.axis(2).output() > 0) {
            check(pool, layout, right, regions, random);
          }
        }
        int width = layout == Layout.PLANAR ? tail : 7;
        int channels = layout == Layout.PLANAR ? 2 : tail;
        check(
            PoolCase.adaptive2d(channels, 3, width, 2, (width + 2) / 3),
            layout,
            right,
            regions,
            random);
      }
    } finally {
      regions.forEach(GuardedMemory::close);
    }
  }

  private static void check(
      PoolCase pool,
      Layout layout,
      boolean right,
      List<GuardedMemory> regions,
      SplittableRandom random) {
    PoolChecks checks =
        new PoolChecks(pool, layout, new GuardedArena(regions, right), right ? "right" : "left");
    for (DType dtype : DTYPES) {
      checks.all(dtype, random);
    }
  }

  /** Gives each allocation a region of its own, in turns. */
  private static final class GuardedArena implements Arena {
    private final List<GuardedMemory> regions;
    private final boolean right;
    private int next;

    GuardedArena(List<GuardedMemory> regions, boolean right) {
      this.regions = regions;
      this.right = right;
    }

    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
      GuardedMemory region = regions.get(next++ % TENSORS);
      return right ? region.right(byteSize) : region.left(byteSize);
    }

    @Override
    public MemorySegment.Scope scope() {
      return Arena.global().scope();
    }

    @Override
    public void close() {
      throw new UnsupportedOperationException("the regions outlive each arena");
    }
  }
}
