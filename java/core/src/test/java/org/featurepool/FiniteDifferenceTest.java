package org.featurepool;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Gradients against differences of the forward pass. Inputs, steps and weights are small multiples
 * of powers of two and every divisor is a power of two, so that the differences are exact in f32.
 */
class FiniteDifferenceTest {
  private static final float STEP = 0.25f;

  private static final PoolCase OVERLAPPING = PoolCase.of2d(3, 9, 11, 4, 2).withPadding(1, 2);

  /** Gradient at {@code x} of the sum of {@code weights} times the pooled map. */
  private static double[] differences(
      UnaryOperator<Tensor> forward, Layout layout, float[] x, float[] weights) {
    double[] gradient = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      float value = x[i];
      x[i] = value + STEP;
      double above = loss(forward, layout, x, weights);
      x[i] = value - STEP;
      double below = loss(forward, layout, x, weights);
      x[i] = value;
      gradient[i] = (above - below) / (2 * STEP);
    }
    return gradient;
  }

  private static double loss(
      UnaryOperator<Tensor> forward, Layout layout, float[] x, float[] weights) {
    try (Arena arena = Arena.ofConfined()) {
      float[] pooled =
          TestTensors.planar(
              forward.apply(
                  TestTensors.tensor(arena, DType.F32, OVERLAPPING.inputShape(layout), x)));
      double loss = 0;
      for (int i = 0; i < pooled.length; i++) {
        loss += (double) pooled[i] * weights[i];
      }
      return loss;
    }
  }

  private static float[] weights(SplittableRandom random) {
    float[] weights = new float[OVERLAPPING.outputSize()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = random.nextInt(-8, 9);
    }
    return weights;
  }

  private static void assertEqual(double[] expected, Tensor gradient) {
    float[] actual = TestTensors.planar(gradient);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], "element " + i + " of " + OVERLAPPING);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void maxGradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(11);
    float[] weights = weights(random);
    // All different by at least 1, so that a step never changes which is the maximum.
    float[] x = new float[OVERLAPPING.inputSize()];
    for (int i = 0; i < x.length; i++) {
      int other = random.nextInt(i + 1);
      x[i] = x[other];
      x[other] = i;
    }
    MaxPool pool = MaxPool.of(OVERLAPPING.window());
    try (Arena arena = Arena.ofConfined()) {
      Mask mask =
          pool.forwardWithMask(
                  TestTensors.tensor(arena, DType.F32, OVERLAPPING.inputShape(layout), x), arena)
              .mask();
      Tensor gradient =
          TestTensors.tensor(arena, DType.F32, OVERLAPPING.outputShape(layout), weights);
      assertEqual(
          differences(t -> pool.forward(t, Arena.ofAuto()), layout, x, weights),
          pool.backward(gradient, mask, arena));
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void averageGradientIsSlope(Layout layout) {
    SplittableRandom random = new SplittableRandom(12);
    float[] weights = weights(random);
    float[] x = new float[OVERLAPPING.inputSize()];
    for (int i = 0; i < x.length; i++) {
      x[i] = random.nextInt(-64, 65);
    }
    AvgPool pool = AvgPool.of(OVERLAPPING.window()).withDivisor(16);
    try (Arena arena = Arena.ofConfined()) {
      Tensor gradient =
          TestTensors.tensor(arena, DType.F32, OVERLAPPING.outputShape(layout), weights);
      assertEqual(
          differences(t -> pool.forward(t, Arena.ofAuto()), layout, x, weights),
          pool.backward(gradient, OVERLAPPING.inputShape(layout), arena));
    }
  }
}
