package org.featurepool.cli.operator;

import static org.featurepool.cli.operator.Options.CEIL;
import static org.featurepool.cli.operator.Options.DILATION;
import static org.featurepool.cli.operator.Options.GLOBAL;
import static org.featurepool.cli.operator.Options.KERNEL;
import static org.featurepool.cli.operator.Options.OUTPUT;
import static org.featurepool.cli.operator.Options.PAD;
import static org.featurepool.cli.operator.Options.RANK;
import static org.featurepool.cli.operator.Options.STRIDE;

import java.util.List;
import java.util.stream.Stream;
import org.featurepool.Window;
import org.featurepool.cli.UsageException;

/** The ways to say which windows an operator pools. */
enum Windows {
  /** A kernel. */
  FIXED(KERNEL, STRIDE, PAD, DILATION, CEIL) {
    @Override
    Form read(Arguments arguments) {
      Values kernel = arguments.require(KERNEL);
      checkRank(KERNEL, kernel);
      Window window = Window.of(kernel.toArray());
      if (arguments.has(STRIDE)) {
        window = window.withStride(perAxis(arguments, STRIDE));
      }
      if (arguments.has(DILATION)) {
        window = window.withDilation(perAxis(arguments, DILATION));
      }
      if (arguments.has(PAD)) {
        window = arguments.require(PAD).applyTo(window);
      }
      return new Form(
          arguments.has(CEIL) ? window.withCeilMode() : window, Axes.of(KERNEL, kernel));
    }
  },
  /** Extents of the output. */
  ADAPTIVE(OUTPUT) {
    @Override
    Form read(Arguments arguments) {
      Values output = arguments.require(OUTPUT);
      checkRank(OUTPUT, output);
      return new Form(Window.adaptive(output.toArray()), Axes.of(OUTPUT, output));
    }
  },
  /** The whole plane. */
  WHOLE(RANK) {
    @Override
    Form read(Arguments arguments) {
      long rank = arguments.find(RANK).orElse(2L);
      if (rank < 1 || rank > MAX_RANK) {
        throw new UsageException("--rank is %d; it must be 1, 2 or 3".formatted(rank));
      }
      return new Form(Window.global((int) rank), new Axes((int) rank, "--rank " + rank));
    }
  },
  /** Any of these. */
  ANY(KERNEL, STRIDE, PAD, DILATION, CEIL, OUTPUT, GLOBAL, RANK) {
    @Override
    Form read(Arguments arguments) {
      Option<?> chosen = arguments.oneOf(KERNEL, OUTPUT, GLOBAL);
      for (Option<?> option : List.of(STRIDE, PAD, DILATION, CEIL)) {
        arguments.requireWith(option, KERNEL);
      }
      arguments.requireWith(RANK, GLOBAL);
      Windows way = chosen == KERNEL ? FIXED : chosen == OUTPUT ? ADAPTIVE : WHOLE;
      return way.read(arguments);
    }
  };

  private static final int MAX_RANK = 3;

  private final List<Option<?>> options;

  Windows(Option<?>... options) {
    this.options = List.of(options);
  }

  /**
   * What was said.
   *
   * @param window the windows
   * @param axes their rank
   */
  record Form(Window window, Axes axes) {}

  abstract Form read(Arguments arguments);

  /** The options that say it, then {@code more}. */
  List<Option<?>> optionsAnd(Option<?>... more) {
    return Stream.concat(options.stream(), Stream.of(more)).toList();
  }

  private static void checkRank(Option<?> option, Values values) {
    if (values.count() > MAX_RANK) {
      throw new UsageException(
          "%s %s has %s; there are 1 (W), 2 (H,W) or 3 (D,H,W) axes"
              .formatted(option, values, values.countText()));
    }
  }

  private static long[] perAxis(Arguments arguments, Option<Values> option) {
    Values kernel = arguments.require(KERNEL);
    Values values = arguments.require(option);
    if (values.count() != 1 && values.count() != kernel.count()) {
      throw new UsageException(
          "%s %s has %s; with --kernel %s it takes %d, or one for all axes"
              .formatted(option, values, values.countText(), kernel, kernel.count()));
    }
    return values.toArray();
  }
}
