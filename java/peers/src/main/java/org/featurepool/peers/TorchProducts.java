package org.featurepool.peers;

import java.lang.foreign.Arena;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.featurepool.NetVlad;
import org.featurepool.bench.Product;
import org.featurepool.bench.Result;
import org.featurepool.bench.Workload;

/**
 * Poolings of second order composed of libtorch's operators. A gradient is taken through a graph
 * that is there, with what its forward pass has kept.
 */
final class TorchProducts {
  private static final double ROOT_EPSILON = 1e-5;
  private static final double NORM_EPSILON = 1e-12;

  private TorchProducts() {}

  static PeerCall.Steps prepare(Product product, Workload workload, Arena arena) {
    Inputs inputs = new Inputs(workload);
    if (!product.backward()) {
      // Operators allocate what they hand on to each other, as everybody calls them.
      org.featurepool.Tensor out =
          org.featurepool.Tensor.allocate(arena, product.dtype(), product.output());
      Tensor y = TorchPeer.tensor(out).flatten(1, -1);
      Runnable run = () -> scoped(() -> y.copy_(inputs.forward()));
      return new PeerCall.Steps(run, () -> Result.of(out));
    }
    TensorVector all = inputs.requireGradients();
    Tensor y = inputs.forward();
    TensorVector outputs = new TensorVector(y);
    TensorVector gradients = new TensorVector(TorchPeer.tensor(workload.source).flatten(1, -1));
    BoolOptional keep = new BoolOptional(true);
    org.featurepool.Tensor out =
        org.featurepool.Tensor.allocate(arena, product.dtype(), product.input());
    Tensor dx = TorchPeer.tensor(out);
    Runnable run = () -> scoped(() -> torch.grad(outputs, all, gradients, keep, false, false));
    return new PeerCall.Steps(
        run,
        () -> {
          scoped(() -> dx.copy_(torch.grad(outputs, all, gradients, keep, false, false).get(0)));
          return Result.of(out);
        });
  }

  /** Frees what the operators hand on to each other. */
  private static void scoped(Runnable work) {
    PointerScope scope = new PointerScope();
    try {
      work.run();
    } finally {
      scope.close();
    }
  }

  /** The features and what NetVLAD is trained to. */
  private static final class Inputs {
    private final Tensor features;

    /** K x C, K and K x C; null where there are no clusters. */
    private final Tensor weights;

    private final Tensor biases;
    private final Tensor centroids;

    Inputs(Workload workload) {
      features = TorchPeer.tensor(workload.features);
      NetVlad.Parameters parameters = workload.parameters;
      weights = parameters == null ? null : TorchPeer.tensor(parameters.weights());
      biases = parameters == null ? null : TorchPeer.tensor(parameters.biases());
      centroids = parameters == null ? null : TorchPeer.tensor(parameters.centroids());
    }

    /** All, from now on with gradients; the features first. */
    TensorVector requireGradients() {
      TensorVector all =
          weights == null
              ? new TensorVector(features)
              : new TensorVector(features, weights, biases, centroids);
      for (long i = 0; i < all.size(); i++) {
        all.get(i).requires_grad_(true);
      }
      return all;
    }

    /** A row per image; works in place where gradients allow it. */
    Tensor forward() {
      Tensor x = features.flatten(2, -1);
      return weights == null ? bilinear(x) : netVlad(x);
    }

    private static Tensor bilinear(Tensor x) {
      Tensor product = x.bmm(x.transpose(1, 2)).div_(new Scalar((double) x.size(2)));
      Tensor root = product.abs().add_(new Scalar(ROOT_EPSILON)).sqrt_();
      return normalized(root.mul(product.sign()).flatten(1, -1), 1);
    }

    private Tensor netVlad(Tensor x) {
      long images = x.size(0);
      long clusters = weights.size(0);
      Tensor assignments =
          torch
              .baddbmm(
                  biases.view(1, clusters, 1),
                  weights.flatten(1, -1).unsqueeze(0).expand(images, clusters, x.size(1)),
                  x)
              .softmax(1);
      Tensor mass = torch.sum(assignments, new long[] {2}, true, new ScalarTypeOptional());
      Tensor residuals =
          assignments.bmm(x.transpose(1, 2)).sub_(mass.mul(centroids.flatten(1, -1)));
      return normalized(normalized(residuals, 2).flatten(1, -1), 1);
    }

    private static Tensor normalized(Tensor rows, long axis) {
      Tensor norms =
          torch.linalg_vector_norm(
              rows, new Scalar(2.0), new long[] {axis}, true, new ScalarTypeOptional());
      return rows.div(norms.clamp_min(new Scalar(NORM_EPSILON)));
    }
  }
}
