package org.featurepool.cli.operator;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.featurepool.MaxPool;
import org.featurepool.MedianPool;
import org.featurepool.MinPool;
import picocli.CommandLine.TypeConversionException;

/** All operators. */
final class Operators {
  /** In the order of the help. Adding an operator is adding its class here. */
  static final List<Operator> ALL =
      List.of(
          new Selection("max", "the maximum", Windows.FIXED, Types.COMPARED, MaxPool::of),
          new Selection("min", "the minimum", Windows.FIXED, Types.COMPARED, MinPool::of),
          new Average("avg", "the average", Windows.FIXED),
          new Lp("lp", "the Lp norm", Windows.ANY),
          new Gem("gem", "the generalised mean"),
          new Selection("median", "the median", Windows.FIXED, Types.RANKED, MedianPool::of),
          new Stochastic("stochastic", "an average weighted by itself, or one drawn so"),
          new Mixed("mixed", "maximum and average, added or concatenated"),
          new Selection(
              "adaptive-max", "maxima of bins", Windows.ADAPTIVE, Types.COMPARED, MaxPool::of),
          new Average("adaptive-avg", "averages of bins", Windows.ADAPTIVE),
          new Selection(
              "global-max", "maxima of planes", Windows.WHOLE, Types.COMPARED, MaxPool::of),
          new Average("global-avg", "averages of planes", Windows.WHOLE),
          new Lp("global-lp", "Lp norms of planes", Windows.WHOLE),
          new FractionalMax("fractional-max", "maxima of windows at random places"),
          new SpatialPyramid("spp", "SPPNet's pyramid of bins"),
          new SpatialPyramidBlock("spp-block", "YOLOv3's maxima of several windows, and the input"),
          new Roi("roi-pool", "maxima of the bins of regions"),
          new Aligned("roi-align", "samples in the bins of regions"),
          new MaxUnpooling("max-unpool", "elements back to where a mask says"),
          new AverageUnpooling("avg-unpool", "elements spread over their windows"),
          new Bilinear("bilinear", "products of channels"),
          new Vlad("netvlad", "residuals of descriptors to clusters"));

  private Operators() {}

  /** The operator of a name. */
  static Operator parse(String name) {
    return ALL.stream()
        .filter(operator -> operator.name().equals(name.toLowerCase(Locale.ROOT)))
        .findAny()
        .orElseThrow(
            () ->
                new TypeConversionException(
                    "'%s' is no operator; it must be one of %s"
                        .formatted(name, names(ALL.stream()))));
  }

  /** Every option of an operator, each once, then those that all take. */
  static List<Option<?>> options() {
    return Stream.concat(
            ALL.stream().flatMap(operator -> operator.options().stream()), Options.COMMON.stream())
        .<Option<?>>map(option -> option)
        .distinct()
        .toList();
  }

  /** The names of the operators that take an option. */
  static String namesTaking(Option<?> option) {
    return names(ALL.stream().filter(operator -> operator.options().contains(option)));
  }

  private static String names(Stream<Operator> operators) {
    return operators.map(Operator::name).collect(Collectors.joining(", "));
  }
}
