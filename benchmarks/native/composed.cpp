#include "composed.hpp"

#include <array>
#include <memory>
#include <stdexcept>

#include "cell.hpp"
#include "featurepool/featurepool.h"

namespace featurepool::bench {
namespace {

/** A tensor of f32 and its memory. */
class Data {
 public:
  Data(std::int32_t layout, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w)
      : tensor_(tensor_of(FPOOL_F32, layout, std::array{n, c, h, w})), buffer_(tensor_.byte_size) {
    fill(buffer_, tensor_);
  }

  const fpool_tensor* tensor() const { return &tensor_; }
  void* data() const { return buffer_.data(); }
  std::int64_t size() const { return tensor_.byte_size; }

 private:
  fpool_tensor tensor_;
  Buffer buffer_;
};

std::int32_t layout_of(const Row& row) {
  return row.interleaved ? FPOOL_INTERLEAVED : FPOOL_PLANAR;
}

std::shared_ptr<Data> input_of(const Row& row) {
  return std::make_shared<Data>(layout_of(row), row.n, row.c, row.spatial[1], row.spatial[2]);
}

Composed pyramid(const Row& row) {
  std::int64_t bins = 0;
  for (const std::int64_t level : row.levels) bins += level * level;
  const auto x = input_of(row);
  const auto y = std::make_shared<Data>(layout_of(row), row.n, row.c * bins, 1, 1);
  const auto run = [x, y, levels = row.levels] {
    const fpool_pyramid call{levels.data(), static_cast<std::int64_t>(levels.size()),
                             FPOOL_BINS_ADAPTIVE, FPOOL_REDUCE_MAX};
    require(
        fpool_spp_forward(x->tensor(), x->data(), &call, y->tensor(), y->data(), nullptr, nullptr));
  };
  return {x->size(), y->size(), run};
}

Composed block(const Row& row) {
  const auto count = static_cast<std::int64_t>(row.levels.size());
  const auto x = input_of(row);
  const auto y = std::make_shared<Data>(layout_of(row), row.n, row.c * (count + 1), row.spatial[1],
                                        row.spatial[2]);
  const auto run = [x, y, levels = row.levels, count] {
    const fpool_spp_block call{levels.data(), count};
    require(fpool_spp_block_forward(x->tensor(), x->data(), &call, y->tensor(), y->data(), nullptr,
                                    nullptr));
  };
  return {x->size(), y->size(), run};
}

Composed bilinear(const Row& row, bool backward) {
  const auto x = input_of(row);
  const auto y = std::make_shared<Data>(FPOOL_PLANAR, row.n, row.c * row.c, 1, 1);
  if (!backward) {
    const auto run = [x, y] {
      const fpool_bilinear call{1, 1, 0};
      require(fpool_bilinear_forward(x->tensor(), x->data(), nullptr, nullptr, &call, y->tensor(),
                                     y->data()));
    };
    return {x->size(), y->size(), run};
  }
  const auto dx = input_of(row);
  const auto run = [x, y, dx] {
    const fpool_bilinear call{1, 1, 0};
    require(fpool_bilinear_backward(y->tensor(), y->data(), x->tensor(), x->data(), nullptr,
                                    nullptr, &call, dx->tensor(), dx->data(), nullptr, nullptr));
  };
  return {x->size() + y->size(), dx->size(), run};
}

/** W, b and c, or their gradients. */
struct Parameters {
  explicit Parameters(const Row& row)
      : weights(FPOOL_PLANAR, row.clusters, row.c, 1, 1),
        biases(FPOOL_PLANAR, 1, row.clusters, 1, 1),
        centroids(FPOOL_PLANAR, row.clusters, row.c, 1, 1) {}

  std::int64_t size() const { return weights.size() + biases.size() + centroids.size(); }

  Data weights;
  Data biases;
  Data centroids;
};

Composed netvlad(const Row& row, bool backward) {
  const auto x = input_of(row);
  const auto y = std::make_shared<Data>(FPOOL_PLANAR, row.n, row.clusters * row.c, 1, 1);
  const auto p = std::make_shared<Parameters>(row);
  const fpool_netvlad call{row.clusters, 0, 0, 0};
  if (!backward) {
    const auto run = [x, y, p, call] {
      require(fpool_netvlad_forward(x->tensor(), x->data(), p->weights.tensor(), p->weights.data(),
                                    p->biases.tensor(), p->biases.data(), p->centroids.tensor(),
                                    p->centroids.data(), &call, y->tensor(), y->data()));
    };
    return {x->size() + p->size(), y->size(), run};
  }
  const auto dx = input_of(row);
  const auto dp = std::make_shared<Parameters>(row);
  // The forward call keeps what the gradient needs.
  const auto assignments =
      std::make_shared<Data>(FPOOL_PLANAR, row.n, row.clusters, row.spatial[1], row.spatial[2]);
  const auto residuals = std::make_shared<Data>(FPOOL_PLANAR, row.n, row.clusters * row.c, 1, 1);
  require(fpool_netvlad_forward_with_intermediates(
      x->tensor(), x->data(), p->weights.tensor(), p->weights.data(), p->biases.tensor(),
      p->biases.data(), p->centroids.tensor(), p->centroids.data(), &call, y->tensor(), y->data(),
      assignments->tensor(), assignments->data(), residuals->tensor(), residuals->data()));
  const auto run = [x, y, p, dx, dp, call, assignments, residuals] {
    require(fpool_netvlad_backward_with_intermediates(
        y->tensor(), y->data(), x->tensor(), x->data(), p->weights.tensor(), p->weights.data(),
        p->biases.tensor(), p->biases.data(), p->centroids.tensor(), p->centroids.data(), &call,
        assignments->tensor(), assignments->data(), residuals->tensor(), residuals->data(),
        dx->tensor(), dx->data(), dp->weights.tensor(), dp->weights.data(), dp->biases.tensor(),
        dp->biases.data(), dp->centroids.tensor(), dp->centroids.data()));
  };
  return {x->size() + y->size() + p->size(), dx->size() + dp->size(), run};
}

}  // namespace

std::optional<ComposedMaker> composed_of(const Row& row) {
  const bool backward = row.direction == "backward";
  if (!backward && row.direction != "forward") return std::nullopt;
  const bool levelled = !backward && (row.op == "spp" || row.op == "spp_block");
  if (levelled && row.levels.empty()) {
    throw std::invalid_argument("cell " + row.id + ": kernel must be extents like 5;9");
  }
  if (row.op == "netvlad" && row.clusters == 0) {
    throw std::invalid_argument("cell " + row.id + ": kernel must be clusters like K=64");
  }
  if (levelled && row.op == "spp") return [row] { return pyramid(row); };
  if (levelled) return [row] { return block(row); };
  if (row.op == "bilinear") return [row, backward] { return bilinear(row, backward); };
  if (row.op == "netvlad") return [row, backward] { return netvlad(row, backward); };
  return std::nullopt;
}

}  // namespace featurepool::bench
