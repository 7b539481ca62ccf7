package org.featurepool.bench;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler;

/** The charts of a report, as SVG. */
final class Charts {
  private static final int HEIGHT = 480;
  private static final int LEAST_WIDTH = 720;
  private static final int BAR_WIDTH = 9;
  private static final int MARGIN = 260;
  private static final double LEAST_SPEEDUP = 0.1;

  private Charts() {}

  /** How many times faster Featurepool is than each peer, a group of bars per cell. */
  static String speedups(String title, List<CellBench.Outcome> outcomes, int threads) {
    Map<String, List<Double>> series = new LinkedHashMap<>();
    for (String peer : peers(outcomes)) {
      series.put(
          peer,
          outcomes.stream()
              .map(
                  outcome ->
                      ratio(
                          outcome.nanos(peer, threads),
                          outcome.nanos(FeaturepoolReused.NAME, threads)))
              .map(speedup -> speedup == null ? null : Math.max(LEAST_SPEEDUP, speedup))
              .toList());
    }
    return bars(title, "times faster than the peer", true, outcomes, series);
  }

  /** Bytes per second of Featurepool and of the limit. */
  static String bandwidths(String title, List<CellBench.Outcome> outcomes, int threads) {
    Map<String, List<Double>> series = new LinkedHashMap<>();
    for (String name : List.of(CellBench.LIMIT, FeaturepoolReused.NAME)) {
      series.put(
          name,
          outcomes.stream()
              .map(outcome -> gigabytes(outcome, outcome.nanos(name, threads)))
              .toList());
    }
    return bars(title, "GB/s, read and written", false, outcomes, series);
  }

  /** The time of each contender against a property of the cells. */
  static String times(
      String title,
      String property,
      List<CellBench.Outcome> outcomes,
      int threads,
      ToDoubleFunction<CellBench.Outcome> of,
      boolean logarithmic) {
    XYChart chart =
        new XYChartBuilder()
            .width(LEAST_WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle(property)
            .yAxisTitle("microseconds")
            .build();
    style(chart.getStyler());
    chart.getStyler().setXAxisLogarithmic(logarithmic).setYAxisLogarithmic(true);
    Stream.of(Stream.of(CellBench.LIMIT, FeaturepoolReused.NAME), peers(outcomes).stream())
        .flatMap(names -> names)
        .forEach(
            name -> {
              List<CellBench.Outcome> with =
                  outcomes.stream()
                      .filter(outcome -> outcome.nanos(name, threads).isPresent())
                      .toList();
              if (!with.isEmpty()) {
                chart.addSeries(
                    name,
                    with.stream().mapToDouble(of).toArray(),
                    with.stream()
                        .mapToDouble(outcome -> outcome.nanos(name, threads).getAsDouble() / 1e3)
                        .toArray());
              }
            });
    return svg(chart);
  }

  /** The peers that took part in any of the cells, in order. */
  static List<String> peers(List<CellBench.Outcome> outcomes) {
    return outcomes.stream()
        .flatMap(outcome -> outcome.measurements().stream())
        .map(Measurement::contender)
        .filter(name -> !name.equals(CellBench.LIMIT) && !name.startsWith(FeaturepoolReused.NAME))
        .distinct()
        .toList();
  }

  private static Double ratio(OptionalDouble a, OptionalDouble b) {
    return a.isPresent() && b.isPresent() ? a.getAsDouble() / b.getAsDouble() : null;
  }

  private static Double gigabytes(CellBench.Outcome outcome, OptionalDouble nanos) {
    long bytes = outcome.task().readBytes() + outcome.task().writtenBytes();
    return nanos.isPresent() ? bytes / nanos.getAsDouble() : null;
  }

  private static String bars(
      String title,
      String value,
      boolean logarithmic,
      List<CellBench.Outcome> outcomes,
      Map<String, List<Double>> series) {
    List<String> cells = outcomes.stream().map(outcome -> outcome.cell().id()).toList();
    series.values().removeIf(values -> values.stream().allMatch(Objects::isNull));
    int width = MARGIN + cells.size() * (series.size() + 1) * BAR_WIDTH;
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(Math.max(LEAST_WIDTH, width))
            .height(HEIGHT)
            .title(title)
            .yAxisTitle(value)
            .build();
    style(chart.getStyler());
    chart.getStyler().setXAxisLabelRotation(60).setYAxisLogarithmic(logarithmic);
    if (logarithmic) {
      chart.getStyler().setYAxisMin(LEAST_SPEEDUP);
    }
    series.forEach((name, values) -> chart.addSeries(name, cells, new ArrayList<>(values)));
    return svg(chart);
  }

  private static void style(AxesChartStyler styler) {
    styler.setLegendPosition(Styler.LegendPosition.OutsideE);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setLocale(Locale.ROOT);
  }

  private static String svg(Chart<?, ?> chart) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      VectorGraphicsEncoder.saveVectorGraphic(
          chart, bytes, VectorGraphicsEncoder.VectorGraphicsFormat.SVG);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    String text = bytes.toString(StandardCharsets.UTF_8);
    return text.substring(text.indexOf("<svg"));
  }
}
