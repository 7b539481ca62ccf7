// The kernels of products/kernels-inl.h, one form per instruction-set tier.

#include <algorithm>

#include "dispatch/kernel.hpp"
#include "products/blocks.hpp"

namespace featurepool {
namespace products {

#if !defined(__x86_64__)
#define FEATUREPOOL_TIERS(X) X(neon)
#define FEATUREPOOL_TABLE(op) \
  { nullptr, nullptr, nullptr, neon::op }
#elif defined(FEATUREPOOL_ONLY_AVX2)
#define FEATUREPOOL_TIERS(X) X(avx2)
#define FEATUREPOOL_TABLE(op) \
  { nullptr, avx2::op, nullptr, nullptr }
#elif defined(FEATUREPOOL_WITHOUT_AVX3)
#define FEATUREPOOL_TIERS(X) X(sse4) X(avx2)
#define FEATUREPOOL_TABLE(op) \
  { sse4::op, avx2::op, nullptr, nullptr }
#else
#define FEATUREPOOL_TIERS(X) X(sse4) X(avx2) X(avx3)
#define FEATUREPOOL_TABLE(op) \
  { sse4::op, avx2::op, avx3::op, nullptr }
#endif

#define FEATUREPOOL_DECLARE(tier)                          \
  namespace tier {                                         \
  void bilinear_product(const Bilinear&, Span);            \
  void bilinear_normalize(const Bilinear&, Span);          \
  void bilinear_normalize_backward(const Bilinear&, Span); \
  void bilinear_inputs_backward(const Bilinear&, Span);    \
  void netvlad_assign(const NetVlad&, Span);               \
  void netvlad_aggregate(const NetVlad&, Span);            \
  void netvlad_restore(const NetVlad&, Span);              \
  void netvlad_normalize(const NetVlad&, Span);            \
  void netvlad_normalize_backward(const NetVlad&, Span);   \
  void netvlad_inputs_backward(const NetVlad&, Span);      \
  void netvlad_parameters_backward(const NetVlad&, Span);  \
  }
FEATUREPOOL_TIERS(FEATUREPOOL_DECLARE)
#undef FEATUREPOOL_DECLARE

namespace {

template <class Call>
bool every_call(const Call&) {
  return true;
}

}  // namespace
}  // namespace products

#define FEATUREPOOL_DEFINE(op, Call, count)                         \
  std::span<const KernelOf<Call>> op##_kernels() {                  \
    using namespace products;                                       \
    static constexpr KernelOf<Call> kernels[] = {                   \
        {"eigen", every_call<Call>, count, FEATUREPOOL_TABLE(op)}}; \
    return kernels;                                                 \
  }
FEATUREPOOL_DEFINE(bilinear_product, Bilinear, product_blocks)
FEATUREPOOL_DEFINE(bilinear_normalize, Bilinear, images)
FEATUREPOOL_DEFINE(bilinear_normalize_backward, Bilinear, images)
FEATUREPOOL_DEFINE(bilinear_inputs_backward, Bilinear, input_blocks)
FEATUREPOOL_DEFINE(netvlad_assign, NetVlad, descriptor_blocks)
FEATUREPOOL_DEFINE(netvlad_aggregate, NetVlad, channel_blocks)
FEATUREPOOL_DEFINE(netvlad_restore, NetVlad, descriptor_blocks)
FEATUREPOOL_DEFINE(netvlad_normalize, NetVlad, images)
FEATUREPOOL_DEFINE(netvlad_normalize_backward, NetVlad, images)
FEATUREPOOL_DEFINE(netvlad_inputs_backward, NetVlad, descriptor_blocks)
FEATUREPOOL_DEFINE(netvlad_parameters_backward, NetVlad, parameter_blocks)
#undef FEATUREPOOL_DEFINE

}  // namespace featurepool
