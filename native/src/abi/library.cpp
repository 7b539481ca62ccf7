// The C ABI: the library itself, and geometry.

#include <algorithm>

#include "abi/call.hpp"
#include "dispatch/dispatch.hpp"

using namespace featurepool;

extern "C" {

int32_t fpool_abi_version(void) { return FPOOL_ABI_VERSION; }

const char* fpool_version(void) { return FEATUREPOOL_VERSION; }

int64_t fpool_sizeof_tensor(void) { return sizeof(fpool_tensor); }

int64_t fpool_sizeof_window(void) { return sizeof(fpool_window); }

int64_t fpool_sizeof_average(void) { return sizeof(fpool_average); }

int64_t fpool_sizeof_stochastic(void) { return sizeof(fpool_stochastic); }

int64_t fpool_sizeof_fractional(void) { return sizeof(fpool_fractional); }

int64_t fpool_sizeof_roi(void) { return sizeof(fpool_roi); }

int64_t fpool_sizeof_bilinear(void) { return sizeof(fpool_bilinear); }

int64_t fpool_sizeof_netvlad(void) { return sizeof(fpool_netvlad); }

int64_t fpool_sizeof_pyramid(void) { return sizeof(fpool_pyramid); }

int64_t fpool_sizeof_spp_block(void) { return sizeof(fpool_spp_block); }

const char* fpool_last_error(void) { return last_error(); }

const char* fpool_active_isa(void) {
  const char* name = nullptr;
  guard([&] { name = dispatch::active_tier(); });
  return name;
}

fpool_status fpool_set_threads(int32_t threads) {
  return guard([&] { dispatch::set_threads(threads); });
}

int32_t fpool_get_threads(void) {
  int32_t threads = -1;
  guard([&] { threads = dispatch::get_threads(); });
  return threads;
}

fpool_status fpool_output_extents(const fpool_tensor* x, const fpool_window* window,
                                  int64_t* extents) {
  return guard([&] {
    check_tensor(x, "x");
    const auto pooling = make_pooling(Operation::max_forward, *x, window);
    if (extents == nullptr) {
      fail(FPOOL_ERROR_INVALID_ARGUMENT, "extents is null");
    }
    const auto result = output_extents(pooling.geometry, x->spatial_rank);
    std::copy(result.begin(), result.end(), extents);
  });
}

}  // extern "C"
