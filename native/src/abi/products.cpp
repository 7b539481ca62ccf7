// The C ABI: bilinear pooling and NetVLAD, which are matrix products over descriptors.

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <new>
#include <span>
#include <type_traits>

#include "abi/call.hpp"
#include "dispatch/dispatch.hpp"
#include "kernels/scratch.hpp"
#include "products/initialize.hpp"

using namespace featurepool;

namespace {

// Images are taken in groups whose working memory is at most this, or one by one.
constexpr std::int64_t kMostWorkingBytes = std::int64_t{64} << 20;

// Far beyond any memory, and far enough from overflow.
constexpr std::int64_t kMostScores = std::int64_t{1} << 52;

/** The product of two extents, of a result that is called `name`. */
std::int64_t checked_product(std::int64_t a, std::int64_t b, const char* name) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, name, " would have ", a, " times ", b,
         " elements; that must be less than 2^63");
  }
  return product;
}

/** Checks a tensor of descriptors. */
void check_features(const Buffer& x) {
  check_buffer(x);
  check_dtype(x, {FPOOL_F32, FPOOL_F64});
  if (x.tensor->spatial_rank != 2) {
    fail(FPOOL_ERROR_SHAPE_MISMATCH, x.name, ".spatial_rank is ", x.tensor->spatial_rank,
         "; it must be 2");
  }
}

/** Checks a matrix: a tensor of `rows` x `columns` x 1 x 1, whose layout makes no difference. */
void check_matrix(const Buffer& matrix, const fpool_tensor& like, std::int64_t rows,
                  std::int64_t columns, const char* reason) {
  check_buffer(matrix);
  check_dtype(matrix, {like.dtype});
  const std::array<std::int64_t, 4> extents{rows, columns, 1, 1};
  fpool_tensor expected = like;
  expected.layout = matrix.tensor->layout;
  check_shape(matrix, expected, extents.data(), reason);
}

/** Checks that no output overlaps another operand. */
void check_outputs(std::span<const Buffer> outputs, std::initializer_list<Buffer> inputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const Buffer& input : inputs) check_apart(outputs[i], input);
    for (std::size_t j = 0; j < i; ++j) check_apart(outputs[i], outputs[j]);
  }
}

/** The data of image `first`, if there is data. */
template <typename Void>
Void* image_data(Void* data, std::int64_t first, std::int64_t elements, std::int32_t dtype) {
  using Byte = std::conditional_t<std::is_const_v<Void>, const std::byte, std::byte>;
  if (data == nullptr) return nullptr;
  return static_cast<Byte*>(data) + first * elements * dtype_size(dtype);
}

/** Images per group, for working memory of `elements` per image. */
std::int64_t group_size(std::int64_t elements, std::int32_t dtype) {
  return std::max<std::int64_t>(1, kMostWorkingBytes / dtype_size(dtype) / elements);
}

template <class Call>
void run_steps(Call& call, std::initializer_list<Operation> steps) {
  for (const Operation step : steps) {
    call.operation = step;
    dispatch::run(call);
  }
}

// --- bilinear -----------------------------------------------------------------------------------

constexpr const char* kProductOf = "the product of the channels of a and b, one row per image";

/** Checks the inputs and parameters of a call; `b` has no tensor in homogeneous pooling. */
Bilinear make_bilinear(const Buffer& a, const Buffer& b, const fpool_bilinear* bilinear) {
  check_features(a);
  if (bilinear == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "bilinear is null");
  if (bilinear->reserved != 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "bilinear.reserved is ", bilinear->reserved,
         "; it must be 0");
  }
  const std::int64_t* const of_a = a.tensor->extents;
  Bilinear call;
  call.batch = of_a[0];
  call.rows = call.columns = of_a[1];
  call.length = of_a[2] * of_a[3];
  call.layout = static_cast<Layout>(a.tensor->layout);
  call.dtype = a.tensor->dtype;
  call.a = a.data;
  call.signed_root = bilinear->signed_root != 0;
  call.l2 = bilinear->l2 != 0;
  if (b.tensor != nullptr) {
    check_features(b);
    check_dtype(b, {call.dtype});
    const std::int64_t* const of_b = b.tensor->extents;
    if (of_b[0] != of_a[0]) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "b.extents[0], its batch, is ", of_b[0],
           "; it must be that of a, ", of_a[0]);
    }
    if (of_b[2] * of_b[3] != call.length) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "b has ", of_b[2], "x", of_b[3], " = ", of_b[2] * of_b[3],
           " positions; it must have as many as a, ", of_a[2], "x", of_a[3], " = ", call.length);
    }
    const std::array<std::int64_t, 4> extents{of_b[0], of_b[1], of_b[2], of_b[3]};
    check_shape(b, *a.tensor, extents.data(), "");
    call.columns = of_b[1];
    call.b = b.data;
  }
  return call;
}

/** Checks the output, or its gradient. */
void check_bilinear_output(const Buffer& y, const Buffer& a, const Bilinear& call) {
  check_matrix(y, *a.tensor, call.batch, checked_product(call.rows, call.columns, y.name),
               kProductOf);
}

/** The images [first, first + count) of a call. */
Bilinear group_of(const Bilinear& call, std::int64_t first, std::int64_t count) {
  Bilinear group = call;
  const std::int64_t of_a = call.rows * call.length;
  const std::int64_t of_b = call.columns * call.length;
  group.batch = count;
  group.a = image_data(call.a, first, of_a, call.dtype);
  group.b = image_data(call.b, first, of_b, call.dtype);
  group.dy = image_data(call.dy, first, call.rows * call.columns, call.dtype);
  group.da = image_data(call.da, first, of_a, call.dtype);
  group.db = image_data(call.db, first, of_b, call.dtype);
  return group;
}

// --- NetVLAD ------------------------------------------------------------------------------------

constexpr const char* kResidualsOf = "clusters times channels, one row per image";

/** Checks the descriptors and parameters of a call. */
NetVlad make_netvlad(const Buffer& x, const fpool_netvlad* netvlad) {
  check_features(x);
  if (netvlad == nullptr) fail(FPOOL_ERROR_INVALID_ARGUMENT, "netvlad is null");
  if (netvlad->clusters < 1) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "netvlad.clusters is ", netvlad->clusters,
         "; it must be at least 1");
  }
  if (netvlad->ghosts < 0) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "netvlad.ghosts is ", netvlad->ghosts,
         "; it must be at least 0");
  }
  NetVlad call;
  call.batch = x.tensor->extents[0];
  call.channels = x.tensor->extents[1];
  call.length = x.tensor->extents[2] * x.tensor->extents[3];
  call.clusters = netvlad->clusters;
  if (__builtin_add_overflow(netvlad->clusters, netvlad->ghosts, &call.terms)) {
    fail(FPOOL_ERROR_INVALID_ARGUMENT, "netvlad.ghosts is ", netvlad->ghosts, "; with ",
         netvlad->clusters, " clusters that must be less than 2^63");
  }
  if (call.batch == 0) call.length = 1;  // there is no descriptor to work on
  std::int64_t scores = 0;
  if (__builtin_mul_overflow(call.terms, call.length, &scores) || scores > kMostScores) {
    throw std::bad_alloc();
  }
  call.layout = static_cast<Layout>(x.tensor->layout);
  call.dtype = x.tensor->dtype;
  call.hard = netvlad->hard != 0;
  call.normalize_descriptors = netvlad->normalize_descriptors != 0;
  call.x = x.data;
  return call;
}

/** Checks weights, biases and centroids, or their gradients. */
void check_parameters(const NetVlad& call, const Buffer& x, std::span<const Buffer, 3> parameters) {
  check_matrix(parameters[0], *x.tensor, call.terms, call.channels,
               "clusters and ghosts by the channels of x");
  check_matrix(parameters[1], *x.tensor, 1, call.terms, "clusters and ghosts");
  check_matrix(parameters[2], *x.tensor, call.clusters, call.channels,
               "clusters by the channels of x");
}

/** Working memory of the steps of a group of images. */
class NetVladMemory {
 public:
  /** Of a forward call that keeps its assignments, `call.assignments` is where to. */
  NetVladMemory(const NetVlad& call, bool backward)
      : assignments_(call.assignments == nullptr ? call.terms * call.length : 0),
        scales_(call.normalize_descriptors ? call.length : 0),
        sums_(call.blocks() * call.terms),
        residuals_(backward ? call.clusters * call.channels : 0),
        offsets_(backward ? call.clusters : 0),
        backward_(backward),
        group_(group_size(per_image(), call.dtype)),
        memory_(std::min(group_, call.batch) * per_image() * dtype_size(call.dtype)) {}

  /** Images per group. */
  std::int64_t group() const { return group_; }

  /** The images [first, first + count) of a call, with working memory. */
  NetVlad group_of(const NetVlad& call, std::int64_t first, std::int64_t count) {
    NetVlad group = call;
    const std::int64_t image = call.channels * call.length;
    const std::int64_t output = call.clusters * call.channels;
    group.batch = count;
    group.x = image_data(call.x, first, image, call.dtype);
    group.dx = image_data(call.dx, first, image, call.dtype);
    group.dy = image_data(call.dy, first, output, call.dtype);
    group.y = image_data(call.y, first, output, call.dtype);
    group.residuals = image_data(call.residuals, first, output, call.dtype);
    group.kept_residuals = image_data(call.kept_residuals, first, output, call.dtype);
    const std::int64_t scores = call.terms * call.length;
    group.kept_assignments = image_data(call.kept_assignments, first, scores, call.dtype);
    group.accumulate = first > 0;
    std::byte* next = memory_.get();
    const auto take = [&](std::int64_t elements) {
      std::byte* const own = next;
      next += elements * count * dtype_size(call.dtype);
      return elements == 0 ? nullptr : own;
    };
    group.assignments = call.assignments == nullptr
                            ? take(assignments_)
                            : image_data(call.assignments, first, scores, call.dtype);
    group.scales = take(scales_);
    group.sums = take(sums_);
    if (backward_) {
      group.gradient_sums = take(sums_);
      group.residuals = take(residuals_);
      group.offsets = take(offsets_);
    }
    return group;
  }

 private:
  std::int64_t per_image() const {
    return assignments_ + scales_ + sums_ * (backward_ ? 2 : 1) + residuals_ + offsets_;
  }

  std::int64_t assignments_;
  std::int64_t scales_;
  std::int64_t sums_;
  std::int64_t residuals_;
  std::int64_t offsets_;
  bool backward_;
  std::int64_t group_;
  Line<std::byte> memory_;
};

/** The operands of a call that both directions have. */
struct NetVladInputs {
  Buffer x;
  std::array<Buffer, 3> parameters;
  const fpool_netvlad* netvlad;

  /** Checks them. */
  NetVlad call() const {
    NetVlad call = make_netvlad(x, netvlad);
    check_parameters(call, x, parameters);
    call.weights = parameters[0].data;
    call.biases = parameters[1].data;
    call.centroids = parameters[2].data;
    return call;
  }
};

/** Checks a tensor of residuals: the output of a call, or what it is made of. */
void check_residuals(const NetVlad& call, const Buffer& x, const Buffer& residuals) {
  check_matrix(residuals, *x.tensor, call.batch,
               checked_product(call.clusters, call.channels, residuals.name), kResidualsOf);
}

/** What a forward call keeps for the gradient. */
struct NetVladIntermediates {
  Buffer assignments;
  Buffer residuals;

  void check(const NetVlad& call, const Buffer& x) const {
    check_buffer(assignments);
    check_dtype(assignments, {call.dtype});
    fpool_tensor expected = *x.tensor;
    expected.layout = FPOOL_PLANAR;
    const std::array<std::int64_t, 4> extents{expected.extents[0], call.terms, expected.extents[2],
                                              expected.extents[3]};
    check_shape(assignments, expected, extents.data(), "clusters and ghosts at the positions of x");
    check_residuals(call, x, residuals);
  }
};

/** Pools; `kept`, unless null, names the buffers of `assignments` and `residuals`. */
void netvlad_forward(const NetVladInputs& inputs, const fpool_tensor* y, void* y_data,
                     const NetVladIntermediates* kept, void* assignments, void* residuals) {
  NetVlad call = inputs.call();
  const Buffer output{"y", y, y_data};
  check_residuals(call, inputs.x, output);
  const auto& [weights, biases, centroids] = inputs.parameters;
  check_outputs({&output, 1}, {inputs.x, weights, biases, centroids});
  call.y = call.residuals = y_data;
  if (kept != nullptr) {
    kept->check(call, inputs.x);
    const std::array<Buffer, 2> outputs{kept->assignments, kept->residuals};
    check_outputs(outputs, {output, inputs.x, weights, biases, centroids});
    call.assignments = assignments;
    call.residuals = residuals;
  }

  NetVladMemory memory(call, false);
  for (std::int64_t image = 0; image < call.batch; image += memory.group()) {
    NetVlad part = memory.group_of(call, image, std::min(memory.group(), call.batch - image));
    run_steps(part, {Operation::netvlad_assign, Operation::netvlad_aggregate,
                     Operation::netvlad_normalize});
  }
}

/** Where the gradients of a call go. */
struct NetVladGradients {
  struct Output {
    const fpool_tensor* tensor;
    void* data;
  };
  Output x;
  Output weights;
  Output biases;
  Output centroids;

  std::array<Buffer, 4> buffers() const {
    return {Buffer{"dx", x.tensor, x.data}, Buffer{"dweights", weights.tensor, weights.data},
            Buffer{"dbiases", biases.tensor, biases.data},
            Buffer{"dcentroids", centroids.tensor, centroids.data}};
  }

  void enter(NetVlad& call) const {
    call.dx = x.data;
    call.dweights = weights.data;
    call.dbiases = biases.data;
    call.dcentroids = centroids.data;
  }
};

/** The gradients of a call, with what its forward call kept or, if null, without. */
void netvlad_backward(const NetVladInputs& inputs, const Buffer& dy,
                      const NetVladIntermediates* kept, const NetVladGradients& gradients) {
  NetVlad call = inputs.call();
  check_residuals(call, inputs.x, dy);
  const std::array<Buffer, 4> outputs = gradients.buffers();
  check_buffer(outputs[0]);
  check_dtype(outputs[0], {call.dtype});
  check_shape(outputs[0], *inputs.x.tensor, inputs.x.tensor->extents, "those of x");
  check_parameters(call, inputs.x, std::span(outputs).last<3>());
  const auto& [weights, biases, centroids] = inputs.parameters;
  check_outputs(outputs, {dy, inputs.x, weights, biases, centroids});
  if (kept != nullptr) {
    kept->check(call, inputs.x);
    check_outputs(outputs, {kept->assignments, kept->residuals});
    call.kept_assignments = kept->assignments.data;
    call.kept_residuals = kept->residuals.data;
  }
  call.dy = dy.data;
  gradients.enter(call);

  NetVladMemory memory(call, true);
  std::int64_t image = 0;
  do {  // once for an empty batch too: its parameters have gradients of 0
    NetVlad part = memory.group_of(call, image, std::min(memory.group(), call.batch - image));
    if (kept != nullptr) {
      run_steps(part, {Operation::netvlad_restore});
    } else {
      run_steps(part, {Operation::netvlad_assign, Operation::netvlad_aggregate});
    }
    run_steps(part, {Operation::netvlad_normalize_backward, Operation::netvlad_inputs_backward,
                     Operation::netvlad_parameters_backward});
    image += memory.group();
  } while (image < call.batch);
}

}  // namespace

extern "C" {

fpool_status fpool_bilinear_forward(const fpool_tensor* a, const void* a_data,
                                    const fpool_tensor* b, const void* b_data,
                                    const fpool_bilinear* bilinear, const fpool_tensor* y,
                                    void* y_data) {
  return guard([&] {
    const Buffer first{"a", a, a_data};
    const Buffer second{"b", b, b_data};
    const Buffer output{"y", y, y_data};
    Bilinear call = make_bilinear(first, second, bilinear);
    check_bilinear_output(output, first, call);
    check_outputs({&output, 1}, {first, b == nullptr ? first : second});
    call.product = y_data;
    run_steps(call, {Operation::bilinear_product});
    if (call.signed_root || call.l2) run_steps(call, {Operation::bilinear_normalize});
  });
}

fpool_status fpool_bilinear_backward(const fpool_tensor* dy, const void* dy_data,
                                     const fpool_tensor* a, const void* a_data,
                                     const fpool_tensor* b, const void* b_data,
                                     const fpool_bilinear* bilinear, const fpool_tensor* da,
                                     void* da_data, const fpool_tensor* db, void* db_data) {
  return guard([&] {
    const Buffer first{"a", a, a_data};
    const Buffer second{"b", b, b_data};
    const Buffer gradient{"dy", dy, dy_data};
    Bilinear call = make_bilinear(first, second, bilinear);
    check_bilinear_output(gradient, first, call);
    const std::array<Buffer, 2> outputs{Buffer{"da", da, da_data}, Buffer{"db", db, db_data}};
    const std::size_t count = call.homogeneous() ? 1 : 2;
    if (call.homogeneous() && db != nullptr) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "db is given without b; it must be null");
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Buffer& input = i == 0 ? first : second;
      check_buffer(outputs[i]);
      check_dtype(outputs[i], {call.dtype});
      check_shape(outputs[i], *input.tensor, input.tensor->extents, "those of the input");
    }
    check_outputs({outputs.data(), count}, {gradient, first, b == nullptr ? first : second});

    call.dy = dy_data;
    call.da = da_data;
    call.db = call.homogeneous() ? nullptr : db_data;
    const std::int64_t size = call.rows * call.columns;
    const std::int64_t group = std::min(group_size(size, call.dtype), call.batch);
    const Line<std::byte> memory(group * size * dtype_size(call.dtype));
    for (std::int64_t image = 0; image < call.batch; image += group) {
      Bilinear part = group_of(call, image, std::min(group, call.batch - image));
      part.product = memory.get();
      run_steps(part, {Operation::bilinear_product, Operation::bilinear_normalize_backward,
                       Operation::bilinear_inputs_backward});
    }
  });
}

fpool_status fpool_netvlad_forward(const fpool_tensor* x, const void* x_data,
                                   const fpool_tensor* weights, const void* weights_data,
                                   const fpool_tensor* biases, const void* biases_data,
                                   const fpool_tensor* centroids, const void* centroids_data,
                                   const fpool_netvlad* netvlad, const fpool_tensor* y,
                                   void* y_data) {
  return guard([&] {
    netvlad_forward({{"x", x, x_data},
                     {{{"weights", weights, weights_data},
                       {"biases", biases, biases_data},
                       {"centroids", centroids, centroids_data}}},
                     netvlad},
                    y, y_data, nullptr, nullptr, nullptr);
  });
}

fpool_status fpool_netvlad_forward_with_intermediates(
    const fpool_tensor* x, const void* x_data, const fpool_tensor* weights,
    const void* weights_data, const fpool_tensor* biases, const void* biases_data,
    const fpool_tensor* centroids, const void* centroids_data, const fpool_netvlad* netvlad,
    const fpool_tensor* y, void* y_data, const fpool_tensor* assignments, void* assignments_data,
    const fpool_tensor* residuals, void* residuals_data) {
  return guard([&] {
    const NetVladIntermediates kept{{"assignments", assignments, assignments_data},
                                    {"residuals", residuals, residuals_data}};
    netvlad_forward({{"x", x, x_data},
                     {{{"weights", weights, weights_data},
                       {"biases", biases, biases_data},
                       {"centroids", centroids, centroids_data}}},
                     netvlad},
                    y, y_data, &kept, assignments_data, residuals_data);
  });
}

fpool_status fpool_netvlad_backward(
    const fpool_tensor* dy, const void* dy_data, const fpool_tensor* x, const void* x_data,
    const fpool_tensor* weights, const void* weights_data, const fpool_tensor* biases,
    const void* biases_data, const fpool_tensor* centroids, const void* centroids_data,
    const fpool_netvlad* netvlad, const fpool_tensor* dx, void* dx_data,
    const fpool_tensor* dweights, void* dweights_data, const fpool_tensor* dbiases,
    void* dbiases_data, const fpool_tensor* dcentroids, void* dcentroids_data) {
  return guard([&] {
    netvlad_backward({{"x", x, x_data},
                      {{{"weights", weights, weights_data},
                        {"biases", biases, biases_data},
                        {"centroids", centroids, centroids_data}}},
                      netvlad},
                     {"dy", dy, dy_data}, nullptr,
                     {{dx, dx_data},
                      {dweights, dweights_data},
                      {dbiases, dbiases_data},
                      {dcentroids, dcentroids_data}});
  });
}

fpool_status fpool_netvlad_backward_with_intermediates(
    const fpool_tensor* dy, const void* dy_data, const fpool_tensor* x, const void* x_data,
    const fpool_tensor* weights, const void* weights_data, const fpool_tensor* biases,
    const void* biases_data, const fpool_tensor* centroids, const void* centroids_data,
    const fpool_netvlad* netvlad, const fpool_tensor* assignments, const void* assignments_data,
    const fpool_tensor* residuals, const void* residuals_data, const fpool_tensor* dx,
    void* dx_data, const fpool_tensor* dweights, void* dweights_data, const fpool_tensor* dbiases,
    void* dbiases_data, const fpool_tensor* dcentroids, void* dcentroids_data) {
  return guard([&] {
    const NetVladIntermediates kept{{"assignments", assignments, assignments_data},
                                    {"residuals", residuals, residuals_data}};
    netvlad_backward({{"x", x, x_data},
                      {{{"weights", weights, weights_data},
                        {"biases", biases, biases_data},
                        {"centroids", centroids, centroids_data}}},
                      netvlad},
                     {"dy", dy, dy_data}, &kept,
                     {{dx, dx_data},
                      {dweights, dweights_data},
                      {dbiases, dbiases_data},
                      {dcentroids, dcentroids_data}});
  });
}

fpool_status fpool_netvlad_initialize(const fpool_tensor* descriptors, const void* descriptors_data,
                                      const fpool_netvlad* netvlad, int64_t seed,
                                      const fpool_tensor* weights, void* weights_data,
                                      const fpool_tensor* biases, void* biases_data,
                                      const fpool_tensor* centroids, void* centroids_data) {
  return guard([&] {
    const Buffer input{"descriptors", descriptors, descriptors_data};
    const std::array<Buffer, 3> outputs{Buffer{"weights", weights, weights_data},
                                        Buffer{"biases", biases, biases_data},
                                        Buffer{"centroids", centroids, centroids_data}};
    const NetVlad call = make_netvlad(input, netvlad);
    check_parameters(call, input, outputs);
    check_outputs(outputs, {input});
    const std::int64_t count = call.batch * call.length;
    if (count < call.terms) {
      fail(FPOOL_ERROR_SHAPE_MISMATCH, "descriptors has ", count, " positions; ", call.clusters,
           " clusters and ", call.terms - call.clusters, " ghosts need at least ", call.terms);
    }
    initialize(call, static_cast<std::uint64_t>(seed), weights_data, biases_data, centroids_data);
  });
}

}  // extern "C"
