#pragma once

#include "dispatch/operations.def"

namespace featurepool {

/** What a call computes. */
enum class Operation {
#define FEATUREPOOL_ENUMERATE(name, Call) name,
  FEATUREPOOL_OPERATIONS(FEATUREPOOL_ENUMERATE)
#undef FEATUREPOOL_ENUMERATE
};

}  // namespace featurepool
