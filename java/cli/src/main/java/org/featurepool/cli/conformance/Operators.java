package org.featurepool.cli.conformance;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.featurepool.AvgPool;
import org.featurepool.GlobalPool;
import org.featurepool.LpPool;
import org.featurepool.Mask;
import org.featurepool.MaxPool;
import org.featurepool.MaxUnpool;
import org.featurepool.Regions;
import org.featurepool.RoiAlign;
import org.featurepool.RoiPool;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.conformance.onnx.AttributeProto;

/** ONNX's operators as calls of the library. */
final class Operators {
  private static final int HALF_PIXEL_BY_DEFAULT = 16;
  private static final double LP_DEFAULT = 2;

  /** A node that is about to run. */
  record Call(Attributes attributes, List<Value> inputs, int outputs, int opset, Arena arena) {
    Value input(int index) {
      if (index >= inputs.size() || inputs.get(index) == null) {
        throw new ConformanceException("input " + index + " is missing");
      }
      return inputs.get(index);
    }

    boolean has(int index) {
      return index < inputs.size() && inputs.get(index) != null;
    }

    Tensor x() {
      return input(0).tensor();
    }

    int rank() {
      return x().shape().spatialRank();
    }
  }

  private interface Operator {
    List<Value> run(Call call);
  }

  private static final Map<String, Operator> BY_TYPE =
      Map.ofEntries(
          Map.entry("MaxPool", Operators::max),
          Map.entry("AveragePool", Operators::average),
          Map.entry("LpPool", Operators::lp),
          Map.entry(
              "GlobalMaxPool",
              call -> one(GlobalPool.max(call.rank()).forward(call.x(), call.arena()))),
          Map.entry(
              "GlobalAveragePool",
              call -> one(GlobalPool.average(call.rank()).forward(call.x(), call.arena()))),
          Map.entry(
              "GlobalLpPool",
              call -> one(GlobalPool.lp(call.rank(), p(call)).forward(call.x(), call.arena()))),
          Map.entry("MaxRoiPool", Operators::maxRoi),
          Map.entry("MaxUnpool", Operators::maxUnpool),
          Map.entry("RoiAlign", Operators::roiAlign),
          Map.entry("Constant", Operators::constant),
          Map.entry("Identity", call -> List.of(call.input(0))),
          Map.entry("Squeeze", Operators::squeeze),
          Map.entry("Unsqueeze", Operators::unsqueeze));

  private Operators() {}

  static List<Value> run(String type, Call call) {
    Operator operator = BY_TYPE.get(type);
    if (operator == null) {
      throw new ConformanceException(
          "unsupported operator "
              + type
              + "; there are "
              + String.join(", ", new TreeSet<>(BY_TYPE.keySet())));
    }
    return operator.run(call);
  }

  private static List<Value> one(Tensor tensor) {
    return List.of(Value.of(tensor));
  }

  private static List<Value> max(Call call) {
    MaxPool pool = MaxPool.of(call.attributes().window());
    if (call.outputs() < 2) {
      return one(pool.forward(call.x(), call.arena()));
    }
    MaxPool.Result result = pool.forwardWithMask(call.x(), call.arena());
    Mask.IndexBase base =
        call.attributes().whole("storage_order", 0) == 0
            ? Mask.IndexBase.TENSOR
            : Mask.IndexBase.TENSOR_COLUMN_MAJOR;
    return List.of(Value.of(result.output()), Value.of(result.mask().indices(base, call.arena())));
  }

  private static List<Value> average(Call call) {
    AvgPool pool = AvgPool.of(call.attributes().window());
    boolean includePadding = call.attributes().whole("count_include_pad", 0) != 0;
    return one((includePadding ? pool.withIncludePadding() : pool).forward(call.x(), call.arena()));
  }

  private static double p(Call call) {
    return call.attributes().whole("p", (long) LP_DEFAULT);
  }

  private static List<Value> lp(Call call) {
    return one(LpPool.of(call.attributes().window(), p(call)).forward(call.x(), call.arena()));
  }

  private static List<Value> maxUnpool(Call call) {
    MaxUnpool unpool = MaxUnpool.of(call.attributes().window());
    Tensor x = call.x();
    Tensor indices = call.input(1).tensor();
    if (!call.has(2)) {
      return one(unpool.forwardOverTensor(x, indices, call.arena()));
    }
    Shape shape = Shape.of(x.shape().layout(), call.input(2).longs());
    return one(unpool.forwardOverTensor(x, indices, shape, call.arena()));
  }

  /** Regions from the columns that hold x1, y1, x2, y2 of a matrix. */
  private static Regions regions(Call call, Value matrix, int firstColumn, long[] batchIndices) {
    int columns = Math.toIntExact(matrix.extents()[1]);
    if (batchIndices.length != matrix.extents()[0]) {
      throw new ConformanceException(
          "there are %d batch indices for %d regions"
              .formatted(batchIndices.length, matrix.extents()[0]));
    }
    double[][] boxes = new double[batchIndices.length][4];
    for (int region = 0; region < boxes.length; region++) {
      for (int i = 0; i < 4; i++) {
        boxes[region][i] = matrix.number((long) region * columns + firstColumn + i);
      }
    }
    return Regions.of(call.arena(), boxes, batchIndices);
  }

  private static void requireMatrix(Value value, String name, int columns) {
    if (value.extents().length != 2 || value.extents()[1] != columns) {
      throw new ConformanceException(
          name + " is " + Arrays.toString(value.extents()) + "; it must be R x " + columns);
    }
  }

  private static List<Value> maxRoi(Call call) {
    long[] output = call.attributes().wholes("pooled_shape");
    if (output == null || output.length != 2) {
      throw new ConformanceException("attribute pooled_shape must hold a height and a width");
    }
    Value matrix = call.input(1);
    requireMatrix(matrix, "rois", 5);
    long[] batchIndices =
        LongStream.range(0, matrix.extents()[0])
            .map(region -> (long) matrix.number(5 * region))
            .toArray();
    RoiPool pool = RoiPool.of(output[0], output[1], call.attributes().number("spatial_scale", 1));
    return one(pool.forward(call.x(), regions(call, matrix, 1, batchIndices), call.arena()));
  }

  private static List<Value> roiAlign(Call call) {
    Attributes attributes = call.attributes();
    long height = attributes.whole("output_height", 1);
    long width = attributes.whole("output_width", 1);
    double scale = attributes.number("spatial_scale", 1);
    String mode = attributes.text("mode", "avg");
    RoiAlign align =
        switch (mode) {
          case "avg" -> RoiAlign.average(height, width, scale);
          case "max" -> RoiAlign.max(height, width, scale);
          default ->
              throw new ConformanceException("mode is '" + mode + "'; it must be avg or max");
        };
    String coordinates =
        attributes.text(
            "coordinate_transformation_mode",
            call.opset() >= HALF_PIXEL_BY_DEFAULT ? "half_pixel" : "output_half_pixel");
    boolean halfPixel =
        switch (coordinates) {
          case "half_pixel" -> true;
          case "output_half_pixel" -> false;
          default ->
              throw new ConformanceException(
                  "coordinate_transformation_mode is '"
                      + coordinates
                      + "'; it must be half_pixel or output_half_pixel");
        };
    Value matrix = call.input(1);
    requireMatrix(matrix, "rois", 4);
    Regions regions = regions(call, matrix, 0, call.input(2).longs());
    return one(
        align
            .withSamplingRatio(attributes.whole("sampling_ratio", 0))
            .withHalfPixel(halfPixel)
            .forward(call.x(), regions, call.arena()));
  }

  private static List<Value> constant(Call call) {
    Attributes attributes = call.attributes();
    if (attributes.find("value").isPresent()) {
      return List.of(Value.of(attributes.find("value").get().getT(), call.arena()));
    }
    if (attributes.wholes("value_ints") != null) {
      return List.of(Value.ofLongs(call.arena(), attributes.wholes("value_ints")));
    }
    AttributeProto whole =
        attributes
            .find("value_int")
            .orElseThrow(
                () ->
                    new ConformanceException("Constant must have value, value_int or value_ints"));
    return List.of(Value.ofLongs(call.arena(), whole.getI()).withExtents());
  }

  /** Axes from the second input (opset 13), else from the attribute; null if there are none. */
  private static long[] axes(Call call) {
    return call.has(1) ? call.input(1).longs() : call.attributes().wholes("axes");
  }

  /** Marks axes of a shape of so many; negative ones count from the end. */
  private static boolean[] marked(long[] axes, int rank) {
    boolean[] marked = new boolean[rank];
    for (long axis : axes) {
      long at = axis < 0 ? axis + rank : axis;
      if (at < 0 || at >= rank) {
        throw new ConformanceException(
            "axis is " + axis + "; it must be from " + -rank + " to " + (rank - 1));
      }
      if (marked[(int) at]) {
        throw new ConformanceException("axis " + at + " is named twice");
      }
      marked[(int) at] = true;
    }
    return marked;
  }

  private static List<Value> squeeze(Call call) {
    Value x = call.input(0);
    long[] axes = axes(call);
    int rank = x.extents().length;
    boolean[] drop = axes == null ? null : marked(axes, rank);
    LongStream.Builder extents = LongStream.builder();
    for (int i = 0; i < rank; i++) {
      boolean dropped = drop == null ? x.extents()[i] == 1 : drop[i];
      if (dropped && x.extents()[i] != 1) {
        throw new ConformanceException(
            "axis " + i + " of Squeeze has " + x.extents()[i] + " elements; it must have 1");
      }
      if (!dropped) {
        extents.add(x.extents()[i]);
      }
    }
    return List.of(x.withExtents(extents.build().toArray()));
  }

  private static List<Value> unsqueeze(Call call) {
    Value x = call.input(0);
    long[] axes = axes(call);
    if (axes == null) {
      throw new ConformanceException("Unsqueeze has no axes");
    }
    boolean[] added = marked(axes, x.extents().length + axes.length);
    long[] extents = new long[added.length];
    int next = 0;
    for (int i = 0; i < extents.length; i++) {
      extents[i] = added[i] ? 1 : x.extents()[next++];
    }
    return List.of(x.withExtents(extents));
  }
}
