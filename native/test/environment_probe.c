/* Says how the library of this process took its environment; run by environment_test. */

#include <stdio.h>
#include <stdlib.h>

#include "featurepool/featurepool.h"

/* Max pooling k2 s2 of one plane of the given side; 1 if the result is wrong. */
static int pool(int64_t side, fpool_status* status) {
  const int64_t half = side / 2;
  const fpool_tensor x = {FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 4, side, side}, 16 * side * side};
  const fpool_tensor y = {FPOOL_F32, FPOOL_PLANAR, 2, 0, {1, 4, half, half}, 16 * half * half};
  const fpool_window window = {{2, 2}, {2, 2}, {0}, {0}, {1, 1}, 2, FPOOL_PAD_VALID, 0, 0};
  float* x_data = malloc((size_t)x.byte_size);
  float* y_data = malloc((size_t)y.byte_size);
  int wrong = 0;
  for (int64_t i = 0; i < 4 * side * side; ++i) x_data[i] = (float)i;
  *status = fpool_max_forward(&x, x_data, &window, &y, y_data, NULL, NULL);
  for (int64_t i = 0; *status == FPOOL_OK && i < 4 * half * half; ++i) {
    const int64_t row = i / half;
    wrong |= y_data[i] != (float)((2 * row + 1) * side + 2 * (i % half) + 1);
  }
  free(x_data);
  free(y_data);
  return wrong;
}

int main(void) {
  fpool_status small = -1;
  fpool_status large = -1;
  const int wrong = pool(8, &small) + pool(600, &large);
  const char* isa = fpool_active_isa();
  printf("small=%d large=%d wrong=%d isa=%s threads=%d message=%s\n", small, large, wrong,
         isa == NULL ? "none" : isa, fpool_get_threads(), fpool_last_error());
  return 0;
}
