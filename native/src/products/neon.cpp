// The products at the tier whose flags native/CMakeLists.txt gives this file.

#if defined(__aarch64__)
#define FEATUREPOOL_TIER neon
#define Eigen Eigen_neon
#include "products/kernels-inl.h"
#endif
