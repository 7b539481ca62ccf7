package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.featurepool.DType;
import org.featurepool.Images;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Pools an array or a picture. */
@Command(
    name = "pool",
    description = "Pool an .npy array or a picture.",
    customSynopsis = "featurepool pool IN -o OUT --op OPERATOR [OPTIONS]",
    sortOptions = false,
    modelTransformer = OperatorOptions.Forward.class,
    footer = {
      "",
      "Arrays hold what the operator takes of float32, float64, float16, int8, uint8",
      "and int32; .npy files have no bfloat16. With one element per window a mask",
      "tells where it was: row*W + column in its plane, or -1 for a window without a",
      "valid element.",
      "",
      "The axes of arrays are CW or NCW for a pooling of one axis, HW, CHW or NCHW for",
      "two, DHW, CDHW or NCDHW for three; with --layout nhwc WC or NWC, HW, HWC or",
      "NHWC, DHW, DHWC or NDHWC. The output has as many. A picture counts as CHW, or",
      "HWC; for an operator that does not take uint8 its samples, 0 to 255, become",
      "float32, and a picture as output is rounded to 0 to 255.",
      "",
      "Examples:",
      "  featurepool pool photo.png -o half.png --op avg --kernel 2,2",
      "  featurepool pool x.npy -o y.npy --op max --kernel 3,3 --stride 2,2 \\",
      "      --pad 1,1,1,1 --mask-out mask.npy",
      "  featurepool pool video.npy -o out.npy --op max --kernel 2,3,3 --pad same_upper"
    })
public final class PoolCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "IN", description = "An .npy file or a picture.")
  private Path in;

  @Option(
      names = {"-o", "--out"},
      required = true,
      paramLabel = "OUT",
      description =
          "The result: an .npy file, or a picture where IN is one or holds uint8 and the output "
              + "has 1, 3 or 4 channels.")
  private Path out;

  PoolCommand() {}

  @Override
  public Integer call() throws IOException {
    Arguments arguments = OperatorOptions.arguments(spec);
    arguments.applyThreads();
    try (Outputs outputs = new Outputs();
        Arena arena = Arena.ofConfined()) {
      Path written = outputs.add("-o", out);
      Map<String, Path> further = OperatorOptions.addOutputs(arguments, outputs);
      Pooling pooling = arguments.operator().make(arguments, arena);
      Input input =
          Input.read("IN", in, pooling.axes(), pooling.types(), arguments.layout(), arena);
      Shape shape = pooling.outputShape(input.tensor().shape());
      if (!Input.isArray(out)) {
        requirePicture(pooling, input, shape);
      }
      Pooling.Result result = pooling.forward(input, arena);
      for (Map.Entry<String, Path> entry : further.entrySet()) {
        result.extras().get(entry.getKey()).write(entry.getValue());
      }
      if (Input.isArray(out)) {
        ArrayForm.write(written, result.tensor(), pooling.outputExtents(input));
      } else {
        writePicture(written, result.tensor(), arena);
      }
      outputs.commit();
    }
    return 0;
  }

  private void requirePicture(Pooling pooling, Input input, Shape shape) {
    if (pooling.givesVectors()) {
      throw new UsageException(
          "-o %s cannot hold vectors of %d elements, which this operator gives: use .npy"
              .formatted(out, shape.channels()));
    }
    long channels = shape.channels();
    DType dtype = input.tensor().dtype();
    if ((dtype != DType.U8 && !input.converted())
        || shape.spatialRank() != 2
        || shape.batch() != 1
        || (channels != 1 && channels != 3 && channels != 4)) {
      throw new UsageException(
          "-o %s cannot hold %s %s; a picture is uint8 of 1 image with 1, 3 or 4 channels: use .npy"
              .formatted(out, Types.name(dtype), shape));
    }
  }

  private void writePicture(Path file, Tensor tensor, Arena arena) throws IOException {
    try {
      Images.write(file, tensor.dtype() == DType.U8 ? tensor : Input.toBytes(tensor, arena));
    } catch (IllegalArgumentException e) {
      // Not every format holds every number of channels.
      throw new UsageException(e.getMessage().replace(file.toString(), "-o " + out), e);
    }
  }
}
