package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Optional;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.featurepool.DType;

/**
 * What a user can write with {@code jdk.incubator.vector}: max and average forward, one output row
 * at a time, first down the rows of the windows into a padded line, then along that line.
 *
 * <p>In an interleaved tensor a position of the line is all channels side by side, so that both
 * passes load neighbours whatever the stride; in a planar one the lanes run along W, and strides
 * take the elements apart (stride 2 by a shuffle of two vectors, others by a gather).
 */
final class VectorApi implements Contender {
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_PREFERRED;
  private static final VectorShuffle<Float> EVEN = VectorShuffle.makeUnzip(FLOATS, 0);
  private static final VectorShuffle<Float> ODD = VectorShuffle.makeUnzip(FLOATS, 1);

  @Override
  public String name() {
    return "vector-api";
  }

  @Override
  public Optional<String> lack(Task task) {
    if (!(task instanceof Pooling pooling)) {
      return Optional.of("pyramids and products");
    }
    if (pooling.lackOfJava().isPresent()) {
      return pooling.lackOfJava();
    }
    if (pooling.kind().masked() || pooling.kind().backward()) {
      return Optional.of("masks and gradients");
    }
    if (pooling.kind() == Pooling.Kind.MEDIAN) {
      return Optional.of("medians");
    }
    if (pooling.dtype() == DType.U8) {
      if (pooling.kind().average()) {
        return Optional.of("averages of u8");
      }
      if (Lines.width(pooling) == 1 && stride(pooling) > 1) {
        return Optional.of("strides of planar u8");
      }
    }
    return Optional.empty();
  }

  private static long stride(Pooling pooling) {
    return pooling.window().stride(pooling.window().rank() - 1);
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    Pooling pooling = (Pooling) workload.task;
    Grid grid = new Grid(pooling);
    int outputs = grid.planes * grid.outPlane;
    int rows = Lines.count(grid);
    if (pooling.dtype() == DType.U8) {
      byte[] x = workload.source.toByteArray();
      byte[] y = new byte[outputs];
      return call(
          () -> workers.run(rows, (from, to) -> max(new Lines(grid), x, y, from, to)),
          () -> new Result(Result.floats(y), null));
    }
    float[] x = workload.source.toFloatArray();
    float[] y = new float[outputs];
    return call(
        pooling.kind().average()
            ? () -> workers.run(rows, (from, to) -> average(new Lines(grid), x, y, from, to))
            : () -> workers.run(rows, (from, to) -> max(new Lines(grid), x, y, from, to)),
        () -> new Result(y, null));
  }

  private interface Results {
    Result get();
  }

  private static Call call(Runnable run, Results results) {
    return new Call() {
      @Override
      public void run() {
        run.run();
      }

      @Override
      public Result result() {
        return results.get();
      }
    };
  }

  /** The output rows of a pooling and the line that each is made from. */
  private static final class Lines {
    private final Grid grid;

    /** Elements of one position along W: the channels of an interleaved tensor, 1 of a planar. */
    private final int width;

    /** Elements of a row of the input, and of the output. */
    private final int inRow;

    private final int outRow;

    /** Elements of padding before the row in the line. */
    private final int before;

    /** Elements of the row that some window holds. */
    private final int used;

    /** Elements of the line, with room for a vector that starts at its last. */
    private final int length;

    /** The input rows of the current output row: where each begins, and how many there are. */
    private final int[] from;

    private int count;

    /** Where the current output row begins. */
    private int to;

    private Lines(Grid grid) {
      this.grid = grid;
      width = grid.step;
      inRow = grid.in[2] * width;
      outRow = grid.out[2] * width;
      before = grid.pad[2] * width;
      int reached = ((grid.out[2] - 1) * grid.stride[2] + grid.kernel[2]) * width;
      used = Math.min(inRow, reached - before);
      length = reached + 2 * BYTES.length();
      from = new int[grid.kernel[0] * grid.kernel[1]];
    }

    private static long width(Pooling pooling) {
      return new Grid(pooling).step;
    }

    private static int count(Grid grid) {
      return grid.planes / grid.step * grid.out[0] * grid.out[1];
    }

    private void select(int row) {
      int oh = row % grid.out[1];
      int od = row / grid.out[1] % grid.out[0];
      int base = row / grid.out[1] / grid.out[0] * grid.inPlane * width;
      to = row * outRow;
      count = 0;
      int startD = grid.start(0, od);
      int startH = grid.start(1, oh);
      for (int kd = grid.firstTap(0, startD); kd < grid.endTap(0, startD); kd++) {
        for (int kh = grid.firstTap(1, startH); kh < grid.endTap(1, startH); kh++) {
          from[count++] = base + ((startD + kd) * grid.in[1] + startH + kh) * inRow;
        }
      }
    }
  }

  private static void max(Lines lines, float[] x, float[] y, int fromRow, int toRow) {
    int lanes = FLOATS.length();
    int kernel = lines.grid.kernel[2];
    int stride = lines.grid.stride[2];
    int width = lines.width;
    float[] line = new float[lines.length];
    Arrays.fill(line, Float.NEGATIVE_INFINITY);
    int[] gather = gather(stride);
    for (int row = fromRow; row < toRow; row++) {
      lines.select(row);
      int i = 0;
      for (; i <= lines.used - lanes; i += lanes) {
        FloatVector best = FloatVector.fromArray(FLOATS, x, lines.from[0] + i);
        for (int r = 1; r < lines.count; r++) {
          best = best.max(FloatVector.fromArray(FLOATS, x, lines.from[r] + i));
        }
        best.intoArray(line, lines.before + i);
      }
      for (; i < lines.used; i++) {
        float best = x[lines.from[0] + i];
        for (int r = 1; r < lines.count; r++) {
          best = Math.max(best, x[lines.from[r] + i]);
        }
        line[lines.before + i] = best;
      }

      if (width == 1) {
        int o = 0;
        for (; o <= lines.outRow - lanes; o += lanes) {
          FloatVector best = take(line, o * stride, stride, gather);
          for (int k = 1; k < kernel; k++) {
            best = best.max(take(line, o * stride + k, stride, gather));
          }
          best.intoArray(y, lines.to + o);
        }
        for (; o < lines.outRow; o++) {
          float best = line[o * stride];
          for (int k = 1; k < kernel; k++) {
            best = Math.max(best, line[o * stride + k]);
          }
          y[lines.to + o] = best;
        }
        continue;
      }
      for (int o = 0; o < lines.grid.out[2]; o++) {
        int at = o * stride * width;
        int c = 0;
        for (; c <= width - lanes; c += lanes) {
          FloatVector best = FloatVector.fromArray(FLOATS, line, at + c);
          for (int k = 1; k < kernel; k++) {
            best = best.max(FloatVector.fromArray(FLOATS, line, at + k * width + c));
          }
          best.intoArray(y, lines.to + o * width + c);
        }
        for (; c < width; c++) {
          float best = line[at + c];
          for (int k = 1; k < kernel; k++) {
            best = Math.max(best, line[at + k * width + c]);
          }
          y[lines.to + o * width + c] = best;
        }
      }
    }
  }

  private static void average(Lines lines, float[] x, float[] y, int fromRow, int toRow) {
    int lanes = FLOATS.length();
    int kernel = lines.grid.kernel[2];
    int stride = lines.grid.stride[2];
    int width = lines.width;
    float[] line = new float[lines.length];
    float[] taps = tapsAlongW(lines.grid);
    int[] gather = gather(stride);
    for (int row = fromRow; row < toRow; row++) {
      lines.select(row);
      int i = 0;
      for (; i <= lines.used - lanes; i += lanes) {
        FloatVector sum = FloatVector.fromArray(FLOATS, x, lines.from[0] + i);
        for (int r = 1; r < lines.count; r++) {
          sum = sum.add(FloatVector.fromArray(FLOATS, x, lines.from[r] + i));
        }
        sum.intoArray(line, lines.before + i);
      }
      for (; i < lines.used; i++) {
        float sum = x[lines.from[0] + i];
        for (int r = 1; r < lines.count; r++) {
          sum += x[lines.from[r] + i];
        }
        line[lines.before + i] = sum;
      }

      if (width == 1) {
        int o = 0;
        for (; o <= lines.outRow - lanes; o += lanes) {
          FloatVector sum = take(line, o * stride, stride, gather);
          for (int k = 1; k < kernel; k++) {
            sum = sum.add(take(line, o * stride + k, stride, gather));
          }
          FloatVector count = FloatVector.fromArray(FLOATS, taps, o).mul(lines.count);
          sum.div(count).intoArray(y, lines.to + o);
        }
        for (; o < lines.outRow; o++) {
          float sum = line[o * stride];
          for (int k = 1; k < kernel; k++) {
            sum += line[o * stride + k];
          }
          y[lines.to + o] = sum / (taps[o] * lines.count);
        }
        continue;
      }
      for (int o = 0; o < lines.grid.out[2]; o++) {
        int at = o * stride * width;
        float count = taps[o] * lines.count;
        int c = 0;
        for (; c <= width - lanes; c += lanes) {
          FloatVector sum = FloatVector.fromArray(FLOATS, line, at + c);
          for (int k = 1; k < kernel; k++) {
            sum = sum.add(FloatVector.fromArray(FLOATS, line, at + k * width + c));
          }
          sum.div(count).intoArray(y, lines.to + o * width + c);
        }
        for (; c < width; c++) {
          float sum = line[at + c];
          for (int k = 1; k < kernel; k++) {
            sum += line[at + k * width + c];
          }
          y[lines.to + o * width + c] = sum / count;
        }
      }
    }
  }

  private static void max(Lines lines, byte[] x, byte[] y, int fromRow, int toRow) {
    int lanes = BYTES.length();
    int kernel = lines.grid.kernel[2];
    int width = lines.width;
    // With one channel the stride is 1, so that a whole row of outputs is one run of neighbours.
    int run = width == 1 ? lines.outRow : width;
    int hop = lines.grid.stride[2] * width;
    byte[] line = new byte[lines.length];
    for (int row = fromRow; row < toRow; row++) {
      lines.select(row);
      int i = 0;
      for (; i <= lines.used - lanes; i += lanes) {
        ByteVector best = ByteVector.fromArray(BYTES, x, lines.from[0] + i);
        for (int r = 1; r < lines.count; r++) {
          best =
              best.lanewise(
                  VectorOperators.UMAX, ByteVector.fromArray(BYTES, x, lines.from[r] + i));
        }
        best.intoArray(line, lines.before + i);
      }
      for (; i < lines.used; i++) {
        int best = x[lines.from[0] + i] & 0xFF;
        for (int r = 1; r < lines.count; r++) {
          best = Math.max(best, x[lines.from[r] + i] & 0xFF);
        }
        line[lines.before + i] = (byte) best;
      }

      for (int o = 0, at = 0; o < lines.outRow; o += run, at += hop) {
        int c = 0;
        for (; c <= run - lanes; c += lanes) {
          ByteVector best = ByteVector.fromArray(BYTES, line, at + c);
          for (int k = 1; k < kernel; k++) {
            best =
                best.lanewise(
                    VectorOperators.UMAX, ByteVector.fromArray(BYTES, line, at + k * width + c));
          }
          best.intoArray(y, lines.to + o + c);
        }
        for (; c < run; c++) {
          int best = line[at + c] & 0xFF;
          for (int k = 1; k < kernel; k++) {
            best = Math.max(best, line[at + k * width + c] & 0xFF);
          }
          y[lines.to + o + c] = (byte) best;
        }
      }
    }
  }

  /** Every {@code stride}-th element from {@code at} on. */
  private static FloatVector take(float[] line, int at, int stride, int[] gather) {
    if (stride == 1) {
      return FloatVector.fromArray(FLOATS, line, at);
    }
    if (stride == 2) {
      // An odd begin reads the pair that it is the second of, which the even one has read already.
      int pair = at & ~1;
      FloatVector low = FloatVector.fromArray(FLOATS, line, pair);
      FloatVector high = FloatVector.fromArray(FLOATS, line, pair + FLOATS.length());
      return low.rearrange(at == pair ? EVEN : ODD, high);
    }
    return FloatVector.fromArray(FLOATS, line, at, gather, 0);
  }

  private static int[] gather(int stride) {
    int[] indices = new int[FLOATS.length()];
    Arrays.setAll(indices, i -> i * stride);
    return indices;
  }

  /** How many taps along W of each output lie inside the input. */
  private static float[] tapsAlongW(Grid grid) {
    float[] taps = new float[grid.out[2]];
    for (int o = 0; o < taps.length; o++) {
      int start = grid.start(2, o);
      taps[o] = grid.endTap(2, start) - grid.firstTap(2, start);
    }
    return taps;
  }
}
