// The products at the tier whose flags native/CMakeLists.txt gives this file.

#if defined(__x86_64__)
#define FEATUREPOOL_TIER avx2
#define Eigen Eigen_avx2
#include "products/kernels-inl.h"
#endif
