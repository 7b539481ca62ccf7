#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

#include "featurepool/featurepool.h"

namespace featurepool {

/** A refused call: the status that the C ABI returns and the message that goes with it. */
class Error : public std::runtime_error {
 public:
  Error(fpool_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}

  fpool_status status() const noexcept { return status_; }

 private:
  fpool_status status_;
};

/** The values one after the other, as messages write lists and extents. */
template <typename Values>
std::string join(const Values& values, const char* separator) {
  std::ostringstream text;
  const char* before = "";
  for (const auto& value : values) {
    text << before << value;
    before = separator;
  }
  return text.str();
}

/** Throws an Error whose message is the concatenation of `parts`. */
template <typename... Parts>
[[noreturn]] void fail(fpool_status status, const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(status, message.str());
}

}  // namespace featurepool
