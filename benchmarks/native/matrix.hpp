#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <string>
#include <vector>

namespace featurepool::bench {

/** One row of the matrix of benchmark cells: an operator on a tensor. */
struct Row {
  std::string id;
  std::string op;         ///< "max", "avg", "global_avg" ...
  std::string direction;  ///< "forward", "forward_mask", "backward"
  bool interleaved = false;
  bool u8 = false;
  std::int64_t n = 0;
  std::int64_t c = 0;
  std::array<std::int64_t, 3> spatial{};  ///< D, H, W
  /**
   * Extents as written: "2x2" is {2, 2}. Empty where the operator has none, or has something else
   * than one window there.
   */
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> pad;
  std::vector<std::int64_t> levels;  ///< of a kernel like "5;9;13"
  std::int64_t clusters = 0;         ///< of a kernel like "K=64"
};

/**
 * Reads a matrix: comma-separated, the first line names the columns id, op, direction, layout,
 * dtype, n, c, d, h, w, kernel, stride and pad in any order; others are ignored.
 *
 * @throws std::invalid_argument naming the line and column that is not as it should be
 */
std::vector<Row> read_matrix(std::istream& in);
std::vector<Row> read_matrix(const std::filesystem::path& file);

}  // namespace featurepool::bench
