#include "support/pooling_case.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>

#include "dispatch/dispatch.hpp"
#include "geometry/error.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace featurepool::testing {
namespace {

constexpr std::size_t kCapacity = std::size_t{1} << 27;

/** The buffers of all checks, one after the other: mapping anew for each would take longer. */
struct Buffers {
  GuardedMemory input{kCapacity};
  GuardedMemory output{kCapacity};
  GuardedMemory mask{kCapacity};
};

Buffers& buffers() {
  static Buffers instance;
  return instance;
}

/** The run in progress, for the message of a fault. */
struct Current {
  const PoolingCase* pooling_case = nullptr;
  Operation operation = Operation::max_forward;
  std::string kernel;
  std::string tier;
  int threads = 1;

  std::string describe() const {
    return std::string(dispatch::operation_name(operation)) + " by kernel " + kernel + " at " +
           tier + " with " + std::to_string(threads) + " thread(s): " + pooling_case->describe();
  }
};

Current& current() {
  static Current instance;
  return instance;
}

/** A touched guard page kills the process; say first which case it was. */
extern "C" void report_fault(int signal) {
  ::signal(signal, SIG_DFL);
  const std::string text = "fault in " + current().describe() + "\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  ::raise(signal);
}

/** While a check runs, faults are reported, and afterwards the choices are the environment's. */
class Session {
 public:
  Session() : segv_(::signal(SIGSEGV, report_fault)), bus_(::signal(SIGBUS, report_fault)) {}
  ~Session() {
    ::signal(SIGSEGV, segv_);
    ::signal(SIGBUS, bus_);
    dispatch::use_kernel("");
    dispatch::use_tier("");
    dispatch::set_threads(0);
  }

 private:
  void (*segv_)(int);
  void (*bus_)(int);
};

float special(Random& random) {
  switch (random.between(0, 9)) {
    case 0:
      return std::numeric_limits<float>::infinity();
    case 1:
      return -std::numeric_limits<float>::infinity();
    case 2:
      return 0.0f;
    case 3:
      return -0.0f;
    case 4: {
      const auto sign = static_cast<std::uint32_t>(random.between(0, 1)) << 31;
      const auto payload = static_cast<std::uint32_t>(random.between(0, 0xffff));
      return std::bit_cast<float>(0x7fc00000u | sign | payload);
    }
    case 5:
      return std::numeric_limits<float>::denorm_min() *
             static_cast<float>(random.between(-1000, 1000));
    default:
      return static_cast<float>(random.between(-2, 2));
  }
}

float value_of(Values values, Random& random) {
  switch (values) {
    case Values::uniform:
      return random.fraction() * 20 - 10;
    case Values::ties:
      return static_cast<float>(random.between(-2, 2));
    case Values::specials:
      // Mostly ordinary, so that windows differ in how many they hold.
      return random.one_in(4) ? special(random) : random.fraction() * 2 - 1;
    case Values::lowest:
      return -std::numeric_limits<float>::infinity();
  }
  return 0;
}

void fill(float* data, std::int64_t size, Values values, Random& random) {
  for (std::int64_t i = 0; i < size; ++i) data[i] = value_of(values, random);
}

void fill(std::uint8_t* data, std::int64_t size, Values values, Random& random) {
  for (std::int64_t i = 0; i < size; ++i) {
    const std::int64_t most = values == Values::ties ? 3 : values == Values::lowest ? 0 : 255;
    data[i] = static_cast<std::uint8_t>(random.between(0, most));
  }
}

/** What an element should be, and how far off it may be (sums only). */
struct Expected {
  std::vector<float> floats;
  std::vector<std::uint8_t> bytes;
  Sums sums;
};

/** The mask that the forward pass should write, in its own type. */
std::vector<unsigned char> encode_mask(MaskType type, const std::vector<std::int64_t>& planes,
                                       const std::vector<std::int64_t>& windows) {
  std::vector<unsigned char> bytes;
  if (type == MaskType::position_u8) {
    for (const std::int64_t position : windows) {
      bytes.push_back(static_cast<unsigned char>(position));  // -1 becomes 255, none
    }
  } else if (type == MaskType::plane_i32) {
    bytes.resize(planes.size() * 4);
    for (std::size_t i = 0; i < planes.size(); ++i) {
      const auto position = static_cast<std::int32_t>(planes[i]);
      std::memcpy(&bytes[i * 4], &position, 4);
    }
  }
  return bytes;
}

double ulp(double magnitude) {
  const double least = std::numeric_limits<float>::denorm_min();
  return magnitude < std::numeric_limits<float>::min()
             ? least
             : std::exp2(std::floor(std::log2(magnitude)) - 23);
}

bool within_bound(float actual, double expected, double magnitude, std::int64_t terms) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  const double count = static_cast<double>(std::max<std::int64_t>(terms, 1));
  return std::fabs(actual - expected) <= 2 * ulp(magnitude) * std::sqrt(count);
}

/** Equal bits; the sign and payload of a NaN that an addition made are the processor's affair. */
bool same_sum(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

std::string show(float value) {
  std::ostringstream text;
  text << value << " (0x" << std::hex << std::bit_cast<std::uint32_t>(value) << ")";
  return text.str();
}

std::string show(std::int64_t value) { return std::to_string(value); }

std::string join(const std::int64_t* values, int count) {
  std::ostringstream text;
  for (int i = 0; i < count; ++i) text << (i == 0 ? "" : "x") << values[i];
  return text.str();
}

/** "image 0, channel 2, position (1, 3)" of a memory index. */
std::string locate(const Pooling& p, std::size_t index, bool of_output) {
  const Geometry& g = p.geometry;
  const auto i = static_cast<std::int64_t>(index);
  const std::int64_t size = of_output ? g.output_plane() : g.input_plane();
  const bool planar = p.layout == Layout::planar;
  const std::int64_t n = i / (g.channels * size);
  const std::int64_t c = planar ? i / size % g.channels : i % g.channels;
  const std::int64_t position = planar ? i % size : i / g.channels % size;
  const std::int64_t columns = of_output ? g.w().output : g.w().input;
  const std::int64_t rows = of_output ? g.h().output : g.h().input;
  std::ostringstream text;
  text << "image " << n << ", channel " << c << ", position (" << position / columns / rows << ", "
       << position / columns % rows << ", " << position % columns << ")";
  return text.str();
}

}  // namespace

int case_count(int usual) {
  const char* const text = std::getenv("FEATUREPOOL_TEST_CASES");
  return text == nullptr ? usual : std::atoi(text);
}

PoolingCase& PoolingCase::interleaved() {
  tensor_.layout = FPOOL_INTERLEAVED;
  return *this;
}

PoolingCase& PoolingCase::bytes() {
  tensor_.dtype = FPOOL_U8;
  return *this;
}

PoolingCase& PoolingCase::batch(std::int64_t n) {
  tensor_.extents[0] = n;
  return *this;
}

PoolingCase& PoolingCase::channels(std::int64_t c) {
  tensor_.extents[1] = c;
  return *this;
}

PoolingCase& PoolingCase::input(const std::vector<std::int64_t>& extents) {
  const std::vector<std::int64_t> ones(extents.size(), 1);
  tensor_.spatial_rank = static_cast<std::int32_t>(extents.size());
  window_.spatial_rank = tensor_.spatial_rank;
  return resize(extents).kernel(ones).stride(ones).dilation(ones);
}

PoolingCase& PoolingCase::resize(const std::vector<std::int64_t>& extents) {
  std::copy(extents.begin(), extents.end(), tensor_.extents + 2);
  return *this;
}

PoolingCase& PoolingCase::kernel(const std::vector<std::int64_t>& kernel) {
  std::copy(kernel.begin(), kernel.end(), window_.kernel);
  return *this;
}

PoolingCase& PoolingCase::stride(const std::vector<std::int64_t>& stride) {
  std::copy(stride.begin(), stride.end(), window_.stride);
  return *this;
}

PoolingCase& PoolingCase::dilation(const std::vector<std::int64_t>& dilation) {
  std::copy(dilation.begin(), dilation.end(), window_.dilation);
  return *this;
}

PoolingCase& PoolingCase::pad(const std::vector<std::int64_t>& begin,
                              const std::vector<std::int64_t>& end) {
  std::copy(begin.begin(), begin.end(), window_.pad_begin);
  std::copy(end.begin(), end.end(), window_.pad_end);
  return *this;
}

PoolingCase& PoolingCase::pad(const std::vector<std::int64_t>& both) { return pad(both, both); }

PoolingCase& PoolingCase::padding(std::int32_t mode) {
  window_.padding = mode;
  return *this;
}

PoolingCase& PoolingCase::ceil() {
  window_.ceil_mode = 1;
  return *this;
}

PoolingCase& PoolingCase::mask(MaskType type) {
  mask_ = type;
  return *this;
}

PoolingCase& PoolingCase::divisor(std::int64_t divisor) {
  divisor_.override_by = divisor;
  return *this;
}

PoolingCase& PoolingCase::include_padding() {
  divisor_.include_padding = true;
  return *this;
}

PoolingCase& PoolingCase::values(Values values) {
  values_ = values;
  return *this;
}

PoolingCase& PoolingCase::seed(std::uint64_t seed) {
  seed_ = seed;
  return *this;
}

PoolingCase& PoolingCase::edge(Edge edge) {
  edge_ = edge;
  return *this;
}

PoolingCase& PoolingCase::threads(const std::vector<int>& threads) {
  threads_ = threads;
  return *this;
}

bool PoolingCase::valid() const {
  try {
    make_geometry(tensor_, window_);
    return true;
  } catch (const Error&) {
    return false;
  }
}

Pooling PoolingCase::pooling(Operation operation) const {
  Pooling pooling;
  pooling.operation = operation;
  pooling.geometry = make_geometry(tensor_, window_);
  pooling.layout = static_cast<Layout>(tensor_.layout);
  pooling.dtype = tensor_.dtype;
  pooling.divisor = divisor_;
  const bool max = operation == Operation::max_forward || operation == Operation::route_backward;
  pooling.mask_type = max ? mask_ : MaskType::none;
  return pooling;
}

std::string PoolingCase::describe() const {
  const int rank = tensor_.spatial_rank;
  std::ostringstream text;
  text << (tensor_.layout == FPOOL_PLANAR ? "planar " : "interleaved ") << dtype_name(tensor_.dtype)
       << " N " << tensor_.extents[0] << " C " << tensor_.extents[1] << " input "
       << join(tensor_.extents + 2, rank) << " kernel " << join(window_.kernel, rank) << " stride "
       << join(window_.stride, rank) << " dilation " << join(window_.dilation, rank);
  switch (window_.padding) {
    case FPOOL_PAD_EXPLICIT:
      text << " pad " << join(window_.pad_begin, rank) << " to " << join(window_.pad_end, rank);
      break;
    case FPOOL_PAD_SAME_UPPER:
      text << " same_upper";
      break;
    case FPOOL_PAD_SAME_LOWER:
      text << " same_lower";
      break;
    default:
      text << " valid";
  }
  if (window_.ceil_mode != 0) text << " ceil";
  if (mask_ == MaskType::position_u8) text << " mask u8";
  if (mask_ == MaskType::plane_i32) text << " mask i32";
  if (divisor_.override_by > 0) text << " divisor " << divisor_.override_by;
  if (divisor_.include_padding) text << " include_padding";
  static constexpr const char* kValues[] = {"uniform", "ties", "specials", "lowest"};
  text << " values " << kValues[static_cast<int>(values_)] << " at the "
       << (edge_ == Edge::begin ? "begin" : "end") << " of a page, seed " << seed_;
  return text.str();
}

bool PoolingCase::accepted_by(Operation operation, const std::string& kernel) const {
  const Session session;
  dispatch::use_kernel(kernel);
  return dispatch::kernel_for(pooling(operation)) == kernel;
}

void PoolingCase::check(Operation operation, const std::string& only) const {
  Pooling p = pooling(operation);
  const Geometry& g = p.geometry;
  const bool backward =
      operation == Operation::route_backward || operation == Operation::avg_backward;
  const bool max = operation == Operation::max_forward || operation == Operation::route_backward;
  const bool byte_results = p.dtype == FPOOL_U8 && !backward;
  const std::int64_t element = byte_results ? 1 : 4;
  const std::int64_t input_size = backward ? g.output_size() : g.input_size();
  const std::int64_t output_size = backward ? g.input_size() : g.output_size();
  Random random(seed_);

  Buffers& memory = buffers();
  Expected expected;
  std::vector<unsigned char> mask_bytes;
  if (operation == Operation::route_backward) {
    // The mask of a forward pass over an input of these values.
    Pooling forward = p;
    std::vector<float> x(static_cast<std::size_t>(g.input_size()));
    fill(x.data(), g.input_size(), values_, random);
    forward.input = x.data();
    const auto maxima = max_forward<float>(forward);
    mask_bytes = encode_mask(p.mask_type, maxima.plane_positions, maxima.window_positions);
    p.input = memory.input.place(static_cast<std::size_t>(input_size * 4), edge_);
    fill(static_cast<float*>(const_cast<void*>(p.input)), input_size, values_, random);
    expected.floats = route_backward(p, maxima.plane_positions);
  } else if (byte_results) {
    auto* const x =
        static_cast<std::uint8_t*>(memory.input.place(static_cast<std::size_t>(input_size), edge_));
    p.input = x;
    fill(x, input_size, values_, random);
    if (max) {
      const auto maxima = max_forward<std::uint8_t>(p);
      mask_bytes = encode_mask(p.mask_type, maxima.plane_positions, maxima.window_positions);
      expected.bytes = maxima.values;
    } else {
      expected.bytes = avg_forward_bytes(p);
    }
  } else {
    auto* const x =
        static_cast<float*>(memory.input.place(static_cast<std::size_t>(input_size * 4), edge_));
    p.input = x;
    fill(x, input_size, values_, random);
    if (max) {
      const auto maxima = max_forward<float>(p);
      mask_bytes = encode_mask(p.mask_type, maxima.plane_positions, maxima.window_positions);
      expected.floats = maxima.values;
    } else {
      expected.sums = backward ? avg_backward(p) : avg_forward(p);
    }
  }

  const auto output_bytes = static_cast<std::size_t>(output_size * element);
  std::vector<float> first_sums;
  Current& now = current();
  now.pooling_case = this;
  now.operation = operation;

  // Returns what is wrong with the run in progress; empty: nothing.
  const auto run = [&]() -> std::string {
    p.output = memory.output.place(output_bytes, edge_);
    if (!mask_bytes.empty()) {
      p.mask = memory.mask.place(mask_bytes.size(), edge_);
      if (backward) std::memcpy(p.mask, mask_bytes.data(), mask_bytes.size());
    }
    dispatch::run(p);
    if (!memory.output.margin_intact()) return "wrote outside the output";
    if (!memory.input.margin_intact()) return "wrote outside the input";

    const auto* const floats = static_cast<const float*>(p.output);
    const auto* const bytes = static_cast<const std::uint8_t*>(p.output);
    const auto size = static_cast<std::size_t>(output_size);
    for (std::size_t i = 0; i < size; ++i) {
      std::string wanted;
      if (byte_results) {
        if (bytes[i] == expected.bytes[i]) continue;
        wanted = show(std::int64_t{expected.bytes[i]}) + ", got " + show(std::int64_t{bytes[i]});
      } else if (!max) {
        const Sums& sums = expected.sums;
        if (!within_bound(floats[i], sums.values[i], sums.magnitudes[i], sums.terms[i])) {
          wanted = std::to_string(sums.values[i]) + " of " + std::to_string(sums.terms[i]) +
                   " terms, got " + show(floats[i]);
        } else if (!first_sums.empty() && !same_sum(floats[i], first_sums[i])) {
          wanted = show(first_sums[i]) + " as with one thread, got " + show(floats[i]);
        } else {
          continue;
        }
      } else {
        const float value = expected.floats[i];
        if (backward ? same_sum(floats[i], value)
                     : std::memcmp(&floats[i], &value, sizeof(value)) == 0) {
          continue;
        }
        wanted = show(value) + ", got " + show(floats[i]);
      }
      return locate(p, i, !backward) + ": expected " + wanted;
    }
    if (!max && !byte_results && first_sums.empty()) first_sums.assign(floats, floats + size);

    if (mask_bytes.empty() || backward) return "";
    if (!memory.mask.margin_intact()) return "wrote outside the mask";
    const bool compact = p.mask_type == MaskType::position_u8;
    const auto* const mask = static_cast<const unsigned char*>(p.mask);
    for (std::size_t i = 0; i < size; ++i) {
      std::int32_t wanted = mask_bytes[compact ? i : 0];
      std::int32_t actual = mask[compact ? i : 0];
      if (!compact) {
        std::memcpy(&wanted, &mask_bytes[i * 4], 4);
        std::memcpy(&actual, mask + i * 4, 4);
      }
      if (wanted == actual) continue;
      return "mask of " + locate(p, i, true) + ": expected " + std::to_string(wanted) + ", got " +
             std::to_string(actual);
    }
    return "";
  };

  const Session session;
  const std::vector<std::string> names = dispatch::kernels(operation);
  for (const std::string& tier : dispatch::tiers()) {
    dispatch::use_tier(tier);
    now.tier = tier;
    for (const std::string& kernel : names) {
      if (!only.empty() && kernel != only) continue;
      dispatch::use_kernel(kernel);
      const bool is_reference = kernel == names.back();
      // The reference has no tiers, and stands in for kernels that do not take the case.
      if (is_reference ? tier != dispatch::tiers().front() : dispatch::kernel_for(p) != kernel) {
        continue;
      }
      now.kernel = kernel;
      first_sums.clear();
      for (const int threads : threads_) {
        dispatch::set_threads(threads);
        now.threads = threads;
        const std::string problem = run();
        if (!problem.empty()) {
          ADD_FAILURE() << now.describe() << "\n  " << problem;
          return;
        }
      }
    }
  }
}

}  // namespace featurepool::testing
