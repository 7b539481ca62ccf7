package org.featurepool.cli.operator;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.featurepool.DType;
import org.featurepool.NetVlad;
import org.featurepool.Npy;
import org.featurepool.Shape;
import org.featurepool.Tensor;
import org.featurepool.cli.UsageException;

/** NetVLAD: residuals of descriptors to trainable clusters. */
record Vlad(String name, String summary) implements Operator {
  private static final String WEIGHTS = "W";
  private static final String BIASES = "b";
  private static final String CENTROIDS = "c";
  private static final List<String> PARAMETERS = List.of(WEIGHTS, BIASES, CENTROIDS);

  @Override
  public List<Option<?>> options() {
    return List.of(
        Options.CLUSTERS,
        Options.SEED,
        Options.GHOSTS,
        Options.PARAMETERS,
        Options.PARAMETERS_OUTPUT,
        Options.NORMALIZE_DESCRIPTORS,
        Options.HARD);
  }

  @Override
  public Pooling make(Arguments arguments, Arena arena) {
    Axes axes = Axes.ofPictures(arguments);
    boolean hard = arguments.has(Options.HARD);
    boolean normalized = arguments.has(Options.NORMALIZE_DESCRIPTORS);
    if (arguments.oneOf(Options.CLUSTERS, Options.PARAMETERS) == Options.PARAMETERS) {
      arguments.requireWith(Options.SEED, Options.CLUSTERS);
      arguments.requireWith(Options.GHOSTS, Options.CLUSTERS);
      NetVlad.Parameters given = read(arguments.require(Options.PARAMETERS), arena);
      return new Residuals(axes, given.clusters(), (_, _) -> given, hard, normalized);
    }
    long clusters = arguments.require(Options.CLUSTERS);
    if (clusters < 1) {
      throw new UsageException("--clusters is %d; it must be at least 1".formatted(clusters));
    }
    long seed = arguments.require(Options.SEED);
    long ghosts = arguments.find(Options.GHOSTS).orElse(0L);
    return new Residuals(
        axes,
        clusters,
        (x, owner) -> NetVlad.initialize(x, clusters, ghosts, normalized, seed, owner),
        hard,
        normalized);
  }

  private static NetVlad.Parameters read(Path file, Arena arena) {
    Map<String, Npy.Array> arrays = Npz.read(Options.PARAMETERS, file, PARAMETERS, arena);
    try {
      return new NetVlad.Parameters(
          matrix(file, WEIGHTS, 2, arrays),
          matrix(file, BIASES, 1, arrays),
          matrix(file, CENTROIDS, 2, arrays));
    } catch (IllegalArgumentException e) {
      throw new UsageException("%s %s: %s".formatted(Options.PARAMETERS, file, e.getMessage()), e);
    }
  }

  private static Tensor matrix(Path file, String name, int axes, Map<String, Npy.Array> arrays) {
    Npy.Array array = arrays.get(name);
    Input.requireType(Options.PARAMETERS + ", array " + name + " of", file, array, Types.F32_F64);
    long[] extents = array.extents();
    if (extents.length != axes) {
      throw new UsageException(
          "%s %s: %s is %s; it must have %s"
              .formatted(
                  Options.PARAMETERS,
                  file,
                  name,
                  ArrayForm.text(extents),
                  axes == 2 ? "2 axes, clusters x channels" : "1 axis, clusters"));
    }
    return array.toTensor(
        axes == 2 ? Shape.nchw(extents[0], extents[1], 1, 1) : Shape.nchw(1, extents[0], 1, 1));
  }

  private static Npy.Array array(Tensor tensor, boolean vector) {
    long[] extents = Arrays.copyOf(tensor.shape().extents(), 2);
    return new Npy.Array(
        tensor.dtype(), vector ? new long[] {extents[1]} : extents, tensor.segment());
  }

  private static Map<String, Npy.Array> arrays(Tensor weights, Tensor biases, Tensor centroids) {
    Map<String, Npy.Array> arrays = new LinkedHashMap<>();
    arrays.put(WEIGHTS, array(weights, false));
    arrays.put(BIASES, array(biases, true));
    arrays.put(CENTROIDS, array(centroids, false));
    return arrays;
  }

  /** Where parameters come from. */
  @FunctionalInterface
  private interface Source {
    NetVlad.Parameters of(Tensor descriptors, Arena arena);
  }

  private record Residuals(
      Axes axes, long clusters, Source source, boolean hard, boolean normalized)
      implements Pooling {
    @Override
    public Set<DType> types() {
      return Types.F32_F64;
    }

    @Override
    public Shape outputShape(Shape x) {
      return Shape.of(x.layout(), x.batch(), Math.multiplyExact(clusters, x.channels()), 1, 1);
    }

    @Override
    public boolean givesVectors() {
      return true;
    }

    private NetVlad pool(Input x, Arena arena) {
      NetVlad soft = NetVlad.of(source.of(x.tensor(), arena));
      NetVlad assigned = hard ? soft.withHardAssignment() : soft;
      return normalized ? assigned.withNormalizedDescriptors() : assigned;
    }

    @Override
    public Result forward(Input x, Arena arena) {
      NetVlad pool = pool(x, arena);
      NetVlad.Parameters used = pool.parameters();
      Map<String, Npy.Array> arrays = arrays(used.weights(), used.biases(), used.centroids());
      return new Result(
          pool.forward(x.tensor(), arena),
          Map.of(Options.PARAMETERS_OUTPUT.name(), file -> Npz.write(file, arrays)));
    }

    @Override
    public List<String> furtherGradients() {
      return PARAMETERS;
    }

    @Override
    public Result backward(Input x, Tensor dy, Arena arena) {
      NetVlad.Gradients gradients = pool(x, arena).backward(dy, x.tensor(), arena);
      Map<String, Extra> extras = new LinkedHashMap<>();
      arrays(gradients.weights(), gradients.biases(), gradients.centroids())
          .forEach((name, array) -> extras.put(name, ArrayForm.array(array)));
      return new Result(gradients.input(), extras);
    }
  }
}
