#pragma once

#include <gtest/gtest.h>

#include <string>

#include "dispatch/dispatch.hpp"

namespace featurepool::testing {

/** Runs `check` with every kernel of an operation at every tier of the machine, the reference too,
 * and with 1, 2 and 5 threads each. A kernel that does not take the call leaves it to the
 * reference. */
template <typename Check>
void for_every_way(Operation operation, const Check& check) {
  for (const std::string& tier : dispatch::tiers()) {
    dispatch::use_tier(tier);
    for (const std::string& kernel : dispatch::kernels(operation)) {
      dispatch::use_kernel(kernel);
      for (const int threads : {1, 2, 5}) {
        dispatch::set_threads(threads);
        SCOPED_TRACE(std::string(dispatch::operation_name(operation)) + " " + kernel + " " + tier +
                     " with " + std::to_string(threads) + " thread(s)");
        check();
      }
    }
  }
  dispatch::set_threads(0);
  dispatch::use_kernel("");
  dispatch::use_tier("");
}

}  // namespace featurepool::testing
