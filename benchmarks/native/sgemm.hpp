#pragma once

#include <cstdint>

namespace fplimit {

/** Multiplications and additions per nanosecond in large matrix products, one in every thread. */
double sgemm_flops(std::int32_t threads);

}  // namespace fplimit
