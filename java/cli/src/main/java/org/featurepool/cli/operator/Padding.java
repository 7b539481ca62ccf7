package org.featurepool.cli.operator;

import java.util.Arrays;
import org.featurepool.Window;
import org.featurepool.cli.UsageException;
import picocli.CommandLine.TypeConversionException;

/** How the input is padded: by a rule, or by numbers. */
sealed interface Padding {
  /** Gives {@code window} this padding. */
  Window applyTo(Window window);

  /** Padding that follows from the extents. */
  enum Rule implements Padding {
    SAME_UPPER {
      @Override
      public Window applyTo(Window window) {
        return window.withSamePadding(Window.SamePadding.UPPER);
      }
    },
    SAME_LOWER {
      @Override
      public Window applyTo(Window window) {
        return window.withSamePadding(Window.SamePadding.LOWER);
      }
    },
    VALID {
      @Override
      public Window applyTo(Window window) {
        return window.withValidPadding();
      }
    }
  }

  /** The padding at the begin of every axis, then that at the end of every axis; or one for all. */
  record Explicit(Values values) implements Padding {
    private static final String[] ORDER = {
      "", "left,right", "top,left,bottom,right", "front,top,left,back,bottom,right"
    };

    @Override
    public Window applyTo(Window window) {
      long[] all = values.toArray();
      int rank = window.rank();
      if (all.length == 1) {
        return window.withPadding(all);
      }
      if (all.length != 2 * rank) {
        throw new UsageException(
            "--pad %s has %s; a %dD window takes %d (%s), one for all sides, or a rule"
                .formatted(values, values.countText(), rank, 2 * rank, ORDER[rank]));
      }
      return window.withPadding(
          Arrays.copyOfRange(all, 0, rank), Arrays.copyOfRange(all, rank, 2 * rank));
    }
  }

  /** Takes a rule or numbers. */
  static Padding parse(String text) {
    for (Rule rule : Rule.values()) {
      if (rule.name().equalsIgnoreCase(text)) {
        return rule;
      }
    }
    if (!Values.looksNumeric(text)) {
      throw new TypeConversionException(
          "'" + text + "' is neither same_upper, same_lower, valid nor numbers such as 1,1,1,1");
    }
    return new Explicit(Values.parse(text));
  }
}
