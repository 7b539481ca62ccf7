#pragma once

// The types of calls that dispatch/operations.def names.
#include "dispatch/pooling.hpp"
#include "dispatch/powers.hpp"
