#include "matrix.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string_view>

namespace featurepool::bench {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char letter : text) {
    if (letter == separator) {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

/** One line of the file by the names of its columns. */
class Fields {
 public:
  Fields(const std::vector<std::string>& header, const std::string& line, int number)
      : number_(number) {
    const std::vector<std::string> values = split(line, ',');
    if (values.size() != header.size()) {
      throw std::invalid_argument("line " + std::to_string(number) + " has " +
                                  std::to_string(values.size()) + " columns; the first line has " +
                                  std::to_string(header.size()));
    }
    for (std::size_t i = 0; i < header.size(); ++i) fields_[header[i]] = values[i];
  }

  const std::string& text(const std::string& column) const {
    const auto found = fields_.find(column);
    if (found == fields_.end()) throw std::invalid_argument("there is no column " + column);
    return found->second;
  }

  std::int64_t number(const std::string& column) const {
    std::int64_t value = 0;
    if (!parse(text(column), value)) refuse(column, "a whole number");
    return value;
  }

  bool choice(const std::string& column, const char* no, const char* yes) const {
    if (text(column) != no && text(column) != yes) {
      refuse(column, std::string(no) + " or " + yes);
    }
    return text(column) == yes;
  }

  /** "2x2" as {2, 2}; empty if it is not of that form. */
  std::vector<std::int64_t> extents(const std::string& column, char separator = 'x') const {
    std::vector<std::int64_t> extents;
    for (const std::string& part : split(text(column), separator)) {
      std::int64_t value = 0;
      if (!parse(part, value)) return {};
      extents.push_back(value);
    }
    return extents;
  }

  /** "K=64" as 64; 0 if it is not of that form. */
  std::int64_t clusters(const std::string& column) const {
    std::int64_t value = 0;
    const bool any = text(column).starts_with("K=") && parse(text(column).substr(2), value);
    return any ? value : 0;
  }

 private:
  static bool parse(const std::string& text, std::int64_t& value) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    return !text.empty() && error == std::errc() && stop == end;
  }

  [[noreturn]] void refuse(const std::string& column, const std::string& right) const {
    throw std::invalid_argument("line " + std::to_string(number_) + ": " + column + " is '" +
                                text(column) + "'; it must be " + right);
  }

  std::map<std::string, std::string> fields_;
  int number_;
};

Row parse_row(const Fields& fields) {
  Row row;
  row.id = fields.text("id");
  row.op = fields.text("op");
  row.direction = fields.text("direction");
  row.interleaved = fields.choice("layout", "nchw", "nhwc");
  row.u8 = fields.choice("dtype", "f32", "u8");
  row.n = fields.number("n");
  row.c = fields.number("c");
  row.spatial = {fields.number("d"), fields.number("h"), fields.number("w")};
  row.kernel = fields.extents("kernel");
  row.stride = fields.extents("stride");
  row.pad = fields.extents("pad");
  row.levels = fields.extents("kernel", ';');
  row.clusters = fields.clusters("kernel");
  return row;
}

}  // namespace

std::vector<Row> read_matrix(std::istream& in) {
  std::vector<Row> rows;
  std::vector<std::string> header;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    if (header.empty()) {
      header = split(line, ',');
    } else {
      rows.push_back(parse_row(Fields(header, line, number)));
    }
  }
  if (rows.empty()) throw std::invalid_argument("there are no cells");
  return rows;
}

std::vector<Row> read_matrix(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw std::invalid_argument(file.string() + " cannot be read");
  try {
    return read_matrix(in);
  } catch (const std::invalid_argument& problem) {
    throw std::invalid_argument(file.string() + ": " + problem.what());
  }
}

}  // namespace featurepool::bench
