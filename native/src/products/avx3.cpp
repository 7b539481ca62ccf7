// The products at the tier whose flags native/CMakeLists.txt gives this file.

#if defined(__x86_64__) && !defined(FEATUREPOOL_WITHOUT_AVX3)
#define FEATUREPOOL_TIER avx3
#define Eigen Eigen_avx3
#include "products/kernels-inl.h"
#endif
