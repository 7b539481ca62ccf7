package org.featurepool.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * A pooling of an array: the program's options, and the same in the oracle's terms.
 *
 * @param form name of the array's axes, for example NHWC
 * @param extents of those axes
 * @param options as for the program, without {@code --op}
 */
record Case(String form, long[] extents, Oracle.Window window, List<String> options) {
  private static final String SPATIAL = "DHW";

  static Case of(String form, String extents, String options) {
    return new Case(form, numbers(extents), window(options), new ArrayList<>(split(options)));
  }

  private static List<String> split(String options) {
    return List.of(options.split(" "));
  }

  private static long[] numbers(String text) {
    return Arrays.stream(text.split("[x,]")).mapToLong(Long::parseLong).toArray();
  }

  private static Oracle.Window window(String options) {
    List<String> words = split(options);
    int[] kernel = axes(words, "--kernel", null, 1);
    int[] begin = new int[3];
    int[] end = new int[3];
    int at = words.indexOf("--pad");
    if (at >= 0) {
      long[] pads = numbers(words.get(at + 1));
      int rank = pads.length / 2;
      for (int i = 0; i < rank; i++) {
        begin[3 - rank + i] = (int) pads[i];
        end[3 - rank + i] = (int) pads[rank + i];
      }
    }
    int divisor = words.indexOf("--divisor");
    return new Oracle.Window(
        kernel,
        axes(words, "--stride", kernel, 1),
        begin,
        end,
        axes(words, "--dilation", null, 1),
        words.contains("--ceil"),
        words.contains("--include-pad"),
        divisor < 0 ? 0 : Long.parseLong(words.get(divisor + 1)));
  }

  /** Values of an option for D, H and W; {@code fill} in axes that the pooling has not. */
  private static int[] axes(List<String> words, String option, int[] otherwise, int fill) {
    int at = words.indexOf(option);
    if (at < 0 && otherwise != null) {
      return otherwise;
    }
    int[] all = {fill, fill, fill};
    if (at >= 0) {
      long[] values = numbers(words.get(at + 1));
      for (int i = 0; i < values.length; i++) {
        all[3 - values.length + i] = (int) values[i];
      }
    }
    return all;
  }

  private long extent(char axis, long otherwise) {
    int at = form.indexOf(axis);
    return at < 0 ? otherwise : extents[at];
  }

  int images() {
    return (int) extent('N', 1);
  }

  int channels() {
    return (int) extent('C', 1);
  }

  boolean interleaved() {
    return form.endsWith("C");
  }

  Oracle oracle() {
    int[] spatial = new int[3];
    for (int i = 0; i < 3; i++) {
      spatial[i] = (int) extent(SPATIAL.charAt(i), 1);
    }
    return new Oracle(window, images() * channels(), spatial);
  }

  /** Extents of the output, in the order of the form's axes. */
  long[] outputExtents() {
    Oracle oracle = oracle();
    long[] output = extents.clone();
    for (int i = 0; i < output.length; i++) {
      int axis = SPATIAL.indexOf(form.charAt(i));
      output[i] = axis < 0 ? output[i] : oracle.output[axis];
    }
    return output;
  }

  /** The options, those of the average only where {@code operator} is avg, and the layout. */
  List<String> options(String operator) {
    List<String> all = new ArrayList<>(options);
    if (operator.equals("max")) {
      all.remove("--include-pad");
      int divisor = all.indexOf("--divisor");
      if (divisor >= 0) {
        all.remove(divisor + 1);
        all.remove(divisor);
      }
    }
    all.addAll(List.of("--op", operator));
    if (interleaved()) {
      all.addAll(List.of("--layout", "nhwc"));
    }
    return all;
  }

  /** Values plane by plane as they lie in a file. */
  float[] toFile(float[] planes, int planeSize) {
    int[] order = Oracle.order(interleaved(), images(), channels(), planeSize);
    float[] file = new float[planes.length];
    for (int i = 0; i < file.length; i++) {
      file[i] = planes[order[i]];
    }
    return file;
  }

  /** Values of a file plane by plane. */
  float[] toPlanes(float[] file, int planeSize) {
    int[] order = Oracle.order(interleaved(), images(), channels(), planeSize);
    float[] planes = new float[file.length];
    for (int i = 0; i < file.length; i++) {
      planes[order[i]] = file[i];
    }
    return planes;
  }

  long[] toPlanes(long[] file, int planeSize) {
    int[] order = Oracle.order(interleaved(), images(), channels(), planeSize);
    long[] planes = new long[file.length];
    for (int i = 0; i < file.length; i++) {
      planes[order[i]] = file[i];
    }
    return planes;
  }

  /** Few distinct values, so that there are ties; whole, so that sums are exact. */
  static float[] values(long seed, int count, int bound) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextInt(bound);
    }
    return values;
  }

  static List<Case> all() {
    return List.of(
        of("HW", "7x9", "--kernel 2,2"),
        of("HW", "8x8", "--kernel 3,3 --stride 2,2 --pad 1,1,1,1 --include-pad"),
        of("CHW", "3x11x13", "--kernel 3,2 --stride 2,1 --pad 1,0,2,1 --include-pad"),
        of("HWC", "11x13x3", "--kernel 3,2 --stride 2,1 --pad 1,0,2,1"),
        of("NCHW", "2x3x17x19", "--kernel 5,5 --stride 1,1 --pad 2,2,2,2"),
        of("NHWC", "2x17x19x5", "--kernel 3,3 --stride 2,2 --pad 1,1,1,1"),
        of("NCHW", "2x2x10x10", "--kernel 3,3 --stride 2,2 --pad 0,1,0,0 --ceil --include-pad"),
        of("NHWC", "1x12x14x4", "--kernel 2,3 --stride 1,2 --dilation 2,3 --pad 1,1,1,1"),
        of("NCHW", "1x2x9x9", "--kernel 2,2 --stride 2,2 --divisor 3 --ceil"),
        of("CW", "4x31", "--kernel 3 --stride 2"),
        of("WC", "31x4", "--kernel 3 --stride 2 --pad 1,0"),
        of("NCW", "2x3x40", "--kernel 7 --stride 1 --pad 3,3 --include-pad"),
        of("NWC", "2x40x3", "--kernel 4 --dilation 3"),
        of("DHW", "5x6x7", "--kernel 2,2,2"),
        of("CDHW", "2x5x6x7", "--kernel 2,3,3 --stride 1,2,2 --pad 0,1,1,1,1,1"),
        of("DHWC", "5x6x7x3", "--kernel 3,2,2 --stride 1,1,1"),
        of("NCDHW", "2x2x6x7x8", "--kernel 3,3,3 --stride 2,2,2 --pad 1,1,1,1,1,1"),
        of("NDHWC", "2x6x7x8x3", "--kernel 2,2,2 --dilation 1,2,2 --stride 2,1,3"),
        of("NCHW", "0x3x8x8", "--kernel 2,2"),
        of("CHW", "1x40x40", "--kernel 17,17 --stride 3,3 --pad 8,8,8,8"));
  }

  @Override
  public String toString() {
    return form + " " + Arrays.toString(extents) + " " + String.join(" ", options);
  }
}
