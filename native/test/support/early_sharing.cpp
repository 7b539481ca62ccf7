// Linked into every test of the inside: calls are shared out at sizes that tests can afford.

#include "dispatch/dispatch.hpp"

namespace {

[[maybe_unused]] const bool lowered = [] {
  featurepool::dispatch::least_parallel_bytes = 512.0 * 1024;
  return true;
}();

}  // namespace
