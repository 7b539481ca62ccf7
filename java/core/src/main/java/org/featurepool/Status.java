package org.featurepool;

import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/** Turns the status of a native call into the exception that Java callers expect. */
final class Status {
  /** Where Java's parameters have other names than those of the C ABI. */
  private static final Map<String, String> JAVA_NAMES =
      Map.ofEntries(
          Map.entry("y", "out"),
          Map.entry("dy", "gradient"),
          Map.entry("dx", "inputGradient"),
          Map.entry("images", "batchIndices"),
          Map.entry("sampling_ratio", "samplingRatio"),
          Map.entry("da", "aGradient"),
          Map.entry("db", "bGradient"),
          Map.entry("dweights", "weightsGradient"),
          Map.entry("dbiases", "biasesGradient"),
          Map.entry("dcentroids", "centroidsGradient"));

  /** A parameter of the C ABI in a message: {@code y.extents}, {@code dy_data}. */
  private static final Pattern PARAMETER =
      Pattern.compile(
          "\\b(x|y|dx|dy|mask|indices|samples|assignments|residuals|d?(?:a|b|weights|biases|centroids))"
              + "(?:_data\\b|(?=\\.\\w))"
              + "|\\b(?<whole>images|sampling_ratio)(?=\\[| is )");

  /** Names in gradients that need the forward call's output: there, y is an input. */
  private static final Map<String, String> BACKWARD_NAMES = new HashMap<>(JAVA_NAMES);

  static {
    BACKWARD_NAMES.put("y", "output");
  }

  private Status() {}

  /** Does nothing if {@code status} is {@code FPOOL_OK}, otherwise throws. */
  static void check(int status) {
    if (status != 0) {
      // The message belongs to the thread: nothing may come between the call and this.
      throw refusal(status, javaNames(NativeLibrary.lastError(), JAVA_NAMES));
    }
  }

  /** As {@link #check}, for a gradient that is given the forward call's output. */
  static void checkBackward(int status) {
    if (status != 0) {
      throw refusal(status, javaNames(NativeLibrary.lastError(), BACKWARD_NAMES));
    }
  }

  private static RuntimeException refusal(int status, String message) {
    if (status == featurepool_h.FPOOL_ERROR_OUT_OF_MEMORY()) {
      throw new OutOfMemoryError(message);
    }
    if (status == featurepool_h.FPOOL_ERROR_INDEX_OUT_OF_RANGE()) {
      return new IndexOutOfBoundsException(message);
    }
    if (status == featurepool_h.FPOOL_ERROR_INVALID_ARGUMENT()
        || status == featurepool_h.FPOOL_ERROR_SHAPE_MISMATCH()
        || status == featurepool_h.FPOOL_ERROR_UNSUPPORTED_TYPE()
        || status == featurepool_h.FPOOL_ERROR_BAD_BUFFER()) {
      return new IllegalArgumentException(message);
    }
    return new IllegalStateException(message);
  }

  private static String javaNames(String message, Map<String, String> names) {
    return PARAMETER
        .matcher(message)
        .replaceAll(
            match -> {
              String name = match.group(1) == null ? match.group("whole") : match.group(1);
              return Matcher.quoteReplacement(names.getOrDefault(name, name));
            })
        .replace("pad_", "padding ");
  }
}
