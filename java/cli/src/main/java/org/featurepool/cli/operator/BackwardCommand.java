package org.featurepool.cli.operator;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.featurepool.Npy;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Gradient of a pooling. */
@Command(
    name = "backward",
    description = "Gradient of a pooling at X, from the gradient DY of its output.",
    customSynopsis = "featurepool backward X DY -o DX.npy --op OPERATOR [OPTIONS]",
    sortOptions = false,
    modelTransformer = OperatorOptions.Backward.class,
    footer = {
      "",
      "The options are those of the pooling, see 'featurepool pool --help'. The pooling",
      "of X is computed again, so that neither its output nor a mask need be kept; DY has",
      "the axes that it writes. Where windows overlap, gradients add up.",
      "",
      "Gradients of parameters are written beside DX.npy: gem writes DX.p.npy, mixed",
      "DX.alpha.npy, netvlad DX.W.npy, DX.b.npy and DX.c.npy; bilinear with --second",
      "writes the gradient of its second input, DX.second.npy.",
      "",
      "Examples:",
      "  featurepool backward x.npy dy.npy -o dx.npy --op max --kernel 3,3 \\",
      "      --stride 2,2 --pad 1,1,1,1",
      "  featurepool backward x.npy dy.npy -o dx.npy --op gem --global --p 2,3,4.5"
    })
public final class BackwardCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "X",
      description = "Input of the pooling: an .npy file or a picture.")
  private Path in;

  @Parameters(
      index = "1",
      paramLabel = "DY",
      description = "Gradient of its output: an .npy file of X's type, or float32.")
  private Path gradient;

  @Option(
      names = {"-o", "--out"},
      required = true,
      paramLabel = "DX.npy",
      description = "Gradient of its input: an .npy file with the axes of X and the type of DY.")
  private Path out;

  BackwardCommand() {}

  @Override
  public Integer call() throws IOException {
    Arguments arguments = OperatorOptions.arguments(spec);
    arguments.applyThreads();
    if (!Input.isArray(gradient)) {
      throw new UsageException("DY " + gradient + " must be an .npy file");
    }
    try (Outputs outputs = new Outputs();
        Arena arena = Arena.ofConfined()) {
      Path written = outputs.add("-o", out, ".npy");
      Pooling pooling = arguments.operator().make(arguments, arena);
      Map<String, Path> further = new LinkedHashMap<>();
      for (String name : pooling.furtherGradients()) {
        further.put(name, outputs.add("-o", sibling(name)));
      }
      Input input = Input.read("X", in, pooling.axes(), pooling.types(), arguments.layout(), arena);
      Pooling.Result result = pooling.backward(input, readGradient(pooling, input, arena), arena);
      input.like(result.tensor()).write(written);
      for (Map.Entry<String, Path> entry : further.entrySet()) {
        result.extras().get(entry.getKey()).write(entry.getValue());
      }
      outputs.commit();
    }
    return 0;
  }

  /** The file of a further gradient: {@code dx.p.npy} beside {@code dx.npy}. */
  private Path sibling(String name) {
    String file = out.getFileName().toString();
    String stem = file.substring(0, file.length() - ".npy".length());
    return out.resolveSibling(stem + "." + name + ".npy");
  }

  private Tensor readGradient(Pooling pooling, Input input, Arena arena) {
    Npy.Array array = Input.readArray("DY", gradient, arena);
    Input.requireType("DY", gradient, array, Set.of(Types.gradient(input.tensor().dtype())));
    Shape shape = pooling.outputShape(input.tensor().shape());
    long[] expected = pooling.outputExtents(input);
    if (!Arrays.equals(expected, array.extents())) {
      throw new UsageException(
          "DY %s is %s; the pooling of X gives %s"
              .formatted(gradient, ArrayForm.text(array.extents()), ArrayForm.text(expected)));
    }
    return array.toTensor(shape);
  }
}
