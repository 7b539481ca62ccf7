#pragma once

#include <cstdint>
#include <functional>

#include "geometry/geometry.hpp"

/** The process-wide workers that all calls share. */
namespace featurepool::dispatch {

/**
 * Calls `body` on disjoint ranges that cover [0, items), at most `threads` of them at a time: the
 * caller's thread always takes part, idle workers of the process-wide pool help. An exception of
 * any range is rethrown here once all ranges in progress have ended.
 */
void parallel_for(std::int64_t items, int threads, const std::function<void(Span)>& body);

/** Processors that this process may use: affinity, capped by the control group's quota. */
int available_processors();

}  // namespace featurepool::dispatch
