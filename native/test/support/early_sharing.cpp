// Linked into every test of the inside: calls are shared out at sizes that tests can afford.

#include <cstdlib>

namespace {

[[maybe_unused]] const int lowered = setenv("FEATUREPOOL_LEAST_SHARED_BYTES", "100000", 0);

}  // namespace
