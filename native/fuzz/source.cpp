#include "source.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "dispatch/dispatch.hpp"

namespace featurepool::fuzz {
namespace {

// Larger tensors would cost time and find nothing more.
constexpr std::int64_t kMostBytes = 1 << 18;

std::int64_t element_size(std::int32_t dtype) {
  switch (dtype) {
    case FPOOL_F64:
    case FPOOL_I64:
      return 8;
    case FPOOL_F32:
    case FPOOL_I32:
      return 4;
    case FPOOL_F16:
    case FPOOL_BF16:
      return 2;
    default:
      return 1;
  }
}

/** Bytes of a tensor, at most kMostBytes: a buffer that is too small then, and must be refused. */
std::int64_t byte_size(const fpool_tensor& t) {
  std::int64_t size = element_size(t.dtype);
  const int rank = std::clamp(t.spatial_rank, 1, FPOOL_MAX_SPATIAL_RANK);
  for (int i = 0; i < 2 + rank; ++i) {
    if (t.extents[i] < 0 || t.extents[i] > kMostBytes) return 64;
    size *= t.extents[i];
    if (size > kMostBytes) return 64;
  }
  return size;
}

[[noreturn]] void fault(const char* what) {
  std::fprintf(stderr, "featurepool: %s\n", what);
  std::abort();
}

template <typename T>
void fill_integers(std::uint8_t* to, std::int64_t size, std::mt19937_64& random, std::int64_t least,
                   std::int64_t most) {
  std::uniform_int_distribution<std::int64_t> any(least, most);
  for (std::int64_t i = 0; i + static_cast<std::int64_t>(sizeof(T)) <= size; i += sizeof(T)) {
    const T value = static_cast<T>(any(random));
    std::memcpy(to + i, &value, sizeof value);
  }
}

/** Small integers in a format of 16 bits, of which `mantissa` are the mantissa's. */
void fill_halves(std::uint8_t* to, std::int64_t size, std::mt19937_64& random, std::int64_t least,
                 std::int64_t most, int mantissa) {
  std::uniform_int_distribution<std::int64_t> any(least, most);
  const std::uint32_t bias = (std::uint32_t{1} << (14 - mantissa)) - 1;
  for (std::int64_t i = 0; i + 2 <= size; i += 2) {
    const auto value = static_cast<float>(any(random));
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t magnitude =
        value == 0 ? 0 : ((bits & 0x7fffffff) - ((127 - bias) << 23)) >> (23 - mantissa);
    const auto half = static_cast<std::uint16_t>(bits >> 31 << 15 | magnitude);
    std::memcpy(to + i, &half, sizeof half);
  }
}

void fill(Array& array, std::mt19937_64& random, std::int64_t least, std::int64_t most) {
  switch (array.descriptor.dtype) {
    case FPOOL_F64:
      return fill_integers<double>(array.bytes(), array.size(), random, least, most);
    case FPOOL_F32:
      return fill_integers<float>(array.bytes(), array.size(), random, least, most);
    case FPOOL_I64:
      return fill_integers<std::int64_t>(array.bytes(), array.size(), random, least, most);
    case FPOOL_I32:
      return fill_integers<std::int32_t>(array.bytes(), array.size(), random, least, most);
    case FPOOL_U8:
    case FPOOL_I8:
      return fill_integers<std::uint8_t>(array.bytes(), array.size(), random, least, most);
    case FPOOL_F16:
      return fill_halves(array.bytes(), array.size(), random, least, most, 10);
    case FPOOL_BF16:
      return fill_halves(array.bytes(), array.size(), random, least, most, 7);
    default:
      std::memset(array.bytes(), 0, static_cast<std::size_t>(array.size()));
  }
}

using Bytes = std::vector<std::vector<std::uint8_t>>;

/** What the outputs that there are hold. */
Bytes bytes_of(std::initializer_list<Array*> outputs) {
  Bytes bytes;
  for (const Array* output : outputs) {
    if (output->present) bytes.emplace_back(output->bytes(), output->bytes() + output->size());
  }
  return bytes;
}

void restore(std::initializer_list<Array*> outputs, const Bytes& bytes) {
  auto old = bytes.begin();
  for (Array* output : outputs) {
    if (!output->present) continue;
    std::copy(old->begin(), old->end(), output->bytes());
    ++old;
  }
}

/** The floating-point element at `from`. */
double element(std::int32_t dtype, const std::uint8_t* from) {
  if (dtype == FPOOL_F64) {
    double value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  std::uint32_t bits = 0;
  std::memcpy(&bits, from, static_cast<std::size_t>(element_size(dtype)));
  if (dtype == FPOOL_BF16) bits <<= 16;
  if (dtype == FPOOL_F16) {
    const auto magnitude = std::ldexp((bits & 0x3ff) + ((bits & 0x7c00) != 0 ? 1024.0 : 0.0),
                                      std::max(1, static_cast<int>(bits >> 10 & 31)) - 25);
    if ((bits & 0x7fff) > 0x7c00) return std::numeric_limits<double>::quiet_NaN();
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool rounded(std::int32_t dtype, const std::uint8_t* a, const std::uint8_t* b) {
  if (dtype >= FPOOL_I8) return false;
  const double tolerance = dtype == FPOOL_F64   ? 1e-12
                           : dtype == FPOOL_F32 ? 1e-5
                           : dtype == FPOOL_F16 ? 2e-3
                                                : 2e-2;
  const double x = element(dtype, a);
  const double y = element(dtype, b);
  return x == y || (std::isnan(x) && std::isnan(y)) ||
         std::abs(x - y) <= tolerance * std::max({1.0, std::abs(x), std::abs(y)});
}

/** Whether bits are those of the reference; a signalling NaN of f16 may come back quiet. */
bool same(std::int32_t dtype, const std::uint8_t* a, const std::uint8_t* b) {
  if (std::memcmp(a, b, static_cast<std::size_t>(element_size(dtype))) == 0) return true;
  return dtype == FPOOL_F16 && std::isnan(element(dtype, a)) && a[0] == b[0] &&
         (a[1] | 0x02) == (b[1] | 0x02);
}

/** Says where `bytes` differ from those of the reference, and ends the process, if they do. */
void compare(const fpool_tensor& t, Near near, const std::vector<std::uint8_t>& bytes,
             const std::vector<std::uint8_t>& reference) {
  if (bytes == reference) return;
  const auto step = static_cast<std::size_t>(element_size(t.dtype));
  for (std::size_t i = 0; i + step <= bytes.size(); i += step) {
    const std::uint8_t* const a = &bytes[i];
    const std::uint8_t* const b = &reference[i];
    if (same(t.dtype, a, b) || (near == Near::kRounded && rounded(t.dtype, a, b))) continue;
    std::fprintf(stderr, "output of type %d, layout %d, extents", t.dtype, t.layout);
    for (const std::int64_t extent : t.extents) {
      std::fprintf(stderr, " %lld", static_cast<long long>(extent));
    }
    std::fprintf(stderr, ": element %zu has the bytes", i / step);
    for (std::size_t k = 0; k < step; ++k) std::fprintf(stderr, " %02x", a[k]);
    std::fprintf(stderr, ", that of the reference");
    for (std::size_t k = 0; k < step; ++k) std::fprintf(stderr, " %02x", b[k]);
    std::fprintf(stderr, "\n");
    fault("the reference gives something else");
  }
}

}  // namespace

Array::Array(const fpool_tensor& descriptor, std::int64_t shift)
    : descriptor(descriptor),
      shift_(shift),
      buffer_(new std::uint8_t[static_cast<std::size_t>(descriptor.byte_size + shift)]) {}

std::int64_t Source::integer(std::int64_t least, std::int64_t most) {
  return rarely(64) ? bytes_.ConsumeIntegral<std::int64_t>()
                    : bytes_.ConsumeIntegralInRange<std::int64_t>(least, most);
}

double Source::real(double least, double most) {
  if (!rarely()) return bytes_.ConsumeFloatingPointInRange<double>(least, most);
  static constexpr double kOdd[] = {0, -0.0, 1e-320, 1e300, -1e300};
  switch (choice(4)) {
    case 0:
      return std::numeric_limits<double>::quiet_NaN();
    case 1:
      return std::numeric_limits<double>::infinity();
    case 2:
      return -std::numeric_limits<double>::infinity();
    default:
      return kOdd[choice(5)];
  }
}

std::int32_t Source::dtype(std::initializer_list<std::int32_t> usual) {
  if (rarely()) return static_cast<std::int32_t>(integer(0, 9));
  return usual.begin()[choice(static_cast<int>(usual.size()))];
}

fpool_tensor Source::input(std::int32_t dtype, int rank) {
  fpool_tensor t{};
  t.dtype = dtype;
  t.layout = choice(2);
  t.spatial_rank = rank;
  t.extents[0] = integer(0, 2);
  t.extents[1] = integer(1, 19);
  const std::int64_t most[] = {0, 70, 23, 9};
  for (int i = 0; i < rank; ++i) t.extents[2 + i] = integer(1, most[rank]);
  return t;
}

fpool_tensor Source::tensor(const fpool_tensor& like, std::int32_t dtype,
                            std::initializer_list<std::int64_t> extents) {
  fpool_tensor t = like;
  t.dtype = dtype;
  std::copy(extents.begin(), extents.end(), t.extents);
  return t;
}

fpool_window Source::window(int rank, const fpool_tensor& x) {
  fpool_window w{};
  w.spatial_rank = rarely(64) ? choice(5) : rank;
  w.adaptive = rarely(8);
  w.padding = w.adaptive != 0 ? 0 : rarely(8) ? static_cast<std::int32_t>(integer(0, 4)) : 0;
  w.ceil_mode = w.padding == 0 && w.adaptive == 0 && rarely(4);
  for (int i = 0; i < FPOOL_MAX_SPATIAL_RANK; ++i) {
    const std::int64_t extent = std::clamp<std::int64_t>(x.extents[2 + i], 1, 70);
    w.dilation[i] = rarely(6) ? integer(1, 3) : 1;
    w.kernel[i] = integer(1, std::min<std::int64_t>(extent + 2, 17));
    w.stride[i] = integer(1, 4);
    if (w.padding == 0 && rarely(2)) {
      const std::int64_t most = std::clamp<std::int64_t>(w.kernel[i], 1, 9) - 1;
      w.pad_begin[i] = integer(0, most);
      w.pad_end[i] = integer(0, most);
    }
  }
  return w;
}

std::vector<double> Source::reals(std::int64_t count, double least, double most) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = real(least, most);
  return values;
}

std::vector<std::int64_t> Source::integers(std::int64_t count, std::int64_t least,
                                           std::int64_t most) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  for (std::int64_t& value : values) value = integer(least, most);
  return values;
}

void Source::change(fpool_tensor& t) {
  switch (choice(5)) {
    case 0:
      t.dtype = bytes_.ConsumeIntegral<std::int32_t>();
      return;
    case 1:
      t.layout = bytes_.ConsumeIntegral<std::int32_t>();
      return;
    case 2:
      t.spatial_rank = static_cast<std::int32_t>(integer(-1, 4));
      return;
    case 3:
      t.reserved = choice(2);
      return;
    default:
      t.extents[choice(5)] = integer(-1, 30);
  }
}

Array Source::array(fpool_tensor t) {
  if (rarely(64)) change(t);
  t.byte_size = byte_size(t);
  if (rarely(64)) t.byte_size = std::max<std::int64_t>(0, t.byte_size + choice(17) - 8);
  Array array(t, rarely(64) ? choice(8) : 0);
  std::mt19937_64 random(seed());
  switch (choice(4)) {
    case 0:
      fill(array, random, -9, 9);
      break;
    case 1:
      fill(array, random, 0, 3);
      break;
    case 2:
      tame_ = false;
      for (std::int64_t i = 0; i < array.size(); ++i) {
        array.bytes()[i] = static_cast<std::uint8_t>(random());
      }
      break;
    default:
      tame_ = false;
      std::memset(array.bytes(), static_cast<int>(random() & 255),
                  static_cast<std::size_t>(array.size()));
  }
  array.present = !rarely(128);
  return array;
}

Array Source::indices(fpool_tensor t, std::int64_t least, std::int64_t most) {
  Array indices = array(t);
  if (rarely(8)) return indices;
  std::mt19937_64 random(seed());
  fill(indices, random, least, std::max(least, most));
  return indices;
}

Array Source::numbers(std::int64_t count) {
  fpool_tensor t{};
  t.dtype = FPOOL_F64;
  t.byte_size = 8 * count;
  Array array(t, 0);
  std::memset(array.bytes(), 1, static_cast<std::size_t>(array.size()));
  array.present = !rarely(4);
  return array;
}

Array Source::absent() {
  Array none;
  none.present = false;
  return none;
}

void Source::check(std::initializer_list<Array*> outputs, Near near,
                   const std::function<fpool_status()>& call) {
  const Bytes before = bytes_of(outputs);
  const fpool_status status = call();
  const Bytes alone = bytes_of(outputs);
  if (status < FPOOL_OK || status >= FPOOL_ERROR_CONFIGURATION) fault("an undocumented status");
  if (status != FPOOL_OK) {
    if (fpool_last_error()[0] == '\0') fault("a refusal without a reason");
    if (alone != before) fault("a refused call wrote to an output");
  }

  // Threads are made anew each time, which takes as long as many small calls.
  if (rarely(8)) {
    restore(outputs, before);
    dispatch::set_threads(3);
    if (call() != status) fault("another status with three threads");
    if (bytes_of(outputs) != alone) fault("other bits with three threads");
    dispatch::set_threads(1);
  }

  if (status != FPOOL_OK || near == Near::kAnywhere) return;
  restore(outputs, before);
  dispatch::use_kernel("reference");
  if (call() != status) fault("another status of the reference");
  dispatch::use_kernel("");
  const Bytes plain = bytes_of(outputs);
  auto kernel = alone.begin();
  auto reference = plain.begin();
  for (const Array* output : outputs) {
    if (!output->present) continue;
    compare(output->descriptor, near, *kernel++, *reference++);
  }
}

}  // namespace featurepool::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  setenv("FEATUREPOOL_LEAST_SHARED_BYTES", "0", 1);
  setenv("FEATUREPOOL_THREADS", "1", 1);
  return 0;
}
