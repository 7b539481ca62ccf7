#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "matrix.hpp"

namespace featurepool::bench {

/** A call of the C ABI that is no pooling over one window, with its buffers. */
struct Composed {
  std::int64_t read_bytes = 0;
  std::int64_t write_bytes = 0;
  /** One call. @throws std::runtime_error with the message of a refusal */
  std::function<void()> run;
};

/** Makes the call ready; takes memory, so it is left to when the call is wanted. */
using ComposedMaker = std::function<Composed()>;

/**
 * The pyramid or product of a row; none where it has another operator.
 *
 * @throws std::invalid_argument if the row's levels or clusters are none
 */
std::optional<ComposedMaker> composed_of(const Row& row);

}  // namespace featurepool::bench
