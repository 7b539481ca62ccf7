package org.featurepool.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import org.featurepool.DType;

/** Compares results with those of one peer, and counts what was compared and what was excused. */
final class Parity {
  private final String peer;
  private final Map<String, Integer> compared = new TreeMap<>();
  private final Map<String, Integer> excused = new TreeMap<>();

  Parity(String peer) {
    this.peer = peer;
  }

  /** Counts a configuration whose results all agreed. */
  void compared(String operator) {
    compared.merge(operator, 1, Integer::sum);
  }

  /** Counts a value in which the peer differs by design, for the named reason. */
  void excused(String reason) {
    excused.merge(reason, 1, Integer::sum);
  }

  /** Prints the counts; {@code ./featurepool test --peers} shows these lines. */
  void report() {
    compared.forEach(
        (operator, count) ->
            System.out.printf("parity: %s, %s: %d configurations%n", peer, operator, count));
    int total = compared.values().stream().mapToInt(Integer::intValue).sum();
    System.out.printf("parity: %s: %d configurations in all%n", peer, total);
    excused.forEach(
        (reason, count) ->
            System.out.printf(
                "parity: %s differs by design, %s: %d values%n", peer, reason, count));
  }

  /** Largest error of a sum of so many terms of at most such magnitude, in any order. */
  static double sumBound(DType dtype, long terms, double magnitude) {
    double unit = dtype == DType.F64 ? Math.ulp(1.0) : Math.ulp(1.0f);
    return unit * (terms + 4) * magnitude;
  }

  static void assertSame(Object what, double[] expected, double[] actual) {
    assertClose(what, expected, actual, 0, i -> false);
  }

  static void assertClose(Object what, double[] expected, double[] actual, double bound) {
    assertClose(what, expected, actual, bound, i -> false);
  }

  /** {@code excuse} tells the positions at which a difference was excused by name. */
  static void assertClose(
      Object what, double[] expected, double[] actual, double bound, IntPredicate excuse) {
    assertEquals(expected.length, actual.length, () -> what + ": number of values");
    for (int i = 0; i < expected.length; i++) {
      double e = expected[i];
      double a = actual[i];
      boolean same = e == a || (Double.isNaN(e) && Double.isNaN(a)) || Math.abs(e - a) <= bound;
      if (!same && !excuse.test(i)) {
        fail(what + ": value " + i + " is " + a + "; the peer gives " + e);
      }
    }
  }
}
