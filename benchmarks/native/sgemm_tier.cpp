// C = A B of square matrices of f32, by Eigen as Featurepool's products call it. CMakeLists.txt
// compiles this file once per instruction-set tier: FPLIMIT_TIER is its name.

#include <cstdint>

#define FPLIMIT_JOIN(a, b) a##b
#define FPLIMIT_NAME(a, b) FPLIMIT_JOIN(a, b)
// A namespace per tier: else the linker would keep one tier's form of an inline function for all.
#define Eigen FPLIMIT_NAME(Eigen_, FPLIMIT_TIER)
#include <Eigen/Core>

namespace fplimit::FPLIMIT_TIER {

void sgemm(const float* a, const float* b, float* c, std::int64_t n) {
  using Square = Eigen::Map<Eigen::MatrixXf>;
  using ConstantSquare = Eigen::Map<const Eigen::MatrixXf>;
  Square(c, n, n).noalias() = ConstantSquare(a, n, n) * ConstantSquare(b, n, n);
}

}  // namespace fplimit::FPLIMIT_TIER
