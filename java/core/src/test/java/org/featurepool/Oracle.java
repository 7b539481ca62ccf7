package org.featurepool;

import java.util.function.Consumer;
import java.util.function.IntUnaryOperator;

/**
 * Pooling written down as plainly as it can be, over planar Java arrays: what the library's results
 * are compared with. It shares no code with the library.
 */
final class Oracle {
  private Oracle() {}

  /** One position for every tap of a window, row-major, whether inside the input or not. */
  private interface TapVisitor {
    void visit(int tap, int position, boolean inside, boolean counted);
  }

  private interface WindowVisitor {
    void visit(int output, Consumer<TapVisitor> taps);
  }

  /** Maxima and their positions: within the plane and within the window, -1 where there is none. */
  record Maxima(float[] values, int[] inPlane, int[] inWindow) {}

  /** A result and, element by element, how far a rounded one may be from it. */
  record Bounded(double[] values, double[] tolerance) {}

  private static void forEachWindow(PoolCase pool, WindowVisitor visitor) {
    PoolCase.Axis d = pool.axis(0);
    PoolCase.Axis h = pool.axis(1);
    PoolCase.Axis w = pool.axis(2);
    for (int plane = 0; plane < pool.planes(); plane++) {
      for (int o = 0; o < pool.outputPlane(); o++) {
        int od = o / w.output() / h.output();
        int oh = o / w.output() % h.output();
        int ow = o % w.output();
        int base = plane * pool.inputPlane();
        visitor.visit(
            plane * pool.outputPlane() + o,
            taps -> {
              for (int t = 0; t < pool.taps(); t++) {
                int z = d.position(od, t / w.kernel() / h.kernel());
                int y = h.position(oh, t / w.kernel() % h.kernel());
                int x = w.position(ow, t % w.kernel());
                boolean inside = d.inside(z) && h.inside(y) && w.inside(x);
                taps.visit(
                    t,
                    inside ? base + (z * h.input() + y) * w.input() + x : -1,
                    inside,
                    d.counted(z) && h.counted(y) && w.counted(x));
              }
            });
      }
    }
  }

  /** Maxima of a tensor; {@code none} where a window holds no element. */
  static Maxima max(PoolCase pool, float[] x, float none) {
    return select(pool, x, none, false);
  }

  /** Minima of a tensor; {@code none} where a window holds no element. */
  static Maxima min(PoolCase pool, float[] x, float none) {
    return select(pool, x, none, true);
  }

  private static Maxima select(PoolCase pool, float[] x, float none, boolean min) {
    Maxima maxima =
        new Maxima(
            new float[pool.outputSize()], new int[pool.outputSize()], new int[pool.outputSize()]);
    forEachWindow(
        pool,
        (o, taps) -> {
          int[] best = {-1, -1};
          taps.accept(
              (tap, position, inside, counted) -> {
                if (!inside) {
                  return;
                }
                boolean better =
                    best[0] < 0
                        || (min ? x[position] < x[best[0]] : x[position] > x[best[0]])
                        || Float.isNaN(x[position]);
                if (better) {
                  best[0] = position;
                  best[1] = tap;
                }
              });
          maxima.values[o] = best[0] < 0 ? none : x[best[0]];
          maxima.inPlane[o] = best[0] < 0 ? -1 : best[0] % pool.inputPlane();
          maxima.inWindow[o] = best[1];
        });
    return maxima;
  }

  /** Gradient of max pooling. The order of the sums is that of the outputs. */
  static Bounded maxBackward(PoolCase pool, Maxima maxima, float[] gradient) {
    double[] sums = new double[pool.inputSize()];
    double[] magnitudes = new double[sums.length];
    int[] counts = new int[sums.length];
    for (int o = 0; o < gradient.length; o++) {
      if (maxima.inPlane[o] >= 0) {
        int at = o / pool.outputPlane() * pool.inputPlane() + maxima.inPlane[o];
        sums[at] += gradient[o];
        magnitudes[at] += Math.abs(gradient[o]);
        counts[at]++;
      }
    }
    return new Bounded(sums, tolerance(magnitudes, i -> counts[i]));
  }

  private static long divisor(PoolCase pool, Consumer<TapVisitor> taps) {
    if (pool.divisor() > 0) {
      return pool.divisor();
    }
    long[] count = {0};
    taps.accept(
        (tap, position, inside, counted) -> {
          if (pool.includePadding() ? counted : inside) {
            count[0]++;
          }
        });
    return count[0];
  }

  /** Averages in f64, with SEMANTICS' bound of 2 ulp·sqrt(k) at the mean magnitude. */
  static Bounded average(PoolCase pool, float[] x) {
    double[] means = new double[pool.outputSize()];
    double[] magnitudes = new double[means.length];
    int[] counts = new int[means.length];
    forEachWindow(
        pool,
        (o, taps) -> {
          double[] sums = new double[2];
          taps.accept(
              (tap, position, inside, counted) -> {
                if (inside) {
                  sums[0] += x[position];
                  sums[1] += Math.abs(x[position]);
                  counts[o]++;
                }
              });
          long divisor = divisor(pool, taps);
          means[o] = sums[0] / divisor;
          magnitudes[o] = sums[1] / divisor;
        });
    return new Bounded(means, tolerance(magnitudes, i -> counts[i]));
  }

  /** Averages of small integers: exact sums, quotients rounded half to even, saturated. */
  static float[] averageOfBytes(PoolCase pool, float[] x, int least, int most) {
    float[] means = new float[pool.outputSize()];
    forEachWindow(
        pool,
        (o, taps) -> {
          long[] sum = {0};
          taps.accept(
              (tap, position, inside, counted) -> {
                if (inside) {
                  sum[0] += (long) x[position];
                }
              });
          long divisor = divisor(pool, taps);
          double mean = divisor == 0 ? 0 : Math.rint((double) sum[0] / divisor);
          means[o] = (float) Math.clamp(mean, least, most) + 0f; // of integers, no -0
        });
    return means;
  }

  /** Gradient of average pooling, with the bound of {@link #average}. */
  static Bounded averageBackward(PoolCase pool, float[] gradient) {
    double[] sums = new double[pool.inputSize()];
    double[] magnitudes = new double[sums.length];
    int[] counts = new int[sums.length];
    forEachWindow(
        pool,
        (o, taps) -> {
          double share = gradient[o] / (double) divisor(pool, taps);
          taps.accept(
              (tap, position, inside, counted) -> {
                if (inside) {
                  sums[position] += share;
                  magnitudes[position] += Math.abs(share);
                  counts[position]++;
                }
              });
        });
    return new Bounded(sums, tolerance(magnitudes, i -> counts[i]));
  }

  private static double[] tolerance(double[] magnitudes, IntUnaryOperator counts) {
    double[] tolerance = new double[magnitudes.length];
    for (int i = 0; i < tolerance.length; i++) {
      tolerance[i] = 2 * Math.sqrt(counts.applyAsInt(i)) * Math.ulp((float) magnitudes[i]);
    }
    return tolerance;
  }
}
