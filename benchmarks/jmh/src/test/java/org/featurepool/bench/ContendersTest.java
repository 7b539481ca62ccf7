package org.featurepool.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Window;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ContendersTest {
  static Stream<Pooling> poolings() {
    List<Window> windows =
        List.of(
            Window.square(2),
            Window.square(3).withStride(2).withPadding(1),
            Window.square(3).withStride(1).withPadding(1),
            Window.of(1, 4),
            Window.of(5, 3).withStride(2, 3).withPadding(new long[] {2, 0}, new long[] {2, 0}),
            Window.square(7).withStride(1).withPadding(3));
    List<Pooling> poolings = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      for (long channels : new long[] {3, 17, 64}) {
        for (Window window : windows) {
          addAll(poolings, Shape.of(layout, 2, channels, 9, 37), window);
        }
      }
      addAll(poolings, Shape.of(layout, 2, 5, 50), Window.line(3).withStride(2).withPadding(1));
      addAll(poolings, Shape.of(layout, 1, 6, 4, 7, 21), Window.cube(2));
      addAll(
          poolings, Shape.of(layout, 1, 6, 4, 7, 21), Window.cube(3).withStride(2).withPadding(1));
    }
    return poolings.stream();
  }

  private static void addAll(List<Pooling> poolings, Shape shape, Window window) {
    for (Pooling.Kind kind : Pooling.Kind.values()) {
      poolings.add(new Pooling(kind, DType.F32, shape, window, false));
      if (!kind.backward() && kind != Pooling.Kind.STOCHASTIC) {
        poolings.add(new Pooling(kind, DType.U8, shape, window, false));
      }
    }
  }

  static Stream<Task> others() {
    List<Task> tasks = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      Shape shape = Shape.of(layout, 2, 6, 13, 11);
      tasks.add(new Pyramid(Pyramid.Kind.BINS, DType.F32, shape, new long[] {1, 2, 4}));
      tasks.add(new Pyramid(Pyramid.Kind.BLOCK, DType.F32, shape, new long[] {5, 9, 13}));
      for (Product.Kind kind : Product.Kind.values()) {
        boolean vlad = kind == Product.Kind.NETVLAD || kind == Product.Kind.NETVLAD_BACKWARD;
        tasks.add(new Product(kind, DType.F32, shape, vlad ? 5 : 0));
      }
    }
    return tasks.stream();
  }

  @ParameterizedTest
  @MethodSource({"poolings", "others"})
  void agree(Task task) {
    for (int threads : new int[] {1, 3}) {
      try (Arena arena = Arena.ofConfined();
          Workers workers = new Workers(threads)) {
        Workload workload = new Workload(task, arena);
        Result expected = null;
        for (Contender contender : Contenders.OWN) {
          if (contender.lack(task).isPresent()) {
            continue;
          }
          Contender.Call call = contender.prepare(workload, workers, arena);
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
        }
        assertNotNull(expected);
      }
    }
  }

  @Test
  void aDifferenceIsTold() {
    Pooling max = pooling(Pooling.Kind.MAX_WITH_MASK);
    Result result = new Result(new float[] {1, 2}, new byte[] {0, (byte) 255});
    assertEquals(Optional.empty(), result.difference(result, max));
    assertEquals(
        Optional.of("element 1 is 2.0000002 instead of 2.0"),
        result.difference(new Result(new float[] {1, Math.nextUp(2f)}, result.mask()), max));
    assertEquals(
        Optional.of("mask entry 1 is 0 instead of 255"),
        result.difference(new Result(result.values(), new byte[] {0, 0}), max));
    assertEquals(
        Optional.of("there are 1 elements instead of 2"),
        result.difference(new Result(new float[] {1}, null), max));
  }

  @Test
  void sumsMayBeRoundedDifferently() {
    Pooling average = pooling(Pooling.Kind.AVERAGE);
    Result result = new Result(new float[] {0.5f}, null);
    Result near = new Result(new float[] {Math.nextUp(0.5f)}, null);
    Result far = new Result(new float[] {0.5001f}, null);
    assertEquals(Optional.empty(), result.difference(near, average));
    assertTrue(result.difference(far, average).isPresent());
  }

  private static Pooling pooling(Pooling.Kind kind) {
    return new Pooling(kind, DType.F32, Shape.nchw(1, 1, 2, 4), Window.square(2), false);
  }

  @Test
  void namesAreDistinct() {
    assertEquals(
        Contenders.OWN.size(), Contenders.OWN.stream().map(Contender::name).distinct().count());
  }

  @Test
  void aCallCanBeHadByName() {
    try (ContenderCall call = ContenderCall.open("tiny", "featurepool")) {
      call.run();
    }
    for (String contender : List.of("nobody", "vector-api")) {
      assertThrows(
          IllegalArgumentException.class, () -> ContenderCall.open("resnet_pool_bwd", contender));
    }
    assertThrows(
        IllegalArgumentException.class, () -> ContenderCall.open("nothing", "featurepool"));
  }
}
