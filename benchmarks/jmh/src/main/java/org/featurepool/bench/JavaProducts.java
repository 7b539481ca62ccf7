package org.featurepool.bench;

import java.util.Arrays;
import org.featurepool.Layout;
import org.featurepool.NetVlad;

/** {@link Product} in plain loops over Java arrays, one image at a time. */
final class JavaProducts {
  private static final float ROOT_EPSILON = 1e-5f;
  private static final float NORM_EPSILON = 1e-12f;

  /** What NetVLAD is trained to: weights, biases and centres. */
  record Parameters(float[] weights, float[] biases, float[] centres) {
    static Parameters of(NetVlad.Parameters parameters) {
      return new Parameters(
          parameters.weights().toFloatArray(),
          parameters.biases().toFloatArray(),
          parameters.centroids().toFloatArray());
    }

    /** Zeros of the same shapes. */
    Parameters zeros() {
      return new Parameters(
          new float[weights.length], new float[biases.length], new float[centres.length]);
    }
  }

  private final int channels;
  private final int places;
  private final int clusters;

  /** Distance in memory between neighbouring channels, and between neighbouring places. */
  private final int channelStep;

  private final int placeStep;

  JavaProducts(Product task) {
    channels = Math.toIntExact(task.input().channels());
    places = Math.toIntExact(task.input().planeSize());
    clusters = task.clusters();
    boolean planar = task.input().layout() == Layout.PLANAR;
    channelStep = planar ? places : 1;
    placeStep = planar ? 1 : channels;
  }

  /** Homogeneous bilinear pooling of an image at {@code from} into y at {@code to}. */
  void bilinear(float[] x, int from, float[] y, int to) {
    float[] product = product(x, from);
    float sum = 0;
    for (int i = 0; i < product.length; i++) {
      product[i] = root(product[i]);
      sum += product[i] * product[i];
    }
    float norm = norm(sum);
    for (int i = 0; i < product.length; i++) {
      y[to + i] = product[i] / norm;
    }
  }

  private float[] product(float[] x, int from) {
    float[] product = new float[channels * channels];
    for (int i = 0; i < channels; i++) {
      for (int j = 0; j < channels; j++) {
        float sum = 0;
        int a = from + i * channelStep;
        int b = from + j * channelStep;
        for (int l = 0; l < places; l++) {
          sum += x[a + l * placeStep] * x[b + l * placeStep];
        }
        product[i * channels + j] = sum / places;
      }
    }
    return product;
  }

  private static float root(float value) {
    return (float) (Math.signum(value) * Math.sqrt(Math.abs(value) + ROOT_EPSILON));
  }

  private static float norm(float sumOfSquares) {
    return Math.max((float) Math.sqrt(sumOfSquares), NORM_EPSILON);
  }

  /** The gradient of {@link #bilinear}. */
  void bilinearBackward(float[] x, int from, float[] dy, int fromDy, float[] dx) {
    float[] product = product(x, from);
    float[] roots = new float[product.length];
    float sum = 0;
    for (int i = 0; i < roots.length; i++) {
      roots[i] = root(product[i]);
      sum += roots[i] * roots[i];
    }
    float norm = norm(sum);
    float along = 0;
    for (int i = 0; i < roots.length; i++) {
      along += dy[fromDy + i] * roots[i] / norm;
    }
    float[] gradient = new float[roots.length];
    for (int i = 0; i < roots.length; i++) {
      float through = (dy[fromDy + i] - along * roots[i] / norm) / norm;
      gradient[i] = roots[i] == 0 ? 0 : through / (2 * Math.abs(roots[i]));
    }
    for (int i = 0; i < channels; i++) {
      int to = from + i * channelStep;
      for (int l = 0; l < places; l++) {
        dx[to + l * placeStep] = 0;
      }
      for (int j = 0; j < channels; j++) {
        float weight = (gradient[i * channels + j] + gradient[j * channels + i]) / places;
        int b = from + j * channelStep;
        for (int l = 0; l < places; l++) {
          dx[to + l * placeStep] += weight * x[b + l * placeStep];
        }
      }
    }
  }

  /** Soft assignments of the places of an image, clusters x places. */
  private float[] assignments(float[] x, int from, Parameters p) {
    float[] scores = new float[clusters * places];
    for (int k = 0; k < clusters; k++) {
      Arrays.fill(scores, k * places, (k + 1) * places, p.biases()[k]);
      for (int c = 0; c < channels; c++) {
        float weight = p.weights()[k * channels + c];
        int a = from + c * channelStep;
        for (int l = 0; l < places; l++) {
          scores[k * places + l] += weight * x[a + l * placeStep];
        }
      }
    }
    for (int l = 0; l < places; l++) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int k = 0; k < clusters; k++) {
        largest = Math.max(largest, scores[k * places + l]);
      }
      float sum = 0;
      for (int k = 0; k < clusters; k++) {
        float e = (float) Math.exp(scores[k * places + l] - largest);
        scores[k * places + l] = e;
        sum += e;
      }
      for (int k = 0; k < clusters; k++) {
        scores[k * places + l] /= sum;
      }
    }
    return scores;
  }

  /** Residuals of an image summed by their assignments, clusters x channels. */
  private float[] residuals(float[] x, int from, float[] assignments, Parameters p) {
    float[] residuals = new float[clusters * channels];
    for (int k = 0; k < clusters; k++) {
      float weight = 0;
      for (int l = 0; l < places; l++) {
        weight += assignments[k * places + l];
      }
      for (int c = 0; c < channels; c++) {
        float sum = 0;
        int a = from + c * channelStep;
        for (int l = 0; l < places; l++) {
          sum += assignments[k * places + l] * x[a + l * placeStep];
        }
        residuals[k * channels + c] = sum - weight * p.centres()[k * channels + c];
      }
    }
    return residuals;
  }

  /** Divides each cluster's residual by its norm; returns the norms. */
  private float[] normalizeClusters(float[] residuals) {
    float[] norms = new float[clusters];
    for (int k = 0; k < clusters; k++) {
      norms[k] = normalize(residuals, k * channels, (k + 1) * channels);
    }
    return norms;
  }

  private static float normalize(float[] values, int from, int to) {
    float sum = 0;
    for (int i = from; i < to; i++) {
      sum += values[i] * values[i];
    }
    float norm = norm(sum);
    for (int i = from; i < to; i++) {
      values[i] /= norm;
    }
    return norm;
  }

  /** Takes a gradient back through {@link #normalize}, in place. */
  private static void normalizeBackward(
      float[] unit, float norm, float[] gradient, int from, int to) {
    float along = 0;
    for (int i = from; i < to; i++) {
      along += gradient[i] * unit[i];
    }
    for (int i = from; i < to; i++) {
      gradient[i] = (gradient[i] - along * unit[i]) / norm;
    }
  }

  /** NetVLAD of an image at {@code from} into y at {@code to}. */
  void netVlad(float[] x, int from, Parameters p, float[] y, int to) {
    float[] residuals = residuals(x, from, assignments(x, from, p), p);
    normalizeClusters(residuals);
    normalize(residuals, 0, residuals.length);
    System.arraycopy(residuals, 0, y, to, residuals.length);
  }

  /** The gradient of {@link #netVlad}; those of the parameters are added to. */
  void netVladBackward(
      float[] x, int from, Parameters p, float[] dy, int fromDy, float[] dx, Parameters gradients) {
    float[] assignments = assignments(x, from, p);
    float[] unit = residuals(x, from, assignments, p);
    float[] norms = normalizeClusters(unit);
    float[] whole = unit.clone();
    float norm = normalize(whole, 0, whole.length);
    float[] dv = Arrays.copyOfRange(dy, fromDy, fromDy + clusters * channels);
    normalizeBackward(whole, norm, dv, 0, dv.length);
    for (int k = 0; k < clusters; k++) {
      normalizeBackward(unit, norms[k], dv, k * channels, (k + 1) * channels);
    }
    float[] da = new float[clusters * places];
    for (int k = 0; k < clusters; k++) {
      float weight = 0;
      float offset = 0;
      for (int l = 0; l < places; l++) {
        weight += assignments[k * places + l];
      }
      for (int c = 0; c < channels; c++) {
        int v = k * channels + c;
        gradients.centres()[v] -= weight * dv[v];
        offset += dv[v] * p.centres()[v];
        int a = from + c * channelStep;
        for (int l = 0; l < places; l++) {
          da[k * places + l] += dv[v] * x[a + l * placeStep];
        }
      }
      for (int l = 0; l < places; l++) {
        da[k * places + l] -= offset;
      }
    }
    float[] ds = da;
    for (int l = 0; l < places; l++) {
      float mean = 0;
      for (int k = 0; k < clusters; k++) {
        mean += assignments[k * places + l] * da[k * places + l];
      }
      for (int k = 0; k < clusters; k++) {
        ds[k * places + l] = assignments[k * places + l] * (da[k * places + l] - mean);
      }
    }
    for (int c = 0; c < channels; c++) {
      int a = from + c * channelStep;
      for (int l = 0; l < places; l++) {
        dx[a + l * placeStep] = 0;
      }
      for (int k = 0; k < clusters; k++) {
        float v = dv[k * channels + c];
        float w = p.weights()[k * channels + c];
        float sum = 0;
        for (int l = 0; l < places; l++) {
          dx[a + l * placeStep] += assignments[k * places + l] * v + ds[k * places + l] * w;
          sum += ds[k * places + l] * x[a + l * placeStep];
        }
        gradients.weights()[k * channels + c] += sum;
      }
    }
    for (int k = 0; k < clusters; k++) {
      for (int l = 0; l < places; l++) {
        gradients.biases()[k] += ds[k * places + l];
      }
    }
  }
}
