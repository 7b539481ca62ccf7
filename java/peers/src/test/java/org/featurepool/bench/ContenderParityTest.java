package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Window;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the other engines compute in the benchmarks is what Featurepool computes. */
class ContenderParityTest {
  private static final List<Contender> ALL = Contenders.all();
  private static final Map<String, Integer> COMPARED = new TreeMap<>();

  @AfterAll
  static void report() {
    COMPARED.forEach(
        (contender, count) ->
            System.out.printf("parity: %s as a contender: %d poolings%n", contender, count));
  }

  static Stream<Task> tasks() {
    List<Task> tasks = new ArrayList<>();
    List<Window> windows =
        List.of(
            Window.square(2),
            Window.square(3).withStride(2).withPadding(1),
            Window.square(3).withStride(1).withPadding(1),
            Window.square(4).withStride(1),
            Window.of(5, 3).withStride(2, 3).withPadding(2, 0),
            Window.square(7).withStride(1).withPadding(3));
    for (Layout layout : Layout.values()) {
      for (long channels : new long[] {1, 3, 16}) {
        for (Window window : windows) {
          addAll(tasks, Shape.of(layout, 2, channels, 12, 38), window, false);
        }
        addAll(tasks, Shape.of(layout, 2, channels, 7, 7), Window.square(7), true);
      }
      addAll(tasks, Shape.of(layout, 2, 5, 50), Window.line(3).withStride(2).withPadding(1), false);
      addAll(tasks, Shape.of(layout, 1, 6, 4, 8, 22), Window.cube(2), false);
      addAll(
          tasks,
          Shape.of(layout, 1, 6, 4, 7, 21),
          Window.cube(3).withStride(2).withPadding(1),
          false);
      Shape shape = Shape.of(layout, 2, 6, 13, 13);
      tasks.add(new Pyramid(Pyramid.Kind.BINS, DType.F32, shape, new long[] {1, 2, 4}));
      tasks.add(new Pyramid(Pyramid.Kind.BLOCK, DType.F32, shape, new long[] {5, 9, 13}));
      for (Product.Kind kind : Product.Kind.values()) {
        boolean vlad = kind == Product.Kind.NETVLAD || kind == Product.Kind.NETVLAD_BACKWARD;
        tasks.add(new Product(kind, DType.F32, shape, vlad ? 5 : 0));
      }
    }
    return tasks.stream();
  }

  private static void addAll(List<Task> tasks, Shape shape, Window window, boolean global) {
    for (Pooling.Kind kind : Pooling.Kind.values()) {
      tasks.add(new Pooling(kind, DType.F32, shape, window, global));
      if (kind == Pooling.Kind.MAX || kind == Pooling.Kind.MIN || kind == Pooling.Kind.AVERAGE) {
        for (DType dtype : new DType[] {DType.U8, DType.I8, DType.F16, DType.BF16}) {
          tasks.add(new Pooling(kind, dtype, shape, window, global));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("tasks")
  void agree(Task task) {
    for (int threads : new int[] {1, 2}) {
      try (Arena arena = Arena.ofConfined();
          Workers workers = new Workers(threads)) {
        Workload workload = new Workload(task, arena);
        Result expected = null;
        for (Contender contender : ALL) {
          if (contender.lack(task).isPresent()) {
            continue;
          }
          try (Contender.Call call = contender.prepare(workload, workers, arena)) {
            call.run();
            call.run(); // a second run must not see what the first one left
            Result result = call.result();
            if (expected == null) {
              expected = result;
            }
            assertEquals(
                Optional.empty(),
                expected.difference(result, task),
                () -> contender.name() + ", " + threads + " threads");
          } catch (UnsupportedOperationException e) {
            continue; // said so, and why
          }
          COMPARED.merge(contender.name(), 1, Integer::sum);
        }
        assertNotNull(expected);
      }
    }
  }

  @Test
  void everyEngineIsThere() {
    for (String name : List.of("onednn", "libtorch", "onnxruntime", "opencv", "nd4j")) {
      Contender contender =
          ALL.stream().filter(some -> some.name().equals(name)).findFirst().orElseThrow();
      assertTrue(contender.version().orElse("").matches("[0-9]+\\.[0-9.]+(-M[0-9.]+)?"), name);
      assertTrue(contender.isPeer());
    }
    Pooling pooling =
        new Pooling(Pooling.Kind.MAX, DType.F32, Shape.nchw(1, 1, 8, 8), keepingSize(), false);
    for (Contender contender : ALL) {
      assertEquals(Optional.empty(), contender.lack(pooling), contender.name());
    }
  }

  private static Window keepingSize() {
    return Window.square(3).withStride(1).withPadding(1);
  }
}
