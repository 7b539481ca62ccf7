package org.featurepool.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
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
          --op lp needs --p=P,.. | --op lp --kernel 2,2
          --op lp needs one of --kernel, --output, --global | --op lp --p 2
          p is 0.5 | --op lp --kernel 2,2 --p 0.5
          p is NaN | --op lp --kernel 2,2 --p NaN
          --p 2,3 has 2 values; --op lp takes one | --op lp --kernel 2,2 --p 2,3
          'two' is no list of numbers | --op lp --kernel 2,2 --p two
          p is 0.5 | --op global-lp --p 0.5
          --p belongs to lp, gem, global-lp; --op is max | --op max --kernel 2,2 --p 2
          --op gem needs one of --kernel, --output, --global | --op gem
          --kernel excludes --global; give one of them | --op gem --kernel 2,2 --global
          --stride goes with --kernel, which is not given | --op gem --global --stride 2
          --rank goes with --global, which is not given | --op gem --kernel 2,2 --rank 2
          p is NaN | --op gem --global --p NaN
          p has 2 | --op gem --kernel 1,1 --p 2,3
          epsilon is -1 | --op gem --global --epsilon -1
          alpha is 1.5 | --op mixed --global --alpha 1.5
          alpha is -0.1 | --op mixed --global --alpha -0.1
          alpha is NaN | --op mixed --global --alpha NaN
          alpha has 2 | --op mixed --kernel 1,1 --alpha 0.5,0.5
          --mode is max; with --op mixed it is add or cat | --op mixed --global --mode max
          --alpha goes with --mode add | --op mixed --global --mode cat --alpha 0.5
          --mode belongs to mixed | --op avg --kernel 2,2 --mode add
          """)
  void powersAndMixtures(String fragment, String options) throws IOException {
    refuse(fragment, "pool", in, options);
    refuse(fragment, "backward", in, options);
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
          must hold float32 or float64: save it as array.astype('float32') | bytes.npy | --op lp --kernel 2,2 --p 2
          --op fractional-max needs one of --seed, --samples | x.npy | --op fractional-max --kernel 2,2 --output 3,3
          --seed excludes --samples | x.npy | --op fractional-max --kernel 2,2 --output 3,3 --seed 1 --samples U.npy
          """)
  void drawn(String fragment, String file, String options) throws IOException {
    refuse(fragment, "pool", folder.resolve(file), options);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op spp needs --levels=L,.. | floats.npy | --op spp
          with 0; each must be at least 1 | floats.npy | --op spp --levels 1,0
          do not give 3 bins along an input of 5 but 4; use adaptive bins | floats.npy | --op spp --levels 3,4 --bins sppnet
          --bins is even; it is adaptive or sppnet | floats.npy | --op spp --levels 1 --bins even
          --reducer is min; it is max or avg | floats.npy | --op spp --levels 1 --reducer min
          must hold float32: save it as array.astype('float32') | x.npy | --op spp --levels 1
          with --op spp an array has 2 (HW), 3 (CHW) or 4 (NCHW) | line.npy | --op spp --levels 1
          --op spp-block needs --kernels=K,.. | floats.npy | --op spp-block
          with 4; each must be odd | floats.npy | --op spp-block --kernels 5,4
          """)
  void pyramids(String fragment, String file, String options) throws IOException {
    NpyFile.writeFloats(folder.resolve("line.npy"), new float[6], 6);
    refuse(fragment, "pool", folder.resolve(file), options);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op OP needs --regions=R.npy | --output 2,2
          --op OP needs --output=O,.. | --regions FOLDER/regions.npy
          --output 2 has 1 value; with --op OP it takes 2 | --regions FOLDER/regions.npy --output 2
          output is 2x0 | --regions FOLDER/regions.npy --output 2,0
          output is -1x2 | --regions FOLDER/regions.npy --output -1,2
          scale is 0 | --regions FOLDER/regions.npy --output 2,2 --scale 0
          'big' is no number | --regions FOLDER/regions.npy --output 2,2 --scale big
          batchIndices[0] is 2; | --regions FOLDER/far.npy --output 2,2
          the batch index of region 0 is 0.5 | --regions FOLDER/half.npy --output 2,2
          boxes[0].x1 is nan | --regions FOLDER/nowhere.npy --output 2,2
          is 1x4; it must be R x 5 | --regions FOLDER/four.npy --output 2,2
          holds int64; it must hold float32 or float64 | --regions FOLDER/mask.npy --output 2,2
          does not exist | --regions FOLDER/nothing.npy --output 2,2
          must be an .npy file | --regions FOLDER/regions.txt --output 2,2
          """)
  void regions(String fragment, String options) throws IOException {
    for (String operator : List.of("roi-pool", "roi-align")) {
      String expected = fragment.replace("OP", operator);
      refuse(expected, "pool", in, "--op " + operator + " " + options);
    }
    refuse(
        "--mode is lowest; with --op roi-align it is average or max",
        "pool",
        in,
        "--op roi-align --regions FOLDER/regions.npy --output 2,2 --mode lowest");
    refuse(
        "--half-pixel belongs to roi-align; --op is roi-pool",
        "pool",
        in,
        "--op roi-pool --regions FOLDER/regions.npy --output 2,2 --half-pixel");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op max-unpool needs --mask=M.npy | --op max-unpool --kernel 2,2
          is 120 | --op max-unpool --kernel 2,2 --mask FOLDER/mask.npy
          indices[31] | --op max-unpool --kernel 2,2 --mask FOLDER/mask.npy
          --indices is image; it is plane or tensor | --op max-unpool --kernel 2,2 --mask FOLDER/mask.npy --indices image
          short.npy is 1x3x6x5 (NCHW); the input is 2x3x6x5 (NCHW) | --op max-unpool --kernel 2,2 --mask FOLDER/short.npy
          holds float64; it must hold int32 or int64 | --op max-unpool --kernel 2,2 --mask FOLDER/x.npy
          output size is 20 | --op max-unpool --kernel 2,2 --mask FOLDER/mask.npy --output-size 20,10
          --output-size 12 has 1 value | --op max-unpool --kernel 2,2 --mask FOLDER/mask.npy --output-size 12
          --mask belongs to max-unpool; --op is avg-unpool | --op avg-unpool --kernel 2,2 --mask FOLDER/mask.npy
          """)
  void unpoolings(String fragment, String options) throws IOException {
    refuse(fragment, "pool", in, options);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          --op netvlad needs one of --clusters, --parameters | --op netvlad
          --op netvlad needs --seed=S | --op netvlad --clusters 3
          --clusters is 0; it must be at least 1 | --op netvlad --clusters 0 --seed 1
          --clusters is -4; it must be at least 1 | --op netvlad --clusters -4 --seed 1
          1 different | --op netvlad --clusters 2 --seed 1
          61 | --op netvlad --clusters 61 --seed 1
          ghosts is -1 | --op netvlad --clusters 1 --ghosts -1 --seed 1
          --clusters excludes --parameters | --op netvlad --clusters 2 --parameters P.npz
          --seed goes with --clusters | --op netvlad --seed 2 --parameters P.npz
          --ghosts goes with --clusters | --op netvlad --ghosts 2 --parameters P.npz
          nothing.npz does not exist | --op netvlad --parameters FOLDER/nothing.npz
          x.npy is no .npz file | --op netvlad --parameters FOLDER/x.npy
          has no array b; it must have W, b, c | --op netvlad --parameters FOLDER/lacking.npz
          weights is 2x4x1x1 | --op netvlad --parameters FOLDER/misfit.npz
          b is 2x1; it must have 1 axis | --op netvlad --parameters FOLDER/matrix.npz
          array W of | --op netvlad --parameters FOLDER/whole.npz
          must end in .npz | --op netvlad --clusters 1 --seed 1 --parameters-output P.npy
          --seed belongs to stochastic, fractional-max, netvlad; --op is bilinear | --op bilinear --seed 1
          second.npy does not exist | --op bilinear --second FOLDER/second.npy
          batch | --op bilinear --second FOLDER/batch.npy
          30 | --op bilinear --second FOLDER/length.npy
          holds uint8 | --op bilinear --second FOLDER/bytes.npy
          """)
  void products(String fragment, String options) throws IOException {
    NpyFile.writeArchive(
        folder.resolve("lacking.npz"),
        Map.of("W", zeros("'<f8'", 2, 3), "c", zeros("'<f8'", 2, 3)));
    parameters("misfit.npz", zeros("'<f8'", 2, 4), zeros("'<f8'", 2), zeros("'<f8'", 2, 3));
    parameters("matrix.npz", zeros("'<f8'", 2, 3), zeros("'<f8'", 2, 1), zeros("'<f8'", 2, 3));
    parameters("whole.npz", zeros("'<i4'", 2, 3), zeros("'<f8'", 2), zeros("'<f8'", 2, 3));
    refuse(fragment, "pool", in, options);
  }

  private void parameters(String name, Path weights, Path biases, Path centroids)
      throws IOException {
    NpyFile.writeArchive(folder.resolve(name), Map.of("W", weights, "b", biases, "c", centroids));
  }

  private Path zeros(String descr, long... extents) throws IOException {
    int count = (int) Arrays.stream(extents).reduce(1, (a, b) -> a * b);
    Path file = folder.resolve(Arrays.toString(extents) + descr.charAt(2) + ".npy");
    return NpyFile.write(file, descr, false, extents, new byte[8 * count]);
  }

  @Test
  void vectorsAreNoPictures() throws IOException {
    Path picture = folder.resolve("picture.png");
    ImageIO.write(new BufferedImage(8, 6, BufferedImage.TYPE_BYTE_GRAY), "png", picture.toFile());
    Program.refuse(
        folder,
        "cannot hold vectors of 5 elements, which this operator gives: use .npy",
        "pool",
        picture,
        "-o",
        folder.resolve("y.png"),
        "--op",
        "spp",
        "--levels",
        "1,2");
  }
}
