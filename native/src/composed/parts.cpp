#include "composed/parts.hpp"

#include <algorithm>
#include <vector>

namespace featurepool {
namespace {

// Elements of a part: with the steps' working memory they fit the second-level cache.
constexpr std::int64_t kPartElements = 16384;

// A slice reads the rows that its windows share with the next slice's again; with this many kernels
// per slice that stays little.
constexpr std::int64_t kKernelsPerSlice = 4;

}  // namespace

Pooling Part::call(Operation operation, const Pooling& like, std::int32_t dtype) const {
  Pooling call;
  call.operation = operation;
  call.geometry = geometry;
  call.layout = like.layout;
  call.dtype = dtype;
  return call;
}

Parts::Parts(const Pooling& pooling, Of of) : p_(pooling), of_(of) {
  const Geometry& g = p_.geometry;
  const bool planar = p_.layout == Layout::planar;
  planes_per_unit_ = planar ? 1 : g.channels;
  units_ = planar ? g.planes() : g.batch;
  const std::int64_t unit = planes_per_unit_ * g.input_plane();
  // An output may have more elements than its input (bins that repeat them).
  const std::int64_t weight = std::max(unit, planes_per_unit_ * g.output_plane());
  per_group_ =
      std::clamp<std::int64_t>(kPartElements / weight, 1, std::max<std::int64_t>(1, units_));
  groups_ = (units_ + per_group_ - 1) / per_group_;
  const auto is_unit = [&](int axis) {
    const Axis& a = g.axes[static_cast<std::size_t>(axis)];
    return a.input == 1 && a.output == 1;
  };
  while (cut_ < Geometry::W && is_unit(cut_)) ++cut_;
  const Axis& axis = g.axes[static_cast<std::size_t>(cut_)];
  const std::int64_t extent = of_ == Of::outputs ? axis.output : axis.input;
  per_slice_ = extent;
  if (per_group_ == 1) {
    // Outputs are counted by the inputs between them.
    const std::int64_t step = of_ == Of::gradients ? 1
                              : axis.bins == nullptr
                                  ? axis.stride
                                  : std::max<std::int64_t>(1, axis.input / axis.output);
    const std::int64_t slab = std::max<std::int64_t>(1, weight / axis.input);
    const std::int64_t rows =
        std::max(kPartElements / slab, kKernelsPerSlice * std::min(axis.reach(), axis.input));
    per_slice_ = std::clamp<std::int64_t>(rows / step, 1, extent);
    slices_ = (extent + per_slice_ - 1) / per_slice_;
  }
  most_inputs_ = per_group_ * unit;
  most_outputs_ = per_group_ * planes_per_unit_ * g.output_plane();
  if (slices_ == 1) return;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  for (std::int64_t slice = 0; slice < slices_; ++slice) {
    const Span span = slice_outputs(slice);
    outputs = std::max(outputs, span.size());
    if (!span.empty()) inputs = std::max(inputs, slice_inputs(span).size());
  }
  most_inputs_ = most_inputs_ / axis.input * inputs;
  most_outputs_ = most_outputs_ / axis.output * outputs;
}

Span Parts::slice_outputs(std::int64_t slice) const {
  const Axis& axis = p_.geometry.axes[static_cast<std::size_t>(cut_)];
  const std::int64_t begin = slice * per_slice_;
  if (of_ == Of::outputs) return {begin, std::min(axis.output, begin + per_slice_)};
  const std::int64_t last = std::min(axis.input, begin + per_slice_) - 1;
  const std::int64_t first = axis.covering(begin).begin;
  return {first, std::max(first, axis.covering(last).end)};
}

Span Parts::slice_inputs(Span outputs) const {
  const Axis& axis = p_.geometry.axes[static_cast<std::size_t>(cut_)];
  const std::int64_t reach =
      axis.bins == nullptr ? axis.reach() : axis.bins[outputs.end - 1].size();
  return {std::clamp<std::int64_t>(axis.start(outputs.begin), 0, axis.input - 1),
          std::clamp<std::int64_t>(axis.start(outputs.end - 1) + reach, 1, axis.input)};
}

Part Parts::at(std::int64_t index) const {
  const Geometry& g = p_.geometry;
  const std::int64_t group = index / slices_;
  const std::int64_t first = group * per_group_;
  const std::int64_t units = std::min(units_ - first, per_group_);
  const std::int64_t unit_inputs = planes_per_unit_ * g.input_plane();
  const std::int64_t unit_outputs = planes_per_unit_ * g.output_plane();
  Part part;
  part.geometry = g;
  part.geometry.batch = p_.layout == Layout::planar ? 1 : units;
  part.geometry.channels = p_.layout == Layout::planar ? units : g.channels;
  part.plane = first * planes_per_unit_;
  part.channel = part.plane % g.channels;
  part.input = first * unit_inputs;
  part.output = first * unit_outputs;
  part.gradient = {part.input, part.input + units * unit_inputs};
  if (slices_ == 1) return part;

  const Axis& axis = g.axes[static_cast<std::size_t>(cut_)];
  const std::int64_t input_slab = unit_inputs / axis.input;
  const std::int64_t output_slab = unit_outputs / axis.output;
  if (of_ == Of::gradients) {
    const std::int64_t begin = index % slices_ * per_slice_;
    part.gradient = {part.input + begin * input_slab,
                     part.input + std::min(axis.input, begin + per_slice_) * input_slab};
  }
  const Span outputs = slice_outputs(index % slices_);
  Axis& cut = part.geometry.axes[static_cast<std::size_t>(cut_)];
  if (outputs.empty()) {
    // Elements between windows: a part without any.
    part.geometry.batch = 0;
    return part;
  }
  const Span inputs = slice_inputs(outputs);
  part.input += inputs.begin * input_slab;
  part.output += outputs.begin * output_slab;
  if (axis.bins != nullptr) {
    std::vector<Span> bins;
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      bins.push_back({axis.bins[o].begin - inputs.begin, axis.bins[o].end - inputs.begin});
    }
    part.geometry.set_bins(cut_, inputs.size(), std::move(bins));
    return part;
  }
  const std::int64_t start = axis.start(outputs.begin);
  cut.pad_begin = inputs.begin - start;
  cut.pad_end = std::max<std::int64_t>(0, axis.start(outputs.end - 1) + axis.reach() - inputs.end);
  cut.input = inputs.size();
  cut.output = outputs.size();
  return part;
}

std::int64_t output_parts(const Pooling& p) { return Parts(p, Parts::Of::outputs).count(); }
std::int64_t output_groups(const Pooling& p) { return Parts(p, Parts::Of::outputs).groups(); }
std::int64_t gradient_parts(const Pooling& p) { return Parts(p, Parts::Of::gradients).count(); }

dispatch::Tiered<void(const Pooling&, Span)> every_tier(void (*function)(const Pooling&, Span)) {
  dispatch::Tiered<void(const Pooling&, Span)> table{};
  table.fill(function);
  return table;
}

}  // namespace featurepool
