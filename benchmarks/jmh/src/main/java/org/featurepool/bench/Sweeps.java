package org.featurepool.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.featurepool.DType;
import org.featurepool.Layout;

/** Cells of one operator along one axis, for the charts of a report. */
final class Sweeps {
  private static final int[] KERNELS = {2, 3, 4, 5, 7, 9, 13, 17, 23, 31, 41, 51, 63};
  private static final int SMALLEST_BITS = 10;
  private static final int LARGEST_BITS = 32;

  /** Peers slower than memory by a factor of hundreds need not run over gigabytes. */
  private static final int LARGEST_BITS_OF_PEERS = 24;

  /** As often is a cell's data in memory: for calls, for passes, and its outputs as Java arrays. */
  private static final int COPIES = 3;

  private Sweeps() {}

  /** Max pooling of a picture by windows of 2x2 to 63x63 that slide by one. */
  static List<Cell> kernels() {
    List<Cell> cells = new ArrayList<>();
    for (int kernel : KERNELS) {
      int half = (kernel - 1) / 2;
      cells.add(
          cell(
              "kernel_" + kernel,
              1,
              540,
              960,
              kernel + "x" + kernel,
              "1x1",
              half + "x" + half,
              List.of("opencv", "onnxruntime")));
    }
    return cells;
  }

  /** Max pooling 2x2 of 1 KB to 4 GB, in steps of 4, as far as memory reaches. */
  static List<Cell> sizes() {
    List<Cell> cells = new ArrayList<>();
    for (int bits = SMALLEST_BITS; bits <= LARGEST_BITS; bits += 2) {
      int side = 1 << Math.min(8, (bits - 2) / 2);
      long planes = (1L << (bits - 2)) / ((long) side * side);
      cells.add(
          cell(
              "size_" + (1L << bits),
              planes,
              side,
              side,
              "2x2",
              "2x2",
              "0x0",
              bits <= LARGEST_BITS_OF_PEERS
                  ? List.of("onnxruntime", "onednn", "libtorch")
                  : List.of("none")));
    }
    return cells;
  }

  /** Whether this machine has the memory for a cell, its check and its limit. */
  static boolean fitsMemory(Cell cell) {
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    Task task = Task.of(cell).orElseThrow();
    long bytes = task.readBytes() + task.writtenBytes();
    return COPIES * bytes < system.getFreeMemorySize();
  }

  private static Cell cell(
      String id,
      long channels,
      long height,
      long width,
      String kernel,
      String stride,
      String pad,
      List<String> against) {
    return new Cell(
        id,
        "max",
        "forward",
        Layout.PLANAR,
        DType.F32,
        1,
        channels,
        1,
        height,
        width,
        kernel,
        stride,
        pad,
        against);
  }
}
