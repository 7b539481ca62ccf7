package org.featurepool.cli.gallery;

import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.featurepool.AvgPool;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.Window;

/**
 * An operator that slides a window over the whole picture: the chapters about windows, maxima,
 * gradients, shifts and times are made for every entry of {@link #ALL}. What all other operators do
 * is shown by an {@link Exhibit} each.
 *
 * @param name what it is called inside a sentence
 * @param idea what it does and what that is good for
 * @param gradientIdea how its gradient flows back
 * @param bind makes it for a window
 * @param oracle checks what it computed
 */
record Sliding(
    String name,
    String idea,
    String gradientIdea,
    Function<Window, Operator> bind,
    Function<Trial, List<Check>> oracle) {

  static final List<Sliding> ALL =
      List.of(
          new Sliding(
              "max",
              "keeps the largest of its taps and forgets the rest",
              "The whole gradient of an output goes to the one pixel that was its maximum; the "
                  + "mask, written by the forward pass, says which. All other pixels of the window "
                  + "get nothing from it. A pixel that won several overlapping windows collects "
                  + "the sum of their gradients.",
              Max::new,
              Checker::max),
          new Sliding(
              "average",
              "returns the mean of its taps",
              "Every pixel of the window gets the same share: the gradient divided by the number "
                  + "of taps, so that what leaves the output arrives at the input exactly once. No "
                  + "mask is needed. Where windows overlap, the shares add up.",
              Average::new,
              Checker::average));

  /** An operator with its window. */
  interface Operator {
    /** Pools {@code x}. */
    Forward forward(Tensor x, Arena arena);

    /** The gradient of the input, of shape {@code input}, that belongs to {@code forward}. */
    Tensor backward(Tensor gradient, Forward forward, Shape input, Arena arena);

    /** What is worth timing, working on the given tensors and allocating nothing itself. */
    List<Operation> operations(Trial trial);
  }

  /** What a forward pass leaves: the output, and the mask of operators that have one. */
  record Forward(Tensor output, Optional<Mask> mask) {}

  /**
   * Something to time.
   *
   * @param name what is done
   * @param bytes bytes read and written by one run
   * @param run does it once
   */
  record Operation(String name, long bytes, Runnable run) {}

  /**
   * One operator applied to one tensor, forward and backward.
   *
   * @param subject operator and window, for messages
   * @param window the window
   * @param input planar f32 input
   * @param forward the result
   * @param gradient gradient of the output that was sent back
   * @param inputGradient what arrived at the input
   */
  record Trial(
      String subject,
      WindowCase window,
      Tensor input,
      Forward forward,
      Tensor gradient,
      Tensor inputGradient) {}

  /**
   * Runs the operator forward and backward.
   *
   * @param window a window that fits the input
   * @param input planar f32 input
   * @param gradient makes the gradient of an output
   * @param arena owner of the results
   */
  Trial run(WindowCase window, Tensor input, Function<Tensor, Tensor> gradient, Arena arena) {
    Operator bound = bind.apply(window.window());
    Forward forward = bound.forward(input, arena);
    Tensor upstream = gradient.apply(forward.output());
    Tensor arrived = bound.backward(upstream, forward, input.shape(), arena);
    String subject = Html.format("%s, %s", name, window.formula());
    return new Trial(subject, window, input, forward, upstream, arrived);
  }

  private record Max(MaxPool pool) implements Operator {
    Max(Window window) {
      this(MaxPool.of(window));
    }

    @Override
    public Forward forward(Tensor x, Arena arena) {
      MaxPool.Result result = pool.forwardWithMask(x, arena);
      return new Forward(result.output(), Optional.of(result.mask()));
    }

    @Override
    public Tensor backward(Tensor gradient, Forward forward, Shape input, Arena arena) {
      return pool.backward(gradient, forward.mask().orElseThrow(), arena);
    }

    @Override
    public List<Operation> operations(Trial trial) {
      Tensor x = trial.input();
      Tensor y = trial.forward().output();
      Mask mask = trial.forward().mask().orElseThrow();
      Tensor dy = trial.gradient();
      Tensor dx = trial.inputGradient();
      long maskBytes = bytes(mask.tensor());
      return List.of(
          new Operation("max forward", bytes(x) + bytes(y), () -> pool.forward(x, y)),
          new Operation(
              "max forward with mask",
              bytes(x) + bytes(y) + maskBytes,
              () -> pool.forwardWithMask(x, y, mask)),
          new Operation(
              "max backward",
              bytes(dy) + maskBytes + bytes(dx),
              () -> pool.backward(dy, mask, dx)));
    }
  }

  private record Average(AvgPool pool) implements Operator {
    Average(Window window) {
      this(AvgPool.of(window));
    }

    @Override
    public Forward forward(Tensor x, Arena arena) {
      return new Forward(pool.forward(x, arena), Optional.empty());
    }

    @Override
    public Tensor backward(Tensor gradient, Forward forward, Shape input, Arena arena) {
      return pool.backward(gradient, input, arena);
    }

    @Override
    public List<Operation> operations(Trial trial) {
      Tensor x = trial.input();
      Tensor y = trial.forward().output();
      Tensor dy = trial.gradient();
      Tensor dx = trial.inputGradient();
      return List.of(
          new Operation("average forward", bytes(x) + bytes(y), () -> pool.forward(x, y)),
          new Operation("average backward", bytes(dy) + bytes(dx), () -> pool.backward(dy, dx)));
    }
  }

  private static long bytes(Tensor tensor) {
    return tensor.shape().elementCount() * tensor.dtype().size();
  }
}
