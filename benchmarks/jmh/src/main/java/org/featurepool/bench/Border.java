package org.featurepool.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.featurepool.bench.jmh.CallBenchmark;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** The same calls from Java, by JMH in a process of its own, and from C++, by Google Benchmark. */
final class Border {
  /** System property that names the program that Google Benchmark is in. */
  static final String PROPERTY = "featurepool.benchmark";

  private static final String ALLOCATION = "gc.alloc.rate.norm";
  private static final double NANOSECONDS = 1;

  private static final Map<String, String> CPP_NAMES =
      Map.of(
          "emptyCall", "overhead/abi_version",
          "tinyReused", "overhead/max_1x16x4x4");

  private Border() {}

  /**
   * A call.
   *
   * @param name of the method in {@link CallBenchmark}
   * @param javaNanos from Java
   * @param javaBytes that Java allocates on its heap
   * @param cppNanos from C++; not a number where there is no such call, or no such program
   */
  record Call(String name, double javaNanos, double javaBytes, double cppNanos) {}

  static List<Call> measure() throws IOException {
    Map<String, Double> cpp = fromCpp();
    List<Call> calls = new ArrayList<>();
    for (RunResult run : fromJava()) {
      String benchmark = run.getParams().getBenchmark();
      String name = benchmark.substring(benchmark.lastIndexOf('.') + 1);
      double bytes = allocated(run);
      calls.add(
          new Call(
              name,
              run.getPrimaryResult().getScore(),
              bytes,
              cpp.getOrDefault(CPP_NAMES.getOrDefault(name, ""), Double.NaN)));
    }
    return calls;
  }

  @SuppressWarnings("rawtypes") // as JMH has it
  private static double allocated(RunResult run) {
    double bytes = Double.NaN;
    for (Map.Entry<String, Result> result : run.getSecondaryResults().entrySet()) {
      if (result.getKey().endsWith(ALLOCATION)) {
        bytes = result.getValue().getScore();
      }
    }
    return bytes;
  }

  private static Collection<RunResult> fromJava() throws IOException {
    try {
      return new Runner(
              new OptionsBuilder()
                  .include(CallBenchmark.class.getName())
                  .addProfiler(GCProfiler.class)
                  .warmupIterations(3)
                  .warmupTime(TimeValue.milliseconds(500))
                  .measurementIterations(5)
                  .measurementTime(TimeValue.milliseconds(500))
                  .verbosity(VerboseMode.SILENT)
                  .build())
          .run();
    } catch (RunnerException e) {
      throw new IOException("JMH: " + e.getMessage(), e);
    }
  }

  /** Nanoseconds by the names of the benchmarks. */
  private static Map<String, Double> fromCpp() throws IOException {
    String program = System.getProperty(PROPERTY);
    return program == null
        ? Map.of()
        : googleBenchmark(Path.of(program), "--benchmark_filter=^overhead/");
  }

  /** Runs Google Benchmark; returns nanoseconds by the names of the benchmarks. */
  static Map<String, Double> googleBenchmark(Path program, String... options) throws IOException {
    List<String> command = new ArrayList<>(List.of(program.toString(), "--benchmark_format=json"));
    command.addAll(List.of(options));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    try (JsonParser json = new JsonFactory().createParser(process.getInputStream())) {
      return times(json);
    } finally {
      process.destroy();
    }
  }

  private static Map<String, Double> times(JsonParser json) throws IOException {
    Map<String, Double> times = new HashMap<>();
    String name = "";
    double time = Double.NaN;
    double unit = NANOSECONDS;
    for (JsonToken token = json.nextToken(); token != null; token = json.nextToken()) {
      if (token == JsonToken.END_OBJECT && !Double.isNaN(time)) {
        times.put(name, time * unit);
        time = Double.NaN;
      } else if (token == JsonToken.VALUE_STRING && "name".equals(json.currentName())) {
        name = json.getText();
      } else if (token == JsonToken.VALUE_STRING && "time_unit".equals(json.currentName())) {
        unit =
            switch (json.getText()) {
              case "us" -> 1e3;
              case "ms" -> 1e6;
              case "s" -> 1e9;
              default -> NANOSECONDS;
            };
      } else if (token.isNumeric() && "real_time".equals(json.currentName())) {
        time = json.getDoubleValue();
      }
    }
    return times;
  }
}
