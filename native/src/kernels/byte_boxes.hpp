#pragma once

#include "dispatch/kernel.hpp"

namespace featurepool {

/** Averages of bytes over large windows of stride 1: running sums, which of whole numbers are
 * exact, so that the time does not depend on the kernel. */
Kernel byte_boxes_kernel();

}  // namespace featurepool
