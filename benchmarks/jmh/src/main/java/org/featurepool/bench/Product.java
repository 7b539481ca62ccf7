package org.featurepool.bench;

import java.util.Optional;
import org.featurepool.DType;
import org.featurepool.Shape;

/**
 * A pooling of second order: a matrix product with a finish.
 *
 * @param kind which
 * @param dtype type of the elements
 * @param input shape of the features
 * @param clusters of NetVLAD; else 0
 */
public record Product(Kind kind, DType dtype, Shape input, int clusters) implements Task {
  /** What can be computed. */
  public enum Kind {
    BILINEAR,
    BILINEAR_BACKWARD,
    NETVLAD,
    NETVLAD_BACKWARD
  }

  static Optional<Task> of(Cell cell) {
    Kind kind =
        switch (cell.op() + " " + cell.direction()) {
          case "bilinear forward" -> Kind.BILINEAR;
          case "bilinear backward" -> Kind.BILINEAR_BACKWARD;
          case "netvlad forward" -> Kind.NETVLAD;
          case "netvlad backward" -> Kind.NETVLAD_BACKWARD;
          default -> null;
        };
    if (kind == null) {
      return Optional.empty();
    }
    boolean vlad = kind == Kind.NETVLAD || kind == Kind.NETVLAD_BACKWARD;
    return Optional.of(new Product(kind, cell.dtype(), cell.shape(2), vlad ? clusters(cell) : 0));
  }

  private static int clusters(Cell cell) {
    try {
      if (cell.kernel().startsWith("K=")) {
        return Integer.parseInt(cell.kernel().substring(2));
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new BadUsage(
        "cell " + cell.id() + ": kernel is '" + cell.kernel() + "'; it must be clusters like K=64");
  }

  /** Whether there are clusters. */
  public boolean vlad() {
    return kind == Kind.NETVLAD || kind == Kind.NETVLAD_BACKWARD;
  }

  /** Multiplications and additions that the matrix products of a call consist of. */
  double flops() {
    double images = input.batch();
    double places = input.planeSize();
    double channels = input.channels();
    // A product with its own transpose has half of its elements to compute.
    double square = images * places * channels * (channels + 1);
    double features = 2 * images * places * channels;
    return switch (kind) {
      case BILINEAR -> square;
      case BILINEAR_BACKWARD -> square + features * channels;
      // Scores and residuals.
      case NETVLAD -> 2 * features * clusters;
      // The gradients of assignments and weights, and two of the features.
      case NETVLAD_BACKWARD -> 4 * features * clusters;
    };
  }

  @Override
  public Shape output() {
    return Shape.nchw(
        input.batch(), input.channels() * (vlad() ? clusters : input.channels()), 1, 1);
  }

  @Override
  public boolean backward() {
    return kind == Kind.BILINEAR_BACKWARD || kind == Kind.NETVLAD_BACKWARD;
  }

  private long inputBytes() {
    return input.elementCount() * dtype.size();
  }

  private long outputBytes() {
    return output().elementCount() * dtype.size();
  }

  /** Bytes of W, b and c. */
  private long parameterBytes() {
    return (2 * input.channels() + 1) * clusters * dtype.size();
  }

  @Override
  public long readBytes() {
    return inputBytes() + parameterBytes() + (backward() ? outputBytes() : 0);
  }

  @Override
  public long writtenBytes() {
    return backward() ? inputBytes() + parameterBytes() : outputBytes();
  }

  @Override
  public double tolerance(double largest) {
    // Sums of some hundred products in f32, by any order, through roots and norms.
    return 1e-3 * largest;
  }
}
