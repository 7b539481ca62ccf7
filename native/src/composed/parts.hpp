#pragma once

#include <algorithm>
#include <cstdint>

#include "dispatch/pooling.hpp"
#include "dispatch/tier.hpp"
#include "kernels/scratch.hpp"

/**
 * Operators that are made of others: a call falls into parts that fit the caches, and the steps of
 * a part run one after the other on one thread. What a step leaves for the next never goes to
 * memory, and every layout, window and bin that the steps know, their sequence knows too.
 */
namespace featurepool {

/** A part of a pooling, a pooling of its own: all the windows of some outputs. */
struct Part {
  Geometry geometry;
  std::int64_t plane = 0;    ///< its first plane; interleaved: that of its first image
  std::int64_t channel = 0;  ///< channel of that plane
  std::int64_t input = 0;    ///< its first element in the tensors that are like x
  std::int64_t output = 0;   ///< its first element in the tensors that are like y
  /** The elements of x, all there are between them, of which the part gives the gradient; they may
   * lie outside what its windows hold, and have no gradient there. */
  Span gradient{0, 0};

  Part() = default;

  /** Elements of x that its windows hold, and those of y. */
  std::int64_t inputs() const { return geometry.input_size(); }
  std::int64_t outputs() const { return geometry.output_size(); }

  /** The elements of `gradient` that windows hold. */
  Span held_gradient() const {
    const std::int64_t end = std::min(gradient.end, input + inputs());
    return {std::min(std::max(gradient.begin, input), gradient.end), std::max(end, gradient.begin)};
  }

  /** The smaller mask that the windows of a call allow. */
  static MaskType mask_type(const Pooling& call) {
    return call.geometry.taps() <= FPOOL_MASK_NONE_COMPACT ? MaskType::position_u8
                                                           : MaskType::plane_i32;
  }

  /** A call of this part's geometry. */
  Pooling call(Operation operation, const Pooling& like, std::int32_t dtype) const;
};

/**
 * The parts of a pooling: several small planes (interleaved: images) at a time, or slices of one
 * large plane along its outermost axis. They depend on the geometry only.
 */
class Parts {
 public:
  enum class Of {
    outputs,    ///< every output belongs to one part
    gradients,  ///< every element of x belongs to one part, which has all windows that hold it
  };

  Parts(const Pooling& pooling, Of of);

  std::int64_t count() const { return groups_ * slices_; }
  /** Parts of the same planes follow one another. */
  std::int64_t slices() const { return slices_; }
  std::int64_t groups() const { return groups_; }
  Part at(std::int64_t index) const;

  /** The most elements that a part holds. */
  std::int64_t most_inputs() const { return most_inputs_; }
  std::int64_t most_outputs() const { return most_outputs_; }

 private:
  Span slice_outputs(std::int64_t slice) const;
  Span slice_inputs(Span outputs) const;

  const Pooling& p_;
  Of of_;
  int cut_ = Geometry::D;         ///< axis that slices are taken of
  std::int64_t planes_per_unit_;  ///< planes that cannot be parted: 1, or those of an image
  std::int64_t units_;            ///< planes, or images
  std::int64_t per_group_;        ///< units of a part
  std::int64_t groups_;
  std::int64_t slices_ = 1;
  std::int64_t per_slice_;  ///< outputs, or inputs, of a slice along the cut
  std::int64_t most_inputs_;
  std::int64_t most_outputs_;
};

/**
 * Adds `term(output, plane of the part)`, over the outputs of every plane of a part, to
 * `sums[plane]`: for gradients of parameters. In the order of the memory, so that the bits do not
 * depend on threads.
 */
template <class Term>
void add_per_plane(const Pooling& p, const Part& part, double* sums, const Term& term) {
  const std::int64_t size = part.geometry.output_plane();
  const std::int64_t channels = part.geometry.channels;
  sums += part.plane;
  if (p.layout == Layout::planar) {
    for (std::int64_t plane = 0; plane < channels; ++plane) {
      double sum = 0;
      for (std::int64_t i = plane * size; i < (plane + 1) * size; ++i) sum += term(i, plane);
      sums[plane] += sum;
    }
    return;
  }
  std::int64_t i = 0;
  for (std::int64_t image = 0; image < part.geometry.batch; ++image, sums += channels) {
    for (std::int64_t position = 0; position < size; ++position) {
      for (std::int64_t c = 0; c < channels; ++c, ++i) sums[c] += term(i, image * channels + c);
    }
  }
}

// What a table of kernels holds for an operator that is made of others.

inline bool any_pooling(const Pooling&) { return true; }
std::int64_t output_parts(const Pooling& pooling);
std::int64_t output_groups(const Pooling& pooling);
std::int64_t gradient_parts(const Pooling& pooling);

/** A function that no tier compiles anew. */
dispatch::Tiered<void(const Pooling&, Span)> every_tier(void (*function)(const Pooling&, Span));

}  // namespace featurepool
