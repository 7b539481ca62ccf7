package org.featurepool.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What operators refuse beyond what {@link BadInputTest} has: one line, status 2, no file. */
class OperatorRefusalTest {
  private static final int COUNT = 2 * 3 * 6 * 5;

  @TempDir Path folder;
  private Path in;

  @BeforeEach
  void makeInputs() throws IOException {
    double[] ones = new double[COUNT];
    Arrays.fill(ones, 1);
    in = NpyFile.writeDoubles(folder.resolve("x.npy"), ones, 2, 3, 6, 5);
    double[] negative = ones.clone();
    negative[3 * 30 + 17] = -2;
    NpyFile.writeDoubles(folder.resolve("negative.npy"), negative, 2, 3, 6, 5);
    negative[3 * 30 + 17] = Double.NaN;
    NpyFile.writeDoubles(folder.resolve("nan.npy"), negative, 2, 3, 6, 5);
    float[] floats = new float[COUNT];
    NpyFile.writeFloats(folder.resolve("floats.npy"), floats, 2, 3, 6, 5);
    NpyFile.writeUnsignedBytes(folder.resolve("bytes.npy"), floats, 2, 3, 6, 5);
    regions("regions.npy", 0, 0, 0, 4, 4);
    regions("far.npy", 2, 0, 0, 4, 4);
    regions("half.npy", 0.5, 0, 0, 4, 4);
    regions("nowhere.npy", 0, Double.NaN, 0, 4, 4);
    NpyFile.writeDoubles(folder.resolve("four.npy"), new double[4], 1, 4);
    NpyFile.writeDoubles(folder.resolve("batch.npy"), new double[COUNT / 2], 1, 3, 6, 5);
    NpyFile.writeDoubles(folder.resolve("length.npy"), new double[2 * 3 * 36], 2, 3, 6, 6);
    long[] mask = new long[COUNT];
    mask[31] = 120;
    NpyFile.writeLongs(folder.resolve("mask.npy"), mask, 2, 3, 6, 5);
    NpyFile.writeLongs(folder.resolve("short.npy"), new long[COUNT / 2], 1, 3, 6, 5);
  }

  private void regions(String name, double... region) throws IOException {
    NpyFile.writeDoubles(folder.resolve(name), region, 1, 5);
  }

  private void refuse(String fragment, String command, Path input, String options)
      throws IOException {
    List<Object> args = new ArrayList<>(List.of(command, input));
    if (command.equals("backward")) {
      args.add(in);
    }
    args.addAll(List.of("-o", folder.resolve("y.npy")));
    args.addAll(List.of(options.replace("FOLDER", folder.toString()).split(" ")));
    Program.refuse(folder, fragment, args.toArray());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op stochastic needs --seed=S | x.npy | --op stochastic --kernel 2,2 --train
          --seed goes with --train | x.npy | --op stochastic --kernel 2,2 --seed 3
          is -2 | negative.npy | --op stochastic --kernel 2,2
          is -2 | negative.npy | --op stochastic --kernel 2,2 --train --seed 3
          [1, 0, 3, 2] | negative.npy | --op stochastic --kernel 2,2 --train --seed 3
          is nan | nan.npy | --op stochastic --kernel 2,2
          must hold float32, float64 or uint8 | mask.npy | --op median --kernel 2,2
          """)
  void drawn(String fragment, String file, String options) throws IOException {
    refuse(fragment, "pool", folder.resolve(file), options);
  }
}
