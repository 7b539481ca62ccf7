/**
 * @file featurepool.h
 * @brief The C ABI of Featurepool: pooling layers of convolutional networks, forward and backward.
 *
 * Calls are stateless and re-entrant. Tensors are described by plain descriptors; the data of a
 * tensor is an argument of its own beside its descriptor (and not a field of it) so that a foreign
 * caller's runtime sees every buffer that a call touches and keeps it alive until the call returns.
 *
 * Every function that can fail returns an ::fpool_status. When it is not ::FPOOL_OK, nothing was
 * written to any output, and fpool_last_error() names the parameter, its value and what would be
 * right. No call throws, aborts, or reads or writes outside the buffers that it was given.
 *
 * What each operator computes, edge cases included, is in docs/semantics.md.
 */
#ifndef FEATUREPOOL_FEATUREPOOL_H
#define FEATUREPOOL_FEATUREPOOL_H

#include <stdint.h>

#if defined(FPOOL_BUILDING) && defined(__GNUC__)
#define FPOOL_API __attribute__((visibility("default")))
#else
#define FPOOL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this interface; it changes when a call or a descriptor changes incompatibly. */
#define FPOOL_ABI_VERSION 1

/** Largest number of spatial axes (D, H, W). */
#define FPOOL_MAX_SPATIAL_RANK 3

/** Outcome of a call: ::FPOOL_OK or one of the FPOOL_ERROR_* codes. */
typedef int32_t fpool_status;

enum {
  FPOOL_OK = 0,
  /** A null pointer, or a parameter outside its range. */
  FPOOL_ERROR_INVALID_ARGUMENT = 1,
  /** Extents that do not fit the operator, the window or each other. */
  FPOOL_ERROR_SHAPE_MISMATCH = 2,
  /** A data type or layout that the operator has not, or that differs between tensors. */
  FPOOL_ERROR_UNSUPPORTED_TYPE = 3,
  /** A buffer that is too small, misaligned, or overlaps another that must be apart from it. */
  FPOOL_ERROR_BAD_BUFFER = 4,
  /** A mask entry or index that is no position of what it counts over, or no image. */
  FPOOL_ERROR_INDEX_OUT_OF_RANGE = 5,
  /** Working memory could not be had. */
  FPOOL_ERROR_OUT_OF_MEMORY = 6,
  /** An environment variable of Featurepool holds a value that it does not have. */
  FPOOL_ERROR_CONFIGURATION = 7,
  /** A fault of Featurepool itself. */
  FPOOL_ERROR_INTERNAL = 8
};

/** Element type of a tensor. */
enum {
  FPOOL_F32 = 1,
  FPOOL_F64 = 2,
  FPOOL_F16 = 3,
  FPOOL_BF16 = 4,
  FPOOL_I8 = 5,
  FPOOL_U8 = 6,
  FPOOL_I32 = 7,
  FPOOL_I64 = 8
};

/** Order of the axes in memory. */
enum {
  /** Channels outside the spatial axes: NCW, NCHW, NCDHW. */
  FPOOL_PLANAR = 0,
  /** Channels innermost: NWC, NHWC, NDHWC. */
  FPOOL_INTERLEAVED = 1
};

/**
 * A dense tensor without its data.
 *
 * `extents` are in logical order whatever the layout: N, C, then the `spatial_rank` spatial extents
 * (W | H, W | D, H, W); entries beyond `2 + spatial_rank` are ignored. N may be 0, every other
 * extent is at least 1.
 */
typedef struct fpool_tensor {
  /** FPOOL_F32 ... */
  int32_t dtype;
  /** FPOOL_PLANAR or FPOOL_INTERLEAVED. */
  int32_t layout;
  /** Number of spatial axes, 1 to 3. */
  int32_t spatial_rank;
  /** Must be 0. */
  int32_t reserved;
  int64_t extents[5];
  /** Size of the data buffer in bytes; at least the product of the extents times the element size.
   */
  int64_t byte_size;
} fpool_tensor;

/** How a window is padded. */
enum {
  /** `pad_begin` and `pad_end` as given. */
  FPOOL_PAD_EXPLICIT = 0,
  /** Output extent ceil(I/s); an odd total puts the extra element at the end. */
  FPOOL_PAD_SAME_UPPER = 1,
  /** Output extent ceil(I/s); an odd total puts the extra element at the begin. */
  FPOOL_PAD_SAME_LOWER = 2,
  /** No padding. */
  FPOOL_PAD_VALID = 3
};

/**
 * Which input positions belong to which output position: windows, or the bins of adaptive pooling.
 *
 * The arrays hold one entry per spatial axis of the tensors, outermost first
 * (W | H, W | D, H, W); entries beyond `spatial_rank` are ignored.
 *
 * Output extent per axis: `floor((I + p0 + p1 - d(k-1) - 1 + (ceil ? s-1 : 0)) / s) + 1`, less one
 * where ceil mode would start the last window beyond the input and its begin padding.
 */
typedef struct fpool_window {
  int64_t kernel[3];
  int64_t stride[3];
  /** Elements of padding before and behind the input, less than the dilated kernel; explicit only.
   */
  int64_t pad_begin[3];
  int64_t pad_end[3];
  int64_t dilation[3];
  /** Number of spatial axes, 1 to 3. */
  int32_t spatial_rank;
  /** FPOOL_PAD_EXPLICIT ... */
  int32_t padding;
  /** Non-zero: round output extents up (`ceil_mode`); not with SAME padding. */
  int32_t ceil_mode;
  /**
   * Non-zero: adaptive bins. `kernel` then holds the output extents; `stride`, `pad_begin`,
   * `pad_end` and `dilation` are ignored, `padding` and `ceil_mode` must be 0. Bin i of O along an
   * input of I covers `floor(i I / O)` to `floor(((i+1) I - 1) / O)`, both included. Output extents
   * of 1 are global pooling.
   */
  int32_t adaptive;
} fpool_window;

/** What an average divides by. All zero: the number of taps inside the input. */
typedef struct fpool_average {
  /** Greater than 0: the divisor of every window, instead of any count. 0: none. */
  int64_t divisor_override;
  /** Non-zero: count taps in the padding too (those of ceil mode's overhang never). */
  int32_t include_padding;
  /** Must be 0. */
  int32_t reserved;
} fpool_average;

/** How stochastic pooling chooses. */
typedef struct fpool_stochastic {
  /** In training: the key of the random numbers. */
  uint64_t seed;
  /** Non-zero: training, one tap is drawn per window; 0: inference, their expectation. */
  int32_t training;
  /** Must be 0. */
  int32_t reserved;
} fpool_stochastic;

/**
 * Fractional max pooling: windows of one size that start at pseudo-random places.
 *
 * The arrays hold one entry per spatial axis of the tensors, outermost first (H, W | D, H, W);
 * entries beyond `spatial_rank` are ignored.
 */
typedef struct fpool_fractional {
  /** At least 1 and at most the input's extent. */
  int64_t kernel[3];
  /** Output extents, at least 1 and at most `input - kernel + 1`. */
  int64_t output[3];
  /** Number of spatial axes, 2 or 3. */
  int32_t spatial_rank;
  /** Must be 0. */
  int32_t reserved;
} fpool_fractional;

/** What RoIAlign makes of the samples of a bin. */
enum {
  /** Their average. */
  FPOOL_ROI_AVERAGE = 0,
  /** The greatest of their four weighted corners (ONNX). */
  FPOOL_ROI_MAX = 1
};

/** How regions of interest are cut into bins. */
typedef struct fpool_roi {
  /** Bins per region along H and W, each at least 1 and at most 2^20. */
  int64_t output[2];
  /** What the coordinates of boxes are multiplied by to be elements; finite and greater than 0. */
  double scale;
  /** RoIAlign: samples per bin and axis, at most 2^20; 0: as many as the bin has elements, rounded
   * up. */
  int64_t sampling_ratio;
  /** RoIAlign, non-zero: coordinates are those of pixel corners, half an element is subtracted
   * (ONNX `half_pixel`, torchvision `aligned`). Zero: regions have at least the extent 1. */
  int32_t half_pixel;
  /** RoIAlign: FPOOL_ROI_AVERAGE or FPOOL_ROI_MAX. */
  int32_t mode;
} fpool_roi;

/** Normalisations of bilinear pooling. */
typedef struct fpool_bilinear {
  /** Non-zero: `sign(p) sqrt(|p| + 1e-5)` of every element, 0 of 0. */
  int32_t signed_root;
  /** Non-zero: division of each image's elements by `max(|p|, 1e-12)`, their Euclidean norm. */
  int32_t l2;
  /** Must be 0. */
  int64_t reserved;
} fpool_bilinear;

/** Extents and options of NetVLAD. */
typedef struct fpool_netvlad {
  /** Clusters K, at least 1. */
  int64_t clusters;
  /** Ghosts G, at least 0: clusters that take part in the assignment and not in the output. */
  int64_t ghosts;
  /** Non-zero: every descriptor belongs to the cluster of its largest score, the first of equals.
   */
  int32_t hard;
  /** Non-zero: every descriptor is divided by `max(|x|, 1e-12)` first. */
  int32_t normalize_descriptors;
} fpool_netvlad;

/** How the bins of a level of a pyramid are made. */
enum {
  /** As those of adaptive pooling: every size gives every number of bins. */
  FPOOL_BINS_ADAPTIVE = 0,
  /**
   * As in SPPNet: of an extent `a`, level `n` has windows of `ceil(a/n)` at a stride of
   * `floor(a/n)`. Extents at which that does not give `n` bins are refused.
   */
  FPOOL_BINS_SPPNET = 1
};

/** What a bin of a pyramid is reduced to. */
enum {
  /** Its maximum. */
  FPOOL_REDUCE_MAX = 0,
  /** Its mean. */
  FPOOL_REDUCE_AVERAGE = 1
};

/** The levels of a spatial pyramid; level `n` divides a plane into n x n bins. */
typedef struct fpool_pyramid {
  /** `count` numbers of bins along an axis, each at least 1, in the order of the output. */
  const int64_t* levels;
  /** At least 1. */
  int64_t count;
  /** FPOOL_BINS_ADAPTIVE or FPOOL_BINS_SPPNET. */
  int32_t bins;
  /** FPOOL_REDUCE_MAX or FPOOL_REDUCE_AVERAGE. */
  int32_t reducer;
} fpool_pyramid;

/** The kernels of a YOLOv3-SPP block. */
typedef struct fpool_spp_block {
  /** `count` different odd kernels, 3 to 2^31 - 1, in any order. */
  const int64_t* kernels;
  /** At least 1. */
  int64_t count;
} fpool_spp_block;

/** What the indices of fpool_mask_expand() count from; all are logical (N, C, D, H, W) positions.
 */
enum {
  /** Within the plane (one channel of one image), row-major: PyTorch. */
  FPOOL_INDEX_PLANE = 0,
  /** Within the image, `channel*H*W + row*W + column`. */
  FPOOL_INDEX_IMAGE = 1,
  /** Within the tensor, row-major: ONNX `Indices`, storage_order 0. */
  FPOOL_INDEX_TENSOR = 2,
  /** Within the tensor, planes in column-major order: ONNX `Indices`, storage_order 1. */
  FPOOL_INDEX_TENSOR_COLUMN_MAJOR = 3
};

/** Entry of a FPOOL_U8 mask for a window without a valid tap. */
#define FPOOL_MASK_NONE_COMPACT 255
/** Entry of a FPOOL_I32 mask, and of expanded indices, for a window without a valid tap. */
#define FPOOL_MASK_NONE (-1)

/* --- library -----------------------------------------------------------------------------------
 */

/** @return ::FPOOL_ABI_VERSION of the library. */
FPOOL_API int32_t fpool_abi_version(void);

/** @return the library's version, e.g. "0.1.0"; static storage. */
FPOOL_API const char* fpool_version(void);

/** @return sizeof(fpool_tensor) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_tensor(void);

/** @return sizeof(fpool_window) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_window(void);

/** @return sizeof(fpool_average) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_average(void);

/** @return sizeof(fpool_fractional) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_fractional(void);

/** @return sizeof(fpool_roi) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_roi(void);

/** @return sizeof(fpool_stochastic) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_stochastic(void);

/** @return sizeof(fpool_bilinear) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_bilinear(void);

/** @return sizeof(fpool_netvlad) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_netvlad(void);

/** @return sizeof(fpool_pyramid) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_pyramid(void);

/** @return sizeof(fpool_spp_block) as compiled into the library. */
FPOOL_API int64_t fpool_sizeof_spp_block(void);

/**
 * @return the message of this thread's last refused call; "" when none was refused. Valid until the
 *         thread's next refused call.
 */
FPOOL_API const char* fpool_last_error(void);

/**
 * @return the instruction-set tier in use ("SSE4", "AVX2", "AVX3", "NEON"): the best
 * that the processor has, capped by FEATUREPOOL_MAX_ISA. NULL, with a message, when that variable
 *         names none of the library's tiers.
 */
FPOOL_API const char* fpool_active_isa(void);

/**
 * Sets the number of threads that one call may use, its caller included.
 *
 * @param[in] threads 1 to 1024, or 0 for the default: FEATUREPOOL_THREADS, else the processors that
 *            this process may use (affinity and control group). Workers are shared by all callers.
 */
FPOOL_API fpool_status fpool_set_threads(int32_t threads);

/** @return the number of threads one call may use; -1, with a message, if FEATUREPOOL_THREADS is
 * bad. */
FPOOL_API int32_t fpool_get_threads(void);

/* --- geometry ----------------------------------------------------------------------------------
 */

/**
 * Extents of the output of a pooling.
 *
 * @param[in]  x       input
 * @param[in]  window  window of the same spatial rank
 * @param[out] extents five entries, logical order; those beyond `2 + spatial_rank` are set to 1
 */
FPOOL_API fpool_status fpool_output_extents(const fpool_tensor* x, const fpool_window* window,
                                            int64_t* extents);

/* --- max and min
 * ---------------------------------------------------------------------------------------
 */

/**
 * Max pooling: `y = max` over the window's taps inside the input.
 *
 * Ties go to the first tap in row-major order of the window; a NaN in the window gives NaN (the
 * last one in row-major order); a window without a valid tap gives -inf, or the type's lowest
 * value.
 *
 * @param[in]  x,x_data       input, FPOOL_F32, F64, F16, BF16, I8, U8 or I32, aligned to its
 * element
 * @param[in]  window         the window
 * @param[in]  y,y_data       output of the extents of fpool_output_extents(), same type and layout
 * @param[in]  mask,mask_data position of each maximum, of the extents and layout of `y`: FPOOL_U8
 *                            (position within the window, row-major; windows of at most 255 taps)
 * or FPOOL_I32 (position within the plane). Both NULL: no mask.
 */
FPOOL_API fpool_status fpool_max_forward(const fpool_tensor* x, const void* x_data,
                                         const fpool_window* window,           //
                                         const fpool_tensor* y, void* y_data,  //
                                         const fpool_tensor* mask, void* mask_data);

/**
 * Min pooling: as fpool_max_forward() with the order reversed. A window without a valid tap gives
 * +inf, or the type's highest value.
 *
 * @param[in]  x,x_data       input, FPOOL_F32, F64, F16, BF16, I8, U8 or I32, aligned to its
 * element
 * @param[in]  window         the window
 * @param[in]  y,y_data       output of the extents of fpool_output_extents(), same type and layout
 * @param[in]  mask,mask_data position of each minimum, as of fpool_max_forward(). Both NULL: no
 *                            mask.
 */
FPOOL_API fpool_status fpool_min_forward(const fpool_tensor* x, const void* x_data,
                                         const fpool_window* window,           //
                                         const fpool_tensor* y, void* y_data,  //
                                         const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of every pooling that selects one tap (max, min, median, stochastic in training):
 * `dx[mask] += dy`, zero elsewhere; entries without a position are skipped. F16 and BF16 gradients
 * are added in f32 and rounded once. Bit-identical for every number of threads.
 *
 * @param[in] dy,dy_data     gradient of the output, FPOOL_F32, F64, F16 or BF16
 * @param[in] mask,mask_data the mask of the forward call
 * @param[in] window         the window of the forward call
 * @param[in] dx,dx_data     gradient of the input, of the type of `dy` and the extents and layout
 * of the forward call's `x`; overwritten
 */
FPOOL_API fpool_status fpool_route_backward(const fpool_tensor* dy, const void* dy_data,
                                            const fpool_tensor* mask, const void* mask_data,
                                            const fpool_window* window,  //
                                            const fpool_tensor* dx, void* dx_data);

/**
 * Flat indices of the maxima from a mask.
 *
 * @param[in] x                   the input of the forward call (its descriptor)
 * @param[in] window              the window of the forward call
 * @param[in] mask,mask_data      the mask of the forward call
 * @param[in] index_base          FPOOL_INDEX_PLANE ...
 * @param[in] indices,indices_data FPOOL_I64, extents and layout of `mask`; ::FPOOL_MASK_NONE where
 * a window had no valid tap
 */
FPOOL_API fpool_status fpool_mask_expand(const fpool_tensor* x, const fpool_window* window,
                                         const fpool_tensor* mask, const void* mask_data,
                                         int32_t index_base,  //
                                         const fpool_tensor* indices, void* indices_data);

/* --- average -----------------------------------------------------------------------------------
 */

/**
 * Average pooling: sum over the window's taps inside the input, divided as `average` says. F16 and
 * BF16 sums are taken in f32 and rounded once. Sums of integers are exact and their quotients round
 * half to even; a quotient beyond the type's range saturates. A window whose divisor is 0 (no tap
 * inside the input) gives NaN, or 0 for integers.
 *
 * @param[in] x,x_data input, FPOOL_F32, F64, F16, BF16, I8 or U8, aligned to its element
 * @param[in] window   the window
 * @param[in] average  the divisor
 * @param[in] y,y_data output of the extents of fpool_output_extents(), same type and layout
 */
FPOOL_API fpool_status fpool_avg_forward(const fpool_tensor* x, const void* x_data,
                                         const fpool_window* window, const fpool_average* average,
                                         const fpool_tensor* y, void* y_data);

/**
 * Gradient of average pooling: every tap inside the input gets `dy / divisor`, accumulated; of F16
 * and BF16 in f32, rounded once.
 *
 * @param[in] dy,dy_data gradient of the output, FPOOL_F32, F64, F16 or BF16
 * @param[in] window     the window of the forward call
 * @param[in] average    the divisor of the forward call
 * @param[in] dx,dx_data gradient of the input, of the type of `dy` and the extents and layout of
 *                       the forward call's `x`; overwritten
 */
FPOOL_API fpool_status fpool_avg_backward(const fpool_tensor* dy, const void* dy_data,
                                          const fpool_window* window, const fpool_average* average,
                                          const fpool_tensor* dx, void* dx_data);

/* --- median --------------------------------------------------------------------------------------
 */

/**
 * Median pooling: of the n taps of the window that lie inside the input, the one of rank
 * `floor((n - 1) / 2)` in ascending order: the middle one, or the lower of the two middle ones.
 *
 * The result is always an element of the input, the first in row-major order among equals (-0 and
 * +0 are equal). A NaN in the window gives NaN (the last one in row-major order); a window without
 * a valid tap gives NaN, or 0 for integers. The gradient is fpool_route_backward().
 *
 * @param[in]  x,x_data       input, FPOOL_F32, FPOOL_F64 or FPOOL_U8, aligned to its element
 * @param[in]  window         the window
 * @param[in]  y,y_data       output of the extents of fpool_output_extents(), same type and layout
 * @param[in]  mask,mask_data position of each median, as for fpool_max_forward(). Both NULL: none.
 */
FPOOL_API fpool_status fpool_median_forward(const fpool_tensor* x, const void* x_data,
                                            const fpool_window* window,           //
                                            const fpool_tensor* y, void* y_data,  //
                                            const fpool_tensor* mask, void* mask_data);

/* --- stochastic ----------------------------------------------------------------------------------
 */

/**
 * Stochastic pooling (Zeiler and Fergus, 2013) of activations `a >= 0`, with `S` the sum of the
 * window's taps inside the input and `p_i = a_i / S`.
 *
 * In training one tap is drawn per window, tap i with probability p_i: the first in row-major order
 * whose running sum exceeds `u S`. `u` is a multiple of 2^-24 in [0, 1): the upper 24 bits of the
 * first word of Philox4x32-10 under the key `seed` (low word first) and the counter (low word, high
 * word, 0, 0) of the output's row-major position among (N, C, D, H, W). The same seed therefore
 * draws the same taps in both layouts and with every number of threads. A window of S = 0 gives 0
 * and its first tap. The gradient is fpool_route_backward().
 *
 * In inference the output is the expectation, the sum of `p_i a_i`; 0 where S = 0. The gradient is
 * fpool_stochastic_backward().
 *
 * Sums are of f64, in row-major order. A window without a valid tap gives 0. An element of `x` that
 * is negative, infinite or NaN is refused, by its position and value, before anything is written.
 *
 * @param[in]  x,x_data       input, FPOOL_F32 or FPOOL_F64
 * @param[in]  window         the window
 * @param[in]  stochastic     seed and mode
 * @param[in]  y,y_data       output of the extents of fpool_output_extents(), same type and layout
 * @param[in]  mask,mask_data position of each tap drawn, as for fpool_max_forward(): required in
 *                            training, both NULL in inference
 */
FPOOL_API fpool_status fpool_stochastic_forward(const fpool_tensor* x, const void* x_data,
                                                const fpool_window* window,
                                                const fpool_stochastic* stochastic,   //
                                                const fpool_tensor* y, void* y_data,  //
                                                const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of stochastic pooling in inference: every tap a inside the input gets
 * `dy (2 a - y) / S`, accumulated, of the windows with S > 0.
 *
 * @param[in] dy,dy_data gradient of the output, of the type of `x`
 * @param[in] x,x_data   the input of the forward call
 * @param[in] window     the window of the forward call
 * @param[in] dx,dx_data gradient of the input, of the type, extents and layout of `x`; overwritten
 */
FPOOL_API fpool_status fpool_stochastic_backward(const fpool_tensor* dy, const void* dy_data,
                                                 const fpool_tensor* x, const void* x_data,
                                                 const fpool_window* window,  //
                                                 const fpool_tensor* dx, void* dx_data);

/* --- Lp ----------------------------------------------------------------------------------------
 */

/**
 * Lp pooling: `y = (sum |x|^p)^(1/p)` over the window's taps inside the input; for p = infinity,
 * their largest |x|. Sums are taken in f64 and, where those would overflow or lose their digits, of
 * scaled elements: y overflows only where it is itself beyond its type. A NaN in the window gives
 * NaN; a window without a valid tap gives 0.
 *
 * @param[in] x,x_data input, FPOOL_F32 or F64, aligned to its element
 * @param[in] window   the window
 * @param[in] p        at least 1, or infinity
 * @param[in] y,y_data output of the extents of fpool_output_extents(), same type and layout
 */
FPOOL_API fpool_status fpool_lp_forward(const fpool_tensor* x, const void* x_data,
                                        const fpool_window* window, double p,  //
                                        const fpool_tensor* y, void* y_data);

/**
 * Gradient of Lp pooling: every tap inside the input gets `dy * sign(x) * (|x|/y)^(p-1)`,
 * accumulated; 0 where y is 0. For p = infinity, `dy * sign(x)` goes to the first largest |x| of
 * the window in row-major order.
 *
 * @param[in] x,x_data   input of the forward call, FPOOL_F32 or F64
 * @param[in] y,y_data   output of the forward call
 * @param[in] dy,dy_data gradient of the output
 * @param[in] window     the window of the forward call
 * @param[in] p          p of the forward call
 * @param[in] dx,dx_data gradient of the input, of the type, extents and layout of `x`; overwritten
 */
FPOOL_API fpool_status fpool_lp_backward(const fpool_tensor* x, const void* x_data,
                                         const fpool_tensor* y, const void* y_data,
                                         const fpool_tensor* dy, const void* dy_data,
                                         const fpool_window* window, double p,  //
                                         const fpool_tensor* dx, void* dx_data);

/* --- generalised mean --------------------------------------------------------------------------
 */

/**
 * Generalised mean (GeM): `y = (mean of max(x, epsilon)^p)^(1/p)` over the window's taps inside the
 * input. Computed as fpool_lp_forward() is. A NaN in the window gives NaN, and so does a window
 * without a valid tap.
 *
 * @param[in] x,x_data  input, FPOOL_F32 or F64, aligned to its element
 * @param[in] window    the window
 * @param[in] p,p_count one p for all channels, or one per channel, each greater than 0 and finite
 * @param[in] epsilon   the least element, greater than 0 and finite; usually 1e-6
 * @param[in] y,y_data  output of the extents of fpool_output_extents(), same type and layout
 */
FPOOL_API fpool_status fpool_gem_forward(const fpool_tensor* x, const void* x_data,
                                         const fpool_window* window,                        //
                                         const double* p, int64_t p_count, double epsilon,  //
                                         const fpool_tensor* y, void* y_data);

/**
 * Gradients of the generalised mean over windows of n valid taps:
 * `dx += dy * (x/y)^(p-1) / n` where x is greater than epsilon, and
 * `dp += dy * y/p * (sum(b^p ln b) / sum(b^p) - ln y)` with `b = max(x, epsilon)`. Windows without
 * a valid tap give nothing. `dp` is summed in f64, bit-identical for every number of threads.
 *
 * @param[in]  x,x_data   input of the forward call, FPOOL_F32 or F64
 * @param[in]  y,y_data   output of the forward call
 * @param[in]  dy,dy_data gradient of the output
 * @param[in]  window     the window of the forward call
 * @param[in]  p,p_count  p of the forward call
 * @param[in]  epsilon    epsilon of the forward call
 * @param[out] dx,dx_data gradient of the input, of the type, extents and layout of `x`; overwritten
 * @param[out] dp         `p_count` gradients of p; overwritten. NULL: they are not wanted
 */
FPOOL_API fpool_status fpool_gem_backward(const fpool_tensor* x, const void* x_data,
                                          const fpool_tensor* y, const void* y_data,
                                          const fpool_tensor* dy, const void* dy_data,
                                          const fpool_window* window,                        //
                                          const double* p, int64_t p_count, double epsilon,  //
                                          const fpool_tensor* dx, void* dx_data, double* dp);

/* --- mixed -------------------------------------------------------------------------------------
 */

/**
 * Maximum and average of a window, added: `y = alpha * max + (1 - alpha) * average`, the average
 * over the taps inside the input. The input is read once. Where alpha is 0 the maximum does not
 * count at all, where it is 1 the average. A window without a valid tap gives NaN, or -inf where
 * alpha is 1.
 *
 * @param[in] x,x_data          input, FPOOL_F32 or F64, aligned to its element
 * @param[in] window            the window
 * @param[in] alpha,alpha_count one alpha for all channels, or one per channel, each in [0, 1]
 * @param[in] y,y_data          output of the extents of fpool_output_extents(), same type and
 * layout
 */
FPOOL_API fpool_status fpool_mixed_add_forward(const fpool_tensor* x, const void* x_data,
                                               const fpool_window* window,                //
                                               const double* alpha, int64_t alpha_count,  //
                                               const fpool_tensor* y, void* y_data);

/**
 * Gradients of fpool_mixed_add_forward(): the first maximum of a window (of NaNs the last) gets
 * `alpha * dy`, every tap its share of `(1 - alpha) * dy`, accumulated; and
 * `dalpha += dy * (max - average)`, in f64, bit-identical for every number of threads. Windows
 * without a valid tap give nothing.
 *
 * @param[in]  x,x_data          input of the forward call, FPOOL_F32 or F64
 * @param[in]  dy,dy_data        gradient of the output
 * @param[in]  window            the window of the forward call
 * @param[in]  alpha,alpha_count alpha of the forward call
 * @param[out] dx,dx_data        gradient of the input, of the type, extents and layout of `x`;
 *                               overwritten
 * @param[out] dalpha            `alpha_count` gradients of alpha; overwritten. NULL: not wanted
 */
FPOOL_API fpool_status fpool_mixed_add_backward(const fpool_tensor* x, const void* x_data,
                                                const fpool_tensor* dy, const void* dy_data,
                                                const fpool_window* window,                //
                                                const double* alpha, int64_t alpha_count,  //
                                                const fpool_tensor* dx, void* dx_data,
                                                double* dalpha);

/**
 * Average and maximum of a window as channels of their own: of C channels come 2 C, first all
 * averages (over the taps inside the input), then all maxima. The input is read once. A window
 * without a valid tap gives NaN and -inf.
 *
 * @param[in] x,x_data input, FPOOL_F32 or F64, aligned to its element
 * @param[in] window   the window
 * @param[in] y,y_data output of the extents of fpool_output_extents() but twice the channels, same
 *                     type and layout
 */
FPOOL_API fpool_status fpool_mixed_cat_forward(const fpool_tensor* x, const void* x_data,
                                               const fpool_window* window,  //
                                               const fpool_tensor* y, void* y_data);

/**
 * Gradient of fpool_mixed_cat_forward(): the first maximum of a window (of NaNs the last) gets the
 * `dy` of the maximum, every tap its share of that of the average, accumulated.
 *
 * @param[in] x,x_data   input of the forward call, FPOOL_F32 or F64
 * @param[in] dy,dy_data gradient of the output, of twice the channels
 * @param[in] window     the window of the forward call
 * @param[in] dx,dx_data gradient of the input, of the type, extents and layout of `x`; overwritten
 */
FPOOL_API fpool_status fpool_mixed_cat_backward(const fpool_tensor* x, const void* x_data,
                                                const fpool_tensor* dy, const void* dy_data,
                                                const fpool_window* window,  //
                                                const fpool_tensor* dx, void* dx_data);

/* --- fractional max ----------------------------------------------------------------------------
 */

/**
 * Fractional max pooling (Graham, "Fractional Max-Pooling", 2014) with the windows of PyTorch:
 * along an axis of input I, kernel k and output O, with a number u of [0, 1) and
 * `alpha = (I - k) / (O - 1)`, window o starts at `floor((o + u) alpha) - floor(u alpha)` and the
 * last one at `I - k`. Every plane (channel of an image) has numbers of its own. The starts are
 * computed in the type of the tensor, as libtorch does.
 *
 * Maxima, ties and NaN as in fpool_max_forward().
 *
 * @param[in] x,x_data             input, FPOOL_F32 or FPOOL_F64, rank 2 or 3
 * @param[in] fractional           kernel and output extents
 * @param[in] samples,samples_data the numbers u, FPOOL_F32 or FPOOL_F64, planar, extents N x C x
 *                                 rank, outermost axis first (libtorch's order is that too with
 *                                 three axes, but W, H with two). Both NULL: drawn from the seed
 *                                 by Philox4x32-10 (key: the seed; counter: the plane, n C + c,
 *                                 and the axis; the upper 24 bits of the first word), the same for
 *                                 every number of threads, both layouts and both types.
 * @param[in] seed                 any number; ignored where there are samples
 * @param[in] y,y_data             output of the extents N x C x `output`, same type and layout
 * @param[in] mask,mask_data       position of each maximum within its plane, FPOOL_I32, of the
 *                                 extents and layout of `y`. Both NULL: none.
 */
FPOOL_API fpool_status fpool_fractional_forward(const fpool_tensor* x, const void* x_data,
                                                const fpool_fractional* fractional,
                                                const fpool_tensor* samples,
                                                const void* samples_data, uint64_t seed,  //
                                                const fpool_tensor* y, void* y_data,      //
                                                const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of fractional max pooling: `dx[mask] += dy`, zero elsewhere. Bit-identical for every
 * number of threads.
 *
 * @param[in] dy,dy_data     gradient of the output, FPOOL_F32 or FPOOL_F64
 * @param[in] mask,mask_data the mask of the forward call
 * @param[in] dx,dx_data     gradient of the input, same type and layout; overwritten
 */
FPOOL_API fpool_status fpool_fractional_backward(const fpool_tensor* dy, const void* dy_data,
                                                 const fpool_tensor* mask, const void* mask_data,
                                                 const fpool_tensor* dx, void* dx_data);

/* --- regions of interest -----------------------------------------------------------------------
 */

/**
 * RoI max pooling (Girshick, "Fast R-CNN", 2015): the maximum of every bin of every region.
 *
 * The coordinates of a box times the scale are rounded (halves away from 0) to the first and last
 * element of the region, which has at least one; bin i of n of an extent e covers
 * `floor(i e / n)` to `ceil((i + 1) e / n)` (exclusive), clipped to the plane. An empty bin gives 0
 * and no position. Ties and NaN as in fpool_max_forward(). Coordinates are computed in the type of
 * the tensor.
 *
 * @param[in] x,x_data       input, FPOOL_F32 or FPOOL_F64, rank 2
 * @param[in] roi            output extents and scale; the other fields are ignored
 * @param[in] regions        number R of regions, at least 0
 * @param[in] boxes          R boxes of four numbers x1, y1, x2, y2; finite, and within +-2^22 once
 *                           scaled
 * @param[in] images         R numbers of images of `x`
 * @param[in] y,y_data       output of the extents R x C x `output`, same type and layout
 * @param[in] mask,mask_data position of each maximum within its plane, FPOOL_I32, of the extents
 *                           and layout of `y`; ::FPOOL_MASK_NONE for an empty bin. Both NULL: none.
 */
FPOOL_API fpool_status fpool_roi_pool_forward(const fpool_tensor* x, const void* x_data,
                                              const fpool_roi* roi, int64_t regions,
                                              const double* boxes, const int64_t* images,  //
                                              const fpool_tensor* y, void* y_data,         //
                                              const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of RoI max pooling: `dx[mask] += dy` in the image of each region, zero elsewhere.
 * Bit-identical for every number of threads.
 *
 * @param[in] dy,dy_data     gradient of the output, FPOOL_F32 or FPOOL_F64
 * @param[in] mask,mask_data the mask of the forward call
 * @param[in] regions,images those of the forward call
 * @param[in] dx,dx_data     gradient of the input, same type and layout; overwritten
 */
FPOOL_API fpool_status fpool_roi_pool_backward(const fpool_tensor* dy, const void* dy_data,
                                               const fpool_tensor* mask, const void* mask_data,
                                               int64_t regions, const int64_t* images,  //
                                               const fpool_tensor* dx, void* dx_data);

/**
 * RoIAlign (He, Gkioxari, Dollar and Girshick, "Mask R-CNN", 2017; ONNX `RoiAlign`): every bin is
 * sampled at regular points between the elements, which are interpolated bilinearly. A sample
 * outside [-1, H] x [-1, W] counts as 0. Coordinates are computed in the type of the tensor.
 *
 * Average: the mean of the samples; an element of weight 0 has no part in it. Max: the greatest
 * product of a corner of a sample and its weight (of equals the first, in order of rows and
 * columns; a NaN wins).
 *
 * @param[in] x,x_data       input, FPOOL_F32 or FPOOL_F64, rank 2
 * @param[in] roi            output extents, scale, sampling, mode
 * @param[in] regions        number R of regions, at least 0
 * @param[in] boxes          R boxes of four numbers x1, y1, x2, y2; finite, and within +-2^22 once
 *                           scaled
 * @param[in] images         R numbers of images of `x`
 * @param[in] y,y_data       output of the extents R x C x `output`, same type and layout
 */
FPOOL_API fpool_status fpool_roi_align_forward(const fpool_tensor* x, const void* x_data,
                                               const fpool_roi* roi, int64_t regions,
                                               const double* boxes, const int64_t* images,  //
                                               const fpool_tensor* y, void* y_data);

/**
 * Gradient of RoIAlign: the elements of a bin get its gradient times their weight, the greatest
 * one alone in max mode; accumulated. Bit-identical for every number of threads.
 *
 * @param[in] dy,dy_data           gradient of the output, FPOOL_F32 or FPOOL_F64
 * @param[in] x,x_data             input of the forward call in max mode, else ignored
 * @param[in] roi,regions,boxes,images those of the forward call
 * @param[in] dx,dx_data           gradient of the input, same type and layout; overwritten
 */
FPOOL_API fpool_status fpool_roi_align_backward(const fpool_tensor* dy, const void* dy_data,
                                                const fpool_tensor* x, const void* x_data,
                                                const fpool_roi* roi, int64_t regions,
                                                const double* boxes, const int64_t* images,  //
                                                const fpool_tensor* dx, void* dx_data);

/* --- max unpooling -----------------------------------------------------------------------------
 */

/**
 * Extents of the output of an unpooling: `(I-1)s - p0 - p1 + d(k-1) + 1` along each axis.
 *
 * @param[in]  x         input of the unpooling
 * @param[in]  window    window of the pooling that is undone: a kernel with explicit padding; ceil
 *                       mode changes nothing
 * @param[in]  requested spatial extents to take instead, each less than a stride away from those;
 *                       NULL: none
 * @param[out] extents   five entries, logical order; those beyond `2 + spatial_rank` are set to 1
 */
FPOOL_API fpool_status fpool_unpool_extents(const fpool_tensor* x, const fpool_window* window,
                                            const int64_t* requested, int64_t* extents);

/**
 * Max unpooling: `y[index] = x`, zero elsewhere. Where indices are equal, the last in row-major
 * order of `x` wins, for every number of threads.
 *
 * @param[in] x,x_data             input, FPOOL_F32 or FPOOL_F64
 * @param[in] indices,indices_data FPOOL_I64 or FPOOL_I32, of the extents and layout of `x`; one out
 *                                 of range is refused, ::FPOOL_MASK_NONE too
 * @param[in] index_base           FPOOL_INDEX_PLANE or FPOOL_INDEX_TENSOR
 * @param[in] index_extents        spatial extents that the indices count over, none greater than
 *                                 that of `y`, in whose corner the result then lies (ONNX
 *                                 `MaxUnpool` with `output_shape`); NULL: those of `y`
 * @param[in] y,y_data             output, same type, layout, batch and channels; overwritten
 */
FPOOL_API fpool_status fpool_max_unpool_forward(const fpool_tensor* x, const void* x_data,
                                                const fpool_tensor* indices,
                                                const void* indices_data, int32_t index_base,
                                                const int64_t* index_extents,  //
                                                const fpool_tensor* y, void* y_data);

/**
 * Gradient of max unpooling: `dx = dy[index]`, for elements that another one overwrote too.
 *
 * @param[in] dy,dy_data           gradient of the output, FPOOL_F32 or FPOOL_F64
 * @param[in] indices,indices_data,index_base,index_extents those of the forward call
 * @param[in] dx,dx_data           gradient of the input, of the extents and layout of `indices`;
 *                                 overwritten
 */
FPOOL_API fpool_status fpool_max_unpool_backward(const fpool_tensor* dy, const void* dy_data,
                                                 const fpool_tensor* indices,
                                                 const void* indices_data, int32_t index_base,
                                                 const int64_t* index_extents,  //
                                                 const fpool_tensor* dx, void* dx_data);

/* --- products ----------------------------------------------------------------------------------
 */

/**
 * Bilinear pooling: the products of all pairs of channels, averaged over the positions.
 *
 * With A the D1 x L matrix of an image of `a` (L = H W) and B the D2 x L matrix of `b`,
 * `P = A B^T / L`; then, if so, the signed square root and the L2 normalisation of all of P. Sums
 * of f32 are f32, within 2 ulp sqrt(L) of the products' magnitudes. NaN spreads to every element
 * that it is a factor of, and by L2 normalisation to the whole image. Source: Lin, RoyChowdhury and
 * Maji, "Bilinear CNN Models for Fine-grained Visual Recognition", ICCV 2015; seed 004.
 *
 * @param[in] a,a_data first input, N x D1 x H x W, FPOOL_F32 or FPOOL_F64
 * @param[in] b,b_data second input, N x D2 and as many positions, same type and layout. Both NULL:
 *                     homogeneous pooling, `a` with itself, which takes half the work.
 * @param[in] bilinear normalisations
 * @param[in] y,y_data output, N x (D1 D2) x 1 x 1 of either layout, same type: P by rows
 */
FPOOL_API fpool_status fpool_bilinear_forward(const fpool_tensor* a, const void* a_data,
                                              const fpool_tensor* b, const void* b_data,
                                              const fpool_bilinear* bilinear,  //
                                              const fpool_tensor* y, void* y_data);

/**
 * Gradient of bilinear pooling, through both normalisations: `dA = dP B / L`, `dB = dP^T A / L`;
 * homogeneous `dA = (dP + dP^T) A / L`. Where P is 0 the signed root has the gradient 0, and where
 * its norm is less than 1e-12 all of P has.
 *
 * @param[in] dy,dy_data gradient of the output
 * @param[in] a,a_data   first input of the forward call
 * @param[in] b,b_data   second input of the forward call; both NULL if there was none
 * @param[in] bilinear   normalisations of the forward call
 * @param[in] da,da_data gradient of `a`, of its type, extents and layout; overwritten
 * @param[in] db,db_data gradient of `b`; both NULL if there is none
 */
FPOOL_API fpool_status fpool_bilinear_backward(const fpool_tensor* dy, const void* dy_data,
                                               const fpool_tensor* a, const void* a_data,
                                               const fpool_tensor* b, const void* b_data,
                                               const fpool_bilinear* bilinear,  //
                                               const fpool_tensor* da, void* da_data,
                                               const fpool_tensor* db, void* db_data);

/**
 * NetVLAD: what the descriptors of an image differ by from the centroids they are assigned to.
 *
 * A descriptor x_i is the D channels of a position i. Its assignment to cluster k is
 * `a_k(i) = softmax_k(W_k x_i + b_k)` over K clusters and G ghosts (or 1 for the largest and 0
 * elsewhere, if hard), and `V_k = sum_i a_k(i) (x_i - c_k)` for the K clusters. Each V_k is divided
 * by `max(|V_k|, 1e-12)`, and then all of them by their common norm likewise: a cluster whose
 * residual is zero stays zero. Source: Arandjelovic et al., "NetVLAD: CNN Architecture for Weakly
 * Supervised Place Recognition", CVPR 2016; ghosts: Zhong, Arandjelovic and Zisserman, "GhostVLAD
 * for Set-based Face Recognition", ACCV 2018; seed 004.
 *
 * Matrices are tensors of rows x columns x 1 x 1, in either layout, of the type of x.
 *
 * @param[in] x,x_data                 input, N x D x H x W, FPOOL_F32 or FPOOL_F64
 * @param[in] weights,weights_data     W, (K+G) x D: ghosts behind the clusters
 * @param[in] biases,biases_data       b, 1 x (K+G)
 * @param[in] centroids,centroids_data c, K x D
 * @param[in] netvlad                  extents and options
 * @param[in] y,y_data                 output, N x (K D)
 */
FPOOL_API fpool_status fpool_netvlad_forward(const fpool_tensor* x, const void* x_data,
                                             const fpool_tensor* weights, const void* weights_data,
                                             const fpool_tensor* biases, const void* biases_data,
                                             const fpool_tensor* centroids,
                                             const void* centroids_data,
                                             const fpool_netvlad* netvlad,  //
                                             const fpool_tensor* y, void* y_data);

/**
 * fpool_netvlad_forward() that also keeps what fpool_netvlad_backward_with_intermediates() would
 * otherwise compute again, two of its six matrix products. Its output is the same, bit for bit.
 *
 * @param[out] assignments,assignments_data a_k(i), N x (K+G) x H x W, FPOOL_PLANAR, of the type of
 *                                          x; with normalised descriptors divided by
 *                                          `max(|x_i|, 1e-12)`: what x_i counts for in V_k
 * @param[out] residuals,residuals_data     V before the normalisations, N x (K D)
 */
FPOOL_API fpool_status fpool_netvlad_forward_with_intermediates(
    const fpool_tensor* x, const void* x_data, const fpool_tensor* weights,
    const void* weights_data, const fpool_tensor* biases, const void* biases_data,
    const fpool_tensor* centroids, const void* centroids_data, const fpool_netvlad* netvlad,
    const fpool_tensor* y, void* y_data,  //
    const fpool_tensor* assignments, void* assignments_data, const fpool_tensor* residuals,
    void* residuals_data);

/**
 * Gradients of NetVLAD, through the assignment and all normalisations. A cluster whose residual,
 * and a normalised descriptor whose norm, is less than 1e-12 has the gradient 0. Of a hard
 * assignment, weights and biases have the gradient 0: it varies with x and c only.
 *
 * @param[in] dy,dy_data                 gradient of the output
 * @param[in] x,x_data                   input of the forward call
 * @param[in] weights,weights_data       W of the forward call
 * @param[in] biases,biases_data         b of the forward call
 * @param[in] centroids,centroids_data   c of the forward call
 * @param[in] netvlad                    extents and options of the forward call
 * @param[in] dx,dx_data                 gradient of x, of its extents and layout; overwritten
 * @param[in] dweights,dweights_data     gradient of W, summed over the images; overwritten
 * @param[in] dbiases,dbiases_data       gradient of b, likewise
 * @param[in] dcentroids,dcentroids_data gradient of c, likewise
 */
FPOOL_API fpool_status fpool_netvlad_backward(
    const fpool_tensor* dy, const void* dy_data, const fpool_tensor* x, const void* x_data,
    const fpool_tensor* weights, const void* weights_data, const fpool_tensor* biases,
    const void* biases_data, const fpool_tensor* centroids, const void* centroids_data,
    const fpool_netvlad* netvlad, const fpool_tensor* dx, void* dx_data,
    const fpool_tensor* dweights, void* dweights_data, const fpool_tensor* dbiases,
    void* dbiases_data, const fpool_tensor* dcentroids, void* dcentroids_data);

/**
 * fpool_netvlad_backward() with what the forward call of the same operands kept. The biases are not
 * read again, only checked.
 *
 * @param[in] assignments,assignments_data as fpool_netvlad_forward_with_intermediates() left them
 * @param[in] residuals,residuals_data     likewise
 */
FPOOL_API fpool_status fpool_netvlad_backward_with_intermediates(
    const fpool_tensor* dy, const void* dy_data, const fpool_tensor* x, const void* x_data,
    const fpool_tensor* weights, const void* weights_data, const fpool_tensor* biases,
    const void* biases_data, const fpool_tensor* centroids, const void* centroids_data,
    const fpool_netvlad* netvlad, const fpool_tensor* assignments, const void* assignments_data,
    const fpool_tensor* residuals, const void* residuals_data,  //
    const fpool_tensor* dx, void* dx_data, const fpool_tensor* dweights, void* dweights_data,
    const fpool_tensor* dbiases, void* dbiases_data, const fpool_tensor* dcentroids,
    void* dcentroids_data);

/**
 * Initial parameters of NetVLAD from sample descriptors: centroids by k-means++ and 10 of Lloyd's
 * iterations, `W = 2 alpha c`, `b = -alpha |c|^2`, and alpha such that the assignment to the
 * nearest centroid is on average 100 times that to the second nearest:
 * `alpha = -ln(0.01) / mean(d2^2 - d1^2)`, or 1 where that mean is 0. Ghosts are centroids too, of
 * which only W and b are kept. The same seed gives the same parameters, for every number of
 * threads, on machines of one instruction set.
 *
 * @param[in] descriptors,descriptors_data the sample: those at all positions of all images, for
 *                                     instance M x D x 1 x 1; at least K + G different ones, finite
 * @param[in] netvlad                  extents and options of the operator
 * @param[in] seed                     any number
 * @param[in] weights,weights_data     W, (K+G) x D; overwritten
 * @param[in] biases,biases_data       b, 1 x (K+G); overwritten
 * @param[in] centroids,centroids_data c, K x D; overwritten
 */
FPOOL_API fpool_status fpool_netvlad_initialize(
    const fpool_tensor* descriptors, const void* descriptors_data, const fpool_netvlad* netvlad,
    int64_t seed, const fpool_tensor* weights, void* weights_data, const fpool_tensor* biases,
    void* biases_data, const fpool_tensor* centroids, void* centroids_data);

/* --- spatial pyramids
 * --------------------------------------------------------------------------------
 */

/**
 * Spatial pyramid pooling (SPPNet): the maximum or mean of every bin of every level, in one vector
 * per image. The vector is level-major, channel-major within a level and row-major within a
 * channel, whatever the layout of `x`; its length is C times the sum of n^2 over the levels. Bins
 * are those of fpool_max_forward() and fpool_avg_forward(): ties, NaN and rounding are theirs.
 *
 * Source: He et al., Spatial Pyramid Pooling in Deep Convolutional Networks, 2014.
 *
 * @param[in]  x,x_data       input of spatial rank 2, FPOOL_F32
 * @param[in]  pyramid        levels, rule of their bins, reducer
 * @param[in]  y,y_data       output, N x length x 1 x 1, FPOOL_F32, of the layout of `x`
 * @param[in]  mask,mask_data position within its plane of every maximum, of the extents of `y`,
 *                            FPOOL_I32; both NULL: no mask. Not of an average.
 */
FPOOL_API fpool_status fpool_spp_forward(const fpool_tensor* x, const void* x_data,
                                         const fpool_pyramid* pyramid,         //
                                         const fpool_tensor* y, void* y_data,  //
                                         const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of spatial pyramid pooling, summed over the levels in their order: of maxima,
 * `dx[mask] += dy`; of means, every element of a bin gets `dy / elements`. Bit-identical for every
 * number of threads.
 *
 * @param[in] dy,dy_data     gradient of the output, FPOOL_F32
 * @param[in] mask,mask_data the mask of the forward call; both NULL for an average
 * @param[in] pyramid        the pyramid of the forward call
 * @param[in] dx,dx_data     gradient of the input, FPOOL_F32, of the extents and layout of the
 *                           forward call's `x`; overwritten
 */
FPOOL_API fpool_status fpool_spp_backward(const fpool_tensor* dy, const void* dy_data,
                                          const fpool_tensor* mask, const void* mask_data,
                                          const fpool_pyramid* pyramid,  //
                                          const fpool_tensor* dx, void* dx_data);

/**
 * The SPP block of YOLOv3-SPP: max pools of stride 1, padded to the size of the input, joined with
 * the input along the channels: [largest kernel ... smallest kernel, input]. The values are those
 * of separate calls of fpool_max_forward(), bit for bit; the input is read once.
 *
 * Source: the SPP section of Darknet's yolov3-spp.cfg (`[route] layers=-1,-3,-5,-6`).
 *
 * @param[in]  x,x_data       input of spatial rank 2, FPOOL_F32, F16 or U8
 * @param[in]  block          the kernels
 * @param[in]  y,y_data       output of N x (count + 1) C x H x W, same type and layout
 * @param[in]  mask,mask_data position of each maximum, as of fpool_max_forward() with each kernel,
 *                            N x count C x H x W, in the order of `y`: FPOOL_U8 if no kernel
 *                            exceeds 15, or FPOOL_I32. Both NULL: no mask.
 */
FPOOL_API fpool_status fpool_spp_block_forward(const fpool_tensor* x, const void* x_data,
                                               const fpool_spp_block* block,         //
                                               const fpool_tensor* y, void* y_data,  //
                                               const fpool_tensor* mask, void* mask_data);

/**
 * Gradient of the SPP block: that of the joined input, to which every maximum adds its own at its
 * position, kernel by kernel in the order of the output. F16 gradients are added in f32 and rounded
 * once. Bit-identical for every number of threads.
 *
 * @param[in] dy,dy_data     gradient of the output, FPOOL_F32 or F16
 * @param[in] mask,mask_data the mask of the forward call
 * @param[in] block          the kernels of the forward call
 * @param[in] dx,dx_data     gradient of the input, of the type of `dy` and the extents and layout
 *                           of the forward call's `x`; overwritten
 */
FPOOL_API fpool_status fpool_spp_block_backward(const fpool_tensor* dy, const void* dy_data,
                                                const fpool_tensor* mask, const void* mask_data,
                                                const fpool_spp_block* block,  //
                                                const fpool_tensor* dx, void* dx_data);

#ifdef __cplusplus
}
#endif

#endif /* FEATUREPOOL_FEATUREPOOL_H */
