#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/**
 * Networks that select the medians of a tile of neighbouring windows at once, whose common taps are
 * sorted once (A. Adams, "Fast median filters using separable sorting networks", 2021).
 */
namespace featurepool {

/** What an instruction of a TileNetwork does with slots; its operands follow it. */
enum class TileStep : std::uint16_t {
  exchange,  ///< count times: a, b, where the lesser goes, where the greater goes
  merge,     ///< count times: two ascending pairs, joined
  ladder,    ///< count times: two levels of a merge
  select,    ///< count pairs: the greatest of the lesser of each
  end,
};

/**
 * A network for tiles of `width` x `height` windows. Its inputs are the columns of a strip of
 * `kernel height + height - 1` lines, of which those that all windows share, [height - 1,
 * kernel height), are sorted already.
 *
 * `code` holds instructions: a TileStep, a count and the operands, which are slots. A ladder is two
 * levels of an odd-even merge, done in registers: it takes a slot in the register `carry`, does
 * `count` times
 *
 *     a b c d -> (p, q) = exchange(a, b), (r, s) = exchange(c, d)
 *     w x y z <- exchange(carry, p), exchange(r, q); carry = s
 *
 * and puts the carry into a slot.
 */
struct TileNetwork {
  struct Input {
    std::uint16_t line;
    std::uint16_t column;
  };

  std::vector<Input> inputs;  ///< what slots 0, 1, ... hold at first
  std::vector<std::uint16_t> code;
  std::vector<std::uint16_t> results;  ///< slots of the medians, row by row
  std::int64_t slots = 0;
};

/** The network of lower medians; made once per process. Operands are slots times `unit`. */
const TileNetwork& tile_network(std::int64_t kernel_height, std::int64_t kernel_width,
                                std::int64_t height, std::int64_t width, std::int64_t unit);

/** A network that sorts the lines of a strip, results in ascending order; made once per process. */
const TileNetwork& line_sorting_network(std::int64_t lines, std::int64_t unit);

}  // namespace featurepool
