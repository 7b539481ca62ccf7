package org.featurepool.cli;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.featurepool.DType;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Gradient of a pooling. */
@Command(
    name = "backward",
    description = "Gradient of a pooling at X, from the gradient DY of its output.",
    footer = {
      "",
      "The options are those of the pooling, see 'featurepool pool --help'. With max, a",
      "gradient goes to the element that was the maximum; with avg, the elements of its",
      "window share it. Where windows overlap, their gradients add up.",
      "",
      "Example:",
      "  featurepool backward x.npy dy.npy -o dx.npy --op max --kernel 3,3 \\",
      "      --stride 2,2 --pad 1,1,1,1"
    })
final class BackwardCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "X",
      description = "Input of the pooling: an .npy file of float32 or uint8, or a picture.")
  private Path in;

  @Parameters(
      index = "1",
      paramLabel = "DY",
      description = "Gradient of its output: an .npy file of float32.")
  private Path gradient;

  @Option(
      names = {"-o", "--out"},
      required = true,
      paramLabel = "DX.npy",
      description = "Gradient of its input: an .npy file of float32 with the axes of X.")
  private Path out;

  @Mixin private PoolingOptions options;

  @Override
  public Integer call() throws IOException {
    Pooling pooling = options.pooling();
    if (!Input.isArray(gradient)) {
      throw new UsageException("DY " + gradient + " must be an .npy file of float32");
    }
    if (!Input.isArray(out)) {
      throw new UsageException("-o " + out + " must end in .npy; gradients are float32");
    }
    try (Outputs outputs = new Outputs();
        Arena arena = Arena.ofConfined()) {
      Path written = outputs.add("-o", out);
      Input input = Input.read(in, options, arena);
      Tensor x = input.tensor();
      Tensor dy = Input.read(gradient, options, arena).tensor();
      Shape shape = pooling.window().outputShape(x.shape());
      if (dy.dtype() != DType.F32) {
        throw new UsageException(
            "DY %s holds %s; a gradient is float32".formatted(gradient, Input.name(dy.dtype())));
      }
      if (!dy.shape().equals(shape)) {
        throw new UsageException(
            "DY %s is %s; the pooling of X gives %s".formatted(gradient, dy.shape(), shape));
      }
      Tensor dx = Tensor.allocate(arena, DType.F32, x.shape());
      Parts.forEach("backward", part -> pooling.backward(part[0], part[1], part[2]), x, dy, dx);
      PoolCommand.writeArray(written, dx, input.axes());
      outputs.commit();
    }
    return 0;
  }
}
