package org.featurepool.cli.conformance;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.featurepool.Window;
import org.featurepool.cli.conformance.onnx.AttributeProto;
import org.featurepool.cli.conformance.onnx.NodeProto;

/** The attributes of a node, with ONNX's defaults. */
final class Attributes {
  private final Map<String, AttributeProto> byName = new HashMap<>();

  Attributes(NodeProto node) {
    for (AttributeProto attribute : node.getAttributeList()) {
      byName.put(attribute.getName(), attribute);
    }
  }

  Optional<AttributeProto> find(String name) {
    return Optional.ofNullable(byName.get(name));
  }

  long whole(String name, long otherwise) {
    return find(name).map(AttributeProto::getI).orElse(otherwise);
  }

  double number(String name, double otherwise) {
    return find(name).map(attribute -> (double) attribute.getF()).orElse(otherwise);
  }

  String text(String name, String otherwise) {
    return find(name).map(attribute -> attribute.getS().toStringUtf8()).orElse(otherwise);
  }

  /** Whole numbers; null if there is no such attribute. */
  long[] wholes(String name) {
    return find(name)
        .map(attribute -> attribute.getIntsList().stream().mapToLong(Long::longValue).toArray())
        .orElse(null);
  }

  /** The window that kernel_shape, strides, dilations, pads, auto_pad and ceil_mode describe. */
  Window window() {
    long[] kernel = wholes("kernel_shape");
    if (kernel == null) {
      throw new ConformanceException("attribute kernel_shape is missing");
    }
    long[] strides = wholes("strides");
    long[] dilations = wholes("dilations");
    Window window =
        Window.of(kernel)
            .withStride(strides == null ? new long[] {1} : strides)
            .withDilation(dilations == null ? new long[] {1} : dilations);
    String padding = text("auto_pad", "NOTSET");
    window =
        switch (padding) {
          case "NOTSET" -> withPads(window);
          case "SAME_UPPER" -> window.withSamePadding(Window.SamePadding.UPPER);
          case "SAME_LOWER" -> window.withSamePadding(Window.SamePadding.LOWER);
          case "VALID" -> window.withValidPadding();
          default ->
              throw new ConformanceException(
                  "auto_pad is '"
                      + padding
                      + "'; it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID");
        };
    return whole("ceil_mode", 0) != 0 ? window.withCeilMode() : window;
  }

  private Window withPads(Window window) {
    long[] pads = wholes("pads");
    if (pads == null) {
      return window;
    }
    int rank = window.rank();
    if (pads.length != 2 * rank) {
      throw new ConformanceException(
          "pads has " + pads.length + " values; a kernel of rank " + rank + " needs " + 2 * rank);
    }
    return window.withPadding(Arrays.copyOf(pads, rank), Arrays.copyOfRange(pads, rank, 2 * rank));
  }
}
