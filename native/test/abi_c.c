/* The header is C11, and the library can be called from C. */

#include <stddef.h>

#include "featurepool/featurepool.h"

_Static_assert(sizeof(fpool_tensor) == 64, "fpool_tensor has no hidden padding");
_Static_assert(sizeof(fpool_window) == 136, "fpool_window has no hidden padding");
_Static_assert(sizeof(fpool_average) == 16, "fpool_average has no hidden padding");
_Static_assert(sizeof(fpool_stochastic) == 16, "fpool_stochastic has no hidden padding");
_Static_assert(offsetof(fpool_tensor, extents) == 16, "four 32-bit fields come first");
_Static_assert(sizeof(fpool_pyramid) == 24, "fpool_pyramid has no hidden padding");
_Static_assert(sizeof(fpool_spp_block) == 16, "fpool_spp_block has no hidden padding");
_Static_assert(offsetof(fpool_window, spatial_rank) == 120, "five arrays come first");
_Static_assert(FPOOL_OK == 0, "success is zero");

/* Pools 1 2 3 4 with k2 s2, forward and backward; returns the number of the step that failed. */
int pool_from_c(void) {
  const fpool_tensor x = {.dtype = FPOOL_F32,
                          .layout = FPOOL_PLANAR,
                          .spatial_rank = 1,
                          .extents = {1, 1, 4},
                          .byte_size = 16};
  fpool_tensor y = x;
  fpool_tensor mask = x;
  const fpool_window window = {
      .kernel = {2}, .stride = {2}, .dilation = {1}, .spatial_rank = 1, .padding = FPOOL_PAD_VALID};
  const fpool_average average = {0};
  const float x_data[4] = {1, 2, 4, 3};
  float y_data[2];
  float dx_data[4];
  uint8_t mask_data[2];
  int64_t extents[5];

  if (fpool_output_extents(&x, &window, extents) != FPOOL_OK) return 1;
  if (extents[0] != 1 || extents[1] != 1 || extents[2] != 2) return 2;
  if (extents[3] != 1 || extents[4] != 1) return 3;
  y.extents[2] = mask.extents[2] = extents[2];
  y.byte_size = 8;
  mask.dtype = FPOOL_U8;
  mask.byte_size = 2;
  if (fpool_max_forward(&x, x_data, &window, &y, y_data, &mask, mask_data) != FPOOL_OK) return 4;
  if (y_data[0] != 2 || y_data[1] != 4 || mask_data[0] != 1 || mask_data[1] != 0) return 5;
  if (fpool_route_backward(&y, y_data, &mask, mask_data, &window, &x, dx_data) != FPOOL_OK)
    return 6;
  if (dx_data[0] != 0 || dx_data[1] != 2 || dx_data[2] != 4 || dx_data[3] != 0) return 7;
  if (fpool_avg_forward(&x, x_data, &window, &average, &y, y_data) != FPOOL_OK) return 8;
  if (y_data[0] != 1.5f || y_data[1] != 3.5f) return 9;
  if (fpool_avg_backward(&y, y_data, &window, &average, &x, dx_data) != FPOOL_OK) return 10;
  if (dx_data[0] != 0.75f || dx_data[3] != 1.75f) return 11;
  return 0;
}
