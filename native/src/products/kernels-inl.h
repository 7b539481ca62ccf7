// The kernels of all steps of the products, made of Eigen's matrix products and arrays.
//
// Compiled once per instruction-set tier with that tier's flags, in a namespace of the tier's name
// (FEATUREPOOL_TIER) and with Eigen's namespace renamed alike: the linker keeps one of several
// inline functions of one name, and a function of AVX-512 must not take the place of another
// tier's. For the same reason nothing here may need a function of the standard library that is not
// inlined; native/test/check_tiers.cmake looks for such.

#include <Eigen/Core>
#include <cmath>
#include <cstdint>

#include "geometry/dtype.hpp"
#include "products/blocks.hpp"
#include "products/matrix.hpp"

namespace featurepool::products::FEATUREPOOL_TIER {
namespace {

template <typename T>
using Line = Eigen::Array<T, Eigen::Dynamic, 1>;

/** Elements [begin, begin + n) of memory, as an array. */
template <typename T>
Eigen::Map<Line<T>> line(T* data, std::int64_t n) {
  return {data, n};
}
template <typename T>
Eigen::Map<const Line<T>> line(const T* data, std::int64_t n) {
  return {data, n};
}

/**
 * The sum of a line of memory. Of memory itself Eigen would take the elements up to an aligned one
 * by themselves, so that rounding would depend on where the line lies; of a product it does not.
 */
template <class Elements>
auto sum_of(const Elements& elements) {
  return (elements * typename Elements::Scalar(1)).sum();
}

template <int Order, typename T>
auto dense(const Matrix<T>& m) {
  using Plain = Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Order>;
  using Type = std::conditional_t<std::is_const_v<T>, const Plain, Plain>;
  return Eigen::Map<Type, Eigen::Unaligned, Eigen::OuterStride<>>(m.data, m.rows, m.columns,
                                                                  Eigen::OuterStride<>(m.stride));
}

/**
 * Where Eigen packs the operands of a product, kept from one product to the next: memory of that
 * size comes fresh from the system each time, and its page faults took a quarter of the time.
 */
template <typename T>
class Packing : public Eigen::internal::level3_blocking<T, T> {
 public:
  /** Makes room for a product of these extents, in the block sizes of this machine's caches. */
  void fit(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
    this->m_mc = rows;
    this->m_nc = columns;
    this->m_kc = depth;
    Eigen::internal::computeProductBlockingSizes<T, T>(this->m_kc, this->m_mc, this->m_nc,
                                                       Eigen::Index{1});
    grow(left_, this->m_mc * this->m_kc);
    grow(right_, this->m_nc * this->m_kc);
    this->m_blockA = left_.data();
    this->m_blockB = right_.data();
  }

  /** Room for so many columns at once, which symmetric products ask for. */
  void keep_columns(std::int64_t columns) {
    grow(right_, columns * this->m_kc);
    this->m_blockB = right_.data();
  }

 private:
  static void grow(Line<T>& line, std::int64_t size) {
    if (line.size() >= size) return;
    // Eigen frees before it allocates, and forgets that it did when that fails: nothing to free.
    line.resize(0);
    line.resize(size);
  }

  Line<T> left_;
  Line<T> right_;
};

/** c = scale a b, or c += scale a b. */
template <typename T>
void multiply(Packing<T>& packing, T scale, Matrix<const T> a, Matrix<const T> b, Matrix<T> c,
              bool add) {
  if (c.by_rows) {
    // One form of the output, by columns, is enough: (a b)^T = b^T a^T.
    return multiply(packing, scale, b.transposed(), a.transposed(), c.transposed(), add);
  }
  if (!add) dense<Eigen::ColMajor>(c).setZero();
  packing.fit(c.rows, c.columns, a.columns);
  // Eigen's product itself: its operators would bring their own packing memory.
  const auto product = [&]<int Left, int Right>() {
    Eigen::internal::general_matrix_matrix_product<Eigen::Index, T, Left, false, T, Right, false,
                                                   Eigen::ColMajor, 1>::run(c.rows, c.columns,
                                                                            a.columns, a.data,
                                                                            a.stride, b.data,
                                                                            b.stride, c.data, 1,
                                                                            c.stride, scale,
                                                                            packing);
  };
  constexpr int kRows = Eigen::RowMajor;
  constexpr int kColumns = Eigen::ColMajor;
  if (a.by_rows) {
    b.by_rows ? product.template operator()<kRows, kRows>()
              : product.template operator()<kRows, kColumns>();
  } else {
    b.by_rows ? product.template operator()<kColumns, kRows>()
              : product.template operator()<kColumns, kColumns>();
  }
}

/** The lower half, with the diagonal, of c = scale a a^T; both halves of `c` are written. */
template <typename T>
void multiply_by_transpose(Packing<T>& packing, T scale, Matrix<const T> a, Matrix<T> c) {
  dense<Eigen::RowMajor>(c).setZero();
  packing.fit(c.rows, c.rows, a.columns);
  packing.keep_columns(c.rows);
  const auto product = [&]<int Left, int Right>() {
    // By columns, the lower half by rows is the upper one.
    Eigen::internal::general_matrix_matrix_triangular_product<
        Eigen::Index, T, Left, false, T, Right, false, Eigen::ColMajor, 1,
        Eigen::Upper>::run(c.rows, a.columns, a.data, a.stride, a.data, a.stride, c.data, 1,
                           c.stride, scale, packing);
  };
  constexpr int kRows = Eigen::RowMajor;
  constexpr int kColumns = Eigen::ColMajor;
  a.by_rows ? product.template operator()<kRows, kColumns>()
            : product.template operator()<kColumns, kRows>();
}

/** Calls `f.operator()<T>()` for the type of a call. */
template <class Call, class F>
void with_type(const Call& call, const F& f) {
  with_dtype<float, double>(call.dtype, f);
}

/** A norm to divide by; NaN stays, as a comparison the other way round would not have it. */
template <typename T>
T at_least(T norm, T least) {
  return norm < least ? least : norm;
}

// --- bilinear -----------------------------------------------------------------------------------

/** Edge of the blocks in which a symmetric matrix is mirrored. */
constexpr std::int64_t kMirrorBlock = 32;

template <typename T>
Matrix<const T> features(const Bilinear& call, const void* data, std::int64_t image,
                         std::int64_t channels) {
  return image_at<const T>(data, image, channels, call.length, call.layout);
}

/** upper = lower^T, in blocks that stay in the cache. */
template <typename T>
void mirror(const Matrix<T>& lower, const Matrix<T>& upper) {
  for (std::int64_t i = 0; i < lower.rows; i += kMirrorBlock) {
    const std::int64_t rows = std::min(kMirrorBlock, lower.rows - i);
    for (std::int64_t j = 0; j < lower.columns; j += kMirrorBlock) {
      const std::int64_t columns = std::min(kMirrorBlock, lower.columns - j);
      dense<Eigen::RowMajor>(upper.block(j, i, columns, rows)) =
          dense<Eigen::RowMajor>(lower.block(i, j, rows, columns)).transpose();
    }
  }
}

/** Rows of a symmetric product up to the diagonal, and the columns that mirror them. */
template <typename T>
void symmetric_panel(Packing<T>& packing, T scale, const Matrix<const T>& a,
                     const Matrix<T>& product, Span rows) {
  const auto own = a.rows_of(rows);
  if (rows.begin > 0) {
    const auto panel = product.block(rows.begin, 0, rows.size(), rows.begin);
    multiply<T>(packing, scale, own, a.rows_of({0, rows.begin}).transposed(), panel, false);
    mirror(panel, product.block(0, rows.begin, rows.begin, rows.size()));
  }
  const auto square = product.block(rows.begin, rows.begin, rows.size(), rows.size());
  multiply_by_transpose<T>(packing, scale, own, square);
  auto both = dense<Eigen::RowMajor>(square);
  both.template triangularView<Eigen::StrictlyUpper>() = both.transpose();
}

template <typename T>
void product_block(Packing<T>& packing, const Bilinear& call, std::int64_t image,
                   std::int64_t index) {
  const auto a = features<T>(call, call.a, image, call.rows);
  const auto product = matrix_at<T>(call.product, image, call.rows, call.columns);
  const T scale = T(1) / static_cast<T>(call.length);
  if (call.homogeneous()) {
    const std::int64_t last = blocks_of(call.rows, kProductBlock) - 1;
    symmetric_panel(packing, scale, a, product, block_of(index, call.rows, kProductBlock));
    if (last - index != index) {
      symmetric_panel(packing, scale, a, product, block_of(last - index, call.rows, kProductBlock));
    }
    return;
  }
  const std::int64_t across = blocks_of(call.columns, kProductBlock);
  const Span rows = block_of(index / across, call.rows, kProductBlock);
  const Span columns = block_of(index % across, call.columns, kProductBlock);
  const auto b = features<T>(call, call.b, image, call.columns);
  const auto block = product.block(rows.begin, columns.begin, rows.size(), columns.size());
  multiply<T>(packing, scale, a.rows_of(rows), b.rows_of(columns).transposed(), block, false);
}

/** In place: sign(p) sqrt(|p| + offset); 0 stays, and so does NaN. */
template <typename T>
void take_signed_root(T* p, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T root = std::sqrt(std::abs(p[i]) + static_cast<T>(kRootOffset));
    const T value = std::copysign(root, p[i]);
    p[i] = p[i] == 0 ? p[i] : value;
  }
}

/**
 * In f64: a product of hundreds by hundreds of channels has many terms. As many sums side by side
 * in every tier, so that the compiler may take them at once.
 */
template <typename T>
double dot(const T* a, const T* b, std::int64_t n) {
  constexpr std::int64_t kSums = 8;
  double sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (std::int64_t k = 0; k < kSums; ++k) {
      sums[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
    }
  }
  for (; i < n; ++i) sums[i % kSums] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

template <typename T>
double squared_norm(const T* p, std::int64_t n) {
  return dot(p, p, n);
}

template <typename T>
void normalize_product(const Bilinear& call, std::int64_t image) {
  const auto product = matrix_at<T>(call.product, image, call.rows, call.columns);
  double squares = 0;
  for (std::int64_t row = 0; row < call.rows; ++row) {
    T* const p = &product(row, 0);
    if (call.signed_root) take_signed_root(p, call.columns);
    if (call.l2) squares += squared_norm(p, call.columns);
  }
  if (!call.l2) return;
  const T scale = static_cast<T>(1 / at_least(std::sqrt(squares), kLeastNorm));
  line(product.data, call.rows * call.columns) *= scale;
}

/** What normalize_product does to the gradient, in terms of the product: g = scale f + shift v. */
template <typename T>
struct ProductSlope {
  T scale = 1;  ///< of dy
  T shift = 0;  ///< of the value before L2 normalisation
};

/**
 * In place of a row of products: their gradients, from those of the outputs, `dy`. With r the
 * signed root: dr = scale dy + shift r, dp = dr / (2 |r|).
 */
template <typename T>
void product_gradients(const Bilinear& call, ProductSlope<T> slope, const T* dy, T* p,
                       std::int64_t n) {
  if (!call.signed_root) {
    for (std::int64_t i = 0; i < n; ++i) p[i] = slope.scale * dy[i] + slope.shift * p[i];
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const T magnitude = std::sqrt(std::abs(p[i]) + static_cast<T>(kRootOffset));
    const T root = std::copysign(magnitude, p[i]);
    const T value = (slope.scale * dy[i] + slope.shift * root) / (2 * magnitude);
    p[i] = p[i] == 0 ? p[i] : value;
  }
}

template <typename T>
void normalize_product_backward(const Bilinear& call, std::int64_t image) {
  const auto product = matrix_at<T>(call.product, image, call.rows, call.columns);
  const auto dy = matrix_at<const T>(call.dy, image, call.rows, call.columns);
  ProductSlope<T> slope;
  if (call.l2) {
    Line<T> values(call.columns);
    double squares = 0;
    double projection = 0;
    for (std::int64_t row = 0; row < call.rows; ++row) {
      values = line(&product(row, 0), call.columns);
      if (call.signed_root) take_signed_root(values.data(), call.columns);
      squares += squared_norm(values.data(), call.columns);
      projection += dot<T>(values.data(), &dy(row, 0), call.columns);
    }
    const double norm = std::sqrt(squares);
    if (norm < kLeastNorm) {
      line(product.data, call.rows * call.columns).setZero();
      return;
    }
    slope = {static_cast<T>(1 / norm), static_cast<T>(-projection / (squares * norm))};
  }
  for (std::int64_t row = 0; row < call.rows; ++row) {
    product_gradients(call, slope, &dy(row, 0), &product(row, 0), call.columns);
  }
  if (call.homogeneous()) {
    // Either factor is a: the gradient of both, dP + dP^T, in blocks that stay in the cache.
    for (std::int64_t i = 0; i < blocks_of(call.rows, kMirrorBlock); ++i) {
      const Span rows = block_of(i, call.rows, kMirrorBlock);
      for (std::int64_t j = 0; j <= i; ++j) {
        const Span columns = block_of(j, call.rows, kMirrorBlock);
        auto lower = dense<Eigen::RowMajor>(
            product.block(rows.begin, columns.begin, rows.size(), columns.size()));
        auto upper = dense<Eigen::RowMajor>(
            product.block(columns.begin, rows.begin, columns.size(), rows.size()));
        const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor, kMirrorBlock,
                            kMirrorBlock>
            sum = lower + upper.transpose();
        lower = sum;
        upper = sum.transpose();
      }
    }
  }
}

template <typename T>
void input_block(Packing<T>& packing, const Bilinear& call, std::int64_t item) {
  const std::int64_t blocks = blocks_of(call.length, kInputBlock);
  const Span positions = block_of(item % blocks, call.length, kInputBlock);
  const std::int64_t inputs = call.homogeneous() ? 1 : 2;
  const std::int64_t image = item / blocks / inputs;
  const Matrix<const T> dproduct = matrix_at<const T>(call.product, image, call.rows, call.columns);
  const T scale = T(1) / static_cast<T>(call.length);
  if (item / blocks % inputs == 0) {
    const auto other = call.homogeneous() ? features<T>(call, call.a, image, call.rows)
                                          : features<T>(call, call.b, image, call.columns);
    const auto da = image_at<T>(call.da, image, call.rows, call.length, call.layout);
    multiply<T>(packing, scale, dproduct, other.columns_of(positions), da.columns_of(positions),
                false);
  } else {
    const auto other = features<T>(call, call.a, image, call.rows);
    const auto db = image_at<T>(call.db, image, call.columns, call.length, call.layout);
    multiply<T>(packing, scale, dproduct.transposed(), other.columns_of(positions),
                db.columns_of(positions), false);
  }
}

// --- NetVLAD ------------------------------------------------------------------------------------

/** One block of descriptors of an image and what is kept of it. */
template <typename T>
struct DescriptorBlock {
  DescriptorBlock(const NetVlad& call, std::int64_t item)
      : image(item / call.blocks()),
        span(block_of(item % call.blocks(), call.length, NetVlad::kBlock)),
        x(image_at<const T>(call.x, image, call.channels, call.length, call.layout)
              .columns_of(span)),
        assignments(
            matrix_at<T>(call.assignments, image, call.terms, call.length).columns_of(span)),
        scales(call.scales == nullptr
                   ? nullptr
                   : static_cast<T*>(call.scales) + image * call.length + span.begin),
        sums(static_cast<T*>(call.sums) + item * call.terms) {}

  std::int64_t image;
  Span span;
  Matrix<const T> x;
  Matrix<T> assignments;
  T* scales;
  T* sums;
};

/** Calls f(channel, elements) for every channel, or f(descriptor, elements) for every descriptor,
 * whichever lie one after the other. */
template <typename T, class F>
void for_each_line(const Matrix<T>& m, const F& f) {
  if (m.by_rows) {
    for (std::int64_t i = 0; i < m.rows; ++i) f(i, line(m.data + i * m.stride, m.columns));
  } else {
    for (std::int64_t j = 0; j < m.columns; ++j) f(j, line(m.data + j * m.stride, m.rows));
  }
}

/** 1 / max(norm, least) of every descriptor. */
template <typename T>
void find_scales(const Matrix<const T>& x, T* scales) {
  auto squares = line(scales, x.columns);
  if (x.by_rows) {
    squares.setZero();
    for_each_line(x, [&](std::int64_t, const auto& channel) { squares += channel.square(); });
  } else {
    for_each_line(
        x, [&](std::int64_t j, const auto& descriptor) { squares[j] = descriptor.square().sum(); });
  }
  for (std::int64_t j = 0; j < x.columns; ++j) {
    scales[j] = 1 / at_least(std::sqrt(scales[j]), static_cast<T>(kLeastNorm));
  }
}

/** In place of scores: their softmax over the terms. */
template <typename T>
void soften(const Matrix<T>& scores) {
  Line<T> most = line(scores.data, scores.columns);
  Line<T> sum = Line<T>::Zero(scores.columns);
  // Aligned, wherever a row lies: what is left of a vector at either end has another exp().
  Line<T> powers(scores.columns);
  for_each_line(scores, [&](std::int64_t, auto row) { most = most.max(row); });
  for_each_line(scores, [&](std::int64_t, auto row) {
    powers = (row - most).exp();
    row = powers;
    sum += powers;
  });
  sum = sum.inverse();
  for_each_line(scores, [&](std::int64_t, auto row) { row *= sum; });
}

/** In place of scores: 1 for the first of the largest of the terms, 0 elsewhere. */
template <typename T>
void harden(const Matrix<T>& scores) {
  Line<T> most = line(scores.data, scores.columns);
  Line<T> best = Line<T>::Zero(scores.columns);
  for_each_line(scores, [&](std::int64_t t, auto row) {
    const T term = static_cast<T>(t);
    for (std::int64_t j = 0; j < scores.columns; ++j) {
      const bool better = row[j] > most[j];
      most[j] = better ? row[j] : most[j];
      best[j] = better ? term : best[j];
    }
  });
  for_each_line(scores, [&](std::int64_t t, auto row) {
    row = (best == static_cast<T>(t)).template cast<T>();
  });
}

template <typename T>
void assign(Packing<T>& packing, const NetVlad& call, std::int64_t item) {
  const DescriptorBlock<T> block(call, item);
  const auto weights = matrix_at<const T>(call.weights, 0, call.terms, call.channels);
  const auto* biases = static_cast<const T*>(call.biases);
  const auto& scores = block.assignments;
  multiply<T>(packing, T(1), weights, block.x, scores, false);
  if (block.scales != nullptr) find_scales(block.x, block.scales);
  for_each_line(scores, [&](std::int64_t t, auto row) {
    if (block.scales != nullptr) row *= line(block.scales, scores.columns);
    row += biases[t];
  });
  call.hard ? harden(scores) : soften(scores);
  for_each_line(scores, [&](std::int64_t t, auto row) {
    block.sums[t] = sum_of(row);
    if (block.scales != nullptr) row *= line(block.scales, scores.columns);
  });
}

/** Sum over the blocks of an image of what is kept per block and term. */
template <typename T>
T sum_of_blocks(const NetVlad& call, const void* sums, std::int64_t image, std::int64_t term) {
  const T* const first = static_cast<const T*>(sums) + image * call.blocks() * call.terms + term;
  T sum = 0;
  for (std::int64_t block = 0; block < call.blocks(); ++block) sum += first[block * call.terms];
  return sum;
}

/** What assign() and aggregate() leave, of what a forward call kept; in the same bits, but for the
 * sums of normalised descriptors. */
template <typename T>
void restore(const NetVlad& call, std::int64_t item) {
  const DescriptorBlock<T> block(call, item);
  const std::int64_t n = block.span.size();
  const auto kept = matrix_at<const T>(call.kept_assignments, block.image, call.terms, call.length)
                        .columns_of(block.span);
  Line<T> norms = Line<T>::Ones(n);
  if (block.scales != nullptr) {
    find_scales(block.x, block.scales);
    norms = line(block.scales, n).inverse();
  }
  for (std::int64_t t = 0; t < call.terms; ++t) {
    const auto assignments = line(&kept(t, 0), n);
    line(&block.assignments(t, 0), n) = assignments;
    block.sums[t] = (assignments * norms).sum();
  }
  if (block.span.begin > 0) return;
  const std::int64_t size = call.clusters * call.channels;
  line(static_cast<T*>(call.residuals) + block.image * size, size) =
      line(static_cast<const T*>(call.kept_residuals) + block.image * size, size);
}

template <typename T>
void aggregate(Packing<T>& packing, const NetVlad& call, std::int64_t item) {
  const std::int64_t blocks = blocks_of(call.channels, kChannelBlock);
  const std::int64_t image = item / blocks;
  const Span channels = block_of(item % blocks, call.channels, kChannelBlock);
  const auto x = image_at<const T>(call.x, image, call.channels, call.length, call.layout);
  const auto assignments = matrix_at<const T>(call.assignments, image, call.terms, call.length);
  const auto centroids = matrix_at<const T>(call.centroids, 0, call.clusters, call.channels);
  const auto residuals = matrix_at<T>(call.residuals, image, call.clusters, call.channels);
  multiply<T>(packing, T(1), assignments.block(0, 0, call.clusters, call.length),
              x.transposed().columns_of(channels), residuals.columns_of(channels), false);
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    line(&residuals(k, channels.begin), channels.size()) -=
        sum_of_blocks<T>(call, call.sums, image, k) *
        line(&centroids(k, channels.begin), channels.size());
  }
}

/**
 * Sums the residuals of descriptors close to their centroid anew, difference by difference. The two
 * products that aggregate() subtracts then agree in nearly all digits, and normalisation would make
 * a vector of length 1 of what rounding leaves.
 */
template <typename T>
void refine_residuals(const NetVlad& call, std::int64_t image) {
  constexpr double kClose = 1e-2;
  const auto x = image_at<const T>(call.x, image, call.channels, call.length, call.layout);
  const auto assignments = matrix_at<const T>(call.assignments, image, call.terms, call.length);
  const auto centroids = matrix_at<const T>(call.centroids, 0, call.clusters, call.channels);
  const auto residuals = matrix_at<T>(call.residuals, image, call.clusters, call.channels);
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    const T* const centroid = &centroids(k, 0);
    const double most = kClose * static_cast<double>(sum_of_blocks<T>(call, call.sums, image, k));
    if (!(squared_norm(&residuals(k, 0), call.channels) <
          most * most * squared_norm(centroid, call.channels))) {
      continue;
    }
    // a (x / n - c) = (a / n) (x - n c), with the norms n of descriptors that are normalised.
    const Line<double> weights = line(&assignments(k, 0), call.length).template cast<double>();
    Line<double> norms = Line<double>::Ones(call.length);
    if (call.scales != nullptr) {
      const T* const scales = static_cast<const T*>(call.scales) + image * call.length;
      norms = line(scales, call.length).template cast<double>().inverse();
    }
    Line<double> sum = Line<double>::Zero(call.channels);
    for_each_line(x, [&](std::int64_t i, const auto& values) {
      if (x.by_rows) {
        const double center = centroid[i];
        sum[i] = (weights * (values.template cast<double>() - center * norms)).sum();
      } else {
        sum += weights[i] * (values.template cast<double>() -
                             norms[i] * line(centroid, call.channels).template cast<double>());
      }
    });
    line(&residuals(k, 0), call.channels) = sum.template cast<T>();
  }
}

template <typename T>
void normalize_residuals(const NetVlad& call, std::int64_t image) {
  refine_residuals<T>(call, image);
  const auto residuals = matrix_at<T>(call.residuals, image, call.clusters, call.channels);
  const auto y = matrix_at<T>(call.y, image, call.clusters, call.channels);
  double squares = 0;
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    const auto residual = line(&residuals(k, 0), call.channels);
    const double norm = std::sqrt(squared_norm(residual.data(), call.channels));
    line(&y(k, 0), call.channels) = residual * static_cast<T>(1 / at_least(norm, kLeastNorm));
    squares += squared_norm(&y(k, 0), call.channels);
  }
  const T scale = static_cast<T>(1 / at_least(std::sqrt(squares), kLeastNorm));
  line(y.data, call.clusters * call.channels) *= scale;
}

/**
 * In place of the residuals V: their gradients. The length of all intra-normalised residuals is the
 * root of their number and does not vary, so that with u = V / |V|
 * dV = (dy - u <u, dy>) / (|V| root of the number).
 */
template <typename T>
void normalize_residuals_backward(const NetVlad& call, std::int64_t image) {
  refine_residuals<T>(call, image);
  const auto residuals = matrix_at<T>(call.residuals, image, call.clusters, call.channels);
  const auto dy = matrix_at<const T>(call.dy, image, call.clusters, call.channels);
  const auto centroids = matrix_at<const T>(call.centroids, 0, call.clusters, call.channels);
  auto offsets = line(static_cast<T*>(call.offsets) + image * call.clusters, call.clusters);
  Line<double> norms(call.clusters);
  double number = 0;
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    norms[k] = std::sqrt(squared_norm(&residuals(k, 0), call.channels));
    number += norms[k] < kLeastNorm ? 0 : 1;
  }
  for (std::int64_t k = 0; k < call.clusters; ++k) {
    auto row = line(&residuals(k, 0), call.channels);
    if (norms[k] < kLeastNorm) {
      row.setZero();
      offsets[k] = 0;
      continue;
    }
    const auto gradient = line(&dy(k, 0), call.channels);
    const double scale = 1 / (norms[k] * std::sqrt(number));
    const double projection =
        (row.template cast<double>() * gradient.template cast<double>()).sum();
    const double shift = -projection * scale / (norms[k] * norms[k]);
    row = static_cast<T>(scale) * gradient + static_cast<T>(shift) * row;
    offsets[k] = (row * line(&centroids(k, 0), call.channels)).sum();
  }
}

/** In place of a gradient by normalised descriptors: that by the descriptors themselves. */
template <typename T>
void descriptor_gradients(const Matrix<const T>& x, const T* scales, const Matrix<T>& dx) {
  Line<T> projections = Line<T>::Zero(x.columns);
  const auto at = line(scales, x.columns);
  // Below the least norm, descriptors are not normalised but scaled; their gradient is 0.
  const Line<T> gradient_scales = (at < static_cast<T>(1 / kLeastNorm)).select(at, T(0));
  if (x.by_rows) {
    for (std::int64_t d = 0; d < x.rows; ++d) {
      projections += line(&x(d, 0), x.columns) * line(&dx(d, 0), x.columns);
    }
    projections *= at.square();
    for (std::int64_t d = 0; d < x.rows; ++d) {
      auto row = line(&dx(d, 0), x.columns);
      row = gradient_scales * (row - projections * line(&x(d, 0), x.columns));
    }
  } else {
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const auto descriptor = line(&x(0, j), x.rows);
      auto gradient = line(&dx(0, j), x.rows);
      const T projection = (descriptor * gradient).sum() * at[j] * at[j];
      gradient = gradient_scales[j] * (gradient - projection * descriptor);
    }
  }
}

template <typename T>
void inputs_backward(Packing<T>& packing, const NetVlad& call, std::int64_t item) {
  const DescriptorBlock<T> block(call, item);
  const std::int64_t n = block.span.size();
  const auto dx = image_at<T>(call.dx, block.image, call.channels, call.length, call.layout)
                      .columns_of(block.span);
  const Matrix<const T> dresiduals =
      matrix_at<const T>(call.residuals, block.image, call.clusters, call.channels);
  const auto* offsets = static_cast<const T*>(call.offsets) + block.image * call.clusters;
  T* const gradient_sums = static_cast<T*>(call.gradient_sums) + item * call.terms;
  const auto& assignments = block.assignments;
  const auto own = [&](std::int64_t t) { return line(&assignments(t, 0), n); };

  if (block.scales != nullptr) {
    const Line<T> norms = line(block.scales, n).inverse();
    for (std::int64_t t = 0; t < call.terms; ++t) own(t) *= norms;
  }
  const Matrix<const T> all = assignments;
  multiply<T>(packing, T(1), dresiduals.transposed(), all.block(0, 0, call.clusters, n), dx, false);

  if (call.hard) {
    for (std::int64_t t = 0; t < call.terms; ++t) {
      own(t).setZero();
      gradient_sums[t] = 0;
    }
  } else {
    // Gradients of the assignments; those of ghosts are 0, which the residuals do not depend on.
    Line<T> memory(call.clusters * n);
    const Matrix<T> da{memory.data(), call.clusters, n, n, true};
    multiply<T>(packing, T(1), dresiduals, block.x, da, false);
    Line<T> inner = Line<T>::Zero(n);
    for_each_line(da, [&](std::int64_t k, auto row) {
      if (block.scales != nullptr) row *= line(block.scales, n);
      row -= offsets[k];
      inner += own(k) * row;
    });
    for (std::int64_t t = 0; t < call.terms; ++t) {
      if (t < call.clusters) {
        own(t) *= line(&da(t, 0), n) - inner;
      } else {
        own(t) *= -inner;
      }
      gradient_sums[t] = sum_of(own(t));
    }
    const auto weights = matrix_at<const T>(call.weights, 0, call.terms, call.channels);
    multiply<T>(packing, T(1), weights.transposed(), all, dx, true);
  }

  if (block.scales != nullptr) {
    descriptor_gradients<T>(block.x, block.scales, dx);
    for (std::int64_t t = 0; t < call.terms; ++t) own(t) *= line(block.scales, n);
  }
}

template <typename T>
void parameters_backward(Packing<T>& packing, const NetVlad& call, std::int64_t item) {
  const Span channels = block_of(item, call.channels, kParameterBlock);
  const auto dweights =
      matrix_at<T>(call.dweights, 0, call.terms, call.channels).columns_of(channels);
  const auto dcentroids = matrix_at<T>(call.dcentroids, 0, call.clusters, call.channels);
  auto dbiases = line(static_cast<T*>(call.dbiases), call.terms);
  if (!call.accumulate) {
    dense<Eigen::RowMajor>(dweights).setZero();
    dense<Eigen::RowMajor>(dcentroids.columns_of(channels)).setZero();
    if (item == 0) dbiases.setZero();
  }
  for (std::int64_t image = 0; image < call.batch; ++image) {
    const auto x = image_at<const T>(call.x, image, call.channels, call.length, call.layout);
    const auto dscores = matrix_at<const T>(call.assignments, image, call.terms, call.length);
    const auto dresiduals = matrix_at<const T>(call.residuals, image, call.clusters, call.channels);
    if (!call.hard) {
      multiply<T>(packing, T(1), dscores, x.transposed().columns_of(channels), dweights, true);
    }
    for (std::int64_t k = 0; k < call.clusters; ++k) {
      line(&dcentroids(k, channels.begin), channels.size()) -=
          sum_of_blocks<T>(call, call.sums, image, k) *
          line(&dresiduals(k, channels.begin), channels.size());
    }
    if (item == 0) {
      for (std::int64_t t = 0; t < call.terms; ++t) {
        dbiases[t] += sum_of_blocks<T>(call, call.gradient_sums, image, t);
      }
    }
  }
}

}  // namespace

#define FEATUREPOOL_STEP(step, Call, compute)                                  \
  void step(const Call& call, Span items) {                                    \
    with_type(call, [&]<typename T>() {                                        \
      [[maybe_unused]] Packing<T> packing;                                     \
      for (std::int64_t item = items.begin; item < items.end; ++item) compute; \
    });                                                                        \
  }
FEATUREPOOL_STEP(bilinear_product, Bilinear,
                 product_block<T>(packing, call, item / blocks_per_product(call),
                                  item % blocks_per_product(call)))
FEATUREPOOL_STEP(bilinear_normalize, Bilinear, normalize_product<T>(call, item))
FEATUREPOOL_STEP(bilinear_normalize_backward, Bilinear, normalize_product_backward<T>(call, item))
FEATUREPOOL_STEP(bilinear_inputs_backward, Bilinear, input_block<T>(packing, call, item))
FEATUREPOOL_STEP(netvlad_assign, NetVlad, assign<T>(packing, call, item))
FEATUREPOOL_STEP(netvlad_aggregate, NetVlad, aggregate<T>(packing, call, item))
FEATUREPOOL_STEP(netvlad_restore, NetVlad, restore<T>(call, item))
FEATUREPOOL_STEP(netvlad_normalize, NetVlad, normalize_residuals<T>(call, item))
FEATUREPOOL_STEP(netvlad_normalize_backward, NetVlad, normalize_residuals_backward<T>(call, item))
FEATUREPOOL_STEP(netvlad_inputs_backward, NetVlad, inputs_backward<T>(packing, call, item))
FEATUREPOOL_STEP(netvlad_parameters_backward, NetVlad, parameters_backward<T>(packing, call, item))
#undef FEATUREPOOL_STEP

}  // namespace featurepool::products::FEATUREPOOL_TIER
