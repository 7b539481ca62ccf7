// The products at the tier whose flags native/CMakeLists.txt gives this file.

#if defined(__x86_64__) && !defined(FEATUREPOOL_ONLY_AVX2)
#define FEATUREPOOL_TIER sse4
#define Eigen Eigen_sse4
#include "products/kernels-inl.h"
#endif
