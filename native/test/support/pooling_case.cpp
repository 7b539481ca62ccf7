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
#include <type_traits>
#include <utility>

#include "dispatch/dispatch.hpp"
#include "geometry/error.hpp"
#include "reference/half.hpp"
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

bool selects(Operation operation) {
  return operation == Operation::max_forward || operation == Operation::min_forward ||
         operation == Operation::route_backward;
}

template <typename T>
using Bits = std::conditional_t<
    sizeof(T) == 8, std::uint64_t,
    std::conditional_t<sizeof(T) == 4, std::uint32_t,
                       std::conditional_t<sizeof(T) == 2, std::uint16_t, std::uint8_t>>>;

template <typename T>
Bits<T> bits_of(T value) {
  return std::bit_cast<Bits<T>>(value);
}

template <typename T>
T from_bits(std::uint64_t bits) {
  return std::bit_cast<T>(static_cast<Bits<T>>(bits));
}

template <typename T>
T special(Random& random) {
  const T infinity = std::numeric_limits<T>::infinity();
  switch (random.between(0, 9)) {
    case 0:
      return infinity;
    case 1:
      return static_cast<T>(-infinity);
    case 2:
      return T(0.0f);
    case 3:
      return T(-0.0f);
    case 4: {
      // A quiet NaN of either sign and any payload: the bits below those of the first mantissa bit.
      const std::uint64_t quiet = bits_of(std::numeric_limits<T>::quiet_NaN());
      const std::uint64_t sign = random.one_in(2) ? 0 : std::uint64_t{1} << (8 * sizeof(T) - 1);
      const int mantissa = std::numeric_limits<T>::digits - 2;
      return from_bits<T>(quiet | sign | (random.next() & ((std::uint64_t{1} << mantissa) - 1)));
    }
    case 5:
      // A subnormal number.
      return from_bits<T>(static_cast<std::uint64_t>(random.between(1, 100)) |
                          (random.one_in(2) ? 0 : std::uint64_t{1} << (8 * sizeof(T) - 1)));
    default:
      return static_cast<T>(static_cast<float>(random.between(-2, 2)));
  }
}

template <typename T>
T floating_value(Values values, bool min, Random& random) {
  const auto number = [&](float scale, float shift) {
    const float coarse = random.fraction() * scale + shift;
    if constexpr (std::is_same_v<T, double>) return coarse + random.fraction() * 0x1p-30;
    return static_cast<T>(coarse);
  };
  switch (values) {
    case Values::uniform:
      return number(20, -10);
    case Values::ties:
      return static_cast<T>(static_cast<float>(random.between(-2, 2)));
    case Values::specials:
      // Mostly ordinary, so that windows differ in how many they hold.
      return random.one_in(4) ? special<T>(random) : number(2, -1);
    case Values::lowest:
      break;
  }
  const T infinity = std::numeric_limits<T>::infinity();
  return min ? infinity : static_cast<T>(-infinity);
}

/** `min`: for minima, whose values that never win are the highest. */
template <typename T>
void fill(T* data, std::int64_t size, Values values, bool min, Random& random) {
  for (std::int64_t i = 0; i < size; ++i) {
    if constexpr (std::is_integral_v<T>) {
      using Limits = std::numeric_limits<T>;
      data[i] = static_cast<T>(values == Values::ties ? random.between(0, 3)
                               : values == Values::lowest
                                   ? (min ? Limits::max() : Limits::lowest())
                                   : random.between(Limits::lowest(), Limits::max()));
    } else {
      data[i] = floating_value<T>(values, min, random);
    }
  }
}

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

/** Unit in the last place at a magnitude, of the type that sums of T are taken in. */
template <typename T>
long double ulp(long double magnitude) {
  using Limits = std::numeric_limits<T>;
  if (magnitude < static_cast<long double>(Limits::min())) {
    return static_cast<long double>(Limits::denorm_min());
  }
  if (!std::isfinite(magnitude)) return magnitude;
  return std::ldexp(1.0L, std::ilogb(magnitude) - (Limits::digits - 1));
}

/** Unit in the last place of a half type at a magnitude. */
template <Half T>
long double place(long double magnitude) {
  constexpr int kDigits = std::is_same_v<T, Eigen::half> ? 10 : 7;
  constexpr long double kLeast = std::is_same_v<T, Eigen::half> ? 0x1p-24L : 0x1p-133L;
  if (magnitude == 0) return kLeast;
  if (!std::isfinite(magnitude)) return magnitude;
  return std::max(kLeast, std::ldexp(1.0L, std::ilogb(magnitude) - kDigits));
}

template <typename T>
bool within_bound(T actual, long double expected, long double magnitude, std::int64_t terms) {
  using Sum = std::conditional_t<Half<T>, float, T>;
  const auto value = static_cast<Sum>(actual);
  if (std::isnan(expected)) return std::isnan(value);
  if (std::isinf(expected)) return value == expected;
  const long double count = std::max<std::int64_t>(terms, 1);
  long double bound = 2 * ulp<Sum>(magnitude) * std::sqrt(count);
  // Rounding once more, to a half, adds half a place of its own.
  if constexpr (Half<T>) bound += (0x1.0p-1L + 0x1p-8L) * place<T>(std::fabs(expected));
  return std::fabs(value - expected) <= bound;
}

/** Equal bits; the sign and payload of a NaN that an addition made are the processor's affair. */
template <typename T>
bool same_sum(T a, T b) {
  return bits_of(a) == bits_of(b) || (a != a && b != b);
}

template <typename T>
std::string show(T value) {
  std::ostringstream text;
  if constexpr (std::is_integral_v<T>) {
    text << static_cast<std::int64_t>(value);
  } else {
    text << static_cast<double>(static_cast<std::conditional_t<Half<T>, float, T>>(value)) << " (0x"
         << std::hex << bits_of(value) << ")";
  }
  return text.str();
}

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

// An odd step leaves out neither value of an inner loop of two.
Thinned::Thinned() : step_(std::clamp(100 / std::max(1, case_count(100)), 1, 7) | 1) {}

PoolingCase& PoolingCase::interleaved() {
  tensor_.layout = FPOOL_INTERLEAVED;
  return *this;
}

PoolingCase& PoolingCase::dtype(std::int32_t dtype) {
  tensor_.dtype = dtype;
  return *this;
}

PoolingCase& PoolingCase::adaptive() {
  window_.adaptive = 1;
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
  pooling.mask_type = selects(operation) ? mask_ : MaskType::none;
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
  if (window_.adaptive != 0) text << " adaptive";
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
  with_dtype<float, double, Eigen::half, Eigen::bfloat16, std::int8_t, std::uint8_t, std::int32_t>(
      tensor_.dtype, [&]<typename T>() { check_as<T>(operation, only); });
}

template <typename T>
void PoolingCase::check_as(Operation operation, const std::string& only) const {
  Pooling p = pooling(operation);
  const Geometry& g = p.geometry;
  const bool backward =
      operation == Operation::route_backward || operation == Operation::avg_backward;
  const bool select = selects(operation);
  const bool min = operation == Operation::min_forward;
  const std::int64_t input_size = backward ? g.output_size() : g.input_size();
  const std::int64_t output_size = backward ? g.input_size() : g.output_size();
  Random random(seed_);

  Buffers& memory = buffers();
  std::vector<unsigned char> mask_bytes;
  std::vector<T> exact;  // what the result must be, bit for bit; empty: as the sums say
  Sums sums;
  auto* const x =
      static_cast<T*>(memory.input.place(static_cast<std::size_t>(input_size) * sizeof(T), edge_));
  p.input = x;
  if (operation == Operation::route_backward) {
    // The mask of a forward pass over an input of these values.
    std::vector<T> source(static_cast<std::size_t>(g.input_size()));
    fill(source.data(), g.input_size(), values_, min, random);
    p.input = source.data();
    const auto selected = extremes<T>(p, min);
    mask_bytes = encode_mask(p.mask_type, selected.plane_positions, selected.window_positions);
    p.input = x;
    fill(x, input_size, values_, min, random);
    if constexpr (!std::is_integral_v<T>) exact = route_backward<T>(p, selected.plane_positions);
  } else {
    fill(x, input_size, values_, min, random);
    if (select) {
      auto selected = extremes<T>(p, min);
      mask_bytes = encode_mask(p.mask_type, selected.plane_positions, selected.window_positions);
      exact = std::move(selected.values);
    } else if constexpr (std::is_same_v<T, std::int8_t> || std::is_same_v<T, std::uint8_t>) {
      exact = avg_forward_bytes<T>(p);
    } else if constexpr (!std::is_integral_v<T>) {
      sums = backward ? avg_backward<T>(p) : avg_forward<T>(p);
    }
  }

  const auto output_bytes = static_cast<std::size_t>(output_size) * sizeof(T);
  std::vector<T> first_sums;
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

    const auto* const results = static_cast<const T*>(p.output);
    const auto size = static_cast<std::size_t>(output_size);
    for (std::size_t i = 0; i < size; ++i) {
      const T actual = results[i];
      if (!exact.empty()) {
        if (bits_of(actual) == bits_of(exact[i])) continue;
        if (backward && same_sum(actual, exact[i])) continue;
        return locate(p, i, !backward) + ": expected " + show(exact[i]) + ", got " + show(actual);
      }
      if (!within_bound(actual, sums.values[i], sums.magnitudes[i], sums.terms[i])) {
        return locate(p, i, !backward) + ": expected " +
               std::to_string(static_cast<double>(sums.values[i])) + " of " +
               std::to_string(sums.terms[i]) + " terms, got " + show(actual);
      }
      if (!first_sums.empty() && !same_sum(actual, first_sums[i])) {
        return locate(p, i, !backward) + ": expected " + show(first_sums[i]) +
               " as with one thread, got " + show(actual);
      }
    }
    if (exact.empty() && first_sums.empty()) first_sums.assign(results, results + size);

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
