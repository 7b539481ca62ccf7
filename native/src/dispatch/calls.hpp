#pragma once

// The types of calls that dispatch/operations.def names.
#include "dispatch/fractional.hpp"
#include "dispatch/pooling.hpp"
#include "dispatch/powers.hpp"
#include "dispatch/products.hpp"
#include "dispatch/pyramid.hpp"
#include "dispatch/regions.hpp"
#include "dispatch/spp_block.hpp"
#include "dispatch/unpooling.hpp"
