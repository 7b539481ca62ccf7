package org.featurepool;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.featurepool.bindings.NativeLibrary;
import org.featurepool.bindings.ffi.featurepool_h;

/**
 * NetVLAD: what the descriptors of an image differ by from the centroids they are assigned to.
 *
 * <p>A descriptor x<sub>i</sub> is the D channels of one position. Its assignment to cluster k is
 * {@code a_k(i) = softmax_k(W_k·x_i + b_k)}, and {@code V_k = Σ_i a_k(i)(x_i − c_k)}. Each V<sub>k
 * </sub> is divided by {@code max(‖V_k‖, 1e-12)}, and then all K·D values by their common norm
 * likewise; a cluster whose residual is zero stays zero. The output is N × K·D × 1 × 1.
 *
 * <p>Variants: ghost clusters (GhostVLAD), which take part in the softmax and are left out of the
 * output: {@linkplain Parameters weights and biases} have rows for them behind those of the
 * clusters; {@linkplain #withHardAssignment() hard assignment} (VLAD); {@linkplain
 * #withNormalizedDescriptors() descriptors of length 1}.
 *
 * <p>Source: Arandjelović et al., "NetVLAD: CNN Architecture for Weakly Supervised Place
 * Recognition", CVPR 2016; Zhong, Arandjelović and Zisserman, "GhostVLAD for Set-based Face
 * Recognition", ACCV 2018; seed 004, section 7.
 *
 * <p>See the {@linkplain org.featurepool package} for the exceptions that all calls have in common.
 */
public final class NetVlad {
  private final Parameters parameters;
  private final boolean hard;
  private final boolean normalized;
  private final MemorySegment descriptor;

  private NetVlad(Parameters parameters, boolean hard, boolean normalized) {
    this.parameters = parameters;
    this.hard = hard;
    this.normalized = normalized;
    this.descriptor =
        Descriptors.netVlad(
                Arena.ofAuto(), parameters.clusters(), parameters.ghosts(), hard, normalized)
            .asReadOnly();
  }

  /**
   * The trainable parameters: three tensors of one type, {@link DType#F32} or {@link DType#F64},
   * that the operator reads anew in every call. Matrices have rows and columns as the first two
   * extents and 1 as the others, in either layout.
   *
   * @param weights W, (K+G) × D × 1 × 1: as the weights of a convolution of 1 × 1
   * @param biases b, 1 × (K+G) × 1 × 1
   * @param centroids c, K × D × 1 × 1
   */
  public record Parameters(Tensor weights, Tensor biases, Tensor centroids) {
    /**
     * Checks the parameters.
     *
     * @throws IllegalArgumentException if types or shapes do not fit each other
     */
    public Parameters {
      Objects.requireNonNull(weights, "weights");
      Objects.requireNonNull(biases, "biases");
      Objects.requireNonNull(centroids, "centroids");
      if (centroids.shape().batch() < 1) {
        throw new IllegalArgumentException(
            "centroids has 0 rows; there must be at least 1 cluster");
      }
      checkDType("weights", weights, centroids);
      checkDType("biases", biases, centroids);
      long rows = weights.shape().batch();
      if (rows < centroids.shape().batch()) {
        throw new IllegalArgumentException(
            "weights has "
                + rows
                + " rows; centroids has "
                + centroids.shape().batch()
                + ", and each cluster and ghost needs one");
      }
      checkShape("weights", weights, rows, centroids.shape().channels());
      checkShape("biases", biases, 1, rows);
      checkShape("centroids", centroids, centroids.shape().batch(), centroids.shape().channels());
    }

    private static void checkDType(String name, Tensor tensor, Tensor centroids) {
      if (tensor.dtype() != centroids.dtype()) {
        throw new IllegalArgumentException(
            name + " is of " + tensor.dtype() + "; centroids is of " + centroids.dtype());
      }
    }

    private static void checkShape(String name, Tensor tensor, long rows, long columns) {
      Shape expected = Shape.of(tensor.shape().layout(), rows, columns, 1, 1);
      if (!tensor.shape().equals(expected)) {
        throw new IllegalArgumentException(
            name + " is " + tensor.shape() + "; it must be " + expected);
      }
    }

    /**
     * Makes parameters in new memory: of zeros, where the arena gives zeroed memory as those of the
     * JDK do.
     *
     * @param arena owner of the memory
     * @param dtype {@link DType#F32} or {@link DType#F64}
     * @param clusters number of clusters K, at least 1
     * @param ghosts number of ghost clusters G, at least 0
     * @param channels channels D of the descriptors, at least 1
     * @return three tensors
     * @throws IllegalArgumentException if a number is too small
     */
    public static Parameters allocate(
        Arena arena, DType dtype, long clusters, long ghosts, long channels) {
      checkCounts(clusters, ghosts);
      long rows = Math.addExact(clusters, ghosts);
      return new Parameters(
          Tensor.allocate(arena, dtype, Shape.nchw(rows, channels, 1, 1)),
          Tensor.allocate(arena, dtype, Shape.nchw(1, rows, 1, 1)),
          Tensor.allocate(arena, dtype, Shape.nchw(clusters, channels, 1, 1)));
    }

    /**
     * Returns the number of clusters.
     *
     * @return K
     */
    public long clusters() {
      return centroids.shape().batch();
    }

    /**
     * Returns the number of ghost clusters.
     *
     * @return G
     */
    public long ghosts() {
      return weights.shape().batch() - clusters();
    }

    /**
     * Returns the number of channels of the descriptors.
     *
     * @return D
     */
    public long channels() {
      return centroids.shape().channels();
    }
  }

  private static void checkCounts(long clusters, long ghosts) {
    if (clusters < 1) {
      throw new IllegalArgumentException("clusters is " + clusters + "; it must be at least 1");
    }
    if (ghosts < 0 || ghosts > Long.MAX_VALUE - clusters) {
      throw new IllegalArgumentException(
          "ghosts is " + ghosts + "; it must be at least 0, and less than 2^63 with the clusters");
    }
  }

  /**
   * Gradients of a call, each of the type and shape of what it is the gradient of; those of the
   * parameters are sums over the images.
   *
   * @param input gradient of the input
   * @param weights gradient of W
   * @param biases gradient of b
   * @param centroids gradient of c
   */
  public record Gradients(Tensor input, Tensor weights, Tensor biases, Tensor centroids) {
    /** Names the gradients. */
    public Gradients {
      Objects.requireNonNull(input, "input");
      Objects.requireNonNull(weights, "weights");
      Objects.requireNonNull(biases, "biases");
      Objects.requireNonNull(centroids, "centroids");
    }
  }

  /**
   * What a forward call makes on the way and its gradient needs: two of the six matrix products of
   * {@link NetVlad#backward(Tensor, Tensor, Gradients)}. Memory of the call's type, N·((K+G)·H·W +
   * K·D) elements.
   *
   * @param assignments a<sub>k</sub>(i), N × (K+G) × H × W, planar; with {@linkplain
   *     NetVlad#withNormalizedDescriptors() normalised descriptors} divided by {@code max(‖x_i‖,
   *     1e-12)}, which is what x<sub>i</sub> counts for in V<sub>k</sub>
   * @param residuals V before the normalisations, N × K·D × 1 × 1, in either layout
   */
  public record Intermediates(Tensor assignments, Tensor residuals) {
    /** Names the tensors. */
    public Intermediates {
      Objects.requireNonNull(assignments, "assignments");
      Objects.requireNonNull(residuals, "residuals");
    }

    /**
     * Makes room for the intermediates of calls.
     *
     * @param arena owner of the memory
     * @param netVlad the operator
     * @param input shape of the input, of rank 2
     * @return two tensors of the type of the operator's parameters
     * @throws IllegalArgumentException if the rank is another
     */
    public static Intermediates allocate(Arena arena, NetVlad netVlad, Shape input) {
      Objects.requireNonNull(arena, "arena");
      Parameters parameters = netVlad.parameters;
      DType dtype = parameters.centroids.dtype();
      Shape residuals = netVlad.outputShape(input);
      if (input.spatialRank() != 2) {
        throw new IllegalArgumentException("input is " + input + "; its rank must be 2");
      }
      Shape assignments =
          Shape.nchw(
              input.batch(),
              parameters.weights.shape().batch(),
              input.spatial(0),
              input.spatial(1));
      return new Intermediates(
          Tensor.allocate(arena, dtype, assignments), Tensor.allocate(arena, dtype, residuals));
    }
  }

  /**
   * Output of a forward call and what its gradient needs.
   *
   * @param output N × K·D × 1 × 1
   * @param intermediates what {@link NetVlad#backward(Tensor, Tensor, Intermediates, Arena)} takes
   */
  public record Result(Tensor output, Intermediates intermediates) {
    /** Names the tensors. */
    public Result {
      Objects.requireNonNull(output, "output");
      Objects.requireNonNull(intermediates, "intermediates");
    }
  }

  /**
   * Makes the operator, with soft assignment of the descriptors as they are.
   *
   * @param parameters the parameters; the operator keeps the tensors, which may be changed between
   *     calls, for instance by training
   * @return an operator that may be shared between threads that may use the parameters' memory
   */
  public static NetVlad of(Parameters parameters) {
    Objects.requireNonNull(parameters, "parameters");
    NativeLibrary.verifyAvailable();
    return new NetVlad(parameters, false, false);
  }

  /**
   * Assigns every descriptor to the cluster, or ghost, of its largest score, the first of equals.
   *
   * @return this operator with hard assignment, whose gradients of W and b are 0
   */
  public NetVlad withHardAssignment() {
    return new NetVlad(parameters, true, normalized);
  }

  /**
   * Divides every descriptor by {@code max(‖x_i‖, 1e-12)} first.
   *
   * @return this operator with descriptors of length 1; one shorter than 1e-12 has the gradient 0
   */
  public NetVlad withNormalizedDescriptors() {
    return new NetVlad(parameters, hard, true);
  }

  /**
   * Returns the parameters.
   *
   * @return the tensors that the operator was made with
   */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * Returns the shape of the output.
   *
   * @param input shape of the input, of rank 2
   * @return N × K·D × 1 × 1, in the layout of the input
   */
  public Shape outputShape(Shape input) {
    Objects.requireNonNull(input, "input");
    return Shape.of(
        input.layout(),
        input.batch(),
        Math.multiplyExact(parameters.clusters(), parameters.channels()),
        1,
        1);
  }

  /**
   * Pools a tensor into a new one.
   *
   * @param x input N × D × H × W, of the parameters' type
   * @param arena owner of the output's memory
   * @return output of the input's type and {@link #outputShape}
   * @throws IllegalArgumentException if the rank is another or the parameters do not fit the input
   */
  public Tensor forward(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape()));
    forward(x, out);
    return out;
  }

  /**
   * Pools a tensor into an existing one; allocates nothing on the Java heap.
   *
   * @param x input N × D × H × W, of the parameters' type
   * @param out output of the input's type and of {@link #outputShape} in either layout; overwritten
   * @throws IllegalArgumentException if the rank is another, the parameters do not fit the input,
   *     or {@code out} has another type or shape, is read-only or overlaps another operand
   */
  public void forward(Tensor x, Tensor out) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Status.check(
        featurepool_h.fpool_netvlad_forward(
            x.descriptor(),
            x.segment(),
            parameters.weights.descriptor(),
            parameters.weights.segment(),
            parameters.biases.descriptor(),
            parameters.biases.segment(),
            parameters.centroids.descriptor(),
            parameters.centroids.segment(),
            descriptor,
            out.descriptor(),
            out.writable("out")));
  }

  /**
   * Pools a tensor into a new one and keeps what the gradient needs.
   *
   * @param x input N × D × H × W, of the parameters' type
   * @param arena owner of the memory of all results
   * @return the output, that of {@link #forward(Tensor, Arena)} bit for bit, and the intermediates
   * @throws IllegalArgumentException if the rank is another or the parameters do not fit the input
   */
  public Result forwardWithIntermediates(Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Tensor out = Tensor.allocate(arena, x.dtype(), outputShape(x.shape()));
    Intermediates intermediates = Intermediates.allocate(arena, this, x.shape());
    forwardWithIntermediates(x, out, intermediates);
    return new Result(out, intermediates);
  }

  /**
   * Pools a tensor into an existing one and keeps what the gradient needs; allocates nothing on the
   * Java heap.
   *
   * @param x input N × D × H × W, of the parameters' type
   * @param out output as of {@link #forward(Tensor, Tensor)}; overwritten
   * @param intermediates as {@link Intermediates#allocate} makes them; overwritten
   * @throws IllegalArgumentException if the rank is another, the parameters do not fit the input,
   *     or {@code out} or a tensor of {@code intermediates} has another type or shape, is read-only
   *     or overlaps another operand
   */
  public void forwardWithIntermediates(Tensor x, Tensor out, Intermediates intermediates) {
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(intermediates, "intermediates");
    Status.check(
        featurepool_h.fpool_netvlad_forward_with_intermediates(
            x.descriptor(),
            x.segment(),
            parameters.weights.descriptor(),
            parameters.weights.segment(),
            parameters.biases.descriptor(),
            parameters.biases.segment(),
            parameters.centroids.descriptor(),
            parameters.centroids.segment(),
            descriptor,
            out.descriptor(),
            out.writable("out"),
            intermediates.assignments.descriptor(),
            intermediates.assignments.writable("assignments"),
            intermediates.residuals.descriptor(),
            intermediates.residuals.writable("residuals")));
  }

  /**
   * Computes the gradients of the input and the parameters into new tensors.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param arena owner of the memory of the gradients
   * @return the gradients, through the assignment and all normalisations; a cluster whose residual
   *     is shorter than 1e-12 has the gradient 0
   * @throws IllegalArgumentException if the parameters do not fit {@code x}, or {@code gradient}
   *     has another type or shape than the output
   */
  public Gradients backward(Tensor gradient, Tensor x, Arena arena) {
    Objects.requireNonNull(x, "x");
    Gradients gradients = allocateGradients(x, arena);
    backward(gradient, x, gradients);
    return gradients;
  }

  /**
   * Computes the gradients of the input and the parameters into new tensors, from what the forward
   * call kept: a third less work than {@link #backward(Tensor, Tensor, Arena)}.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param intermediates what {@link #forwardWithIntermediates(Tensor, Arena)} kept of that call;
   *     others give gradients that are wrong
   * @param arena owner of the memory of the gradients
   * @return the gradients, as without intermediates
   * @throws IllegalArgumentException if the parameters do not fit {@code x}, or {@code gradient} or
   *     a tensor of {@code intermediates} has another type or shape than that of the forward call
   */
  public Gradients backward(Tensor gradient, Tensor x, Intermediates intermediates, Arena arena) {
    Objects.requireNonNull(x, "x");
    Gradients gradients = allocateGradients(x, arena);
    backward(gradient, x, intermediates, gradients);
    return gradients;
  }

  private Gradients allocateGradients(Tensor x, Arena arena) {
    return new Gradients(
        Tensor.allocate(arena, x.dtype(), x.shape()),
        like(parameters.weights, arena),
        like(parameters.biases, arena),
        like(parameters.centroids, arena));
  }

  private static Tensor like(Tensor tensor, Arena arena) {
    return Tensor.allocate(arena, tensor.dtype(), tensor.shape());
  }

  /**
   * Computes the gradients of the input and the parameters into existing tensors; allocates nothing
   * on the Java heap.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param gradients the gradients; overwritten
   * @throws IllegalArgumentException if the parameters do not fit {@code x}, {@code gradient} has
   *     another type or shape than the output, or a tensor of {@code gradients} has another type or
   *     shape than what it is the gradient of, is read-only or overlaps another operand
   */
  public void backward(Tensor gradient, Tensor x, Gradients gradients) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(gradients, "gradients");
    Status.check(
        featurepool_h.fpool_netvlad_backward(
            gradient.descriptor(),
            gradient.segment(),
            x.descriptor(),
            x.segment(),
            parameters.weights.descriptor(),
            parameters.weights.segment(),
            parameters.biases.descriptor(),
            parameters.biases.segment(),
            parameters.centroids.descriptor(),
            parameters.centroids.segment(),
            descriptor,
            gradients.input.descriptor(),
            gradients.input.writable("inputGradient"),
            gradients.weights.descriptor(),
            gradients.weights.writable("weightsGradient"),
            gradients.biases.descriptor(),
            gradients.biases.writable("biasesGradient"),
            gradients.centroids.descriptor(),
            gradients.centroids.writable("centroidsGradient")));
  }

  /**
   * Computes the gradients of the input and the parameters into existing tensors, from what the
   * forward call kept; allocates nothing on the Java heap.
   *
   * @param gradient gradient of the output
   * @param x input of the forward call
   * @param intermediates what {@link #forwardWithIntermediates(Tensor, Tensor, Intermediates)} kept
   *     of that call; others give gradients that are wrong
   * @param gradients the gradients; overwritten
   * @throws IllegalArgumentException as of {@link #backward(Tensor, Tensor, Gradients)}, or if a
   *     tensor of {@code intermediates} has another type or shape than that of the forward call
   */
  public void backward(
      Tensor gradient, Tensor x, Intermediates intermediates, Gradients gradients) {
    Objects.requireNonNull(gradient, "gradient");
    Objects.requireNonNull(x, "x");
    Objects.requireNonNull(intermediates, "intermediates");
    Objects.requireNonNull(gradients, "gradients");
    Status.check(
        featurepool_h.fpool_netvlad_backward_with_intermediates(
            gradient.descriptor(),
            gradient.segment(),
            x.descriptor(),
            x.segment(),
            parameters.weights.descriptor(),
            parameters.weights.segment(),
            parameters.biases.descriptor(),
            parameters.biases.segment(),
            parameters.centroids.descriptor(),
            parameters.centroids.segment(),
            descriptor,
            intermediates.assignments.descriptor(),
            intermediates.assignments.segment(),
            intermediates.residuals.descriptor(),
            intermediates.residuals.segment(),
            gradients.input.descriptor(),
            gradients.input.writable("inputGradient"),
            gradients.weights.descriptor(),
            gradients.weights.writable("weightsGradient"),
            gradients.biases.descriptor(),
            gradients.biases.writable("biasesGradient"),
            gradients.centroids.descriptor(),
            gradients.centroids.writable("centroidsGradient")));
  }

  /**
   * Makes initial parameters from sample descriptors, without ghosts and of descriptors as they
   * are; see {@link #initialize(Tensor, long, long, boolean, long, Arena)}.
   *
   * @param descriptors the sample, {@link DType#F32} or {@link DType#F64} of rank 2
   * @param clusters number of clusters K, at least 1
   * @param seed of the random draws
   * @param arena owner of the parameters' memory
   * @return parameters of the sample's type
   * @throws IllegalArgumentException if {@code clusters} is less than 1 or more than the sample has
   *     different descriptors, or a descriptor is not finite
   */
  public static Parameters initialize(Tensor descriptors, long clusters, long seed, Arena arena) {
    return initialize(descriptors, clusters, 0, false, seed, arena);
  }

  /**
   * Makes initial parameters from sample descriptors: centroids by k-means++ and 10 of Lloyd's
   * iterations, {@code W = 2αc}, {@code b = −α‖c‖²}, and {@code α = −ln(0.01) / mean(d₂² − d₁²)},
   * with d₁ and d₂ the distances of a descriptor to the nearest two centroids: it then belongs to
   * the nearest, on average, 100 times as much as to the second. Ghosts are centroids too, of which
   * only W and b are kept. The same seed gives the same parameters, for every number of threads, on
   * machines of one instruction set.
   *
   * @param descriptors the sample: the channels at all positions of all images, {@link DType#F32}
   *     or {@link DType#F64} of rank 2, for instance M × D × 1 × 1
   * @param clusters number of clusters K, at least 1
   * @param ghosts number of ghost clusters G, at least 0
   * @param normalizeDescriptors whether the operator is to be {@linkplain
   *     #withNormalizedDescriptors() one of normalised descriptors}
   * @param seed of the random draws
   * @param arena owner of the parameters' memory
   * @return parameters of the sample's type
   * @throws IllegalArgumentException if {@code clusters} is less than 1, {@code ghosts} less than
   *     0, both more than the sample has different descriptors, or a descriptor is not finite
   */
  public static Parameters initialize(
      Tensor descriptors,
      long clusters,
      long ghosts,
      boolean normalizeDescriptors,
      long seed,
      Arena arena) {
    Objects.requireNonNull(descriptors, "descriptors");
    checkCounts(clusters, ghosts);
    NativeLibrary.verifyAvailable();
    Shape shape = descriptors.shape();
    // Before there is memory for more clusters than there can be.
    if (shape.batch() * shape.planeSize() < clusters + ghosts) {
      throw new IllegalArgumentException(
          "descriptors has "
              + shape.batch() * shape.planeSize()
              + " descriptors; "
              + clusters
              + " clusters and "
              + ghosts
              + " ghosts need at least "
              + (clusters + ghosts));
    }
    Parameters made =
        Parameters.allocate(arena, descriptors.dtype(), clusters, ghosts, shape.channels());
    MemorySegment options =
        Descriptors.netVlad(Arena.ofAuto(), clusters, ghosts, false, normalizeDescriptors);
    Status.check(
        featurepool_h.fpool_netvlad_initialize(
            descriptors.descriptor(),
            descriptors.segment(),
            options,
            seed,
            made.weights.descriptor(),
            made.weights.segment(),
            made.biases.descriptor(),
            made.biases.segment(),
            made.centroids.descriptor(),
            made.centroids.segment()));
    return made;
  }

  /**
   * Returns the operator, its extents and options.
   *
   * @return a description for people
   */
  @Override
  public String toString() {
    return "NetVLAD of "
        + parameters.clusters()
        + " clusters"
        + (parameters.ghosts() > 0 ? " and " + parameters.ghosts() + " ghosts" : "")
        + (hard ? ", hard assignment" : "")
        + (normalized ? ", normalised descriptors" : "");
  }
}
