package org.featurepool.bench;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.BiPredicate;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.bindings.ffi.featurepool_h;

/** What speed is promised, held against what a run has measured. */
final class Targets {
  private static final String ONEDNN = "onednn";
  private static final String LIBTORCH = "libtorch";
  private static final String ONNXRUNTIME = "onnxruntime";
  private static final String OPENCV = "opencv";
  private static final long MEGABYTE = 1_000_000;
  private static final double MEBIBYTE = 1 << 20;

  /** Less than any byte per call: a bound for what must be 0. */
  private static final double NOTHING = 0.001;

  /** Windows from this size on are large. */
  private static final long LARGE_KERNEL = 13;

  private final List<CellBench.Outcome> outcomes;
  private final int threads;
  private final Caches caches;
  private final Map<Integer, List<Check>> checks = new TreeMap<>();

  /**
   * One figure that a target is about.
   *
   * @param what the cell, or what else it is of
   * @param value the figure
   * @param bound what it must be
   * @param atLeast or at most
   */
  private record Check(String what, double value, double bound, boolean atLeast) {
    boolean holds() {
      return margin() >= 1;
    }

    /** 1 at the bound, more where it is better. */
    double margin() {
      return atLeast ? value / bound : bound / Math.max(value, Double.MIN_NORMAL);
    }

    String asked() {
      return (atLeast ? "at least " : "at most ") + number(bound);
    }
  }

  Targets(List<CellBench.Outcome> outcomes, int threads, Caches caches) {
    this.outcomes = outcomes;
    this.threads = threads;
    this.caches = caches;
    layout(1, Layout.PLANAR, 1.2, 3);
    layout(2, Layout.INTERLEAVED, 1, 1.2);
    limit();
    largeWindows();
    pyramids();
    masksAndGradients();
    global();
    medians();
    otherTypes();
    products();
    threads();
    smallCalls();
    memory();
  }

  /** Adds what calls cost in Java. */
  void addCalls(Overhead.Figures figures) {
    atMost(12, "ns of a call from Java beyond C++", figures.javaNanos() - figures.cppNanos(), 150);
    atMost(12, "bytes allocated by a call", figures.bytesPerCall(), NOTHING);
  }

  /** Adds the size of the library's jar, if it comes from one. */
  void addJar() throws IOException {
    Path jar =
        Path.of(
            URI.create(
                featurepool_h
                    .class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toString()));
    if (Files.isRegularFile(jar)) {
      atMost(14, "MB of the jar", Files.size(jar) / MEBIBYTE, 3);
    }
  }

  /** A line per target that the run decides. */
  List<String> lines() {
    return checks.entrySet().stream()
        .map(entry -> "target " + entry.getKey() + ": " + text(entry.getValue()))
        .toList();
  }

  private static String text(List<Check> checks) {
    Check worst = checks.stream().min(Comparator.comparing(Check::margin)).orElseThrow();
    List<Check> failing =
        checks.stream()
            .filter(check -> !check.holds())
            .sorted(Comparator.comparing(Check::margin))
            .toList();
    String figure =
        "worst " + number(worst.value) + " (" + worst.what + "), asked " + worst.asked();
    if (failing.isEmpty()) {
      return "holds, " + figure;
    }
    return "falls short, "
        + figure
        + "; "
        + failing.size()
        + " of "
        + checks.size()
        + " fall short: "
        + failing.stream()
            .map(check -> check.what + " " + number(check.value))
            .collect(Collectors.joining(", "));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, value < 100 ? "%.2f" : "%.0f", value);
  }

  private void atLeast(int target, String what, double value, double bound) {
    checks
        .computeIfAbsent(target, key -> new ArrayList<>())
        .add(new Check(what, value, bound, true));
  }

  private void atMost(int target, String what, double value, double bound) {
    checks
        .computeIfAbsent(target, key -> new ArrayList<>())
        .add(new Check(what, value, bound, false));
  }

  // --- figures of a cell ---------------------------------------------------------------------

  private OptionalDouble ours(CellBench.Outcome outcome) {
    return outcome.nanos(FeaturepoolReused.NAME, threads);
  }

  /** How many times faster than a contender; empty if one of the two did not take part. */
  private OptionalDouble speedup(CellBench.Outcome outcome, String contender) {
    return ratio(outcome.nanos(contender, threads), ours(outcome));
  }

  private OptionalDouble overBestPeer(CellBench.Outcome outcome) {
    return outcome.measurements().stream()
        .filter(m -> m.contender().equals(FeaturepoolReused.NAME) && m.threads() == threads)
        .map(Measurement::speedupOverBestPeer)
        .findFirst()
        .orElse(OptionalDouble.empty());
  }

  private OptionalDouble partOfLimit(CellBench.Outcome outcome) {
    return speedup(outcome, CellBench.LIMIT);
  }

  private static OptionalDouble ratio(OptionalDouble a, OptionalDouble b) {
    return a.isPresent() && b.isPresent()
        ? OptionalDouble.of(a.getAsDouble() / b.getAsDouble())
        : OptionalDouble.empty();
  }

  private List<CellBench.Outcome> poolings(Predicate<Pooling> which) {
    return outcomes.stream()
        .filter(outcome -> outcome.task() instanceof Pooling pooling && which.test(pooling))
        .toList();
  }

  private void each(
      int target,
      List<CellBench.Outcome> cells,
      Function<CellBench.Outcome, OptionalDouble> figure,
      double bound) {
    for (CellBench.Outcome cell : cells) {
      figure.apply(cell).ifPresent(value -> atLeast(target, cell.cell().id(), value, bound));
    }
  }

  private static boolean isMaxOrAverage(Pooling pooling) {
    return switch (pooling.kind()) {
      case MAX, MAX_WITH_MASK, MAX_BACKWARD, AVERAGE, AVERAGE_BACKWARD -> true;
      case MIN, MEDIAN, STOCHASTIC -> false;
    };
  }

  private static boolean slides(Pooling pooling) {
    boolean slides = true;
    for (int axis = 0; axis < pooling.window().rank(); axis++) {
      slides &= pooling.window().stride(axis) == 1;
    }
    return slides;
  }

  private static long bytes(Task task) {
    return task.readBytes() + task.writtenBytes();
  }

  // --- the targets ---------------------------------------------------------------------------

  private void layout(int target, Layout layout, double each, double mean) {
    List<CellBench.Outcome> cells =
        poolings(
            pooling ->
                isMaxOrAverage(pooling)
                    && pooling.dtype() == DType.F32
                    && pooling.input().layout() == layout);
    // A cell that is there to be held against one peer has no best one.
    cells = cells.stream().filter(outcome -> outcome.cell().against().isEmpty()).toList();
    each(target, cells, this::overBestPeer, each);
    double[] logs =
        cells.stream()
            .map(this::overBestPeer)
            .filter(OptionalDouble::isPresent)
            .mapToDouble(value -> Math.log(value.getAsDouble()))
            .toArray();
    if (logs.length > 1) {
      double sum = 0;
      for (double log : logs) {
        sum += log;
      }
      atLeast(target, "geometric mean", Math.exp(sum / logs.length), mean);
    }
  }

  private void limit() {
    for (CellBench.Outcome outcome : outcomes) {
      boolean moves =
          outcome.task() instanceof Pyramid
              || (outcome.task() instanceof Pooling pooling
                  && isMaxOrAverage(pooling)
                  && pooling.dtype() == DType.F32);
      long bytes = bytes(outcome.task());
      if (moves && bytes > MEGABYTE && outcome.cell().against().isEmpty()) {
        each(3, List.of(outcome), this::partOfLimit, bytes > caches.last() ? 0.85 : 0.6);
      }
    }
  }

  private void largeWindows() {
    List<CellBench.Outcome> sliding =
        poolings(
            pooling ->
                !pooling.backward()
                    && !pooling.kind().masked()
                    && slides(pooling)
                    && pooling.kind() != Pooling.Kind.MEDIAN);
    List<CellBench.Outcome> large =
        sliding.stream()
            .filter(outcome -> ((Pooling) outcome.task()).window().kernel(0) >= LARGE_KERNEL)
            .toList();
    each(4, large, outcome -> speedup(outcome, ONEDNN), 5);
    each(4, sliding, outcome -> speedup(outcome, OPENCV), 1);
    pairs(
        sliding,
        (a, b) -> kernel(a) == 7 && kernel(b) == 63 && sameBut(a, b, true),
        (a, b) ->
            ratio(perOutput(b), perOutput(a))
                .ifPresent(value -> atMost(4, b.cell().id() + " over k 7", value, 2)));
  }

  private static long kernel(Pooling pooling) {
    return pooling.window().kernel(pooling.window().rank() - 1);
  }

  private OptionalDouble perOutput(CellBench.Outcome outcome) {
    OptionalDouble nanos = ours(outcome);
    return nanos.isPresent()
        ? OptionalDouble.of(nanos.getAsDouble() / outcome.task().output().elementCount())
        : nanos;
  }

  /** Whether two poolings differ in kernel and padding, or in nothing but what is tested for. */
  private static boolean sameBut(Pooling a, Pooling b, boolean window) {
    return a.dtype() == b.dtype()
        && a.input().equals(b.input())
        && (window ? a.kind() == b.kind() : a.window().equals(b.window()));
  }

  private interface Pair {
    void accept(CellBench.Outcome a, CellBench.Outcome b);
  }

  private void pairs(
      List<CellBench.Outcome> cells, BiPredicate<Pooling, Pooling> match, Pair found) {
    for (CellBench.Outcome a : cells) {
      for (CellBench.Outcome b : cells) {
        if (match.test((Pooling) a.task(), (Pooling) b.task())) {
          found.accept(a, b);
        }
      }
    }
  }

  private void pyramids() {
    for (CellBench.Outcome outcome : outcomes) {
      if (outcome.task() instanceof Pyramid pyramid) {
        if (pyramid.kind() == Pyramid.Kind.BLOCK) {
          each(5, List.of(outcome), cell -> speedup(cell, ONEDNN), 5);
        } else {
          each(5, List.of(outcome), this::overBestPeer, 2);
        }
      }
    }
  }

  private void masksAndGradients() {
    pairs(
        poolings(pooling -> !pooling.backward()),
        (a, b) ->
            a.kind() == Pooling.Kind.MAX
                && b.kind() == Pooling.Kind.MAX_WITH_MASK
                && sameBut(a, b, false)
                && bytes(a) > caches.second(),
        (a, b) -> ratio(ours(b), ours(a)).ifPresent(value -> atMost(6, b.cell().id(), value, 1.3)));
    each(6, poolings(pooling -> pooling.backward() && overlaps(pooling)), this::overBestPeer, 1.5);
  }

  private static boolean overlaps(Pooling pooling) {
    boolean overlaps = false;
    for (int axis = 0; axis < pooling.window().rank(); axis++) {
      overlaps |= pooling.window().stride(axis) < pooling.window().kernel(axis);
    }
    return overlaps && !pooling.global();
  }

  private void global() {
    each(
        7,
        poolings(
            pooling ->
                pooling.global()
                    && !pooling.backward()
                    && pooling.dtype() == DType.F32
                    && pooling.readBytes() >= MEGABYTE),
        this::partOfLimit,
        0.85);
  }

  private void medians() {
    if (threads != 1) {
      return;
    }
    for (CellBench.Outcome outcome : poolings(p -> p.kind() == Pooling.Kind.MEDIAN)) {
      Pooling pooling = (Pooling) outcome.task();
      long kernel = kernel(pooling);
      if (pooling.dtype() == DType.F32 && kernel <= 5) {
        each(8, List.of(outcome), cell -> speedup(cell, OPENCV), 1);
      } else if (pooling.dtype() == DType.F32 && (kernel == 7 || kernel == 15)) {
        OptionalDouble nanos = perOutput(outcome);
        if (nanos.isPresent()) {
          atLeast(
              8,
              "millions of outputs a second, " + outcome.cell().id(),
              1e3 / nanos.getAsDouble(),
              kernel == 7 ? 100 : 20);
        }
      } else if (pooling.dtype() == DType.U8 && (kernel == 7 || kernel == 15 || kernel == 31)) {
        double bound = kernel == 7 ? 8 : kernel == 15 ? 3 : 1.2;
        each(8, List.of(outcome), cell -> speedup(cell, OPENCV), bound);
      }
    }
  }

  private void otherTypes() {
    List<CellBench.Outcome> bytes =
        poolings(p -> isMaxOrAverage(p) && (p.dtype() == DType.U8 || p.dtype() == DType.I8));
    each(9, bytes, outcome -> speedup(outcome, ONEDNN), 1);
    each(9, bytes, outcome -> speedup(outcome, ONNXRUNTIME), 1);
    pairs(
        poolings(Targets::isMaxOrAverage),
        (a, b) ->
            a.dtype() == DType.F32
                && (b.dtype() == DType.F16 || b.dtype() == DType.BF16)
                && a.kind() == b.kind()
                && a.input().equals(b.input())
                && a.window().equals(b.window())
                && bytes(a) > caches.last(),
        (a, b) ->
            ratio(ours(a), ours(b))
                .ifPresent(value -> atLeast(9, b.cell().id() + " over f32", value, 1.5)));
  }

  private void products() {
    for (CellBench.Outcome outcome : outcomes) {
      if (outcome.task() instanceof Product product) {
        each(10, List.of(outcome), cell -> speedup(cell, LIBTORCH), product.vlad() ? 1.3 : 1.4);
      }
    }
  }

  private void threads() {
    for (CellBench.Outcome outcome : outcomes) {
      OptionalDouble one = outcome.nanos(FeaturepoolReused.NAME, 1);
      OptionalDouble two = outcome.nanos(FeaturepoolReused.NAME, 2);
      if (one.isEmpty() || two.isEmpty()) {
        continue;
      }
      double speedup = one.getAsDouble() / two.getAsDouble();
      boolean fits = bytes(outcome.task()) <= caches.last();
      boolean bound = !fits && partOfLimit(outcome).orElse(0) > 0.5;
      atLeast(
          11, outcome.cell().id(), speedup, one.getAsDouble() > 100_000 && !bound ? 1.7 : 1 / 1.1);
    }
  }

  private void smallCalls() {
    for (CellBench.Outcome outcome : outcomes) {
      if (outcome.cell().id().equals("tiny")) {
        each(12, List.of(outcome), this::overBestPeer, 1);
      }
    }
  }

  private void memory() {
    for (CellBench.Outcome outcome : outcomes) {
      if (outcome.extraBytes().isPresent() && !(outcome.task() instanceof Product)) {
        double allowed = Math.max(MEBIBYTE, 0.01 * outcome.task().readBytes());
        atMost(
            13,
            "MB beside the tensors of " + outcome.cell().id(),
            outcome.extraBytes().getAsLong() / MEBIBYTE,
            allowed / MEBIBYTE);
      }
    }
  }
}
