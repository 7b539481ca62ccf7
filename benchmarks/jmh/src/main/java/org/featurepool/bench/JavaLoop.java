package org.featurepool.bench;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Optional;
import org.featurepool.DType;

/** Plain loops over Java arrays: what a user has without a library. */
final class JavaLoop implements Contender {
  /** Seed of stochastic pooling, the same for all contenders. */
  static final long SEED = 1;

  private static final byte NONE = (byte) 255;

  @Override
  public String name() {
    return "java-loop";
  }

  @Override
  public Optional<String> lack(Task task) {
    if (task.lackOfJava().isPresent()) {
      return task.lackOfJava();
    }
    if (!(task instanceof Pooling pooling)) {
      return Optional.empty();
    }
    if (pooling.kind().masked() && pooling.window().taps() > Pooling.MAX_COMPACT_TAPS) {
      return Optional.of("masks of windows above " + Pooling.MAX_COMPACT_TAPS + " taps");
    }
    if (pooling.dtype() == DType.U8 && (pooling.kind().masked() || pooling.kind().backward())) {
      return Optional.of("masks and gradients of u8");
    }
    return Optional.empty();
  }

  @Override
  public Call prepare(Workload workload, Workers workers, Arena arena) {
    return switch (workload.task) {
      case Pooling pooling -> prepare(pooling, workload, workers);
      case Pyramid pyramid -> prepare(pyramid, workload, workers);
      case Product product -> prepare(product, workload, workers);
    };
  }

  private static Call prepare(Pyramid pyramid, Workload workload, Workers workers) {
    JavaPyramids loops = new JavaPyramids(pyramid);
    float[] x = workload.source.toFloatArray();
    float[] y = new float[Math.toIntExact(pyramid.output().elementCount())];
    return call(
        () -> workers.run(loops.planes(), (from, to) -> loops.run(x, y, from, to)),
        () -> new Result(y, null));
  }

  private static Call prepare(Product product, Workload workload, Workers workers) {
    JavaProducts loops = new JavaProducts(product);
    float[] x = workload.features.toFloatArray();
    int images = Math.toIntExact(product.input().batch());
    int in = x.length / images;
    int out = Math.toIntExact(product.output().elementCount()) / images;
    JavaProducts.Parameters parameters =
        product.vlad() ? JavaProducts.Parameters.of(workload.parameters) : null;
    if (!product.backward()) {
      float[] y = new float[images * out];
      return call(
          () ->
              workers.run(
                  images,
                  (from, to) -> {
                    for (int image = from; image < to; image++) {
                      if (product.vlad()) {
                        loops.netVlad(x, image * in, parameters, y, image * out);
                      } else {
                        loops.bilinear(x, image * in, y, image * out);
                      }
                    }
                  }),
          () -> new Result(y, null));
    }
    float[] dy = workload.source.toFloatArray();
    float[] dx = new float[x.length];
    return call(
        () ->
            workers.run(
                images,
                (from, to) -> {
                  JavaProducts.Parameters gradients = product.vlad() ? parameters.zeros() : null;
                  for (int image = from; image < to; image++) {
                    if (product.vlad()) {
                      loops.netVladBackward(
                          x, image * in, parameters, dy, image * out, dx, gradients);
                    } else {
                      loops.bilinearBackward(x, image * in, dy, image * out, dx);
                    }
                  }
                }),
        () -> new Result(dx, null));
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

  private static Call prepare(Pooling pooling, Workload workload, Workers workers) {
    Grid grid = new Grid(pooling);
    int inputs = grid.planes * grid.inPlane;
    int outputs = grid.planes * grid.outPlane;
    if (pooling.dtype() == DType.U8) {
      byte[] x = workload.source.toByteArray();
      byte[] y = new byte[outputs];
      return call(
          grid,
          workers,
          switch (pooling.kind()) {
            case MAX -> row -> max(grid, x, y, row);
            case MEDIAN -> row -> median(grid, x, y, row);
            default -> row -> average(grid, x, y, row);
          },
          null,
          () -> new Result(Result.floats(y), null));
    }
    float[] source = workload.source.toFloatArray();
    if (pooling.kind().backward()) {
      float[] dx = new float[inputs];
      byte[] mask = workload.mask == null ? null : workload.mask.tensor().toByteArray();
      int[] offsets = offsets(grid);
      return call(
          grid,
          workers,
          mask == null
              ? row -> averageBackward(grid, source, dx, row)
              : row -> maxBackward(grid, source, mask, offsets, dx, row),
          dx,
          () -> new Result(dx, null));
    }
    float[] y = new float[outputs];
    byte[] mask = pooling.kind().masked() ? new byte[outputs] : null;
    return call(
        grid,
        workers,
        switch (pooling.kind()) {
          case MAX -> row -> max(grid, source, y, row);
          case MAX_WITH_MASK -> row -> maxWithMask(grid, source, y, mask, row);
          case MEDIAN -> row -> median(grid, source, y, row);
          case STOCHASTIC -> row -> draw(grid, source, y, mask, row);
          default -> row -> average(grid, source, y, row);
        },
        null,
        () -> new Result(y, mask));
  }

  /** One row of outputs: of one plane, or of neighbouring channels of an interleaved tensor. */
  private static final class Row {
    private final Grid grid;

    /** Position in memory of the first input of the plane, and of the first output of the row. */
    private int in;

    private int out;

    /** Channels side by side. */
    private int channels;

    /** Number of the plane in logical order, and of the row's first output in it. */
    private int plane;

    private int first;

    /** Where the windows start along D and H, and which of their taps lie inside the input. */
    private int startD;

    private int firstD;
    private int endD;
    private int startH;
    private int firstH;
    private int endH;

    private Row(Grid grid) {
      this.grid = grid;
    }

    /** Position in memory of the input row that a tap falls on. */
    private int line(int kd, int kh) {
      return in + ((startD + kd) * grid.in[1] + startH + kh) * grid.in[2] * grid.step;
    }
  }

  /** What is computed for a row. */
  private interface Body {
    void compute(Row row);
  }

  private interface Results {
    Result get();
  }

  private static Call call(Grid grid, Workers workers, Body body, float[] sums, Results results) {
    return new Call() {
      @Override
      public void run() {
        workers.run(grid.planes, (from, to) -> forEachRow(grid, from, to, sums, body));
      }

      @Override
      public Result result() {
        return results.get();
      }
    };
  }

  /**
   * Walks the rows of planes {@code from} to {@code to}; each plane of {@code sums}, if there are
   * any, is zeroed before its first row.
   */
  private static void forEachRow(Grid grid, int from, int to, float[] sums, Body body) {
    Row row = new Row(grid);
    for (int plane = from; plane < to; plane += row.channels) {
      int image = plane / grid.channels * grid.channels;
      row.channels = grid.planar ? 1 : Math.min(to, image + grid.channels) - plane;
      row.in = grid.planar ? plane * grid.inPlane : image * grid.inPlane + plane - image;
      row.out = grid.planar ? plane * grid.outPlane : image * grid.outPlane + plane - image;
      if (sums != null) {
        for (int i = 0; i < grid.inPlane; i += grid.planar ? grid.inPlane : 1) {
          int at = row.in + i * grid.step;
          Arrays.fill(sums, at, at + (grid.planar ? grid.inPlane : row.channels), 0);
        }
      }
      row.plane = plane;
      row.first = 0;
      for (int od = 0; od < grid.out[0]; od++) {
        row.startD = grid.start(0, od);
        row.firstD = grid.firstTap(0, row.startD);
        row.endD = grid.endTap(0, row.startD);
        for (int oh = 0; oh < grid.out[1]; oh++) {
          row.startH = grid.start(1, oh);
          row.firstH = grid.firstTap(1, row.startH);
          row.endH = grid.endTap(1, row.startH);
          body.compute(row);
          row.out += grid.out[2] * grid.step;
          row.first += grid.out[2];
        }
      }
    }
  }

  private static void max(Grid grid, float[] x, float[] y, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        float best = Float.NEGATIVE_INFINITY;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              best = Math.max(best, x[line + kw * step]);
            }
          }
        }
        y[row.out + ow * step + c] = best;
      }
    }
  }

  private static void maxWithMask(Grid grid, float[] x, float[] y, byte[] mask, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        float best = Float.NEGATIVE_INFINITY;
        byte tap = NONE;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              float value = x[line + kw * step];
              if (value > best || tap == NONE || Float.isNaN(value)) {
                best = value;
                tap = (byte) ((kd * grid.kernel[1] + kh) * grid.kernel[2] + kw);
              }
            }
          }
        }
        y[row.out + ow * step + c] = best;
        mask[row.out + ow * step + c] = tap;
      }
    }
  }

  private static void average(Grid grid, float[] x, float[] y, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      int count = (row.endD - row.firstD) * (row.endH - row.firstH) * (end - first);
      for (int c = 0; c < row.channels; c++) {
        float sum = 0;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              sum += x[line + kw * step];
            }
          }
        }
        y[row.out + ow * step + c] = sum / count;
      }
    }
  }

  private static void max(Grid grid, byte[] x, byte[] y, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        int best = 0;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              best = Math.max(best, x[line + kw * step] & 0xFF);
            }
          }
        }
        y[row.out + ow * step + c] = (byte) best;
      }
    }
  }

  private static void average(Grid grid, byte[] x, byte[] y, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      int count = (row.endD - row.firstD) * (row.endH - row.firstH) * (end - first);
      for (int c = 0; c < row.channels; c++) {
        long sum = 0;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              sum += x[line + kw * step] & 0xFF;
            }
          }
        }
        y[row.out + ow * step + c] = (byte) Math.rint((double) sum / count);
      }
    }
  }

  /** Stochastic pooling: each window's location is drawn with the odds of its activations. */
  private static void draw(Grid grid, float[] x, float[] y, byte[] mask, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        double sum = 0;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              sum += x[line + kw * step];
            }
          }
        }
        long output = (long) (row.plane + c) * grid.outPlane + row.first + ow;
        double limit = Math.min(Philox.unitInterval(SEED, output) * sum, Math.nextDown(sum));
        double running = 0;
        float drawn = 0;
        int tap = -1;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              running += x[line + kw * step];
              if (tap < 0 && running > limit) {
                drawn = x[line + kw * step];
                tap = (kd * grid.kernel[1] + kh) * grid.kernel[2] + kw;
              }
            }
          }
        }
        y[row.out + ow * step + c] = drawn;
        mask[row.out + ow * step + c] = (byte) tap;
      }
    }
  }

  private static void median(Grid grid, float[] x, float[] y, Row row) {
    int step = grid.step;
    float[] window = new float[grid.kernel[0] * grid.kernel[1] * grid.kernel[2]];
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        int taps = 0;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              window[taps++] = x[line + kw * step];
            }
          }
        }
        Arrays.sort(window, 0, taps);
        y[row.out + ow * step + c] = window[(taps - 1) / 2];
      }
    }
  }

  private static void median(Grid grid, byte[] x, byte[] y, Row row) {
    int step = grid.step;
    int[] counts = new int[256];
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      for (int c = 0; c < row.channels; c++) {
        Arrays.fill(counts, 0);
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              counts[x[line + kw * step] & 0xFF]++;
            }
          }
        }
        int taps = (row.endD - row.firstD) * (row.endH - row.firstH) * (end - first);
        int value = 0;
        for (int below = counts[0]; below <= (taps - 1) / 2; below += counts[value]) {
          value++;
        }
        y[row.out + ow * step + c] = (byte) value;
      }
    }
  }

  /** Distance in memory of every tap from the first of its window. */
  private static int[] offsets(Grid grid) {
    int[] offsets = new int[grid.kernel[0] * grid.kernel[1] * grid.kernel[2]];
    for (int tap = 0; tap < offsets.length; tap++) {
      int kw = tap % grid.kernel[2];
      int kh = tap / grid.kernel[2] % grid.kernel[1];
      int kd = tap / grid.kernel[2] / grid.kernel[1];
      offsets[tap] = ((kd * grid.in[1] + kh) * grid.in[2] + kw) * grid.step;
    }
    return offsets;
  }

  private static void maxBackward(
      Grid grid, float[] dy, byte[] mask, int[] offsets, float[] dx, Row row) {
    int step = grid.step;
    int line = row.line(0, 0);
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int window = line + grid.start(2, ow) * step;
      for (int c = 0; c < row.channels; c++) {
        int o = row.out + ow * step + c;
        if (mask[o] != NONE) {
          dx[window + offsets[mask[o] & 0xFF] + c] += dy[o];
        }
      }
    }
  }

  private static void averageBackward(Grid grid, float[] dy, float[] dx, Row row) {
    int step = grid.step;
    for (int ow = 0; ow < grid.out[2]; ow++) {
      int start = grid.start(2, ow);
      int first = grid.firstTap(2, start);
      int end = grid.endTap(2, start);
      int count = (row.endD - row.firstD) * (row.endH - row.firstH) * (end - first);
      for (int c = 0; c < row.channels; c++) {
        float share = dy[row.out + ow * step + c] / count;
        for (int kd = row.firstD; kd < row.endD; kd++) {
          for (int kh = row.firstH; kh < row.endH; kh++) {
            int line = row.line(kd, kh) + start * step + c;
            for (int kw = first; kw < end; kw++) {
              dx[line + kw * step] += share;
            }
          }
        }
      }
    }
  }
}
