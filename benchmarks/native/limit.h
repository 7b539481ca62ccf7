/**
 * @file limit.h
 * @brief What the memory of this machine allows: the passes that benchmarks compare kernels with.
 *
 * A library of its own, for benchmarks only; Featurepool neither links nor ships it.
 */
#ifndef FEATUREPOOL_BENCHMARKS_LIMIT_H
#define FEATUREPOOL_BENCHMARKS_LIMIT_H

#include <stdint.h>

#include "featurepool/featurepool.h"

#if defined(FPLIMIT_BUILDING) && defined(__GNUC__)
#define FPLIMIT_API __attribute__((visibility("default")))
#else
#define FPLIMIT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Alignment in bytes of the buffers of fplimit_pass(). */
#define FPLIMIT_ALIGNMENT 64

/**
 * One linear pass: reads all of `in` and writes all of `out`, each from its begin to its end, in
 * the same proportion throughout, whatever their sizes. What is written is a combination of what
 * was just read; it has no meaning.
 *
 * @param[in]  in,read_bytes   input, aligned to FPLIMIT_ALIGNMENT; its size, 0 or more. Not zeros:
 *                             memory systems are known that take streamed lines of zeros twice as
 *                             fast as any others.
 * @param[out] out,write_bytes output, aligned to FPLIMIT_ALIGNMENT; its size, 0 or more
 * @param[in]  streaming       non-zero: write past the caches; zero: plain stores
 * @param[in]  threads         the calling thread and `threads - 1` workers each pass over an equal
 *                             share; 1 or more. The workers stay, asleep, for the next call.
 */
FPLIMIT_API void fplimit_pass(const void* in, int64_t read_bytes, void* out, int64_t write_bytes,
                              int32_t streaming, int32_t threads);

/**
 * Measures large products of matrices of f32, by the code that Featurepool's own products call.
 *
 * @param[in] threads so many products run at once, each in a thread of its own; 1 or more
 * @return multiplications and additions per nanosecond
 */
FPLIMIT_API double fplimit_sgemm(int32_t threads);

/** fpool_abi_version() of the library that is measured. */
typedef int32_t (*fplimit_abi_version)(void);

/** fpool_max_forward() of the library that is measured. */
typedef fpool_status (*fplimit_max_forward)(const fpool_tensor* x, const void* x_data,
                                            const fpool_window* window,           //
                                            const fpool_tensor* y, void* y_data,  //
                                            const fpool_tensor* mask, void* mask_data);

/** @return nanoseconds that `count` calls of an empty function take from C++. */
FPLIMIT_API int64_t fplimit_time_abi_version(fplimit_abi_version function, int64_t count);

/**
 * Times max pooling without a mask, called from C++.
 *
 * @return nanoseconds that `count` calls take; -1 if one was refused
 */
FPLIMIT_API int64_t fplimit_time_max_forward(fplimit_max_forward function, int64_t count,
                                             const fpool_tensor* x, const void* x_data,
                                             const fpool_window* window,  //
                                             const fpool_tensor* y, void* y_data);

#ifdef __cplusplus
}
#endif

#endif /* FEATUREPOOL_BENCHMARKS_LIMIT_H */
