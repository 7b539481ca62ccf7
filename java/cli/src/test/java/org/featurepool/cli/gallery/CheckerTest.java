package org.featurepool.cli.gallery;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Random;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.gallery.Sliding.Trial;
import org.junit.jupiter.api.Test;

/** A checker is worth something only if it finds what is wrong. */
class CheckerTest {
  private static final int WIDTH = 23;
  private static final int HEIGHT = 17;

  private static Trial trial(Sliding operator, WindowCase window, Arena arena) {
    float[] values = new float[3 * WIDTH * HEIGHT];
    Random random = new Random(7);
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(256);
    }
    Tensor x = Tensor.of(arena, Shape.nchw(1, 3, HEIGHT, WIDTH), values);
    return operator.run(window, x, y -> Gradients.wholeNumbers(y, arena), arena);
  }

  private static List<Boolean> passed(Sliding operator, Trial trial) {
    return operator.oracle().apply(trial).stream().map(Check::passed).toList();
  }

  @Test
  void everyWindowOfEveryOperatorAgrees() {
    for (WindowCase window : WindowCase.all(HEIGHT, WIDTH)) {
      for (Sliding operator : Sliding.ALL) {
        try (Arena arena = Arena.ofShared()) {
          Trial trial = trial(operator, window, arena);
          for (Check check : operator.oracle().apply(trial)) {
            assertTrue(check.passed(), check::toString);
          }
        }
      }
    }
  }

  @Test
  void findsAWrongMaximumAndAWrongGradient() {
    Sliding max = Sliding.ALL.get(0);
    WindowCase window = WindowCase.all(HEIGHT, WIDTH).get(1);
    try (Arena arena = Arena.ofShared()) {
      Trial trial = trial(max, window, arena);
      Tensor output = trial.forward().output();
      float right = output.getFloat(0, 2, 3, 4);
      output.set(Math.nextUp(right), 0, 2, 3, 4);
      assertEquals(List.of(false, true, true), passed(max, trial));
      String detail = max.oracle().apply(trial).getFirst().detail();
      assertTrue(detail.startsWith("channel 2, row 3, column 4 is "), detail);
      output.set(right, 0, 2, 3, 4);

      trial.inputGradient().set(trial.inputGradient().getFloat(0, 0, 0, 0) + 1, 0, 0, 0, 0);
      assertEquals(List.of(true, true, false), passed(max, trial));
    }
  }

  @Test
  void findsAWrongPosition() {
    Sliding max = Sliding.ALL.get(0);
    WindowCase window = WindowCase.all(HEIGHT, WIDTH).get(0);
    try (Arena arena = Arena.ofShared()) {
      Trial trial = trial(max, window, arena);
      Tensor mask = trial.forward().mask().orElseThrow().tensor();
      mask.set((mask.get(0, 1, 2, 3) + 1) % 4, 0, 1, 2, 3);
      assertEquals(List.of(true, false, true), passed(max, trial));
    }
  }

  @Test
  void findsAnAverageBeyondTheBound() {
    Sliding average = Sliding.ALL.get(1);
    WindowCase window = WindowCase.all(HEIGHT, WIDTH).get(2);
    try (Arena arena = Arena.ofShared()) {
      Trial trial = trial(average, window, arena);
      Tensor output = trial.forward().output();
      float right = output.getFloat(0, 1, 5, 6);
      // 2 ulp·sqrt(81) is 18 ulp.
      output.set(right + 17 * Math.ulp(right), 0, 1, 5, 6);
      assertTrue(passed(average, trial).getFirst());
      output.set(right + 20 * Math.ulp(right), 0, 1, 5, 6);
      assertFalse(passed(average, trial).getFirst());
      output.set(Double.NaN, 0, 1, 5, 6);
      assertFalse(passed(average, trial).getFirst());
    }
  }

  @Test
  void geometryAgreesWithTheLibraryForAllSizes() {
    for (int size = 1; size < 48; size++) {
      for (WindowCase window : WindowCase.all(40, 40)) {
        if (window.fits(size, size + 1)) {
          Shape expected =
              Shape.nchw(1, 1, window.rows(size).output(), window.columns(size + 1).output());
          assertEquals(
              expected,
              window.window().outputShape(Shape.nchw(1, 1, size, size + 1)),
              window.formula());
        }
      }
    }
  }

  @Test
  void referenceKeepsTheRulesOfMax() {
    Axis two = new Axis(2, 1, 2, 1, 0, 0, 1);
    // The first of equal maxima wins; the last NaN does.
    assertArrayEquals(new int[] {1}, Reference.max(new float[] {1, 5, 5, 2}, two, two).positions());
    assertArrayEquals(
        new int[] {2},
        Reference.max(new float[] {Float.NaN, 5, Float.NaN, 2}, two, two).positions());
    float low = Float.NEGATIVE_INFINITY;
    assertArrayEquals(
        new int[] {0}, Reference.max(new float[] {low, low, low, low}, two, two).positions());
  }

  @Test
  void referenceSpreadsAndAccumulates() {
    Axis three = new Axis(3, 2, 2, 1, 0, 0, 1);
    Reference.Sums spread = Reference.averageBackward(new float[] {4, 4, 4, 4}, three, three);
    assertArrayEquals(new double[] {1, 2, 1, 2, 4, 2, 1, 2, 1}, spread.values());
    assertArrayEquals(
        new float[] {0, 0, 0, 0, 10, 0, 0, 0, 0},
        Reference.maxBackward(new float[] {1, 2, 3, 4}, new int[] {4, 4, 4, 4}, 9));
  }
}
