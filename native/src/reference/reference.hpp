#pragma once

#include "dispatch/calls.hpp"

/**
 * The scalar form of every operation: the oracle of the tests and the kernel of last resort.
 *
 * Those over windows walk one plane (one channel of one image) at a time, as the loops of the
 * seed's MaxPool2D do, with the first maximum under a strict `>`; unlike the seed's, gradients
 * accumulate.
 */
namespace featurepool::reference {

/** Each computes items [items.begin, items.end) of the call.items() of a call. */
#define FEATUREPOOL_DECLARE(name, Call) void name(const Call& call, Span items);
FEATUREPOOL_OPERATIONS(FEATUREPOOL_DECLARE)
#undef FEATUREPOOL_DECLARE

}  // namespace featurepool::reference
