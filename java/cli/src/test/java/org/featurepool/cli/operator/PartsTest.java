package org.featurepool.cli.operator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.featurepool.DType;
import org.featurepool.Layout;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PartsTest {
  /** Every unit (plane, or image where channels are innermost) is in one part, in order. */
  @ParameterizedTest
  @CsvSource({
    "PLANAR, 3, 5, 4, 15",
    "PLANAR, 1, 7, 4, 7",
    "INTERLEAVED, 7, 3, 2, 7",
    "PLANAR, 0, 3, 1, 0"
  })
  void coverAllUnitsOnce(Layout layout, long n, long c, int leastParts, long units) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.allocate(arena, DType.U8, Shape.of(layout, n, c, 4000, 4000));
      Tensor y = Tensor.allocate(arena, DType.F32, Shape.of(layout, n, c, 2, 2));
      List<Long> sizes = new ArrayList<>();
      Parts.forEach(
          "test",
          parts -> {
            assertEquals(parts[0].shape().batch(), parts[1].shape().batch());
            assertEquals(parts[0].shape().channels(), parts[1].shape().channels());
            sizes.add(parts[0].shape().batch());
            for (long i = 0; i < parts[1].segment().byteSize(); i++) {
              byte count = parts[1].segment().get(ValueLayout.JAVA_BYTE, i);
              parts[1].segment().set(ValueLayout.JAVA_BYTE, i, (byte) (count + 1));
            }
          },
          x,
          y);
      assertTrue(sizes.size() >= leastParts, sizes.toString());
      assertEquals(units, sizes.stream().mapToLong(Long::longValue).sum());
      long bytes = y.segment().byteSize();
      assertTrue(
          LongStream.range(0, bytes).allMatch(i -> y.segment().get(ValueLayout.JAVA_BYTE, i) == 1));
    }
  }
}
