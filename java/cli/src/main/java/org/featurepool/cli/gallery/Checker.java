package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.featurepool.Mask;
import org.featurepool.Tensor;
import org.featurepool.cli.gallery.Sliding.Trial;

/**
 * Compares what the library computed with {@link Reference}, over all values of all channels.
 *
 * <p>Maxima, their positions and their gradients must agree bit for bit. (The gradients that the
 * gallery sends back for its checks are small whole numbers, whose sums are exact in any order.)
 * Averages must lie within 2 ulp·sqrt(taps) of the result in f64.
 */
final class Checker {
  private Checker() {}

  /** Checks a max pooling: output, mask and gradient. */
  static List<Check> max(Trial trial) {
    Verdict output = new Verdict("output", trial.forward().output());
    Verdict mask = new Verdict("mask", trial.forward().output());
    Verdict gradient = new Verdict("gradient", trial.input());
    Mask found = trial.forward().mask().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment positions = found.indices(Mask.IndexBase.PLANE, arena).segment();
      for (int c = 0; c < trial.input().shape().channels(); c++) {
        float[] x = Field.plane(trial.input(), c).values();
        Reference.Max expected = Reference.max(x, rows(trial), columns(trial));
        output.same(c, expected.values(), Field.plane(trial.forward().output(), c).values());
        mask.same(c, expected.positions(), positions, found.tensor().shape().planeSize());
        float[] dy = Field.plane(trial.gradient(), c).values();
        float[] dx = Reference.maxBackward(dy, expected.positions(), x.length);
        gradient.same(c, dx, Field.plane(trial.inputGradient(), c).values());
      }
    }
    return List.of(
        output.exact(trial.subject()),
        mask.exact(trial.subject()),
        gradient.exact(trial.subject()));
  }

  /** Checks an average pooling: output and gradient. */
  static List<Check> average(Trial trial) {
    Verdict output = new Verdict("output", trial.forward().output());
    Verdict gradient = new Verdict("gradient", trial.input());
    int taps = trial.window().kernel() * trial.window().kernel();
    for (int c = 0; c < trial.input().shape().channels(); c++) {
      float[] x = Field.plane(trial.input(), c).values();
      output.within(
          c,
          Reference.average(x, rows(trial), columns(trial)),
          Field.plane(trial.forward().output(), c).values(),
          taps);
      float[] dy = Field.plane(trial.gradient(), c).values();
      gradient.within(
          c,
          Reference.averageBackward(dy, rows(trial), columns(trial)),
          Field.plane(trial.inputGradient(), c).values(),
          taps);
    }
    return List.of(output.bounded(trial.subject()), gradient.bounded(trial.subject()));
  }

  private static Axis rows(Trial trial) {
    return trial.window().rows((int) trial.input().shape().spatial(0));
  }

  private static Axis columns(Trial trial) {
    return trial.window().columns((int) trial.input().shape().spatial(1));
  }

  /** What comparing one tensor has shown so far. */
  private static final class Verdict {
    private final String what;
    private final int width;
    private long count;
    private double worst;
    private String firstDifference;

    Verdict(String what, Tensor compared) {
      this.what = what;
      this.width = (int) compared.shape().spatial(1);
    }

    /** Compares floats bit for bit; any NaN equals any other. */
    void same(int channel, float[] expected, float[] found) {
      if (sameLength(expected.length, found.length)) {
        for (int i = 0; i < expected.length; i++) {
          if (Float.floatToIntBits(expected[i]) != Float.floatToIntBits(found[i])) {
            differ(channel, i, expected[i], found[i]);
          }
        }
      }
    }

    /**
     * Compares positions with plane {@code channel}, of {@code size} values, of an int64 tensor.
     */
    void same(int channel, int[] expected, MemorySegment found, long size) {
      long start = channel * size;
      if (sameLength(expected.length, size)) {
        for (int i = 0; i < expected.length; i++) {
          long position = found.getAtIndex(ValueLayout.JAVA_LONG, start + i);
          if (expected[i] != position) {
            differ(channel, i, expected[i], position);
          }
        }
      }
    }

    /** Compares averages with the f64 result, as a share of the bound. */
    void within(int channel, Reference.Sums expected, float[] found, int taps) {
      if (sameLength(expected.values().length, found.length)) {
        for (int i = 0; i < found.length; i++) {
          double bound = 2 * Math.ulp((float) expected.magnitudes()[i]) * Math.sqrt(taps);
          double share = Math.abs(found[i] - expected.values()[i]) / bound;
          worst = Math.max(worst, share);
          if (!(share <= 1)) {
            differ(channel, i, expected.values()[i], found[i]);
          }
        }
      }
    }

    private boolean sameLength(int expected, long found) {
      count += expected;
      if (expected != found && firstDifference == null) {
        firstDifference = Html.format("%d values a channel instead of %d", found, expected);
      }
      return expected == found;
    }

    private void differ(int channel, int index, Number expected, Number found) {
      if (firstDifference == null) {
        firstDifference =
            Html.format(
                "channel %d, row %d, column %d is %s instead of %s",
                channel, index / width, index % width, found, expected);
      }
    }

    Check exact(String subject) {
      return check(subject, Html.format("%,d values, bit for bit", count));
    }

    Check bounded(String subject) {
      return check(
          subject,
          Html.format("%,d values, largest error %.0f %% of the bound", count, 100 * worst));
    }

    private Check check(String subject, String agreement) {
      String name = subject + ": " + what;
      return firstDifference == null
          ? new Check(name, true, agreement)
          : new Check(name, false, firstDifference);
    }
  }
}
