// The products at the tier whose flags native/CMakeLists.txt gives this file.

#if defined(__x86_64__)
#define FEATUREPOOL_TIER sse4
#define Eigen Eigen_sse4
#include "products/kernels-inl.h"
#endif
