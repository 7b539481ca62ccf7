#pragma once

#include <cstdint>

#include "dispatch/operation.hpp"
#include "geometry/geometry.hpp"

/**
 * Calls of the operators that are matrix products over the descriptors of an image.
 *
 * The descriptors of an image are its columns at every position: a matrix of D channels by L = H W
 * positions, by rows if planar and by columns if interleaved. No operator copies or transposes it.
 */
namespace featurepool {

/**
 * One step of bilinear pooling, checked and resolved. The steps of a forward call are
 * bilinear_product and bilinear_normalize; of a backward call bilinear_product,
 * bilinear_normalize_backward and bilinear_inputs_backward.
 */
struct Bilinear {
  Operation operation = Operation::bilinear_product;
  std::int64_t batch = 0;
  std::int64_t rows = 1;     ///< channels of a
  std::int64_t columns = 1;  ///< channels of b
  std::int64_t length = 1;   ///< positions of an image
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  const void* a = nullptr;
  const void* b = nullptr;  ///< null: homogeneous, a with itself
  /** Per image, by rows: the product, then what the next steps make of it in its place. */
  void* product = nullptr;
  const void* dy = nullptr;
  void* da = nullptr;
  void* db = nullptr;
  bool signed_root = true;
  bool l2 = true;

  bool homogeneous() const { return b == nullptr; }

  /** The reference takes one image at a time. */
  std::int64_t items() const { return batch; }

  double work() const;
};

/**
 * One step of NetVLAD, checked and resolved. The steps of a forward call are netvlad_assign,
 * netvlad_aggregate and netvlad_normalize; of a backward call the first two, or netvlad_restore
 * where the forward call kept what they made, netvlad_normalize_backward, netvlad_inputs_backward
 * and netvlad_parameters_backward.
 *
 * `terms` stands for the clusters and, behind them, the ghosts.
 */
struct NetVlad {
  Operation operation = Operation::netvlad_assign;
  std::int64_t batch = 0;
  std::int64_t channels = 1;
  std::int64_t length = 1;  ///< descriptors of an image
  std::int64_t clusters = 1;
  std::int64_t terms = 1;
  Layout layout = Layout::planar;
  std::int32_t dtype = FPOOL_F32;
  bool hard = false;
  bool normalize_descriptors = false;
  const void* x = nullptr;
  const void* weights = nullptr;    ///< terms x channels, by rows
  const void* biases = nullptr;     ///< terms
  const void* centroids = nullptr;  ///< clusters x channels, by rows
  void* y = nullptr;                ///< may be `residuals`
  const void* dy = nullptr;
  void* dx = nullptr;
  void* dweights = nullptr;
  void* dbiases = nullptr;
  void* dcentroids = nullptr;
  /** Whether the gradients of the parameters add to those of the images before. */
  bool accumulate = false;
  /** `assignments` and `residuals` as the forward call left them, for netvlad_restore. */
  const void* kept_assignments = nullptr;
  const void* kept_residuals = nullptr;

  // Working memory, per image; of a forward call that keeps them, assignments and residuals are
  // outputs.

  /**
   * terms x length, by rows: assignments times scales; from netvlad_inputs_backward on, the
   * gradients of the scores times scales.
   */
  void* assignments = nullptr;
  /** length: what makes each descriptor one of length 1; null unless normalize_descriptors. */
  void* scales = nullptr;
  /** blocks() x terms: sums of the assignments of each block of descriptors. */
  void* sums = nullptr;
  /** blocks() x terms: sums of the gradients of the scores. */
  void* gradient_sums = nullptr;
  /** clusters x channels, by rows: the residuals, then what the next steps make of them. */
  void* residuals = nullptr;
  /** clusters: products of each residual's gradient and its centroid. */
  void* offsets = nullptr;

  /** Descriptors are assigned in blocks of this many. */
  static constexpr std::int64_t kBlock = 256;

  std::int64_t blocks() const { return (length + kBlock - 1) / kBlock; }

  /** The reference takes one image at a time; the parameters belong to all of them. */
  std::int64_t items() const {
    return operation == Operation::netvlad_parameters_backward ? 1 : batch;
  }

  double work() const;
};

/** What a norm is at least where something is divided by it. */
inline constexpr double kLeastNorm = 1e-12;

/** What the signed square root adds to the magnitude, as seed 004 has it. */
inline constexpr double kRootOffset = 1e-5;

}  // namespace featurepool
