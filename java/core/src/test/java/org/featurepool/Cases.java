package org.featurepool;

import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.domains.DomainContextBase;

/** Generated geometries: small, with every parameter in play, and simplest where they can be. */
final class Cases extends DomainContextBase {
  /** Along a spatial axis; what must not exceed something else is cut down to it later. */
  private record Axis(
      int kernel, int stride, int dilation, int padBegin, int padEnd, int beyond, int bins) {
    int reach() {
      return dilation * (kernel - 1) + 1;
    }
  }

  /** Less than how much an input is longer than a window, by rank: most along the inner axis. */
  private static final int[][] MOST = {{40}, {5, 20}, {3, 4, 9}};

  /** A geometry of windows without padding, in which a window can move. */
  record Movable(PoolCase pool) {}

  private static Arbitrary<Axis> axes() {
    return Combinators.combine(
            Arbitraries.frequencyOf(
                Tuple.of(9, Arbitraries.integers().between(1, 4)),
                Tuple.of(1, Arbitraries.integers().between(1, 9))),
            Arbitraries.integers().between(1, 3),
            Arbitraries.frequency(Tuple.of(4, 1), Tuple.of(1, 2), Tuple.of(1, 3)),
            Arbitraries.integers().between(0, 8),
            Arbitraries.integers().between(0, 8),
            Arbitraries.integers().between(0, 40),
            Arbitraries.integers().between(1, 8))
        .as(Axis::new);
  }

  private static Arbitrary<Integer> channels() {
    return Arbitraries.frequencyOf(
        Tuple.of(5, Arbitraries.integers().between(1, 4)),
        Tuple.of(1, Arbitraries.integers().between(1, 40)));
  }

  private static PoolCase fit(
      List<Axis> axes,
      int batch,
      int channels,
      PoolCase.Padding padding,
      boolean ceil,
      boolean includePadding,
      int divisor) {
    int rank = axes.size();
    boolean same = padding.name().startsWith("SAME");
    boolean bins = padding == PoolCase.Padding.ADAPTIVE;
    int[] input = {1, 1, 1};
    int[] kernel = {1, 1, 1};
    int[] stride = {1, 1, 1};
    int[] begin = new int[3];
    int[] end = new int[3];
    int[] dilation = {1, 1, 1};
    for (int i = 0; i < rank; i++) {
      Axis axis = axes.get(i);
      int to = 3 - rank + i;
      kernel[to] = bins ? axis.bins : axis.kernel;
      stride[to] = bins ? 1 : axis.stride;
      dilation[to] = bins ? 1 : axis.dilation;
      if (padding == PoolCase.Padding.EXPLICIT) {
        begin[to] = axis.padBegin % axis.reach();
        end[to] = axis.padEnd % axis.reach();
      }
      int least = bins || same ? 1 : Math.max(1, axis.reach() - begin[to] - end[to]);
      input[to] = least + axis.beyond % MOST[rank - 1][i];
    }
    return new PoolCase(
        rank,
        batch,
        channels,
        input,
        kernel,
        stride,
        begin,
        end,
        dilation,
        padding,
        ceil && !same && !bins,
        includePadding,
        divisor);
  }

  private static Arbitrary<PoolCase> pools(Arbitrary<PoolCase.Padding> padding) {
    return Combinators.combine(
            axes().list().ofMinSize(1).ofMaxSize(3),
            Arbitraries.frequency(Tuple.of(6, 1), Tuple.of(6, 2), Tuple.of(3, 3), Tuple.of(1, 0)),
            channels(),
            padding,
            Arbitraries.frequency(Tuple.of(2, false), Tuple.of(1, true)),
            Arbitraries.of(false, true),
            Arbitraries.frequencyOf(
                Tuple.of(3, Arbitraries.just(0)),
                Tuple.of(1, Arbitraries.integers().between(1, 20))))
        .as(Cases::fit);
  }

  @Provide
  Arbitrary<PoolCase> pools() {
    return pools(Arbitraries.of(PoolCase.Padding.class));
  }

  @Provide
  Arbitrary<Movable> movables() {
    return pools(Arbitraries.just(PoolCase.Padding.VALID)).map(Movable::new);
  }
}
